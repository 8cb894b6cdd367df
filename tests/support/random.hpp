#pragma once

#include <cstdint>
#include <vector>

#include <qaf/cp_model.hpp>
#include <qaf/dense_tensor.hpp>
#include <qaf/detail/random.hpp>
#include <qaf/types.hpp>

#include "support/reference.hpp"

namespace support {

inline const std::vector<qaf::StorageOrder> both_orders = {qaf::StorageOrder::column_major,
                                                           qaf::StorageOrder::row_major};

/// One tensor size for each order from 2 to 5.
inline const std::vector<std::vector<qaf::Index>> one_shape_an_order = {
    {7, 5}, {6, 5, 4}, {5, 4, 2, 3}, {4, 3, 2, 3, 2}};

/// Standard normal entries; the same tensor in both storage orders.
template <typename Scalar>
qaf::DenseTensor<Scalar> random_tensor(const std::vector<qaf::Index>& dimensions, qaf::StorageOrder storage_order,
                                       std::uint64_t seed = 1) {
  qaf::detail::NormalGenerator normal(seed);
  qaf::DenseTensor<Scalar> tensor(dimensions, storage_order);
  for_each_index(dimensions, [&](const std::vector<qaf::Index>& index) {
    tensor.data()[position(dimensions, storage_order, index)] = static_cast<Scalar>(normal());
  });
  return tensor;
}

/// Standard normal factors and weights.
template <typename Scalar>
qaf::CpModel<Scalar> random_model(const std::vector<qaf::Index>& dimensions, qaf::Index rank, std::uint64_t seed = 2) {
  qaf::detail::NormalGenerator normal(seed);
  qaf::CpModel<Scalar> model;
  for (const qaf::Index length : dimensions) model.factors.push_back(normal.matrix<Scalar>(length, rank));
  model.weights = normal.matrix<Scalar>(rank, 1);
  return model;
}

/// Adds normal noise of the given share of the tensor's norm.
template <typename Scalar>
void add_noise(qaf::DenseTensor<Scalar>& tensor, double share, std::uint64_t seed) {
  const auto noise = random_tensor<Scalar>(tensor.dimensions(), tensor.storage_order(), seed);
  const Scalar factor = static_cast<Scalar>(share * direct_norm(tensor) / direct_norm(noise));
  for (qaf::Index k = 0; k < tensor.size(); ++k) tensor.data()[k] += factor * noise.data()[k];
}

/// A tensor of low rank, all weights 1, with noise.
template <typename Scalar>
qaf::DenseTensor<Scalar> low_rank_tensor(const std::vector<qaf::Index>& dimensions, qaf::Index rank, double noise,
                                         std::uint64_t seed, qaf::StorageOrder storage_order) {
  qaf::CpModel<Scalar> model = random_model<Scalar>(dimensions, rank, seed);
  model.weights.setOnes();
  qaf::DenseTensor<Scalar> tensor = direct_tensor(model, storage_order);
  add_noise(tensor, noise, seed + 1000);
  return tensor;
}

/// A copy with every entry multiplied.
template <typename Scalar>
qaf::DenseTensor<Scalar> scaled(qaf::DenseTensor<Scalar> tensor, double factor) {
  for (qaf::Index k = 0; k < tensor.size(); ++k)
    tensor.data()[k] = static_cast<Scalar>(static_cast<double>(tensor.data()[k]) * factor);
  return tensor;
}

}  // namespace support
