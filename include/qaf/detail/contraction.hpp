#pragma once

#include <algorithm>
#include <vector>

#include <qaf/detail/blas.hpp>
#include <qaf/detail/contracted_indices.hpp>
#include <qaf/detail/khatri_rao.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/parallel.hpp>
#include <qaf/detail/part_of_contraction.hpp>
#include <qaf/detail/term_rows.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// How many terms to take at a time. 512 rows of a panel stay in the second cache, and lines of as many terms in the
/// first. Where a cell's terms follow each other in memory, longer pieces of it are read faster.
template <typename Scalar>
Index terms_at_a_time(const Contraction<Scalar>& contraction, const PanelLayout<Scalar>& layout) {
  constexpr Index least = 512, most = 4096, entries = Index{1} << 17;
  return contraction.term_stride() == 1 ? std::clamp(entries / layout.padded_rank(), least, most) : least;
}

/// Sums a tensor over some of its modes, for every component times the entries of these modes' factors:
/// `result(c, r) = sum_k X(c, k) KhatriRao(k, r)`. `factors`: of the modes summed over, the fastest in memory first.
/// `result` is `cells x R`.
/// Cost: `2 prod(I) R` flops. Memory: some rows of the Khatri-Rao product, and at most a block of tiles a thread.
template <typename Scalar>
void contract(const Contraction<Scalar>& contraction, const std::vector<PanelView<Scalar>>& factors, int threads,
              const PanelView<Scalar>& result) {
  const Index terms = contraction.terms(), most_terms = terms_at_a_time(contraction, result.layout());
  const Index parts = (terms + most_terms - 1) / most_terms;
  threads = threads_worth(threads, contraction.cells() * terms * result.layout().padded_rank());
#if QAF_PRODUCTS_BY_BLAS
  KhatriRao<Scalar> product(factors);
  for (Index p = 0; p < parts; ++p) {
    const Index begin = terms * p / parts, count = terms * (p + 1) / parts - begin;
    contract_by_blas(contraction, product.slab(begin, count, threads), begin, result);
  }
#else
  TermRowsOfParts<Scalar> rows_of_parts(factors, contraction.cells());
  for (Index p = 0; p < parts; ++p) {
    const Index begin = terms * p / parts, count = terms * (p + 1) / parts - begin;
    const PartOfContraction<Scalar> part(contraction, rows_of_parts.rows(begin, count, threads), begin, count, result);
    parallel_ranges(threads, part.tiles(), [&](Index first, Index last) { part.run(first, last); });
  }
#endif
}

/// The same with one matrix (`terms x R`) in the place of a Khatri-Rao product: `cells x R`.
template <typename Scalar>
Matrix<Scalar> contracted(const Contraction<Scalar>& contraction, const Matrix<Scalar>& other, int threads) {
  const PanelLayout<Scalar> layout(other.cols());
  PanelMatrix<Scalar> panels, result;
  panels.assign(other, layout);
  result.resize(contraction.cells(), layout);
  contract(contraction, {panels.view()}, threads, result.view());
  return result.view().to_matrix(Scalar(1));
}

}  // namespace qaf::detail
