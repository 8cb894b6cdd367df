#pragma once

#include <array>
#include <cstddef>

#include <qaf/quantizers/detail/group_batch.hpp>
#include <qaf/quantizers/detail/group_values.hpp>
#include <qaf/quantizers/detail/scale_candidate.hpp>
#include <qaf/quantizers/detail/scale_search.hpp>
#include <qaf/quantizers/granularity.hpp>
#include <qaf/quantizers/scale_method.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// The scales of the groups of a matrix. `end`: the number of scales that the largest magnitude of a group is where it
/// decides. `to_scale(scale)` makes a scale that can be stored from one that is wanted, and from 0 that of zeros.
template <typename Scalar, typename Nearest, typename ToScale>
Vector<float> fit_scales(const char* function, const Eigen::Ref<const Matrix<Scalar>>& matrix, const Groups& groups,
                         const Nearest& nearest, double end, ScaleMethod method, double percentile,
                         const ToScale& to_scale) {
  Vector<float> scales(groups.count());
  GroupBatch<Scalar> batch;
  std::array<Index, packet_size<Scalar>> numbers{};  // of the groups of the batch
  std::array<double, packet_size<Scalar>> units{};
  const auto fit_batch = [&] {
    if (batch.count() == 0) return;
    const auto found = batch.scales(nearest);
    for (std::size_t k = 0; k < static_cast<std::size_t>(batch.count()); ++k)
      scales[numbers[k]] = to_scale(units[k] * static_cast<double>(found[k]));
    batch.clear();
  };
  visit_groups<Scalar>(function, matrix, groups, [&](Index k, const GroupValues<Scalar>& group) {
    const double largest = static_cast<double>(group.largest()), unit = largest * (1 / end);
    if (largest == 0) {
      scales[k] = to_scale(0);
    } else if (method == ScaleMethod::percentile) {
      const double share = static_cast<double>(percentile_of<Scalar>(group.array().abs(), percentile)) / largest;
      scales[k] = to_scale(share > 0 ? share * unit : unit);
    } else if (!is_searched(method, unit)) {
      scales[k] = to_scale(unit);
    } else if (method == ScaleMethod::least_squares && group.size <= tiny_group) {
      if (batch.is_full() || batch.size() != group.size) fit_batch();
      numbers[static_cast<std::size_t>(batch.count())] = k;
      units[static_cast<std::size_t>(batch.count())] = unit;
      batch.add(group, unit, least_scale(group, nearest, unit));
    } else {
      const ScaleCandidate best = ScaleSearch<Scalar, Nearest>(group, method)(nearest, unit);
      scales[k] = to_scale(unit * (best.scale > 0 ? best.scale : 1));
    }
  });
  fit_batch();
  return scales;
}

}  // namespace qaf::detail
