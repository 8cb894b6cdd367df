#pragma once

#include <algorithm>

#include <qaf/detail/contraction.hpp>
#include <qaf/detail/khatri_rao.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// Makes a symmetric matrix of the one whose upper triangle is given. Cost: one pass.
template <typename Scalar>
void mirror_upper(Matrix<Scalar>& matrix) {
  constexpr Index block = 32;  // two blocks stay in the first cache
  for (Index j = 0; j < matrix.cols(); j += block) {
    const Index cols = std::min(block, matrix.cols() - j);
    for (Index i = j + cols; i < matrix.rows(); i += block) {
      const Index rows = std::min(block, matrix.rows() - i);
      matrix.block(i, j, rows, cols) = matrix.block(j, i, cols, rows).transpose();
    }
    auto square = matrix.block(j, j, cols, cols);
    for (Index c = 0; c < cols; ++c)
      for (Index r = c + 1; r < cols; ++r) square(r, c) = square(c, r);
  }
}

/// `A^T B` (`R x R`), which must be symmetric, of `a` (`I x R`) and `b`, the panels of B. The Gram matrix where both
/// are the same. Cost: `I R^2` flops.
template <typename Scalar>
Matrix<Scalar> symmetric_product(const Matrix<Scalar>& a, const PanelView<Scalar>& b, int threads) {
  const PanelLayout<Scalar>& layout = b.layout();
  const Index rank = layout.rank();
  PanelMatrix<Scalar> panels;
  panels.resize(rank, layout);
  KhatriRao<Scalar> rows({b});
  contract(Contraction<Scalar>{a.data(), a.rows(), rank, 1, true}, rows, threads, panels.view(), true);
  Matrix<Scalar> product(rank, rank);
  for (Index k = 0; k < layout.panels(); ++k) {
    const Eigen::Map<const Matrix<Scalar>> columns(panels.view().panel(k), layout.width(k), rank);
    const Index begin = layout.begin(k), count = layout.count(k);
    product.block(begin, begin, count, rank - begin) = columns.block(0, begin, count, rank - begin);
  }
  mirror_upper(product);
  return product;
}

}  // namespace qaf::detail
