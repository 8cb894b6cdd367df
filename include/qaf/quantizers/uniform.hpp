#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include <qaf/error.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// Which entries of a factor (`I_n x R`) share a scale.
enum class Granularity {
  tensor,     ///< all: 1 scale
  component,  ///< those of a column: R scales, which merge into the model's weights
  row         ///< those of a row: I_n scales
};

/// "tensor", "component" or "row".
inline const char* to_string(Granularity granularity) {
  switch (granularity) {
    case Granularity::tensor:
      return "tensor";
    case Granularity::component:
      return "component";
    case Granularity::row:
      return "row";
  }
  return "unknown";
}

/// Which integers of `bits` bits are codes.
enum class CodeRange {
  full,   ///< all of two's complement: `-2^(bits-1) .. 2^(bits-1) - 1`
  narrow  ///< without the lowest, symmetric about 0: `-(2^(bits-1) - 1) .. 2^(bits-1) - 1`
};

/// How the scale of a group of entries is chosen.
enum class ScaleMethod {
  maximum,        ///< from the largest magnitude: no entry is more than half a scale from its decoded value
  grid,           ///< the least sum of squared errors among 200 scales, for 0.2 to 1.2 times that magnitude
  least_squares,  ///< a fifth of the work: 24 scales over the same range, 16 about the best, then refined
};

/// Scales of a `BasicUniformQuantizer`: 1, R or I_n of them, as its granularity says. Always normal,
/// positive float32 numbers, the type that files and integer kernels keep scales in.
struct UniformParameters {
  Vector<float> scales;

  friend bool operator==(const UniformParameters& a, const UniformParameters& b) {
    return a.scales.size() == b.scales.size() && a.scales == b.scales;
  }
  friend bool operator!=(const UniformParameters& a, const UniformParameters& b) { return !(a == b); }
};

/// The uniform symmetric quantizer: `real = scale * code`, that is `scale * (code - zero_point)` with
/// zero point 0, and `code = clamp(round(real / scale), lowest, highest)`.
///
/// * Codes: `bits` bits in the full or the narrow range (`CodeRange`).
/// * Rounding: to the nearest integer, exact ties to the even one (in the default rounding mode).
/// * Scale for a largest magnitude t: `2 t / (2^bits - 1)` in the full range, so that -t and t both lie
///   half a scale past the codes' middle; `t / (2^(bits-1) - 1)` in the narrow one. Never below the
///   smallest normal float. The grid tries t = 0.2 .. 1.2 times the largest magnitude in 200 steps, as the
///   code of Cherniuk et al. 2023 does, and takes the first of equals. Least squares tries 40 in two
///   rounds, then twice `scale = <x, codes> / <codes, codes>` with the codes of the scale before.
/// * A group of zeros: scale 1, codes 0.
///
/// `Code_` is the signed integer type that holds a code. Cost: `fit` 2 passes, 200 with a grid,
/// 44 for least squares; `encode` and `decode` one pass.
template <typename Code_>
struct BasicUniformQuantizer {
  static_assert(std::numeric_limits<Code_>::is_integer && std::numeric_limits<Code_>::is_signed,
                "qaf: the codes of a uniform symmetric quantizer must be of a signed integer type");
  using Code = Code_;
  using Parameters = UniformParameters;

  int bits = 8;  ///< of a code, 2 to 16 and no more than `Code` holds
  Granularity granularity = Granularity::component;
  CodeRange range = CodeRange::full;
  ScaleMethod scale_method = ScaleMethod::least_squares;

  /// The lowest code.
  int lowest() const { return range == CodeRange::full ? -highest() - 1 : -highest(); }
  /// The highest code.
  int highest() const { return (1 << (bits - 1)) - 1; }

  /// Errors: bits out of range.
  void validate() const {
    constexpr int most = std::min(16, std::numeric_limits<Code>::digits + 1);
    if (bits < 2 || bits > most)
      detail::fail("UniformQuantizer", "bits must be from 2 to ", most, " for codes of ",
                   std::numeric_limits<Code>::digits + 1, " bits, got ", bits,
                   bits > most && bits <= 16 ? "; UniformQuantizer16 goes to 16" : "");
  }

