#pragma once

#include <cmath>
#include <optional>
#include <type_traits>

#include <qaf/quantizers/detail/binned_group_scale.hpp>
#include <qaf/quantizers/detail/exact_scale.hpp>
#include <qaf/quantizers/detail/grid_scale.hpp>
#include <qaf/quantizers/detail/group_sample.hpp>
#include <qaf/quantizers/detail/group_values.hpp>
#include <qaf/quantizers/detail/long_group_scale.hpp>
#include <qaf/quantizers/detail/nearest_level.hpp>
#include <qaf/quantizers/detail/scale_candidate.hpp>
#include <qaf/quantizers/detail/short_group_scale.hpp>
#include <qaf/quantizers/scale_method.hpp>

namespace qaf::detail {

/// Whether a method searches among scales about this one. Not about those so small that their inverses overflow.
inline bool is_searched(ScaleMethod method, double unit) {
  const bool searches =
      method == ScaleMethod::grid || method == ScaleMethod::least_squares || method == ScaleMethod::exact;
  return searches && unit > 1e-30;
}

/// Searches for the scale of least error of a group, which outlives it.
template <typename Scalar, typename Nearest>
class ScaleSearch {
 public:
  ScaleSearch(const GroupValues<Scalar>& group, ScaleMethod method) : group_(group), method_(method) {
    if (!has_table && method != ScaleMethod::grid && group.size > short_group) sample_ = sample_group(group);
  }

  /// In units.
  ScaleCandidate operator()(const Nearest& nearest, double unit) const {
    if (method_ == ScaleMethod::grid) return grid_scale(group_, nearest, unit);
    const ScaleCandidate good = good_scale(nearest, unit);
    return method_ == ScaleMethod::exact ? exact_scale(group_, nearest, unit, good) : good;
  }

 private:
  static constexpr bool has_table = std::is_same_v<Nearest, NearestLevel<Scalar>>;

  ScaleCandidate good_scale(const Nearest& nearest, double unit) const {
    if constexpr (has_table) {
      const bool has_bins = std::isfinite(group_.highest - group_.lowest);
      if (group_.size > few_for_table && has_bins) return binned_group_scale(group_, nearest, unit);
    } else {
      if (sample_) return long_group_scale(group_, *sample_, nearest, unit);
    }
    return short_group_scale(group_, nearest, unit);
  }

  const GroupValues<Scalar>& group_;
  ScaleMethod method_;
  std::optional<GroupSample<Scalar>> sample_;
};

}  // namespace qaf::detail
