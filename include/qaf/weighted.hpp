#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

#include <Eigen/Eigenvalues>

#include <qaf/error.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>
#include <qaf/weighted_tensor.hpp>

namespace qaf {
namespace detail {

/// The metric of mode number `mode` of length `length` from what `weighted` was given for it.
template <typename Scalar>
ModeMetric<Scalar> make_metric(const Matrix<double>& given, Index mode, Index length) {
  ModeMetric<Scalar> metric;
  if (given.size() == 0) return metric;
  if (given.rows() != length || (given.cols() != 1 && given.cols() != length))
    fail("weighted", "metric ", mode, " must be ", length, " x 1 importances, a ", length, " x ", length,
         " matrix or empty, got ", given.rows(), " x ", given.cols());
  if (!given.allFinite()) fail("weighted", "metric ", mode, " must be finite, got NaN or infinity");
  Vector<double> eigenvalues;
  if (given.cols() == 1) {
    eigenvalues = given.col(0);
    if (!(eigenvalues.minCoeff() >= 0 && eigenvalues.maxCoeff() > 0))
      fail("weighted", "the importances of metric ", mode, " must be 0 or more and not all 0, got ",
           eigenvalues.minCoeff(), " to ", eigenvalues.maxCoeff());
  } else {
    const double asymmetry = (given - given.transpose()).cwiseAbs().maxCoeff();
    if (!(asymmetry <= 1e-5 * given.cwiseAbs().maxCoeff()))
      fail("weighted", "metric ", mode, " must be symmetric, got entries (i, j) and (j, i) that differ by ", asymmetry);
    const Eigen::SelfAdjointEigenSolver<Matrix<double>> solver((given + given.transpose()) / 2);
    eigenvalues = solver.eigenvalues();
    if (!(eigenvalues.maxCoeff() > 0 && eigenvalues.minCoeff() >= -1e-5 * eigenvalues.maxCoeff()))
      fail("weighted", "metric ", mode, " must be positive definite, got an eigenvalue of ", eigenvalues.minCoeff());
    metric.eigenvectors = solver.eigenvectors().template cast<Scalar>();
  }
  // What nothing weighs would be free to grow without bound.
  constexpr double floor = 1e-4;
  eigenvalues /= eigenvalues.mean();
  eigenvalues = eigenvalues.cwiseMax(floor);
  metric.eigenvalues = eigenvalues.template cast<Scalar>();
  if (given.cols() != 1)
    metric.matrix = metric.eigenvectors * metric.eigenvalues.asDiagonal() * metric.eigenvectors.transpose();

  std::vector<Index> descending(static_cast<std::size_t>(length));
  std::iota(descending.begin(), descending.end(), Index{0});
  std::sort(descending.begin(), descending.end(), [&](Index a, Index b) { return eigenvalues[a] > eigenvalues[b]; });
  for (const Index k : descending) {
    const Scalar value = metric.eigenvalues[k];
    if (metric.groups.empty() || 2 * value < metric.groups.back().largest) metric.groups.push_back({value, {}});
    metric.groups.back().members.push_back(k);
  }
  return metric;
}

}  // namespace detail

/// A tensor whose errors weigh differently, for any solver and for `relative_error`: the squared error is
/// `<E, E x_1 M_1 x_2 M_2 ...>` with a metric for every mode. `metrics[n]` is `I_n x 1` importances (the diagonal of
/// `M_n`), a symmetric positive definite `I_n x I_n` matrix, or empty where all indices of the mode weigh the same.
///
/// For the weights of a layer, M is the second moment `E[x x^T]` of what the mode is multiplied with, such as its input
/// channels: the error that is minimized is then the one of the layer's output.
///
/// Metrics are scaled to a mean eigenvalue of 1, which changes no relative error, and eigenvalues below 1e-4 of
/// that are raised to it. The entries of the tensor must outlive the result; the metrics are copied.
/// Errors: another number of metrics than modes, sizes that do not fit, NaN, a matrix that is not symmetric or has
/// negative eigenvalues.
/// Cost: an eigenvalue decomposition for every matrix, `O(I_n^3)`.
template <typename Tensor, typename Scalar = detail::TensorScalar<Tensor>>
WeightedTensor<Scalar> weighted(const Tensor& tensor, const std::vector<Matrix<double>>& metrics) {
  const TensorView<Scalar> view = detail::floating_point_view(tensor);
  if (static_cast<Index>(metrics.size()) != view.order())
    detail::fail("weighted", "expected a metric, or an empty matrix, for each of the ", view.order(), " modes, got ",
                 metrics.size());
  std::vector<detail::ModeMetric<Scalar>> made;
  for (std::size_t n = 0; n < metrics.size(); ++n)
    made.push_back(
        detail::make_metric<Scalar>(metrics[n], static_cast<Index>(n), view.dimension(static_cast<Index>(n))));
  return WeightedTensor<Scalar>(view, std::move(made));
}

}  // namespace qaf
