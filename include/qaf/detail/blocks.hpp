#pragma once

#include <algorithm>

#include <qaf/types.hpp>

namespace qaf::detail {

/// The largest number of scalars in a temporary block: 2 MiB of float, about a core's own cache.
inline constexpr Index block_entries = Index{1} << 19;

/// How many rows of `row_size` scalars fit a temporary block: at least 1, at most `rows`.
inline Index rows_per_block(Index rows, Index row_size) {
  return std::clamp(block_entries / std::max<Index>(row_size, 1), Index{1}, std::max<Index>(rows, 1));
}

}  // namespace qaf::detail
