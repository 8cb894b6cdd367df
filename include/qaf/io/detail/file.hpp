#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <qaf/error.hpp>

namespace qaf::detail {

inline bool host_is_big_endian() {
  const std::uint16_t one = 1;
  unsigned char first_byte = 0;
  std::memcpy(&first_byte, &one, 1);
  return first_byte == 0;
}

template <typename Scalar>
void swap_bytes(std::vector<Scalar>& entries) {
  for (Scalar& entry : entries) {
    auto* const bytes = reinterpret_cast<unsigned char*>(&entry);
    std::reverse(bytes, bytes + sizeof(Scalar));
  }
}

inline std::error_code last_system_error() { return {errno != 0 ? errno : EIO, std::generic_category()}; }

/// A regular file read from its beginning to its end.
class InputFile {
 public:
  explicit InputFile(const std::string& path) : path_(path), file_(nullptr, &close) {
    std::error_code error;
    const std::filesystem::file_status status = std::filesystem::status(path, error);
    if (std::filesystem::is_directory(status)) fail_io(path, -1, "is a directory, not a file");
    if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
      fail_io(path, -1, "is not a regular file; pipes and devices cannot be read");
    file_.reset(std::fopen(path.c_str(), "rb"));
    if (!file_) fail_io(path, -1, "cannot be opened: ", last_system_error().message());
    remaining_ = static_cast<long long>(std::filesystem::file_size(path, error));
    if (error) fail_io(path, -1, "cannot be read: ", error.message());
  }

  const std::string& path() const { return path_; }
  long long position() const { return position_; }
  long long remaining() const { return remaining_; }

  /// Fails where the file ends before `what` does, which takes `count` bytes from here.
  void require(long long count, const char* what) const {
    if (count > remaining_)
      fail_io(path_, position_, "is truncated: ", what, " needs ", count, " bytes, ", remaining_, " are left");
  }

  void read(void* bytes, std::size_t count, const char* what) {
    require(static_cast<long long>(count), what);
    if (count > 0 && std::fread(bytes, 1, count, file_.get()) != count)
      fail_io(path_, position_,
              "cannot be read: ", std::ferror(file_.get()) ? last_system_error().message() : "it has become shorter");
    advance(static_cast<long long>(count));
  }

  /// Goes on at the byte `position` of the file, before or behind this one and not past the end.
  void move_to(long long position) {
    constexpr long long longest_step = 1 << 30;  // a long may have 32 bits
    while (position != position_) {
      const long long step = std::clamp(position - position_, -longest_step, longest_step);
      if (std::fseek(file_.get(), static_cast<long>(step), SEEK_CUR) != 0)
        fail_io(path_, position_, "cannot be read: ", last_system_error().message());
      advance(step);
    }
  }

 private:
  void advance(long long count) {
    position_ += count;
    remaining_ -= count;
  }

  static void close(std::FILE* file) { std::fclose(file); }

  std::string path_;
  std::unique_ptr<std::FILE, void (*)(std::FILE*)> file_;
  long long position_ = 0;
  long long remaining_ = 0;
};

/// A file written from its beginning to its end, whole or not at all: under another name first, which is gone where
/// something fails; `finish` gives it the name wanted.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path) : path_(path), partial_(path + ".partial") {
    std::error_code error;
    const std::filesystem::file_status status = std::filesystem::status(path_, error);
    // A rename would put a file in the place of a device such as /dev/null.
    if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
      fail_io(path_, -1, "cannot be written: it exists and is not a regular file");
    file_ = std::fopen(partial_.c_str(), "wb");
    if (file_ == nullptr) fail_io(path_, -1, "cannot be written: ", partial_, ": ", last_system_error().message());
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile() { discard(); }

  void write(const void* bytes, std::size_t count) {
    if (count > 0 && std::fwrite(bytes, 1, count, file_) != count) fail_with(last_system_error());
  }

  void finish() {
    std::error_code error;
    if (std::fclose(std::exchange(file_, nullptr)) != 0) error = last_system_error();
    if (!error) std::filesystem::rename(partial_, path_, error);
    if (error) fail_with(error);
    is_finished_ = true;
  }

 private:
  void discard() {
    if (is_finished_) return;
    if (file_ != nullptr) std::fclose(std::exchange(file_, nullptr));
    std::error_code ignored;
    std::filesystem::remove(partial_, ignored);
  }

  [[noreturn]] void fail_with(const std::error_code& error) {
    discard();  // here too, for where there are no exceptions
    fail_io(path_, -1, "cannot be written: ", error.message());
  }

  std::string path_;
  std::string partial_;
  std::FILE* file_ = nullptr;
  bool is_finished_ = false;
};

/// Writes the whole file or none.
inline void write_file(const std::string& path, const std::string& header, const void* data, std::size_t data_bytes) {
  OutputFile file(path);
  file.write(header.data(), header.size());
  file.write(data, data_bytes);
  file.finish();
}

/// Text from a file, fit for an error message: short, and printable ASCII only.
inline std::string printable(std::string text) {
  if (text.size() > 40) text = text.substr(0, 40) + "...";
  std::replace_if(
      text.begin(), text.end(), [](char letter) { return letter < ' ' || letter > '~'; }, '?');
  return text;
}

}  // namespace qaf::detail
