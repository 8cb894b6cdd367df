#pragma once

#include <cstdio>
#include <cstdlib>
#include <locale>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace qaf {

/// A file that cannot be read or written as asked. The message already holds the path and, where a
/// position in the file is known, the byte offset; both are also here for a program to use.
class IoError : public std::runtime_error {
 public:
  /// `message`: the whole sentence. `offset`: -1 where no byte is known.
  IoError(const std::string& message, std::string path, long long offset)
      : std::runtime_error(message), path_(std::move(path)), offset_(offset) {}

  /// The file that was read or written.
  const std::string& path() const noexcept { return path_; }

  /// Byte offset in the file at which the trouble was seen, -1 where there is none.
  long long offset() const noexcept { return offset_; }

 private:
  std::string path_;
  long long offset_;
};

namespace detail {

/// The one place that raises an error: throws it, or prints its sentence and aborts where the
/// program was compiled without exceptions.
template <typename Error>
[[noreturn]] void raise(const Error& error) {
#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
  throw error;
#else
  std::fprintf(stderr, "%s\n", error.what());
  std::abort();
#endif
}

/// All arguments one after the other, as a stream prints them in the C locale.
template <typename... Parts>
std::string concatenate(const Parts&... parts) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  (text << ... << parts);
  return text.str();
}

/// A caller's mistake: `std::invalid_argument` with the sentence "qaf::function: ...".
template <typename... Parts>
[[noreturn]] void fail(const char* function, const Parts&... sentence) {
  raise(std::invalid_argument(concatenate("qaf::", function, ": ", sentence...)));
}

/// Trouble with a file: `IoError` with the sentence "path: ... (at byte offset)".
template <typename... Parts>
[[noreturn]] void fail_io(const std::string& path, long long offset, const Parts&... sentence) {
  std::string message = concatenate(path, ": ", sentence...);
  if (offset >= 0) message += concatenate(" (at byte ", offset, ")");
  raise(IoError(message, path, offset));
}

}  // namespace detail
}  // namespace qaf
