#pragma once

// Runs a network in float32, step by step as its description says.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <qaf/convolution.hpp>
#include <qaf/convolution/feature_maps.hpp>

#include "network.hpp"

using Maps = qaf::FeatureMaps<float>;

/// What else happens while a network runs.
struct InferenceHooks {
  /// Called with a convolution or linear layer and what it is about to multiply with its weights, once for every batch.
  std::function<void(const Step& step, const Maps& input)> on_input = {};

  /// Layers by name that something else computes in the place of the float weights; biases are added after it.
  std::map<std::string, std::function<Maps(const Maps& input)>> substitutes = {};
};

/// Where a batch has got to.
struct BatchState {
  Maps maps;
  std::map<std::string, Maps> saved;

  /// What a step runs on.
  Maps& target(const Step& step) { return step.branch.empty() ? maps : saved.at(step.branch); }
};

namespace inference {

inline qaf::ConvolutionGeometry geometry_of(const Step& step) {
  return {{step.stride, step.stride}, {step.padding, step.padding}, {step.dilation, step.dilation}, step.groups};
}

/// The rows and columns of a layer's kernel, 1 x 1 of a linear one.
inline std::array<qaf::Index, 2> kernel_size(const Network& network, const Step& step) {
  const std::vector<qaf::Index>& sizes = network.parameters.at(step.name + ".weight").dimensions();
  return sizes.size() == 4 ? std::array<qaf::Index, 2>{sizes[2], sizes[3]} : std::array<qaf::Index, 2>{1, 1};
}

[[noreturn]] inline void fail(const Network& network, const Step& step, const std::string& sentence) {
  throw std::runtime_error(place_of(network.description, step.line) + ": " + sentence);
}

inline std::string size_text(const Maps& maps) {
  return std::to_string(maps.channels()) + " channels of " + qaf::detail::shape_text({maps.rows, maps.columns}) +
         " pixels";
}

inline Eigen::Map<const Eigen::ArrayXf> array_of(const Network& network, const std::string& name) {
  const qaf::DenseTensor<float>& tensor = network.parameters.at(name);
  return {tensor.data(), tensor.size()};
}

inline void run_layer(const Network& network, const Step& step, Maps& maps, const InferenceHooks& hooks) {
  const qaf::DenseTensor<float>& weights = network.parameters.at(step.name + ".weight");
  const qaf::Index inputs = weights.dimensions()[1] * step.groups;
  if (maps.channels() != inputs || (step.kind == StepKind::linear && maps.rows * maps.columns != 1))
    fail(network, step,
         step.name + " needs maps of " + std::to_string(inputs) + " channels" +
             (step.kind == StepKind::linear ? " and 1 x 1 pixels" : "") + ", got " + size_text(maps));
  if (hooks.on_input) hooks.on_input(step, maps);
  const auto substitute = hooks.substitutes.find(step.name);
  maps = substitute != hooks.substitutes.end() ? substitute->second(maps)
                                               : qaf::convolve(maps, tensor_view(weights), geometry_of(step));
  if (network.parameters.count(step.name + ".bias") > 0)
    maps.values.array().colwise() += array_of(network, step.name + ".bias");
}

inline void run_batch_norm(const Network& network, const Step& step, Maps& maps) {
  const auto values = [&](const char* what) { return array_of(network, step.name + what); };
  const Eigen::ArrayXf scale = values(".weight") / (values(".running_var") + static_cast<float>(step.epsilon)).sqrt();
  const Eigen::ArrayXf shift = values(".bias") - scale * values(".running_mean");
  maps.values.array().colwise() *= scale;
  maps.values.array().colwise() += shift;
}

inline Maps pooled(const Step& step, const Maps& maps) {
  const bool is_max = step.kind == StepKind::max_pool;
  const auto [rows, columns] = qaf::output_size({maps.rows, maps.columns}, {step.size, step.size}, geometry_of(step));
  Maps result{maps.images, rows, columns, Eigen::MatrixXf(maps.channels(), maps.images * rows * columns)};
  // NOLINTNEXTLINE(*-narrowing-conversions): from float to float
  result.values.setConstant(is_max ? -std::numeric_limits<float>::infinity() : 0.0F);
  for (qaf::Index pixel = 0; pixel < result.values.cols(); ++pixel) {
    const qaf::Index image = pixel / (rows * columns);
    const qaf::Index top = pixel / columns % rows * step.stride - step.padding;
    const qaf::Index left = pixel % columns * step.stride - step.padding;
    auto target = result.values.col(pixel);
    for (qaf::Index row = std::max<qaf::Index>(top, 0); row < std::min(top + step.size, maps.rows); ++row)
      for (qaf::Index column = std::max<qaf::Index>(left, 0); column < std::min(left + step.size, maps.columns);
           ++column) {
        const auto source = maps.values.col((image * maps.rows + row) * maps.columns + column);
        if (is_max)
          target = target.cwiseMax(source);
        else
          target += source;
      }
  }
  if (!is_max) result.values /= static_cast<float>(step.size * step.size);
  return result;
}

/// Adds every `stride`-th pixel of the saved maps, to the channels in the middle where they have fewer.
inline void add_saved(const Network& network, const Step& step, const Maps& saved, Maps& maps) {
  const qaf::Index channels = saved.channels(), first = (maps.channels() - channels) / 2;
  const auto subsampled = [&](qaf::Index size) { return (size - 1) / step.stride + 1; };
  if (channels > maps.channels() || subsampled(saved.rows) != maps.rows || subsampled(saved.columns) != maps.columns)
    fail(network, step,
         "add with stride " + std::to_string(step.stride) + " needs maps that fit, got " + size_text(saved) + " for " +
             size_text(maps));
  for (qaf::Index pixel = 0; pixel < maps.values.cols(); ++pixel) {
    const qaf::Index image_and_row = pixel / maps.columns, column = pixel % maps.columns;
    const qaf::Index image = image_and_row / maps.rows, row = image_and_row % maps.rows;
    const qaf::Index source = (image * saved.rows + row * step.stride) * saved.columns + column * step.stride;
    maps.values.col(pixel).segment(first, channels) += saved.values.col(source);
  }
}

inline Maps mean_of_pixels(const Maps& maps) {
  const qaf::Index pixels = maps.rows * maps.columns;
  Maps means{maps.images, 1, 1, Eigen::MatrixXf(maps.channels(), maps.images)};
  for (qaf::Index image = 0; image < maps.images; ++image)
    means.values.col(image) = maps.values.middleCols(image * pixels, pixels).rowwise().mean();
  return means;
}

inline Maps flattened(const Maps& maps) {
  const qaf::Index pixels = maps.rows * maps.columns, channels = maps.channels();
  Maps result{maps.images, 1, 1, Eigen::MatrixXf(channels * pixels, maps.images)};
  for (qaf::Index image = 0; image < maps.images; ++image)
    for (qaf::Index channel = 0; channel < channels; ++channel)
      result.values.col(image).segment(channel * pixels, pixels) =
          maps.values.row(channel).segment(image * pixels, pixels).transpose();
  return result;
}

/// The images from `first` on, as the network takes them.
inline Maps network_input(const Network& network, const qaf::DenseTensor<std::uint8_t>& images, qaf::Index first,
                          qaf::Index count) {
  const NetworkDescription& description = network.description;
  const std::vector<qaf::Index>& sizes = images.dimensions();
  const qaf::Index channels = sizes[1], pixels = sizes[2] * sizes[3];
  if (static_cast<std::size_t>(channels) != description.means.size())
    throw std::runtime_error("the network needs images of " + std::to_string(description.means.size()) +
                             " channels, got images of " + qaf::detail::shape_text(sizes));
  Maps input{count, sizes[2], sizes[3], Eigen::MatrixXf(channels, count * pixels)};
  const std::uint8_t* source = images.data() + first * channels * pixels;
  for (qaf::Index image = 0; image < count; ++image)
    for (qaf::Index channel = 0; channel < channels; ++channel) {
      const float mean = description.means[static_cast<std::size_t>(channel)];
      const float deviation = description.deviations[static_cast<std::size_t>(channel)];
      for (qaf::Index pixel = 0; pixel < pixels; ++pixel)
        input.values(channel, image * pixels + pixel) = (static_cast<float>(*source++) / 255 - mean) / deviation;
    }
  return input;
}

constexpr qaf::Index batch_size = 8;  ///< what a step writes is still in the cache when the next one reads it

}  // namespace inference

