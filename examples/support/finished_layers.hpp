#pragma once

// The folder of a compression that may be interrupted: what was asked for, and a file for every layer that is done.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <qaf/io/detail/file.hpp>
#include <qaf/io/model_file.hpp>

#include "compressed_layer.hpp"

/// A number that changes with any byte: 64-bit FNV-1a (Fowler, Noll, Vo), in hexadecimal.
class Fingerprint {
 public:
  void add(const void* data, std::size_t count) {
    const auto* const bytes = static_cast<const unsigned char*>(data);
    for (std::size_t k = 0; k < count; ++k) hash_ = (hash_ ^ bytes[k]) * 1099511628211ULL;
  }
  void add(const std::string& text) { add(text.c_str(), text.size() + 1); }
  template <typename Scalar>
  void add(const qaf::DenseTensor<Scalar>& tensor) {
    add(qaf::detail::shape_text(tensor.dimensions()));
    add(tensor.data(), static_cast<std::size_t>(tensor.size()) * sizeof(Scalar));
  }
  std::string text() const {
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash_));
    return digits;
  }

 private:
  std::uint64_t hash_ = 14695981039346656037ULL;
};

/// Adds a layer's codes to a file. Their description also says the `form`, the `shape` of the network's weights and,
/// as there is one factor only, the equation of a layer that was quantized directly (docs/file-formats.md).
inline void add_layer_model(qaf::ModelFile& file, const std::string& prefix, const LayerModel& model,
                            const std::vector<qaf::Index>& shape) {
  add_quantized_model(file, prefix, model);
  std::string& text = file.metadata.at("qaf:" + prefix);
  nlohmann::ordered_json description = nlohmann::ordered_json::parse(text);
  const bool is_direct = model.factors.size() == 1;
  description["form"] = to_string(is_direct ? qaf::Form::direct : qaf::Form::factored);
  description["shape"] = shape;
  if (is_direct)
    description["equation"] = "X[r, ...] = weights[r] * factor0[:, r], its entries row-major over the rest of shape";
  text = description.dump();
}

/// The layers that are done, each in a file of its own that is whole or not there.
class FinishedLayers {
 public:
  using Json = nlohmann::ordered_json;

  /// `settings`: a flat object of all that the layers' codes depend on. Throws where the folder holds the work of other
  /// settings, or something else. Writes nothing.
  FinishedLayers(std::string path, Json settings) : path_(std::move(path)), settings_(std::move(settings)) {
    std::error_code error;
    const std::filesystem::file_status status = std::filesystem::status(path_, error);
    if (!std::filesystem::status_known(status))
      throw std::runtime_error("cannot write to the output folder " + path_ + ": " + error.message());
    if (!std::filesystem::exists(status)) return;
    if (!std::filesystem::is_directory(status))
      throw std::runtime_error(path_ + ": the output must be a folder, and is a file");
    std::filesystem::directory_iterator entries(path_, error);
    if (error) throw std::runtime_error("cannot read the output folder " + path_ + ": " + error.message());
    if (has(settings_name)) {
      compare(in_folder(settings_name));
      return;
    }
    // What is left of a run that was killed while it wrote the settings is no one's work.
    const auto is_foreign = [](const std::filesystem::directory_entry& entry) {
      return entry.path().filename() != std::string(settings_name) + ".partial";
    };
    if (std::any_of(std::filesystem::begin(entries), std::filesystem::end(entries), is_foreign))
      throw std::runtime_error(path_ + ": the folder holds something else; choose another --output");
  }

  /// Makes the folder, where it is not there yet, with the settings in it.
  void begin() const {
    if (has(settings_name)) return;
    std::error_code error;
    std::filesystem::create_directories(path_, error);
    if (error) throw std::runtime_error("cannot write to the output folder " + path_ + ": " + error.message());
    write_text(settings_name, settings_.dump(2) + "\n");
  }

  const std::string& path() const { return path_; }

  std::string in_folder(const std::string& name) const { return (std::filesystem::path(path_) / name).string(); }
  bool has(const std::string& name) const { return std::filesystem::exists(in_folder(name)); }

  /// Writes a text, whole or not at all.
  void write_text(const std::string& name, const std::string& text) const {
    qaf::detail::write_file(in_folder(name), text, nullptr, 0);
  }

