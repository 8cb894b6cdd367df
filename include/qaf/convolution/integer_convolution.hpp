#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <qaf/convolution/activation_scale.hpp>
#include <qaf/convolution/convolve.hpp>
#include <qaf/convolution/detail/int16_products.hpp>
#include <qaf/convolution/detail/kernel_positions.hpp>
#include <qaf/convolution/feature_maps.hpp>
#include <qaf/convolution/fixed_point.hpp>
#include <qaf/convolution/layer.hpp>
#include <qaf/error.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// How a 32-bit sum becomes an 8-bit activation.
enum class Requantization {
  fixed_point,  ///< as TensorFlow Lite: times a `FixedPointMultiplier`, in integers only
  float_scale   ///< as ONNX's QLinearConv: times a float32, rounded to the nearest integer, exact ties to the even one
};

/// A convolution from 8-bit activations to 8-bit activations on the integers of a layer, with 32-bit sums:
///
///     sum(o, p) = bias(o) + sum over i, position of w(o, i, position) (x(i, ...) - input.zero_point)
///     y(o, p) = clamp(output.zero_point + round(m(o) sum(o, p)), lowest, 127)
///
/// * w: the layer's codes, negated where their scale is negative, so that scales s(o) are positive.
/// * bias(o): `round(layer bias / (input.scale s(o)))`, exact ties to the even integer.
/// * m(o): `input.scale s(o) / output.scale`, the s(o) rounded to float32 before. With `fixed_point` computed in double
///   and made a `FixedPointMultiplier`, whose comment has the rounding; with `float_scale` computed in float32 from
///   left to right, as ONNX Runtime does, and multiplied with the sum as float32.
/// * Outside of the image x is the zero point, the real number 0.
/// * lowest: -128, with the layer's ReLU the zero point.
///
/// It is for small networks, for tests, and to know what another system will compute. It is exact, single-threaded, and
/// with 16-bit products (two a lane); a production runtime has kernels for 8-bit products: XNNPACK's qs8-qc8w
/// convolution (what TensorFlow Lite runs), oneDNN's int8 convolution, ONNX Runtime's QLinearConv.
class IntegerConvolution {
 public:
  /// Prepares a layer. Errors: parts that do not fit together, codes of more than 8 bits (they must be from -255 to
  /// 255, zero points taken off), scales out of range, sums that could need more than 32 bits for some activations.
  IntegerConvolution(const QuantizedConvolutionLayer& layer, const ActivationScale& input,
                     const ActivationScale& output, Requantization requantization = Requantization::fixed_point)
      : input_(input), output_(output), requantization_(requantization), geometry_(layer.geometry) {
    detail::check_layer("IntegerConvolution", layer);
    input.validate();
    output.validate();
    const std::vector<Index>& sizes = layer.codes.dimensions();
    inputs_ = sizes[1];
    kernel_size_ = {sizes[2], sizes[3]};
    lowest_ = layer.relu ? output.zero_point : -128;
    Matrix<std::int16_t> codes = codes_of(layer);
    prepare_scales(layer, codes);
    const Index groups = geometry_.groups, outputs = codes.rows() / groups;
    if (is_depthwise()) {
      depthwise_ = codes.cast<std::int32_t>();
    } else {
      for (Index group = 0; group < groups; ++group)
        panels_.emplace_back(Matrix<std::int16_t>(codes.middleRows(group * outputs, outputs)));
    }
  }

  /// Scale and zero point of what goes in.
  const ActivationScale& input() const { return input_; }
  /// Scale and zero point of what comes out.
  const ActivationScale& output() const { return output_; }
  /// The bias in units of `input.scale s(o)`, O.
  const Vector<std::int32_t>& bias() const { return bias_; }

  /// What the layer makes of the activations. Errors: maps that do not fit together, or of other channels.
  /// Cost: `O I/groups kh kw` multiplications an output pixel; memory for one image in 16 bits (32, where depthwise)
  /// and some patches.
  FeatureMaps<std::int8_t> operator()(const FeatureMaps<std::int8_t>& maps) const {
    maps.validate("IntegerConvolution");
    if (maps.channels() != inputs_ * geometry_.groups)
      detail::fail("IntegerConvolution", "a layer for ", inputs_ * geometry_.groups,
                   " input channels needs maps of so many, got ", maps.channels());
    const detail::KernelPositions positions({maps.rows, maps.columns}, kernel_size_, geometry_);
    auto result = detail::empty_maps<std::int8_t>("IntegerConvolution", maps.images, positions.output(), bias_.size());
    for (Index image = 0; image < maps.images; ++image) {
      if (is_depthwise())
        run_depthwise(image_of<std::int32_t>(maps, image), positions, image, result);
      else
        run_products(image_of<std::int16_t>(maps, image), positions, image, result);
    }
    return result;
  }

 private:
  bool is_depthwise() const { return inputs_ == 1 && bias_.size() == geometry_.groups; }

