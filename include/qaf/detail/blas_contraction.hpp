#pragma once

// Included where the program asks for a BLAS by EIGEN_USE_BLAS.

#include <algorithm>

#include <qaf/detail/contracted_indices.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// Whether contractions of so many components are the BLAS's: of many; of any where the compiler may not use the
/// processor's fused multiply-adds, which the BLAS will find all the same.
inline bool is_for_blas(Index rank) {
#if defined(EIGEN_VECTORIZE_FMA) || EIGEN_ARCH_ARM64
  constexpr Index narrow = 128;
#else
  constexpr Index narrow = 0;
#endif
  return rank > narrow;
}

/// What `PartOfContraction` does, by products that Eigen gives to the BLAS. `rows`: of the terms from `begin` on.
template <typename Scalar>
void contract_by_blas(const Contraction<Scalar>& contraction, const PanelView<Scalar>& rows, Index begin,
                      const PanelView<Scalar>& result) {
  using Entries = Eigen::Map<const Matrix<Scalar>, 0, Eigen::OuterStride<>>;
  using Columns = Eigen::Map<Matrix<Scalar>>;
  const PanelLayout<Scalar>& layout = result.layout();
  Matrix<Scalar> factors(layout.padded_rank(), rows.rows());  // the rows as columns
  for (Index k = 0; k < layout.panels(); ++k)
    factors.middleRows(layout.begin(k), layout.width(k)) = Columns(rows.panel(k), layout.width(k), rows.rows());
  constexpr Index block = 512;
  Matrix<Scalar> sums;
  for (Index c = 0; c < result.rows();) {
    const Index cells = std::min(contraction.cell_run(c), block);
    sums.setZero(layout.padded_rank(), cells);
    for (Index k = 0; k < rows.rows();) {
      const Index terms = std::min(contraction.term_run(begin + k), rows.rows() - k);
      const Scalar* const entries = contraction.cell(c) + contraction.term(begin + k);
      const auto part = factors.middleCols(k, terms);
      if (contraction.cell_stride() == 1)
        sums.noalias() +=
            part * Entries(entries, cells, terms, Eigen::OuterStride<>(contraction.term_stride())).transpose();
      else
        sums.noalias() += part * Entries(entries, terms, cells, Eigen::OuterStride<>(contraction.cell_stride()));
      k += terms;
    }
    for (Index k = 0; k < layout.panels(); ++k) {
      Columns target(result.panel(k) + c * layout.width(k), layout.width(k), cells);
      if (begin > 0)
        target += sums.middleRows(layout.begin(k), layout.width(k));
      else
        target = sums.middleRows(layout.begin(k), layout.width(k));
    }
    c += cells;
  }
}

}  // namespace qaf::detail
