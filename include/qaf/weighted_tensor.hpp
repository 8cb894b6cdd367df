#pragma once

#include <cmath>
#include <type_traits>
#include <utility>
#include <vector>

#include <qaf/detail/mode_metric.hpp>
#include <qaf/detail/mode_view.hpp>
#include <qaf/detail/products.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// A tensor together with what errors in its entries weigh: `|E|^2 = <E, E x_1 M_1 x_2 M_2 ...>` with a symmetric
/// positive definite matrix `M_n` for every mode, the identity where nothing else is asked for. Made by `weighted`
/// (qaf/weighted.hpp); goes wherever a solver takes a tensor. Views the tensor's entries, owns the matrices.
template <typename Scalar_>
class WeightedTensor {
 public:
  using Scalar = Scalar_;

  /// All entries weigh the same.
  explicit WeightedTensor(TensorView<Scalar> view)
      : view_(std::move(view)), metrics_(static_cast<std::size_t>(view_.order())) {}

  WeightedTensor(TensorView<Scalar> view, std::vector<detail::ModeMetric<Scalar>> metrics)
      : view_(std::move(view)), metrics_(std::move(metrics)) {}

  const TensorView<Scalar>& view() const { return view_; }

  const detail::ModeMetric<Scalar>& metric(Index mode) const { return metrics_[static_cast<std::size_t>(mode)]; }

  /// Whether all entries weigh the same.
  bool is_plain() const {
    for (const detail::ModeMetric<Scalar>& metric : metrics_)
      if (!metric.is_plain()) return false;
    return true;
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

/// The weighted norm of a tensor of the sizes of `tensor`, whose entries stand in `entries` in the same storage
/// order and are used up.
template <typename Scalar>
double weighted_norm(const WeightedTensor<Scalar>& tensor, Vector<Scalar> entries) {
  for (Index mode = 0; mode < tensor.view().order(); ++mode) {
    const ModeMetric<Scalar>& metric = tensor.metric(mode);
    if (metric.is_plain()) continue;
    const Index view_length = tensor.view().dimension(mode);
    // E x_n sqrt(D) V^T with M_n = V D V^T, or E x_n sqrt(M_n) for a diagonal one.
    Matrix<Scalar> root = Matrix<Scalar>::Identity(view_length, view_length);
    if (!metric.is_diagonal()) root = metric.eigenvectors.transpose();
    for (Index k = 0; k < view_length; ++k) root.row(k) *= std::sqrt(metric.eigenvalues[k]);
    const ModeView<Scalar> view(tensor.view(), mode);
    if (view.fast == 1) {
      Eigen::Map<Matrix<Scalar>> columns(entries.data(), view.length, entries.size() / view.length);
      columns = product<Scalar>(root, columns, 1);
    } else {
      for (Index begin = 0; begin < entries.size(); begin += view.fast * view.length) {
        Eigen::Map<Matrix<Scalar>> slab(entries.data() + begin, view.fast, view.length);
        slab = product<Scalar>(slab, root.transpose(), 1);
      }
    }
  }
  return std::sqrt(entries.template cast<double>().squaredNorm());
}

/// The norm of the tensor in its own metric, see `frobenius_norm`.
template <typename Scalar>
double weighted_norm(const char* function, const WeightedTensor<Scalar>& tensor) {
  const double norm = frobenius_norm(function, tensor.view());
  if (tensor.is_plain() || norm == 0) return norm;
  const Eigen::Map<const Vector<Scalar>> entries(tensor.view().data(), tensor.view().size());
  return norm * weighted_norm(tensor, Vector<Scalar>(entries / static_cast<Scalar>(norm)));
}

}  // namespace detail
}  // namespace qaf
