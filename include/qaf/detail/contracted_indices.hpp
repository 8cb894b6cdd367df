#pragma once

#include <qaf/types.hpp>

namespace qaf::detail {

/// A tensor in memory, `fast x middle x slow`, of which either the middle index or the two others are kept, and the
/// rest are summed over. The kept indices together make a cell, the others a term.
template <typename Scalar>
struct Contraction {
  const Scalar* data;
  Index fast, middle, slow;
  Index middle_stride, slow_stride;  // the fast ones stand side by side
  bool keeps_middle;

  Index cells() const { return keeps_middle ? middle : fast * slow; }
  Index terms() const { return keeps_middle ? fast * slow : middle; }

  /// The first entry of a cell.
  const Scalar* cell(Index c) const {
    return data + (keeps_middle ? c * middle_stride : c % fast + c / fast * slow_stride);
  }
  /// From a cell to the next one, where `cell_run` of them follow each other.
  Index cell_stride() const { return keeps_middle ? middle_stride : 1; }
  Index cell_run(Index c) const { return keeps_middle ? middle - c : fast - c % fast; }

  /// From the first entry of a cell to that of a term.
  Index term(Index k) const { return keeps_middle ? k % fast + k / fast * slow_stride : k * middle_stride; }
  /// From a term to the next one, where `term_run` of them follow each other.
  Index term_stride() const { return !keeps_middle ? middle_stride : fast == 1 ? slow_stride : 1; }
  Index term_run(Index k) const { return !keeps_middle || fast == 1 ? terms() - k : fast - k % fast; }
};

/// Of a tensor without gaps.
template <typename Scalar>
Contraction<Scalar> dense_contraction(const Scalar* data, Index fast, Index middle, Index slow, bool keeps_middle) {
  return {data, fast, middle, slow, fast, fast * middle, keeps_middle};
}

}  // namespace qaf::detail
