#pragma once

#include <algorithm>

#include <qaf/detail/packets.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// How the R components of a row are cut into panels: a few vector registers wide, all about equally wide, the last one
/// padded with zeros. In memory panel follows panel, and within a panel row follows row. So what is done to all
/// components alike runs on whole registers for any R, and a kernel finds the rows it needs next to each other.
template <typename Scalar>
class PanelLayout {
 public:
  /// Registers of a panel that leave room for a tile of results (`multiply_tile`).
  static constexpr Index widest = vector_registers >= 32 ? 4 : 2;

  PanelLayout() = default;

  /// Of `rank` components. `single`: in one panel, however wide.
  explicit PanelLayout(Index rank, bool single = false)
      : rank_(rank),
        registers_((rank + packet_size<Scalar> - 1) / packet_size<Scalar>),
        panels_(single ? 1 : (registers_ + widest - 1) / widest) {}

  Index rank() const { return rank_; }
  /// Components and padding.
  Index padded_rank() const { return registers_ * packet_size<Scalar>; }
  Index panels() const { return panels_; }
  /// The first component of a panel.
  Index begin(Index panel) const { return registers_ * panel / panels_ * packet_size<Scalar>; }
  /// Components of a panel, and padding in the last one.
  Index width(Index panel) const { return begin(panel + 1) - begin(panel); }
  /// Components of a panel.
  Index count(Index panel) const { return std::min(width(panel), rank_ - begin(panel)); }
  /// Components and padding of the widest panel.
  Index widest_width() const { return (registers_ + panels_ - 1) / panels_ * packet_size<Scalar>; }

 private:
  Index rank_ = 0, registers_ = 0, panels_ = 0;
};

/// A matrix (`rows x R`) in panels of components, in memory of somebody else.
template <typename Scalar>
class PanelView {
 public:
  PanelView() = default;
  PanelView(Scalar* data, Index rows, const PanelLayout<Scalar>& layout) : data_(data), rows_(rows), layout_(layout) {}

  Index rows() const { return rows_; }
  const PanelLayout<Scalar>& layout() const { return layout_; }
  Index size() const { return rows_ * layout_.padded_rank(); }

  /// The rows of a panel, one after the other.
  Scalar* panel(Index k) const { return data_ + rows_ * layout_.begin(k); }

  /// The same as a column-major matrix, times `scale`. Cost: one pass.
  Matrix<Scalar> to_matrix(Scalar scale) const {
    Matrix<Scalar> matrix(rows_, layout_.rank());
    for (Index k = 0; k < layout_.panels(); ++k) {
      const Eigen::Map<const Matrix<Scalar>> rows(panel(k), layout_.width(k), rows_);
      for (Index i = 0; i < rows_; i += block_rows) {
        const Index count = std::min(block_rows, rows_ - i);
        matrix.block(i, layout_.begin(k), count, layout_.count(k)) =
            scale * rows.block(0, i, layout_.count(k), count).transpose();
      }
    }
    return matrix;
  }

  /// Takes over the entries of a matrix of the same size. Cost: one pass.
  void assign(const Matrix<Scalar>& matrix) {
    for (Index k = 0; k < layout_.panels(); ++k) {
      Eigen::Map<Matrix<Scalar>> rows(panel(k), layout_.width(k), rows_);
      for (Index i = 0; i < rows_; i += block_rows) {
        const Index count = std::min(block_rows, rows_ - i);
        rows.block(0, i, layout_.count(k), count) =
            matrix.block(i, layout_.begin(k), count, layout_.count(k)).transpose();
      }
      rows.bottomRows(layout_.width(k) - layout_.count(k)).setZero();
    }
  }

 private:
  // So many transposed rows stay in the first cache.
  static constexpr Index block_rows = 32;

  Scalar* data_ = nullptr;
  Index rows_ = 0;
  PanelLayout<Scalar> layout_;
};

/// One that owns its entries.
template <typename Scalar>
class PanelMatrix {
 public:
  /// Entries are left undefined.
  void resize(Index rows, const PanelLayout<Scalar>& layout) {
    rows_ = rows;
    layout_ = layout;
    entries_.resize(rows * layout.padded_rank());
  }

  void assign(const Matrix<Scalar>& matrix, const PanelLayout<Scalar>& layout) {
    resize(matrix.rows(), layout);
    view().assign(matrix);
  }

  PanelView<Scalar> view() { return {entries_.data(), rows_, layout_}; }

 private:
  Vector<Scalar> entries_;
  Index rows_ = 0;
  PanelLayout<Scalar> layout_;
};

}  // namespace qaf::detail
