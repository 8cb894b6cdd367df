#pragma once

#include <algorithm>
#include <cstddef>

#include <qaf/detail/packets.hpp>
#include <qaf/types.hpp>

// A register as a template argument: that its attributes are ignored there does no harm.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"
#endif

namespace qaf::detail {

/// `to = factor from^T` of column-major matrices in memory: `from` is `rows x cols`. Squares of registers are
/// transposed in registers, and blocks of them are small enough for both matrices to stay in the first cache. Cost: one
/// pass.
template <typename Scalar>
void transpose(const Scalar* from, Index from_stride, Index rows, Index cols, Scalar* to, Index to_stride,
               Scalar factor = 1) {
  using namespace Eigen::internal;
  constexpr int size = static_cast<int>(packet_size<Scalar>);
  constexpr Index block = 32 / size * size + (size > 32 ? size : 0);
  using Register = Packet<Scalar>;
  const Register factors = pset1<Register>(factor);
  const Index whole_rows = rows / size * size, whole_cols = cols / size * size;
  for (Index first = 0; first < whole_rows; first += block) {
    for (Index j = 0; j < whole_cols; j += size) {
      for (Index i = first; i < std::min(first + block, whole_rows); i += size) {
        PacketBlock<Register, size> square;
        unroll<size>([&](auto k) { square.packet[k] = ploadu<Register>(from + (j + k) * from_stride + i); });
        ptranspose(square);
        unroll<size>([&](auto k) { pstoreu(to + (i + k) * to_stride + j, pmul(factors, square.packet[k])); });
      }
    }
  }
  // What is left at the right and below.
  for (Index i = 0; i < rows; ++i)
    for (Index j = i < whole_rows ? whole_cols : 0; j < cols; ++j)
      to[i * to_stride + j] = factor * from[j * from_stride + i];
}

}  // namespace qaf::detail

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
