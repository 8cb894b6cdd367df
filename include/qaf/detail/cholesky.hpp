#pragma once

#include <Eigen/Cholesky>

#include <qaf/detail/parallel.hpp>
#include <qaf/detail/products.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// The Cholesky factorization of a symmetric positive definite matrix, in its own memory.
template <typename Scalar>
using Cholesky = Eigen::LLT<Eigen::Ref<Matrix<Scalar>>>;

/// Replaces `right_side` (`I x R`) by `right_side M^-1`, from the Cholesky factorization of M. Cost: `2 I R^2` flops.
template <typename Scalar>
void solve_on_the_right(const Cholesky<Scalar>& cholesky, int threads, Matrix<Scalar>& right_side) {
#ifdef EIGEN_USE_BLAS
  threads = 1;  // it has its own
#endif
  threads = threads_worth(threads, right_side.size() * right_side.cols());
  parallel_ranges(threads, right_side.rows(), [&](Index begin, Index end) {
    MutableBlock<Scalar> rows = right_side.middleRows(begin, end - begin);
    cholesky.matrixU().template solveInPlace<Eigen::OnTheRight>(rows);
    cholesky.matrixL().template solveInPlace<Eigen::OnTheRight>(rows);
  });
}

}  // namespace qaf::detail
