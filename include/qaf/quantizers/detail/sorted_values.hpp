#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <qaf/quantizers/detail/group_values.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// The values of a group in ascending order, and sums of successive ones.
template <typename Scalar>
class SortedValues {
 public:
  /// Cost: for values that lie evenly one pass to distribute them, and short sorts; at worst one sort.
  explicit SortedValues(const GroupValues<Scalar>& group) {
    sort(group);
    // From 0 outwards, so that small values do not drown in large ones.
    sums_.resize(values_.size() + 1);
    const std::size_t zero =
        static_cast<std::size_t>(std::lower_bound(values_.begin(), values_.end(), Scalar(0)) - values_.begin());
    for (std::size_t k = zero; k < values_.size(); ++k) sums_[k + 1] = sums_[k] + static_cast<double>(values_[k]);
    for (std::size_t k = zero; k > 0; --k) sums_[k - 1] = sums_[k] - static_cast<double>(values_[k - 1]);
  }

  Index size() const { return static_cast<Index>(values_.size()); }
  Scalar operator[](Index k) const { return values_[static_cast<std::size_t>(k)]; }

  /// The sum of values `begin .. end - 1`.
  double sum(Index begin, Index end) const {
    return sums_[static_cast<std::size_t>(end)] - sums_[static_cast<std::size_t>(begin)];
  }

 private:
  void sort(const GroupValues<Scalar>& group) {
    constexpr Index few = 64, per_bucket = 4, most_buckets = 1 << 16;
    const Scalar range = group.highest - group.lowest;
    values_.assign(group.data, group.data + group.size);
    // The largest ranges overflow, and the inverses of the smallest.
    if (group.size < few || !(range > Scalar(1e-30)) || !std::isfinite(range)) {
      std::sort(values_.begin(), values_.end());
      return;
    }
    const std::int32_t buckets = static_cast<std::int32_t>(std::min(group.size / per_bucket, most_buckets));
    const Scalar per_value = static_cast<Scalar>(buckets) / range;
    const auto bucket_of = [&](Scalar value) {
      return static_cast<std::size_t>(
          std::min(static_cast<std::int32_t>((value - group.lowest) * per_value), buckets - 1));
    };
    std::vector<std::size_t> ends(static_cast<std::size_t>(buckets) + 1);
    for (Index k = 0; k < group.size; ++k) ++ends[bucket_of(group.data[k]) + 1];
    for (std::size_t k = 1; k < ends.size(); ++k) ends[k] += ends[k - 1];
    for (Index k = 0; k < group.size; ++k) values_[ends[bucket_of(group.data[k])]++] = group.data[k];
    std::size_t begin = 0;
    for (std::size_t k = 0; k + 1 < ends.size(); begin = ends[k++])
      std::sort(values_.begin() + static_cast<std::ptrdiff_t>(begin),
                values_.begin() + static_cast<std::ptrdiff_t>(ends[k]));
  }

  std::vector<Scalar> values_;
  std::vector<double> sums_;
};

}  // namespace qaf::detail
