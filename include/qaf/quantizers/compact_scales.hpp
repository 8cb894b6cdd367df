#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include <qaf/error.hpp>
#include <qaf/quantizer.hpp>
#include <qaf/quantizers/granularity.hpp>
#include <qaf/quantizers/scale_method.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// Which numbers scales may be.
enum class ScaleFormat {
  float16,       ///< normal IEEE half precision, 2^-14 .. 65504: 16 bits
  bfloat16,      ///< the upper half of a float32: 16 bits
  power_of_two,  ///< 2^-126 .. 2^127, so that decoding is a shift; E8M0 of the OCP microscaling formats: 8 bits
  linear8        ///< 1 .. 255 times one float32 of the whole factor: 8 bits, as scales are quantized again in QLoRA
};

namespace detail {

inline int bits_of(ScaleFormat format) {
  return format == ScaleFormat::float16 || format == ScaleFormat::bfloat16 ? 16 : 8;
}

/// The two scales of a format on either side of a positive one; the same where it is one of them, or beyond all.
struct ScaleNeighbours {
  float below, above;
};

inline ScaleNeighbours neighbours_in_float(float scale, ScaleFormat format) {
  int mantissa_bits = 0;
  float least = std::numeric_limits<float>::min(), most = std::ldexp(1.0F, 127);
  if (format == ScaleFormat::float16) {
    mantissa_bits = 10;
    least = std::ldexp(1.0F, -14);
    most = 65504;
  } else if (format == ScaleFormat::bfloat16) {
    mantissa_bits = 7;
    most = std::ldexp(255.0F, 120);  // the largest of 8 significant bits
  }
  scale = std::clamp(scale, least, most);
  std::uint32_t pattern = 0;
  std::memcpy(&pattern, &scale, sizeof scale);
  pattern &= ~((std::uint32_t{1} << (23 - mantissa_bits)) - 1);
  ScaleNeighbours result{};
  std::memcpy(&result.below, &pattern, sizeof pattern);
  result.above = result.below;
  if (result.below == scale) return result;
  pattern += std::uint32_t{1} << (23 - mantissa_bits);
  std::memcpy(&result.above, &pattern, sizeof pattern);
  return result;
}

inline ScaleNeighbours neighbours_of_step(float scale, float step) {
  const float count = scale / step;
  const float below = std::clamp(std::floor(count), 1.0F, 255.0F), above = std::clamp(std::ceil(count), 1.0F, 255.0F);
  return {below * step, above * step};
}

template <typename Quantizer>
using HasScales = decltype(std::declval<typename Quantizer::Parameters&>().scales = Vector<float>());

}  // namespace detail

/// A quantizer whose scales are stored in 8 or 16 bits: after the scales of another one are fitted, each is replaced by
/// that of its two neighbours in the format that leaves the less error. Everything else is as with `base`, which is any
/// quantizer of this library with scales. Scales outside of the format's range become its least or its largest.
///
/// Worth having where scales are of rows or blocks; those of columns merge into the weights of a model.
/// Cost: `fit` also encodes the matrix twice and decodes four.
template <typename Base>
struct CompactScales {
  static_assert(detail::is_detected<detail::HasScales, Base>,
                "qaf: CompactScales needs a quantizer whose Parameters have scales, a qaf::Vector<float>");
  /// The type of a code, that of `base`.
  using Code = typename Base::Code;
  /// What decoding needs besides the codes: that of `base`, its scales numbers of the format.
  using Parameters = typename Base::Parameters;

  Base base;                                       ///< the quantizer whose scales are compacted
  ScaleFormat format = ScaleFormat::power_of_two;  ///< of the stored scales

  /// The lowest code.
  int lowest() const { return base.lowest(); }
  /// The highest code.
  int highest() const { return base.highest(); }
  /// Bits of a packed code.
  int code_bits() const { return base.code_bits(); }
  /// As of `base`, with fewer bits for each scale, and 32 for the factor of `linear8`.
  Index parameter_bits(const Parameters& parameters) const {
    const Index count = detail::count_beside_weights(base.granularity, parameters.scales.size());
    const Index common = format == ScaleFormat::linear8 && count > 0 ? 32 : 0;
    return base.parameter_bits(parameters) - (32 - detail::bits_of(format)) * count + common;
  }

