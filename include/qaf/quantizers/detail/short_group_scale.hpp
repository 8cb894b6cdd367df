#pragma once

#include <algorithm>

#include <qaf/quantizers/detail/group_values.hpp>
#include <qaf/quantizers/detail/scale_candidate.hpp>
#include <qaf/quantizers/detail/scale_sums.hpp>

namespace qaf::detail {

/// The best of 16 evenly spaced scales, each improved for the levels it gives.
template <typename Scalar, typename Nearest>
ScaleCandidate best_improved(const GroupValues<Scalar>& group, const Nearest& nearest, double unit, double first,
                             double step) {
  Lanes<Scalar> scales;
  for (int k = 0; k < lanes; ++k)
    scales[k] = static_cast<Scalar>(first) + static_cast<Scalar>(step) * static_cast<Scalar>(k);
  const Lanes<Scalar> inverse = static_cast<Scalar>(1 / unit) / scales;
  const auto sums = sums_of_lanes<true>(group.data, group.size, nearest, inverse);
  const Lanes<Scalar> gain = sums.gain();
  return best_of_lanes<Scalar>(scales * (1 + gain), (sums.rest - sums.match * gain) * scales.square());
}

/// The best of 16 scales, and of 16 about the best of those.
template <typename Scalar, typename Nearest>
ScaleCandidate short_group_scale(const GroupValues<Scalar>& group, const Nearest& nearest, double unit) {
  const double least = least_scale(group, nearest, unit);
  const double step = (most_scale(nearest) - least) / (lanes - 1);
  ScaleCandidate best = best_improved(group, nearest, unit, least, step);
  const double reach = 1.5 * step, first = std::max(best.scale - reach, least / 2);
  keep_better(best_improved(group, nearest, unit, first, 2 * reach / (lanes - 1)), best);
  return best;
}

}  // namespace qaf::detail
