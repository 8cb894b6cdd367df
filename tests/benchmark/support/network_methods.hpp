#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <qaf/plan/layer_cost.hpp>
#include <qaf/qaf.hpp>
#include <qaf/quantizers/conventions.hpp>

#include "support/direct_quantization.hpp"
#include "support/network.hpp"
#include "support/second_moments.hpp"

/// How the layers of a network are compressed.
struct NetworkMethod {
  enum class Kind { als, paper, direct, ours } kind;
  bool weighted;  ///< errors count as the layers' outputs see them
  const char* name;
};

inline const std::vector<NetworkMethod>& network_methods() {
  using Kind = NetworkMethod::Kind;
  static const std::vector<NetworkMethod> methods = {{Kind::als, false, "CP-ALS, then quantized"},
                                                     {Kind::paper, false, "paper"},
                                                     {Kind::direct, false, "weights quantized"},
                                                     {Kind::ours, false, "qaf"},
                                                     {Kind::ours, true, "qaf, weighted"}};
  return methods;
}

/// How far they are compressed.
struct Compression {
  int bits;
  double reduction;
  std::uint64_t seed;
  qaf::Effort effort;
};

using UniformModel = qaf::QuantizedCpModel<float, qaf::UniformQuantizer>;

/// A layer's tensor after compression.
struct CompressedTensor {
  qaf::DenseTensor<float> tensor;
  std::optional<UniformModel> model;  ///< none where it was not factored
};

/// The codes of factors at this compression, and a weight of 32 bits a component.
inline double factored_bits(const std::vector<qaf::Index>& sizes, const Compression& compression) {
  const qaf::Index rank = qaf::rank_for_reduction(sizes, compression.reduction);
  return qaf::factored_cost({"", sizes}, rank, compression.bits).bits;
}

/// The tensor that a method makes of a layer's weights.
inline CompressedTensor compress_tensor(const NetworkMethod& method, const qaf::DenseTensor<float>& weights,
                                        const SecondMoments& moments, const Compression& compression) {
  using Kind = NetworkMethod::Kind;
  const auto factored = [](UniformModel model) -> CompressedTensor {
    return {reconstruct(decode(model), qaf::StorageOrder::row_major), std::move(model)};
  };
  if (method.kind == Kind::direct)
    return {directly_quantized(weights, factored_bits(weights.dimensions(), compression)), {}};
  const auto metrics = method.weighted ? error_metrics(moments, weights.order())
                                       : std::vector<Eigen::MatrixXd>(static_cast<std::size_t>(weights.order()));
  const qaf::WeightedTensor<float> tensor = qaf::weighted(weights, metrics);
  const qaf::Index rank = qaf::rank_for_reduction(weights.dimensions(), compression.reduction);
  if (method.kind == Kind::ours) {
    qaf::UniformQuantizer quantizer;
    quantizer.bits = compression.bits;
    qaf::CpAdmmOptions options = qaf::cp_admm_options(compression.effort);
    options.start.seed = compression.seed;
    return factored(cp_admm(tensor, rank, quantizer, options).model);
  }
  const qaf::UniformQuantizer quantizer = qaf::conventions::paper(compression.bits);
  qaf::CpAlsOptions als_options;
  als_options.max_iterations = 100;
  als_options.seed = compression.seed;
  const auto als = cp_als(tensor, rank, als_options);
  return factored(method.kind == Kind::als ? quantize(als.model, quantizer)
                                           : cp_admm(tensor, als.model, quantizer, qaf::paper_options()).model);
}

/// The convolutions that are compressed: all but the network's first, whose few input channels leave hardly anything to
/// factor.
inline std::vector<std::string> compressed_layers(const Network& network) {
  std::vector<std::string> names = convolution_names(network);
  if (!names.empty()) names.erase(names.begin());
  return names;
}

/// A network after compression.
struct CompressedNetwork {
  Network network;
  std::map<std::string, UniformModel> models;  ///< of the layers that were factored
  double bits_per_weight;                      ///< over the layers that were compressed
};

/// A copy of the network whose convolutions, but for the first, are compressed.
inline CompressedNetwork compress_network(const Network& network, const NetworkMethod& method,
                                          const std::map<std::string, SecondMoments>& moments,
                                          const Compression& compression) {
  CompressedNetwork result{network, {}, 0};
  double bits = 0, weights = 0;
  for (const std::string& name : compressed_layers(network)) {
    const auto tensor = factored_weights(network, name);
    CompressedTensor compressed = compress_tensor(method, tensor, moments.at(name), compression);
    replace_weights(result.network, name, compressed.tensor);
    if (compressed.model) result.models[name] = std::move(*compressed.model);
    bits += factored_bits(tensor.dimensions(), compression);
    weights += static_cast<double>(tensor.size());
  }
  result.bits_per_weight = bits / weights;
  return result;
}