  /// Scales for the values of a matrix. Errors: bits out of range, NaN or infinity, values whose scale
  /// no float can hold.
  template <typename Derived>
  Parameters fit(const Eigen::MatrixBase<Derived>& matrix) const {
    validate();
    check_finite("UniformQuantizer::fit", matrix);
    Parameters parameters;
    parameters.scales.resize(scale_count(matrix.rows(), matrix.cols()));
    Eigen::Array<typename Derived::Scalar, Eigen::Dynamic, 1> group;
    for (Index k = 0; k < parameters.scales.size(); ++k) {
      switch (granularity) {
        case Granularity::tensor:
          group = matrix.reshaped();
          break;
        case Granularity::component:
          group = matrix.col(k);
          break;
        case Granularity::row:
          group = matrix.row(k).transpose();
          break;
      }
      parameters.scales[k] = fit_group(group);
    }
    return parameters;
  }

  /// The codes of a matrix. Errors: bits out of range, NaN or infinity, another number of scales than
  /// the matrix has groups, a scale that is not positive and finite.
  template <typename Derived>
  Matrix<Code> encode(const Eigen::MatrixBase<Derived>& matrix, const Parameters& parameters) const {
    validate();
    check_finite("UniformQuantizer::encode", matrix);
    check_scales("UniformQuantizer::encode", matrix.rows(), matrix.cols(), parameters);
    using Scalar = typename Derived::Scalar;
    const Vector<Scalar> scales = parameters.scales.template cast<Scalar>();
    Matrix<Code> codes(matrix.rows(), matrix.cols());
    for (Index r = 0; r < matrix.cols(); ++r) {
      const auto column = matrix.col(r).array();
      if (granularity == Granularity::row)
        codes.col(r) = round_and_clamp(column / scales.array()).template cast<Code>();
      else
        codes.col(r) =
            round_and_clamp(column / scales[granularity == Granularity::tensor ? 0 : r]).template cast<Code>();
    }
    return codes;
  }

  /// What the codes stand for. Errors: another number of scales than the codes have groups, a scale
  /// that is not positive and finite.
  Matrix<float> decode(const Matrix<Code>& codes, const Parameters& parameters) const {
    check_scales("UniformQuantizer::decode", codes.rows(), codes.cols(), parameters);
    switch (granularity) {
      case Granularity::tensor:
        return codes.template cast<float>() * parameters.scales[0];
      case Granularity::component:
        return codes.template cast<float>() * parameters.scales.asDiagonal();
      case Granularity::row:
        break;
    }
    return parameters.scales.asDiagonal() * codes.template cast<float>();
  }

  /// Optional part of the contract: the parameters of column r alone, of a factor of any size.
  Parameters column_parameters(const Parameters& parameters, Index r) const {
    if (granularity != Granularity::component) return parameters;
    return {parameters.scales.segment(r, 1)};
  }

  /// Optional part of the contract: gives column r parameters of its own. Returns false, and does
  /// nothing, where columns share a scale.
  bool set_column_parameters(Parameters& parameters, Index r, const Parameters& column) const {
    if (granularity != Granularity::component) return false;
    parameters.scales[r] = column.scales[0];
    return true;
  }

 private:
  template <typename Values>
  auto round_and_clamp(const Eigen::ArrayBase<Values>& values) const {
    using Scalar = typename Values::Scalar;
    return values.derived().rint().max(static_cast<Scalar>(lowest())).min(static_cast<Scalar>(highest()));
  }

  Index scale_count(Index rows, Index cols) const {
    switch (granularity) {
      case Granularity::tensor:
        return 1;
      case Granularity::component:
        return cols;
      case Granularity::row:
        return rows;
    }
    return 1;
  }

  // The scale that puts magnitude t at the end of the range.
  float scale_for(double t) const {
    const double scale = range == CodeRange::full ? 2 * t / ((1 << bits) - 1) : t / highest();
    // So that neither the scale vanishes nor the lowest code overflows.
    return static_cast<float>(std::clamp(scale, static_cast<double>(std::numeric_limits<float>::min()),
                                         static_cast<double>(std::numeric_limits<float>::max()) / (1 << (bits - 1))));
  }

  template <typename Scalar>
  float fit_group(const Eigen::Array<Scalar, Eigen::Dynamic, 1>& values) const {
    const double largest = values.size() == 0 ? 0.0 : static_cast<double>(values.abs().maxCoeff());
    if (largest == 0) return 1;
    if (largest > static_cast<double>(std::numeric_limits<float>::max()))
      detail::fail("UniformQuantizer::fit", "values must be within the range of float, got one of magnitude ", largest);
    switch (scale_method) {
      case ScaleMethod::maximum:
        break;
      case ScaleMethod::grid:
        return best_of_grid(values, largest, 0.2, 1.2, 200).scale;
      case ScaleMethod::least_squares:
        return least_squares_scale(values, largest);
    }
    return scale_for(largest);
  }

