#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <qaf/cp_admm_options.hpp>
#include <qaf/cp_als.hpp>
#include <qaf/cp_model.hpp>
#include <qaf/detail/columns.hpp>
#include <qaf/detail/mode_quantizers.hpp>
#include <qaf/detail/random.hpp>
#include <qaf/error.hpp>
#include <qaf/quantization_noise.hpp>
#include <qaf/types.hpp>
#include <qaf/weighted_tensor.hpp>

namespace qaf {
namespace detail {

/// A copy in which a fifth of the components, at least one, is replaced by small random ones.
template <typename Scalar>
CpModel<Scalar> with_replaced_components(CpModel<Scalar> model, std::uint64_t seed) {
  constexpr double share = 0.2, size = 0.3;
  balance(model);
  NormalGenerator normal(seed);
  const Index rank = model.rank();
  double least = std::numeric_limits<double>::infinity();
  for (Index r = 0; r < model.rank(); ++r) least = std::min(least, column_norm(model.factors.front(), r));
  std::vector<std::pair<double, Index>> drawn;  // a random number for every component
  for (Index r = 0; r < rank; ++r) drawn.emplace_back(normal(), r);
  std::sort(drawn.begin(), drawn.end());
  const Index count = std::max(Index{1}, static_cast<Index>(share * static_cast<double>(rank)));
  for (Index k = 0; k < count; ++k) {
    const Index r = drawn[static_cast<std::size_t>(k)].second;
    for (Matrix<Scalar>& factor : model.factors) {
      Matrix<Scalar> column = normal.matrix<Scalar>(factor.rows(), 1);
      normalize_columns(column);
      factor.col(r) = static_cast<Scalar>(size * least) * column.col(0);
    }
  }
  return model;
}

/// `quantization_aware_start` without its checks; a quantizer for every mode.
template <typename Scalar, typename Quantizer>
CpAlsResult<Scalar> unchecked_start(const WeightedTensor<Scalar>& tensor, Index rank,
                                    const std::vector<Quantizer>& quantizers, const CpAdmmOptions& options) {
  const Stopwatch stopwatch;
  CpAlsOptions als = options.start;
  als.resources = options.resources;
  als.noise = noise_of_modes("cp_admm", als.noise, tensor.view().order());
  for (std::size_t n = 0; n < quantizers.size() && options.start_noise > 0; ++n) {
    const Index length = tensor.view().dimension(static_cast<Index>(n));
    const double power = options.start_noise * quantization_noise<Scalar>(quantizers[n], length, rank);
    als.noise[n] = std::min(als.noise[n] + power, most_noise);
  }

  CpAlsResult<Scalar> best = cp_als(tensor, rank, als);
  Index iterations = best.iterations;
  const auto offer = [&](CpAlsResult<Scalar>&& result) {
    iterations += result.iterations;
    const bool stopped = result.status == Status::stopped_by_callback;
    if (result.expected_error < best.expected_error) best = std::move(result);
    return !stopped;
  };
  bool go_on = best.status != Status::stopped_by_callback && best.model.weights.any();
  constexpr Index small_rank = 32, starts_of_small_rank = 4;
  const Index starts = options.starts > 0 ? options.starts : rank < small_rank ? starts_of_small_rank : 1;
  constexpr std::uint64_t stride = 0x9E3779B97F4A7C15U;  // so that calls with neighbouring seeds share no start
  for (Index k = 1; k < starts && go_on; ++k) {
    als.seed = options.start.seed + static_cast<std::uint64_t>(k) * stride;
    go_on = offer(cp_als(tensor, rank, als));
  }
  als.max_iterations = std::max(Index{1}, options.start.max_iterations / 2);
  als.first_noise /= 16;  // enough for the new components to find their places, not to lose the old ones
  for (Index k = 0; k < options.partial_restarts && go_on; ++k) {
    const std::uint64_t seed = options.start.seed + static_cast<std::uint64_t>(starts + k) * stride;
    go_on = offer(cp_als(tensor, with_replaced_components(best.model, seed), als));
  }
  best.iterations = iterations;
  best.seed = options.start.seed;
  best.seconds = stopwatch.seconds();
  return best;
}

}  // namespace detail

/// The first step of `cp_admm`, on its own: a float model that rounding will harm little. It is found by `cp_als` with
/// the noise that is measured from the quantizers (`options.start`, `start_noise`); of several starts (`starts`,
/// `partial_restarts`) the one with the least expected error is returned.
///
/// `tensor`, `quantizers`, errors: as `cp_admm`. Returns the result of the best `cp_als`; its seconds and iterations
/// are those of all together.
template <typename Tensor, typename Quantizers, typename Scalar = detail::TensorScalar<Tensor>>
auto quantization_aware_start(const Tensor& tensor, Index rank, const Quantizers& quantizers,
                              const CpAdmmOptions& options = {}) {
  if constexpr (detail::ModeQuantizers<Quantizers>::template check<Scalar>()) {
    constexpr const char* function = "quantization_aware_start";
    const WeightedTensor<Scalar> weighted = detail::weighted_view(tensor);
    if (rank < 1) detail::fail(function, "rank must be at least 1, got ", rank);
    validate(options);
    detail::noise_of_modes(function, options.start.noise, weighted.view().order());
    return detail::unchecked_start(weighted, rank,
                                   detail::quantizers_of_modes(function, quantizers, weighted.view().order()), options);
  }
}

}  // namespace qaf
