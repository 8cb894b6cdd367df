#pragma once

#include <algorithm>

#include <qaf/quantizers/detail/group_values.hpp>
#include <qaf/quantizers/detail/scale_candidate.hpp>
#include <qaf/quantizers/detail/scale_sums.hpp>

namespace qaf::detail {

/// The best of 200 scales from 0.2 to 1.2 units, as in the code of Cherniuk et al. 2023.
template <typename Scalar, typename Nearest>
ScaleCandidate grid_scale(const GroupValues<Scalar>& group, const Nearest& nearest, double unit) {
  constexpr int count = 200;
  ScaleCandidate best;
  for (int begin = 0; begin < count; begin += lanes) {
    Lanes<Scalar> scales;
    for (int k = 0; k < lanes; ++k)
      scales[k] = static_cast<Scalar>(0.2 + static_cast<double>(std::min(begin + k, count - 1)) / (count - 1));
    const Lanes<Scalar> inverse = static_cast<Scalar>(1 / unit) / scales;
    const auto sums = sums_of_lanes<false>(group.data, group.size, nearest, inverse);
    keep_better(best_of_lanes<Scalar>(scales, sums.rest * scales.square()), best);
  }
  return best;
}

}  // namespace qaf::detail
