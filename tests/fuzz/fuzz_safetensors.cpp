// Any bytes as a safetensors file: its tensors or an IoError, nothing else.

#include <cstddef>
#include <cstdint>

#include <qaf/io/safetensors.hpp>

#include "memory_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const MemoryFile file;
  file.set(data, size);
  try {
    qaf::read_safetensors_metadata(file.path());
    for (const qaf::SafetensorsEntry& entry : qaf::list_safetensors(file.path())) {
      try {
        qaf::read_safetensors<double>(file.path(), entry.name);
      } catch (const qaf::IoError&) {  // of another type
      }
    }
  } catch (const qaf::IoError&) {
  }
  return 0;
}
