#pragma once

// Two small convolutional networks in float32, run as they were trained: the bundled one (a chain of
// convolutions, examples/data/README.md) and the CIFAR ResNet of He et al. 2016, section 4.2, with the
// parameter-free shortcuts. Which one it is shows in the names of the parameters.

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <qaf/dense_tensor.hpp>
#include <qaf/io/npy.hpp>

/// The arrays of a network by their names, such as "conv1.weight"; all row-major.
using Parameters = std::map<std::string, qaf::DenseTensor<float>>;

// The one place that asks whether safetensors files can be read: the programs are built without too.
#if QAF_HAS_SAFETENSORS
#include <qaf/io/safetensors.hpp>
inline Parameters read_safetensors_parameters(const std::string& path) {
  Parameters parameters;
  for (const qaf::SafetensorsEntry& entry : qaf::list_safetensors(path))
    if (entry.dtype == "F32" || entry.dtype == "F16" || entry.dtype == "BF16")  // counters are integers
      parameters[entry.name] = qaf::read_safetensors<float>(path, entry.name);
  return parameters;
}
#else
inline Parameters read_safetensors_parameters(const std::string& path) {
  throw std::runtime_error(path + ": this program was built without nlohmann_json, which safetensors files need");
}
#endif

constexpr qaf::Index patch_size = 9;  ///< the positions of a 3 x 3 kernel, row by row

/// A batch of images, or of what a layer made of them: a column for every pixel, image by image and row
/// by row, that holds the pixel's channels.
struct FeatureMaps {
  qaf::Index images = 0, rows = 0, columns = 0;
  Eigen::MatrixXf values;  ///< channels x (images rows columns)
};

/// What every 3 x 3 kernel sees, with zeros outside of the image: a column for every output pixel, that
/// holds the 9 positions' channels: entry `position * C + channel`. In memory this is the column-major
/// tensor C x 9 x (output pixels). A kernel starts at every `stride`-th pixel.
inline Eigen::MatrixXf patches_of(const FeatureMaps& input, qaf::Index stride) {
  const qaf::Index channels = input.values.rows();
  const qaf::Index rows = (input.rows - 1) / stride + 1, columns = (input.columns - 1) / stride + 1;
  Eigen::MatrixXf patches = Eigen::MatrixXf::Zero(patch_size * channels, input.images * rows * columns);
  float* target = patches.data();
  for (qaf::Index pixel = 0; pixel < patches.cols(); ++pixel) {
    const qaf::Index image = pixel / (rows * columns);
    const qaf::Index top = pixel / columns % rows * stride - 1, left = pixel % columns * stride - 1;
    for (qaf::Index position = 0; position < patch_size; ++position, target += channels) {
      const qaf::Index row = top + position / 3, column = left + position % 3;
      if (row < 0 || row >= input.rows || column < 0 || column >= input.columns) continue;
      const qaf::Index source = (image * input.rows + row) * input.columns + column;
      std::copy_n(input.values.data() + source * channels, channels, target);
    }
  }
  return patches;
}

/// Convolution weights `O x I x 3 x 3` (row-major) as the matrix `O x 9 I` that patches are multiplied with.
inline Eigen::MatrixXf kernel_matrix(const qaf::DenseTensor<float>& weights) {
  const qaf::Index outputs = weights.dimensions()[0], inputs = weights.dimensions()[1];
  Eigen::MatrixXf matrix(outputs, patch_size * inputs);
  const float* source = weights.data();
  for (qaf::Index output = 0; output < outputs; ++output)
    for (qaf::Index input = 0; input < inputs; ++input)
      for (qaf::Index position = 0; position < patch_size; ++position)
        matrix(output, position * inputs + input) = *source++;
  return matrix;
}

/// Called with the name of a convolution, such as "layer1.0.conv1", and the patches that it is about to
/// multiply with its weights, once for every batch.
using PatchesHook = std::function<void(const std::string& name, const Eigen::MatrixXf& patches)>;

/// A network's parameters, under the names of its files, and what its images are shifted and scaled by.
struct Network {
  Parameters parameters;
  bool is_residual = false;              ///< a CIFAR ResNet, otherwise a chain of convolutions
  std::vector<float> means, deviations;  ///< of every channel, for pixels from 0 to 1
};

inline bool is_convolution(const qaf::DenseTensor<float>& parameter) {
  const std::vector<qaf::Index>& sizes = parameter.dimensions();
  return sizes.size() == 4 && sizes[2] == 3 && sizes[3] == 3 && parameter.size() > 0;
}

