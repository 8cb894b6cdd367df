#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/panel_rows.hpp>
#include <qaf/detail/parallel.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// The factors of some modes.
template <typename Scalar>
std::vector<PanelView<Scalar>> factors_of(const std::vector<Index>& modes,
                                          const std::vector<PanelView<Scalar>>& factors) {
  std::vector<PanelView<Scalar>> selected;
  for (const Index mode : modes) selected.push_back(factors[static_cast<std::size_t>(mode)]);
  return selected;
}

/// The Khatri-Rao (column-wise Kronecker) product of some factors in panels, read slab by slab so that it never stands
/// in memory as a whole. The row index runs over the factors' rows, the first factor's fastest.
template <typename Scalar>
class KhatriRao {
 public:
  KhatriRao() = default;

  /// `factors` view memory that must outlive this.
  explicit KhatriRao(std::vector<PanelView<Scalar>> factors) { assign(std::move(factors)); }

  /// Of other factors, with the memory that there is.
  void assign(std::vector<PanelView<Scalar>> factors) {
    factors_ = std::move(factors);
    rows_ = 1;
    for (const PanelView<Scalar>& factor : factors_) rows_ *= factor.rows();
  }

  Index rows() const { return rows_; }
  const PanelLayout<Scalar>& layout() const { return factors_.front().layout(); }

  /// All rows; nothing where there are no factors.
  PanelView<Scalar> all(int threads) { return factors_.empty() ? PanelView<Scalar>() : slab(0, rows_, threads); }

  /// Rows `begin .. begin + count - 1`, valid until the next call. Cost: `count R (N - 1)` multiplications for N
  /// factors, and a copy of the rows for one factor unless all are asked for.
  PanelView<Scalar> slab(Index begin, Index count, int threads) {
    if (factors_.size() == 1 && count == rows_) return factors_.front();
    slab_.resize(count, layout());
    parallel_ranges(threads_worth(threads, count * layout().padded_rank()), count,
                    [&](Index first, Index last) { fill(begin, first, last); });
    return slab_.view();
  }

 private:
  // Rows first .. last - 1 of the slab that begins at row `begin` of the product.
  void fill(Index begin, Index first, Index last) {
    const PanelView<Scalar>& fast = factors_.front();
    const PanelView<Scalar> slab = slab_.view();
    Vector<Scalar> room(layout().widest_width());
    for (Index k = 0; k < layout().panels(); ++k) {
      const Index width = layout().width(k);
      for (Index row = first; row < last;) {
        const Index slow = (begin + row) / fast.rows();
        const Index end = std::min(last, (slow + 1) * fast.rows() - begin);
        const Scalar* const source = fast.panel(k) + (begin + row - slow * fast.rows()) * width;
        const Scalar* const others = product_of_slow_rows(slow, k, room.data());
        if (others == nullptr)
          std::copy_n(source, (end - row) * width, slab.panel(k) + row * width);
        else
          multiply_by_row(source, others, width, end - row, slab.panel(k) + row * width);
        row = end;
      }
    }
  }

  // The product of the rows of all factors but the first, at their combined index `position`; null where there are
  // none.
  const Scalar* product_of_slow_rows(Index position, Index panel, Scalar* room) const {
    const Index width = layout().width(panel);
    const Scalar* product = nullptr;
    for (std::size_t n = 1; n < factors_.size(); ++n) {
      const Scalar* const row = factors_[n].panel(panel) + position % factors_[n].rows() * width;
      position /= factors_[n].rows();
      if (product != nullptr) multiply_rows(product, row, width, room);
      product = product == nullptr ? row : room;
    }
    return product;
  }

  std::vector<PanelView<Scalar>> factors_;
  Index rows_ = 1;
  PanelMatrix<Scalar> slab_;
};

}  // namespace qaf::detail
