#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <qaf/coordinate_descent.hpp>
#include <qaf/cp_admm_options.hpp>
#include <qaf/cp_als.hpp>
#include <qaf/cp_model.hpp>
#include <qaf/detail/admm_state.hpp>
#include <qaf/detail/alternating_problem.hpp>
#include <qaf/detail/mode_quantizers.hpp>
#include <qaf/error.hpp>
#include <qaf/fit_weights.hpp>
#include <qaf/quantization_aware_start.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/quantizer.hpp>
#include <qaf/status.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>
#include <qaf/weighted_tensor.hpp>

namespace qaf {

/// What `cp_admm` returns.
template <typename Scalar, typename Quantizer>
struct CpAdmmResult {
  QuantizedCpModel<Scalar, Quantizer> model;  ///< the best seen
  double relative_error = 0;                  ///< of this integer model, computed from the entries
  double start_relative_error = 0;            ///< of the float model it started from
  Status status = Status::max_iterations;     ///< how the method of multipliers ended
  Index iterations = 0;                       ///< sweeps done, without those of the start
  std::vector<double> history;                ///< relative error after every sweep, by the fast formula
  double seconds = 0;                         ///< elapsed, with the start
  std::uint64_t seed = 0;                     ///< the seed used
};

namespace detail {

/// When the method of multipliers ends.
class AdmmEnd {
 public:
  /// `error`: that of the quantized start.
  AdmmEnd(const CpAdmmOptions& options, double error)
      : tolerance_(options.tolerance),
        patience_(options.patience),
        is_constant_(options.first_penalty == options.last_penalty),
        patient_error_(error) {}

  /// After sweep number `iteration`; `max_iterations` where there is no reason yet.
  Status after(Index iteration, double error, double best_error) {
    // While the penalty rises, a sweep without a change may be chance.
    quiet_ = std::abs(previous_ - error) <= tolerance_ ? quiet_ + 1 : 0;
    if (quiet_ >= (is_constant_ ? 1 : patience_)) return Status::converged;
    previous_ = error;
    if (best_error < patient_error_ - tolerance_) {
      patient_error_ = best_error;
      patient_since_ = iteration;
    } else if (is_constant_ && iteration - patient_since_ >= patience_) {
      return Status::stalled;
    }
    return Status::max_iterations;
  }

