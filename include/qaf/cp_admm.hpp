#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <Eigen/Cholesky>

#include <qaf/cp_als.hpp>
#include <qaf/cp_model.hpp>
#include <qaf/detail/products.hpp>
#include <qaf/error.hpp>
#include <qaf/mttkrp.hpp>
#include <qaf/quantization_noise.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/quantizer.hpp>
#include <qaf/status.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// Settings of `cp_admm`.
struct CpAdmmOptions {
  /// Sweeps over all modes at the most, 1 or more.
  Index max_iterations = 100;

  /// Steps of the method of multipliers on one factor in one sweep at the most, 1 or more. They are
  /// warm-started from the sweep before, so a few are enough.
  Index max_inner_iterations = 5;

  /// Ends the steps on a factor once `|H - T|^2 / |H|^2` and `|H - H_previous|^2 / |U|^2` are both below
  /// this (H the decoded factor, T the real-valued one, U the scaled dual); 0 or more. Integer codes
  /// rarely get there.
  double inner_tolerance = 1e-8;

  /// Ends where a sweep changes the relative error by no more than this; 0 or more.
  double tolerance = 1e-6;

  /// Ends where the best error has not fallen by more than `tolerance` in this many sweeps, 1 or more.
  Index patience = 20;

  /// The float solver whose result is the start.
  CpAlsOptions start = extrapolated();

  /// How much of the noise that rounding the factors will add the start prepares for, 0 or more:
  /// `start_noise * kappa` is added to `start.ridge`, with `kappa = prod_n (1 + eta_n) - 1` and `eta_n` the
  /// `quantization_noise` of a factor of mode n. 0 starts from plain CP-ALS, as the paper does.
  double start_noise = 0.7;

  /// Told of every sweep; returns false to stop. (The sweeps of the start go to `start.on_iteration`.)
  IterationCallback on_iteration = {};

  /// The settings of `cp_als`, with extrapolation.
  static CpAlsOptions extrapolated() {
    CpAlsOptions options;
    options.extrapolate = true;
    return options;
  }
};

/// Throws `std::invalid_argument` that names the first field out of its range.
inline void validate(const CpAdmmOptions& options) {
  if (options.max_iterations < 1)
    detail::fail("CpAdmmOptions", "max_iterations must be at least 1, got ", options.max_iterations);
  if (options.max_inner_iterations < 1)
    detail::fail("CpAdmmOptions", "max_inner_iterations must be at least 1, got ", options.max_inner_iterations);
  if (!(options.inner_tolerance >= 0 && std::isfinite(options.inner_tolerance)))
    detail::fail("CpAdmmOptions", "inner_tolerance must be 0 or more and finite, got ", options.inner_tolerance);
  if (!(options.tolerance >= 0 && std::isfinite(options.tolerance)))
    detail::fail("CpAdmmOptions", "tolerance must be 0 or more and finite, got ", options.tolerance);
  if (options.patience < 1) detail::fail("CpAdmmOptions", "patience must be at least 1, got ", options.patience);
  if (!(options.start_noise >= 0 && std::isfinite(options.start_noise)))
    detail::fail("CpAdmmOptions", "start_noise must be 0 or more and finite, got ", options.start_noise);
  validate(options.start);
}

/// What `cp_admm` returns.
template <typename Scalar, typename Quantizer>
struct CpAdmmResult {
  QuantizedCpModel<Scalar, Quantizer> model;  ///< the best seen
  double relative_error = 0;                  ///< of this integer model, computed from the entries
  double start_relative_error = 0;            ///< of the float model it started from
  Status status = Status::max_iterations;
  Index iterations = 0;         ///< sweeps done, without those of the start
  std::vector<double> history;  ///< relative error after every sweep, by the fast formula
  double seconds = 0;           ///< elapsed, with the start
  std::uint64_t seed = 0;       ///< the seed used
};

