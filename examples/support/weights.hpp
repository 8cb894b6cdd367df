#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include <qaf/dense_tensor.hpp>
#include <qaf/layer_cost.hpp>

/// Convolution weights `O x I x kh x kw` as the tensor of order 3 that is factored, `O x I x (kh kw)`,
/// the kernel's positions row by row; weights of any other order stay as they are.
template <typename Scalar>
qaf::DenseTensor<Scalar> as_factored_tensor(const qaf::DenseTensor<Scalar>& weights) {
  if (weights.order() != 4) return weights;
  qaf::DenseTensor<Scalar> tensor = with_storage_order(weights, qaf::StorageOrder::row_major);
  const std::vector<qaf::Index>& sizes = weights.dimensions();
  tensor.reshape({sizes[0], sizes[1], sizes[2] * sizes[3]});
  return tensor;
}

/// The sum of the sizes: the number of parameters in one component.
inline qaf::Index component_size(const std::vector<qaf::Index>& dimensions) {
  return std::accumulate(dimensions.begin(), dimensions.end(), qaf::Index{0});
}

using qaf::rank_for_reduction;
