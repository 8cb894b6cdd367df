#pragma once

#include <cstddef>
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

/// `out = sum_j a_j b_j`, or `out += ...`, for a constant number of blocks a_j of `rows` rows, each of which is
/// multiplied with the row b_j. From a block to the next one there are `stride` scalars.
template <int count, typename Scalar>
void sum_of_few_blocks(const Scalar* a, Index stride, const Scalar* b, Index width, Index rows, bool add, Scalar* out) {
  for_each_part<Scalar>(width, [&](auto registers, Index begin) {
    Registers<Scalar, registers> factors[static_cast<std::size_t>(count)], row, sum;
    unroll<count>([&](auto j) { factors[j].load(b + j * width + begin); });
    for (Index place = begin; place < rows * width; place += width) {
      if (add)
        sum.load(out + place);
      else
        sum.set_zero();
      unroll<count>([&](auto j) {
        row.load(a + j * stride + place);
        sum.add_product(row, factors[j]);
      });
      sum.store(out + place);
    }
  });
}

/// `out_k = a_k b` for `rows` rows and one row b.
template <typename Scalar>
void multiply_by_row(const Scalar* a, const Scalar* b, Index width, Index rows, Scalar* out) {
  sum_of_few_blocks<1>(a, 0, b, width, rows, false, out);
}

/// `out = sum_j a_j b_j`, or `out += ...`, for `count` blocks a_j.
template <typename Scalar>
void sum_of_blocks(const Scalar* a, Index stride, const Scalar* b, Index count, Index width, Index rows, bool add,
                   Scalar* out) {
  // A few blocks at a time where the sums are more than the first cache holds beside what is read: they are written
  // and read again less often.
  constexpr Index most_held = Index{1} << 14;  // bytes
  constexpr int few = 4;
  const bool by_few = rows * width * static_cast<Index>(sizeof(Scalar)) > most_held;
  Index j = 0;
  for (; by_few && j + few <= count; j += few)
    sum_of_few_blocks<few>(a + j * stride, stride, b + j * width, width, rows, add || j > 0, out);
  for (; j < count; ++j) sum_of_few_blocks<1>(a + j * stride, stride, b + j * width, width, rows, add || j > 0, out);
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
