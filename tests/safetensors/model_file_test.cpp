// Models that come back from files as they were, and files that hold no model.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <qaf/io/model_file.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/quantizers/any.hpp>

#include "safetensors/file.hpp"
#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"

namespace {

using qaf::Granularity;
using qaf::Index;
using support::File;

constexpr Granularity granularities[] = {Granularity::tensor, Granularity::component, Granularity::row,
                                         Granularity::block};

template <typename Scalar, typename Quantizer>
void check_same(const qaf::QuantizedCpModel<Scalar, Quantizer>& model,
                const qaf::QuantizedCpModel<Scalar, Quantizer>& other) {
  CHECK(model.weights == other.weights);
  REQUIRE(model.factors.size() == other.factors.size());
  for (std::size_t n = 0; n < model.factors.size(); ++n) {
    CHECK(model.factors[n].codes == other.factors[n].codes);
    CHECK(model.factors[n].parameters == other.factors[n].parameters);
    CHECK(qaf::decode<Scalar>(model.factors[n]) == qaf::decode<Scalar>(other.factors[n]));
  }
}

template <typename Scalar = float, typename Quantizer>
qaf::QuantizedCpModel<Scalar, Quantizer> quantized(const Quantizer& quantizer,
                                                   const std::vector<Index>& dimensions = {7, 5, 9}, Index rank = 4) {
  return qaf::quantize(support::random_model<Scalar>(dimensions, rank), quantizer);
}

/// The model is the same after it was in a file, its codes packed or not.
template <typename Scalar, typename Quantizer>
void check_comes_back(const qaf::QuantizedCpModel<Scalar, Quantizer>& model) {
  for (const bool packed : {false, true}) {
    CAPTURE(packed);
    const File file;
    qaf::write_quantized_model(file.path(), model, {packed});
    check_same(qaf::read_quantized_model<Scalar, Quantizer>(file.path()), model);
  }
}

template <typename Quantizer>
void check_comes_back_with_all_granularities(Quantizer quantizer) {
  for (const Granularity granularity : granularities) {
    CAPTURE(granularity);
    quantizer.granularity = granularity;
    quantizer.block_size = 2;
    check_comes_back(quantized(quantizer));
    check_comes_back(quantized<double>(quantizer));
  }
}

qaf::QuantizedCpModel<float, qaf::UniformQuantizer> four_bits() {
  qaf::UniformQuantizer quantizer;
  quantizer.bits = 4;
  return quantized(quantizer);
}

/// The sentence with which reading fails after `change` was done to the tensors and texts of a model.
template <typename Quantizer = qaf::UniformQuantizer, typename Change>
std::string error_after(const qaf::QuantizedCpModel<float, Quantizer>& model, const Change& change,
                        bool packed = false) {
  qaf::ModelFile content;
  qaf::add_quantized_model(content, "", model, {packed});
  change(content);
  const File file;
  qaf::write_model_file(file.path(), content);
  try {
    qaf::read_quantized_model<float, Quantizer>(file.path());
  } catch (const qaf::IoError& error) {
    const std::string start = file.path() + ": ";
    const std::string text = error.what();
    CHECK(text.compare(0, start.size(), start) == 0);
    return text.substr(start.size());
  }
  return "";
}

void replace(qaf::ModelFile& content, const qaf::NamedTensor& tensor) {
  for (qaf::NamedTensor& other : content.tensors)
    if (other.name() == tensor.name()) other = tensor;
}

void replace(std::string& text, const std::string& what, const std::string& by) {
  const std::size_t place = text.find(what);
  REQUIRE(place != std::string::npos);
  text.replace(place, what.size(), by);
}

}  // namespace

