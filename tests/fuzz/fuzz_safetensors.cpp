// Any bytes as a safetensors file: its tensors or an IoError, nothing else.

#include <cstddef>
#include <cstdint>

#include <qaf/io/safetensors.hpp>

#include "memory_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const MemoryFile memory;
  memory.set(data, size);
  try {
    // What `list_safetensors` and `read_safetensors` do, but the header is read once and not once for every tensor.
    qaf::detail::InputFile file(memory.path());
    const qaf::detail::safetensors::Header header = qaf::detail::safetensors::read_header(file);
    for (const qaf::SafetensorsEntry& entry : header.entries) {
      try {
        qaf::detail::safetensors::read_tensor<double>(file, header, entry.name);
      } catch (const qaf::IoError&) {  // of another type
      }
    }
  } catch (const qaf::IoError&) {
  }
  return 0;
}
