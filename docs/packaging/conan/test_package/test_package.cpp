#include <cstdint>
#include <cstdio>

#include <qaf/packing.hpp>
#include <qaf/version.hpp>

// Run by `conan create`, after it has made the package.
int main() {
  qaf::Matrix<std::int8_t> codes(3, 2);
  codes << -8, 7, 0, 1, -1, 3;
  const auto bytes = qaf::pack_codes(codes, 4);
  std::printf("qaf %s: %d codes in %d bytes\n", QAF_VERSION, static_cast<int>(codes.size()),
              static_cast<int>(bytes.size()));
  return bytes.size() == 3 && qaf::unpack_codes<std::int8_t>(bytes, 3, 2, 4) == codes ? 0 : 1;
}
