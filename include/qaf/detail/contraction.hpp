#pragma once

#include <algorithm>

#include <qaf/detail/khatri_rao.hpp>
#include <qaf/detail/multiply_tile.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/parallel.hpp>
#include <qaf/detail/products.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// A tensor in memory, `fast x middle x slow`, of which either the middle index or the two others are kept, and the
/// rest are summed over. The kept indices together make a cell, the others a term.
template <typename Scalar>
struct Contraction {
  const Scalar* data;
  Index fast, middle, slow;
  bool keeps_middle;

  Index cells() const { return keeps_middle ? middle : fast * slow; }
  Index terms() const { return keeps_middle ? fast * slow : middle; }

  /// The first entry of a cell.
  const Scalar* cell(Index c) const { return data + (keeps_middle ? c * fast : c % fast + c / fast * fast * middle); }
  /// From a cell to the next one, where `cell_run` of them follow each other.
  Index cell_stride() const { return keeps_middle ? fast : 1; }
  Index cell_run(Index c) const { return keeps_middle ? middle - c : fast - c % fast; }

  /// From the first entry of a cell to that of a term.
  Index term(Index k) const { return keeps_middle ? k % fast + k / fast * fast * middle : k * fast; }
  /// From a term to the next one, where `term_run` of them follow each other.
  Index term_stride() const { return !keeps_middle ? fast : fast == 1 ? middle : 1; }
  Index term_run(Index k) const { return !keeps_middle || fast == 1 ? terms() - k : fast - k % fast; }
};

/// A contraction for one slab of the Khatri-Rao product.
template <typename Scalar>
class SlabContraction {
 public:
  /// For terms `begin .. begin + count - 1`; `slab` holds their rows. `lower`: without panels of components beyond the
  /// cell.
  SlabContraction(const Contraction<Scalar>& contraction, const typename KhatriRao<Scalar>::Slab& slab, Index begin,
                  Index count, bool lower, const PanelView<Scalar>& result)
      : contraction_(contraction),
        slab_(slab),
        begin_(begin),
        count_(count),
        lower_(lower),
        result_(result),
        kernel_(result.layout()),
        pack_all_(result.layout().panels() > few_panels ||
                  contraction.term_run(begin) < std::min(count, enough_terms)) {}

  Index tile() const { return kernel_.rows(); }

  /// Results of cells `first .. last - 1`.
  void run(Index first, Index last) const {
    Vector<Scalar> packed(tiles_of_block * tile() * count_);
    Tile tiles[tiles_of_block];
    for (Index c = first; c < last;) {
      Index n = 0;
      for (; n < tiles_of_block && c < last; ++n) {
        tiles[n] = make_tile(c, last, packed.data() + n * tile() * count_);
        c += tiles[n].cells;
      }
      for (Index k = 0; k < result_.layout().panels(); ++k)
        for (Index t = 0; t < n; ++t)
          if (!lower_ || tiles[t].cell + tiles[t].cells > result_.layout().begin(k)) multiply(tiles[t], k);
    }
  }

 private:
  // Packed entries pay where they serve many panels, and where terms follow each other in memory for a short time only.
  static constexpr Index tiles_of_block = 16, few_panels = 2, enough_terms = 32;

  struct Tile {
    Index cell, cells;
    Index before;          // rows of the tile that stand before the cells
    const Scalar* packed;  // null where the entries are read from where they lie
  };

  Tile make_tile(Index cell, Index last, Scalar* room) const {
    if (!pack_all_) {
      const Index cells = std::min({tile(), last - cell, contraction_.cell_run(cell)});
      const Index before = tile() - cells;
      // At the end of a run the tile reaches back, to cells that are done already.
      if (before == 0 || (cell >= before && contraction_.cell_run(cell - before) >= tile()))
        return {cell, cells, before, nullptr};
    }
    const Index cells = std::min(tile(), last - cell);
    pack(cell, cells, room);
    return {cell, cells, 0, room};
  }

  // Term after term the entries of all rows, zeros for those without a cell.
  void pack(Index cell, Index cells, Scalar* room) const {
    const Index stride = contraction_.cell_stride();
    for (Index j = 0; j < cells;) {
      const Index run = std::min(contraction_.cell_run(cell + j), cells - j);
      for_each_run([&](Index k, Index offset, Index term_stride, Index terms) {
        const Scalar* const source = contraction_.cell(cell + j) + offset;
        Scalar* const target = room + k * tile() + j;
        if (stride == 1) {
          for (Index i = 0; i < terms; ++i)
            for (Index c = 0; c < run; ++c) target[i * tile() + c] = source[i * term_stride + c];
        } else {
          for (Index c = 0; c < run; ++c)
            for (Index i = 0; i < terms; ++i) target[i * tile() + c] = source[i * term_stride + c * stride];
        }
      });
      j += run;
    }
    for (Index k = 0; k < count_; ++k)
      for (Index j = cells; j < tile(); ++j) room[k * tile() + j] = Scalar(0);
  }

  // Calls visit(place in the slab, offset in a cell, stride, terms) for terms that follow each other.
  template <typename Visit>
  void for_each_run(const Visit& visit) const {
    for (Index k = 0; k < count_;) {
      const Index terms = std::min(contraction_.term_run(begin_ + k), count_ - k);
      visit(k, contraction_.term(begin_ + k), contraction_.term_stride(), terms);
      k += terms;
    }
  }

