#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include <qaf/error.hpp>
#include <qaf/quantizers/detail/column_chunks.hpp>
#include <qaf/quantizers/detail/group_values.hpp>
#include <qaf/quantizers/detail/nearest_level.hpp>
#include <qaf/quantizers/detail/scale_search.hpp>
#include <qaf/quantizers/granularity.hpp>
#include <qaf/quantizers/rounding.hpp>
#include <qaf/quantizers/scale_method.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// Scales and zero points of groups, as the granularity of a quantizer numbers them.
struct AffineParameters : ScaleParameters {
  Vector<std::int32_t> zero_points;  ///< each one of the codes

  /// Whether all scales and zero points are equal, group by group.
  friend bool operator==(const AffineParameters& a, const AffineParameters& b) {
    return static_cast<const ScaleParameters&>(a) == b && a.zero_points.size() == b.zero_points.size() &&
           a.zero_points == b.zero_points;
  }
  /// Whether any differs.
  friend bool operator!=(const AffineParameters& a, const AffineParameters& b) { return !(a == b); }
};

/// Where the zero point comes in.
enum class ZeroPointOrder {
  after_rounding,  ///< `clamp(round(real / scale) + zero_point)`
  before_rounding  ///< `clamp(round(real / scale + zero_point))`, another integer at some exact ties
};

/// How precisely a zero point is computed. Systems differ in it where the range lies symmetrically about 0, so that the
/// zero point is a tie.
enum class ZeroPointPrecision {
  single_quotient,  ///< `lowest - round(a / scale)`, the quotient in float32
  single_scale,     ///< `round(lowest - a / scale)` in double, the scale rounded to float32 before
  double_scale      ///< `round(lowest - a / scale)` in double, the scale too
};

/// The uniform affine quantizer: `real = scale * (code - zero_point)`.
///
/// * Codes: all integers of `bits` bits, `0 .. 2^bits - 1` where `Code_` is unsigned and
///   `-2^(bits-1) .. 2^(bits-1) - 1` where it is signed. The zero point is one of them, so 0 is represented exactly.
/// * Rounding: to the nearest integer, exact ties to the even one or as `rounding` says, the zero point added after or
///   before.
/// * Scale for a range `a <= 0 <= b`: `(b - a) / (2^bits - 1)`, the difference in the scalar's precision; zero point
///   `round(lowest - a / scale)`, see `ZeroPointPrecision`. The range is that of the values and 0, or of their
///   percentiles, with `symmetric_range` as far below 0 as above. The methods of least error search for the scale with
///   that zero point and then with its neighbours, as long as that pays; `exact` with every zero point there is.
/// * A group of zeros: scale 1, zero point and codes 0; if `smallest_scale` was set, that scale, and the lowest code
///   for both; with `symmetric_range` always the middle code.
///
/// Cost: `fit` a pass, and for each zero point that is tried one for each scale; `encode` and `decode` one pass.
template <typename Code_>
struct BasicAffineQuantizer {
  static_assert(std::numeric_limits<Code_>::is_integer,
                "qaf: the codes of an affine quantizer must be of an integer type");
  /// The type of a code.
  using Code = Code_;
  /// What decoding needs besides the codes.
  using Parameters = AffineParameters;

  int bits = 8;                                           ///< of a code, 1 to 16 and no more than `Code` holds
  Granularity granularity = Granularity::component;       ///< which entries share scale and zero point
  Index block_size = 32;                                  ///< entries of a block, where granularity is `block`
  ScaleMethod scale_method = ScaleMethod::least_squares;  ///< how the range is chosen
  double percentile = 99.9;      ///< p: the range is from the (100 - p)th to the p-th, where `scale_method` is that
  bool symmetric_range = false;  ///< the zero point is then the middle code
  Rounding rounding = {};        ///< of the quotient `real / scale`
  ZeroPointOrder zero_point_order = ZeroPointOrder::after_rounding;               ///< when it is added
  ZeroPointPrecision zero_point_precision = ZeroPointPrecision::single_quotient;  ///< with which it is computed
  float smallest_scale = std::numeric_limits<float>::min();                       ///< normal and positive

  /// The lowest code.
  int lowest() const { return std::numeric_limits<Code>::is_signed ? -(1 << (bits - 1)) : 0; }
  /// The highest code.
  int highest() const { return lowest() + (1 << bits) - 1; }
  /// Bits of a packed code.
  int code_bits() const { return bits; }
  /// Bits of zero points, and of those scales that do not merge into the weights of a model, at 32 each.
  Index parameter_bits(const Parameters& parameters) const {
    return bits * parameters.zero_points.size() +
           32 * detail::count_beside_weights(granularity, parameters.scales.size());
  }

