#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include <qaf/error.hpp>
#include <qaf/quantizers/granularity.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// How the scale of a group of entries is chosen.
enum class ScaleMethod {
  maximum,        ///< from the largest magnitude
  percentile,     ///< from the magnitude that `percentile` percent of the entries do not exceed
  grid,           ///< the least sum of squared errors among 200 scales, for 0.2 to 1.2 times the largest magnitude
  least_squares,  ///< little more than the least: of 32 scales, each refitted to the codes it gives, or 64 for a table
                  ///< of levels and more than 512 entries; for integers and groups of more than 2048 of 4 or 5, after a
                  ///< search on a part of them, so their order matters a little. At more than 4
                  ///< bits the error of groups of less than 10 entries may be a sixth above the least; for sums of
                  ///< powers of two half above it, and a seventh in long groups
  exact  ///< the least sum of squared errors of all scales, up to rounding: some 120 are tried at 4 bits and 400
         ///< at 8, and between them none can be better (affine quantizers: for every zero point)
};

/// Scales of groups, as the granularity of a quantizer numbers them. Always normal, positive float32 numbers, the type
/// that files and integer kernels keep scales in.
struct ScaleParameters {
  Vector<float> scales;  ///< one a group
  Index per_column = 1;  ///< how many of them a column has to itself, where granularity is `block`

  /// Whether all scales are equal, group by group.
  friend bool operator==(const ScaleParameters& a, const ScaleParameters& b) {
    return a.per_column == b.per_column && a.scales.size() == b.scales.size() && a.scales == b.scales;
  }
  /// Whether any differs.
  friend bool operator!=(const ScaleParameters& a, const ScaleParameters& b) { return !(a == b); }
};

namespace detail {

/// `above`: percentiles that low are out of range.
inline void check_percentile(const char* quantizer, ScaleMethod method, double percentile, double above = 0) {
  if (method == ScaleMethod::percentile && !(percentile > above && percentile <= 100))
    fail(quantizer, "percentile must be above ", above, " and at most 100, got ", percentile);
}

/// The value that `percent` of the values do not exceed, interpolated between neighbours.
template <typename Scalar>
Scalar percentile_of(Eigen::Array<Scalar, Eigen::Dynamic, 1> values, double percent) {
  const double position = percent / 100 * static_cast<double>(values.size() - 1);
  const Index below = static_cast<Index>(position);
  std::nth_element(values.data(), values.data() + below, values.data() + values.size());
  const double low = static_cast<double>(values[below]);
  if (below + 1 == values.size()) return values[below];
  const double high = static_cast<double>(values.tail(values.size() - below - 1).minCoeff());
  const double share = position - static_cast<double>(below);
  return static_cast<Scalar>((1 - share) * low + share * high);
}

/// Throws unless there is a positive, normal scale for every group.
inline void check_scales(const char* function, const Groups& groups, const ScaleParameters& parameters) {
  check_count(function, groups, "scales", parameters.scales.size());
  if (groups.granularity == Granularity::block && parameters.per_column != groups.blocks_of_column())
    fail(function, "a column of ", groups.rows, " entries has ", groups.blocks_of_column(), " blocks of ",
         groups.block_size, ", got per_column ", parameters.per_column);
  for (const float scale : parameters.scales)
    if (!(scale >= std::numeric_limits<float>::min() && std::isfinite(scale)))
      fail(function, "every scale must be positive, normal and finite, got ", scale);
}

/// A float that is a scale: so large that it is normal, so small that `farthest` of it do not overflow.
inline float as_scale(double scale, float smallest, double farthest) {
  return static_cast<float>(std::clamp(scale, static_cast<double>(smallest),
                                       static_cast<double>(std::numeric_limits<float>::max()) / farthest));
}

}  // namespace detail
}  // namespace qaf
