// Any bytes as a .npy file: an array or an IoError, nothing else.

#include <cstddef>
#include <cstdint>
#include <string>

#include <qaf/io/npy.hpp>

#include "memory_file.hpp"

namespace {

template <typename Scalar>
void read(const std::string& path) {
  try {
    const auto array = qaf::read_npy<Scalar>(path);
    double sum = 0;
    for (qaf::Index k = 0; k < array.size(); ++k) sum += static_cast<double>(array.data()[k]);
    static_cast<void>(sum);
  } catch (const qaf::IoError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const MemoryFile file;
  file.set(data, size);
  if (size % 2 == 0)
    read<double>(file.path());
  else
    read<std::int64_t>(file.path());
  return 0;
}
