#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include <qaf/detail/packets.hpp>
#include <qaf/quantizers/detail/group_values.hpp>
#include <qaf/quantizers/detail/scale_sums.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

// Wanted is the scale s of least squared error `sum_i (x_i - s level_i)^2`, where level_i is the level nearest to
// `x_i / s`. Scales are counted in units, one of which maps the largest magnitude to the end of the levels, so that
// squares neither overflow nor vanish.

/// A scale in units, and its squared error in squares of the unit.
struct ScaleCandidate {
  double scale = 1;
  double error = std::numeric_limits<double>::infinity();
};

inline void keep_better(const ScaleCandidate& other, ScaleCandidate& best) {
  if (other.error < best.error) best = other;
}

/// The best scale for the levels that a scale gives.
inline ScaleCandidate improved(double scale, const ScaleSums<double>& sums) {
  const double gain = sums.gain();
  return {scale * (1 + gain), (sums.rest - sums.match * gain) * scale * scale};
}

/// Of some scales and their errors the one with the least; of equals the largest.
template <typename Scalar>
ScaleCandidate best_of_lanes(const Lanes<Scalar>& scales, const Lanes<Scalar>& errors) {
  using namespace Eigen::internal;
  using P = Packet<Scalar>;
  constexpr Index width = packet_size<Scalar>;
  P least = ploadu<P>(errors.data());
  for (Index k = width; k < lanes; k += width) least = pmin(least, ploadu<P>(errors.data() + k));
  const Scalar error = predux_min(least);
  P scale = pset1<P>(Scalar(0));
  for (Index k = 0; k < lanes; k += width)
    scale = pmax(scale, pand(pcmp_eq(ploadu<P>(errors.data() + k), pset1<P>(error)), ploadu<P>(scales.data() + k)));
  return {static_cast<double>(predux_max(scale)), static_cast<double>(error)};
}

/// The least scale worth trying, in units: 0.2, or more where below the farthest entry alone is clipped by more than
/// rounding all entries leaves at scale 1.
template <typename Scalar, typename Nearest>
double least_scale(const GroupValues<Scalar>& group, const Nearest& nearest, double unit) {
  const double low = static_cast<double>(group.lowest) / unit, high = static_cast<double>(group.highest) / unit;
  const double lowest = static_cast<double>(nearest.lowest), highest = static_cast<double>(nearest.highest);
  const double farthest = std::max({static_cast<double>(nearest.half_gap()), high - highest, lowest - low});
  const double error = std::sqrt(static_cast<double>(group.size)) * farthest;  // of scale 1, at most
  double least = 0.2;
  if (highest > 0) least = std::max(least, (high - error) / highest);
  if (lowest < 0) least = std::max(least, (low + error) / lowest);
  return least;
}

/// The largest scale worth trying in short groups, in units: at few bits the best choice for a few entries may be to
/// give up the outer levels. With more levels finer steps gain more.
template <typename Nearest>
double most_scale(const Nearest& nearest) {
  return nearest.count() <= 16 ? 1.8 : 1.4;
}

}  // namespace qaf::detail
