#pragma once

#include <algorithm>
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

/// Rounded to float, row-major.
inline qaf::DenseTensor<float> as_float(const qaf::DenseTensor<double>& tensor) {
  const qaf::DenseTensor<double> rows = with_storage_order(tensor, qaf::StorageOrder::row_major);
  qaf::DenseTensor<float> result(rows.dimensions(), qaf::StorageOrder::row_major);
  for (qaf::Index k = 0; k < rows.size(); ++k) result.data()[k] = static_cast<float>(rows.data()[k]);
  return result;
}

// The one place that asks whether safetensors files can be read: the programs are built without too.
#if QAF_HAS_SAFETENSORS
#include <qaf/io/safetensors.hpp>
inline Parameters read_safetensors_parameters(const std::string& path) {
  Parameters parameters;
  for (const qaf::SafetensorsEntry& entry : qaf::list_safetensors(path)) {
    const std::string& dtype = entry.dtype;
    if (dtype == "F32" || dtype == "F16" || dtype == "BF16")
      parameters[entry.name] = qaf::read_safetensors<float>(path, entry.name);
    else if (dtype == "F64")
      parameters[entry.name] = as_float(qaf::read_safetensors<double>(path, entry.name));
    else if (dtype[0] == 'F' || dtype[0] == 'C')  // all others are integers: counters
      throw std::runtime_error(path + ": the parameter '" + qaf::detail::printable(entry.name) +
                               "' must be F64, F32, F16 or BF16, got " + dtype);
  }
  return parameters;
}
#else
inline Parameters read_safetensors_parameters(const std::string& path) {
  throw std::runtime_error(path + ": this program was built without nlohmann_json, which safetensors files need");
}
#endif

inline Parameters read_npy_parameters(const std::string& folder) {
  Parameters parameters;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().extension() != ".npy") continue;
    const std::string path = file.path().string(), name = file.path().stem().string();
    const qaf::NpyType type = qaf::read_npy_header(path).type;
    if (type == qaf::NpyType::float32)
      parameters[name] = with_storage_order(qaf::read_npy<float>(path), qaf::StorageOrder::row_major);
    else if (type == qaf::NpyType::float64)
      parameters[name] = as_float(qaf::read_npy<double>(path));
  }
  return parameters;
}

/// Reads the parameters of a network from a folder of `.npy` files, one a parameter, or from a safetensors file. Those
/// of 64 bits are rounded to float; integers, such as the counters of batch norms, are left out.
inline Parameters read_parameters(const std::string& path) {
  if (!std::filesystem::exists(path)) throw std::runtime_error(path + ": there is no such folder or file");
  Parameters parameters =
      std::filesystem::is_directory(path) ? read_npy_parameters(path) : read_safetensors_parameters(path);
  if (parameters.empty()) throw std::runtime_error(path + ": has no float parameters");
  return parameters;
}

/// Reads images of 8 bits, `images x channels x rows x columns`.
inline qaf::DenseTensor<std::uint8_t> read_images(const std::string& path) {
  auto images = with_storage_order(qaf::read_npy<std::uint8_t>(path), qaf::StorageOrder::row_major);
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
  const std::int64_t least = labels.size() > 0 ? *std::min_element(labels.data(), labels.data() + labels.size()) : 0;
  if (least < 0) throw std::runtime_error(path + ": labels must be 0 or more, got " + std::to_string(least));
  return std::vector<qaf::Index>(labels.data(), labels.data() + labels.size());
}