  bool has_layer(const std::string& layer) const { return std::filesystem::exists(file_of(layer)); }

  /// `shape`: that of the layer's weights in the network.
  void write(const std::string& layer, const CompressedLayer& compressed, const std::vector<qaf::Index>& shape) const {
    const LayerFigures& figures = compressed.figures;
    const Json json = {{"relative_error", figures.relative_error},
                       {"output_error", figures.output_error},
                       {"float_error", figures.float_error},
                       {"bits", figures.bits},
                       {"seconds", figures.seconds},
                       {"sweeps", figures.sweeps},
                       {"status", figures.status},
                       {"history", figures.history},
                       {"errors_of_bits", figures.errors_of_bits}};
    qaf::ModelFile file;
    file.metadata[figures_key] = json.dump();
    if (!compressed.model.factors.empty()) add_layer_model(file, "", compressed.model, shape);
    write_model_file(file_of(layer), file);
  }

  /// Throws where the file is damaged or holds something else than what is planned.
  CompressedLayer read(const qaf::PlannedLayer& planned) const {
    const std::string file = file_of(planned.layer.name);
    CompressedLayer compressed;
    const auto metadata = qaf::read_safetensors_metadata(file);
    const auto found = metadata.find(figures_key);
    const Json json = found == metadata.end() ? Json() : Json::parse(found->second, nullptr, false);
    try {
      LayerFigures& figures = compressed.figures;
      json.at("relative_error").get_to(figures.relative_error);
      json.at("output_error").get_to(figures.output_error);
      json.at("float_error").get_to(figures.float_error);
      json.at("bits").get_to(figures.bits);
      json.at("seconds").get_to(figures.seconds);
      json.at("sweeps").get_to(figures.sweeps);
      json.at("status").get_to(figures.status);
      json.at("history").get_to(figures.history);
      json.at("errors_of_bits").get_to(figures.errors_of_bits);
    } catch (const Json::exception&) {
      throw std::runtime_error(file + ": has no figures of a compressed layer in its metadata; remove it to go on");
    }
    if (!qaf::list_quantized_models(file).empty())
      compressed.model = qaf::read_quantized_model<float, qaf::AnyQuantizer>(file);
    const std::string wanted = form_text(planned);
    const std::string found_form = form_text(compressed.model, planned.layer.dimensions, planned.bits);
    if (found_form != wanted)
      throw std::runtime_error(file + ": holds a layer " + found_form + ", " + in_folder("plan.txt") + " says " +
                               wanted + "; give an edited plan with --plan and another --output");
    return compressed;
  }

  /// Throws where a layer's name cannot be that of a file.
  std::string file_of(const std::string& layer) const {
    if (layer.find('/') != std::string::npos || layer.find('\\') != std::string::npos)
      throw std::runtime_error("the layer '" + layer + "' cannot be stored in a file of its name, which holds a slash");
    const std::string name = "layer." + layer + ".safetensors";
    constexpr std::size_t most = 255;  // of nearly all file systems
    if (name.size() + std::string(".partial").size() > most)
      throw std::runtime_error("the layer '" + layer + "' cannot be stored in a file of its name, which is too long: " +
                               std::to_string(layer.size()) + " bytes");
    return in_folder(name);
  }

 private:
  static constexpr const char* settings_name = "settings.json";
  static constexpr const char* figures_key = "figures";

  void compare(const std::string& file) const {
    std::ifstream stream(file);
    const Json before = Json::parse(stream, nullptr, false);
    if (!before.is_object()) throw std::runtime_error(file + ": is damaged: expected a JSON object");
    for (const auto& [key, value] : settings_.items()) {
      const Json other = before.value(key, Json());
      if (other != value)
        throw std::runtime_error(path_ + ": the folder holds the work of other settings: " + key + " was " +
                                 brief(other) + ", now it is " + brief(value) + "; choose another --output");
    }
  }

  static std::string brief(const Json& value) {
    constexpr std::size_t most = 80;
    const std::string text = value.is_null() ? "not given" : value.dump();
    return text.size() <= most ? text : text.substr(0, most) + "...";
  }

  std::string path_;
  Json settings_;
};
