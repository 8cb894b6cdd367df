#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include <qaf/convolution/convolve.hpp>
#include <qaf/convolution/three_layers.hpp>
#include <qaf/cp_model.hpp>
#include <qaf/quantized_model.hpp>

#include "support/convolution.hpp"
#include "support/random.hpp"

// A quantized convolution, its layers, and what it is by the definition.
namespace support {

struct FactoredLayer {
  std::vector<qaf::QuantizedConvolutionLayer> layers;
  std::vector<qaf::DenseTensor<double>> kernels;  // of each group, O/groups x I/groups x kh x kw
  qaf::ConvolutionGeometry geometry;
  qaf::Vector<double> bias;
};

/// Of float models, one a group, quantized.
template <typename Quantizers>
FactoredLayer factored_layer(const std::vector<qaf::CpModel<float>>& models, const std::array<qaf::Index, 2>& size,
                             const Quantizers& quantizers, const qaf::ConvolutionGeometry& geometry = {},
                             const qaf::Vector<double>& bias = {}) {
  FactoredLayer result{{}, {}, geometry, bias};
  std::vector<decltype(qaf::quantize(models.front(), quantizers))> quantized;
  for (const qaf::CpModel<float>& model : models) {
    quantized.push_back(qaf::quantize(model, quantizers));
    const qaf::CpModel<float> decoded = qaf::decode(quantized.back());
    qaf::CpModel<double> exact{{}, decoded.weights.cast<double>()};
    for (const qaf::Matrix<float>& factor : decoded.factors) exact.factors.emplace_back(factor.cast<double>());
    auto kernel = qaf::reconstruct(exact, qaf::StorageOrder::row_major);
    kernel.reshape({kernel.dimensions()[0], kernel.dimensions()[1], size[0], size[1]});
    result.kernels.push_back(kernel);
  }
  result.layers = qaf::three_layers(quantized, size, geometry, bias);
  return result;
}

/// What the convolution with the reconstructed kernel makes of the maps, by plain loops.
template <typename Scalar>
qaf::FeatureMaps<double> expected_output(const FactoredLayer& layer, const qaf::FeatureMaps<Scalar>& maps) {
  const std::vector<qaf::Index>& sizes = layer.kernels.front().dimensions();
  const qaf::Index groups = layer.geometry.groups;
  qaf::DenseTensor<double> whole({groups * sizes[0], sizes[1], sizes[2], sizes[3]}, qaf::StorageOrder::row_major);
  double* target = whole.data();
  for (const qaf::DenseTensor<double>& kernel : layer.kernels)
    target = std::copy_n(kernel.data(), kernel.size(), target);
  qaf::FeatureMaps<double> result = direct_convolution(maps, whole, layer.geometry);
  if (layer.bias.size() != 0) result.values.colwise() += layer.bias;
  return result;
}

}  // namespace support