TEST_CASE("model_file: models of the uniform quantizer come back") {
  for (const qaf::CodeRange range : {qaf::CodeRange::full, qaf::CodeRange::narrow}) {
    for (int bits = range == qaf::CodeRange::full ? 1 : 2; bits <= 8; ++bits) {
      CAPTURE(bits, range);
      qaf::UniformQuantizer quantizer;
      quantizer.bits = bits;
      quantizer.range = range;
      check_comes_back_with_all_granularities(quantizer);
    }
  }
  for (const int bits : {2, 8, 9, 16}) {
    qaf::UniformQuantizer16 quantizer;
    quantizer.bits = bits;
    check_comes_back_with_all_granularities(quantizer);
  }
}

TEST_CASE("model_file: models of all other quantizers come back") {
  check_comes_back_with_all_granularities(qaf::AffineQuantizer());
  qaf::BasicAffineQuantizer<std::int16_t> affine;
  for (const int bits : {1, 3, 12}) {
    affine.bits = bits;
    check_comes_back_with_all_granularities(affine);
  }
  for (int bits = 2; bits <= 8; ++bits) {
    CAPTURE(bits);
    check_comes_back_with_all_granularities(qaf::AdditivePowerOfTwoQuantizer{{bits}});
    if (bits < 8) check_comes_back_with_all_granularities(qaf::PowerOfTwoQuantizer{{bits}});
  }
  check_comes_back_with_all_granularities(qaf::TernaryQuantizer());
  check_comes_back_with_all_granularities(qaf::BinaryQuantizer());
  check_comes_back_with_all_granularities(qaf::NormalFloat4Quantizer());
  for (const Granularity granularity : {Granularity::tensor, Granularity::component}) {
    qaf::CodebookQuantizer codebook;
    codebook.bits = 3;
    codebook.granularity = granularity;
    check_comes_back(quantized(codebook));
  }
}

TEST_CASE("model_file: scales of 16 bits are stored in 16 bits") {
  using Quantizer = qaf::CompactScales<qaf::UniformQuantizer>;
  Quantizer quantizer;
  quantizer.base.granularity = Granularity::row;
  const std::map<qaf::ScaleFormat, std::string> dtypes = {{qaf::ScaleFormat::float16, "F16"},
                                                          {qaf::ScaleFormat::bfloat16, "BF16"},
                                                          {qaf::ScaleFormat::power_of_two, "F32"},
                                                          {qaf::ScaleFormat::linear8, "F32"}};
  for (const auto& [format, dtype] : dtypes) {
    quantizer.format = format;
    auto model = quantized(quantizer);
    check_comes_back(model);
    const File file;
    qaf::write_quantized_model(file.path(), model);
    for (const qaf::SafetensorsEntry& entry : qaf::list_safetensors(file.path()))
      if (entry.name == "factor0.scales") CHECK(entry.dtype == dtype);
    CHECK(qaf::read_quantized_model<float, Quantizer>(file.path()).factors[0].quantizer.format == format);
    // Scales that someone has changed to other numbers are stored as they are.
    model.factors[0].parameters.scales[0] = 0.1F;
    check_comes_back(model);
  }
}

TEST_CASE("model_file: models of a quantizer chosen at run time come back, and are read as it") {
  for (const std::string& name : qaf::quantizer_names()) {
    CAPTURE(name);
    const auto model = quantized(qaf::make_quantizer(name));
    check_comes_back(model);
  }
  // One a mode.
  const auto mixed = qaf::quantize(
      support::random_model<float>({7, 5, 9}, 4),
      std::vector{qaf::make_quantizer("uniform", 12), qaf::make_quantizer("nf4"), qaf::make_quantizer("codebook", 3)});
  check_comes_back(mixed);
  const File file;
  qaf::write_quantized_model(file.path(), four_bits());
  const auto any = qaf::read_quantized_model<float, qaf::AnyQuantizer>(file.path());
  CHECK(any.factors[1].codes == four_bits().factors[1].codes.cast<std::int16_t>());
  CHECK(qaf::decode(any).factors[1] == qaf::decode(four_bits()).factors[1]);
}

