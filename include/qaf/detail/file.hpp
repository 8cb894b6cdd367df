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
#include <vector>

#include <qaf/error.hpp>

namespace qaf::detail {

inline bool host_is_big_endian() {
  const std::uint16_t one = 1;
  unsigned char first_byte;
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
    position_ += static_cast<long long>(count);
    remaining_ -= static_cast<long long>(count);
  }

 private:
  static void close(std::FILE* file) { std::fclose(file); }

  std::string path_;
  std::unique_ptr<std::FILE, void (*)(std::FILE*)> file_;
  long long position_ = 0;
  long long remaining_ = 0;
};

/// Writes the whole file or none: under another name first, the name wanted being given at the end.
inline void write_file(const std::string& path, const std::string& header, const void* data, std::size_t data_bytes) {
  const std::string partial = path + ".partial";
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  // A rename would put a file in the place of a device such as /dev/null.
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    fail_io(path, -1, "cannot be written: it exists and is not a regular file");
  std::FILE* const file = std::fopen(partial.c_str(), "wb");
  if (file == nullptr) fail_io(path, -1, "cannot be written: ", partial, ": ", last_system_error().message());

  error.clear();
  const bool complete = std::fwrite(header.data(), 1, header.size(), file) == header.size() &&
                        (data_bytes == 0 || std::fwrite(data, 1, data_bytes, file) == data_bytes);
  if (!complete) error = last_system_error();
  if (std::fclose(file) != 0 && !error) error = last_system_error();
  if (!error) std::filesystem::rename(partial, path, error);
  if (!error) return;
  std::error_code ignored;
  std::filesystem::remove(partial, ignored);
  fail_io(path, -1, "cannot be written: ", error.message());
}

/// Text from a file, fit for an error message: short, and printable ASCII only.
inline std::string printable(std::string text) {
  if (text.size() > 40) text = text.substr(0, 40) + "...";
  std::replace_if(
      text.begin(), text.end(), [](char letter) { return letter < ' ' || letter > '~'; }, '?');
  return text;
}

}  // namespace qaf::detail
