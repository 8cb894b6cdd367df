#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <Eigen/Eigenvalues>

#include <qaf/cp_als.hpp>
#include <qaf/cp_model.hpp>
#include <qaf/detail/alternating_problem.hpp>
#include <qaf/detail/mode_metric.hpp>
#include <qaf/error.hpp>
#include <qaf/resources.hpp>
#include <qaf/status.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>
#include <qaf/weighted_tensor.hpp>

namespace qaf {

/// Settings of `error_preserving_correction`.
struct ErrorPreservingCorrectionOptions {
  /// Sweeps over all modes at the most, 1 or more.
  Index max_iterations = 500;

  /// The relative error may rise to `1 + slack` times that of the start; 0 or more. A start that no single factor can
  /// improve leaves no room without it.
  double slack = 0;

  /// Ends where a sweep lowers the sum of the squared weights by no more than this part of it; 0 or more.
  double tolerance = 1e-6;

  /// Threads and memory.
  Resources resources = {};

  /// Told of every sweep; returns false to stop.
  IterationCallback on_iteration = {};
};

/// Throws `std::invalid_argument` that names the first field out of its range.
inline void validate(const ErrorPreservingCorrectionOptions& options) {
  constexpr const char* name = "ErrorPreservingCorrectionOptions";
  if (options.max_iterations < 1) detail::fail(name, "max_iterations must be at least 1, got ", options.max_iterations);
  if (!(options.slack >= 0 && std::isfinite(options.slack)))
    detail::fail(name, "slack must be 0 or more and finite, got ", options.slack);
  if (!(options.tolerance >= 0 && std::isfinite(options.tolerance)))
    detail::fail(name, "tolerance must be 0 or more and finite, got ", options.tolerance);
  validate(options.resources);
}

/// What `error_preserving_correction` returns.
template <typename Scalar>
struct ErrorPreservingCorrectionResult {
  CpModel<Scalar> model;                   ///< normalized, the best seen, which is the last
  double relative_error = 0;               ///< of this model, computed from the entries (`relative_error`)
  double weights_norm = 0;                 ///< `sqrt(sum_r lambda_r^2) / |X|` of this model
  double start_weights_norm = 0;           ///< the same of the start
  Status status = Status::max_iterations;  ///< converged: by `tolerance` as told there; stalled: see the function
  Index iterations = 0;                    ///< sweeps done
  std::vector<double> history;             ///< `sum_r lambda_r^2 / |X|^2` after every sweep
  double seconds = 0;                      ///< elapsed
};

namespace detail {

// Templates of `Real`, which is double, so that only programs that call them compile an eigenvalue solver.

/// The squared relative error of the factor `A_n(mu)` of `least_norm_factor`, which rises with the damping mu from the
/// least possible to 1: `e^2(mu) = 1 + sum_jk p_jk m_j (s_k h_jk^2 - 2 h_jk)` with `h_jk = m_j / (m_j s_k + mu)`.
template <typename Real>
struct SecularEquation {
  Matrix<Real> powers;    // p: the squares of F in the eigenvectors of M and G; one row, of sums, where all weigh 1
  Vector<Real> metric;    // m: eigenvalues of M
  Vector<Real> spectrum;  // s: eigenvalues of G, 0 or more

  double damped(Index j, Index k, double mu) const { return metric[j] / (metric[j] * spectrum[k] + mu); }

  /// The squared error, and its derivative by the logarithm of mu.
  std::pair<double, double> at(double mu) const {
    double error = 1, slope = 0;
    for (Index k = 0; k < powers.cols(); ++k) {
      for (Index j = 0; j < powers.rows(); ++j) {
        const double h = damped(j, k, mu);
        error += powers(j, k) * metric[j] * h * (spectrum[k] * h - 2);
        slope += 2 * powers(j, k) * h * h * h * mu * mu / metric[j];
      }
    }
    return {error, slope};
  }