TEST_CASE("model_file: of any order, size and rank") {
  for (const std::vector<Index>& dimensions : std::vector<std::vector<Index>>{{7, 5}, {5, 1, 2, 3}, {1, 9}})
    for (const Index rank : {1, 5}) {
      CAPTURE(dimensions, rank);
      check_comes_back(quantized(qaf::UniformQuantizer(), dimensions, rank));
    }
}

TEST_CASE("model_file: several models and other tensors share a file") {
  const auto first = four_bits();
  const auto second = quantized<double>(qaf::TernaryQuantizer(), {3, 4}, 2);
  const qaf::Vector<float> bias = qaf::Vector<float>::Ones(7);
  qaf::ModelFile content;
  qaf::add_quantized_model(content, "layer1.0.conv1.", first);
  qaf::add_quantized_model(content, "fc.", second, {true});
  content.tensors.emplace_back("layer1.0.bn1.bias", bias);
  content.metadata["format"] = "pt";
  const File file;
  qaf::write_model_file(file.path(), content);
  CHECK(qaf::list_quantized_models(file.path()) == std::vector<std::string>{"fc.", "layer1.0.conv1."});
  check_same(qaf::read_quantized_model<float, qaf::UniformQuantizer>(file.path(), "layer1.0.conv1."), first);
  check_same(qaf::read_quantized_model<double, qaf::TernaryQuantizer>(file.path(), "fc."), second);
  CHECK(qaf::read_safetensors<float>(file.path(), "layer1.0.bn1.bias").size() == 7);
  CHECK(qaf::read_safetensors_metadata(file.path())["format"] == "pt");
  CHECK_ERROR(qaf::add_quantized_model(content, "fc.", second),
              "qaf::add_quantized_model: the file already has a model 'fc.'");
}

TEST_CASE("model_file: a file says what it holds") {
  const File file;
  qaf::write_quantized_model(file.path(), four_bits());
  const auto text = nlohmann::json::parse(qaf::read_safetensors_metadata(file.path())["qaf:"]);
  CHECK(text["rank"] == 4);
  CHECK(text["dimensions"] == std::vector<int>{7, 5, 9});
  CHECK(text["factors"].size() == 3);
  const nlohmann::json expected = {{"quantizer", "uniform"},
                                   {"bits", 4},
                                   {"lowest_code", -8},
                                   {"highest_code", 7},
                                   {"granularity", "component"},
                                   {"rows_per_scale", 7},
                                   {"equation", "real = scale * code"}};
  CHECK(text["factors"][0] == expected);
  std::string tensors;
  for (const qaf::SafetensorsEntry& entry : qaf::list_safetensors(file.path()))
    tensors += entry.name + " " + entry.dtype + " " + qaf::detail::shape_text(entry.dimensions) + "\n";
  CHECK(tensors ==
        "factor0.scales F32 1 x 4\nfactor1.scales F32 1 x 4\nfactor2.scales F32 1 x 4\nweights F32 4\n"
        "factor0.codes I8 7 x 4\nfactor1.codes I8 5 x 4\nfactor2.codes I8 9 x 4\n");
}

TEST_CASE("model_file: packed codes take the bytes that packing says") {
  const File file;
  qaf::write_quantized_model(file.path(), four_bits(), {true});
  for (const qaf::SafetensorsEntry& entry : qaf::list_safetensors(file.path()))
    if (entry.name == "factor0.packed_codes") CHECK(entry.end - entry.begin == 14);
  const auto bytes = qaf::read_safetensors<std::uint8_t>(file.path(), "factor0.packed_codes");
  CHECK(std::vector<std::uint8_t>(bytes.data(), bytes.data() + bytes.size()) ==
        qaf::pack_codes(four_bits().factors[0].codes, 4));
}

