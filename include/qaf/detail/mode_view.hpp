#pragma once

#include <algorithm>
#include <vector>

#include <qaf/tensor.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// The modes as they lie in memory, the fastest first. Row-major is column-major with the modes counted backwards: this
/// is the only place that knows of storage orders.
inline std::vector<Index> modes_in_memory(Index order, StorageOrder storage_order) {
  std::vector<Index> modes;
  for (Index mode = 0; mode < order; ++mode) modes.push_back(mode);
  if (storage_order == StorageOrder::row_major) std::reverse(modes.begin(), modes.end());
  return modes;
}

/// The same of a tensor.
template <typename Scalar>
std::vector<Index> modes_in_memory(const TensorView<Scalar>& tensor) {
  return modes_in_memory(tensor.order(), tensor.storage_order());
}

/// A tensor seen from one mode: in memory its entries are `fast x length x slow`.
template <typename Scalar>
struct ModeView {
  const Scalar* data;
  Index fast = 1, length = 1, slow = 1;

  ModeView(const TensorView<Scalar>& tensor, Index mode) : data(tensor.data()), length(tensor.dimension(mode)) {
    bool is_past = false;
    for (const Index other : modes_in_memory(tensor)) {
      if (other != mode) (is_past ? slow : fast) *= tensor.dimension(other);
      is_past = is_past || other == mode;
    }
  }
};

}  // namespace qaf::detail
