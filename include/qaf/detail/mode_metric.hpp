#pragma once

#include <cstddef>
#include <vector>

#include <qaf/detail/cholesky.hpp>
#include <qaf/detail/products.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// What a mode's errors weigh: a symmetric positive definite matrix M (`I_n x I_n`), a diagonal one, or none (all
/// weigh 1). It comes with its eigenvectors, since updates of a factor in this metric fall apart in their basis.
template <typename Scalar>
struct ModeMetric {
  /// Eigenvectors whose eigenvalues are within a factor of 2.
  struct Group {
    Scalar largest = 1;
    std::vector<Index> members;
  };

  Matrix<Scalar> matrix;        ///< M; empty where it is diagonal
  Matrix<Scalar> eigenvectors;  ///< of M, in columns; empty where it is diagonal
  Vector<Scalar> eigenvalues;   ///< of M; empty where all weigh 1
  std::vector<Group> groups;

  bool is_plain() const { return eigenvalues.size() == 0; }
  bool is_diagonal() const { return matrix.size() == 0; }

  /// `M a`.
  Matrix<Scalar> times(const Matrix<Scalar>& a, int threads) const {
    if (is_plain()) return a;
    if (!is_diagonal()) return product(matrix, a, threads);
    Matrix<Scalar> result = a;
    for (Index i = 0; i < a.rows(); ++i) result.row(i) *= eigenvalues[i];
    return result;
  }

  /// `x^T M x`.
  Scalar squared_length(const Vector<Scalar>& x) const {
    if (is_plain()) return x.squaredNorm();
    Scalar sum = 0;
    for (Index j = 0; j < x.size(); ++j) sum += x[j] * (is_diagonal() ? eigenvalues[j] * x[j] : matrix.col(j).dot(x));
    return sum;
  }
};

/// In a metric that is not the plain one: replaces the residual of `M A K + A diag(q) = ...` by the step that A is to
/// make, the solution S of `M S K + S diag(q) = residual` (`I x R`). In the basis of M's eigenvectors, rows of a group
/// are solved with the largest eigenvalue of the group: a majorizer, so that a step never goes too far and repeated
/// steps end at the solution. Cost: `R^3 / 3` a group, `2 I R^2`, and `4 I^2 R` for a full M.
template <typename Scalar>
void solve_for_step(const ModeMetric<Scalar>& metric, const Matrix<Scalar>& k, const Vector<Scalar>& q, int threads,
                    Cholesky<Scalar>& cholesky, Matrix<Scalar>& residual) {
  if (!metric.is_diagonal()) residual = transposed_product(metric.eigenvectors, residual, threads);
  for (const typename ModeMetric<Scalar>::Group& group : metric.groups) {
    const Matrix<Scalar> system = group.largest * k;
    const Index count = static_cast<Index>(group.members.size());
    Matrix<Scalar> rows(count, residual.cols());
    for (Index j = 0; j < count; ++j) rows.row(j) = residual.row(group.members[static_cast<std::size_t>(j)]);
    cholesky.factorize(system, q, threads);
    cholesky.solve_on_the_right(threads, rows);
    for (Index j = 0; j < count; ++j) residual.row(group.members[static_cast<std::size_t>(j)]) = rows.row(j);
  }
  if (!metric.is_diagonal()) residual = product(metric.eigenvectors, residual, threads);
}

}  // namespace qaf::detail
