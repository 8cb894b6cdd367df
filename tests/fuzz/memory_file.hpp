#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <unistd.h>

#include <sys/mman.h>

/// A file in memory that readers can open by its path (Linux).
class MemoryFile {
 public:
  MemoryFile() : descriptor_(memfd_create("fuzz", 0)), path_("/proc/self/fd/" + std::to_string(descriptor_)) {
    if (descriptor_ < 0) std::abort();
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(descriptor_); }

  const std::string& path() const { return path_; }

  void set(const std::uint8_t* bytes, std::size_t count) const {
    if (ftruncate(descriptor_, 0) != 0 || pwrite(descriptor_, bytes, count, 0) != static_cast<ssize_t>(count))
      std::abort();
  }

 private:
  int descriptor_;
  std::string path_;
};
