#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>
#include <vector>

#include <qaf/detail/columns.hpp>
#include <qaf/detail/contraction.hpp>
#include <qaf/detail/mode_metric.hpp>
#include <qaf/detail/mode_view.hpp>
#include <qaf/resources.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// A tensor together with what errors in its entries weigh: `|E|^2 = <E, E x_1 M_1 x_2 M_2 ...>` with a symmetric
/// positive definite matrix `M_n` for every mode, the identity where nothing else is asked for. Made by `weighted`
/// (qaf/weighted.hpp); goes wherever a solver takes a tensor. Views the tensor's entries, owns the matrices.
template <typename Scalar_>
class WeightedTensor {
 public:
  /// The type of an entry.
  using Scalar = Scalar_;

  /// All entries weigh the same.
  explicit WeightedTensor(TensorView<Scalar> view)
      : view_(std::move(view)), metrics_(static_cast<std::size_t>(view_.order())) {}

  /// For `weighted`: a checked metric a mode.
  WeightedTensor(TensorView<Scalar> view, std::vector<detail::ModeMetric<Scalar>> metrics)
      : view_(std::move(view)), metrics_(std::move(metrics)) {}

  /// The tensor without its metrics.
  const TensorView<Scalar>& view() const { return view_; }

  /// For the solvers: what errors along a mode weigh, `mode` from 0 to N - 1.
  const detail::ModeMetric<Scalar>& metric(Index mode) const { return metrics_[static_cast<std::size_t>(mode)]; }

  /// Whether all entries weigh the same.
  bool is_plain() const {
    return std::all_of(metrics_.begin(), metrics_.end(), [](const auto& metric) { return metric.is_plain(); });
  }

 private:
  TensorView<Scalar> view_;
  std::vector<detail::ModeMetric<Scalar>> metrics_;
};

namespace detail {

/// As `floating_point_view`, for functions that take weighted tensors too.
template <typename Expected = void, typename Tensor>
auto weighted_view(const Tensor& tensor) {
  if constexpr (IsWeightedTensor<Tensor>::value) {
    static_assert(std::is_void_v<Expected> || std::is_same_v<typename Tensor::Scalar, Expected>,
                  "qaf: a tensor and its model or factors must have the same scalar type");
    return tensor;
  } else {
    return WeightedTensor<TensorScalar<Tensor>>(floating_point_view<Expected>(tensor));
  }
}

/// Multiplies the entries of a tensor, `fast x middle x slow` in memory, by a factor for each middle index.
template <typename Scalar>
void scale_slices(const Vector<Scalar>& factors, Index fast, Vector<Scalar>& entries) {
  for (Index k = 0; k < entries.size() / fast; ++k) entries.segment(k * fast, fast) *= factors[k % factors.size()];
}

/// The weighted norm of a tensor of the sizes of `tensor`, whose entries stand in `entries` in the same storage
/// order and are used up. Cost: `2 prod(I) I_n` flops for a mode with a full metric. Memory: of the tensor, twice.
template <typename Scalar>
double weighted_norm(const WeightedTensor<Scalar>& tensor, Vector<Scalar> entries, int threads) {
  std::vector<Index> modes = modes_in_memory(tensor.view());
  for (Index mode = 0; mode < tensor.view().order(); ++mode) {
    const ModeMetric<Scalar>& metric = tensor.metric(mode);
    if (metric.is_plain()) continue;
    const auto place = std::find(modes.begin(), modes.end(), mode);
    Index fast = 1;
    for (auto other = modes.begin(); other != place; ++other) fast *= tensor.view().dimension(*other);
    const Vector<Scalar> roots = metric.eigenvalues.cwiseSqrt();
    if (metric.is_diagonal()) {
      scale_slices(roots, fast, entries);
      continue;
    }
    // E x_n sqrt(D) V^T with M_n = V D V^T. What is left in the place of the mode becomes the slowest in memory.
    const Index slow = entries.size() / (fast * roots.size());
    const Matrix<Scalar> moved =
        contracted(dense_contraction(std::as_const(entries).data(), fast, roots.size(), slow, false),
                   with_scaled_columns(metric.eigenvectors, roots), threads);
    entries = Eigen::Map<const Vector<Scalar>>(moved.data(), moved.size());
    std::rotate(place, place + 1, modes.end());
  }
  return std::sqrt(entries.template cast<double>().squaredNorm());
}

/// The norm of the tensor in its own metric, see `frobenius_norm`.
template <typename Scalar>
double weighted_norm(const char* function, const WeightedTensor<Scalar>& tensor, const Resources& resources) {
  const double norm = frobenius_norm(function, tensor.view());
  if (tensor.is_plain() || norm == 0) return norm;
  const Eigen::Map<const Vector<Scalar>> entries(tensor.view().data(), tensor.view().size());
  const int threads = thread_count(resources.threads);
  return norm * weighted_norm(tensor, Vector<Scalar>(entries / static_cast<Scalar>(norm)), threads);
}

}  // namespace detail
}  // namespace qaf
