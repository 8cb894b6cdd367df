#pragma once

#include <algorithm>
#include <vector>

#include <qaf/detail/contracted_indices.hpp>
#include <qaf/detail/contraction.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/parallel.hpp>
#include <qaf/detail/part_of_contraction.hpp>
#include <qaf/detail/sum_over_others.hpp>
#include <qaf/detail/term_rows.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// Makes the rows of a contraction, which go past the caches, and sums them. To read them again takes the time that
/// memory needs, in which nothing is multiplied; so they are fetched again piece by piece, while the next piece is
/// made. Threads share `parts` parts, whatever their number, so that the bits are the same.
template <typename Scalar>
void stream_and_sum(const PartOfContraction<Scalar>& contraction, Index parts, int threads,
                    const PanelView<Scalar>& result, SumOverOthers<Scalar>& sum, const PanelView<Scalar>& sums) {
  constexpr Index piece_bytes = Index{1} << 17;  // which the second cache holds, beside what is multiplied
  const Index bytes = result.size() * static_cast<Index>(sizeof(Scalar));
  const Index pieces = bytes / parts / piece_bytes + 1;  // of a part
  const auto tile = [&](Index piece) { return contraction.tiles() * piece / (parts * pieces); };
  const auto row = [&](Index piece) { return std::min(tile(piece) * contraction.tile(), result.rows()); };
  const auto add = [&](Index piece) { sum.add(piece / pieces, result, row(piece), row(piece + 1)); };
  sum.begin_parts(parts);
  parallel_ranges(threads, parts, [&](Index first_part, Index last_part) {
    const Index first = first_part * pieces, last = last_part * pieces;
    contraction.run(tile(first), tile(first + 1));
    for (Index piece = first + 1; piece < last; ++piece) {
      contraction.run(tile(piece), tile(piece + 1), tile(piece) - tile(piece - 1));
      add(piece - 1);
    }
    add(last - 1);
  });
  sum.end_parts(parts, sums);
}

/// As `contract`, and sums the rows of the result: `sums` is what `sum` makes of them.
template <typename Scalar>
void contract_and_sum(const Contraction<Scalar>& contraction, const std::vector<PanelView<Scalar>>& factors,
                      int threads, const PanelView<Scalar>& result, SumOverOthers<Scalar>& sum,
                      const PanelView<Scalar>& sums) {
#if !QAF_PRODUCTS_BY_BLAS
  constexpr Index parts = 64;
  const bool parts_are_small = sum.terms() >= 16 * parts;  // beside the result
  if (parts_are_small && contraction.terms() <= terms_at_a_time(contraction, result.layout())) {
    TermRowsOfParts<Scalar> rows(factors, contraction.cells());
    const PartOfContraction<Scalar> whole(contraction, rows.rows(0, contraction.terms(), threads), 0,
                                          contraction.terms(), result);
    if (whole.streams()) return stream_and_sum(whole, parts, threads, result, sum, sums);
  }
#endif
  contract(contraction, factors, threads, result);
  sum.run(result, threads, sums);
}

}  // namespace qaf::detail
