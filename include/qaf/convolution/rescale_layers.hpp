#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <qaf/convolution/feature_maps.hpp>
#include <qaf/convolution/layer.hpp>
#include <qaf/error.hpp>
#include <qaf/types.hpp>

namespace qaf {
namespace detail {

/// For each channel of the first of three layers, the squared noise of the last one's outputs that noise of variance 1
/// at every pixel of this channel makes: the squared norms of the depthwise kernel and of the last kernel's column.
inline Vector<double> squared_gains(const std::vector<QuantizedConvolutionLayer>& layers) {
  const ConvolutionLayer<double> depthwise = decode<double>(layers[1]), last = decode<double>(layers[2]);
  const Index channels = depthwise.kernel.dimensions()[0], positions = depthwise.kernel.size() / channels;
  const Index inputs = last.kernel.dimensions()[1], outputs = last.kernel.dimensions()[0] / last.geometry.groups;
  Vector<double> gains(channels);
  for (Index r = 0; r < channels; ++r) {
    double column = 0;
    for (Index o = r / inputs * outputs; o < (r / inputs + 1) * outputs; ++o) {
      const double entry = last.kernel.data()[o * inputs + r % inputs];
      column += entry * entry;
    }
    gains[r] =
        column * Eigen::Map<const Vector<double>>(depthwise.kernel.data() + r * positions, positions).squaredNorm();
  }
  return gains;
}

/// The largest magnitude that each output channel of a 1 x 1 layer may reach for inputs of magnitudes up to `largest`.
template <typename Scalar>
Vector<double> most_of_channels(const ConvolutionLayer<Scalar>& layer, double largest) {
  const Index channels = layer.kernel.dimensions()[0], entries = layer.kernel.size() / channels;
  Vector<double> most(channels);
  for (Index r = 0; r < channels; ++r)
    most[r] = largest * Eigen::Map<const Vector<Scalar>>(layer.kernel.data() + r * entries, entries)
                            .template cast<double>()
                            .cwiseAbs()
                            .sum();
  return most;
}

/// The factor, maybe negative, of largest magnitude by which a channel's range `lowest .. highest` stays within
/// `-below .. 1`.
inline double largest_factor(double lowest, double highest, double below) {
  const auto fitting = [&](double down, double up) {
    const double most = std::numeric_limits<double>::infinity();
    return std::min(up > 0 ? 1 / up : most, down > 0 ? below / down : most);
  };
  const double down = std::max(-lowest, 0.0), up = std::max(highest, 0.0);
  const double kept = fitting(down, up), reflected = fitting(up, down);
  return kept >= reflected ? kept : -reflected;
}

}  // namespace detail

// Factors that move between the layers of `three_layers` without changing what these compute together.

/// Gives the output channels of the first of three layers ranges that suit one common 8-bit scale: each channel is
/// multiplied, and maybe reflected, so that it fills the range, and the depthwise layer, which takes this channel
/// alone, takes that back. `maps` are calibration images, as the first layer takes them. How far the range goes below
/// zero is chosen for the least noise in the last layer's outputs, the rounding errors taken for independent: on these
/// maps it does not rise. Channels of zeros stay, also those below a millionth of what they might reach. The outputs of
/// the depthwise layer cannot be treated so: the last layer has no scales for its inputs. Errors: other layers than
/// three of which the second is depthwise and the third 1 x 1, a bias or ReLU in the first two, outputs of the first
/// layer that are not finite, those of `convolve`.
template <typename Scalar>
void equalize_ranges(std::vector<QuantizedConvolutionLayer>& layers, const FeatureMaps<Scalar>& maps) {
  bool fits = layers.size() == 3;
  for (const QuantizedConvolutionLayer& layer : layers) detail::check_layer("equalize_ranges", layer);
  const Index channels = fits ? layers[0].scales.size() : 0;
  fits = fits && layers[1].scales.size() == channels && layers[1].geometry.groups == channels &&
         layers[2].codes.size() == layers[2].scales.size() * layers[2].codes.dimensions()[1] &&
         layers[2].codes.dimensions()[1] * layers[2].geometry.groups == channels;
  if (!fits)
    detail::fail("equalize_ranges",
                 "there must be three layers, the second depthwise and the third 1 x 1, as three_layers makes them");
  for (const std::size_t k : {std::size_t{0}, std::size_t{1}})
    if (layers[k].bias.size() != 0 || layers[k].relu)
      detail::fail("equalize_ranges", "the first and the second layer must have no bias and no ReLU");
  const ConvolutionLayer<Scalar> first = decode<Scalar>(layers[0]);
  const FeatureMaps<Scalar> outputs = convolve(maps, first);
  if (!outputs.values.allFinite())
    detail::fail("equalize_ranges", "the first layer's outputs must be finite, got NaN or infinity");
  const Vector<double> lowest = outputs.values.rowwise().minCoeff().template cast<double>();
  const Vector<double> highest = outputs.values.rowwise().maxCoeff().template cast<double>();
  const Vector<double> most = detail::most_of_channels(first, static_cast<double>(maps.values.cwiseAbs().maxCoeff()));
  // A channel that comes to next to nothing of what it might is taken for one of zeros: its sums have to stay in range.
  constexpr double part = 1.0 / (1 << 20);
  const auto is_zero = [&](Index r) { return !(std::max(-lowest[r], highest[r]) > part * most[r]); };
  const Vector<double> gains = detail::squared_gains(layers);
  double least = std::numeric_limits<double>::infinity(), below = 1;
  const auto try_range = [&](double candidate) {
    double noise = 0;
    for (Index r = 0; r < channels; ++r) {
      if (is_zero(r)) continue;
      const double factor = detail::largest_factor(lowest[r], highest[r], candidate);
      noise += gains[r] / (factor * factor);
    }
    noise *= (1 + candidate) * (1 + candidate);
    if (!(noise < least)) return;
    least = noise;
    below = candidate;
  };
  constexpr int steps = 64;
  for (int step = 0; step <= steps; ++step) try_range(static_cast<double>(step) / steps);
  const double down = std::max(-lowest.minCoeff(), 0.0), up = std::max(highest.maxCoeff(), 0.0);
  if (down > 0 || up > 0) try_range(std::min(down, up) / std::max(down, up));  // as it is
  // In units of the largest magnitude, so that scales stay of the size they have.
  const double largest = std::max(down, up);
  for (Index r = 0; r < channels; ++r) {
    if (is_zero(r)) continue;
    const double factor = largest * detail::largest_factor(lowest[r], highest[r], below);
    const double scale = layers[0].scales[r] * factor, rest = layers[1].scales[r] / factor;
    if (!std::isnormal(static_cast<float>(scale)) || !std::isnormal(static_cast<float>(rest))) continue;
    layers[0].scales[r] = scale;
    layers[1].scales[r] = rest;
  }
}

/// The same layer with positive scales only, as file formats of other systems want them: where one is negative, the
/// codes of its output channel are negated. Errors: a code in such a channel that has no negative of the layer's size:
/// -128 where all codes are of 8 bits (those of the narrow range, or of fewer bits, have one), else -32768.
inline QuantizedConvolutionLayer with_positive_scales(QuantizedConvolutionLayer layer) {
  detail::check_layer("with_positive_scales", layer);
  const Index entries = layer.codes.size() / layer.scales.size();
  const auto is_byte = [](std::int16_t code) { return code == static_cast<std::int8_t>(code); };
  const bool are_bytes = std::all_of(layer.codes.data(), layer.codes.data() + layer.codes.size(), is_byte);
  const int last = are_bytes ? -128 : -32768;
  for (Index o = 0; o < layer.scales.size(); ++o) {
    if (layer.scales[o] > 0) continue;
    layer.scales[o] = -layer.scales[o];
    std::int16_t* const codes = layer.codes.data() + o * entries;
    if (std::find(codes, codes + entries, last) != codes + entries)
      detail::fail("with_positive_scales", "output channel ", o, " has a negative scale and a code ", last,
                   ", which has no negative in ", are_bytes ? 8 : 16,
                   " bits; quantize in the narrow range or with fewer bits");
    std::transform(codes, codes + entries, codes, [](std::int16_t code) { return static_cast<std::int16_t>(-code); });
  }
  return layer;
}

}  // namespace qaf
