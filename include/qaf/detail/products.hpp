#pragma once

#include <qaf/detail/contraction.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

// Products of matrices, which are contractions of tensors of two modes.

/// `a b` (`M x R`) of `a` (`M x K`) and `b` (`K x R`). Cost: `2 M K R` flops.
template <typename Scalar>
Matrix<Scalar> product(const Matrix<Scalar>& a, const Matrix<Scalar>& b, int threads) {
  return contracted(dense_contraction(a.data(), 1, a.rows(), a.cols(), true), b, threads);
}

/// `a^T b` (`M x R`) of `a` (`K x M`) and `b` (`K x R`).
template <typename Scalar>
Matrix<Scalar> transposed_product(const Matrix<Scalar>& a, const Matrix<Scalar>& b, int threads) {
  return contracted(dense_contraction(a.data(), a.rows(), a.cols(), 1, true), b, threads);
}

}  // namespace qaf::detail
