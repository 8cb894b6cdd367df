#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <qaf/error.hpp>
#include <qaf/types.hpp>

namespace qaf {
namespace detail {

inline void check_packed_bits(const char* function, int bits) {
  if (bits < 1 || bits > 8) fail(function, "bits must be from 1 to 8, got ", bits);
}

/// Bytes of so many codes; the last may be filled in part.
inline std::size_t packed_size(Index count, int bits) {
  const std::size_t codes = static_cast<std::size_t>(count), bits_each = static_cast<std::size_t>(bits);
  return codes / 8 * bits_each + (codes % 8 * bits_each + 7) / 8;  // no product is larger than the result
}

}  // namespace detail

/// The codes of a matrix in `bits` bits each (1 to 8), one after the other without gaps, column after column: code k
/// takes the bits from `k bits` to `k bits + bits - 1`, the least significant first, where bit j is bit `j % 8` of byte
/// `j / 8`. Negative codes are in two's complement. Unused bits of the last byte are 0. Errors: bits out of range, a
/// code that does not fit.
template <typename Derived>
std::vector<std::uint8_t> pack_codes(const Eigen::DenseBase<Derived>& matrix, int bits) {
  using Code = typename Derived::Scalar;
  static_assert(std::numeric_limits<Code>::is_integer, "qaf: only integer codes can be packed");
  detail::check_packed_bits("pack_codes", bits);
  const int lowest = std::numeric_limits<Code>::is_signed ? -(1 << (bits - 1)) : 0;
  const int highest = lowest + (1 << bits) - 1;
  std::vector<std::uint8_t> bytes;
  bytes.reserve(detail::packed_size(matrix.size(), bits));
  unsigned pending = 0;
  int pending_bits = 0;
  const Matrix<Code> codes = matrix;
  for (Index k = 0; k < codes.size(); ++k) {
    const Code code = codes.data()[k];
    if (code < static_cast<Code>(lowest) || code > static_cast<Code>(highest))
      detail::fail("pack_codes", "codes of ", bits, " bits must be from ", lowest, " to ", highest, ", got ", +code);
    pending |= (static_cast<unsigned>(code) & ((1U << bits) - 1)) << pending_bits;
    pending_bits += bits;
    if (pending_bits < 8) continue;
    bytes.push_back(static_cast<std::uint8_t>(pending & 0xFF));
    pending >>= 8;
    pending_bits -= 8;
  }
  if (pending_bits > 0) bytes.push_back(static_cast<std::uint8_t>(pending));
  return bytes;
}

/// The codes (`rows x cols`) that `pack_codes` packed. Errors: bits out of range, a negative size, another number of
/// bytes than codes of this number fill, bits set behind the last code.
template <typename Code>
Matrix<Code> unpack_codes(const std::vector<std::uint8_t>& bytes, Index rows, Index cols, int bits) {
  static_assert(std::numeric_limits<Code>::is_integer, "qaf: only integer codes can be packed");
  detail::check_packed_bits("unpack_codes", bits);
  if (rows < 0 || cols < 0) detail::fail("unpack_codes", "sizes must be 0 or more, got ", rows, " x ", cols);
  if (cols > 0 && rows > std::numeric_limits<Index>::max() / 8 / cols)
    detail::fail("unpack_codes", rows, " x ", cols, " codes are too many");
  const std::size_t expected = detail::packed_size(rows * cols, bits);
  if (bytes.size() != expected)
    detail::fail("unpack_codes", rows, " x ", cols, " codes of ", bits, " bits fill ", expected, " bytes, got ",
                 bytes.size());
  Matrix<Code> codes(rows, cols);
  unsigned pending = 0;
  int pending_bits = 0;
  std::size_t next = 0;
  for (Index k = 0; k < codes.size(); ++k) {
    if (pending_bits < bits) {
      pending |= static_cast<unsigned>(bytes[next++]) << pending_bits;
      pending_bits += 8;
    }
    int code = static_cast<int>(pending & ((1U << bits) - 1));
    if (std::numeric_limits<Code>::is_signed && code >= 1 << (bits - 1)) code -= 1 << bits;
    codes.data()[k] = static_cast<Code>(code);
    pending >>= bits;
    pending_bits -= bits;
  }
  if (pending != 0) detail::fail("unpack_codes", "bits behind the last code must be 0");
  return codes;
}

}  // namespace qaf