  /// Errors: a field out of its range.
  void validate() const {
    constexpr int most =
        std::min(16, std::numeric_limits<Code>::digits + (std::numeric_limits<Code>::is_signed ? 1 : 0));
    if (bits < 1 || bits > most) detail::fail("AffineQuantizer", "bits must be from 1 to ", most, ", got ", bits);
    detail::check_block_size("AffineQuantizer", granularity, block_size);
    detail::check_percentile("AffineQuantizer", scale_method, percentile, 50);
    detail::check_smallest_scale("AffineQuantizer", smallest_scale);
  }

  /// Scales and zero points for the values of a matrix. Errors: a field out of its range, NaN or infinity, values whose
  /// scale no float can hold.
  template <typename Derived>
  Parameters fit(const Eigen::MatrixBase<Derived>& matrix) const {
    using Scalar = typename Derived::Scalar;
    validate();
    const detail::Groups groups = groups_of(matrix.rows(), matrix.cols());
    Parameters parameters;
    parameters.scales.resize(groups.count());
    parameters.zero_points.resize(groups.count());
    parameters.per_column = groups.per_column();
    detail::visit_groups<Scalar>("AffineQuantizer::fit", matrix.derived(), groups,
                                 [&](Index k, const detail::GroupValues<Scalar>& group) {
                                   const Fit fit = fit_group(group);
                                   parameters.scales[k] = fit.scale;
                                   parameters.zero_points[k] = fit.zero_point;
                                 });
    return parameters;
  }

  /// The codes of a matrix. Errors: a field out of its range, NaN or infinity, another number of scales or zero points
  /// than the matrix has groups, a scale that is not positive and finite, a zero point that is no code.
  template <typename Derived>
  Matrix<Code> encode(const Eigen::MatrixBase<Derived>& matrix, const Parameters& parameters) const {
    using Scalar = typename Derived::Scalar;
    validate();
    const detail::Groups groups = groups_of(matrix.rows(), matrix.cols());
    check("AffineQuantizer::encode", groups, parameters);
    detail::SpreadOverColumns<Scalar> scales(groups), zero_points(groups);
    const Eigen::Ref<const Matrix<Scalar>> values = matrix.derived();
    Matrix<Code> codes(matrix.rows(), matrix.cols());
    const Scalar low = static_cast<Scalar>(lowest()), high = static_cast<Scalar>(highest());
    const Scalar far = high - low + 1;  // where no zero point leads back into the range
    for (Index r = 0; r < codes.cols(); ++r) {
      scales.set_column(parameters.scales, r, rounding.by_reciprocal);
      zero_points.set_column(parameters.zero_points, r);
      detail::encode_column("AffineQuantizer::encode", values.col(r).data(), codes.rows(), codes.col(r).data(),
                            [&](const auto& chunk, Index begin, auto& rounded) {
                              const auto zero_point = zero_points.chunk(begin);
                              rounding.divide(chunk, scales.chunk(begin), [&](const auto& quotients) {
                                if (zero_point_order == ZeroPointOrder::before_rounding) {
                                  // Clamped, or product and sum would become one operation, rounded once.
                                  rounding.round(quotients.max(-far).min(far) + zero_point, lowest(), low, high,
                                                 rounded);
                                } else {
                                  rounding.round(quotients, lowest(), -far, far, rounded);
                                  rounded = (rounded + zero_point).max(low).min(high);
                                }
                              });
                            });
    }
    return codes;
  }

  /// What the codes stand for. Errors: as for the parameters of `encode`.
  Matrix<float> decode(const Matrix<Code>& codes, const Parameters& parameters) const {
    validate();
    const detail::Groups groups = groups_of(codes.rows(), codes.cols());
    check("AffineQuantizer::decode", groups, parameters);
    detail::SpreadOverColumns<float> scales(groups), zero_points(groups);
    Matrix<float> values(codes.rows(), codes.cols());
    for (Index r = 0; r < codes.cols(); ++r) {
      scales.set_column(parameters.scales, r);
      zero_points.set_column(parameters.zero_points, r);
      detail::decode_column(
          codes.col(r).data(), codes.rows(), values.col(r).data(),
          [&](const auto& chunk, Index begin) { return (chunk - zero_points.chunk(begin)) * scales.chunk(begin); });
    }
    return values;
  }

  /// Optional part of the contract: the parameters of column r alone, of a factor of any size.
  Parameters column_parameters(const Parameters& parameters, Index r) const {
    Parameters column = parameters;
    column.scales = detail::values_of_column(granularity, parameters.scales, parameters.per_column, r);
    column.zero_points = detail::values_of_column(granularity, parameters.zero_points, parameters.per_column, r);
    return column;
  }

  /// Optional part of the contract: gives column r parameters of its own. Returns false, and does
  /// nothing, where columns share them.
  bool set_column_parameters(Parameters& parameters, Index r, const Parameters& column) const {
    return detail::set_values_of_column(granularity, parameters.scales, parameters.per_column, r, column.scales) &&
           detail::set_values_of_column(granularity, parameters.zero_points, parameters.per_column, r,
                                        column.zero_points);
  }

