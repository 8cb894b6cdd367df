#pragma once

#include <algorithm>

#include <qaf/detail/blas.hpp>
#include <qaf/detail/multiply_tile.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/parallel.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

// Products of matrices that are in panels already. Tiles are such that whole ones make up a panel.

template <typename Scalar>
inline constexpr int panel_tile = static_cast<int>(std::min<Index>(packet_size<Scalar>, rows_of_tile(3)));

/// `out_i (+)= sum_k a(i, k) b_k` for some rows i, a multiple of `panel_tile`: rows of a panel of `a_width` components,
/// by `a_width` rows of a panel of `b_width`.
template <typename Scalar>
void multiply_panels(const Scalar* a, Index a_width, const Scalar* b, Index b_width, Index rows, Store store,
                     Scalar* out) {
  constexpr int tile = panel_tile<Scalar>;
  const auto multiply = tile_function<tile, Scalar>(b_width / packet_size<Scalar>);
  for (Index i = 0; i < rows; i += tile, a += tile * a_width)
    multiply(a, a_width, 1, a_width, a, b, nullptr, store, out + i * b_width);
}

/// `out_j (+)= sum_k a(k, j) b_k` for all `a_width` components j of a panel, over rows k of it and of another one.
template <typename Scalar>
void multiply_transposed_panels(const Scalar* a, Index a_width, const Scalar* b, Index b_width, Index rows, Store store,
                                Scalar* out) {
  constexpr int tile = panel_tile<Scalar>;
  constexpr Index block = 192;  // rows of a panel that stay in the first cache
  const auto multiply = tile_function<tile, Scalar>(b_width / packet_size<Scalar>);
  for (Index k = 0; k < rows; k += block)
    for (Index j = 0; j < a_width; j += tile)
      multiply(a + k * a_width + j, 1, a_width, std::min(block, rows - k), a + k * a_width + j, b + k * b_width,
               nullptr, k > 0 ? Store::add : store, out + j * b_width);
}

/// The upper triangle of a symmetric matrix `A^T B` (`R x R`) of `a` and `b` (`I x R`): a Gram matrix where both are
/// the same. In panels, `result` has of each panel the rows up to the panel's own last component. Cost: `I R^2` flops.
template <typename Scalar>
void symmetric_product(const PanelView<Scalar>& a, const PanelView<Scalar>& b, int threads,
                       const PanelView<Scalar>& result) {
#if QAF_PRODUCTS_BY_BLAS
  static_cast<void>(threads);
  return symmetric_product_by_blas(a, b, result);
#else
  const PanelLayout<Scalar>& layout = b.layout();
  const Index panels = layout.panels();
  const auto multiply_panel = [&](Index p) {
    for (Index q = 0; q <= p; ++q)
      multiply_transposed_panels(a.panel(q), layout.width(q), b.panel(p), layout.width(p), a.rows(), Store::replace,
                                 result.panel(p) + layout.begin(q) * layout.width(p));
  };
  // One panel from either end: the same work for all pairs.
  parallel_ranges(threads_worth(threads, b.size() * layout.padded_rank() / 2), (panels + 1) / 2,
                  [&](Index first, Index last) {
                    for (Index p = first; p < last; ++p) {
                      multiply_panel(p);
                      if (panels - 1 - p > p) multiply_panel(panels - 1 - p);
                    }
                  });
#endif
}

}  // namespace qaf::detail
