#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <qaf/error.hpp>

namespace qaf {

/// A positive real number as TensorFlow Lite multiplies with it: `multiplier * 2^(shift - 31)`, where `multiplier` is
/// from 2^30 to 2^31 - 1, or 0 for numbers below about 2^-32. Source: `QuantizeMultiplier` of TensorFlow Lite's
/// kernels/internal/quantization_util.cc.
struct FixedPointMultiplier {
  std::int32_t multiplier = 0;  ///< 2^30 to 2^31 - 1, or 0
  int shift = 0;                ///< from -31 to 30; to the left where positive
};

namespace detail {

/// From here on numbers round to 2^30.
constexpr double most_fixed_point = 1073741823.5;

}  // namespace detail

/// The fixed-point number nearest to `value` (ties away from zero). Errors: a value that is not positive, or 2^30 to
/// rounding and more.
inline FixedPointMultiplier fixed_point_multiplier(double value) {
  if (!(value > 0 && value < detail::most_fixed_point))
    detail::fail("fixed_point_multiplier", "the value must be above 0 and below 2^30, got ", value);
  int exponent = 0;
  const double mantissa = std::frexp(value, &exponent);  // in [1/2, 1)
  auto rounded = static_cast<std::int64_t>(std::round(std::ldexp(mantissa, 31)));
  if (rounded == std::int64_t{1} << 31) {
    rounded /= 2;
    ++exponent;
  }
  if (exponent < -31) return {};
  return {static_cast<std::int32_t>(rounded), exponent};
}

/// `x` times the number, in integers, rounded twice: first `x 2^max(shift, 0) multiplier / 2^31` to the nearest
/// integer, exact ties up (gemmlowp's `SaturatingRoundingDoublingHighMul`); then the division by `2^max(-shift, 0)`,
/// exact ties away from zero (gemmlowp's `RoundingDivideByPOT`, fixedpoint/fixedpoint.h). This is
/// `MultiplyByQuantizedMultiplier` of TensorFlow Lite's kernels/internal/common.cc, where it is not compiled with
/// TFLITE_SINGLE_ROUNDING. `x 2^max(shift, 0)` must fit into 32 bits.
inline std::int32_t multiply(std::int32_t x, const FixedPointMultiplier& number) {
  const int left = std::max(number.shift, 0), right = std::max(-number.shift, 0);
  const std::int64_t product = std::int64_t{x} * (std::int64_t{1} << left) * number.multiplier;
  const std::int64_t high = (product + (std::int64_t{1} << 30)) >> 31;
  // Half a unit more, and for negative numbers the least bit less: exact ties then fall away from zero.
  const std::int64_t half = (std::int64_t{1} << right) >> 1;
  return static_cast<std::int32_t>((high + half - (high < 0 && right > 0 ? 1 : 0)) >> right);
}

}  // namespace qaf