  // The codes as patches are multiplied with them: O x (positions inputs).
  static Matrix<std::int16_t> codes_of(const QuantizedConvolutionLayer& layer) {
    const auto view = tensor_view(layer.codes);
    const detail::KernelEntries<std::int16_t> entries("IntegerConvolution", view, layer.geometry.groups);
    Matrix<std::int16_t> codes = entries.matrix(0, entries.outputs);
    for (const std::int16_t code : codes.reshaped())
      if (code < -255 || code > 255)
        detail::fail("IntegerConvolution",
                     "codes must be of at most 8 bits, so from -255 to 255 without their zero point, got ", code);
    for (Index o = 0; o < codes.rows(); ++o)
      if (layer.scales[o] < 0) codes.row(o) = -codes.row(o);
    return codes;
  }

  void prepare_scales(const QuantizedConvolutionLayer& layer, const Matrix<std::int16_t>& codes) {
    bias_.setZero(codes.rows());
    multipliers_.resize(static_cast<std::size_t>(codes.rows()));
    float_multipliers_.resize(codes.rows());
    const double farthest = std::max(127 - input_.zero_point, input_.zero_point + 128);
    constexpr double most = std::numeric_limits<std::int32_t>::max();
    for (Index o = 0; o < codes.rows(); ++o) {
      const float scale = static_cast<float>(std::abs(layer.scales[o]));
      if (!(scale > 0 && std::isfinite(scale)))
        detail::fail("IntegerConvolution", "every scale must be a float32 that is not 0, got ", layer.scales[o]);
      const double unit = static_cast<double>(input_.scale) * static_cast<double>(scale);
      const double bias = layer.bias.size() == 0 ? 0 : std::nearbyint(layer.bias[o] / unit);
      const double bound = codes.row(o).cast<double>().cwiseAbs().sum() * farthest + std::abs(bias);
      if (!(bound <= most))
        detail::fail("IntegerConvolution", "the sums of output channel ", o, " must fit into 32 bits, but can reach ",
                     bound);
      bias_[o] = static_cast<std::int32_t>(bias);
      float_multipliers_[o] = input_.scale * scale / output_.scale;
      if (requantization_ == Requantization::float_scale) {
        if (!std::isfinite(float_multipliers_[o]))
          detail::fail("IntegerConvolution", "input.scale s / output.scale must be finite, got input.scale ",
                       input_.scale, ", s ", scale, " and output.scale ", output_.scale);
        continue;
      }
      multipliers_[static_cast<std::size_t>(o)] = multiplier_of(o, unit / static_cast<double>(output_.scale), bound);
    }
  }

  // For the sums of an output channel, which can reach `bound`.
  static FixedPointMultiplier multiplier_of(Index o, double multiplier, double bound) {
    constexpr double most = std::numeric_limits<std::int32_t>::max();
    const bool is_held = multiplier < detail::most_fixed_point;
    const FixedPointMultiplier number = is_held ? fixed_point_multiplier(multiplier) : FixedPointMultiplier();
    if (!is_held || !(std::ldexp(bound, std::max(number.shift, 0)) <= most))
      detail::fail("IntegerConvolution", "the sums of output channel ", o, ", which can reach ", bound,
                   ", must fit into 32 bits times ", multiplier,
                   ", what an integer becomes in units of the output's scale; that scale is too small");
    return number;
  }

  // One image, less the zero point.
  template <typename Integer>
  FeatureMaps<Integer> image_of(const FeatureMaps<std::int8_t>& maps, Index image) const {
    const Index pixels = maps.rows * maps.columns;
    FeatureMaps<Integer> result{1, maps.rows, maps.columns, Matrix<Integer>(maps.channels(), pixels)};
    const std::int8_t* const source = maps.values.data() + image * pixels * maps.channels();
    const Integer zero_point = static_cast<Integer>(input_.zero_point);
    for (Index k = 0; k < result.values.size(); ++k)
      result.values.data()[k] = static_cast<Integer>(source[k] - zero_point);
    return result;
  }

  void run_depthwise(const FeatureMaps<std::int32_t>& maps, const detail::KernelPositions& positions, Index image,
                     FeatureMaps<std::int8_t>& result) const {
    const Index pixels = result.rows * result.columns;
    Vector<std::int32_t> sums(maps.channels());
    for (Index pixel = 0; pixel < pixels; ++pixel) {
      sums.setZero();
      positions.visit(pixel, [&](Index position, Index source) {
        sums.array() += depthwise_.col(position).array() * maps.values.col(source).array();
      });
      requantize(sums.data(), 0, sums.size(), &result.values(0, image * pixels + pixel));
    }
  }

