#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <qaf/detail/blas.hpp>
#include <qaf/detail/contracted_indices.hpp>
#include <qaf/detail/khatri_rao.hpp>
#include <qaf/detail/multiply_tile.hpp>
#include <qaf/detail/packets.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/parallel.hpp>
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

/// A contraction over some successive terms.
template <typename Scalar>
class PartOfContraction {
 public:
  /// For terms `begin .. begin + count - 1`.
  PartOfContraction(const Contraction<Scalar>& contraction, const TermRows<Scalar>& rows, Index begin, Index count,
                    const PanelView<Scalar>& result)
      : contraction_(contraction),
        rows_(rows),
        begin_(begin),
        count_(count),
        result_(result),
        tile_(rows_of_tile(static_cast<int>(result.layout().widest_width() / packet_size<Scalar>))),
        pack_all_(contraction.term_run(begin) < std::min(count, enough_terms) ||
                  (result.layout().panels() > few_panels && wastes_rows())),
        collides_(!pack_all_ && lines_collide()),
        store_(store()) {}

  /// Rows of a whole tile.
  Index tile() const { return tile_; }

  /// Results of cells `first .. last - 1`.
  void run(Index first, Index last) const {
    Vector<Scalar> packed;
    Tile tiles[tiles_of_block];
    for (Index c = first; c < last;) {
      Index n = 0;
      if (collides_) n = pack_tiles(c, last, tiles, packed);
      if (n > 0) {
        c += n * tile();  // no others beside them, for which there is no room
      } else {
        for (; n < tiles_of_block && c < last; ++n) {
          tiles[n] = make_tile(c, last, n, packed);
          c += tiles[n].cells;
        }
      }
      for (Index k = 0; k < result_.layout().panels(); ++k)
        for (Index t = 0; t < n; ++t) multiply(tiles[t], k);
    }
    if (store_ == Store::stream) finish_streams();
  }

 private:
  static constexpr Index tiles_of_block = 16, few_panels = 2, enough_terms = 16;
  static constexpr Index line = 64 / sizeof(Scalar);  // scalars of a line of memory

  struct Tile {
    Index cell, cells;
    Index rows;            // of its kernel, at least as many
    Index before;          // rows of the tile that stand before the cells
    const Scalar* packed;  // null where the entries are read from where they lie
    Index stride;          // from a term to the next, packed
  };

  // Entries are packed where terms follow each other in memory for a short time only, or cells do, so that many rows of
  // tiles would be wasted, and the packed ones serve many panels.
  bool wastes_rows() const {
    const Index run = contraction_.cell_run(0), rest = run % tile();
    return run < contraction_.cells() && rest > 0 && 8 * (rows_of_short_tile(rest) - rest) > run;
  }

  // Whether many terms of a cell are at a distance of a multiple of 64 KiB, as in a cube of 256: their lines fall into
  // the same set of the second cache and drive each other out before the next tile reads on.
  bool lines_collide() const {
    constexpr Index period = Index{1} << 16, many_terms = 64;
    const Index distance = contraction_.term_stride() * static_cast<Index>(sizeof(Scalar));
    return contraction_.cell_stride() == 1 && distance % period == 0 && count_ > many_terms;
  }

  // What becomes of the sums of these terms.
  Store store() const {
    if (begin_ > 0) return Store::add;
    return count_ == contraction_.terms() && is_one_run() && passes_caches() ? Store::stream : Store::replace;
  }

  // Whether a tile's sums are done when they are stored for the first time.
  bool is_one_run() const { return rows_.run(begin_) >= count_ && contraction_.term_run(begin_) >= count_; }

  // Whether results are more than caches hold until they are read. Measured (docs/trials.md): the same up to 20 MB.
  bool passes_caches() const {
    constexpr Index most_held = Index{1} << 24;  // bytes
    return result_.size() * static_cast<Index>(sizeof(Scalar)) > most_held && is_on_boundary(result_.panel(0));
  }

