#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

#include <qaf/detail/packets.hpp>
#include <qaf/error.hpp>
#include <qaf/quantizers/granularity.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// The entries of a group, one after the other in memory, and how far they reach. Owns nothing.
template <typename Scalar>
struct GroupValues {
  const Scalar* data;
  Index size;
  const Scalar* next;      // where the next group lies, for the memory to be ready
  Scalar lowest, highest;  // of the entries and 0

  Scalar largest() const { return std::max(highest, -lowest); }
  Eigen::Map<const Eigen::Array<Scalar, Eigen::Dynamic, 1>> array() const { return {data, size}; }
};

/// Looks how far values reach. Throws where one is not finite or beyond the range of float.
template <typename Scalar>
GroupValues<Scalar> look_at_values(const char* function, const Scalar* data, Index size, const Scalar* next) {
  using namespace Eigen::internal;
  using P = Packet<Scalar>;
  constexpr Index width = packet_size<Scalar>;
  P low = pset1<P>(Scalar(0)), high = low, low_2 = low, high_2 = low, odd = low;
  Index k = 0;
  for (; k + 2 * width <= size; k += 2 * width) {
    const P values = ploadu<P>(data + k), values_2 = ploadu<P>(data + k + width);
    low = pmin(low, values);
    high = pmax(high, values);
    low_2 = pmin(low_2, values_2);
    high_2 = pmax(high_2, values_2);
    odd = por(odd, por(psub(values, values), psub(values_2, values_2)));  // all 0 where values are finite
  }
  GroupValues<Scalar> group{data, size, next, predux_min(pmin(low, low_2)), predux_max(pmax(high, high_2))};
  Scalar rest = predux(odd);
  for (; k < size; ++k) {
    group.lowest = std::min(group.lowest, data[k]);
    group.highest = std::max(group.highest, data[k]);
    rest += data[k] - data[k];  // NOLINT(misc-redundant-expression): NaN for NaN and infinity
  }
  if (rest != 0) fail(function, "every entry must be finite, got NaN or infinity");
  if (static_cast<double>(group.largest()) > static_cast<double>(std::numeric_limits<float>::max()))
    fail(function, "values must be within the range of float, got one of magnitude ", group.largest());
  return group;
}

/// Calls `visit(k, group)` for the values of each group of a matrix, which are valid until it returns.
template <typename Scalar, typename Visit>
void visit_groups(const char* function, const Eigen::Ref<const Matrix<Scalar>>& matrix, const Groups& groups,
                  const Visit& visit) {
  const auto visit_one = [&](Index k, const Scalar* data, Index size, const Scalar* next) {
    visit(k, look_at_values(function, data, size, next));
  };
  const auto column = [&](Index r) { return matrix.data() + r * matrix.outerStride(); };
  switch (groups.granularity) {
    case Granularity::tensor: {
      Matrix<Scalar> dense;
      if (matrix.outerStride() != matrix.rows()) dense = matrix;
      const Scalar* const data = dense.size() > 0 ? dense.data() : matrix.data();
      visit_one(0, data, matrix.size(), data);
      break;
    }
    case Granularity::component:
      for (Index r = 0; r < matrix.cols(); ++r)
        visit_one(r, column(r), matrix.rows(), column(std::min(r + 1, matrix.cols() - 1)));
      break;
    case Granularity::row: {
      constexpr Index tile_size = 16;  // rows at a time, since the entries of one are far apart in memory
      std::vector<Scalar> tile(static_cast<std::size_t>(std::min(tile_size, matrix.rows()) * matrix.cols()));
      for (Index first = 0; first < matrix.rows(); first += tile_size) {
        const Index rows = std::min(tile_size, matrix.rows() - first);
        for (Index r = 0; r < matrix.cols(); ++r)
          for (Index i = 0; i < rows; ++i) tile.data()[i * matrix.cols() + r] = column(r)[first + i];
        for (Index i = 0; i < rows; ++i) {
          const Scalar* const row = tile.data() + i * matrix.cols();
          visit_one(first + i, row, matrix.cols(), row);
        }
      }
      break;
    }
    case Granularity::block:
      for (Index r = 0, k = 0; r < matrix.cols(); ++r)
        for (Index i = 0; i < matrix.rows(); i += groups.block_size, ++k)
          visit_one(k, column(r) + i, std::min(groups.block_size, matrix.rows() - i), column(r) + i);
      break;
  }
}

}  // namespace qaf::detail