  static constexpr int lanes = 8;  // scales that are tried at once: a vector register of floats

  // A scale and the squared error it leaves, in units of the square of the largest magnitude, where
  // squares neither overflow nor vanish.
  struct Candidate {
    float scale = 1;
    double error = std::numeric_limits<double>::infinity();
    double reach = 1;  // the t of the scale, over the largest magnitude
  };

  // The best of `count` scales (a multiple of `lanes`) for t from `first` to `last` times the largest magnitude.
  template <typename Scalar>
  Candidate best_of_grid(const Eigen::Array<Scalar, Eigen::Dynamic, 1>& values, double largest, double first,
                         double last, int count) const {
    using Lanes = Eigen::Array<Scalar, lanes, 1>;
    Candidate best;
    for (int begin = 0; begin < count; begin += lanes) {
      Candidate candidates[lanes];
      Lanes inverse;
      for (int k = 0; k < lanes; ++k) {
        candidates[k].reach = first + (last - first) * (begin + k) / (count - 1);
        candidates[k].scale = scale_for(largest * candidates[k].reach);
        inverse[k] = Scalar(1) / static_cast<Scalar>(candidates[k].scale);
      }
      // In single precision only over parts short enough.
      constexpr Index part_size = 2048;
      Eigen::Array<double, lanes, 1> errors = Eigen::Array<double, lanes, 1>::Zero();
      for (Index part = 0; part < values.size(); part += part_size) {
        Lanes sum = Lanes::Zero();
        for (Index k = part; k < std::min(part + part_size, values.size()); ++k) {
          const Lanes scaled = values[k] * inverse;
          sum += (scaled - round_and_clamp(scaled)).square();
        }
        errors += sum.template cast<double>();
      }
      for (int k = 0; k < lanes; ++k) {
        const double unit = static_cast<double>(candidates[k].scale) / largest;
        candidates[k].error = errors[k] * unit * unit;
        if (candidates[k].error < best.error) best = candidates[k];
      }
    }
    return best;
  }

  template <typename Scalar>
  float least_squares_scale(const Eigen::Array<Scalar, Eigen::Dynamic, 1>& values, double largest) const {
    constexpr int coarse = 3 * lanes, fine = 2 * lanes;
    constexpr double step = 1.0 / (coarse - 1);
    const Candidate rough = best_of_grid(values, largest, 0.2, 1.2, coarse);
    const Candidate near = best_of_grid(values, largest, rough.reach - step, rough.reach + step, fine);
    Candidate best = near.error < rough.error ? near : rough;
    for (int turn = 0; turn < 2; ++turn) {
      const Scalar inverse = Scalar(1) / static_cast<Scalar>(best.scale);
      const Eigen::Array<Scalar, Eigen::Dynamic, 1> codes = round_and_clamp(values * inverse);
      const double squares = static_cast<double>(codes.square().sum());
      const double match = static_cast<double>((codes * (values * inverse)).sum());
      if (!(squares > 0 && match > 0)) break;
      Candidate refined;
      refined.reach = best.reach * match / squares;
      refined.scale = scale_for(largest * refined.reach);
      const Scalar scale = static_cast<Scalar>(refined.scale);
      const double unit = static_cast<double>(refined.scale) / largest;
      refined.error =
          static_cast<double>((values / scale - round_and_clamp(values / scale)).square().sum()) * unit * unit;
      if (!(refined.error < best.error)) break;
      best = refined;
    }
    return best.scale;
  }

  template <typename Derived>
  static void check_finite(const char* function, const Eigen::MatrixBase<Derived>& matrix) {
    if (!matrix.allFinite()) detail::fail(function, "every entry must be finite, got NaN or infinity");
  }

  void check_scales(const char* function, Index rows, Index cols, const Parameters& parameters) const {
    const Index expected = scale_count(rows, cols);
    if (parameters.scales.size() != expected)
      detail::fail(function, "a ", rows, " x ", cols, " matrix with granularity ", to_string(granularity), " has ",
                   expected, " scales, got ", parameters.scales.size());
    for (const float scale : parameters.scales)
      if (!(scale > 0 && std::isfinite(scale)))
        detail::fail(function, "every scale must be positive and finite, got ", scale);
  }
};

/// 2 to 8 bits, codes in `std::int8_t`.
using UniformQuantizer = BasicUniformQuantizer<std::int8_t>;

/// 2 to 16 bits, codes in `std::int16_t`.
using UniformQuantizer16 = BasicUniformQuantizer<std::int16_t>;

}  // namespace qaf
