#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <qaf/cp_model.hpp>
#include <qaf/detail/alternating_problem.hpp>
#include <qaf/error.hpp>
#include <qaf/initialize.hpp>
#include <qaf/resources.hpp>
#include <qaf/status.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>
#include <qaf/weighted_tensor.hpp>

namespace qaf {
namespace detail {

// Of one mode: the product over all modes stays in float's range, and nothing survives much less.
inline constexpr double most_noise = 1e4;

}  // namespace detail

/// Settings of `cp_als`.
struct CpAlsOptions {
  /// Sweeps over all modes at the most, 1 or more. Weights of convolutions still gain after hundreds.
  Index max_iterations = 200;

  /// Ends where a sweep changes the relative error (with noise: the expected one) by no more than this; 0 or more. By 0
  /// only an error that no longer changes at all ends early.
  double tolerance = 1e-6;

  /// The relative power `|E_n|^2 / |A_n|^2` of an error E that each factor is going to get, such as a quantizer's
  /// `quantization_noise`: one a mode, one for all, or none; 0 to 1e4. What independent errors of that power add to
  /// the squared error, `sum_r (prod_n (1 + noise_n) - 1) lambda_r^2`, is then minimized with it. This keeps
  /// components from growing against each other, which costs a little error and makes the factors easy to quantize.
  std::vector<double> noise = {};

  /// Where it is above `noise`: the power of the noise in the first sweep, 0 to 1e4, from which it falls geometrically
  /// to `noise` in the first half of the sweeps. Strong components come first and the others find better places around
  /// them than when all come at once. It needs `max_iterations` to be the number of sweeps wanted, not a bound that is
  /// never met.
  double first_noise = 0;

  /// Starts each sweep from a point beyond the last one, on the line from the one before: for weights of
  /// convolutions a lower error after 100 sweeps than after 400 plain ones. A sweep that overshoots is thrown away and
  /// the momentum lost. Off, this is the textbook's method.
  bool extrapolate = false;

  /// Of the random start.
  std::uint64_t seed = 0;

  /// Threads and memory.
  Resources resources = {};

  /// Told of every sweep; returns false to stop.
  IterationCallback on_iteration = {};
};

/// Throws `std::invalid_argument` that names the first field out of its range.
inline void validate(const CpAlsOptions& options) {
  if (options.max_iterations < 1)
    detail::fail("CpAlsOptions", "max_iterations must be at least 1, got ", options.max_iterations);
  if (!(options.tolerance >= 0 && std::isfinite(options.tolerance)))
    detail::fail("CpAlsOptions", "tolerance must be 0 or more and finite, got ", options.tolerance);
  for (const double power : options.noise)
    if (!(power >= 0 && power <= detail::most_noise))
      detail::fail("CpAlsOptions", "noise must be from 0 to ", detail::most_noise, ", got ", power);
  if (!(options.first_noise >= 0 && options.first_noise <= detail::most_noise))
    detail::fail("CpAlsOptions", "first_noise must be from 0 to ", detail::most_noise, ", got ", options.first_noise);
  validate(options.resources);
}

/// What `cp_als` returns.
template <typename Scalar>
struct CpAlsResult {
  CpModel<Scalar> model;      ///< normalized, the best seen
  double relative_error = 0;  ///< of this model, computed from the entries (`relative_error`)
  double expected_error =
      0;  ///< what `relative_error` is expected to be with the noise in the factors, by the fast formula; with the
          ///< noise of the last sweep where it ended before `first_noise` had fallen to `noise`
  Status status = Status::max_iterations;  ///< how the sweeps ended
  Index iterations = 0;                    ///< sweeps done
  std::vector<double> history;             ///< relative error after every sweep, by the fast formula
  double seconds = 0;                      ///< elapsed
  std::uint64_t seed = 0;                  ///< the seed used
};

namespace detail {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// What a sweep reached, for a tensor of norm 1.
struct AlsObjective {
  double error;      // relative
  double penalized;  // the square of what it is expected to be with the noise: what the sweep minimizes
};

/// What noise of relative power `noise[n]` in the factors adds to the squared error, split for the update of one mode
/// into multiples of the weighted and of the plain squared norms of that mode's columns.
template <typename Scalar>
struct NoisePenalty {
  Vector<Scalar> weighted, plain;  // R

