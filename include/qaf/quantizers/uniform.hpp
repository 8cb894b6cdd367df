#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include <qaf/error.hpp>
#include <qaf/quantizers/detail/column_chunks.hpp>
#include <qaf/quantizers/detail/fit_scales.hpp>
#include <qaf/quantizers/detail/nearest_level.hpp>
#include <qaf/quantizers/granularity.hpp>
#include <qaf/quantizers/rounding.hpp>
#include <qaf/quantizers/scale_method.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// Which integers of `bits` bits are codes.
enum class CodeRange {
  full,   ///< all of two's complement: `-2^(bits-1) .. 2^(bits-1) - 1`
  narrow  ///< without the lowest, symmetric about 0: `-(2^(bits-1) - 1) .. 2^(bits-1) - 1`
};

/// Which multiple of the scale a group's largest magnitude is, where it decides on the scale.
enum class ScaleEnd {
  middle,   ///< half the range, `(highest - lowest) / 2`: in the full range -t and t both lie half a scale past the
            ///< middle
  highest,  ///< the highest code
  lowest    ///< the magnitude of the lowest code
};

/// The uniform symmetric quantizer: `real = scale * code`, that is `scale * (code - zero_point)` with
/// zero point 0, and `code = clamp(round(real / scale), lowest, highest)`.
///
/// * Codes: `bits` bits in the full or the narrow range (`CodeRange`).
/// * Rounding: to the nearest integer, exact ties to the even one or as `rounding` says.
/// * Scale for a magnitude t: `t / E` with E as `end` says. Never below `smallest_scale`. The grid tries t = 0.2 .. 1.2
///   times the largest magnitude in 200 steps, as the code of Cherniuk et al. 2023 does.
/// * A group of zeros: scale 1, or `smallest_scale` if that was set, and codes 0.
///
/// The functions in qaf/quantizers/conventions.hpp set the fields so that codes and scales are those of other systems.
/// `Code_` is the signed integer type that holds a code. Cost: `fit` a pass, and one for each scale that is tried;
/// `encode` and `decode` one pass.
template <typename Code_>
struct BasicUniformQuantizer {
  static_assert(std::numeric_limits<Code_>::is_integer && std::numeric_limits<Code_>::is_signed,
                "qaf: the codes of a uniform symmetric quantizer must be of a signed integer type");
  /// The type of a code.
  using Code = Code_;
  /// What decoding needs besides the codes.
  using Parameters = ScaleParameters;

  int bits = 8;  ///< of a code, 1 to 16 and no more than `Code` holds; from 2 in the narrow range
  Granularity granularity = Granularity::component;       ///< which entries share a scale
  Index block_size = 32;                                  ///< entries of a block, where granularity is `block`
  CodeRange range = CodeRange::full;                      ///< with the lowest code, or without
  ScaleMethod scale_method = ScaleMethod::least_squares;  ///< how scales are chosen
  double percentile = 99.9;         ///< above 0, at most 100, where `scale_method` is `percentile`
  ScaleEnd end = ScaleEnd::middle;  ///< where a group's largest magnitude comes to lie
  Rounding rounding = {};           ///< of the quotient `real / scale`
  float smallest_scale = std::numeric_limits<float>::min();  ///< normal and positive

  /// The lowest code.
  int lowest() const { return range == CodeRange::full ? -highest() - 1 : -highest(); }
  /// The highest code.
  int highest() const { return (1 << (bits - 1)) - 1; }
  /// Bits of a packed code.
  int code_bits() const { return bits; }
  /// Bits of the scales: 32 each, none where they merge into the weights of a model.
  Index parameter_bits(const Parameters& parameters) const {
    return 32 * detail::count_beside_weights(granularity, parameters.scales.size());
  }

  /// Errors: a field out of its range.
  void validate() const {
    constexpr int most = std::min(16, std::numeric_limits<Code>::digits + 1);
    const int least = range == CodeRange::narrow || end == ScaleEnd::highest ? 2 : 1;
    if (bits < least || bits > most)
      detail::fail("UniformQuantizer", "bits must be from ", least, " to ", most, " for codes of ",
                   std::numeric_limits<Code>::digits + 1, " bits",
                   least == 2 ? " in the narrow range or with end `highest`" : "", ", got ", bits,
                   bits > most && bits <= 16 ? "; UniformQuantizer16 goes to 16" : "");
    detail::check_block_size("UniformQuantizer", granularity, block_size);
    detail::check_percentile("UniformQuantizer", scale_method, percentile);
    detail::check_smallest_scale("UniformQuantizer", smallest_scale);
  }

