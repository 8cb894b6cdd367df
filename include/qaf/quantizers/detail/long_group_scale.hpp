#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include <qaf/quantizers/detail/group_sample.hpp>
#include <qaf/quantizers/detail/group_values.hpp>
#include <qaf/quantizers/detail/scale_candidate.hpp>
#include <qaf/quantizers/detail/scale_sums.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// About where the error of a long group is least. As a function of `scale / guess.scale` it has about that second
/// derivative there.
struct ScaleGuess {
  double scale, bend;
  double step;  // from one of the scales that it was found by to the next, as a share
};

/// From 16 scales for a sample.
template <typename Scalar, typename Nearest>
ScaleGuess guess_scale(const GroupValues<Scalar>& group, const GroupSample<Scalar>& sample, const Nearest& nearest,
                       double unit) {
  const double least = least_scale(group, nearest, unit), most = 1.2;
  const double ratio = std::pow(most / least, 1.0 / (lanes - 1)), step = ratio - 1;
  Lanes<Scalar> scales;
  double next = least;
  for (int k = 0; k < lanes; ++k, next *= ratio) scales[k] = static_cast<Scalar>(next);
  const Lanes<Scalar> inverse = static_cast<Scalar>(1 / unit) / scales;
  const auto rest = [&](const auto& values) {
    return sums_of_lanes<false>(values.data(), values.size(), nearest, inverse).rest;
  };
  const Lanes<Scalar> errors = (rest(sample.extremes) + sample.weight * rest(sample.others)) * scales.square();
  Index best = 0;
  errors.minCoeff(&best);
  // The parabola nearest to five errors, since one alone is off by chance.
  const Index middle = std::clamp(best, Index{2}, Index{lanes - 3});
  const auto error = [&](Index k) { return static_cast<double>(errors[middle + k]); };
  const double slope = (2 * (error(2) - error(-2)) + error(1) - error(-1)) / 10;
  const double bend = (2 * (error(2) + error(-2)) - error(1) - error(-1) - 2 * error(0)) / 7;
  const double offset = bend > 0 ? std::clamp(static_cast<double>(middle - best) - slope / bend, -1.0, 1.0) : 0;
  return {static_cast<double>(scales[best]) * (1 + step * offset), bend / (step * step), step};
}

/// Some scales for all entries about a guess: one on either side, two where parabolas through errors are least, and 1
/// where that is near.
template <typename Scalar, typename Nearest>
ScaleCandidate long_group_scale(const GroupValues<Scalar>& group, const GroupSample<Scalar>& sample,
                                const Nearest& nearest, double unit) {
  const ScaleGuess guess = guess_scale(group, sample, nearest, unit);
  const double reach = std::min(0.06, 0.7 * guess.step);
  // With t the distance from the guess over `reach`.
  const auto scale_at = [&](double t) { return guess.scale * (1 + reach * t); };
  const auto inverse_at = [&](double t) { return static_cast<Scalar>(1 / (unit * scale_at(t))); };
  struct Tried {
    double t, error;
  };
  ScaleCandidate best;
  const auto try_at = [&](double t, const ScaleSums<double>& sums) {
    const double scale = scale_at(t);
    keep_better(improved(scale, sums), best);
    return Tried{t, sums.rest * scale * scale};
  };
  const auto try_all_at = [&](double t) { return try_at(t, sums_of_one(group, nearest, inverse_at(t))); };

  const std::array<double, 2> beside = errors_of_two(group, nearest, inverse_at(-1), inverse_at(1));
  const Tried below = try_at(-1, {beside[0], 0, 0}), above = try_at(1, {beside[1], 0, 0});
  const double slope = (above.error - below.error) / 2, bend = guess.bend * reach * reach;
  const double vertex = bend > 0 ? -slope / bend : slope > 0 ? -2 : 2;
  std::array<Tried, 3> tried{below, above, try_all_at(std::clamp(vertex, -2.0, 2.0))};

  // From the best of the three to where the parabola through them is least, if that promises anything. Where it is
  // least nowhere, towards the second.
  std::sort(tried.begin(), tried.end(), [](const Tried& a, const Tried& b) { return a.error < b.error; });
  const double to_second = tried[1].t - tried[0].t, to_third = tried[2].t - tried[0].t;
  const double rise = (tried[1].error - tried[0].error) / to_second;
  const double half_bend = ((tried[2].error - tried[0].error) / to_third - rise) / (to_third - to_second);
  const bool has_vertex = half_bend > 0;
  const double further = has_vertex ? std::clamp((to_second - rise / half_bend) / 2, -1.0, 1.0) : to_second / 4;
  constexpr double enough = 2e-4;
  if (!has_vertex || half_bend * further * further > enough * tried[0].error) try_all_at(tried[0].t + further);

  constexpr double near = 3;
  const double one = (1 / guess.scale - 1) / reach;
  if (std::abs(one) < near) try_all_at(one);
  return best;
}

}  // namespace qaf::detail