  /// Errors: those of `base`.
  void validate() const { base.validate(); }

  /// Errors: those of `base`.
  template <typename Derived>
  Parameters fit(const Eigen::MatrixBase<Derived>& matrix) const {
    const Eigen::Ref<const Matrix<typename Derived::Scalar>> values = matrix.derived();
    Parameters below = base.fit(values), above = below;
    const float step = below.scales.size() == 0 ? 1.0F : below.scales.maxCoeff() / 255;
    for (Index k = 0; k < below.scales.size(); ++k) {
      const detail::ScaleNeighbours neighbours =
          format == ScaleFormat::linear8
              ? detail::neighbours_of_step(below.scales[k], std::max(step, std::numeric_limits<float>::min()))
              : detail::neighbours_in_float(below.scales[k], format);
      below.scales[k] = neighbours.below;
      above.scales[k] = neighbours.above;
    }
    const detail::Groups groups{base.granularity, base.block_size, values.rows(), values.cols()};
    keep_finite(groups, below, above);
    const Vector<double> error_below = squared_errors(values, below, groups);
    const Vector<double> error_above = squared_errors(values, above, groups);
    for (Index k = 0; k < below.scales.size(); ++k)
      if (error_above[k] < error_below[k]) below.scales[k] = above.scales[k];
    return below;
  }

  /// Errors: those of `base`.
  template <typename Derived>
  Matrix<Code> encode(const Eigen::MatrixBase<Derived>& matrix, const Parameters& parameters) const {
    return base.encode(matrix, parameters);
  }

  /// Errors: those of `base`.
  Matrix<float> decode(const Matrix<Code>& codes, const Parameters& parameters) const {
    return base.decode(codes, parameters);
  }

  /// Optional part of the contract: the parameters of column r alone, of a factor of any size.
  Parameters column_parameters(const Parameters& parameters, Index r) const {
    return base.column_parameters(parameters, r);
  }

  /// Optional part of the contract: gives column r parameters of its own. Returns false, and does nothing, where
  /// columns share scales or, with `linear8`, what these are multiples of.
  bool set_column_parameters(Parameters& parameters, Index r, const Parameters& column) const {
    return format != ScaleFormat::linear8 && base.set_column_parameters(parameters, r, column);
  }

 private:
  // Takes back scales under which a code overflows, as `base` sees to with its own scales.
  void keep_finite(const detail::Groups& groups, const Parameters& below, Parameters& above) const {
    // A matrix of one entry for each group.
    Base of_one_entry = base;
    of_one_entry.block_size = 1;
    const Index rows = groups.granularity == Granularity::row ? groups.rows : groups.per_column();
    const Index cols = groups.count() / std::max(rows, Index{1});
    for (const int code : {lowest(), highest()}) {
      const Matrix<float> decoded =
          of_one_entry.decode(Matrix<Code>::Constant(rows, cols, static_cast<Code>(code)), above);
      for (Index k = 0; k < groups.count(); ++k)
        if (!std::isfinite(decoded.data()[k])) above.scales[k] = below.scales[k];
    }
  }

  // Of each group, over the square of the largest magnitude, so that they neither overflow nor vanish.
  template <typename Scalar>
  Vector<double> squared_errors(const Eigen::Ref<const Matrix<Scalar>>& values, const Parameters& parameters,
                                const detail::Groups& groups) const {
    const Matrix<float> decoded = base.decode(base.encode(values, parameters), parameters);
    Vector<double> errors = Vector<double>::Zero(groups.count());
    const double largest = values.size() == 0 ? 0 : static_cast<double>(values.cwiseAbs().maxCoeff());
    if (largest == 0) return errors;
    Eigen::Array<double, Eigen::Dynamic, 1> squares;
    for (Index r = 0; r < values.cols(); ++r) {
      squares =
          ((decoded.col(r).template cast<double>() - values.col(r).template cast<double>()).array() / largest).square();
      if (groups.granularity == Granularity::row) {
        errors.array() += squares;
        continue;
      }
      const Index size = groups.granularity == Granularity::block ? groups.block_size : groups.rows;
      for (Index begin = 0; begin < groups.rows; begin += size)
        errors[groups.of(begin, r)] += squares.segment(begin, std::min(size, groups.rows - begin)).sum();
    }
    return errors;
  }
};

}  // namespace qaf