/// The names of the 3 x 3 convolutions, in the order of the alphabet.
inline std::vector<std::string> convolution_names(const Network& network) {
  const std::string ending = ".weight";
  std::vector<std::string> names;
  for (const auto& [name, parameter] : network.parameters)
    if (is_convolution(parameter)) names.push_back(name.substr(0, name.size() - ending.size()));
  return names;
}

/// The parameter `name`, which must have this shape; a size of -1 may be any.
inline const qaf::DenseTensor<float>& parameter(const Network& network, const std::string& name,
                                                const std::vector<qaf::Index>& shape) {
  const auto found = network.parameters.find(name);
  if (found == network.parameters.end()) throw std::runtime_error("the network has no parameter " + name);
  const std::vector<qaf::Index>& sizes = found->second.dimensions();
  const auto fits = [](qaf::Index expected, qaf::Index size) { return size > 0 && (expected < 0 || expected == size); };
  if (!std::equal(shape.begin(), shape.end(), sizes.begin(), sizes.end(), fits))
    throw std::runtime_error("the network's parameter " + name + " must be " + qaf::detail::shape_text(shape) +
                             " (-1: any), got " + qaf::detail::shape_text(sizes));
  return found->second;
}

/// Replaces the weights of the convolution `name` by others of its size, `O x I x 3 x 3` or `O x I x 9`.
inline void replace_convolution(Network& network, const std::string& name, const qaf::DenseTensor<float>& weights) {
  const auto found = network.parameters.find(name + ".weight");
  if (found == network.parameters.end() || !is_convolution(found->second))
    throw std::runtime_error("the network has no 3 x 3 convolution " + name);
  const std::vector<qaf::Index> sizes = found->second.dimensions();
  if (weights.dimensions() != sizes && weights.dimensions() != std::vector<qaf::Index>{sizes[0], sizes[1], patch_size})
    throw std::runtime_error("the weights of " + name + " must be " + qaf::detail::shape_text(sizes) +
                             ", its last two sizes may be one, got " + qaf::detail::shape_text(weights.dimensions()));
  found->second = with_storage_order(weights, qaf::StorageOrder::row_major);
  found->second.reshape(sizes);
}

inline Parameters read_npy_parameters(const std::string& folder) {
  Parameters parameters;
  for (const auto& file : std::filesystem::directory_iterator(folder))
    if (file.path().extension() == ".npy")
      parameters[file.path().stem().string()] =
          with_storage_order(qaf::read_npy<float>(file.path().string()), qaf::StorageOrder::row_major);
  return parameters;
}

/// Reads a network from a folder of `.npy` files, one a parameter, or from a safetensors file.
inline Network read_network(const std::string& path) {
  if (!std::filesystem::exists(path)) throw std::runtime_error(path + ": there is no such folder or file");
  Network network;
  const bool is_folder = std::filesystem::is_directory(path);
  network.parameters = is_folder ? read_npy_parameters(path) : read_safetensors_parameters(path);
  if (network.parameters.count("conv1.weight") == 0)
    throw std::runtime_error(path + ": is none of the networks known here, which begin with conv1.weight");
  network.is_residual = network.parameters.count("layer1.0.conv1.weight") > 0;
  const qaf::Index channels = parameter(network, "conv1.weight", {-1, -1, 3, 3}).dimensions()[1];
  network.means.assign(static_cast<std::size_t>(channels), 0.5F);
  network.deviations.assign(static_cast<std::size_t>(channels), 0.2F);
  if (network.is_residual && channels == 3) {
    network.means = {0.485F, 0.456F, 0.406F};
    network.deviations = {0.229F, 0.224F, 0.225F};
  }
  return network;
}

/// Reads images of 8 bits, `images x channels x rows x columns`.
inline qaf::DenseTensor<std::uint8_t> read_images(const std::string& path) {
  const auto images = with_storage_order(qaf::read_npy<std::uint8_t>(path), qaf::StorageOrder::row_major);
  if (images.order() != 4 || images.size() == 0)
    throw std::runtime_error(path + ": must hold images x channels x rows x columns, got " +
                             qaf::detail::shape_text(images.dimensions()));
  return images;
}

