#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <qaf/error.hpp>
#include <qaf/io/detail/file.hpp>
#include <qaf/io/detail/safetensors_entries.hpp>
#include <qaf/io/detail/safetensors_header.hpp>
#include <qaf/io/detail/stored_factor.hpp>
#include <qaf/io/detail/stored_quantizer.hpp>
#include <qaf/io/detail/strict_json.hpp>
#include <qaf/io/safetensors.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// What a safetensors file of quantized models is to hold: the tensors of any number of models, and others if you like.
struct ModelFile {
  std::vector<NamedTensor> tensors;             ///< of all models, and any others
  std::map<std::string, std::string> metadata;  ///< texts by their names
};

/// How a model is stored.
struct ModelFileOptions {
  /// Codes of up to 8 bits without gaps, as `pack_codes` packs them; otherwise as the smallest integers that hold them.
  bool packed = false;
};

namespace detail::model_file {

inline constexpr int version = 1;
inline constexpr Index most_size = static_cast<Index>(  // of a mode or a rank
    std::min<std::int64_t>(std::int64_t{1} << 40, std::numeric_limits<Index>::max()));
inline constexpr char metadata_prefix[] = "qaf:";  // before the prefix of the model that a text of metadata describes
inline constexpr char equation[] = "X[i0, i1, ...] = sum over r of weights[r] * factor0[i0, r] * factor1[i1, r] * ...";

/// The description of a model in the metadata.
struct Description {
  nlohmann::json json;
  std::vector<Index> dimensions;
  Index rank;
};

inline Description read_description(const std::string& path, const safetensors::Header& header,
                                    const std::string& prefix) {
  constexpr int most_depth = 3;  // model, factors, factor
  const auto found = header.metadata.find(metadata_prefix + prefix);
  if (found == header.metadata.end())
    fail_io(path, -1, "has no quantized model '", printable(prefix), "' (no '", metadata_prefix, printable(prefix),
            "' in its metadata)");
  const auto fail_model = [&](const auto&... sentence) {
    fail_io(path, -1, "the description of the model '", printable(prefix), "' ", sentence...);
  };
  ParsedJson parsed = parse_json_object(found->second, most_depth);
  if (!parsed.flaw.empty()) fail_model(parsed.flaw);
  Description result{std::move(parsed.object), {}, 0};
  const nlohmann::json& json = result.json;
  const auto is_count = [](const nlohmann::json& value) {
    return value.is_number_unsigned() && value.get<std::uint64_t>() <= static_cast<std::uint64_t>(most_size);
  };
  if (json.value("version", nlohmann::json()) != nlohmann::json(version)) fail_model("must be of version ", version);
  const nlohmann::json rank = json.value("rank", nlohmann::json());
  const nlohmann::json dimensions = json.value("dimensions", nlohmann::json());
  const nlohmann::json factors = json.value("factors", nlohmann::json());
  if (!is_count(rank)) fail_model("must have its rank, an integer from 0 to ", most_size);
  if (!dimensions.is_array() || !std::all_of(dimensions.begin(), dimensions.end(), is_count))
    fail_model("must have its dimensions, integers from 0 to ", most_size);
  if (!factors.is_array() || factors.size() != dimensions.size() || factors.empty())
    fail_model("must have as many factors as dimensions, one or more");
  result.rank = rank.get<Index>();
  result.dimensions = dimensions.get<std::vector<Index>>();
  return result;
}

inline std::string factor_name(const std::string& prefix, std::size_t n) {
  return prefix + "factor" + std::to_string(n) + ".";
}

}  // namespace detail::model_file

/// Adds a model to a file: the tensors `<prefix>weights` (R) and, for each mode n, `<prefix>factor<n>.codes`
/// (`I_n x R`), `.scales`, `.zero_points` and `.levels` as its quantizer has them, and a text of metadata,
/// `qaf:<prefix>`, that says what they mean: see docs/file-formats.md. The model must live, and not change, until the
/// file is written.
///
/// `Quantizer` is one of this library: uniform, affine, levels, codebook, any of them in `CompactScales` or `OneOf`.
/// How it fits scales is not stored.
/// Errors: a model whose parts do not fit together, codes and parameters that are not the quantizer's, a prefix that
/// the file has already. Memory: nothing of the size of a factor.
template <typename Scalar, typename Quantizer>
void add_quantized_model(ModelFile& file, const std::string& prefix, const QuantizedCpModel<Scalar, Quantizer>& model,
                         const ModelFileOptions& options = {}) {
  namespace mf = detail::model_file;
  using Stored = mf::StoredQuantizer<Quantizer>;
  static_assert(Stored::is_known, "qaf: models with this quantizer cannot be stored; those of the library can");
  if constexpr (Stored::is_known) {
    constexpr char function[] = "add_quantized_model";
    const std::string key = mf::metadata_prefix + prefix;
    if (model.factors.empty()) detail::fail(function, "the model has no factors");
    if (file.metadata.count(key) > 0) detail::fail(function, "the file already has a model '", prefix, "'");
    std::vector<NamedTensor> tensors{{prefix + "weights", model.weights}};
    nlohmann::ordered_json description = {{"version", mf::version}, {"equation", mf::equation}, {"rank", model.rank()}};
    nlohmann::ordered_json factors = nlohmann::ordered_json::array();
    for (std::size_t n = 0; n < model.factors.size(); ++n) {
      const QuantizedFactor<Quantizer>& factor = model.factors[n];
      const Index rows = factor.codes.rows(), cols = factor.codes.cols();
      if (cols != model.rank())
        detail::fail(function, "factor ", n, " has ", cols, " columns, the model ", model.rank(), " weights");
      detail::validate_quantizer(factor.quantizer);
      mf::FactorWriter writer{tensors, mf::factor_name(prefix, n), rows, cols, {}, {}};
      Stored::write(writer, factor.quantizer, factor.parameters);
      mf::add_codes(writer, factor.codes, factor.quantizer.lowest(), factor.quantizer.highest(),
                    factor.quantizer.code_bits(), options.packed);
      description["dimensions"].push_back(rows);
      factors.push_back(std::move(writer.fields));
    }
    description["factors"] = std::move(factors);
    if (!detail::is_utf8(prefix)) detail::fail(function, "prefixes must be UTF-8, got '", prefix, "'");
    file.metadata[key] = description.dump();
    for (NamedTensor& tensor : tensors) file.tensors.push_back(std::move(tensor));
  }
}

