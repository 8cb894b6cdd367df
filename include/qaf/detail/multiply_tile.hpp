#pragma once

#include <algorithm>
#include <cstddef>

#include <qaf/detail/packets.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// The innermost loop of all contractions: `out_j = sum_k a(j, k) b_k`, or `out_j += ...`, for `tile` rows j as wide as
/// a panel of `registers` registers, which stay in registers from the first term to the last. Rows of `b` and `out`
/// follow each other in memory, and are aligned. Entries of `a` are broadcast from where they lie: the tensor need not
/// be packed, and few components are as fast as many.
template <int tile, int registers, typename Scalar>
void multiply_tile(const Scalar* a, Index row_stride, Index term_stride, Index terms, const Scalar* b, bool add,
                   Scalar* out) {
  using namespace Eigen::internal;
  using Register = Packet<Scalar>;
  constexpr Index size = packet_size<Scalar>, width = registers * size;
  // Entries of a tile to come, on lines that no hardware foresees: side by side with these where rows are neighbours in
  // memory, else one after the other.
  constexpr Index line = 64 / sizeof(Scalar);
  const Scalar* ahead = a + (row_stride == 1 ? line : 2 * tile * row_stride);
  const Index ahead_stride = row_stride == 1 ? term_stride : tile;
  Register sums[static_cast<std::size_t>(tile)][static_cast<std::size_t>(registers)];
  unroll<tile>([&](auto j) { unroll<registers>([&](auto v) { sums[j][v] = pset1<Register>(Scalar(0)); }); });
  for (Index k = 0; k < terms; ++k, a += term_stride, b += width, ahead += ahead_stride) {
    prefetch(ahead);
    Register row[static_cast<std::size_t>(registers)];
    unroll<registers>([&](auto v) { row[v] = pload<Register>(b + v * size); });
    unroll<tile>([&](auto j) {
      const Register entry = pset1<Register>(a[j * row_stride]);
      unroll<registers>([&](auto v) { sums[j][v] = pmadd(entry, row[v], sums[j][v]); });
    });
  }
  unroll<tile>([&](auto j) {
    unroll<registers>([&](auto v) {
      Scalar* const target = out + j * width + v * size;
      pstore(target, add ? padd(pload<Register>(target), sums[j][v]) : sums[j][v]);
    });
  });
}

/// `multiply_tile` for the panels of a layout.
template <typename Scalar>
class TileKernel {
 public:
  using Function = void (*)(const Scalar* a, Index row_stride, Index term_stride, Index terms, const Scalar* b,
                            bool add, Scalar* out);

  static constexpr Index most_rows = 16;

  explicit TileKernel(const PanelLayout<Scalar>& layout) : widest_width_(layout.widest_width()) {
    constexpr bool many = vector_registers >= 32;
    switch (widest_width_ / packet_size<Scalar>) {
      case 1:
        set<many ? 16 : 12, 1>();
        break;
      case 2:
        set<many ? 8 : 6, 2>();
        break;
      case 3:
        if constexpr (many) set<8, 3>();
        break;
      default:
        if constexpr (many) set<6, 4>();
    }
  }

  /// Of a tile: as many as leave registers for a row of b and an entry of a.
  Index rows() const { return rows_; }

  /// For a panel of the layout.
  Function for_width(Index width) const { return width == widest_width_ ? widest_ : narrower_; }

 private:
  template <int tile, int registers>
  void set() {
    rows_ = tile;
    widest_ = multiply_tile<tile, registers, Scalar>;
    narrower_ = multiply_tile<tile, std::max(registers - 1, 1), Scalar>;  // widths differ by a register at most
  }

  Index widest_width_, rows_ = 0;
  Function widest_ = nullptr, narrower_ = nullptr;
};

}  // namespace qaf::detail