  void multiply(const Tile& tile, Index panel) const {
    const Index width = result_.layout().width(panel);
    const auto kernel = kernel_.for_width(width);
    const Scalar* const rows = slab_.panel(panel);
    const auto run_kernel = [&](bool add, Scalar* target) {
      if (tile.packed != nullptr) return kernel(tile.packed, 1, kernel_.rows(), count_, rows, add, target);
      const Scalar* const source = contraction_.cell(tile.cell - tile.before);
      for_each_run([&](Index k, Index offset, Index stride, Index terms) {
        kernel(source + offset, contraction_.cell_stride(), stride, terms, rows + k * width, add || k > 0, target);
      });
    };
    Scalar* const target = result_.panel(panel) + tile.cell * width;
    const bool add = begin_ > 0;
    if (tile.cells == kernel_.rows()) return run_kernel(add, target);
    Eigen::Matrix<Scalar, TileKernel<Scalar>::most_rows * PanelLayout<Scalar>::widest * packet_size<Scalar>, 1> sums;
    run_kernel(false, sums.data());
    const auto wanted = sums.segment(tile.before * width, tile.cells * width);
    Eigen::Map<Vector<Scalar>> results(target, wanted.size());
    if (add)
      results += wanted;
    else
      results = wanted;
  }

  const Contraction<Scalar>& contraction_;
  typename KhatriRao<Scalar>::Slab slab_;
  Index begin_, count_;
  bool lower_;
  PanelView<Scalar> result_;
  TileKernel<Scalar> kernel_;
  bool pack_all_;
};

/// The same for a layout of a single panel, by products of matrices.
template <typename Scalar>
void contract_by_products(const Contraction<Scalar>& contraction, const typename KhatriRao<Scalar>::Slab& slab,
                          Index begin, Index count, const PanelView<Scalar>& result) {
  using Entries = Eigen::Map<const Matrix<Scalar>, 0, Eigen::OuterStride<>>;
  const Index width = result.layout().width(0);
  Eigen::Map<Matrix<Scalar>> sums(result.panel(0), width, result.rows());
  if (begin == 0) sums.setZero();
  const Index stride = contraction.cell_stride();
  for (Index k = 0; k < count;) {
    const Index terms = std::min(contraction.term_run(begin + k), count - k);
    const Eigen::Map<const Matrix<Scalar>> rows(slab.panel(0) + k * width, width, terms);
    for (Index c = 0; c < result.rows();) {
      const Index cells = contraction.cell_run(c);
      const Scalar* const entries = contraction.cell(c) + contraction.term(begin + k);
      if (stride == 1)
        add_product_transposed<Scalar>(rows, Entries(entries, cells, terms, {contraction.term_stride()}),
                                       sums.middleCols(c, cells));
      else
        add_product<Scalar>(rows, Entries(entries, terms, cells, {stride}), sums.middleCols(c, cells));
      c += cells;
    }
    k += terms;
  }
}

/// The layout of the panels for contractions of so many components. Products of matrices are the better way where a
/// BLAS is at hand (`EIGEN_USE_BLAS`) and the components are many, or the code was compiled for a processor without
/// fused multiply-adds, which the BLAS will use all the same.
template <typename Scalar>
PanelLayout<Scalar> contraction_layout(Index rank) {
#ifdef EIGEN_USE_BLAS
#if defined(EIGEN_VECTORIZE_FMA) || EIGEN_ARCH_ARM64
  constexpr Index narrow = 128;
#else
  constexpr Index narrow = 0;
#endif
  return PanelLayout<Scalar>(rank, rank > narrow);
#else
  return PanelLayout<Scalar>(rank);
#endif
}

/// Sums a tensor over some of its modes, for every component times the entries of these modes' factors:
/// `result(c, r) = sum_k X(c, k) KhatriRao(k, r)`. `result` is `cells x R`, in the layout of `others`. `lower`: of the
/// results only those with `r <= c` are wanted, where these are square and symmetric; some others are undefined.
/// Cost: `2 prod(I) R` flops, half of that for `lower`. Memory: a slab of 512 rows of the Khatri-Rao product, and a
/// block of tiles a thread.
template <typename Scalar>
void contract(const Contraction<Scalar>& contraction, KhatriRao<Scalar>& others, int threads,
              const PanelView<Scalar>& result, bool lower = false) {
  constexpr Index terms_of_slab = 512;
  const Index terms = contraction.terms(), slabs = (terms + terms_of_slab - 1) / terms_of_slab;
  threads = threads_worth(threads, contraction.cells() * terms * result.layout().padded_rank());
  const bool by_products = result.layout().widest_width() > PanelLayout<Scalar>::widest * packet_size<Scalar>;
  for (Index s = 0; s < slabs; ++s) {
    const Index begin = terms * s / slabs, count = terms * (s + 1) / slabs - begin;
    const auto slab = others.slab(begin, count, threads);
    if (by_products) {
      contract_by_products(contraction, slab, begin, count, result);
      continue;
    }
    const SlabContraction<Scalar> part(contraction, slab, begin, count, lower, result);
    const auto run = [&](Index part_begin, Index part_end, Index parts) {
      const Index tiles = (contraction.cells() + part.tile() - 1) / part.tile();
      part.run(tiles * part_begin / parts * part.tile(),
               std::min(tiles * part_end / parts * part.tile(), contraction.cells()));
    };
    // A thread takes a part from either end, which is the same work for all of them even of a triangle.
    const Index parts = 2 * threads;
    parallel_ranges(threads, threads, [&](Index first, Index last) {
      run(first, last, parts);
      run(parts - last, parts - first, parts);
    });
  }
}

}  // namespace qaf::detail