TEST_CASE("model_file: a model whose parts do not fit is not stored") {
  qaf::ModelFile content;
  const auto error_of = [&](const auto& change) {
    auto model = four_bits();
    change(model);
    std::string text = support::error_text([&] { qaf::add_quantized_model(content, "", model); });
    CHECK(content.tensors.empty());
    CHECK(content.metadata.empty());
    return text;
  };
  const std::string start = "qaf::add_quantized_model: ";
  CHECK(error_of([](auto& model) { model.factors.clear(); }) == start + "the model has no factors");
  CHECK(error_of([](auto& model) { model.weights.conservativeResize(3); }) ==
        start + "factor 0 has 4 columns, the model 3 weights");
  CHECK(error_of([](auto& model) { model.factors[1].codes(0, 0) = 8; }) == start + "codes must be from -8 to 7, got 8");
  CHECK(error_of([](auto& model) {
          model.factors[1].parameters.scales.resize(2);
        }).find(start + "a 5 x 4 matrix with granularity component has 4 scales, got 2") == 0);
  CHECK(error_of([](auto& model) {
          model.factors[1].parameters.scales[0] = 0;
        }).find(start + "every scale must be positive") == 0);
  CHECK(error_of([](auto& model) { model.factors[1].quantizer.bits = 9; }).find("bits must be from 1 to 8") !=
        std::string::npos);
  const auto model = four_bits();
  CHECK_ERROR(qaf::add_quantized_model(content, "\xff", model),
              "qaf::add_quantized_model: prefixes must be UTF-8, got '\xff'");
}

TEST_CASE("model_file: what a file has instead of a model is told") {
  const File none;
  qaf::write_safetensors(none.path(), {});
  CHECK_THROWS_WITH((qaf::read_quantized_model<float, qaf::UniformQuantizer>(none.path(), "a.")),
                    none.path() + ": has no quantized model 'a.' (no 'qaf:a.' in its metadata)");
  const auto model = four_bits();
  struct Case {
    std::string what, by, words;
  };
  const std::string description = "the description of the model '' ";
  const std::vector<Case> cases = {
      {"{", "", description + "is not a JSON object"},
      {"\"rank\":4", "\"rank\":", description + "is not valid JSON"},
      {"\"rank\":4", "\"rank\":4,\"rank\":4", description + "has the key 'rank' twice"},
      {"\"version\":1", "\"version\":2", description + "must be of version 1"},
      {"\"version\":1,", "", description + "must be of version 1"},
      {"\"rank\":4", "\"rank\":-4", description + "must have its rank"},
      {"\"rank\":4", "\"rank\":1099511627777", description + "must have its rank"},
      {"\"rank\":4", "\"rank\":5", "the tensor 'weights' must have 5 entries, got 4"},
      {"\"dimensions\":[7", "\"dimensions\":[7.5", description + "must have its dimensions"},
      {"\"dimensions\":[7,", "\"dimensions\":[", description + "must have as many factors as dimensions"},
      {"\"dimensions\":[7", "\"dimensions\":[8", "the tensor 'factor0.codes' must be 8 x 4, got 7 x 4"},
      {"\"factors\":[{", "\"factors\":[3,{", description + "must have as many factors as dimensions"},
      {"\"quantizer\":\"uniform\",", "", "the factor 'factor0.' must have a text as its quantizer"},
      {"\"uniform\"", "\"affine\"", "the factor 'factor0.' is of the quantizer 'affine' with 4 bits, not of the type"},
      {"\"bits\":4", "\"bits\":12", "is of the quantizer 'uniform' with 12 bits, not of the type asked for"},
      {"\"bits\":4", "\"bits\":0", "must have an integer from 1 to 16 as its bits"},
      {"\"bits\":4", "\"bits\":18446744073709551615", "must have an integer from 1 to 16 as its bits"},
      {"\"bits\":4", "\"bits\":\"4\"", "must have an integer from 1 to 16 as its bits"},
      {"\"lowest_code\":-8", "\"lowest_code\":-6", "must have codes from -7 to 7"},
      {"\"component\"", "\"channel\"", "has the unknown granularity 'channel'"},
      {"\"component\"", "\"tensor\"", "the tensor 'factor0.scales' must be 1 x 1, got 1 x 4"},
      {"\"component\",\"rows_per_scale\":7", "\"block\",\"rows_per_scale\":0", "as its rows_per_scale"},
      {"\"component\",\"rows_per_scale\":7", "\"block\",\"rows_per_scale\":3", "must be 3 x 4, got 1 x 4"},
  };
  for (const Case& c : cases) {
    const std::string error =
        error_after(model, [&](qaf::ModelFile& content) { replace(content.metadata["qaf:"], c.what, c.by); });
    INFO(c.what << " by " << c.by << ": " << error);
    CHECK(error.find(c.words) != std::string::npos);
  }
  CHECK(error_after(model, [](qaf::ModelFile&) {}).empty());
}

