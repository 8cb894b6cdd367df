#pragma once

#include <cmath>
#include <limits>

#include <qaf/types.hpp>

namespace qaf::detail {

// What is done to the columns of matrices, one after the other: few expressions for Eigen to compile.

/// Multiplies every column by its factor.
template <typename Scalar>
void scale_columns(const Vector<Scalar>& factors, Matrix<Scalar>& matrix) {
  for (Index r = 0; r < matrix.cols(); ++r) matrix.col(r) *= factors[r];
}

/// The same of a copy.
template <typename Scalar>
Matrix<Scalar> with_scaled_columns(Matrix<Scalar> matrix, const Vector<Scalar>& factors) {
  scale_columns(factors, matrix);
  return matrix;
}

/// The inner products of the columns of two matrices, each in the scalar's own precision.
template <typename Scalar>
Vector<Scalar> inner_products(const Matrix<Scalar>& a, const Matrix<Scalar>& b) {
  Vector<Scalar> products(a.cols());
  for (Index r = 0; r < a.cols(); ++r) products[r] = a.col(r).dot(b.col(r));
  return products;
}

/// The sum of the products of all entries: columns in the scalar's own precision, which is several times as fast, and
/// their sums in double.
template <typename Scalar>
double inner_product(const Matrix<Scalar>& a, const Matrix<Scalar>& b) {
  double sum = 0;
  for (const Scalar product : inner_products(a, b)) sum += static_cast<double>(product);
  return sum;
}

/// The Euclidean norm of column r, without overflow or underflow on the way.
template <typename Scalar>
double column_norm(const Matrix<Scalar>& matrix, Index r) {
  const Scalar squared = matrix.col(r).squaredNorm();
  constexpr Scalar least = std::numeric_limits<Scalar>::min() / std::numeric_limits<Scalar>::epsilon();
  if (squared >= least && squared <= std::numeric_limits<Scalar>::max()) return std::sqrt(static_cast<double>(squared));
  double largest = 0, sum = 0;
  for (Index i = 0; i < matrix.rows(); ++i) largest = std::fmax(largest, std::abs(static_cast<double>(matrix(i, r))));
  if (!(largest > 0)) return std::isnan(squared) ? std::numeric_limits<double>::quiet_NaN() : 0.0;
  for (Index i = 0; i < matrix.rows(); ++i) {
    const double part = static_cast<double>(matrix(i, r)) / largest;
    sum += part * part;
  }
  return largest * std::sqrt(sum);
}

/// The root of a squared error that came out of a sum whose terms cancel: below zero it is rounding, and taken for 0.
/// Not for minus infinity, which is overflow.
inline double root_of_cancelled_sum(double squared) {
  return squared <= 0 && std::isfinite(squared) ? 0.0 : std::sqrt(squared);
}

}  // namespace qaf::detail
