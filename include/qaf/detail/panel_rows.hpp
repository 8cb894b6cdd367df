#pragma once

#include <algorithm>
#include <type_traits>

#include <qaf/detail/packets.hpp>
#include <qaf/detail/registers.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

// Rows of panels times rows of panels, component by component. A row is `width` components, a multiple of a register;
// one row follows the other in memory; all are aligned.

/// Calls `body(registers, first component)` for parts of a row that fit a few registers, their number as a constant.
template <typename Scalar, typename Body>
void for_each_part(Index width, const Body& body) {
  constexpr Index size = packet_size<Scalar>, most = 3;
  Index begin = 0;
  for (; begin + most * size <= width; begin += most * size) body(std::integral_constant<int, 3>(), begin);
  if (width - begin == size) body(std::integral_constant<int, 1>(), begin);
  if (width - begin == 2 * size) body(std::integral_constant<int, 2>(), begin);
}

/// `out = a b`.
template <typename Scalar>
void multiply_rows(const Scalar* a, const Scalar* b, Index width, Scalar* out) {
  for (Index r = 0; r < width; r += packet_size<Scalar>) {
    Registers<Scalar, 1> row, factor;
    row.load(a + r);
    factor.load(b + r);
    row.multiply(factor);
    row.store(out + r);
  }
}

/// `out_k = a_k b`, or `out_k += a_k b`, for `rows` rows and one row b.
template <typename Scalar>
void multiply_by_row(const Scalar* a, const Scalar* b, Index width, Index rows, bool add, Scalar* out) {
  for_each_part<Scalar>(width, [&](auto registers, Index begin) {
    Registers<Scalar, registers> factor, row, sum;
    factor.load(b + begin);
    for (Index place = begin; place < rows * width; place += width) {
      row.load(a + place);
      if (add)
        sum.load(out + place);
      else
        sum.set_zero();
      sum.add_product(row, factor);
      sum.store(out + place);
    }
  });
}

/// `out = c sum_k a_k b_k`, or `out += ...`, over `rows` rows; without c where that is null.
template <typename Scalar>
void sum_of_products(const Scalar* a, const Scalar* b, Index width, Index rows, const Scalar* c, bool add,
                     Scalar* out) {
  for_each_part<Scalar>(width, [&](auto registers, Index begin) {
    Registers<Scalar, registers> sum, row, other;
    sum.set_zero();
    for (Index place = begin; place < rows * width; place += width) {
      row.load(a + place);
      other.load(b + place);
      sum.add_product(row, other);
    }
    if (c != nullptr) {
      other.load(c + begin);
      sum.multiply(other);
    }
    if (add) {
      row.load(out + begin);
      sum.add(row);
    }
    sum.store(out + begin);
  });
}

}  // namespace qaf::detail