/// Runs one step on one batch. Throws, with the step's place in the description, where the maps do not fit it.
inline void run_step(const Network& network, const Step& step, BatchState& state, const InferenceHooks& hooks = {}) {
  Maps& maps = state.target(step);
  try {
    switch (step.kind) {
      case StepKind::convolution:
      case StepKind::linear:
        return inference::run_layer(network, step, maps, hooks);
      case StepKind::batch_norm:
        return inference::run_batch_norm(network, step, maps);
      case StepKind::relu:
        maps.values = maps.values.cwiseMax(0.0F);
        return;
      case StepKind::max_pool:
      case StepKind::average_pool:
        maps = inference::pooled(step, maps);
        return;
      case StepKind::save:
        state.saved[step.name] = maps;
        return;
      case StepKind::add:
        return inference::add_saved(network, step, state.saved.at(step.name), maps);
      case StepKind::mean_of_pixels:
        maps = inference::mean_of_pixels(maps);
        return;
      case StepKind::flatten:
        maps = inference::flattened(maps);
        return;
    }
  } catch (const std::invalid_argument& error) {  // a kernel that is larger than its image
    inference::fail(network, step, error.what());
  }
}

/// What the network says to all images: classes x images. Memory: that of a batch of 8 images.
inline Eigen::MatrixXf logits(const Network& network, const qaf::DenseTensor<std::uint8_t>& images,
                              const InferenceHooks& hooks = {}) {
  const qaf::Index total = images.dimensions()[0];
  Eigen::MatrixXf all;
  for (qaf::Index first = 0; first < total; first += inference::batch_size) {
    const qaf::Index count = std::min(inference::batch_size, total - first);
    BatchState state{inference::network_input(network, images, first, count), {}};
    for (const Step& step : network.description.steps) run_step(network, step, state, hooks);
    if (state.maps.rows * state.maps.columns != 1)
      throw std::runtime_error(network.description.path + ": the network must end in 1 x 1 pixels, got " +
                               inference::size_text(state.maps));
    if (first == 0) all.resize(state.maps.channels(), total);
    all.middleCols(first, count) = state.maps.values;
  }
  return all;
}

/// The class of every image: the position of its largest logit.
inline std::vector<qaf::Index> classes_of(const Eigen::MatrixXf& logits) {
  std::vector<qaf::Index> classes(static_cast<std::size_t>(logits.cols()));
  for (std::size_t image = 0; image < classes.size(); ++image)
    logits.col(static_cast<qaf::Index>(image)).maxCoeff(&classes[image]);
  return classes;
}

/// The part of the images, in percent, to which both give the same class.
inline double percent_equal(const std::vector<qaf::Index>& one, const std::vector<qaf::Index>& other) {
  qaf::Index count = 0;
  for (std::size_t k = 0; k < one.size(); ++k) count += one[k] == other[k] ? 1 : 0;
  return 100 * static_cast<double>(count) / static_cast<double>(one.size());
}