 private:
  double tolerance_;
  Index patience_;
  bool is_constant_;
  double previous_ = std::numeric_limits<double>::infinity();
  double patient_error_;
  Index patient_since_ = 0, quiet_ = 0;
};

/// A quantized model and its relative error, of the tensor scaled to norm 1.
template <typename Scalar, typename Quantizer>
struct BestModel {
  QuantizedCpModel<Scalar, Quantizer> model;
  double error;
};

/// One sweep over all modes; keeps the best model seen. Returns the relative error, which may not be finite.
template <typename Scalar, typename Quantizer>
double admm_sweep(AdmmState<Scalar, Quantizer>& state, Index order, bool is_first, BestModel<Scalar, Quantizer>& best) {
  double error = 0;
  for (Index mode = 0; mode < order && std::isfinite(error); ++mode) {
    error = state.update(mode);
    // In the first sweep the later factors are still real-valued.
    const bool all_quantized = !is_first || mode + 1 == order;
    if (all_quantized && error < best.error) best = {state.quantized_model(), error};
  }
  return error;
}

/// `cp_admm` without its checks, on a tensor of norm `norm > 0`.
template <typename Scalar, typename Quantizer>
CpAdmmResult<Scalar, Quantizer> run_cp_admm(const WeightedTensor<Scalar>& tensor, double norm, CpModel<Scalar> start,
                                            const std::vector<Quantizer>& quantizers, const CpAdmmOptions& options) {
  const Stopwatch stopwatch;
  CpAdmmResult<Scalar, Quantizer> result;
  result.seed = options.start.seed;
  AlternatingProblem<Scalar> problem(tensor, norm, start.rank(), true, options.resources);
  const auto error_of = [&](const CpModel<Scalar>& model) {
    return direct_relative_error(tensor, model, norm, problem.threads());
  };
  result.start_relative_error = error_of(start);

  // As in `AlsIterate` the tensor is the one scaled to norm 1.
  scale_to_norm_one(tensor, norm, problem.threads(), start);
  balance(start);
  AdmmState<Scalar, Quantizer> state(problem, std::move(start.factors), quantizers, options);
  BestModel<Scalar, Quantizer> best{state.quantized_model(), 0};
  CpModel<Scalar> first = decode(best.model);
  first.weights *= static_cast<Scalar>(norm);
  best.error = error_of(first);

  const double growth = std::pow(options.last_penalty / options.first_penalty,
                                 1.0 / static_cast<double>(std::max<Index>(options.max_iterations - 1, 1)));
  AdmmEnd end(options, best.error);
  while (result.status == Status::max_iterations && result.iterations < options.max_iterations) {
    const double error = admm_sweep(state, problem.order(), result.iterations == 0, best);
    if (!std::isfinite(error)) {
      result.status = Status::not_finite;
      break;
    }
    state.raise_penalty(growth);
    state.balance();
    ++result.iterations;
    result.history.push_back(error);
    if (options.on_iteration && !options.on_iteration({result.iterations, options.max_iterations, error, best.error}))
      result.status = Status::stopped_by_callback;
    else
      result.status = end.after(result.iterations, error, best.error);
  }
  if (options.refine) {
    problem.set_factors(decode(best.model).factors);
    unchecked_fit_weights(problem, best.model.weights);
    unchecked_coordinate_descent(problem, best.model, options.descent);
    unchecked_fit_weights(problem, best.model.weights);
  }
  scale_to_norm(norm, best.model.weights);
  result.model = std::move(best.model);
  result.relative_error = error_of(decode(result.model));
  if (options.refine && !(result.relative_error <= 1)) {  // of rounding errors only: no model is better
    result.model.weights.setZero();
    result.relative_error = 1;
  }
  result.seconds = stopwatch.seconds();
  return result;
}

/// `run_cp_admm`, or its answer for a tensor of zeros: the codes of zero, with weights 0.
template <typename Scalar, typename Quantizer>
CpAdmmResult<Scalar, Quantizer> cp_admm_from(const WeightedTensor<Scalar>& tensor, double norm, CpModel<Scalar> start,
                                             const std::vector<Quantizer>& quantizers, const CpAdmmOptions& options) {
  if (norm > 0) return run_cp_admm(tensor, norm, std::move(start), quantizers, options);
  CpAdmmResult<Scalar, Quantizer> result;
  result.model = quantize(zero_model<Scalar>(tensor.view().dimensions(), start.rank()), quantizers);
  result.model.weights.setZero();
  result.status = Status::converged;
  result.seed = options.start.seed;
  return result;
}

}  // namespace detail

/// Fits a CP model whose factors are a quantizer's codes, so that the error of the *quantized* model is
/// small. Alternating optimization with the method of multipliers (AO-ADMM; Huang, Sidiropoulos and
/// Liavas 2016), which Cherniuk et al. 2023 use for this. Mode after mode, with F the MTTKRP, G the Hadamard
/// product of the other Gram matrices and a penalty D that rises from sweep to sweep, it goes on by
/// `T = (F + (H + U) D) (G + D)^-1`, `H = decode(encode(T - U))`, `U += H - T`. It starts from
/// `quantization_aware_start`, a float model that expects the noise measured from the quantizers, and ends with
/// `fit_weights` and `coordinate_descent`. docs/design.md tells what each step gains.
///
/// `tensor`: a `weighted` tensor or anything `tensor_view` takes, of float or double; not changed. `quantizers`: one
/// for all modes (see `IdentityQuantizer`), or a std::vector or, of several types, a std::tuple of one a mode; they are
/// refitted in every step.
/// Returns a `CpAdmmResult<Scalar, Quantizer>`, whose model is the best one seen: never worse than the
/// quantized start. Its weights may be negative. For a tuple the quantizer is `OneOf<...>`. A tensor of zeros gives
/// weights 0 and error 0.
/// Errors: rank below 1, an option or a field of a quantizer out of range, another number of quantizers than modes,
/// NaN or infinity in the tensor. A type that is no quantizer does not compile, with a sentence that says what is
/// missing.
/// Cost of a sweep: MTTKRPs as in `cp_als`, and a mode `R^3 / 3 + I_n R^2` plus, for every inner step, `2 I_n R^2` and
/// one fit of the quantizer; in a metric one `R^3 / 3` for every group of its eigenvalues. Memory: as `cp_als`.
template <typename Tensor, typename Quantizers, typename Scalar = detail::TensorScalar<Tensor>>
auto cp_admm(const Tensor& tensor, Index rank, const Quantizers& quantizers, const CpAdmmOptions& options = {}) {
  if constexpr (detail::ModeQuantizers<Quantizers>::template check<Scalar>()) {
    const detail::Stopwatch stopwatch;
    const WeightedTensor<Scalar> weighted = detail::weighted_view(tensor);
    if (rank < 1) detail::fail("cp_admm", "rank must be at least 1, got ", rank);
    validate(options);
    detail::noise_of_modes("cp_admm", options.start.noise, weighted.view().order());
    const auto each = detail::quantizers_of_modes("cp_admm", quantizers, weighted.view().order());
    const double norm = detail::weighted_norm("cp_admm", weighted, options.resources);
    CpModel<Scalar> start = detail::unchecked_start(weighted, rank, each, options).model;
    auto result = detail::cp_admm_from(weighted, norm, std::move(start), each, options);
    result.seconds = stopwatch.seconds();
    return result;
  }
}

/// The same from a given float model, which is copied; of `options.start` only the seed is kept.
/// Errors: also a model of another size, or with NaN or infinity.
template <typename Tensor, typename Quantizers, typename Scalar = detail::TensorScalar<Tensor>>
auto cp_admm(const Tensor& tensor, const CpModel<Scalar>& start, const Quantizers& quantizers,
             const CpAdmmOptions& options = {}) {
  if constexpr (detail::ModeQuantizers<Quantizers>::template check<Scalar>()) {
    const WeightedTensor<Scalar> weighted = detail::weighted_view<Scalar>(tensor);
    validate(options);
    const auto each = detail::quantizers_of_modes("cp_admm", quantizers, weighted.view().order());
    detail::check_start("cp_admm", weighted.view(), start);
    const double norm = detail::weighted_norm("cp_admm", weighted, options.resources);
    return detail::cp_admm_from(weighted, norm, start, each, options);
  }
}

}  // namespace qaf