  /// Scales for the values of a matrix. Errors: a field out of its range, NaN or infinity, values whose scale
  /// no float can hold.
  template <typename Derived>
  Parameters fit(const Eigen::MatrixBase<Derived>& matrix) const {
    using Scalar = typename Derived::Scalar;
    validate();
    const detail::Groups groups = groups_of(matrix.rows(), matrix.cols());
    const detail::NearestInteger<Scalar> nearest{static_cast<Scalar>(lowest()), static_cast<Scalar>(highest())};
    const double farthest = 1 << (bits - 1);  // so that the lowest code does not overflow
    return {detail::fit_scales<Scalar>("UniformQuantizer::fit", matrix.derived(), groups, nearest, scales_to_end(),
                                       scale_method, percentile,
                                       [&](double scale) {
                                         return scale == 0 ? detail::scale_of_zeros(smallest_scale)
                                                           : detail::as_scale(scale, smallest_scale, farthest);
                                       }),
            groups.per_column()};
  }

  /// The codes of a matrix. Errors: a field out of its range, NaN or infinity, another number of scales than
  /// the matrix has groups, a scale that is not positive and finite.
  template <typename Derived>
  Matrix<Code> encode(const Eigen::MatrixBase<Derived>& matrix, const Parameters& parameters) const {
    using Scalar = typename Derived::Scalar;
    validate();
    const detail::Groups groups = groups_of(matrix.rows(), matrix.cols());
    detail::check_scales("UniformQuantizer::encode", groups, parameters);
    detail::SpreadOverColumns<Scalar> scales(groups);
    const Eigen::Ref<const Matrix<Scalar>> values = matrix.derived();
    Matrix<Code> codes(matrix.rows(), matrix.cols());
    const Scalar low = static_cast<Scalar>(lowest()), high = static_cast<Scalar>(highest());
    for (Index r = 0; r < codes.cols(); ++r) {
      scales.set_column(parameters.scales, r, rounding.by_reciprocal);
      detail::encode_column("UniformQuantizer::encode", values.col(r).data(), values.rows(), codes.col(r).data(),
                            [&](const auto& chunk, Index begin, auto& rounded) {
                              rounding.divide(chunk, scales.chunk(begin), [&](const auto& quotients) {
                                rounding.round(quotients, lowest(), low, high, rounded);
                              });
                            });
    }
    return codes;
  }

  /// What the codes stand for. Errors: another number of scales than the codes have groups, a scale
  /// that is not positive and finite.
  Matrix<float> decode(const Matrix<Code>& codes, const Parameters& parameters) const {
    validate();
    const detail::Groups groups = groups_of(codes.rows(), codes.cols());
    detail::check_scales("UniformQuantizer::decode", groups, parameters);
    detail::SpreadOverColumns<float> scales(groups);
    Matrix<float> values(codes.rows(), codes.cols());
    for (Index r = 0; r < codes.cols(); ++r) {
      scales.set_column(parameters.scales, r);
      detail::decode_column(codes.col(r).data(), codes.rows(), values.col(r).data(),
                            [&](const auto& chunk, Index begin) { return chunk * scales.chunk(begin); });
    }
    return values;
  }

  /// Optional part of the contract: the parameters of column r alone, of a factor of any size.
  Parameters column_parameters(const Parameters& parameters, Index r) const {
    return {detail::values_of_column(granularity, parameters.scales, parameters.per_column, r), parameters.per_column};
  }

  /// Optional part of the contract: gives column r parameters of its own. Returns false, and does
  /// nothing, where columns share scales.
  bool set_column_parameters(Parameters& parameters, Index r, const Parameters& column) const {
    return detail::set_values_of_column(granularity, parameters.scales, parameters.per_column, r, column.scales);
  }

 private:
  detail::Groups groups_of(Index rows, Index cols) const { return {granularity, block_size, rows, cols}; }

  // The number of scales from 0 to the magnitude that the scale is for.
  double scales_to_end() const {
    switch (end) {
      case ScaleEnd::middle:
        break;
      case ScaleEnd::highest:
        return highest();
      case ScaleEnd::lowest:
        return -lowest();
    }
    return (highest() - lowest()) / 2.0;
  }
};

/// 1 to 8 bits, codes in `std::int8_t`.
using UniformQuantizer = BasicUniformQuantizer<std::int8_t>;

/// 1 to 16 bits, codes in `std::int16_t`.
using UniformQuantizer16 = BasicUniformQuantizer<std::int16_t>;

}  // namespace qaf
