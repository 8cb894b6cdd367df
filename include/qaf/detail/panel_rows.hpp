#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include <qaf/detail/packets.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

// Rows of panels times rows of panels, component by component. A row is `width` components, a multiple of a register;
// one row follows the other in memory unless a stride is given; all are aligned.

/// A row of a few registers.
template <typename Scalar, int registers>
class RowOfRegisters {
 public:
  explicit RowOfRegisters(const Scalar* source) {
    unroll<registers>(
        [&](auto v) { values_[v] = Eigen::internal::pload<Packet<Scalar>>(source + v * packet_size<Scalar>); });
  }

  void store(Scalar* target) const {
    unroll<registers>([&](auto v) { Eigen::internal::pstore(target + v * packet_size<Scalar>, values_[v]); });
  }

  RowOfRegisters times(Scalar factor) const {
    RowOfRegisters result = *this;
    const auto factors = Eigen::internal::pset1<Packet<Scalar>>(factor);
    unroll<registers>([&](auto v) { result.values_[v] = Eigen::internal::pmul(values_[v], factors); });
    return result;
  }

  /// `this + factor row`.
  RowOfRegisters plus(Scalar factor, const RowOfRegisters& row) const {
    RowOfRegisters result = *this;
    const auto factors = Eigen::internal::pset1<Packet<Scalar>>(factor);
    unroll<registers>([&](auto v) { result.values_[v] = Eigen::internal::pmadd(factors, row.values_[v], values_[v]); });
    return result;
  }

 private:
  Packet<Scalar> values_[static_cast<std::size_t>(registers)];
};

/// `out = a b`.
template <typename Scalar>
void multiply_rows(const Scalar* a, const Scalar* b, Index width, Scalar* out) {
  using namespace Eigen::internal;
  for (Index r = 0; r < width; r += packet_size<Scalar>)
    pstore(out + r, pmul(pload<Packet<Scalar>>(a + r), pload<Packet<Scalar>>(b + r)));
}

/// Calls `body(registers, first component)` for parts of a row that fit a few registers, their number as a constant.
template <typename Scalar, typename Body>
void for_each_part(Index width, const Body& body) {
  constexpr Index size = packet_size<Scalar>;
  for (Index begin = 0; begin < width;) {
    const Index registers = std::min<Index>((width - begin) / size, 3);
    switch (registers) {
      case 1:
        body(std::integral_constant<int, 1>(), begin);
        break;
      case 2:
        body(std::integral_constant<int, 2>(), begin);
        break;
      default:
        body(std::integral_constant<int, 3>(), begin);
    }
    begin += registers * size;
  }
}

/// `out_k = a_k b`, or `out_k += a_k b`, for `rows` rows and one row b.
template <typename Scalar>
void multiply_by_row(const Scalar* a, const Scalar* b, Index width, Index rows, bool add, Scalar* out) {
  using namespace Eigen::internal;
  using Register = Packet<Scalar>;
  for_each_part<Scalar>(width, [&](auto registers, Index begin) {
    Register row[std::size_t{registers}];
    unroll<registers>([&](auto v) { row[v] = pload<Register>(b + begin + v * packet_size<Scalar>); });
    for (Index k = 0; k < rows; ++k) {
      unroll<registers>([&](auto v) {
        const Index place = k * width + begin + v * packet_size<Scalar>;
        const Register entry = pload<Register>(a + place);
        pstore(out + place, add ? pmadd(entry, row[v], pload<Register>(out + place)) : pmul(entry, row[v]));
      });
    }
  });
}

/// `out = c sum_k a_k b_k`, or `out += ...`, over `rows` rows; without c where that is null.
template <typename Scalar>
void sum_of_products(const Scalar* a, const Scalar* b, Index width, Index rows, const Scalar* c, bool add,
                     Scalar* out) {
  using namespace Eigen::internal;
  using Register = Packet<Scalar>;
  for_each_part<Scalar>(width, [&](auto registers, Index begin) {
    Register sums[std::size_t{registers}];
    unroll<registers>([&](auto v) { sums[v] = pset1<Register>(Scalar(0)); });
    for (Index k = 0; k < rows; ++k) {
      unroll<registers>([&](auto v) {
        const Index place = k * width + begin + v * packet_size<Scalar>;
        sums[v] = pmadd(pload<Register>(a + place), pload<Register>(b + place), sums[v]);
      });
    }
    unroll<registers>([&](auto v) {
      const Index place = begin + v * packet_size<Scalar>;
      if (c != nullptr) sums[v] = pmul(sums[v], pload<Register>(c + place));
      pstore(out + place, add ? padd(pload<Register>(out + place), sums[v]) : sums[v]);
    });
  });
}

}  // namespace qaf::detail
