#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include <qaf/quantizers/detail/group_values.hpp>
#include <qaf/quantizers/detail/scale_candidate.hpp>
#include <qaf/quantizers/detail/scale_sums.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

struct TriedScale {
  double scale;
  ScaleSums<double> sums;
};

/// No scale from `smaller` to `larger` leaves less error than this, even when improved. As the scale falls from
/// `larger`, levels move away from 0, each at its midpoint: by that `<v, levels>`, v being the values over `larger`,
/// grows by at most half of what the squares grow by, so the error is at least `rest - (match - q / 2)^2 / (squares +
/// q)` with a q between 0 and all that the squares grow by. That is least at an end.
inline double least_error_between(const TriedScale& larger, const TriedScale& smaller) {
  const ScaleSums<double>& sums = larger.sums;
  const double growth = smaller.sums.squares - sums.squares, match = sums.match - growth / 2;
  const double at_larger = sums.squares > 0 ? sums.match * sums.match / sums.squares : 0;
  const double at_smaller = smaller.sums.squares > 0 ? match * match / smaller.sums.squares : 0;
  return (sums.rest - std::max(at_larger, at_smaller)) * larger.scale * larger.scale;
}

/// A scale below which clipping alone leaves more error than `other`.
template <typename Scalar, typename Nearest>
double scale_of_too_much_clipping(const GroupValues<Scalar>& group, const Nearest& nearest, double unit,
                                  const ScaleCandidate& other) {
  const auto clipped = [&](double scale) {
    const Scalar lowest = static_cast<Scalar>(static_cast<double>(nearest.lowest) * scale * unit);
    const Scalar highest = static_cast<Scalar>(static_cast<double>(nearest.highest) * scale * unit);
    const auto values = group.array();
    return static_cast<double>(
        ((values - values.max(lowest).min(highest)) * static_cast<Scalar>(1 / unit)).square().sum());
  };
  double too_small = 0, scale = other.scale;
  for (int turn = 0; turn < 8; ++turn) {
    const double middle = (too_small + scale) / 2;
    constexpr double slack = 1.01;  // for rounding
    (clipped(middle) > slack * other.error ? too_small : scale) = middle;
  }
  return std::max(too_small, other.scale / 1024);
}

/// A scale from which on all levels are those next to 0.
template <typename Scalar, typename Nearest>
double scale_of_first_levels(const GroupValues<Scalar>& group, const Nearest& nearest, double unit) {
  double midpoint = std::numeric_limits<double>::infinity();  // the one next to 0
  for (Index k = 0; k + 1 < nearest.count(); ++k) {
    const double size = std::abs(nearest.level(k) + nearest.level(k + 1)) / 2;
    if (size > 0) midpoint = std::min(midpoint, size);
  }
  constexpr double slack = 1.001;  // for rounding
  return slack * static_cast<double>(group.largest()) / unit / midpoint;
}

/// The best of all scales, up to rounding. Intervals of scales that cannot hold it are left out, all others divided.
/// `best`: a good one.
template <typename Scalar, typename Nearest>
ScaleCandidate exact_scale(const GroupValues<Scalar>& group, const Nearest& nearest, double unit, ScaleCandidate best) {
  constexpr std::size_t at_once = lanes;
  const auto try_all = [&](const std::vector<double>& scales) {
    std::vector<TriedScale> tried;
    for (std::size_t begin = 0; begin < scales.size(); begin += at_once) {
      const std::size_t end = std::min(begin + at_once, scales.size());
      Lanes<Scalar> inverse = Lanes<Scalar>::Ones();
      for (std::size_t k = begin; k < end; ++k)
        inverse[static_cast<Index>(k - begin)] = static_cast<Scalar>(1 / (unit * scales[k]));
      const auto sums = sums_of_lanes<true>(group.data, group.size, nearest, inverse);
      for (std::size_t k = begin; k < end; ++k) {
        const auto own = [&](const Lanes<Scalar>& sum) {
          return static_cast<double>(sum[static_cast<Index>(k - begin)]);
        };
        tried.push_back({scales[k], {own(sums.rest), own(sums.match), own(sums.squares)}});
        keep_better(improved(tried.back().scale, tried.back().sums), best);
      }
    }
    return tried;
  };
  struct Interval {
    TriedScale larger, smaller;
  };
  std::vector<Interval> intervals;
  const auto add = [&](const TriedScale& larger, const TriedScale& smaller) {
    constexpr double rounding = 8 * static_cast<double>(std::numeric_limits<Scalar>::epsilon());
    if (larger.scale > smaller.scale * (1 + rounding) &&
        least_error_between(larger, smaller) < best.error * (1 - rounding))
      intervals.push_back({larger, smaller});
  };

  const double least = scale_of_too_much_clipping(group, nearest, unit, best);
  const double most = std::max(scale_of_first_levels(group, nearest, unit), 2 * least);
  constexpr int first = 32;
  const double ratio = std::pow(least / most, 1.0 / (first - 1));
  std::vector<double> scales{most};
  while (scales.size() < first) scales.push_back(scales.back() * ratio);
  std::vector<TriedScale> tried = try_all(scales);
  for (std::size_t k = 1; k < tried.size(); ++k) add(tried[k - 1], tried[k]);
  while (!intervals.empty()) {
    const std::size_t inside = std::max(at_once / intervals.size(), std::size_t{1});
    scales.clear();
    for (const Interval& interval : intervals) {
      const double step = (interval.larger.scale - interval.smaller.scale) / static_cast<double>(inside + 1);
      for (std::size_t k = inside; k > 0; --k) scales.push_back(interval.smaller.scale + step * static_cast<double>(k));
    }
    tried = try_all(scales);
    const std::vector<Interval> divided = std::move(intervals);
    intervals.clear();
    for (std::size_t k = 0; k < divided.size(); ++k) {
      const TriedScale* larger = &divided[k].larger;
      for (std::size_t j = k * inside; j < (k + 1) * inside; larger = &tried[j++]) add(*larger, tried[j]);
      add(*larger, divided[k].smaller);
    }
  }
  return best;
}

}  // namespace qaf::detail
