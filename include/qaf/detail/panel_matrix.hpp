#pragma once

#include <algorithm>

#include <qaf/detail/huge_pages.hpp>
#include <qaf/detail/packets.hpp>
#include <qaf/detail/transpose.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// How the R components of a row are cut into panels: a few vector registers wide, all about equally wide, the last one
/// padded with zeros. In memory panel follows panel, and within a panel row follows row. So what is done to all
/// components alike runs on whole registers for any R, and a kernel finds the rows it needs next to each other.
template <typename Scalar>
class PanelLayout {
 public:
  /// Registers of a panel that leave room for a tile of results (`multiply_tile`).
  static constexpr Index widest = 3;

  PanelLayout() = default;

  explicit PanelLayout(Index rank)
      : rank_(rank),
        registers_((rank + packet_size<Scalar> - 1) / packet_size<Scalar>),
        panels_((registers_ + widest - 1) / widest) {}

  /// All components in one panel, however wide.
  static PanelLayout single(Index rank) {
    PanelLayout layout(rank);
    layout.panels_ = 1;
    return layout;
  }

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

/// A matrix (`rows x R`) in panels of components, or some rows of one, in memory of somebody else.
template <typename Scalar>
class PanelView {
 public:
  PanelView() = default;
  PanelView(Scalar* data, Index rows, const PanelLayout<Scalar>& layout)
      : data_(data), all_rows_(rows), rows_(rows), layout_(layout) {}

  Index rows() const { return rows_; }
  const PanelLayout<Scalar>& layout() const { return layout_; }
  Index size() const { return rows_ * layout_.padded_rank(); }

  /// The rows of a panel, one after the other.
  Scalar* panel(Index k) const { return data_ + all_rows_ * layout_.begin(k) + first_row_ * layout_.width(k); }

  /// Rows `begin .. begin + count - 1` alone.
  PanelView middle_rows(Index begin, Index count) const {
    PanelView part = *this;
    part.first_row_ += begin;
    part.rows_ = count;
    return part;
  }

  /// The same as a column-major matrix, times `scale`. Cost: one pass.
  Matrix<Scalar> to_matrix(Scalar scale) const {
    Matrix<Scalar> matrix(rows_, layout_.rank());
    copy_to(matrix, scale);
    return matrix;
  }

  /// Copies the first rows, as many as `matrix` has, times `scale`. Cost: one pass.
  void copy_to(Matrix<Scalar>& matrix, Scalar scale = 1) const {
    for (Index k = 0; k < layout_.panels(); ++k)
      transpose(panel(k), layout_.width(k), layout_.count(k), matrix.rows(), matrix.col(layout_.begin(k)).data(),
                matrix.rows(), scale);
  }

  /// Takes over the entries of a matrix of as many rows or fewer; the others become zero. Cost: one pass.
  void assign(const Matrix<Scalar>& matrix) const {
    for (Index k = 0; k < layout_.panels(); ++k) {
      transpose(matrix.col(layout_.begin(k)).data(), matrix.rows(), matrix.rows(), layout_.count(k), panel(k),
                layout_.width(k));
      Eigen::Map<Matrix<Scalar>> rows(panel(k), layout_.width(k), rows_);
      rows.rightCols(rows_ - matrix.rows()).setZero();
      rows.bottomRows(layout_.width(k) - layout_.count(k)).setZero();
    }
  }

 private:
  Scalar* data_ = nullptr;
  Index all_rows_ = 0;  // of the matrix, panel after panel
  Index first_row_ = 0, rows_ = 0;
  PanelLayout<Scalar> layout_;
};

/// One that owns its entries. Memory grows, and stays.
template <typename Scalar>
class PanelMatrix {
 public:
  /// Entries are left undefined.
  void resize(Index rows, const PanelLayout<Scalar>& layout) {
    rows_ = rows;
    layout_ = layout;
    grow(entries_, rows * layout.padded_rank());
  }

  void assign(const Matrix<Scalar>& matrix, const PanelLayout<Scalar>& layout) {
    resize(matrix.rows(), layout);
    view().assign(matrix);
  }

  const PanelLayout<Scalar>& layout() const { return layout_; }

  void set_zero() { entries_.setZero(); }

  /// Of entries that may change: who views them keeps to what is const.
  PanelView<Scalar> view() const { return {const_cast<Scalar*>(entries_.data()), rows_, layout_}; }

 private:
  Vector<Scalar> entries_;
  Index rows_ = 0;
  PanelLayout<Scalar> layout_;
};

}  // namespace qaf::detail