namespace detail {

/// The state of one factor in the method of multipliers.
template <typename Scalar, typename Quantizer>
struct AdmmFactor {
  Matrix<Scalar> dual;                   // U, kept from sweep to sweep
  QuantizedFactor<Quantizer> quantized;  // whose decoded value is H
};

/// The method of multipliers for one factor: minimizes `tr(A G A^T) - 2 tr(A F^T)` over the matrices
/// that the quantizer can represent. `factor` is H, decoded, on entry and return. Returns false, and
/// leaves the factor alone, where the numbers stop being finite.
template <typename Scalar, typename Quantizer>
bool admm_update(const Matrix<Scalar>& mttkrp, const Matrix<Scalar>& gram, const Quantizer& quantizer,
                 const CpAdmmOptions& options, AdmmFactor<Scalar, Quantizer>& state, Matrix<Scalar>& factor) {
  const Scalar rho = std::max(gram.trace() / static_cast<Scalar>(gram.rows()), std::numeric_limits<Scalar>::min());
  Matrix<Scalar> damped = gram;
  damped.diagonal().array() += rho;
  // Well conditioned (at most R + 1), so the inverse is safe; a product with it is far faster than the
  // two triangular solves, step after step.
  Matrix<Scalar> inverse = Matrix<Scalar>::Identity(gram.rows(), gram.cols());
  solve_on_the_right(Eigen::LLT<Matrix<Scalar>>(damped), inverse);
  for (Index step = 0; step < options.max_inner_iterations; ++step) {
    const Matrix<Scalar> target = product<Scalar>(mttkrp + rho * (factor + state.dual), inverse);  // T
    if (!target.allFinite()) return false;
    state.quantized = quantize<Scalar>(target - state.dual, quantizer);
    const Matrix<Scalar> projected = decode<Scalar>(state.quantized);
    state.dual += projected - target;
    const double size = static_cast<double>(projected.squaredNorm());
    const double primal = static_cast<double>((projected - target).squaredNorm());
    const double change = static_cast<double>((projected - factor).squaredNorm());
    factor = projected;
    const double dual_size = static_cast<double>(state.dual.squaredNorm());
    if (primal <= options.inner_tolerance * size && change <= options.inner_tolerance * dual_size) break;
  }
  return true;
}

/// kappa: what rounding all factors adds to the squared error of a model, in units of the sum of its
/// squared weights (columns of norm 1, independent errors).
template <typename Scalar, typename Quantizer>
double noise_ridge(const std::vector<Index>& dimensions, Index rank, const Quantizer& quantizer) {
  double product = 1;
  for (const Index length : dimensions) product *= 1 + quantization_noise<Scalar>(quantizer, length, rank);
  return product - 1;
}

/// `cp_admm` without its checks, on a tensor of norm `norm > 0`.
template <typename Scalar, typename Quantizer>
CpAdmmResult<Scalar, Quantizer> run_cp_admm(const TensorView<Scalar>& tensor, double norm, CpModel<Scalar> start,
                                            const Quantizer& quantizer, const CpAdmmOptions& options) {
  const Stopwatch stopwatch;
  CpAdmmResult<Scalar, Quantizer> result;
  result.seed = options.start.seed;
  result.start_relative_error = direct_relative_error(tensor, start, norm);

  // As in `run_cp_als` the tensor is the one scaled to norm 1.
  start.weights /= static_cast<Scalar>(norm);
  balance(start);
  std::vector<Matrix<Scalar>>& factors = start.factors;  // H, decoded from the first update on
  std::vector<Matrix<Scalar>> grams;
  std::vector<AdmmFactor<Scalar, Quantizer>> states;
  QuantizedCpModel<Scalar, Quantizer>& best = result.model;
  best.weights = Vector<Scalar>::Constant(start.rank(), static_cast<Scalar>(norm));
  for (const Matrix<Scalar>& factor : factors) {
    grams.push_back(gram(factor));
    best.factors.push_back(quantize(factor, quantizer));
    states.push_back({Matrix<Scalar>::Zero(factor.rows(), factor.cols()), best.factors.back()});
  }
  double best_error = direct_relative_error(tensor, decode(best), norm);

  double previous = std::numeric_limits<double>::infinity();
  double patience_error = best_error;
  Index patience_iteration = 0;
  bool finite = true;
  while (result.iterations < options.max_iterations) {
    double error = 0;
    for (Index mode = 0; mode < tensor.order() && finite; ++mode) {
      const std::size_t n = static_cast<std::size_t>(mode);
      const Matrix<Scalar> f = unchecked_mttkrp(tensor, factors, mode) / static_cast<Scalar>(norm);
      const Matrix<Scalar> g = gram_of_others(grams, mode);
      finite = admm_update(f, g, quantizer, options, states[n], factors[n]);
      grams[n] = gram(factors[n]);
      error = fast_relative_error(1.0, f, factors[n], g);
      finite = finite && std::isfinite(error);
      // In the first sweep the later factors are still real-valued.
      const bool all_quantized = result.iterations > 0 || mode + 1 == tensor.order();
      if (finite && all_quantized && error < best_error) {
        best_error = error;
        for (std::size_t m = 0; m < states.size(); ++m) best.factors[m] = states[m].quantized;
      }
    }
    if (!finite) {
      result.status = Status::not_finite;
      break;
    }
    ++result.iterations;
    result.history.push_back(error);
    if (options.on_iteration && !options.on_iteration({result.iterations, options.max_iterations, error, best_error})) {
      result.status = Status::stopped_by_callback;
      break;
    }
    if (std::abs(previous - error) <= options.tolerance) {
      result.status = Status::converged;
      break;
    }
    previous = error;
    if (best_error < patience_error - options.tolerance) {
      patience_error = best_error;
      patience_iteration = result.iterations;
    } else if (result.iterations - patience_iteration >= options.patience) {
      result.status = Status::stalled;
      break;
    }
  }
  result.relative_error = direct_relative_error(tensor, decode(best), norm);
  result.seconds = stopwatch.seconds();
  return result;
}

/// `run_cp_admm`, or its answer for a tensor of zeros: the codes of zero, with weights 0.
template <typename Scalar, typename Quantizer>
CpAdmmResult<Scalar, Quantizer> cp_admm_from(const TensorView<Scalar>& tensor, double norm, CpModel<Scalar> start,
                                             const Quantizer& quantizer, const CpAdmmOptions& options) {
  if (norm > 0) return run_cp_admm(tensor, norm, std::move(start), quantizer, options);
  CpAdmmResult<Scalar, Quantizer> result;
  result.model = quantize(zero_model<Scalar>(tensor.dimensions(), start.rank()), quantizer);
  result.model.weights.setZero();
  result.status = Status::converged;
  result.seed = options.start.seed;
  return result;
}

}  // namespace detail

