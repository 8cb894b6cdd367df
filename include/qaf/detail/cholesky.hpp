#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include <qaf/detail/blas.hpp>
#include <qaf/detail/multiply_tile.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/panel_products.hpp>
#include <qaf/detail/panel_rows.hpp>
#include <qaf/detail/parallel.hpp>
#include <qaf/detail/registers.hpp>
#include <qaf/detail/symmetric_panels.hpp>
#include <qaf/detail/transpose.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// The Cholesky factorization `K = U^T U` of a symmetric positive definite matrix (`R x R`), for solving with some tens
/// to some thousands of rows: blocked by panels, so that all but the diagonal blocks is done by `multiply_tile`.
template <typename Scalar>
class Cholesky {
 public:
  /// Factorizes `matrix + diag(added)`. Cost: `R^3 / 3` flops. Memory: `2 R^2` scalars, kept for the next one.
  void factorize(const SymmetricPanels<Scalar>& matrix, const Vector<Scalar>& added, int threads) {
    layout_ = matrix.layout();
#if QAF_PRODUCTS_BY_BLAS
    static_cast<void>(threads);
    least_pivot_ = blas_.factorize(matrix, added);
    return;
#endif
    const Index rows = layout_.padded_rank();
    upper_.resize(rows, layout_);
    lower_.resize(rows, layout_);
    diagonal_ = Vector<Scalar>::Ones(rows);
    diagonal_.head(layout_.rank()) = matrix.diagonal() + added;
    least_pivot_ = 1;
    for (Index p = 0; p < layout_.panels(); ++p) {
      const Index begin = layout_.begin(p), width = layout_.width(p), size = (begin + width) * width;
      Scalar* const panel = upper_.view().panel(p);
      Eigen::Map<Vector<Scalar>>(panel, size) = -Eigen::Map<const Vector<Scalar>>(matrix.view().panel(p), size);
      for (Index r = 0; r < width; ++r) panel[(begin + r) * width + r] = -diagonal_[begin + r];
    }
    factorize(threads_worth(threads, rows * rows * rows / 6));
  }

  void factorize(const Matrix<Scalar>& matrix, const Vector<Scalar>& added, int threads) {
    SymmetricPanels<Scalar> panels;
    panels.assign(matrix);
    factorize(panels, added, threads);
  }

  /// Whether solving loses no more than half of the scalar's digits: no row of K is, but for so small a part, a
  /// combination of those before.
  bool is_well_conditioned() const { return least_pivot_ >= std::sqrt(std::numeric_limits<Scalar>::epsilon()); }

  /// Replaces `right_side` (`I x R`) by `right_side K^-1`. Cost: `2 I R^2` flops.
  void solve_on_the_right(int threads, const PanelView<Scalar>& right_side) {
#if QAF_PRODUCTS_BY_BLAS
    static_cast<void>(threads);
    return blas_.solve_on_the_right(right_side);
#endif
    const Index tiles = right_side.rows() / tile, rest = right_side.rows() % tile;
    parallel_ranges(threads_worth(threads, right_side.size() * layout_.padded_rank()), tiles,
                    [&](Index first, Index last) {
                      constexpr Index tiles_of_block = 24;  // of these rows, in the second cache
                      for (Index t = first; t < last; t += tiles_of_block)
                        solve_rows(right_side, t * tile, std::min(t + tiles_of_block, last) * tile);
                    });
    if (rest == 0) return;
    rest_.resize(tile, layout_);
    rest_.set_zero();
    const PanelView<Scalar> view = rest_.view();
    copy_rows(right_side, tiles * tile, rest, view, 0);
    solve_rows(view, 0, tile);
    copy_rows(view, 0, rest, right_side, tiles * tile);
  }

  void solve_on_the_right(int threads, Matrix<Scalar>& right_side) {
    PanelMatrix<Scalar> panels;
    panels.assign(right_side, layout_);
    solve_on_the_right(threads, panels.view());
    panels.view().copy_to(right_side);
  }

 private:
  static constexpr int tile = panel_tile<Scalar>;

  // Row block after row block of U. `upper_` begins as -K and ends as -U, so that all products are added; in the place
  // of a diagonal block stands its inverse.
  void factorize(int threads) {
    const PanelView<Scalar> upper = upper_.view(), lower = lower_.view();
    const Index panels = layout_.panels();
    for (Index q = 0; q < panels; ++q) {
      const Index begin = layout_.begin(q), rows = layout_.width(q);
      // -K + U^T U of the rows above, in all panels from this one on.
      parallel_ranges(threads, panels - q, [&](Index first, Index last) {
        for (Index p = q + first; p < q + last; ++p)
          multiply_transposed_panels(upper.panel(q), rows, upper.panel(p), layout_.width(p), begin, Store::add,
                                     upper.panel(p) + begin * layout_.width(p));
      });
      Scalar* const diagonal = upper.panel(q) + begin * rows;
      factorize_block(diagonal, begin, rows);
      transpose(diagonal, rows, rows, rows, lower.panel(q) + begin * rows, rows);
      parallel_ranges(threads, panels - q - 1, [&](Index first, Index last) {
        Vector<Scalar> copy(rows * layout_.widest_width());
        for (Index p = q + 1 + first; p < q + 1 + last; ++p) {
          const Index width = layout_.width(p);
          Scalar* const block = upper.panel(p) + begin * width;
          copy.head(rows * width) = Eigen::Map<const Vector<Scalar>>(block, rows * width);
          multiply_transposed_panels(diagonal, rows, copy.data(), width, rows, Store::replace, block);
          transpose(block, width, width, rows, lower.panel(q) + layout_.begin(p) * rows, rows);
        }
      });
    }
  }