 private:
  struct Fit {
    float scale;
    std::int32_t zero_point;
  };

  detail::Groups groups_of(Index rows, Index cols) const { return {granularity, block_size, rows, cols}; }

  void check(const char* function, const detail::Groups& groups, const Parameters& parameters) const {
    detail::check_scales(function, groups, parameters);
    detail::check_count(function, groups, "zero points", parameters.zero_points.size());
    for (const std::int32_t zero_point : parameters.zero_points)
      if (zero_point < lowest() || zero_point > highest())
        detail::fail(function, "every zero point must be from ", lowest(), " to ", highest(), ", got ", zero_point);
  }

  std::int32_t middle() const { return static_cast<std::int32_t>(lowest() + (1 << (bits - 1))); }

  template <typename Scalar>
  Fit fit_group(const detail::GroupValues<Scalar>& group) const {
    if (group.largest() == 0) {
      const float scale = detail::scale_of_zeros(smallest_scale);
      return {scale, symmetric_range ? middle() : scale == 1 ? 0 : lowest()};
    }
    Scalar from = group.lowest, to = group.highest;
    if (scale_method == ScaleMethod::percentile) {
      const Scalar low = detail::percentile_of<Scalar>(group.array(), 100 - percentile);
      const Scalar high = detail::percentile_of<Scalar>(group.array(), percentile);
      if (low < 0 || high > 0) {
        from = std::min(low, Scalar(0));
        to = std::max(high, Scalar(0));
      }
    }
    if (symmetric_range) {
      to = std::max(to, -from);
      from = -to;
    }
    const Scalar length = to - from;  // past the largest float it is computed in double
    const double range =
        std::isfinite(length) ? static_cast<double>(length) : static_cast<double>(to) - static_cast<double>(from);
    const double scale = range / ((1 << bits) - 1);
    Fit fit;
    fit.zero_point = symmetric_range ? middle() : zero_point_of(static_cast<float>(from), scale);
    fit.scale = to_scale(scale, fit.zero_point);
    const double unit = static_cast<double>(fit.scale);
    if (detail::is_searched(scale_method, unit)) {
      const double found = unit * search(group, unit, fit.zero_point);  // moves the zero point too
      fit.scale = to_scale(found, fit.zero_point);
    }
    return fit;
  }

  // For a range from `from`.
  std::int32_t zero_point_of(float from, double scale) const {
    const float single_scale = detail::as_scale(scale, smallest_scale, 1);
    double point = 0;
    if (zero_point_precision == ZeroPointPrecision::single_quotient) {
      point = lowest() - rounding.round(static_cast<double>(from / single_scale), lowest());
    } else {
      // Where the scale was not moved into float's range.
      const bool is_double =
          zero_point_precision == ZeroPointPrecision::double_scale && static_cast<float>(scale) == single_scale;
      const double exact = static_cast<double>(from) / (is_double ? scale : static_cast<double>(single_scale));
      point = rounding.round(lowest() - exact, lowest());
    }
    return static_cast<std::int32_t>(std::clamp(point, static_cast<double>(lowest()), static_cast<double>(highest())));
  }

  // So that no code overflows.
  float to_scale(double scale, std::int32_t zero_point) const {
    const int farthest = std::max({zero_point - lowest(), highest() - zero_point, 1});
    return detail::as_scale(scale, smallest_scale, farthest);
  }

  // The scale of least error in units; moves the zero point where that is free and pays.
  template <typename Scalar>
  double search(const detail::GroupValues<Scalar>& group, double unit, std::int32_t& zero_point) const {
    using Nearest = detail::NearestInteger<Scalar>;
    const detail::ScaleSearch<Scalar, Nearest> search_scale(group, scale_method);
    const auto best_at = [&](std::int32_t zero) {
      return search_scale(Nearest{static_cast<Scalar>(lowest() - zero), static_cast<Scalar>(highest() - zero)}, unit);
    };
    detail::ScaleCandidate best = best_at(zero_point);
    const auto offer = [&](std::int32_t other) {
      if (other < lowest() || other > highest()) return false;
      const detail::ScaleCandidate next = best_at(other);
      if (!(next.error < best.error)) return false;
      best = next;
      zero_point = other;
      return true;
    };
    if (!symmetric_range && scale_method == ScaleMethod::exact)
      for (std::int32_t other = lowest(); other <= highest(); ++other) offer(other);
    if (!symmetric_range && scale_method == ScaleMethod::least_squares)
      for (const std::int32_t step : {1, -1})
        while (offer(zero_point + step)) continue;
    return best.scale > 0 ? best.scale : 1;
  }
};

/// 1 to 8 bits, codes from 0 in `std::uint8_t`.
using AffineQuantizer = BasicAffineQuantizer<std::uint8_t>;

}  // namespace qaf