  // Packs tiles that follow each other in memory all together, so that a line is read once. Returns how many.
  Index pack_tiles(Index cell, Index last, Tile* tiles, Vector<Scalar>& packed) const {
    const Index n = std::min(tiles_of_block, std::min(last - cell, contraction_.cell_run(cell)) / tile());
    const Index stride = tiles_of_block * tile() + line;  // a line more, for lines of successive terms not to collide
    packed.resize(stride * count_);
    for (Index k = 0; k < count_; ++k)
      std::copy_n(contraction_.cell(cell) + contraction_.term(begin_ + k), n * tile(), packed.data() + k * stride);
    for (Index t = 0; t < n; ++t) tiles[t] = {cell + t * tile(), tile(), tile(), 0, packed.data() + t * tile(), stride};
    return n;
  }

  // Number `n` of a block.
  Tile make_tile(Index cell, Index last, Index n, Vector<Scalar>& packed) const {
    if (!pack_all_) {
      const Index cells = std::min({tile(), last - cell, contraction_.cell_run(cell)});
      const Index rows = rows_of_short_tile(cells), before = rows - cells;
      // At the end of a run the tile reaches back, to cells that are done already.
      if (before == 0 || (cell >= before && contraction_.cell_run(cell - before) >= rows))
        return {cell, cells, rows, before, nullptr, 0};
    }
    const Index cells = std::min(tile(), last - cell);
    packed.resize((tiles_of_block * tile() + line) * count_);
    Scalar* const room = packed.data() + n * tile() * count_;
    pack(cell, cells, room);
    return {cell, cells, rows_of_short_tile(cells), 0, room, tile()};
  }

  // Term after term the entries of all rows, zeros for those without a cell.
  void pack(Index cell, Index cells, Scalar* room) const {
    const Index stride = contraction_.cell_stride();
    for (Index j = 0; j < cells;) {
      const Index run = std::min(contraction_.cell_run(cell + j), cells - j);
      for (Index k = 0; k < count_;) {
        const Index terms = std::min(contraction_.term_run(begin_ + k), count_ - k);
        const Scalar* const source = contraction_.cell(cell + j) + contraction_.term(begin_ + k);
        Scalar* const target = room + k * tile() + j;
        if (stride == 1) {
          for (Index i = 0; i < terms; ++i)
            for (Index c = 0; c < run; ++c) target[i * tile() + c] = source[i * contraction_.term_stride() + c];
        } else {
          for (Index c = 0; c < run; ++c)
            for (Index i = 0; i < terms; ++i)
              target[i * tile() + c] = source[i * contraction_.term_stride() + c * stride];
        }
        k += terms;
      }
      j += run;
    }
    for (Index k = 0; k < count_; ++k)
      for (Index j = cells; j < tile(); ++j) room[k * tile() + j] = Scalar(0);
  }

  // To the cell whose entries are fetched meanwhile, 0 for none. Measured (docs/trials.md): side by side, cells need
  // far more lines than hardware foresees, and early. Rows of terms that are taken in parts do not lie in one piece.
  Index cells_ahead() const {
    if (contraction_.cell_stride() == 1) return std::clamp(contraction_.cells() / 8, 2 * tile(), 12 * tile());
    if (count_ < contraction_.cell_stride()) return 0;
    return (result_.layout().widest_width() > packet_size<Scalar> ? 2 : 4) * tile();
  }

  void multiply(const Tile& tile, Index panel) const {
    const Index width = result_.layout().width(panel);
    Scalar* const target = result_.panel(panel) + tile.cell * width;
    if (tile.cells == tile.rows) return multiply(tile, panel, store_, target);
    // The results among them go through the same additions as in a whole tile, wherever tiles begin.
    Eigen::Matrix<Scalar, most_rows_of_tile * PanelLayout<Scalar>::widest * packet_size<Scalar>, 1> sums;
    auto wanted = sums.segment(tile.before * width, tile.cells * width);
    Eigen::Map<Vector<Scalar>> results(target, wanted.size());
    if (store_ == Store::add) {
      sums.setZero();
      wanted = results;
    }
    multiply(tile, panel, store_ == Store::add ? Store::add : Store::replace, sums.data());
    results = wanted;
  }

