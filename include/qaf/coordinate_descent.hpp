#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include <qaf/cp_als.hpp>
#include <qaf/cp_model.hpp>
#include <qaf/detail/products.hpp>
#include <qaf/error.hpp>
#include <qaf/mttkrp.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/quantizer.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// Settings of `coordinate_descent`.
struct CoordinateDescentOptions {
  /// Sweeps over all columns of all factors at the most, 1 or more.
  Index max_iterations = 20;

  /// Ends where a sweep lowers the relative error by no more than this; 0 or more.
  double tolerance = 1e-6;
};

/// Throws `std::invalid_argument` that names the first field out of its range.
inline void validate(const CoordinateDescentOptions& options) {
  if (options.max_iterations < 1)
    detail::fail("CoordinateDescentOptions", "max_iterations must be at least 1, got ", options.max_iterations);
  if (!(options.tolerance >= 0 && std::isfinite(options.tolerance)))
    detail::fail("CoordinateDescentOptions", "tolerance must be 0 or more and finite, got ", options.tolerance);
}

namespace detail {

/// A candidate for one column of a factor.
template <typename Scalar, typename Quantizer>
struct ColumnCandidate {
  Matrix<typename Quantizer::Code> codes;     // I x 1
  typename Quantizer::Parameters parameters;  // of the column alone; only where they are its own
  Vector<Scalar> value;                       // decoded
};

/// The codes of `target` as column r of `factor`, under the parameters that the factor has.
template <typename Scalar, typename Quantizer>
ColumnCandidate<Scalar, Quantizer> encode_column(const QuantizedFactor<Quantizer>& factor, Index r,
                                                 const Matrix<Scalar>& target) {
  const Quantizer& quantizer = factor.quantizer;
  ColumnCandidate<Scalar, Quantizer> candidate;
  if constexpr (is_detected<ColumnParametersResult, Quantizer>) {
    candidate.parameters = quantizer.column_parameters(factor.parameters, r);
    candidate.codes = quantizer.encode(target, candidate.parameters);
    candidate.value = quantizer.decode(candidate.codes, candidate.parameters).template cast<Scalar>();
  } else {
    Matrix<Scalar> all = decode<Scalar>(factor);
    all.col(r) = target;
    const Matrix<typename Quantizer::Code> codes = quantizer.encode(all, factor.parameters);
    candidate.codes = codes.col(r);
    candidate.value = quantizer.decode(codes, factor.parameters).template cast<Scalar>().col(r);
  }
  return candidate;
}

/// Updates the columns of one factor in turn. With `F` and `G` of the mode, weights included, the error
/// is quadratic and, in one column, isotropic: `G_rr |h_r - t|^2` with `t = h_r + (F - H G)_r / G_rr`. So the
/// best column on the grid is the one nearest to t, or the reflection of the one nearest to -t: its sign
/// goes to the weight. A column is replaced only where that is nearer to t than what it is.
template <typename Scalar, typename Quantizer>
void descend_columns(const Matrix<Scalar>& f, const Matrix<Scalar>& g, QuantizedFactor<Quantizer>& factor,
                     Matrix<Scalar>& value, Vector<Scalar>& weights) {
  using Candidate = ColumnCandidate<Scalar, Quantizer>;
  const Quantizer& quantizer = factor.quantizer;
  Matrix<Scalar> hg = product<Scalar>(value, g);
  for (Index r = 0; r < g.rows(); ++r) {
    if (!(g(r, r) > 0)) continue;
    const Matrix<Scalar> target = value.col(r) + (f.col(r) - hg.col(r)) / g(r, r);
    if (!target.allFinite()) continue;
    Scalar least = (value.col(r) - target).squaredNorm();
    Scalar sign = 0;  // of the best candidate; 0 where the column stays
    bool own_parameters = false;
    Candidate best;
    const auto offer = [&](Candidate&& candidate, Scalar reflection, bool own) {
      const Scalar distance = (reflection * candidate.value - target).squaredNorm();
      if (!(distance < least)) return;
      least = distance;
      sign = reflection;
      own_parameters = own;
      best = std::move(candidate);
    };
    for (const Scalar reflection : {Scalar(1), Scalar(-1)}) {
      const Matrix<Scalar> reflected = reflection * target;
      offer(encode_column(factor, r, reflected), reflection, false);
      if constexpr (is_detected<SetColumnParametersResult, Quantizer>) {
        typename Quantizer::Parameters trial = factor.parameters;
        Candidate refitted;
        refitted.parameters = quantizer.fit(reflected);
        if (!quantizer.set_column_parameters(trial, r, refitted.parameters)) continue;
        refitted.codes = quantizer.encode(reflected, refitted.parameters);
        refitted.value = quantizer.decode(refitted.codes, refitted.parameters).template cast<Scalar>();
        offer(std::move(refitted), reflection, true);
      }
    }
    if (sign == 0) continue;
    const Vector<Scalar> step = sign * best.value - value.col(r);
    hg.noalias() += step * g.row(r);
    value.col(r) += step;
    factor.codes.col(r) = best.codes;
    if constexpr (is_detected<SetColumnParametersResult, Quantizer>)
      if (own_parameters) quantizer.set_column_parameters(factor.parameters, r, best.parameters);
    if (sign < 0) weights[r] = -weights[r];
  }
}

/// `coordinate_descent` without its checks, on a tensor of norm `norm > 0`; the weights are those of the
/// tensor scaled to norm 1. Returns the relative error, by the fast formula.
template <typename Scalar, typename Quantizer>
double unchecked_coordinate_descent(const TensorView<Scalar>& tensor, double norm,
                                    QuantizedCpModel<Scalar, Quantizer>& model,
                                    const CoordinateDescentOptions& options) {
  std::vector<Matrix<Scalar>> values, grams;
  for (const QuantizedFactor<Quantizer>& factor : model.factors) {
    values.push_back(decode<Scalar>(factor));
    grams.push_back(gram(values.back()));
  }
  double error = std::numeric_limits<double>::infinity();
  for (Index iteration = 0; iteration < options.max_iterations; ++iteration) {
    const double before = error;
    for (Index mode = 0; mode < tensor.order(); ++mode) {
      const std::size_t n = static_cast<std::size_t>(mode);
      const Vector<Scalar> weights = model.weights;
      const Matrix<Scalar> f =
          unchecked_mttkrp(tensor, values, mode) * (weights / static_cast<Scalar>(norm)).asDiagonal();
      const Matrix<Scalar> g = weights.asDiagonal() * gram_of_others(grams, mode) * weights.asDiagonal();
      Matrix<Scalar> reflected = values[n];  // what the codes stand for, times the signs that went to the weights
      descend_columns(f, g, model.factors[n], reflected, model.weights);
      error = fast_relative_error(1.0, f, reflected, g);
      values[n] = decode<Scalar>(model.factors[n]);
      grams[n] = gram(values[n]);
    }
    if (before - error <= options.tolerance) break;
  }
  return error;
}

}  // namespace detail