  NoisePenalty(const AlternatingProblem<Scalar>& problem, const std::vector<double>& noise, Index mode) {
    const Index rank = problem.rank();
    Vector<Scalar> without = Vector<Scalar>::Ones(rank), with = without;  // products over the other modes
    for (Index other = 0; other < problem.order(); ++other) {
      if (other == mode) continue;
      const Vector<Scalar> norms = problem.gram_diagonal(other), plain_norms = problem.squared_norms(other);
      const Scalar power = static_cast<Scalar>(noise[static_cast<std::size_t>(other)]);
      for (Index r = 0; r < rank; ++r) {
        without[r] *= norms[r];
        with[r] *= norms[r] + power * plain_norms[r];
      }
    }
    weighted = with - without;
    plain = static_cast<Scalar>(noise[static_cast<std::size_t>(mode)]) * with;
  }
};

/// One sweep over all modes.
template <typename Scalar>
AlsObjective als_sweep(AlternatingProblem<Scalar>& problem, const std::vector<double>& noise) {
  const bool noisy = std::any_of(noise.begin(), noise.end(), [](double power) { return power > 0; });
  AlsObjective objective{};
  for (Index mode = 0; mode < problem.order(); ++mode) {
    const NoisePenalty<Scalar> penalty(problem, noise, mode);
    // Without noise the metric of the mode itself cancels.
    const bool plain = !noisy || problem.metric(mode).is_plain();
    least_squares_update(problem, mode, plain, penalty.weighted, penalty.plain);
    if (mode + 1 == problem.order()) {
      objective.error = problem.relative_error(mode);
      objective.penalized =
          objective.error * objective.error + static_cast<double>(penalty.weighted.dot(problem.gram_diagonal(mode)) +
                                                                  penalty.plain.dot(problem.squared_norms(mode)));
    }
  }
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

/// One value a mode from one a mode, one for all, or none. Errors: another number of values.
inline std::vector<double> noise_of_modes(const char* function, const std::vector<double>& noise, Index order) {
  const std::size_t count = static_cast<std::size_t>(order);
  if (noise.size() > 1 && noise.size() != count)
    fail(function, "CpAlsOptions::noise must hold a value for each of the ", order,
         " modes, one for all, or none, got ", noise.size());
  return noise.size() == count ? noise : std::vector<double>(count, noise.empty() ? 0 : noise.front());
}

/// The iterate of `cp_als`, on the tensor scaled to norm 1: MTTKRPs are divided by the norm, and the weights are
/// multiplied by it at the end, so that no Gram matrix overflows whatever the data's scale.
template <typename Scalar>
class AlsIterate {
 public:
  /// `problem` must outlive this.
  AlsIterate(AlternatingProblem<Scalar>& problem, CpModel<Scalar> start, bool extrapolates)
      : problem_(problem), extrapolates_(extrapolates) {
    scale_to_norm_one(problem.tensor(), problem.norm(), problem.threads(), start);
    balance(start);
    model_.weights = std::move(start.weights);
    if (extrapolates_) previous_ = model_.factors = start.factors;
    problem_.set_factors(std::move(start.factors));
  }

  /// Whether the next sweep starts beyond the last one.
  bool is_extrapolated() const { return extrapolates_ && momentum_ > 1; }

  /// Goes to where the next sweep starts.
  void go_on() {
    if (!extrapolates_) return;
    const Scalar beta =
        is_extrapolated() ? static_cast<Scalar>(momentum_ - 1) / static_cast<Scalar>(momentum_ + 2) : Scalar(0);
    for (std::size_t n = 0; n < previous_.size(); ++n)
      problem_.set_factor(static_cast<Index>(n), model_.factors[n] + beta * (model_.factors[n] - previous_[n]));
  }

  /// Keeps what the sweep has reached.
  void accept() {
    ++momentum_;
    if (extrapolates_) {
      previous_ = std::exchange(model_.factors, problem_.factors());
      balance(model_);  // steps of factors of other norms mean nothing
    } else {
      const std::vector<Vector<Scalar>> scales = balancing_scales(problem_);
      for (std::size_t n = 0; n < scales.size(); ++n) problem_.scale_factor(static_cast<Index>(n), scales[n]);
    }
  }

  /// Throws it away: the next sweep starts from where this one would have without momentum.
  void reject() {
    momentum_ = 0;
    if (!extrapolates_) problem_.take_back();
  }

  /// The model that was kept last, of the tensor as it is, normalized.
  CpModel<Scalar> model() {
    if (!extrapolates_) model_.factors = problem_.factors();
    model_.weights.setConstant(static_cast<Scalar>(problem_.norm()));
    normalize(model_);
    // A component may be larger than a tensor at the end of the range.
    model_.weights = model_.weights.cwiseMin(std::numeric_limits<Scalar>::max());
    return std::move(model_);
  }

 private:
  AlternatingProblem<Scalar>& problem_;
  bool extrapolates_;
  CpModel<Scalar> model_;                 // of weights 1; without extrapolation the problem alone has the factors
  std::vector<Matrix<Scalar>> previous_;  // its factors one sweep before
  Index momentum_ = 0;                    // sweeps since the last restart
};

/// The noise in a sweep: from `first_noise` it falls to `noise` in the first half of all sweeps.
inline std::vector<double> noise_of_sweep(std::vector<double> noise, const CpAlsOptions& options, Index sweep) {
  const double part = static_cast<double>(sweep + 1) / static_cast<double>(options.max_iterations);
  const double excess = std::max(0.0, 1 - 2 * part);
  for (double& power : noise)
    if (power > 0 && power < options.first_noise) power *= std::pow(options.first_noise / power, excess);
  return noise;
}

/// `cp_als` without its checks, on a tensor of norm `norm > 0`.
template <typename Scalar>
CpAlsResult<Scalar> run_cp_als(const WeightedTensor<Scalar>& tensor, double norm, CpModel<Scalar> model,
                               const CpAlsOptions& options) {
  const Stopwatch stopwatch;
  CpAlsResult<Scalar> result;
  result.seed = options.seed;
  const std::vector<double> noise = noise_of_modes("cp_als", options.noise, tensor.view().order());
  AlternatingProblem<Scalar> problem(tensor, norm, model.rank(), !options.extrapolate, options.resources, true);
  AlsIterate<Scalar> iterate(problem, std::move(model), options.extrapolate);
  AlsObjective reached{std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  double lowest = reached.error;
  constexpr double rounding = 16.0 * std::numeric_limits<Scalar>::epsilon();  // of the penalized error
  while (result.iterations < options.max_iterations) {
    const bool is_extrapolated = iterate.is_extrapolated();
    iterate.go_on();
    const std::vector<double> current_noise = noise_of_sweep(noise, options, result.iterations);
    const AlsObjective objective = als_sweep(problem, current_noise);
    const bool overshot = is_extrapolated && !(objective.penalized <= reached.penalized + rounding);
    const bool failed = !overshot && !std::isfinite(objective.penalized);
    const double change = std::abs(std::sqrt(reached.penalized) - std::sqrt(objective.penalized));
    if (overshot || failed) {
      iterate.reject();
    } else {
      iterate.accept();
      reached = objective;
    }
    if (failed) {
      result.status = Status::not_finite;
      break;
    }
    ++result.iterations;
    result.history.push_back(reached.error);
    lowest = std::min(lowest, reached.error);
    if (options.on_iteration &&
        !options.on_iteration({result.iterations, options.max_iterations, reached.error, lowest})) {
      result.status = Status::stopped_by_callback;
      break;
    }
    if (!overshot && current_noise == noise && change <= options.tolerance) {
      result.status = Status::converged;
      break;
    }
  }
  result.model = iterate.model();
  result.relative_error = direct_relative_error(tensor, result.model, norm, problem.threads());
  result.expected_error = std::sqrt(reached.penalized);
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
/// 1970, Harshman 1970): with all factors but one fixed, the best one is `A_n = F G^-1`,
/// mode after mode; on request with extrapolation and restart (Mitchell, Ye and De Sterck 2020). The error never
/// rises (with noise: the expected one, once the noise has fallen to what it is to be). It starts from
/// `initialize_random`; from anything else, such as `initialize_gram_eigenvectors`, by the overload below.
///
/// `tensor`: a `weighted` tensor or anything `tensor_view` takes, of float or double; not changed. A tensor of zeros
/// gives the zero model with error 0.
/// Errors: rank below 1, an option out of range, NaN or infinity in the tensor.
/// Cost of a sweep: `2 prod(I) R` flops for each pass over the tensor, of which there are `N / (N - 1)` to 2 a sweep
/// for all MTTKRPs (with extrapolation 2), and `R^3 / 3 + 3 I_n R^2` a mode for the rest. Memory: partial products of
/// the tensor as `Resources::memory` allows, some matrices of the factors' sizes and of `R x R`, and blocks of bounded
/// size.
template <typename Tensor, typename Scalar = detail::TensorScalar<Tensor>>
CpAlsResult<Scalar> cp_als(const Tensor& tensor, Index rank, const CpAlsOptions& options = {}) {
  const WeightedTensor<Scalar> weighted = detail::weighted_view(tensor);
  if (rank < 1) detail::fail("cp_als", "rank must be at least 1, got ", rank);
  validate(options);
  const double norm = detail::weighted_norm("cp_als", weighted, options.resources);
  const std::vector<Index>& dimensions = weighted.view().dimensions();
  detail::noise_of_modes("cp_als", options.noise, weighted.view().order());
  if (norm == 0) return detail::zero_result<Scalar>(dimensions, rank, options.seed);
  CpModel<Scalar> start = initialize_random<Scalar>(dimensions, rank, options.seed);
  start.weights *= static_cast<Scalar>(norm);
  return detail::run_cp_als(weighted, norm, std::move(start), options);
}

/// The same from a given model, which is copied; `options.seed` is not used.
/// Errors: also a model of another size, or with NaN or infinity.
template <typename Tensor, typename Scalar = detail::TensorScalar<Tensor>>
CpAlsResult<Scalar> cp_als(const Tensor& tensor, const CpModel<Scalar>& start, const CpAlsOptions& options = {}) {
  const WeightedTensor<Scalar> weighted = detail::weighted_view<Scalar>(tensor);
  validate(options);
  detail::noise_of_modes("cp_als", options.noise, weighted.view().order());
  detail::check_start("cp_als", weighted.view(), start);
  const double norm = detail::weighted_norm("cp_als", weighted, options.resources);
  if (norm == 0) return detail::zero_result<Scalar>(weighted.view().dimensions(), start.rank(), options.seed);
  return detail::run_cp_als(weighted, norm, start, options);
}

}  // namespace qaf