/// The images from `first` on, as the network takes them.
inline FeatureMaps network_input(const Network& network, const qaf::DenseTensor<std::uint8_t>& images, qaf::Index first,
                                 qaf::Index count) {
  const std::vector<qaf::Index>& sizes = images.dimensions();
  const qaf::Index channels = sizes[1], pixels = sizes[2] * sizes[3];
  if (static_cast<std::size_t>(channels) != network.means.size())
    throw std::runtime_error("the network needs images of " + std::to_string(network.means.size()) +
                             " channels, got images of " + qaf::detail::shape_text(sizes));
  FeatureMaps input{count, sizes[2], sizes[3], Eigen::MatrixXf(channels, count * pixels)};
  const std::uint8_t* source = images.data() + first * channels * pixels;
  for (qaf::Index image = 0; image < count; ++image)
    for (qaf::Index channel = 0; channel < channels; ++channel) {
      const float mean = network.means[static_cast<std::size_t>(channel)];
      const float deviation = network.deviations[static_cast<std::size_t>(channel)];
      for (qaf::Index pixel = 0; pixel < pixels; ++pixel)
        input.values(channel, image * pixels + pixel) = (static_cast<float>(*source++) / 255 - mean) / deviation;
    }
  return input;
}

/// The layers of a network, on one batch.
class ForwardPass {
 public:
  ForwardPass(const Network& network, const PatchesHook& on_convolution_input)
      : network_(network), on_convolution_input_(on_convolution_input) {}

  /// classes x images.
  Eigen::MatrixXf logits(const FeatureMaps& images) const {
    const FeatureMaps features = network_.is_residual ? residual_features(images) : chain_features(images);
    return linear(mean_of_pixels(features));
  }

 private:
  /// The convolution `prefix + "conv" + number` and its batch norm. The stride is 2 where the number of
  /// channels doubles, as it is in both networks.
  FeatureMaps convolution(const FeatureMaps& input, const std::string& prefix, int number) const {
    const std::string name = prefix + "conv" + std::to_string(number);
    const qaf::Index inputs = input.values.rows();
    const qaf::DenseTensor<float>& weights = parameter(network_, name + ".weight", {-1, inputs, 3, 3});
    const qaf::Index stride = weights.dimensions()[0] == 2 * inputs ? 2 : 1;
    const Eigen::MatrixXf patches = patches_of(input, stride);
    if (on_convolution_input_) on_convolution_input_(name, patches);
    FeatureMaps output{input.images, (input.rows - 1) / stride + 1, (input.columns - 1) / stride + 1, {}};
    output.values.noalias() = kernel_matrix(weights) * patches;
    batch_norm(output, prefix + "bn" + std::to_string(number));
    return output;
  }

  void batch_norm(FeatureMaps& maps, const std::string& name) const {
    constexpr float epsilon = 1e-5F;
    const qaf::Index channels = maps.values.rows();
    const auto values = [&](const char* what) {
      const qaf::DenseTensor<float>& tensor = parameter(network_, name + what, {channels});
      return Eigen::Map<const Eigen::ArrayXf>(tensor.data(), channels);
    };
    const Eigen::ArrayXf scale = values(".weight") / (values(".running_var") + epsilon).sqrt();
    const Eigen::ArrayXf shift = values(".bias") - scale * values(".running_mean");
    maps.values.array().colwise() *= scale;
    maps.values.array().colwise() += shift;
  }

  static void relu(FeatureMaps& maps) { maps.values = maps.values.cwiseMax(0.0F); }

  FeatureMaps chain_features(FeatureMaps maps) const {
    for (int number = 1; has("conv" + std::to_string(number)); ++number) {
      maps = convolution(maps, "", number);
      relu(maps);
    }
    return maps;
  }

  FeatureMaps residual_features(const FeatureMaps& images) const {
    FeatureMaps maps = convolution(images, "", 1);
    relu(maps);
    for (int stage = 1; has(block_prefix(stage, 0) + "conv1"); ++stage)
      for (int block = 0; has(block_prefix(stage, block) + "conv1"); ++block)
        maps = residual_block(maps, block_prefix(stage, block));
    return maps;
  }

  static std::string block_prefix(int stage, int block) {
    return "layer" + std::to_string(stage) + "." + std::to_string(block) + ".";
  }

  FeatureMaps residual_block(const FeatureMaps& input, const std::string& prefix) const {
    FeatureMaps maps = convolution(input, prefix, 1);
    relu(maps);
    maps = convolution(maps, prefix, 2);
    add_shortcut(maps, input);
    relu(maps);
    return maps;
  }

