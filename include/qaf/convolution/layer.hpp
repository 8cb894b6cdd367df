#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include <qaf/convolution/convolve.hpp>
#include <qaf/convolution/feature_maps.hpp>
#include <qaf/convolution/geometry.hpp>
#include <qaf/dense_tensor.hpp>
#include <qaf/error.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// A convolution with all that it needs.
template <typename Scalar>
struct ConvolutionLayer {
  DenseTensor<Scalar> kernel;    ///< `O x I/groups x kh x kw`
  ConvolutionGeometry geometry;  ///< strides, padding, dilation, groups
  Vector<Scalar> bias;           ///< O, added to the output; none where it is empty
  bool relu = false;             ///< negative outputs become 0
};

/// A convolution on integers: its kernel is `scales[o] * codes(o, i, y, x)`.
struct QuantizedConvolutionLayer {
  DenseTensor<std::int16_t> codes;  ///< `O x I/groups x kh x kw`, row-major, zero points already taken from them
  Vector<double> scales;            ///< O, not 0 but maybe negative
  ConvolutionGeometry geometry;     ///< strides, padding, dilation, groups
  Vector<double> bias;              ///< O, added to the output; none where it is empty
  bool relu = false;                ///< negative outputs become 0
};

/// What a layer makes of the maps. Errors: those of `convolve` for a kernel, a bias of another size.
template <typename Scalar>
FeatureMaps<Scalar> convolve(const FeatureMaps<Scalar>& maps, const ConvolutionLayer<Scalar>& layer) {
  FeatureMaps<Scalar> result = convolve(maps, layer.kernel, layer.geometry);
  if (layer.bias.size() != 0 && layer.bias.size() != result.channels())
    detail::fail("convolve", "a bias must be of the kernel's ", result.channels(), " output channels, got ",
                 layer.bias.size());
  if (layer.bias.size() != 0) result.values.colwise() += layer.bias;
  if (layer.relu) result.values = result.values.cwiseMax(Scalar(0));
  return result;
}

/// What layers one after the other make of the maps. Errors: as for each.
template <typename Scalar>
FeatureMaps<Scalar> convolve(FeatureMaps<Scalar> maps, const std::vector<ConvolutionLayer<Scalar>>& layers) {
  for (const ConvolutionLayer<Scalar>& layer : layers) maps = convolve(maps, layer);
  return maps;
}

namespace detail {

/// Throws unless the parts of a layer fit together.
inline void check_layer(const char* function, const QuantizedConvolutionLayer& layer) {
  layer.geometry.validate();
  const Index outputs = layer.codes.order() == 4 ? layer.codes.dimensions()[0] : 0;
  if (layer.codes.size() == 0 || outputs == 0 || layer.codes.storage_order() != StorageOrder::row_major)
    fail(function, "the codes of a layer must be O x I x kh x kw, row-major, got ",
         shape_text(layer.codes.dimensions()));
  if (outputs % layer.geometry.groups != 0)
    fail(function, "the ", outputs, " output channels of the codes must divide into ", layer.geometry.groups,
         " groups");
  if (layer.scales.size() != outputs || (layer.bias.size() != 0 && layer.bias.size() != outputs))
    fail(function, "a layer of ", outputs,
         " output channels must have so many scales, and so many biases or none, got ", layer.scales.size(), " and ",
         layer.bias.size());
  for (const double scale : layer.scales)
    if (scale == 0 || !std::isfinite(scale))
      fail(function, "every scale of a layer must be finite and not 0, got ", scale);
  if (!layer.bias.allFinite()) fail(function, "every bias of a layer must be finite, got NaN or infinity");
}

}  // namespace detail

/// The layer of floats that the integers stand for. Errors: parts that do not fit together.
template <typename Scalar>
ConvolutionLayer<Scalar> decode(const QuantizedConvolutionLayer& layer) {
  detail::check_layer("decode", layer);
  ConvolutionLayer<Scalar> decoded{DenseTensor<Scalar>(layer.codes.dimensions(), StorageOrder::row_major),
                                   layer.geometry, layer.bias.cast<Scalar>(), layer.relu};
  const Index entries = layer.codes.size() / layer.scales.size();
  for (Index k = 0; k < layer.codes.size(); ++k)
    decoded.kernel.data()[k] = static_cast<Scalar>(layer.scales[k / entries] * layer.codes.data()[k]);
  return decoded;
}

/// The same for all layers.
template <typename Scalar>
std::vector<ConvolutionLayer<Scalar>> decode(const std::vector<QuantizedConvolutionLayer>& layers) {
  std::vector<ConvolutionLayer<Scalar>> decoded;
  for (const QuantizedConvolutionLayer& layer : layers) decoded.push_back(decode<Scalar>(layer));
  return decoded;
}

}  // namespace qaf