  void run_products(const FeatureMaps<std::int16_t>& maps, const detail::KernelPositions& positions, Index image,
                    FeatureMaps<std::int8_t>& result) const {
    const Index pixels = result.rows * result.columns, groups = geometry_.groups, outputs = bias_.size() / groups;
    const Index block = detail::pixels_per_block(panels_.front().padded_terms());
    Matrix<std::int16_t> gathered;
    Matrix<std::int32_t> sums;
    for (Index group = 0; group < groups; ++group) {
      const detail::Int16Panels& panels = panels_[static_cast<std::size_t>(group)];
      for (Index begin = 0; begin < pixels; begin += block) {
        const Index count = std::min(block, pixels - begin);
        sums.resize(panels.padded_rows(), count);
        if (positions.is_pointwise() && groups == 1 && inputs_ == panels.padded_terms()) {
          panels.multiply(maps.values.data() + begin * inputs_, inputs_, sums);
        } else {
          gathered.resize(panels.padded_terms(), count);
          detail::gather_patches(maps, positions, begin, group * inputs_, inputs_, std::int16_t{0}, gathered);
          panels.multiply(gathered.data(), gathered.rows(), sums);
        }
        for (Index k = 0; k < count; ++k)
          requantize(sums.data() + k * sums.rows(), group * outputs, outputs,
                     &result.values(group * outputs, image * pixels + begin + k));
      }
    }
  }

  // The sums of `count` output channels from `first` on.
  void requantize(const std::int32_t* sums, Index first, Index count, std::int8_t* target) const {
    const std::int32_t zero_point = output_.zero_point, low = lowest_ - zero_point, high = 127 - zero_point;
    if (requantization_ == Requantization::float_scale) {
      const float low_float = static_cast<float>(low), high_float = static_cast<float>(high);
      for (Index k = 0; k < count; ++k) {
        const float product = static_cast<float>(sums[k] + bias_[first + k]) * float_multipliers_[first + k];
        const float rounded = std::nearbyint(std::min(std::max(product, low_float), high_float));
        target[k] = static_cast<std::int8_t>(static_cast<std::int32_t>(rounded) + zero_point);
      }
      return;
    }
    for (Index k = 0; k < count; ++k) {
      const std::int32_t product =
          multiply(sums[k] + bias_[first + k], multipliers_[static_cast<std::size_t>(first + k)]);
      target[k] = static_cast<std::int8_t>(std::min(std::max(product, low), high) + zero_point);
    }
  }

  ActivationScale input_, output_;
  Requantization requantization_;
  ConvolutionGeometry geometry_;
  Index inputs_ = 0;  // of a group
  std::array<Index, 2> kernel_size_{1, 1};
  std::int32_t lowest_ = -128;
  Vector<std::int32_t> bias_;
  std::vector<FixedPointMultiplier> multipliers_;
  Vector<float> float_multipliers_;
  std::vector<detail::Int16Panels> panels_;  // one a group, none where depthwise
  Matrix<std::int32_t> depthwise_;           // channels x positions
};

/// What layers one after the other make of the activations. Errors: as for each.
inline FeatureMaps<std::int8_t> convolve(FeatureMaps<std::int8_t> maps, const std::vector<IntegerConvolution>& layers) {
  for (const IntegerConvolution& layer : layers) maps = layer(maps);
  return maps;
}

/// Lets observers see what goes into the first layer and what comes out of each: one more of them than layers, made if
/// there are none yet. Call it with every batch. Errors: another number of observers, those of `convolve`, NaN or
/// infinity; the batch then counts nowhere.
template <typename Scalar>
void observe(const std::vector<ConvolutionLayer<Scalar>>& layers, FeatureMaps<Scalar> maps,
             std::vector<ActivationObserver>& observers) {
  std::vector<ActivationObserver> updated = observers;
  if (updated.empty()) updated.resize(layers.size() + 1);
  if (updated.size() != layers.size() + 1)
    detail::fail("observe", "there must be an observer for the input and one for each of ", layers.size(),
                 " layers, got ", updated.size());
  updated.front().observe(maps);
  for (std::size_t k = 0; k < layers.size(); ++k) {
    maps = convolve(maps, layers[k]);
    updated[k + 1].observe(maps);
  }
  observers = std::move(updated);
}

/// The layers on 8-bit activations, with the scales of the input and of each layer's output. Errors: another number of
/// scales, those of `IntegerConvolution`.
inline std::vector<IntegerConvolution> integer_convolutions(
    const std::vector<QuantizedConvolutionLayer>& layers, const std::vector<ActivationScale>& scales,
    Requantization requantization = Requantization::fixed_point) {
  if (scales.size() != layers.size() + 1)
    detail::fail("integer_convolutions", "there must be a scale for the input and one for each of ", layers.size(),
                 " layers, got ", scales.size());
  std::vector<IntegerConvolution> result;
  for (std::size_t k = 0; k < layers.size(); ++k)
    result.emplace_back(layers[k], scales[k], scales[k + 1], requantization);
  return result;
}

/// The same with the scales that observers found.
inline std::vector<IntegerConvolution> integer_convolutions(const std::vector<QuantizedConvolutionLayer>& layers,
                                                            const std::vector<ActivationObserver>& observers,
                                                            Requantization requantization = Requantization::fixed_point,
                                                            ActivationRange range = ActivationRange::least_squares) {
  std::vector<ActivationScale> scales;
  for (const ActivationObserver& observer : observers) scales.push_back(observer.scale(range));
  return integer_convolutions(layers, scales, requantization);
}

}  // namespace qaf