  /// The largest mu with a squared error of at most `bound` < 1, to some 12 digits and never beyond it; 0 where there
  /// is none above 0. Newton's method on the logarithm of mu, by bisection where that leaves the bracket.
  double largest_damping(double bound) const {
    constexpr double tiny = std::numeric_limits<double>::epsilon() * std::numeric_limits<double>::epsilon();
    const double scale = metric.maxCoeff() * spectrum.maxCoeff();
    // Since e^2(mu) > 1 - 2 sum p m^2 / mu, this is too large.
    const double most = 2 * (metric.cwiseAbs2().transpose() * powers).sum() / (1 - bound);
    double low = std::log(tiny * scale), high = std::log(std::max(most, 2 * tiny * scale));
    if (!(std::isfinite(low) && std::isfinite(high) && at(std::exp(low)).first <= bound)) return 0;
    double guess = (low + high) / 2;
    for (int step = 0; step < 200 && high - low > 1e-12; ++step) {
      const auto [error, slope] = at(std::exp(guess));
      (error <= bound ? low : high) = guess;
      const double newton = guess + (bound - error) / slope;
      // A nudge towards the other side of the root, so that both ends of the bracket close in.
      const double nudged = newton + (error <= bound ? 0.25e-12 : -0.25e-12);
      guess = nudged > low && nudged < high ? nudged : (low + high) / 2;
    }
    return std::exp(low);
  }
};

/// A factor with its damping.
template <typename Real>
struct DampedFactor {
  Matrix<Real> factor;  // A, I x R
  double damping = 0;   // mu; 0 where no factor meets the bound, infinite where zeros do
};

/// Among all factors A (`I x R`) with a squared error `1 + tr(A^T M A G) - 2 tr(A^T M F)` of at most `bound` the one
/// with the least `|A|^2`: the solution of `M A G + mu A = M F`, which is `A = F (G + mu I)^-1` where all weigh 1, with
/// the largest mu that keeps the bound. Cost: an eigenvalue decomposition, about `9 R^3`, `4 I R^2` flops, and for a
/// full metric `4 I^2 R`.
template <typename Real>
DampedFactor<Real> least_norm_factor(const ModeMetric<Real>& metric, const Matrix<Real>& f, const Matrix<Real>& g,
                                     double bound, int threads) {
  DampedFactor<Real> result;
  if (bound >= 1) {
    result.factor.setZero(f.rows(), f.cols());
    result.damping = std::numeric_limits<double>::infinity();
    return result;
  }
  const Eigen::SelfAdjointEigenSolver<Matrix<Real>> solver(g);
  Matrix<Real> rotated = product(f, solver.eigenvectors(), threads);
  if (!metric.is_diagonal()) rotated = transposed_product(metric.eigenvectors, rotated, threads);
  SecularEquation<Real> equation{rotated.cwiseAbs2(), metric.eigenvalues, solver.eigenvalues().cwiseMax(0.0)};
  if (metric.is_plain()) {
    equation.powers = equation.powers.colwise().sum().eval();
    equation.metric = Vector<Real>::Ones(1);
  }
  result.damping = equation.largest_damping(bound);
  if (!(result.damping > 0)) return result;
  for (Index k = 0; k < rotated.cols(); ++k)
    for (Index i = 0; i < rotated.rows(); ++i)
      rotated(i, k) *= equation.damped(metric.is_plain() ? 0 : i, k, result.damping);
  if (!metric.is_diagonal()) rotated = product(metric.eigenvectors, rotated, threads);
  result.factor = product<Real>(rotated, solver.eigenvectors().transpose(), threads);
  return result;
}

/// The iterate of `error_preserving_correction`: factors with columns of norm 1, and weights. All but the MTTKRPs is in
/// double, since weights many times larger than the tensor cancel in the error.
template <typename Scalar>
class CorrectionState {
 public:
  /// `model` is of the tensor scaled to norm 1; `problem` must outlive this.
  CorrectionState(AlternatingProblem<Scalar>& problem, CpModel<Scalar> model, double norm) : problem_(problem) {
    constexpr double most = 1e150;  // squares of weights stay in range
    weights_ = normalize_factors(model);
    const double largest = std::max(weights_.cwiseAbs().maxCoeff() / most, norm);
    weights_ /= largest;
    problem_.set_factors(std::move(model.factors));
    for (Index mode = 0; mode < problem_.order(); ++mode) {
      const ModeMetric<Scalar>& metric = problem_.metric(mode);
      metrics_.push_back({metric.matrix.template cast<double>(),
                          metric.eigenvectors.template cast<double>(),
                          metric.eigenvalues.template cast<double>(),
                          {}});
      grams_.push_back(gram(mode));
    }
  }