  /// Adds the block's input: every second pixel of it where the block has fewer pixels, to the channels
  /// in the middle where the block has more.
  static void add_shortcut(FeatureMaps& maps, const FeatureMaps& input) {
    const qaf::Index stride = maps.rows == input.rows ? 1 : 2;
    const qaf::Index channels = input.values.rows(), first = (maps.values.rows() - channels) / 2;
    if (first < 0) throw std::runtime_error("a block of the network has fewer channels than its input");
    for (qaf::Index pixel = 0; pixel < maps.values.cols(); ++pixel) {
      const qaf::Index image_and_row = pixel / maps.columns, column = pixel % maps.columns;
      const qaf::Index image = image_and_row / maps.rows, row = image_and_row % maps.rows;
      const qaf::Index source = (image * input.rows + row * stride) * input.columns + column * stride;
      maps.values.col(pixel).segment(first, channels) += input.values.col(source);
    }
  }

  static Eigen::MatrixXf mean_of_pixels(const FeatureMaps& maps) {
    const qaf::Index pixels = maps.rows * maps.columns;
    Eigen::MatrixXf means(maps.values.rows(), maps.images);
    for (qaf::Index image = 0; image < maps.images; ++image)
      means.col(image) = maps.values.middleCols(image * pixels, pixels).rowwise().mean();
    return means;
  }

  Eigen::MatrixXf linear(const Eigen::MatrixXf& features) const {
    using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const qaf::DenseTensor<float>& weights = parameter(network_, "linear.weight", {-1, features.rows()});
    const qaf::Index classes = weights.dimensions()[0];
    const qaf::DenseTensor<float>& bias = parameter(network_, "linear.bias", {classes});
    Eigen::MatrixXf outputs = Eigen::Map<const RowMajor>(weights.data(), classes, features.rows()) * features;
    outputs.colwise() += Eigen::Map<const Eigen::VectorXf>(bias.data(), classes);
    return outputs;
  }

  bool has(const std::string& convolution_name) const {
    return network_.parameters.count(convolution_name + ".weight") > 0;
  }

  const Network& network_;
  const PatchesHook& on_convolution_input_;
};

/// What the network says to all images: classes x images. Memory: that of a batch of 8 images.
inline Eigen::MatrixXf logits(const Network& network, const qaf::DenseTensor<std::uint8_t>& images,
                              const PatchesHook& on_convolution_input = {}) {
  constexpr qaf::Index batch_size = 8;  // its patches stay in the cache
  const qaf::Index total = images.dimensions()[0];
  const ForwardPass pass(network, on_convolution_input);
  Eigen::MatrixXf all;
  for (qaf::Index first = 0; first < total; first += batch_size) {
    const qaf::Index count = std::min(batch_size, total - first);
    const Eigen::MatrixXf batch = pass.logits(network_input(network, images, first, count));
    if (first == 0) all.resize(batch.rows(), total);
    all.middleCols(first, count) = batch;
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

/// The second moments of a convolution's inputs, summed over the patches added so far.
struct SecondMoments {
  Eigen::MatrixXd channels;   ///< C x C, summed over the pixels of all patches too
  Eigen::MatrixXd positions;  ///< 9 x 9, summed over the channels too
  qaf::Index patches = 0;     ///< how many
};

/// Adds patches as `patches_of` makes them.
inline void add_patches(SecondMoments& moments, const Eigen::MatrixXf& patches) {
  const qaf::Index channels = patches.rows() / patch_size;
  if (moments.patches == 0) {
    moments.channels.setZero(channels, channels);
    moments.positions.setZero(patch_size, patch_size);
  }
  const Eigen::Map<const Eigen::MatrixXf> pixels(patches.data(), channels, patch_size * patches.cols());
  moments.channels += (pixels * pixels.transpose()).cast<double>();
  Eigen::MatrixXf by_position(patch_size, channels * patches.cols());
  for (qaf::Index k = 0; k < patches.cols(); ++k)
    by_position.middleCols(k * channels, channels) = pixels.middleCols(k * patch_size, patch_size).transpose();
  moments.positions += (by_position * by_position.transpose()).cast<double>();
  moments.patches += patches.cols();
}

/// The mean square of all entries of the patches.
inline double mean_square(const SecondMoments& moments) {
  return moments.positions.trace() / static_cast<double>(patch_size * moments.channels.rows() * moments.patches);
}

/// The matrix divided by the mean of its diagonal, and exactly symmetric; zeros stay zeros.
inline Eigen::MatrixXd with_mean_diagonal_1(const Eigen::MatrixXd& moments) {
  const double mean = moments.diagonal().mean();
  return (moments + moments.transpose()) / (mean > 0 ? 2 * mean : 2);
}
