#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <qaf/detail/packets.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// The nearest integers of a range, for values that are scalars or packets of them.
template <typename Scalar>
struct NearestInteger {
  Scalar lowest, highest;

  template <typename P>
  P operator()(const P& values) const {
    using namespace Eigen::internal;
    return rounded_packet<Scalar>(pmin(pmax(values, pset1<P>(lowest)), pset1<P>(highest)));
  }

  /// How far a value between the lowest and the highest may be from the nearest.
  Scalar half_gap() const { return Scalar(0.5); }
  /// How many there are.
  Index count() const { return static_cast<Index>(highest - lowest) + 1; }
  /// Number k of them, ascending.
  double level(Index k) const { return static_cast<double>(lowest) + static_cast<double>(k); }
};

/// The nearest levels of an ascending table, with the members of `NearestInteger`.
template <typename Scalar>
struct NearestLevel {
  std::vector<Scalar> midpoints, steps;  // between a level and the next
  std::vector<float> levels;
  Scalar lowest, highest;

  explicit NearestLevel(const std::vector<float>& table)
      : levels(table), lowest(static_cast<Scalar>(table.front())), highest(static_cast<Scalar>(table.back())) {
    for (std::size_t k = 1; k < table.size(); ++k) {
      const Scalar low = static_cast<Scalar>(table[k - 1]), high = static_cast<Scalar>(table[k]);
      midpoints.push_back((low + high) / 2);
      steps.push_back(high - low);
    }
  }

  template <typename P>
  P operator()(const P& values) const {
    using namespace Eigen::internal;
    P result = pset1<P>(lowest);
    for (std::size_t k = 0; k < steps.size(); ++k)
      result = padd(result, pand(pcmp_lt(pset1<P>(midpoints[k]), values), pset1<P>(steps[k])));
    return result;
  }

  Scalar half_gap() const { return *std::max_element(steps.begin(), steps.end()) / 2; }
  Index count() const { return static_cast<Index>(levels.size()); }
  double level(Index k) const { return static_cast<double>(levels[static_cast<std::size_t>(k)]); }
};

}  // namespace qaf::detail
