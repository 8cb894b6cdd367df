#pragma once

// Products of matrices by a BLAS, through Eigen. The library's own kernels are as fast as a BLAS where they may use the
// processor's fused multiply-adds; where the program is compiled for processors that may have none, a BLAS finds out at
// run time what there is and is several times as fast. So it takes over there, if the program asks for one
// (EIGEN_USE_BLAS). QAF_PRODUCTS_BY_BLAS, defined as 0 or 1, decides otherwise.

#include <Eigen/Core>

#ifndef QAF_PRODUCTS_BY_BLAS
#if defined(EIGEN_USE_BLAS) && !defined(EIGEN_VECTORIZE_FMA) && !EIGEN_ARCH_ARM64
#define QAF_PRODUCTS_BY_BLAS 1
#else
#define QAF_PRODUCTS_BY_BLAS 0
#endif
#endif

#if QAF_PRODUCTS_BY_BLAS

#include <algorithm>
#include <limits>

#include <Eigen/Cholesky>

#include <qaf/detail/contracted_indices.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/symmetric_panels.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// Rows in panels as the columns of a matrix.
template <typename Scalar>
Matrix<Scalar> columns_of_panels(const PanelView<Scalar>& rows) {
  const PanelLayout<Scalar>& layout = rows.layout();
  Matrix<Scalar> columns(layout.padded_rank(), rows.rows());
  for (Index k = 0; k < layout.panels(); ++k)
    columns.middleRows(layout.begin(k), layout.width(k)) =
        Eigen::Map<const Matrix<Scalar>>(rows.panel(k), layout.width(k), rows.rows());
  return columns;
}

/// Puts them into panels, from row `first` on; `add` adds them.
template <typename Scalar>
void put_columns(const Matrix<Scalar>& columns, Index first, bool add, const PanelView<Scalar>& rows) {
  const PanelLayout<Scalar>& layout = rows.layout();
  for (Index k = 0; k < layout.panels(); ++k) {
    const Index width = layout.width(k);
    Eigen::Map<Matrix<Scalar>> target(rows.panel(k) + first * width, width, columns.cols());
    if (add)
      target += columns.middleRows(layout.begin(k), width);
    else
      target = columns.middleRows(layout.begin(k), width);
  }
}

/// What `PartOfContraction` does. `rows`: of the terms from `begin` on.
template <typename Scalar>
void contract_by_blas(const Contraction<Scalar>& contraction, const PanelView<Scalar>& rows, Index begin,
                      const PanelView<Scalar>& result) {
  using Entries = Eigen::Map<const Matrix<Scalar>, 0, Eigen::OuterStride<>>;
  const Matrix<Scalar> factors = columns_of_panels(rows);
  constexpr Index block = 512;
  Matrix<Scalar> sums;
  for (Index c = 0; c < result.rows();) {
    const Index cells = std::min(contraction.cell_run(c), block);
    sums.setZero(factors.rows(), cells);
    for (Index k = 0; k < rows.rows();) {
      // Neither cells nor terms side by side is no matrix of a BLAS, but columns are.
      const bool is_matrix = contraction.cell_stride() == 1 || contraction.term_stride() == 1;
      const Index terms = is_matrix ? std::min(contraction.term_run(begin + k), rows.rows() - k) : 1;
      const Scalar* const entries = contraction.cell(c) + contraction.term(begin + k);
      const auto part = factors.middleCols(k, terms);
      if (contraction.cell_stride() == 1)
        sums.noalias() +=
            part * Entries(entries, cells, terms, Eigen::OuterStride<>(contraction.term_stride())).transpose();
      else
        sums.noalias() += part * Entries(entries, terms, cells, Eigen::OuterStride<>(contraction.cell_stride()));
      k += terms;
    }
    put_columns(sums, c, begin > 0, result);
    c += cells;
  }
}

/// What `symmetric_product` does.
template <typename Scalar>
void symmetric_product_by_blas(const PanelView<Scalar>& a, const PanelView<Scalar>& b,
                               const PanelView<Scalar>& result) {
  const Matrix<Scalar> columns_of_a = columns_of_panels(a), columns_of_b = columns_of_panels(b);
  Matrix<Scalar> product(columns_of_b.rows(), columns_of_a.rows());
  product.noalias() = columns_of_b * columns_of_a.transpose();
  put_columns(product, 0, false, result);
}

/// What `Cholesky` does.
template <typename Scalar>
class CholeskyByBlas {
 public:
  /// Of `matrix + diag(added)`. Returns the least part of a diagonal element that was left for its pivot, 0 where the
  /// matrix is not positive definite to rounding; solving is then for a larger diagonal.
  Scalar factorize(const SymmetricPanels<Scalar>& matrix, const Vector<Scalar>& added) {
    Matrix<Scalar> system = matrix.to_matrix();
    system.diagonal() += added;
    const Vector<Scalar> whole = system.diagonal();
    cholesky_.compute(system);
    if (cholesky_.info() == Eigen::Success) {
      const Scalar least = (cholesky_.matrixLLT().diagonal().array().square() / whole.array()).minCoeff();
      if (least >= std::numeric_limits<Scalar>::epsilon()) return least;
    }
    // So far that it is diagonally dominant.
    system.diagonal() = system.cwiseAbs().rowwise().sum().array() + std::numeric_limits<Scalar>::min();
    cholesky_.compute(system);
    return 0;
  }

  void solve_on_the_right(const PanelView<Scalar>& right_side) const {
    const Index rank = right_side.layout().rank();
    Matrix<Scalar> columns = columns_of_panels(right_side);
    columns.topRows(rank) = cholesky_.solve(columns.topRows(rank));
    put_columns(columns, 0, false, right_side);
  }

 private:
  Eigen::LLT<Matrix<Scalar>> cholesky_;
};

}  // namespace qaf::detail

#endif
