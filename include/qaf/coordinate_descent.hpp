#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <utility>

#include <qaf/cp_model.hpp>
#include <qaf/detail/alternating_problem.hpp>
#include <qaf/detail/columns.hpp>
#include <qaf/detail/products.hpp>
#include <qaf/error.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/quantizer.hpp>
#include <qaf/resources.hpp>
#include <qaf/types.hpp>
#include <qaf/weighted_tensor.hpp>

namespace qaf {

/// Settings of `coordinate_descent`.
struct CoordinateDescentOptions {
  /// Sweeps over all columns of all factors at the most, 1 or more.
  Index max_iterations = 20;

  /// Ends where a sweep lowers the relative error by no more than this; 0 or more.
  double tolerance = 1e-6;

  /// In `cp_admm` not used: there all steps share its own.
  Resources resources = {};
};

/// Throws `std::invalid_argument` that names the first field out of its range.
inline void validate(const CoordinateDescentOptions& options) {
  if (options.max_iterations < 1)
    detail::fail("CoordinateDescentOptions", "max_iterations must be at least 1, got ", options.max_iterations);
  if (!(options.tolerance >= 0 && std::isfinite(options.tolerance)))
    detail::fail("CoordinateDescentOptions", "tolerance must be 0 or more and finite, got ", options.tolerance);
  validate(options.resources);
}

namespace detail {

/// A candidate for one column of a factor: `sign * value`, whose sign is to go to the weight.
template <typename Scalar, typename Quantizer>
struct ColumnCandidate {
  Scalar sign = 1;
  Matrix<typename Quantizer::Code> codes;     // I x 1
  typename Quantizer::Parameters parameters;  // of the column alone, where the quantizer tells them
  Vector<Scalar> value;                       // decoded
  bool is_refitted = false;                   // the parameters are to become those of the column
};

/// The codes of `sign * target` as column r of `factor`, under the parameters that the factor has.
template <typename Scalar, typename Quantizer>
ColumnCandidate<Scalar, Quantizer> encode_column(const QuantizedFactor<Quantizer>& factor, Index r,
                                                 const Matrix<Scalar>& target, Scalar sign) {
  const Quantizer& quantizer = factor.quantizer;
  ColumnCandidate<Scalar, Quantizer> candidate;
  candidate.sign = sign;
  if constexpr (is_detected<ColumnParametersResult, Quantizer>) {
    candidate.parameters = quantizer.column_parameters(factor.parameters, r);
    candidate.codes = quantizer.encode(Matrix<Scalar>(sign * target), candidate.parameters);
    candidate.value = quantizer.decode(candidate.codes, candidate.parameters).template cast<Scalar>();
  } else {
    Matrix<Scalar> all = decode<Scalar>(factor);
    all.col(r) = sign * target;
    const Matrix<typename Quantizer::Code> codes = quantizer.encode(all, factor.parameters);
    candidate.codes = codes.col(r);
    candidate.value = quantizer.decode(codes, factor.parameters).template cast<Scalar>().col(r);
  }
  return candidate;
}

/// The same under parameters fitted to it; nothing where columns share theirs.
template <typename Scalar, typename Quantizer>
std::optional<ColumnCandidate<Scalar, Quantizer>> refit_column(const QuantizedFactor<Quantizer>& factor, Index r,
                                                               const Matrix<Scalar>& target, Scalar sign) {
  const Quantizer& quantizer = factor.quantizer;
  const Matrix<Scalar> reflected = sign * target;
  ColumnCandidate<Scalar, Quantizer> candidate;
  candidate.sign = sign;
  candidate.is_refitted = true;
  candidate.parameters = quantizer.fit(reflected);
  typename Quantizer::Parameters trial = factor.parameters;
  if (!quantizer.set_column_parameters(trial, r, candidate.parameters)) return std::nullopt;
  candidate.codes = quantizer.encode(reflected, candidate.parameters);
  candidate.value = quantizer.decode(candidate.codes, candidate.parameters).template cast<Scalar>();
  return candidate;
}

/// Column r as it stands.
template <typename Scalar, typename Quantizer>
ColumnCandidate<Scalar, Quantizer> standing_column(const QuantizedFactor<Quantizer>& factor, Index r) {
  ColumnCandidate<Scalar, Quantizer> candidate;
  candidate.codes = factor.codes.col(r);
  candidate.parameters = factor.quantizer.column_parameters(factor.parameters, r);
  candidate.value = factor.quantizer.decode(candidate.codes, candidate.parameters).template cast<Scalar>();
  return candidate;
}

/// Improves a candidate entry by entry in the metric M: with the others as they are, the best value of entry j is
/// `x_j - (M (x - t))_j / M_jj`. An entry is replaced only where that brings the candidate nearer to the target.
template <typename Scalar, typename Quantizer>
ColumnCandidate<Scalar, Quantizer> descend_entries(const Quantizer& quantizer, const ModeMetric<Scalar>& metric,
                                                   const Matrix<Scalar>& target,
                                                   ColumnCandidate<Scalar, Quantizer> candidate) {
  constexpr int turns = 2;
  Vector<Scalar> pull = Vector<Scalar>::Zero(target.rows());
  for (Index j = 0; j < target.rows(); ++j)
    pull += (candidate.value[j] - candidate.sign * target(j, 0)) * metric.matrix.col(j);
  for (int turn = 0; turn < turns; ++turn) {
    for (Index j = 0; j < target.rows(); ++j) {
      Matrix<Scalar> goal = candidate.value;
      goal(j, 0) -= pull[j] / metric.matrix(j, j);
      const Matrix<typename Quantizer::Code> codes = quantizer.encode(goal, candidate.parameters);
      if (codes(j, 0) == candidate.codes(j, 0)) continue;
      const Scalar value = static_cast<Scalar>(quantizer.decode(codes, candidate.parameters)(j, 0));
      const Scalar step = value - candidate.value[j];
      if (!(step * (2 * pull[j] + step * metric.matrix(j, j)) < 0)) continue;
      candidate.codes(j, 0) = codes(j, 0);
      candidate.value[j] = value;
      pull += step * metric.matrix.col(j);
    }
  }
  return candidate;
}

/// The candidate for column r nearest to `target` in the metric; nothing where none is nearer than `standing`, the
/// column as it stands.
template <typename Scalar, typename Quantizer>
std::optional<ColumnCandidate<Scalar, Quantizer>> nearer_column(const QuantizedFactor<Quantizer>& factor, Index r,
                                                                const ModeMetric<Scalar>& metric,
                                                                const Vector<Scalar>& standing,
                                                                const Matrix<Scalar>& target) {
  using Candidate = ColumnCandidate<Scalar, Quantizer>;
  std::optional<Candidate> best;
  Scalar least = metric.squared_length(standing - target);
  const auto offer = [&](Candidate&& candidate) {
    const Scalar distance = metric.squared_length(candidate.sign * candidate.value - target);
    if (!(distance < least)) return;
    least = distance;
    best = std::move(candidate);
  };
  for (const Scalar sign : {Scalar(1), Scalar(-1)}) {
    offer(encode_column(factor, r, target, sign));
    if constexpr (is_detected<SetColumnParametersResult, Quantizer>)
      if (auto refitted = refit_column(factor, r, target, sign)) offer(std::move(*refitted));
  }
  if constexpr (is_detected<ColumnParametersResult, Quantizer>)
    if (!metric.is_diagonal())
      offer(descend_entries(factor.quantizer, metric, target, best ? *best : standing_column<Scalar>(factor, r)));
  return best;
}

/// Updates the columns of one factor in turn. With `F` and `G` of the mode, the model's weights included, the error
/// is quadratic in one column: `G_rr |h_r - t|^2` in the metric of the mode, with `t = h_r + (F - H G)_r / G_rr`. So
/// the best column on the grid is the one nearest to t, or the reflection of the one nearest to -t: its sign goes to
/// the weight. A column is replaced only where that is nearer to t than what it is. In a metric that is not diagonal
/// the nearest column is searched for entry by entry. `value` is the decoded factor. Returns the squared error.
///
/// Columns are taken in blocks: within a block `H G` follows every change, outside it is brought up to date by one
/// product of matrices for all changes of the block.
template <typename Scalar, typename Quantizer>
double descend_columns(const ModeMetric<Scalar>& metric, const Matrix<Scalar>& f, const Matrix<Scalar>& g, int threads,
                       Matrix<Scalar> value, QuantizedFactor<Quantizer>& factor, Vector<Scalar>& weights) {
  constexpr Index columns_of_block = 64;
  const Index rank = g.rows();
  Matrix<Scalar> hg = product(value, g, threads);
  for (Index begin = 0; begin < rank; begin += columns_of_block) {
    const Index count = std::min(columns_of_block, rank - begin);
    Matrix<Scalar> steps = Matrix<Scalar>::Zero(value.rows(), count);
    for (Index k = 0; k < count; ++k) {
      const Index r = begin + k;
      if (!(g(r, r) > 0)) continue;
      const Matrix<Scalar> target = value.col(r) + (f.col(r) - hg.col(r)) / g(r, r);
      if (!target.allFinite()) continue;
      // Beyond float's range a quantizer may have no scale.
      if (target.cwiseAbs().maxCoeff() > static_cast<Scalar>(std::numeric_limits<float>::max())) continue;
      const auto best = nearer_column<Scalar>(factor, r, metric, value.col(r), target);
      if (!best) continue;
      steps.col(k) = best->sign * best->value - value.col(r);
      for (Index j = begin; j < begin + count; ++j) hg.col(j) += g(j, r) * steps.col(k);
      value.col(r) += steps.col(k);
      factor.codes.col(r) = best->codes;
      if constexpr (is_detected<SetColumnParametersResult, Quantizer>)
        if (best->is_refitted) factor.quantizer.set_column_parameters(factor.parameters, r, best->parameters);
      weights[r] *= best->sign;
    }
    const Matrix<Scalar> change = product<Scalar>(steps, g.middleRows(begin, count), threads);
    hg.leftCols(begin) += change.leftCols(begin);
    hg.rightCols(rank - begin - count) += change.rightCols(rank - begin - count);
  }
  const Matrix<Scalar> seen = metric.times(value, threads);
  return 1 + inner_product(hg, seen) - 2 * inner_product(f, seen);
}

/// `coordinate_descent` without its checks. The factors in `problem` are the decoded ones of `model`, whose weights are
/// those of the tensor scaled to norm 1. Returns the relative error, by the fast formula.
template <typename Scalar, typename Quantizer>
double unchecked_coordinate_descent(AlternatingProblem<Scalar>& problem, QuantizedCpModel<Scalar, Quantizer>& model,
                                    const CoordinateDescentOptions& options) {
  double error = std::numeric_limits<double>::infinity();
  for (Index iteration = 0; iteration < options.max_iterations; ++iteration) {
    const double before = error;
    for (Index mode = 0; mode < problem.order(); ++mode) {
      const std::size_t n = static_cast<std::size_t>(mode);
      const Matrix<Scalar> f = with_scaled_columns(problem.mttkrp(mode), model.weights);
      Matrix<Scalar> g = with_scaled_columns(problem.gram_of_others(mode), model.weights);
      for (Index r = 0; r < g.rows(); ++r) g.row(r) *= model.weights[r];
      const double squared = descend_columns<Scalar>(problem.metric(mode), f, g, problem.threads(),
                                                     problem.factor(mode), model.factors[n], model.weights);
      problem.set_factor(mode, decode<Scalar>(model.factors[n]));
      error = root_of_cancelled_sum(squared);
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
/// Cost of a sweep: MTTKRPs as in `cp_als`, `4 I_n R^2` flops a mode, and 2 fits of every column; for a quantizer
/// without `column_parameters` also 2 R encodings of every factor. Returns the relative error, by the fast formula.
template <typename Tensor, typename Quantizer, typename Scalar = detail::TensorScalar<Tensor>>
double coordinate_descent(const Tensor& tensor, QuantizedCpModel<Scalar, Quantizer>& model,
                          const CoordinateDescentOptions& options = {}) {
  const WeightedTensor<Scalar> weighted = detail::weighted_view<Scalar>(tensor);
  validate(options);
  const double norm = detail::weighted_norm("coordinate_descent", weighted, options.resources);
  CpModel<Scalar> decoded = decode(model);
  detail::check_start("coordinate_descent", weighted.view(), decoded);
  if (norm == 0) {
    model.weights.setZero();
    return 0;
  }
  Vector<Scalar> weights = detail::weights_over_norm(decoded, norm);
  if (!weights.allFinite())
    detail::fail("coordinate_descent", "the weights of the model, over the norm of the tensor ", norm,
                 ", must be within the range of the scalar type, got ", model.weights.cwiseAbs().maxCoeff());
  model.weights = std::move(weights);
  detail::AlternatingProblem<Scalar> problem(weighted, norm, model.rank(), true, options.resources);
  problem.set_factors(std::move(decoded.factors));
  const double error = detail::unchecked_coordinate_descent(problem, model, options);
  if (!detail::scale_to_norm(norm, model.weights)) return error;
  return detail::direct_relative_error(weighted, decode(model), norm, problem.threads());
}

}  // namespace qaf
