#pragma once

#include <cstddef>

#include <qaf/detail/packets.hpp>
#include <qaf/detail/registers.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// What becomes of sums: they replace what the target holds, by way of the caches or past them, or are added to it.
/// Past the caches the target must lie on a boundary of registers.
enum class Store { replace, stream, add };

/// Whether tiles of so many registers a row fetch rows to come that are not one piece: the loop of one register is too
/// short for it, that of three slower by more than it gains (docs/trials.md).
constexpr bool fetches_rows_apart(Index registers) { return registers == 2; }

/// The innermost loop of all contractions: `out_j = sum_k a(j, k) b_k`, or `out_j += ...`, as `store` says, for `tile`
/// rows j as wide as a panel of `registers` registers, which stay in registers from the first term to the last. Rows of
/// `b` and `out` follow each other in memory. Entries of `a` are broadcast from where they lie: the tensor need not be
/// packed, and few components are as fast as many. `ahead`: the first row of a tile to come, whose entries are fetched
/// meanwhile; `a` where none are to be. `scale`, where it is not null: a row that the sums are multiplied with.
template <int tile, int registers, typename Scalar>
void multiply_tile(const Scalar* a, Index row_stride, Index term_stride, Index terms, const Scalar* ahead,
                   const Scalar* b, const Scalar* scale, Store store, Scalar* out) {
  using Row = Registers<Scalar, registers>;
  constexpr Index width = registers * packet_size<Scalar>;
  // Side by side, a tile's rows begin on the line on which the last ones ended. Otherwise some of each is fetched in
  // turn, or of the one piece that they are.
  constexpr bool takes_turns = fetches_rows_apart(registers);
  const bool fetches = ahead != a, side_by_side = row_stride == 1;
  const Index ahead_stride = !fetches ? 0 : side_by_side ? term_stride : takes_turns ? row_stride : tile;
  const Index back_to_first_row = fetches && !side_by_side ? tile - tile * row_stride : 0;
  if (fetches && side_by_side) ahead += tile - 1;
  Row sums[static_cast<std::size_t>(tile)];
  unroll<tile>([&](auto j) { sums[j].set_zero(); });
  int turn = 0;
  for (Index k = 0; k < terms; ++k, a += term_stride, b += width) {
    // One after the other, wide rows want their lines in the first cache, and not long before.
    if (registers > 1 && row_stride != 1)
      prefetch_to<Cache::first>(ahead);
    else
      prefetch_to<Cache::second>(ahead);
    ahead += ahead_stride;
    if (takes_turns && ++turn == tile) {
      turn = 0;
      ahead += back_to_first_row;
    }
    Row row;
    row.load(b);
    unroll<tile>([&](auto j) { sums[j].add_product(broadcast(a[j * row_stride]), row); });
  }
  if (scale != nullptr) {
    Row factors;
    factors.load(scale);
    unroll<tile>([&](auto j) { sums[j].multiply(factors); });
  }
  unroll<tile>([&](auto j) {
    Scalar* const target = out + j * width;
    if (store == Store::stream) {
      sums[j].stream(target);
      return;
    }
    if (store == Store::add) {
      Row row;
      row.load(target);
      sums[j].add(row);
    }
    sums[j].store(target);
  });
}

/// Rows of a tile: as many as leave registers for a row of b and an entry of a, and keep the multiply-adds busy.
constexpr int rows_of_tile(int registers) {
  return vector_registers >= 32 || registers == 1 ? 8 : registers == 2 ? 6 : 4;
}

/// Of any tile.
inline constexpr int most_rows_of_tile = 8;

/// Rows of the smallest tile for so many rows: a short one wastes less at the end of a run.
constexpr Index rows_of_short_tile(Index rows) { return rows <= 4 ? 4 : rows <= 6 ? 6 : most_rows_of_tile; }

/// `multiply_tile` for panels of so many registers.
template <int tile, typename Scalar>
auto tile_function(Index registers) {
  switch (registers) {
    case 1:
      return &multiply_tile<tile, 1, Scalar>;
    case 2:
      return &multiply_tile<tile, 2, Scalar>;
    default:
      return &multiply_tile<tile, 3, Scalar>;
  }
}

/// The same for tiles of 4, 6 or 8 rows.
template <typename Scalar>
auto tile_function(Index rows, Index registers) {
  return rows == 4   ? tile_function<4, Scalar>(registers)
         : rows == 6 ? tile_function<6, Scalar>(registers)
                     : tile_function<8, Scalar>(registers);
}

}  // namespace qaf::detail