/// Fits a CP model whose factors are a quantizer's codes, so that the error of the *quantized* model is
/// small: alternating optimization with the method of multipliers (AO-ADMM; Huang, Sidiropoulos and
/// Liavas 2016), as Cherniuk et al. 2023 use it. Mode after mode, with F the MTTKRP, G the Hadamard
/// product of the other Gram matrices and rho = tr(G) / R, it repeats
/// `T = (F + rho (H + U)) (G + rho I)^-1`, `H = decode(encode(T - U))`, `U += H - T`.
///
/// `tensor`: anything `tensor_view` takes, of float or double; not changed. `quantizer`: see
/// `IdentityQuantizer`; it is refitted in every step. It starts from `cp_als` with `options.start`, kept
/// from large weights by the noise measured from the quantizer (`options.start_noise`).
/// Returns a `CpAdmmResult<Scalar, Quantizer>`, whose model is the best one seen: never worse than the
/// quantized start. A tensor of zeros gives a model with weights 0 and error 0.
/// Errors: rank below 1, an option or a field of the quantizer out of range, NaN or infinity in the
/// tensor. A type that is no quantizer does not compile, with a sentence that says what is missing.
/// Cost of a sweep: `2 N prod(I) R` flops for the N MTTKRPs, and a mode `R^3 / 3` plus, for every inner
/// step, `2 I_n R^2` and one fit of the quantizer.
template <typename Tensor, typename Quantizer, typename Scalar = detail::TensorScalar<Tensor>>
auto cp_admm(const Tensor& tensor, Index rank, const Quantizer& quantizer, const CpAdmmOptions& options = {}) {
  if constexpr (detail::check_quantizer<Quantizer, Scalar>()) {
    const detail::Stopwatch stopwatch;
    const TensorView<Scalar> view = detail::floating_point_view(tensor);
    if (rank < 1) detail::fail("cp_admm", "rank must be at least 1, got ", rank);
    validate(options);
    detail::validate_quantizer(quantizer);
    const double norm = detail::frobenius_norm("cp_admm", view);
    CpAlsOptions start_options = options.start;
    if (options.start_noise > 0)
      start_options.ridge += options.start_noise * detail::noise_ridge<Scalar>(view.dimensions(), rank, quantizer);
    CpModel<Scalar> start = cp_als(view, rank, start_options).model;
    auto result = detail::cp_admm_from(view, norm, std::move(start), quantizer, options);
    result.seconds = stopwatch.seconds();
    return result;
  }
}

/// The same from a given float model, which is copied; of `options.start` only the seed is kept.
/// Errors: also a model of another size, or with NaN or infinity.
template <typename Tensor, typename Quantizer, typename Scalar = detail::TensorScalar<Tensor>>
auto cp_admm(const Tensor& tensor, const CpModel<Scalar>& start, const Quantizer& quantizer,
             const CpAdmmOptions& options = {}) {
  if constexpr (detail::check_quantizer<Quantizer, Scalar>()) {
    const TensorView<Scalar> view = detail::floating_point_view(tensor);
    validate(options);
    detail::validate_quantizer(quantizer);
    detail::check_start("cp_admm", view, start);
    return detail::cp_admm_from(view, detail::frobenius_norm("cp_admm", view), start, quantizer, options);
  }
}

}  // namespace qaf
