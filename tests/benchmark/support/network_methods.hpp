#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <qaf/qaf.hpp>
#include <qaf/quantizers/conventions.hpp>

#include "support/direct_quantization.hpp"
#include "support/network.hpp"
#include "support/second_moments.hpp"
#include "support/weights.hpp"

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

/// A layer's tensor after compression.
struct CompressedTensor {
  qaf::DenseTensor<float> tensor;
  double bits;  ///< that it takes
};

/// The codes of factors at this compression, and a weight of 32 bits a component.
inline double factored_bits(const std::vector<qaf::Index>& sizes, const Compression& compression) {
  const double rank = static_cast<double>(rank_for_reduction(sizes, compression.reduction));
  return rank * (compression.bits * static_cast<double>(component_size(sizes)) + 32);
}

/// The tensor that a method makes of a layer's weights.
inline CompressedTensor compress_tensor(const NetworkMethod& method, const qaf::DenseTensor<float>& weights,
                                        const SecondMoments& moments, const Compression& compression) {
  using Kind = NetworkMethod::Kind;
  const double bits = factored_bits(weights.dimensions(), compression);
  if (method.kind == Kind::direct) return {directly_quantized(weights, bits), bits};
  const auto metrics = method.weighted ? error_metrics(moments, weights.order())
                                       : std::vector<Eigen::MatrixXd>(static_cast<std::size_t>(weights.order()));
  const qaf::WeightedTensor<float> tensor = qaf::weighted(weights, metrics);
  const qaf::Index rank = rank_for_reduction(weights.dimensions(), compression.reduction);
  if (method.kind == Kind::ours) {
    qaf::UniformQuantizer quantizer;
    quantizer.bits = compression.bits;
    qaf::CpAdmmOptions options = qaf::cp_admm_options(compression.effort);
    options.start.seed = compression.seed;
    const auto model = cp_admm(tensor, rank, quantizer, options).model;
    return {reconstruct(decode(model), qaf::StorageOrder::row_major), bits};
  }
  const qaf::UniformQuantizer quantizer = qaf::conventions::paper(compression.bits);
  qaf::CpAlsOptions als_options;
  als_options.max_iterations = 100;
  als_options.seed = compression.seed;
  const auto als = cp_als(tensor, rank, als_options);
  const auto model = method.kind == Kind::als ? quantize(als.model, quantizer)
                                              : cp_admm(tensor, als.model, quantizer, qaf::paper_options()).model;
  return {reconstruct(decode(model), qaf::StorageOrder::row_major), bits};
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
  double bits_per_weight;  ///< over the layers that were compressed
};

/// A copy of the network whose convolutions, but for the first, are compressed.
inline CompressedNetwork compress_network(const Network& network, const NetworkMethod& method,
                                          const std::map<std::string, SecondMoments>& moments,
                                          const Compression& compression) {
  CompressedNetwork result{network, 0};
  double bits = 0, weights = 0;
  for (const std::string& name : compressed_layers(network)) {
    const auto tensor = as_factored_tensor(network.parameters.at(name + ".weight"));
    const CompressedTensor compressed = compress_tensor(method, tensor, moments.at(name), compression);
    replace_weights(result.network, name, compressed.tensor);
    bits += compressed.bits;
    weights += static_cast<double>(tensor.size());
  }
  result.bits_per_weight = bits / weights;
  return result;
}
