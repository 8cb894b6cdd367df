#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

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

inline Parameters read_npy_parameters(const std::string& folder) {
  Parameters parameters;
  for (const auto& file : std::filesystem::directory_iterator(folder))
    if (file.path().extension() == ".npy")
      parameters[file.path().stem().string()] =
          with_storage_order(qaf::read_npy<float>(file.path().string()), qaf::StorageOrder::row_major);
  return parameters;
}

/// Reads the parameters of a network from a folder of `.npy` files, one a parameter, or from a safetensors file.
inline Parameters read_parameters(const std::string& path) {
  if (!std::filesystem::exists(path)) throw std::runtime_error(path + ": there is no such folder or file");
  Parameters parameters =
      std::filesystem::is_directory(path) ? read_npy_parameters(path) : read_safetensors_parameters(path);
  if (parameters.empty()) throw std::runtime_error(path + ": has no float parameters");
  return parameters;
}

/// Reads images of 8 bits, `images x channels x rows x columns`.
inline qaf::DenseTensor<std::uint8_t> read_images(const std::string& path) {
  const auto images = with_storage_order(qaf::read_npy<std::uint8_t>(path), qaf::StorageOrder::row_major);
  if (images.order() != 4 || images.size() == 0)
    throw std::runtime_error(path + ": must hold images x channels x rows x columns, got " +
                             qaf::detail::shape_text(images.dimensions()));
  return images;
}

/// Reads the class of each of so many images.
inline std::vector<qaf::Index> read_labels(const std::string& path, qaf::Index images) {
  const auto labels = qaf::read_npy<std::int64_t>(path);
  if (labels.dimensions() != std::vector<qaf::Index>{images})
    throw std::runtime_error(path + ": must hold a label for each of the " + std::to_string(images) + " images, got " +
                             qaf::detail::shape_text(labels.dimensions()));
  return std::vector<qaf::Index>(labels.data(), labels.data() + labels.size());
}
