#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "support/catch.hpp"

namespace support {

/// A new file with these bytes, gone at the end of the scope.
class File {
 public:
  explicit File(const std::string& bytes) : File() {
    std::ofstream file(path_, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    REQUIRE(file.good());
  }
  /// No file yet, only the place for one.
  File()
      : path_(std::filesystem::temp_directory_path() /
              ("qaf-" + std::to_string(std::random_device()()) + ".safetensors")) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }

  std::string path() const { return path_.string(); }
  bool exists() const { return std::filesystem::exists(path_); }

  std::string bytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

 private:
  std::filesystem::path path_;
};

/// The number in `count` bytes, the least significant one first.
inline std::string little_endian(std::uint64_t number, int count) {
  std::string bytes;
  for (int k = 0; k < count; ++k) bytes += static_cast<char>(number >> (8 * k) & 0xff);
  return bytes;
}

inline std::string file_bytes(const std::string& header, const std::string& data) {
  return little_endian(header.size(), 8) + header + data;
}

}  // namespace support
