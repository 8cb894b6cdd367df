#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <qaf/quantizers/detail/group_values.hpp>
#include <qaf/quantizers/detail/nearest_level.hpp>
#include <qaf/quantizers/detail/scale_candidate.hpp>
#include <qaf/quantizers/detail/scale_sums.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// How many entries of a group lie below a value, and their sum: by bins, evenly within each.
template <typename Scalar>
class BinnedGroup {
 public:
  explicit BinnedGroup(const GroupValues<Scalar>& group)
      : lowest_(group.lowest),
        per_value_(static_cast<Scalar>(bins) / (group.highest - group.lowest)),
        below_(bins + 1) {
    constexpr Index batch = 512;
    Eigen::Array<std::int32_t, batch, 1> bin;
    for (Index begin = 0; begin < group.size; begin += batch) {
      const Index size = std::min(batch, group.size - begin);
      const Scalar* const values = group.data + begin;
      for (Index k = 0; k < size; ++k)
        bin.data()[k] = std::min(static_cast<std::int32_t>((values[k] - lowest_) * per_value_), bins - 1);
      for (Index k = 0; k < size; ++k) {
        Below& own = below_[static_cast<std::size_t>(bin.data()[k]) + 1];
        own.count += 1;
        own.sum += static_cast<double>(values[k]);
      }
    }
    for (std::size_t k = 1; k < below_.size(); ++k) {
      below_[k].count += below_[k - 1].count;
      below_[k].sum += below_[k - 1].sum;
    }
  }

  struct Below {
    double count = 0, sum = 0;
  };
  Below below(Scalar value) const {
    const Scalar place = std::clamp((value - lowest_) * per_value_, Scalar(0), static_cast<Scalar>(bins));
    const std::size_t bin = static_cast<std::size_t>(std::min(static_cast<std::int32_t>(place), bins - 1));
    const double share = static_cast<double>(place) - static_cast<double>(bin);
    const Below &from = below_[bin], &to = below_[bin + 1];
    return {from.count + share * (to.count - from.count), from.sum + share * (to.sum - from.sum)};
  }
  Below all() const { return below_.back(); }

 private:
  static constexpr std::int32_t bins = 1024;
  Scalar lowest_, per_value_;
  std::vector<Below> below_;
};

/// With a table, groups of more entries are binned.
inline constexpr Index few_for_table = 512;

/// The best of 48 scales, and of 16 about the best of those, each improved for the levels it gives: by bins, and at
/// last once more for all entries.
template <typename Scalar>
ScaleCandidate binned_group_scale(const GroupValues<Scalar>& group, const NearestLevel<Scalar>& nearest, double unit) {
  const BinnedGroup<Scalar> bins(group);
  const double last = static_cast<double>(nearest.highest);
  ScaleCandidate best;
  const auto try_bins = [&](double scale) {
    double match = last * bins.all().sum, squares = last * last * bins.all().count;
    for (std::size_t k = 0; k < nearest.steps.size(); ++k) {
      const auto below = bins.below(static_cast<Scalar>(static_cast<double>(nearest.midpoints[k]) * scale * unit));
      const double step = static_cast<double>(nearest.steps[k]);
      match -= step * below.sum;
      squares -= step * 2 * static_cast<double>(nearest.midpoints[k]) * below.count;
    }
    // The error less the squared norm of the group.
    if (match > 0 && squares > 0) keep_better({match / squares / unit, -match * match / squares}, best);
  };
  // Further than for integers: of uneven levels there may be a better choice where few of them are used.
  const double least = least_scale(group, nearest, unit) / 3, most = 1.5;
  constexpr int many = 48, some = 16;
  const double ratio = std::pow(most / least, 1.0 / (many - 1));
  double next = least;
  for (int k = 0; k < many; ++k, next *= ratio) try_bins(next);
  const double first = best.scale / ratio, step = (best.scale * ratio - first) / (some - 1);
  for (int k = 0; k < some; ++k) try_bins(first + step * k);

  return improved(best.scale, sums_of_one(group, nearest, static_cast<Scalar>(1 / (unit * best.scale))));
}

}  // namespace qaf::detail
