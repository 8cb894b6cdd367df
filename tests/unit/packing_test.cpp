#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <qaf/packing.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"

namespace {

using qaf::Index;
using qaf::Matrix;

template <typename Code>
Matrix<Code> random_codes(Index rows, Index cols, int bits) {
  std::mt19937_64 generator(static_cast<std::uint64_t>(bits));
  const int lowest = std::numeric_limits<Code>::is_signed ? -(1 << (bits - 1)) : 0;
  Matrix<Code> codes(rows, cols);
  for (Index k = 0; k < codes.size(); ++k)
    codes.data()[k] = static_cast<Code>(lowest + static_cast<int>(generator() % (std::uint64_t{1} << bits)));
  return codes;
}

}  // namespace

TEMPLATE_TEST_CASE("Codes come back from their packed form", "[packing]", std::int8_t, std::uint8_t, std::int16_t,
                   int) {
  for (int bits = 1; bits <= 8; ++bits) {
    for (const Index rows : {0, 1, 3, 8, 17}) {
      CAPTURE(bits, rows);
      const Matrix<TestType> codes = random_codes<TestType>(rows, 5, bits);
      const std::vector<std::uint8_t> bytes = qaf::pack_codes(codes, bits);
      CHECK(bytes.size() == static_cast<std::size_t>((rows * 5 * bits + 7) / 8));
      CHECK(qaf::unpack_codes<TestType>(bytes, rows, 5, bits) == codes);
    }
  }
}

TEST_CASE("Packed codes lie as documented", "[packing]") {
  Matrix<std::int8_t> codes(2, 2);
  codes << 1, -4, -1, 3;  // column after column: 001, 111, 100, 011
  CHECK(qaf::pack_codes(codes, 3) == std::vector<std::uint8_t>{0x39, 0x07});
  Matrix<std::uint8_t> nibbles(3, 1);
  nibbles << 0x1, 0xF, 0x8;
  CHECK(qaf::pack_codes(nibbles, 4) == std::vector<std::uint8_t>{0xF1, 0x08});
}

TEST_CASE("Codes and bytes that do not fit are told", "[packing]") {
  const Matrix<std::int8_t> codes = Matrix<std::int8_t>::Constant(2, 2, 4);
  CHECK_THROWS_WITH(qaf::pack_codes(codes, 3), "qaf::pack_codes: codes of 3 bits must be from -4 to 3, got 4");
  CHECK_THROWS_WITH(qaf::pack_codes(codes, 9), "qaf::pack_codes: bits must be from 1 to 8, got 9");
  CHECK_THROWS_WITH(qaf::pack_codes(Matrix<std::uint8_t>::Constant(1, 1, 4), 2),
                    "qaf::pack_codes: codes of 2 bits must be from 0 to 3, got 4");
  const std::vector<std::uint8_t> bytes = qaf::pack_codes(codes, 4);
  CHECK_THROWS_WITH(qaf::unpack_codes<std::int8_t>(bytes, 2, 3, 4),
                    "qaf::unpack_codes: 2 x 3 codes of 4 bits fill 3 bytes, got 2");
  CHECK_THROWS_WITH(qaf::unpack_codes<std::int8_t>(bytes, -2, -2, 4),
                    "qaf::unpack_codes: sizes must be 0 or more, got -2 x -2");
  const Index many = std::numeric_limits<Index>::max() / 4;
  CHECK_THROWS_WITH(qaf::unpack_codes<std::int8_t>({}, many, 8, 4),
                    "qaf::unpack_codes: " + std::to_string(many) + " x 8 codes are too many");
  CHECK_THROWS_WITH(qaf::unpack_codes<std::int8_t>({0xFF}, 1, 1, 3),
                    "qaf::unpack_codes: bits behind the last code must be 0");
}

TEST_CASE("The bytes of packed codes are counted without overflow", "[packing]") {
  constexpr Index most = std::numeric_limits<Index>::max();
  CHECK(qaf::detail::packed_size(most, 8) == static_cast<std::size_t>(most));
  CHECK(qaf::detail::packed_size(most, 4) == static_cast<std::size_t>(most / 2 + 1));
  CHECK(qaf::detail::packed_size(11, 3) == 5);
  CHECK(qaf::detail::packed_size(0, 3) == 0);
}
