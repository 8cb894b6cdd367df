#pragma once

#include <algorithm>
#include <vector>

#include <qaf/detail/blas.hpp>
#include <qaf/detail/contracted_indices.hpp>
#include <qaf/detail/contraction.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/parallel.hpp>
#include <qaf/detail/part_of_contraction.hpp>
#include <qaf/detail/sum_over_others.hpp>
#include <qaf/detail/term_rows.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// Makes the rows of a contraction that goes past the caches, and sums them. To read them again takes the time that
/// memory needs, in which nothing is multiplied; so they are fetched again piece by piece, while the next piece is
/// made. There are as many ranges of rows with sums of their own for any number of threads: so the bits are the same.
template <typename Scalar>
void make_and_sum(const PartOfContraction<Scalar>& contraction, Index ranges, int threads,
                  const PanelView<Scalar>& result, SumOverOthers<Scalar>& sum, const PanelView<Scalar>& sums) {
  constexpr Index piece_bytes = Index{1} << 17;  // which the second cache holds, beside what is multiplied
  const Index bytes = result.size() * static_cast<Index>(sizeof(Scalar));
  const Index pieces = bytes / ranges / piece_bytes + 1, all = ranges * pieces;  // of a range, and of all
  const auto tile = [&](Index piece) {
    return contraction.tiles() / all * piece + contraction.tiles() % all * piece / all;
  };
  const auto row = [&](Index piece) { return std::min(tile(piece) * contraction.tile(), result.rows()); };
  const auto add = [&](Index piece) {
    const Index range = piece / pieces;
    if (piece % pieces == 0) sum.clear(range);
    sum.add(range, result, row(piece), row(piece + 1));
  };
  sum.make_ranges(ranges);
  parallel_ranges(threads, ranges, [&](Index first_range, Index last_range) {
    const Index first = first_range * pieces, last = last_range * pieces;
    contraction.run(tile(first), tile(first + 1));
    for (Index piece = first + 1; piece < last; ++piece) {
      contraction.run(tile(piece), tile(piece + 1), tile(piece) - tile(piece - 1));
      add(piece - 1);
    }
    add(last - 1);
  });
  sum.add_ranges(ranges, threads, sums);
}

/// As `contract`, and sums the rows of the result: `sums` is what `sum` makes of them.
template <typename Scalar>
void contract_and_sum(const Contraction<Scalar>& contraction, const std::vector<PanelView<Scalar>>& factors,
                      int threads, const PanelView<Scalar>& result, SumOverOthers<Scalar>& sum,
                      const PanelView<Scalar>& sums) {
#if !QAF_PRODUCTS_BY_BLAS
  constexpr Index ranges = 64;
  const bool sums_are_small = sum.terms() >= 16 * ranges;  // those of all ranges, beside the result
  if (exceeds_caches(result) && sums_are_small &&
      contraction.terms() <= terms_at_a_time(contraction, result.layout())) {
    TermRowsOfParts<Scalar> rows(factors, contraction.cells());
    const PartOfContraction<Scalar> whole(contraction, rows.rows(0, contraction.terms(), threads), 0,
                                          contraction.terms(), result);
    if (whole.passes_caches()) return make_and_sum(whole, ranges, threads, result, sum, sums);
  }
#endif
  contract(contraction, factors, threads, result);
  sum.run(result, threads, sums);
}

}  // namespace qaf::detail
