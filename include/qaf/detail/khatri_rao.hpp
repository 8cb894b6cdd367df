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

/// The Khatri-Rao (column-wise Kronecker) product of some factors in panels, read slab by slab so that it never stands
/// in memory as a whole. The row index runs over the factors' rows, the first factor's fastest.
template <typename Scalar>
class KhatriRao {
 public:
  /// Rows of the product, in panels. Valid until the next call of `slab`.
  struct Slab {
    PanelView<Scalar> matrix;
    Index begin = 0;

    const Scalar* panel(Index k) const { return matrix.panel(k) + begin * matrix.layout().width(k); }
  };

  /// `factors` view memory that must outlive this.
  explicit KhatriRao(std::vector<PanelView<Scalar>> factors) : factors_(std::move(factors)) {
    for (const PanelView<Scalar>& factor : factors_) rows_ *= factor.rows();
  }

  Index rows() const { return rows_; }
  const PanelLayout<Scalar>& layout() const { return factors_.front().layout(); }

  /// All rows; none where there are no factors.
  Slab all(int threads) { return factors_.empty() ? Slab{} : slab(0, rows_, threads); }

  /// Rows `begin .. begin + count - 1`. Cost: `count R (N - 1)` multiplications for N factors.
  Slab slab(Index begin, Index count, int threads) {
    if (factors_.size() == 1) return {factors_.front(), begin};
    slab_.resize(count, layout());
    parallel_ranges(threads, count, [&](Index first, Index last) { fill(begin, first, last); });
    return {slab_.view(), 0};
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
        multiply_by_row(fast.panel(k) + (begin + row - slow * fast.rows()) * width,
                        product_of_slow_rows(slow, k, room.data()), width, end - row, false,
                        slab.panel(k) + row * width);
        row = end;
      }
    }
  }

  // The product of the rows of all factors but the first, at their combined index `position`.
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

/// The Khatri-Rao product of the factors of `modes`, the first the fastest.
template <typename Scalar>
KhatriRao<Scalar> khatri_rao(const std::vector<PanelView<Scalar>>& factors, const std::vector<Index>& modes) {
  std::vector<PanelView<Scalar>> selected;
  for (const Index mode : modes) selected.push_back(factors[static_cast<std::size_t>(mode)]);
  return KhatriRao<Scalar>(std::move(selected));
}

}  // namespace qaf::detail
