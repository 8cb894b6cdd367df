#pragma once

// The compressed layers of a network on 8-bit activations, as an integer runtime would run them.

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <qaf/convolution/activation_scale.hpp>
#include <qaf/convolution/integer_convolution.hpp>
#include <qaf/convolution/integer_factor.hpp>
#include <qaf/convolution/rescale_layers.hpp>
#include <qaf/convolution/three_layers.hpp>
#include <qaf/quantized_model.hpp>

#include "inference.hpp"

namespace integer_activations {

/// The layers of integers that a model stands for: three or two of a factored one, one where the only factor is the
/// matrix `I (kh kw) x O`.
template <typename Quantizer>
std::vector<qaf::QuantizedConvolutionLayer> layers_of(const qaf::QuantizedCpModel<float, Quantizer>& model,
                                                      const std::array<qaf::Index, 2>& kernel_size,
                                                      const qaf::ConvolutionGeometry& geometry) {
  if (model.factors.size() > 1) return qaf::three_layers(model, kernel_size, geometry);
  const qaf::IntegerFactor factor = qaf::integer_factor(model.factors.front());
  const qaf::Index outputs = factor.integers.cols(), positions = kernel_size[0] * kernel_size[1];
  qaf::DenseTensor<std::int16_t> codes({outputs, factor.integers.rows() / positions, kernel_size[0], kernel_size[1]},
                                       qaf::StorageOrder::row_major);
  std::copy_n(factor.integers.data(), factor.integers.size(), codes.data());
  return {{std::move(codes), factor.scales.cast<double>(), geometry, {}, false}};
}

/// A layer whose activations are being looked at.
struct Observed {
  std::vector<qaf::QuantizedConvolutionLayer> layers;
  std::vector<qaf::ConvolutionLayer<float>> decoded;
  std::vector<qaf::ActivationObserver> observers;

  void observe(const Maps& input) {
    if (decoded.empty()) {
      if (layers.size() == 3) equalize_ranges(layers, input);
      decoded = qaf::decode<float>(layers);
    }
    qaf::observe(decoded, input, observers);
  }
};

/// The first `count` images, or all there are.
inline qaf::DenseTensor<std::uint8_t> first_images(const qaf::DenseTensor<std::uint8_t>& images, qaf::Index count) {
  std::vector<qaf::Index> sizes = images.dimensions();
  sizes[0] = std::min(sizes[0], count);
  qaf::DenseTensor<std::uint8_t> result(sizes, qaf::StorageOrder::row_major);
  std::copy_n(images.data(), result.size(), result.data());
  return result;
}

}  // namespace integer_activations

/// Hooks with which `logits` runs these layers of the network on integers: what goes into a layer, what goes on between
/// the layers that it was factored into and what comes out are 8-bit codes, sums have 32 bits. Scales are those of
/// least squares over some calibration images. All else (batch norms, ReLU, shortcuts, layers without a model) stays in
/// float32. Throws for models that integer arithmetic cannot run: see `three_layers`.
template <typename Quantizer>
InferenceHooks integer_inference(const Network& network,
                                 const std::map<std::string, qaf::QuantizedCpModel<float, Quantizer>>& models,
                                 const qaf::DenseTensor<std::uint8_t>& calibration) {
  constexpr qaf::Index most_images = 256;  // ranges hardly change after that
  std::map<std::string, integer_activations::Observed> observed;
  InferenceHooks observing;
  observing.on_input = [&](const Step& step, const Maps& input) {
    const auto model = models.find(step.name);
    if (model == models.end()) return;
    integer_activations::Observed& one = observed[step.name];
    if (one.layers.empty())
      one.layers = integer_activations::layers_of(model->second, inference::kernel_size(network, step),
                                                  inference::geometry_of(step));
    one.observe(input);
  };
  logits(network, integer_activations::first_images(calibration, most_images), observing);
  InferenceHooks hooks;
  for (auto& [name, one] : observed)
    hooks.substitutes[name] = [layers = qaf::integer_convolutions(one.layers, one.observers)](const Maps& input) {
      const auto codes = qaf::convolve(qaf::quantize(input, layers.front().input()), layers);
      return qaf::dequantize(codes, layers.back().output());
    };
  return hooks;
}