  void multiply(const Tile& tile, Index panel, Store store, Scalar* target) const {
    const auto kernel = tile_function<Scalar>(tile.rows, result_.layout().width(panel) / packet_size<Scalar>);
    const Index first = tile.cell - tile.before;
    const Index last = std::max(contraction_.cells() - tile.rows, Index{0});  // that a tile may begin with
    const Scalar* const source = contraction_.cell(first);
    const Scalar* const ahead = contraction_.cell(std::min(first + cells_ahead(), last));
    for (Index k = 0; k < count_;) {
      const Scalar *const row = rows_.row(begin_ + k, panel), *const scale = rows_.scale(begin_ + k, panel);
      Index terms = std::min(rows_.run(begin_ + k), count_ - k);
      if (tile.packed != nullptr) {
        const Scalar* const entries = tile.packed + k * tile.stride;
        kernel(entries, 1, tile.stride, terms, entries, row, scale, store, target);
      } else {
        terms = std::min(terms, contraction_.term_run(begin_ + k));
        const Index offset = contraction_.term(begin_ + k);
        kernel(source + offset, contraction_.cell_stride(), contraction_.term_stride(), terms, ahead + offset, row,
               scale, store, target);
      }
      k += terms;
      store = Store::add;
    }
  }

  const Contraction<Scalar>& contraction_;
  TermRows<Scalar> rows_;
  Index begin_, count_;
  PanelView<Scalar> result_;
  Index tile_;
  bool pack_all_, collides_;
  Store store_;
};

/// How many terms to take at a time. 512 rows of a panel stay in the second cache, and lines of as many terms in the
/// first. Where a cell's terms follow each other in memory, longer pieces of it are read faster.
template <typename Scalar>
Index terms_at_a_time(const Contraction<Scalar>& contraction, const PanelLayout<Scalar>& layout) {
  constexpr Index least = 512, most = 4096, entries = Index{1} << 17;
  return contraction.term_stride() == 1 ? std::clamp(entries / layout.padded_rank(), least, most) : least;
}

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

/// Sums a tensor over some of its modes, for every component times the entries of these modes' factors:
/// `result(c, r) = sum_k X(c, k) KhatriRao(k, r)`. `factors`: of the modes summed over, the fastest in memory first.
/// `result` is `cells x R`.
/// Cost: `2 prod(I) R` flops. Memory: some rows of the Khatri-Rao product, and at most a block of tiles a thread.
template <typename Scalar>
void contract(const Contraction<Scalar>& contraction, const std::vector<PanelView<Scalar>>& factors, int threads,
              const PanelView<Scalar>& result) {
  const Index terms = contraction.terms(), most_terms = terms_at_a_time(contraction, result.layout());
  const Index parts = (terms + most_terms - 1) / most_terms;
  threads = threads_worth(threads, contraction.cells() * terms * result.layout().padded_rank());
#if QAF_PRODUCTS_BY_BLAS
  KhatriRao<Scalar> product(factors);
  for (Index p = 0; p < parts; ++p) {
    const Index begin = terms * p / parts, count = terms * (p + 1) / parts - begin;
    contract_by_blas(contraction, product.slab(begin, count, threads), begin, result);
  }
#else
  TermRowsOfParts<Scalar> rows_of_parts(factors, contraction.cells());
  for (Index p = 0; p < parts; ++p) {
    const Index begin = terms * p / parts, count = terms * (p + 1) / parts - begin;
    const PartOfContraction<Scalar> part(contraction, rows_of_parts.rows(begin, count, threads), begin, count, result);
    const Index tiles = (contraction.cells() + part.tile() - 1) / part.tile();
    parallel_ranges(threads, tiles, [&](Index first, Index last) {
      part.run(first * part.tile(), std::min(last * part.tile(), contraction.cells()));
    });
  }
#endif
}

/// The same with one matrix (`terms x R`) in the place of a Khatri-Rao product: `cells x R`.
template <typename Scalar>
Matrix<Scalar> contracted(const Contraction<Scalar>& contraction, const Matrix<Scalar>& other, int threads) {
  const PanelLayout<Scalar> layout(other.cols());
  PanelMatrix<Scalar> panels, result;
  panels.assign(other, layout);
  result.resize(contraction.cells(), layout);
  contract(contraction, {panels.view()}, threads, result.view());
  return result.view().to_matrix(Scalar(1));
}

}  // namespace qaf::detail