  double squared_weights() const { return weights_.squaredNorm(); }

  /// What rounding may change in a squared error: that of the MTTKRPs, and in double that of the Gram matrices.
  double rounding() const {
    constexpr double single = std::numeric_limits<Scalar>::epsilon(), all = std::numeric_limits<double>::epsilon();
    return 2 * single * (1 + weights_.norm()) + 2 * all * weights_.squaredNorm();
  }

  /// Replaces a factor and the weights by those of the least weights within `bound`, the square of a relative error,
  /// where such are less than the present ones. Returns the relative error after it.
  double update(Index mode, double bound) {
    const std::size_t n = static_cast<std::size_t>(mode);
    const Matrix<double> f = problem_.mttkrp(mode).template cast<double>();
    const Matrix<double> g = qaf::gram_of_others(grams_, mode);
    const double now = squared_error(mode, f, g);
    if (!std::isfinite(now)) return now;
    // An error above the bound by no more than rounding may stay, but not rise.
    Matrix<double> factor =
        least_norm_factor(metrics_[n], f, g, std::max(bound, std::min(now, bound + rounding())), problem_.threads())
            .factor;
    if (factor.size() == 0 || !(factor.squaredNorm() < squared_weights())) return std::sqrt(std::max(now, 0.0));
    weights_ = normalize_columns(factor);
    problem_.set_factor(mode, factor.template cast<Scalar>());
    grams_[n] = gram(mode);
    return std::sqrt(std::max(squared_error(mode, f, g), 0.0));
  }

  /// The model, of a tensor of norm `norm`, normalized.
  CpModel<Scalar> model(double norm) const {
    CpModel<Scalar> result{problem_.factors(), (weights_ * norm).template cast<Scalar>()};
    normalize(result);
    return result;
  }

 private:
  // `A^T M A` of a factor of norm 1.
  Matrix<double> gram(Index mode) const {
    const Matrix<double> factor = problem_.factor(mode).template cast<double>();
    const int threads = problem_.threads();
    return transposed_product(factor, metrics_[static_cast<std::size_t>(mode)].times(factor, threads), threads);
  }

  double squared_error(Index mode, const Matrix<double>& f, const Matrix<double>& g) const {
    const std::size_t n = static_cast<std::size_t>(mode);
    const Matrix<double> seen = metrics_[n].times(problem_.factor(mode).template cast<double>(), problem_.threads());
    const Vector<double> inner = f.cwiseProduct(seen).colwise().sum();
    return 1 - 2 * inner.dot(weights_) + weights_.dot(g.cwiseProduct(grams_[n]) * weights_);
  }

