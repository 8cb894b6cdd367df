#pragma once

#include <cstddef>
#include <vector>

#include <qaf/detail/panel_matrix.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// The modes of a partial product as `fast x length x slow` about one of them.
struct ModesAbout {
  std::vector<Index> fast_modes, slow_modes;
  Index fast = 1, length = 1, slow = 1;
};

/// `modes`: of a partial product's rows, the fastest first. `factors`: of all modes, for their lengths.
template <typename Scalar>
ModesAbout modes_about(Index mode, const std::vector<Index>& modes, const std::vector<PanelView<Scalar>>& factors) {
  ModesAbout about;
  bool is_past = false;
  for (const Index other : modes) {
    const Index length = factors[static_cast<std::size_t>(other)].rows();
    (other == mode ? about.length : is_past ? about.slow : about.fast) *= length;
    if (other != mode) (is_past ? about.slow_modes : about.fast_modes).push_back(other);
    is_past = is_past || other == mode;
  }
  return about;
}

}  // namespace qaf::detail
