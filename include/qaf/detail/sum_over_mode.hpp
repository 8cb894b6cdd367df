#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <qaf/detail/modes_about.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/panel_rows.hpp>
#include <qaf/detail/parallel.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// Calls `body(first, last)` for pieces `first .. last - 1` of `begin .. end - 1`, from the last piece to the first.
template <typename Body>
void for_pieces_from_the_end(Index begin, Index end, Index length, const Body& body) {
  for (Index last = end; last > begin; last -= length) body(std::max(begin, last - length), last);
}

/// Sums a partial product over one of its modes. Its rows, one for every combination of the indices of `modes`, the
/// first the fastest, were read from the first to the last before: they are read from the last piece to the first, so
/// that what the caches hold still is used before it is driven out. `sums` has a row for every combination of the
/// indices of the other modes. Cost: one pass over the rows.
template <typename Scalar>
void sum_over_mode(const PanelView<Scalar>& rows, Index mode, const std::vector<Index>& modes,
                   const std::vector<PanelView<Scalar>>& factors, int threads, const PanelView<Scalar>& sums) {
  constexpr Index piece = (Index{1} << 19) / sizeof(Scalar);  // long enough for hardware to read ahead
  const ModesAbout about = modes_about(mode, modes, factors);
  const auto part = [&](Index panel, Index slow_begin, Index slow_end, Index fast_begin, Index fast_end) {
    const Scalar* const factor = factors[static_cast<std::size_t>(mode)].panel(panel);
    const Index width = sums.layout().width(panel), block = about.fast * width, slice = about.length * block;
    const Index slices = std::max(piece / slice, Index{1});
    const Index blocks = std::max(piece / block / few_blocks, Index{1}) * few_blocks;
    for_pieces_from_the_end(slow_begin, slow_end, slices, [&](Index first, Index last) {
      for (Index s = first; s < last; ++s) {
        Scalar* const target = sums.panel(panel) + s * block + fast_begin * width;
        for_pieces_from_the_end(0, about.length, blocks, [&](Index i, Index end) {
          const Scalar* const source = rows.panel(panel) + s * slice + i * block + fast_begin * width;
          const bool add = end < about.length;
          if (about.fast == 1)
            sum_of_products<Scalar>(source, factor + i * width, width, end - i, nullptr, add, target);
          else
            sum_of_blocks(source, block, factor + i * width, end - i, width, fast_end - fast_begin, add, target);
        });
      }
    });
  };
  // Threads share the slow indices, or the fast ones where these are more.
  const bool by_slow = about.slow >= about.fast;
  parallel_ranges(threads_worth(threads, rows.size()), by_slow ? about.slow : about.fast, [&](Index begin, Index end) {
    for (Index k = sums.layout().panels(); k-- > 0;) {
      if (by_slow)
        part(k, begin, end, 0, about.fast);
      else
        part(k, 0, about.slow, begin, end);
    }
  });
}

}  // namespace qaf::detail