TEST_CASE("model_file: tensors that are not those of the quantizer are told") {
  const auto model = four_bits();
  const auto error_with = [&](const auto& changed, const qaf::NamedTensor& tensor, bool packed = false) {
    return error_after(
        changed, [&](qaf::ModelFile& content) { replace(content, tensor); }, packed);
  };
  qaf::Matrix<std::int8_t> codes = model.factors[0].codes;
  codes(3, 2) = -9;
  CHECK(error_with(model, {"factor0.codes", codes}) ==
        "the factor 'factor0.' has the code -9, which is not from -8 to 7");
  CHECK(error_with(model, {"factor0.codes", qaf::Matrix<std::int16_t>(codes.cast<std::int16_t>())})
            .find("holds I16 entries, which int8 cannot hold") != std::string::npos);
  for (const float bad : {0.0F, -1.0F, std::numeric_limits<float>::infinity(), std::nanf("")}) {
    qaf::Matrix<float> scales = qaf::Matrix<float>::Constant(1, 4, bad);
    CHECK(error_with(model, {"factor1.scales", scales}).find("must have positive, normal and finite scales") !=
          std::string::npos);
  }
  CHECK(error_after(model, [](qaf::ModelFile& content) {
          content.tensors.erase(content.tensors.begin());
        }).find("has no tensor 'weights'") == 0);

  CHECK(error_with(model, {"factor0.packed_codes", qaf::Vector<std::uint8_t>(13)}, true)
            .find("the tensor 'factor0.packed_codes' must be 14, got 13") == 0);
  const auto odd = quantized(model.factors[0].quantizer, {7, 5}, 1);
  CHECK(error_with(odd,
                   {"factor0.packed_codes", qaf::Vector<std::uint8_t>(qaf::Vector<std::uint8_t>::Constant(4, 255))},
                   true) == "the factor 'factor0.' has bits behind its last packed code");
  CHECK(
      error_after(
          model,
          [](qaf::ModelFile& content) { replace(content.metadata["qaf:"], "\"packed_bits\":4", "\"packed_bits\":3"); },
          true)
          .find("must have 4 packed bits") != std::string::npos);

  const auto affine = quantized(qaf::AffineQuantizer());
  CHECK(error_with(affine,
                   {"factor0.zero_points", qaf::Matrix<std::int32_t>(qaf::Matrix<std::int32_t>::Constant(1, 4, 256))})
            .find("has the zero point 256, which is no code") != std::string::npos);
  const auto ternary = quantized(qaf::TernaryQuantizer());
  CHECK(error_with(ternary, {"factor0.levels", qaf::Matrix<float>(qaf::Matrix<float>::Zero(3, 1))}) ==
        "the factor 'factor0.' has other levels than those of 'ternary'");
  CHECK(
      error_with(ternary, {"factor0.codes", qaf::Matrix<std::uint8_t>(qaf::Matrix<std::uint8_t>::Constant(7, 4, 3))}) ==
      "the factor 'factor0.' has the code 3, which is not from 0 to 2");
  qaf::CodebookQuantizer codebook;
  codebook.bits = 1;
  CHECK(error_with(quantized(codebook),
                   {"factor0.levels", qaf::Matrix<float>(qaf::Matrix<float>::Constant(2, 1, std::nanf("")))})
            .find("must have finite levels") != std::string::npos);
}
