// Any bytes as a file of quantized models: models whose parts fit together, or an error.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>

#include <qaf/io/model_file.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/quantizers/any.hpp>

#include "memory_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const MemoryFile file;
  file.set(data, size);
  try {
    for (const auto& model : qaf::list_quantized_models(file.path())) {
      try {
        const auto read = qaf::read_quantized_model<float, qaf::AnyQuantizer>(file.path(), model);
        // What has been read decodes: no further error is allowed.
        if (qaf::decode(read).rank() != read.rank()) std::abort();
      } catch (const qaf::IoError&) {
      }
    }
  } catch (const qaf::IoError&) {
  }
  return 0;
}
