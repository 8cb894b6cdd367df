#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <qaf/cp_model.hpp>
#include <qaf/dense_tensor.hpp>
#include <qaf/types.hpp>

// What the library computes, by the definitions: plain loops over all indices, in double.
namespace support {

/// Calls `visit(index)` for all indices of a tensor, in the same order whatever its storage order.
template <typename Visit>
void for_each_index(const std::vector<qaf::Index>& dimensions, const Visit& visit) {
  std::vector<qaf::Index> index(dimensions.size(), 0);
  for (const qaf::Index length : dimensions)
    if (length == 0) return;
  while (true) {
    visit(index);
    std::size_t mode = 0;
    while (mode < index.size() && ++index[mode] == dimensions[mode]) index[mode++] = 0;
    if (mode == index.size()) return;
  }
}

/// Where the entry stands in memory.
inline qaf::Index position(const std::vector<qaf::Index>& dimensions, qaf::StorageOrder storage_order,
                           const std::vector<qaf::Index>& index) {
  qaf::Index offset = 0;
  for (std::size_t k = 0; k < dimensions.size(); ++k) {
    const std::size_t mode = storage_order == qaf::StorageOrder::row_major ? k : dimensions.size() - 1 - k;
    offset = offset * dimensions[mode] + index[mode];
  }
  return offset;
}

template <typename Tensor>
auto entry(const Tensor& tensor, const std::vector<qaf::Index>& index) {
  return tensor.data()[position(tensor.dimensions(), tensor.storage_order(), index)];
}

/// The factors with a component's entries next to each other, in double.
template <typename Scalar>
std::vector<qaf::Matrix<double>> transposed_factors(const std::vector<qaf::Matrix<Scalar>>& factors) {
  std::vector<qaf::Matrix<double>> result;
  for (const qaf::Matrix<Scalar>& factor : factors)
    result.push_back(qaf::Matrix<double>(factor.template cast<double>().transpose()));
  return result;
}

/// `F(i_n, r) = sum over the other indices of X(i_1 .. i_N) prod_{m != n} A_m(i_m, r)`.
template <typename Tensor, typename Scalar>
qaf::Matrix<double> direct_mttkrp(const Tensor& tensor, const std::vector<qaf::Matrix<Scalar>>& factors,
                                  std::size_t mode) {
  const std::vector<qaf::Matrix<double>> columns = transposed_factors(factors);
  const qaf::Index rank = factors.front().cols();
  qaf::Matrix<double> result = qaf::Matrix<double>::Zero(rank, tensor.dimensions()[mode]);
  std::vector<double> product(static_cast<std::size_t>(rank));
  for_each_index(tensor.dimensions(), [&](const std::vector<qaf::Index>& index) {
    product.assign(product.size(), static_cast<double>(entry(tensor, index)));
    for (std::size_t m = 0; m < columns.size(); ++m) {
      if (m == mode) continue;
      const double* const column = columns[m].data() + index[m] * rank;
      for (std::size_t r = 0; r < product.size(); ++r) product[r] *= column[r];
    }
    double* const sum = result.data() + index[mode] * rank;
    for (std::size_t r = 0; r < product.size(); ++r) sum[r] += product[r];
  });
  return result.transpose();
}

/// `G = hadamard of A_m^T A_m` over all modes m but one (`R x R`).
template <typename Scalar>
qaf::Matrix<double> direct_gram_of_others(const std::vector<qaf::Matrix<Scalar>>& factors, std::size_t mode) {
  const qaf::Index rank = factors.front().cols();
  qaf::Matrix<double> result = qaf::Matrix<double>::Ones(rank, rank);
  for (std::size_t m = 0; m < factors.size(); ++m)
    if (m != mode) result.array() *= (factors[m].transpose() * factors[m]).template cast<double>().array();
  return result;
}

/// `Xhat(i_1 .. i_N) = sum_r lambda_r prod_n A_n(i_n, r)`.
template <typename Scalar>
double direct_entry(const qaf::CpModel<Scalar>& model, const std::vector<qaf::Index>& index) {
  double sum = 0;
  for (qaf::Index r = 0; r < model.weights.size(); ++r) {
    double product = static_cast<double>(model.weights[r]);
    for (std::size_t n = 0; n < model.factors.size(); ++n)
      product *= static_cast<double>(model.factors[n](index[n], r));
    sum += product;
  }
  return sum;
}

template <typename Scalar>
std::vector<qaf::Index> sizes(const qaf::CpModel<Scalar>& model) {
  std::vector<qaf::Index> dimensions;
  for (const qaf::Matrix<Scalar>& factor : model.factors) dimensions.push_back(factor.rows());
  return dimensions;
}

template <typename Scalar>
qaf::DenseTensor<Scalar> direct_tensor(const qaf::CpModel<Scalar>& model, qaf::StorageOrder storage_order) {
  const std::vector<qaf::Index> dimensions = sizes(model);
  qaf::DenseTensor<Scalar> tensor(dimensions, storage_order);
  for_each_index(dimensions, [&](const std::vector<qaf::Index>& index) {
    tensor.data()[position(dimensions, storage_order, index)] = static_cast<Scalar>(direct_entry(model, index));
  });
  return tensor;
}

/// `|X|_F`; the entries' squares must be within the range of long double.
template <typename Tensor>
double direct_norm(const Tensor& tensor) {
  long double sum = 0;
  for (qaf::Index k = 0; k < tensor.size(); ++k) {
    const long double value = static_cast<long double>(tensor.data()[k]);
    sum += value * value;
  }
  return static_cast<double>(std::sqrt(sum));
}

/// `|X - Xhat|_F / |X|_F`.
template <typename Tensor, typename Scalar>
double direct_error(const Tensor& tensor, const qaf::CpModel<Scalar>& model) {
  long double sum = 0;
  for_each_index(tensor.dimensions(), [&](const std::vector<qaf::Index>& index) {
    const long double difference = static_cast<long double>(entry(tensor, index)) - direct_entry(model, index);
    sum += difference * difference;
  });
  return static_cast<double>(std::sqrt(sum)) / direct_norm(tensor);
}

/// The largest difference between the tensors that two models describe, over the largest entry.
template <typename Scalar>
double model_distance(const qaf::CpModel<Scalar>& a, const qaf::CpModel<Scalar>& b) {
  if (sizes(a) != sizes(b)) return std::numeric_limits<double>::infinity();
  double largest = 0;
  double difference = 0;
  for_each_index(sizes(a), [&](const std::vector<qaf::Index>& index) {
    const double expected = direct_entry(a, index);
    largest = std::max(largest, std::abs(expected));
    difference = std::max(difference, std::abs(expected - direct_entry(b, index)));
  });
  return largest > 0 ? difference / largest : difference;
}

/// `|A - B|_F / |B|_F`, in double.
template <typename A, typename B>
double matrix_distance(const Eigen::MatrixBase<A>& a, const Eigen::MatrixBase<B>& b) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return std::numeric_limits<double>::infinity();
  const qaf::Matrix<double> expected = b.template cast<double>();
  const double norm = expected.norm();
  const double difference = (a.template cast<double>() - expected).norm();
  return norm > 0 ? difference / norm : difference;
}

}  // namespace support
