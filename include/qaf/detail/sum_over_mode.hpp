#pragma once

#include <cstddef>
#include <vector>

#include <qaf/detail/modes_about.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/panel_rows.hpp>
#include <qaf/detail/parallel.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// Sums a partial product over one of its modes: `sums` has a row for every combination of the indices of the others,
/// to which, where `add` says so, the new sums are added.
/// `rows`: one for every combination of the indices of `modes`, the first the fastest. Cost: one pass over them.
template <typename Scalar>
void sum_over_mode(const PanelView<Scalar>& rows, Index mode, const std::vector<Index>& modes,
                   const std::vector<PanelView<Scalar>>& factors, int threads, bool add,
                   const PanelView<Scalar>& sums) {
  const ModesAbout about = modes_about(mode, modes, factors);
  const PanelView<Scalar>& factor = factors[static_cast<std::size_t>(mode)];
  // Threads share the slow indices, or the fast ones where these are more.
  const bool by_slow = about.slow >= about.fast;
  const auto part = [&](Index slow_begin, Index slow_end, Index fast_begin, Index fast_end) {
    for (Index k = 0; k < sums.layout().panels(); ++k) {
      const Index width = sums.layout().width(k);
      for (Index s = slow_begin; s < slow_end; ++s) {
        const Scalar* const source = rows.panel(k) + s * about.length * about.fast * width;
        Scalar* const target = sums.panel(k) + s * about.fast * width;
        if (about.fast == 1)
          sum_of_products<Scalar>(source, factor.panel(k), width, about.length, nullptr, add, target);
        else
          sum_of_blocks(source + fast_begin * width, about.fast * width, factor.panel(k), about.length, width,
                        fast_end - fast_begin, add, target + fast_begin * width);
      }
    }
  };
  parallel_ranges(threads_worth(threads, rows.size()), by_slow ? about.slow : about.fast, [&](Index begin, Index end) {
    if (by_slow)
      part(begin, end, 0, about.fast);
    else
      part(0, about.slow, begin, end);
  });
}

}  // namespace qaf::detail
