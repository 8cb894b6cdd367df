#pragma once

#include <qaf/types.hpp>

namespace qaf::detail {

// Products of matrices, on the same few types: less to compile than products written where they are needed, since Eigen
// compiles its kernels anew for every type of operand.

template <typename Scalar>
using ConstBlock = Eigen::Ref<const Matrix<Scalar>, 0, Eigen::OuterStride<>>;
template <typename Scalar>
using MutableBlock = Eigen::Ref<Matrix<Scalar>, 0, Eigen::OuterStride<>>;

/// `result += a b`.
template <typename Scalar>
void add_product(const ConstBlock<Scalar>& a, const ConstBlock<Scalar>& b, MutableBlock<Scalar> result) {
  result.noalias() += a * b;
}

/// `result += a^T b`.
template <typename Scalar>
void add_transposed_product(const ConstBlock<Scalar>& a, const ConstBlock<Scalar>& b, MutableBlock<Scalar> result) {
  result.noalias() += a.transpose() * b;
}

/// `result += a b^T`.
template <typename Scalar>
void add_product_transposed(const ConstBlock<Scalar>& a, const ConstBlock<Scalar>& b, MutableBlock<Scalar> result) {
  result.noalias() += a * b.transpose();
}

/// `a b`.
template <typename Scalar>
Matrix<Scalar> product(const ConstBlock<Scalar>& a, const ConstBlock<Scalar>& b) {
  Matrix<Scalar> result = Matrix<Scalar>::Zero(a.rows(), b.cols());
  add_product<Scalar>(a, b, result);
  return result;
}

}  // namespace qaf::detail
