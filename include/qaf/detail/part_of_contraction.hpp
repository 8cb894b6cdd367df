#pragma once

#include <algorithm>

#include <qaf/detail/contracted_indices.hpp>
#include <qaf/detail/multiply_tile.hpp>
#include <qaf/detail/packets.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/term_rows.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

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

  /// Tiles of cells, all whole but the last one.
  Index tiles() const { return (contraction_.cells() + tile() - 1) / tile(); }

  /// Results of tiles `begin .. end - 1`.
  void run(Index begin, Index end) const {
    const Index last = std::min(end * tile(), contraction_.cells());
    Vector<Scalar> packed;
    Tile tiles[tiles_of_block];
    for (Index c = begin * tile(); c < last;) {
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
    const bool is_whole = count_ == contraction_.terms() && is_one_run();  // stored only once
    return is_whole && exceeds_caches() && is_on_boundary(result_.panel(0)) ? Store::stream : Store::replace;
  }

  // Whether results are more than caches hold until they are read. Measured (docs/trials.md): up to 20 MB it makes no
  // difference.
  bool exceeds_caches() const {
    constexpr Index most_held = Index{1} << 24;  // bytes
    return result_.size() * static_cast<Index>(sizeof(Scalar)) > most_held;
  }

  // Whether a tile's sums are done when they are stored for the first time.
  bool is_one_run() const { return rows_.run(begin_) >= count_ && contraction_.term_run(begin_) >= count_; }

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
  // far more lines than hardware foresees, and early; rows of terms so long that they are taken in parts it foresees.
  Index cells_ahead() const {
    if (contraction_.cell_stride() == 1) return std::clamp(contraction_.cells() / 8, 2 * tile(), 12 * tile());
    if (count_ < std::min(contraction_.cell_stride(), contraction_.terms())) return 0;
    const Index registers = result_.layout().widest_width() / packet_size<Scalar>;
    const bool is_one_piece = contraction_.cell_stride() == contraction_.fast;
    return !is_one_piece && !fetches_rows_apart(registers) ? 0 : registers > 1 ? 2 * tile() : 4 * tile();
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

}  // namespace qaf::detail