  AlternatingProblem<Scalar>& problem_;
  Vector<double> weights_;
  std::vector<ModeMetric<double>> metrics_;
  std::vector<Matrix<double>> grams_;
};

/// `error_preserving_correction` without its checks, on a tensor of norm `norm > 0`.
template <typename Scalar>
ErrorPreservingCorrectionResult<Scalar> run_error_preserving_correction(
    const WeightedTensor<Scalar>& tensor, double norm, const CpModel<Scalar>& start,
    const ErrorPreservingCorrectionOptions& options) {
  const Stopwatch stopwatch;
  ErrorPreservingCorrectionResult<Scalar> result;
  AlternatingProblem<Scalar> problem(tensor, norm, start.rank(), true, options.resources);
  const double bound = (1 + options.slack) * direct_relative_error(tensor, start, norm, problem.threads());
  CorrectionState<Scalar> state(problem, start, norm);
  double squared = state.squared_weights();
  result.start_weights_norm = std::sqrt(squared);
  double best_error = std::numeric_limits<double>::infinity();
  const bool visible = bound * bound >= 10 * state.rounding();
  if (!visible) result.status = Status::stalled;
  while (visible && result.iterations < options.max_iterations) {
    double error = 0;
    for (Index mode = 0; mode < problem.order() && std::isfinite(error); ++mode)
      error = state.update(mode, bound * bound);
    if (!std::isfinite(error)) {
      result.status = Status::not_finite;
      break;
    }
    const double before = squared;
    squared = state.squared_weights();
    best_error = std::min(best_error, error);
    ++result.iterations;
    result.history.push_back(squared);
    if (options.on_iteration && !options.on_iteration({result.iterations, options.max_iterations, error, best_error})) {
      result.status = Status::stopped_by_callback;
      break;
    }
    if (before - squared <= options.tolerance * before) {
      result.status = Status::converged;
      break;
    }
  }
  result.model = state.model(norm);
  result.relative_error = direct_relative_error(tensor, result.model, norm, problem.threads());
  result.weights_norm = std::sqrt(squared);
  result.seconds = stopwatch.seconds();
  return result;
}

}  // namespace detail

/// Error-preserving correction: among models of the rank of `start` whose relative error is no larger than its own (or
/// `1 + slack` times that), goes to one with a smaller sum of squared weights. Components of a plain fit often grow
/// against each other; afterwards they do not, and the factors lose less by rounding. Mode after mode, with the columns
/// of the others of norm 1, the best factor is `A_n = F (G + mu I)^-1`, F the MTTKRP and G the Hadamard product of the
/// other Gram matrices, with the largest `mu` that keeps the bound: a root of a function of the eigenvalues of G
/// (Phan, Tichavsky and Cichocki 2019, "Error preserving correction: a method for CP decomposition at a target error
/// bound"). The sum never rises, and the error exceeds the bound by no more than rounding: its square by some
/// `epsilon (1 + w) + 2e-16 w^2`, with epsilon of the scalar type and `w = |lambda| / |X|` of the start. A bound so
/// small that this hides it gives the start back, with the status `stalled`.
///
/// `tensor`: a `weighted` tensor or anything `tensor_view` takes, of float or double; not changed. `start`: such as
/// `cp_als` returns; copied. A tensor of zeros gives the zero model with error 0, a bound of 1 or more the zero model
/// too.
/// Errors: an option out of range, NaN or infinity in the tensor or the start, a start of another size.
/// Cost of a sweep: MTTKRPs as in `cp_als`, and in double `9 R^3 + 6 I_n R^2` a mode for the rest. Memory:
/// as `cp_als`, and `5 R^2 + 3 I_n R` doubles.
template <typename Tensor, typename Scalar = detail::TensorScalar<Tensor>>
ErrorPreservingCorrectionResult<Scalar> error_preserving_correction(
    const Tensor& tensor, const CpModel<Scalar>& start, const ErrorPreservingCorrectionOptions& options = {}) {
  const WeightedTensor<Scalar> weighted = detail::weighted_view<Scalar>(tensor);
  validate(options);
  detail::check_start("error_preserving_correction", weighted.view(), start);
  const double norm = detail::weighted_norm("error_preserving_correction", weighted, options.resources);
  if (norm > 0) return detail::run_error_preserving_correction(weighted, norm, start, options);
  ErrorPreservingCorrectionResult<Scalar> result;
  result.model = detail::zero_model<Scalar>(weighted.view().dimensions(), start.rank());
  result.status = Status::converged;
  return result;
}

}  // namespace qaf
