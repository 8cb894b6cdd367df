#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <Eigen/Cholesky>

#include <qaf/cp_model.hpp>
#include <qaf/error.hpp>
#include <qaf/initialize.hpp>
#include <qaf/mttkrp.hpp>
#include <qaf/status.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// Settings of `cp_als`.
struct CpAlsOptions {
  /// Sweeps over all modes at the most, 1 or more. Weights of convolutions still gain after hundreds.
  Index max_iterations = 200;

  /// Ends where a sweep changes the relative error by no more than this; 0 or more. By 0 only an
  /// error that no longer changes at all ends early.
  double tolerance = 1e-6;

  /// Adds `ridge * sum(weights^2)` (columns of norm 1) to the squared error `|X - Xhat|^2` that is
  /// minimized; 0 or more. Small values (1e-4 to 1e-2) keep components from growing against each
  /// other, which costs a little error and makes the factors far easier to quantize.
  double ridge = 0;

  /// Starts each sweep from a point beyond the last one, on the line from the one before: for weights of
  /// convolutions a lower error after 100 sweeps than after 400 plain ones. A sweep that overshoots is thrown away and
  /// the momentum lost. Off, this is the textbook's method.
  bool extrapolate = false;

  /// Of the random start.
  std::uint64_t seed = 0;

  /// Told of every sweep; returns false to stop.
  IterationCallback on_iteration = {};
};

/// Throws `std::invalid_argument` that names the first field out of its range.
inline void validate(const CpAlsOptions& options) {
  if (options.max_iterations < 1)
    detail::fail("CpAlsOptions", "max_iterations must be at least 1, got ", options.max_iterations);
  if (!(options.tolerance >= 0 && std::isfinite(options.tolerance)))
    detail::fail("CpAlsOptions", "tolerance must be 0 or more and finite, got ", options.tolerance);
  if (!(options.ridge >= 0 && std::isfinite(options.ridge)))
    detail::fail("CpAlsOptions", "ridge must be 0 or more and finite, got ", options.ridge);
}

/// What `cp_als` returns.
template <typename Scalar>
struct CpAlsResult {
  CpModel<Scalar> model;      ///< normalized, the best seen
  double relative_error = 0;  ///< of this model, computed from the entries (`relative_error`)
  Status status = Status::max_iterations;
  Index iterations = 0;         ///< sweeps done
  std::vector<double> history;  ///< relative error after every sweep, by the fast formula
  double seconds = 0;           ///< elapsed
  std::uint64_t seed = 0;       ///< the seed used
};

