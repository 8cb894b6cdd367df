#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <qaf/dense_tensor.hpp>
#include <qaf/io/npy.hpp>

#include "support/parameters.hpp"
#include "support/weights.hpp"

/// The weights of a convolution, as they are factored.
struct Layer {
  std::string name;
  qaf::DenseTensor<float> tensor;  ///< O x I x 9, row-major
};

/// The name without `ending`, if it ends so.
inline std::string without_ending(const std::string& name, const std::string& ending) {
  const bool ends_so =
      name.size() > ending.size() && name.compare(name.size() - ending.size(), ending.size(), ending) == 0;
  return ends_so ? name.substr(0, name.size() - ending.size()) : name;
}

inline bool is_convolution(const qaf::DenseTensor<float>& parameter) {
  const std::vector<qaf::Index>& sizes = parameter.dimensions();
  return sizes.size() == 4 && sizes[2] == 3 && sizes[3] == 3 && parameter.size() > 0;
}

/// Whether these can be the weights of a 3 x 3 convolution: O x I x 3 x 3, or any of order 3.
inline bool is_factored_here(const qaf::DenseTensor<float>& weights) {
  return is_convolution(weights) || (weights.order() == 3 && weights.size() > 0);
}

inline Layer make_layer(const std::string& name, const qaf::DenseTensor<float>& weights) {
  bool finite = true, zero = true;
  for (qaf::Index k = 0; k < weights.size(); ++k) {
    finite = finite && std::isfinite(weights.data()[k]);
    zero = zero && weights.data()[k] == 0;
  }
  if (!finite) throw std::runtime_error(name + ": the weights must be finite, got NaN or infinity");
  if (zero) throw std::runtime_error(name + ": all weights are zero, so there is no relative error");
  return {without_ending(without_ending(name, ".npy"), ".weight"),
          with_storage_order(as_factored_tensor(weights), qaf::StorageOrder::row_major)};
}

/// The 3 x 3 convolutions among the `.npy` files of a folder, by name.
inline std::vector<Layer> read_layers_of_folder(const std::string& path) {
  std::vector<std::filesystem::path> files;
  for (const auto& file : std::filesystem::directory_iterator(path))
    if (file.path().extension() == ".npy") files.push_back(file.path());
  std::sort(files.begin(), files.end());
  std::vector<Layer> layers;
  for (const auto& file : files) {
    const auto weights = qaf::read_npy<float>(file.string());
    if (is_factored_here(weights)) layers.push_back(make_layer(file.filename().string(), weights));
  }
  if (layers.empty()) throw std::runtime_error(path + ": has no .npy files of 3 x 3 convolutions");
  return layers;
}

/// The 3 x 3 convolutions of a safetensors file, by name. Those of a few input channels, such as a network's first
/// one, have hardly anything to factor.
inline std::vector<Layer> read_layers_of_safetensors(const std::string& path) {
  constexpr qaf::Index least_inputs = 16;
  std::vector<Layer> layers;
  for (const auto& [name, weights] : read_safetensors_parameters(path))
    if (is_convolution(weights) && weights.dimensions()[1] >= least_inputs) layers.push_back(make_layer(name, weights));
  if (layers.empty())
    throw std::runtime_error(path + ": has no float 3 x 3 convolutions of " + std::to_string(least_inputs) +
                             " input channels or more");
  return layers;
}

/// All layers of a folder of `.npy` files, of one such file or of a safetensors file.
inline std::vector<Layer> read_layers(const std::string& path) {
  const std::filesystem::path file(path);
  if (!std::filesystem::exists(file)) throw std::runtime_error(path + ": there is no such file or folder");
  if (std::filesystem::is_directory(file)) return read_layers_of_folder(path);
  if (file.extension() == ".safetensors") return read_layers_of_safetensors(path);
  if (file.extension() != ".npy") throw std::runtime_error(path + ": must end in .npy or .safetensors");
  const auto weights = qaf::read_npy<float>(path);
  if (!is_factored_here(weights))
    throw std::runtime_error(path + ": must hold weights O x I x 3 x 3 or O x I x 9, got " +
                             qaf::detail::shape_text(weights.dimensions()));
  return {make_layer(file.filename().string(), weights)};
}

/// The bundled network's convolutions but the first, which has 1 input channel or 3.
inline std::vector<Layer> read_bundled_layers() {
  std::vector<Layer> layers;
  for (const char* name : {"conv2", "conv3", "conv4", "conv5", "conv6"})
    layers.push_back(
        make_layer(name, qaf::read_npy<float>(std::string(QAF_EXAMPLE_DATA "/network/") + name + ".weight.npy")));
  return layers;
}
