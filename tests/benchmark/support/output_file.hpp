#pragma once

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>

/// A file that appears under its name only when it is whole.
class OutputFile {
 public:
  /// Sees at once, not after the measurements, whether the file can be written. None where `path` is empty.
  explicit OutputFile(const std::string& path) : path_(path), part_(path + ".part") {
    if (path_.empty()) return;
    if (std::filesystem::is_directory(path_)) throw std::runtime_error(path_ + ": is a folder");
    stream_.open(part_, std::ios::binary);
    if (!stream_) throw std::runtime_error(part_ + ": cannot be written");
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile() {
    std::error_code ignored;
    if (stream_.is_open()) std::filesystem::remove(part_, ignored);
  }

  void write(const std::string& text) {
    if (path_.empty()) return;
    stream_ << text;
    stream_.flush();
    if (!stream_) throw std::runtime_error(part_ + ": cannot be written");
    stream_.close();
    std::filesystem::rename(part_, path_);
  }

 private:
  std::string path_, part_;
  std::ofstream stream_;
};