/// Coordinate descent on the grid of a quantizer: column after column, mode after mode, the codes are
/// replaced by the best ones for the columns as they stand, with parameters fitted anew where a column has
/// its own. The error never rises. For the optional members of a quantizer that make it fast and let it
/// refit, see `IdentityQuantizer`.
///
/// Errors: a model of another size, an option out of range, NaN or infinity in the tensor.
/// Cost of a sweep: N MTTKRPs, `4 I_n R^2` flops a mode, and 2 fits of every column; for a quantizer without
/// `column_parameters` also 2 R encodings of every factor. Returns the relative error, by the fast formula.
template <typename Tensor, typename Quantizer, typename Scalar = detail::TensorScalar<Tensor>>
double coordinate_descent(const Tensor& tensor, QuantizedCpModel<Scalar, Quantizer>& model,
                          const CoordinateDescentOptions& options = {}) {
  const auto view = detail::floating_point_view<Scalar>(tensor);
  validate(options);
  const double norm = detail::frobenius_norm("coordinate_descent", view);
  detail::check_start("coordinate_descent", view, decode(model));
  if (norm == 0) {
    model.weights.setZero();
    return 0;
  }
  model.weights /= static_cast<Scalar>(norm);
  const double error = detail::unchecked_coordinate_descent(view, norm, model, options);
  model.weights *= static_cast<Scalar>(norm);
  return error;
}

}  // namespace qaf