  // -K of a diagonal block, by rows, becomes the inverse of U.
  void factorize_block(Scalar* block, Index begin, Index size) {
    Vector<Scalar> inverse_pivots(size), inverse = Vector<Scalar>::Zero(size * size);
    for_each_part<Scalar>(size, [&](auto registers, Index) {  // all of a row
      Registers<Scalar, registers> row, other;
      for (Index k = 0; k < size; ++k) {
        inverse_pivots[k] = 1 / std::sqrt(accepted_pivot(-block[k * size + k], diagonal_[begin + k]));
        row.load(block + k * size);
        row.multiply(broadcast(inverse_pivots[k]));  // of -U
        row.store(block + k * size);
        for (Index j = k + 1; j < size; ++j) {
          other.load(block + j * size);
          other.add_product(broadcast(block[k * size + j]), row);
          other.store(block + j * size);
        }
      }
      for (Index k = size; k-- > 0;) {
        inverse[k * size + k] = 1;
        row.load(inverse.data() + k * size);
        for (Index j = k + 1; j < size; ++j) {
          other.load(inverse.data() + j * size);
          row.add_product(broadcast(block[k * size + j]), other);
        }
        row.multiply(broadcast(inverse_pivots[k]));
        row.store(inverse.data() + k * size);
      }
    });
    Eigen::Map<Vector<Scalar>>(block, size * size) = inverse;
  }

  // What is left of a diagonal element. Where that is rounding alone, the whole element, as if the diagonal of K were
  // larger by it: what is solved for then hardly moves.
  Scalar accepted_pivot(Scalar pivot, Scalar whole) {
    const bool is_positive = pivot >= std::numeric_limits<Scalar>::epsilon() * whole && pivot > 0;
    least_pivot_ = is_positive ? std::min(least_pivot_, pivot / whole) : Scalar(0);
    return is_positive ? pivot : whole > 0 ? whole : Scalar(1);
  }

  // Forward, `Y U = F`, and backward, `A U^T = Y`, panel after panel.
  void solve_rows(const PanelView<Scalar>& panels, Index first, Index last) const {
    for (Index p = 0; p < layout_.panels(); ++p) {
      for (Index q = 0; q < p; ++q) add_block(panels, upper_, q, p, first, last);
      multiply_by_inverse(panels, upper_, p, first, last);
    }
    for (Index p = layout_.panels(); p-- > 0;) {
      for (Index q = p + 1; q < layout_.panels(); ++q) add_block(panels, lower_, q, p, first, last);
      multiply_by_inverse(panels, lower_, p, first, last);
    }
  }

  void add_block(const PanelView<Scalar>& panels, const PanelMatrix<Scalar>& triangle, Index q, Index p, Index first,
                 Index last) const {
    const Index from = layout_.width(q), to = layout_.width(p);
    multiply_panels(panels.panel(q) + first * from, from, triangle.view().panel(p) + layout_.begin(q) * to, to,
                    last - first, Store::add, panels.panel(p) + first * to);
  }

  void multiply_by_inverse(const PanelView<Scalar>& panels, const PanelMatrix<Scalar>& triangle, Index p, Index first,
                           Index last) const {
    const Index width = layout_.width(p);
    Eigen::Matrix<Scalar, tile * PanelLayout<Scalar>::widest * packet_size<Scalar>, 1> copy;
    for (Index i = first; i < last; i += tile) {
      Scalar* const rows = panels.panel(p) + i * width;
      copy.head(tile * width) = Eigen::Map<const Vector<Scalar>>(rows, tile * width);
      multiply_panels(copy.data(), width, triangle.view().panel(p) + layout_.begin(p) * width, width, tile,
                      Store::replace, rows);
    }
  }

  static void copy_rows(const PanelView<Scalar>& from, Index from_row, Index count, const PanelView<Scalar>& to,
                        Index to_row) {
    for (Index k = 0; k < to.layout().panels(); ++k) {
      const Index width = to.layout().width(k);
      std::copy_n(from.panel(k) + from_row * width, count * width, to.panel(k) + to_row * width);
    }
  }

  PanelLayout<Scalar> layout_;
  PanelMatrix<Scalar> upper_, lower_;  // -U by rows, -U^T by rows; the diagonal blocks inverted
  Vector<Scalar> diagonal_;            // of K
  Scalar least_pivot_ = 1;             // the least part of a diagonal element that is left for its pivot
  PanelMatrix<Scalar> rest_;           // rows that do not fill a tile
#if QAF_PRODUCTS_BY_BLAS
  CholeskyByBlas<Scalar> blas_;
#endif
};

}  // namespace qaf::detail