namespace detail {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Replaces `right_side` (`I x R`) by `right_side M^-1`, from the Cholesky factorization of M.
template <typename Scalar>
void solve_on_the_right(const Eigen::LLT<Matrix<Scalar>>& cholesky, Matrix<Scalar>& right_side) {
  cholesky.matrixU().template solveInPlace<Eigen::OnTheRight>(right_side);
  cholesky.matrixL().template solveInPlace<Eigen::OnTheRight>(right_side);
}

/// One least-squares update of a factor: with `M = G + ridge diag(G)` it moves `A` to the minimizer of
/// `tr(A M A^T) - 2 tr(A F^T) + sum_r d_r |a_r - a_r,old|^2`. A damping d of the size of the rounding errors
/// makes a singular `M` harmless and, unlike a ridge, leaves the minimizers where they are; and since
/// the solve is applied to the residual, its own errors shrink with the steps.
template <typename Scalar>
void least_squares_update(const Matrix<Scalar>& mttkrp, Matrix<Scalar> gram, double ridge, Matrix<Scalar>& factor) {
  const Vector<Scalar> diagonal = gram.diagonal();
  gram.diagonal() += static_cast<Scalar>(ridge) * diagonal;
  Matrix<Scalar> step = mttkrp - product<Scalar>(factor, gram);
  const Scalar rounding = 4 * std::numeric_limits<Scalar>::epsilon() * static_cast<Scalar>(gram.rows());
  gram.diagonal().array() += rounding * diagonal.array() + std::numeric_limits<Scalar>::min();  // columns may be zero
  const Eigen::LLT<Matrix<Scalar>> cholesky(gram);
  solve_on_the_right(cholesky, step);
  factor += step;
}

/// What a sweep reached, for a tensor of norm 1.
struct AlsObjective {
  double error;      // relative
  double penalized;  // error^2 + ridge * sum(weights^2), what the sweep minimizes
};

/// One sweep over all modes. `factors` are balanced, and stay so.
template <typename Scalar>
AlsObjective als_sweep(const TensorView<Scalar>& tensor, double norm, double ridge, CpModel<Scalar>& model) {
  std::vector<Matrix<Scalar>> grams;
  for (const Matrix<Scalar>& factor : model.factors) grams.push_back(gram(factor));
  AlsObjective objective{};
  for (Index mode = 0; mode < tensor.order(); ++mode) {
    const std::size_t n = static_cast<std::size_t>(mode);
    const Matrix<Scalar> f = unchecked_mttkrp(tensor, model.factors, mode) / static_cast<Scalar>(norm);
    const Matrix<Scalar> g = gram_of_others(grams, mode);
    least_squares_update(f, g, ridge, model.factors[n]);
    grams[n] = gram(model.factors[n]);
    if (mode + 1 == tensor.order()) {
      objective.error = fast_relative_error(1.0, f, model.factors[n], g);
      const double weights = g.diagonal().cwiseProduct(grams[n].diagonal()).template cast<double>().sum();
      objective.penalized = objective.error * objective.error + ridge * weights;
    }
  }
  balance(model);
  return objective;
}

/// The zero model, of a tensor of zeros.
template <typename Scalar>
CpModel<Scalar> zero_model(const std::vector<Index>& dimensions, Index rank) {
  CpModel<Scalar> model;
  for (const Index length : dimensions) model.factors.push_back(Matrix<Scalar>::Zero(length, rank));
  model.weights = Vector<Scalar>::Zero(rank);
  return model;
}

/// `cp_als` without its checks, on a tensor of norm `norm > 0`.
template <typename Scalar>
CpAlsResult<Scalar> run_cp_als(const TensorView<Scalar>& tensor, double norm, CpModel<Scalar> model,
                               const CpAlsOptions& options) {
  const Stopwatch stopwatch;
  CpAlsResult<Scalar> result;
  result.seed = options.seed;
  // From here on the tensor is the one scaled to norm 1: its MTTKRPs are divided by the norm, and the
  // weights are multiplied by it at the end, so that no Gram matrix overflows whatever the data's scale.
  model.weights /= static_cast<Scalar>(norm);
  balance(model);
  CpModel<Scalar> previous = model;
  AlsObjective reached{std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  Index momentum = 0;                                                         // sweeps since the last restart
  constexpr double rounding = 16.0 * std::numeric_limits<Scalar>::epsilon();  // of the penalized error
  while (result.iterations < options.max_iterations) {
    CpModel<Scalar> next = model;
    const bool extrapolated = options.extrapolate && momentum > 1;
    if (extrapolated) {
      const Scalar beta = static_cast<Scalar>(momentum - 1) / static_cast<Scalar>(momentum + 2);
      for (std::size_t n = 0; n < next.factors.size(); ++n)
        next.factors[n] += beta * (model.factors[n] - previous.factors[n]);
    }
    const AlsObjective objective = als_sweep(tensor, norm, options.ridge, next);
    const bool overshot = extrapolated && !(objective.penalized <= reached.penalized + rounding);
    if (!overshot && !std::isfinite(objective.penalized)) {
      result.status = Status::not_finite;
      break;
    }
    const double change = std::abs(reached.error - objective.error);
    if (overshot) {
      momentum = 0;  // the step is thrown away; the next sweep starts from where this one did
    } else {
      previous = std::move(model);
      model = std::move(next);
      reached = objective;
      ++momentum;
    }
    ++result.iterations;
    result.history.push_back(reached.error);
    if (options.on_iteration &&
        !options.on_iteration({result.iterations, options.max_iterations, reached.error, reached.error})) {
      result.status = Status::stopped_by_callback;
      break;
    }
    if (!overshot && change <= options.tolerance) {
      result.status = Status::converged;
      break;
    }
  }
  model.weights *= static_cast<Scalar>(norm);
  normalize(model);
  result.relative_error = direct_relative_error(tensor, model, norm);
  result.model = std::move(model);
  result.seconds = stopwatch.seconds();
  return result;
}

template <typename Scalar>
CpAlsResult<Scalar> zero_result(const std::vector<Index>& dimensions, Index rank, std::uint64_t seed) {
  CpAlsResult<Scalar> result;
  result.model = zero_model<Scalar>(dimensions, rank);
  result.status = Status::converged;
  result.seed = seed;
  return result;
}

}  // namespace detail

/// Fits a CP model of the given rank to a tensor by alternating least squares (Carroll and Chang
/// 1970, Harshman 1970): with all factors but one fixed, the best one is `A_n = F (G + ridge diag G)^-1`,
/// mode after mode; on request with extrapolation and restart (Mitchell, Ye and De Sterck 2020). The error never
/// rises (with a ridge: the penalized error). It starts from
/// `initialize_random`; from anything else, such as `initialize_gram_eigenvectors`, by the overload below.
///
/// `tensor`: anything `tensor_view` takes, of float or double; not changed. A tensor of zeros gives
/// the zero model with error 0.
/// Errors: rank below 1, an option out of range, NaN or infinity in the tensor.
/// Cost of a sweep: `2 N prod(I) R` flops for the N MTTKRPs, `R^3 / 3 + 4 I_n R^2` a mode for the rest.
template <typename Tensor, typename Scalar = detail::TensorScalar<Tensor>>
CpAlsResult<Scalar> cp_als(const Tensor& tensor, Index rank, const CpAlsOptions& options = {}) {
  const TensorView<Scalar> view = detail::floating_point_view(tensor);
  if (rank < 1) detail::fail("cp_als", "rank must be at least 1, got ", rank);
  validate(options);
  const double norm = detail::frobenius_norm("cp_als", view);
  if (norm == 0) return detail::zero_result<Scalar>(view.dimensions(), rank, options.seed);
  CpModel<Scalar> start = initialize_random<Scalar>(view.dimensions(), rank, options.seed);
  start.weights *= static_cast<Scalar>(norm);
  return detail::run_cp_als(view, norm, std::move(start), options);
}

/// The same from a given model, which is copied; `options.seed` is not used.
/// Errors: also a model of another size, or with NaN or infinity.
template <typename Tensor, typename Scalar = detail::TensorScalar<Tensor>>
CpAlsResult<Scalar> cp_als(const Tensor& tensor, const CpModel<Scalar>& start, const CpAlsOptions& options = {}) {
  const auto view = detail::floating_point_view<Scalar>(tensor);
  validate(options);
  detail::check_start("cp_als", view, start);
  const double norm = detail::frobenius_norm("cp_als", view);
  if (norm == 0) return detail::zero_result<Scalar>(view.dimensions(), start.rank(), options.seed);
  return detail::run_cp_als(view, norm, start, options);
}

}  // namespace qaf
