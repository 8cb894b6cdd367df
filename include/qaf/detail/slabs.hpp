#pragma once

#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/panel_rows.hpp>
#include <qaf/detail/parallel.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// Some slabs of a partial product: its rows for successive indices of one mode, slab after slab, in memory of somebody
/// else.
template <typename Scalar>
class Slabs {
 public:
  /// `rows`: of a slab.
  Slabs(Scalar* data, Index rows, const PanelLayout<Scalar>& layout) : first_(data, rows, layout) {}

  PanelView<Scalar> slab(Index k) const {
    return {first_.panel(0) + k * first_.size(), first_.rows(), first_.layout()};
  }

  /// Sums the slabs, each times a row of `factor`: `out = sum_k slab_k factor_k`, or `out += ...`.
  void sum_all(const PanelView<Scalar>& factor, int threads, bool add, const PanelView<Scalar>& out) const {
    const Index count = factor.rows();
    parallel_ranges(threads_worth(threads, count * first_.size()), out.rows(), [&](Index begin, Index end) {
      for (Index k = 0; k < out.layout().panels(); ++k) {
        const Index width = out.layout().width(k);
        sum_of_blocks(first_.panel(k) + begin * width, first_.size(), factor.panel(k), count, width, end - begin, add,
                      out.panel(k) + begin * width);
      }
    });
  }

 private:
  PanelView<Scalar> first_;
};

}  // namespace qaf::detail
