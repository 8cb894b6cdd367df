#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <qaf/convolution_layer.hpp>
#include <qaf/error.hpp>
#include <qaf/feature_maps.hpp>
#include <qaf/types.hpp>

namespace qaf {

// Factors that move between the layers of `three_layers` without changing what these compute together.

/// Gives all output channels of the first of three layers the same largest magnitude on these maps, so that one 8-bit
/// scale suits them all: the channel's scale is multiplied and that of the depthwise layer, which takes this channel
/// alone, is divided. Channels of zeros stay. The outputs of the depthwise layer cannot be equalized: the last layer
/// has one scale for each of its own output channels, none for its inputs. Errors: other layers than three of which the
/// second is depthwise, a bias or ReLU in the first, those of `convolve`.
template <typename Scalar>
void equalize_ranges(std::vector<QuantizedConvolutionLayer>& layers, const FeatureMaps<Scalar>& maps) {
  if (layers.size() != 3 || layers[1].codes.order() != 4 || layers[1].codes.dimensions()[1] != 1 ||
      layers[1].scales.size() != layers[0].scales.size() || layers[1].geometry.groups != layers[1].scales.size())
    detail::fail("equalize_ranges", "there must be three layers, the second depthwise, as three_layers makes them");
  if (layers[0].bias.size() != 0 || layers[0].relu)
    detail::fail("equalize_ranges", "the first layer must have no bias and no ReLU");
  const FeatureMaps<Scalar> outputs = convolve(maps, decode<Scalar>(layers[0]));
  const Vector<double> largest = outputs.values.cwiseAbs().rowwise().maxCoeff().template cast<double>();
  const double common = largest.maxCoeff();
  for (Index r = 0; r < largest.size(); ++r) {
    if (!(largest[r] > 0)) continue;
    layers[0].scales[r] *= common / largest[r];
    layers[1].scales[r] *= largest[r] / common;
  }
}

/// The same layer with positive scales only, as file formats of other systems want them: where one is negative, the
/// codes of its output channel are negated. Errors: a code -128 in such a channel, which has no negative in 8 bits
/// (codes of the narrow range, or of fewer bits, have).
inline QuantizedConvolutionLayer with_positive_scales(QuantizedConvolutionLayer layer) {
  detail::check_layer("with_positive_scales", layer);
  const Index entries = layer.codes.size() / layer.scales.size();
  for (Index o = 0; o < layer.scales.size(); ++o) {
    if (layer.scales[o] > 0) continue;
    layer.scales[o] = -layer.scales[o];
    std::int16_t* const codes = layer.codes.data() + o * entries;
    if (std::find(codes, codes + entries, -128) != codes + entries)
      detail::fail("with_positive_scales", "output channel ", o,
                   " has a negative scale and a code -128, which has no negative in 8 bits; quantize in the narrow "
                   "range or with fewer bits");
    std::transform(codes, codes + entries, codes, [](std::int16_t code) { return static_cast<std::int16_t>(-code); });
  }
  return layer;
}

}  // namespace qaf