/// A temporary would be gone before the file is written.
template <typename Scalar, typename Quantizer>
void add_quantized_model(ModelFile& file, const std::string& prefix, QuantizedCpModel<Scalar, Quantizer>&& model,
                         const ModelFileOptions& options = {}) = delete;

/// Writes a file of models. Errors and cost: as for `write_safetensors`.
inline void write_model_file(const std::string& path, const ModelFile& file) {
  write_safetensors(path, file.tensors, file.metadata);
}

/// Writes a file of one model, without a prefix. Errors: those of `add_quantized_model` and `write_safetensors`.
template <typename Scalar, typename Quantizer>
void write_quantized_model(const std::string& path, const QuantizedCpModel<Scalar, Quantizer>& model,
                           const ModelFileOptions& options = {}) {
  ModelFile file;
  add_quantized_model(file, "", model, options);
  write_model_file(path, file);
}

/// The prefixes of the models in a safetensors file. Errors: those of `list_safetensors`.
inline std::vector<std::string> list_quantized_models(const std::string& path) {
  const std::string start = detail::model_file::metadata_prefix;
  std::vector<std::string> prefixes;
  for (const auto& [name, text] : read_safetensors_metadata(path))
    if (name.compare(0, start.size(), start) == 0) prefixes.push_back(name.substr(start.size()));
  return prefixes;
}

/// Reads the model of that prefix: codes, parameters, weights, and of the quantizer what decoding needs; all else of
/// it has its default values. `Quantizer` is the type that was stored, or a `OneOf` (such as `AnyQuantizer`) with it
/// among its types; `Scalar` holds every value of the weights' type in the file.
/// Errors: `IoError` for a file that cannot be read, has no such model, has one of another quantizer, or has parts that
/// do not fit together or cannot be decoded.
template <typename Scalar, typename Quantizer>
QuantizedCpModel<Scalar, Quantizer> read_quantized_model(const std::string& path, const std::string& prefix = "") {
  namespace mf = detail::model_file;
  using Stored = mf::StoredQuantizer<Quantizer>;
  static_assert(Stored::is_known, "qaf: models with this quantizer cannot be stored; those of the library can");
  detail::InputFile file(path);
  const detail::safetensors::Header header = detail::safetensors::read_header(file);
  const mf::Description description = mf::read_description(path, header, prefix);
  QuantizedCpModel<Scalar, Quantizer> model;
  const auto weights = detail::safetensors::read_tensor<Scalar>(file, header, prefix + "weights");
  if (weights.dimensions() != std::vector<Index>{description.rank})
    detail::fail_io(path, -1, "the tensor '", detail::printable(prefix), "weights' must have ", description.rank,
                    " entries, got ", detail::printable(detail::shape_text(weights.dimensions())));
  model.weights = Eigen::Map<const Vector<Scalar>>(weights.data(), weights.size());
  for (std::size_t n = 0; n < description.dimensions.size(); ++n) {
    const mf::FactorReader reader(file, header, mf::factor_name(prefix, n), description.json["factors"][n],
                                  description.dimensions[n], description.rank);
    if (!Stored::accepts(reader))
      reader.fail("is of the quantizer '", detail::printable(reader.text("quantizer")), "' with ",
                  reader.integer("bits", 1, 16), " bits, not of the type asked for");
    const Quantizer quantizer = Stored::read(reader);
    const int lowest = quantizer.lowest(), highest = quantizer.highest();
    if (!mf::has_range_of(reader, quantizer))
      reader.fail("must have codes from ", lowest, " to ", highest, ", as its quantizer has");
    auto parameters = Stored::read_parameters(reader, quantizer);
    auto codes = reader.template codes<typename Quantizer::Code>(lowest, highest, quantizer.code_bits());
    model.factors.push_back({std::move(codes), std::move(parameters), quantizer});
  }
  return model;
}

}  // namespace qaf
