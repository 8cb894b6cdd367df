#pragma once

#include <algorithm>

#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/transpose.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// A symmetric matrix (`R x R`) in panels, of each panel the rows up to its own last component: the upper triangle, and
/// all of the blocks on the diagonal.
template <typename Scalar>
class SymmetricPanels {
 public:
  const PanelLayout<Scalar>& layout() const { return panels_.layout(); }
  PanelView<Scalar> view() const { return panels_.view(); }

  /// Entries are left undefined.
  void resize(const PanelLayout<Scalar>& layout) { panels_.resize(layout.padded_rank(), layout); }

  /// Takes over the upper triangle of a symmetric matrix.
  void assign(const Matrix<Scalar>& matrix) {
    resize(PanelLayout<Scalar>(matrix.rows()));
    for (Index k = 0; k < layout().panels(); ++k) {
      const Index count = layout().count(k), rows = layout().begin(k) + count;
      auto panel = map(k);
      panel.setZero();
      panel.topLeftCorner(count, rows) = matrix.block(layout().begin(k), 0, count, rows);
    }
  }

  Matrix<Scalar> to_matrix() const {
    const Index rank = layout().rank();
    Matrix<Scalar> matrix(rank, rank);
    for (Index k = 0; k < layout().panels(); ++k) {
      const Index begin = layout().begin(k), count = layout().count(k);
      matrix.block(begin, 0, count, begin + count) = map(k).topLeftCorner(count, begin + count);
      if (begin > 0) transpose(&matrix(begin, 0), rank, count, begin, &matrix(0, begin), rank);
      // Blocks on the diagonal are symmetric but for rounding.
      for (Index j = begin; j < begin + count; ++j)
        for (Index i = begin; i < j; ++i) matrix(i, j) = matrix(j, i);
    }
    return matrix;
  }

  Vector<Scalar> diagonal() const {
    Vector<Scalar> result(layout().rank());
    for (Index k = 0; k < layout().panels(); ++k) {
      const Index begin = layout().begin(k), count = layout().count(k);
      result.segment(begin, count) = map(k).middleCols(begin, count).topRows(count).diagonal();
    }
    return result;
  }

  /// Takes over the entries of another one.
  void assign(const SymmetricPanels& other) {
    resize(other.layout());
    for (Index k = 0; k < layout().panels(); ++k) entries(k, 0, rows(k)) = other.entries(k, 0, rows(k));
  }

  /// Becomes the product, entry by entry, of two others, or of itself and another one.
  void assign_product(const SymmetricPanels& a, const SymmetricPanels& b) {
    if (&a != this) resize(a.layout());
    for (Index k = 0; k < layout().panels(); ++k)
      entries(k, 0, rows(k)) = a.entries(k, 0, rows(k)) * b.entries(k, 0, rows(k));
  }

  /// The sum of the products of all entries.
  double inner_product(const SymmetricPanels& other) const {
    constexpr Index block = 32;  // rows that are summed in the scalar's own precision
    double sum = 0;
    for (Index k = 0; k < layout().panels(); ++k) {
      const Index begin = layout().begin(k);
      const auto part = [&](Index first, Index last) {
        return static_cast<double>((entries(k, first, last) * other.entries(k, first, last)).sum());
      };
      for (Index row = 0; row < begin; row += block) sum += 2 * part(row, std::min(row + block, begin));
      sum += part(begin, rows(k));
    }
    return sum;
  }

 private:
  Index rows(Index panel) const { return layout().begin(panel) + layout().width(panel); }

  // Rows are the columns of this.
  Eigen::Map<Matrix<Scalar>> map(Index panel) const {
    return {view().panel(panel), layout().width(panel), rows(panel)};
  }

  Eigen::Map<Eigen::Array<Scalar, Eigen::Dynamic, 1>> entries(Index panel, Index begin, Index end) const {
    const Index width = layout().width(panel);
    return {view().panel(panel) + begin * width, (end - begin) * width};
  }

  PanelMatrix<Scalar> panels_;
};

}  // namespace qaf::detail
