#pragma once

#include <vector>

#include <qaf/detail/khatri_rao.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// What the terms of a contraction are multiplied with: one after the other, from term `first` on, the rows of a
/// matrix, over and over where there are scales, a row of them for every turn. Both in panels.
template <typename Scalar>
struct TermRows {
  PanelView<Scalar> matrix, scales;
  bool has_scales = false;
  Index first = 0;

  /// Terms from k on whose rows follow each other.
  Index run(Index k) const { return matrix.rows() - (k - first) % matrix.rows(); }
  const Scalar* row(Index k, Index panel) const {
    return matrix.panel(panel) + (k - first) % matrix.rows() * matrix.layout().width(panel);
  }
  const Scalar* scale(Index k, Index panel) const {
    return has_scales ? scales.panel(panel) + (k - first) / matrix.rows() * scales.layout().width(panel) : nullptr;
  }
};

/// What the terms of the parts of a contraction are multiplied with.
template <typename Scalar>
class TermRowsOfParts {
 public:
  /// `factors`: of the modes summed over, the fastest in memory first; they view memory that must outlive this.
  TermRowsOfParts(const std::vector<PanelView<Scalar>>& factors, Index cells)
      : first_(factors.front()),
        is_single_(factors.size() == 1),
        // Sums over long runs of the first factor may be scaled by the others: less work than to make the Khatri-Rao
        // product where there are not many cells to use it.
        by_runs_(!is_single_ && first_.rows() >= long_run && cells <= few_cells * first_.rows()),
        product_(by_runs_ ? std::vector<PanelView<Scalar>>(factors.begin() + 1, factors.end()) : factors) {}

  /// Of terms `begin .. begin + count - 1`, valid until the next call.
  TermRows<Scalar> rows(Index begin, Index count, int threads) {
    if (is_single_) return {first_, {}, false, 0};
    if (!by_runs_) return {product_.slab(begin, count, threads), {}, false, begin};
    const Index run = begin / first_.rows(), end = (begin + count - 1) / first_.rows() + 1;
    return {first_, product_.slab(run, end - run, threads), true, run * first_.rows()};
  }

 private:
  static constexpr Index long_run = 32, few_cells = 16;

  PanelView<Scalar> first_;
  bool is_single_, by_runs_;
  KhatriRao<Scalar> product_;
};

}  // namespace qaf::detail
