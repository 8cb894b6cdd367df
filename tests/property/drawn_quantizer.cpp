#include "drawn_quantizer.hpp"

#include <cstddef>
#include <filesystem>
#include <limits>
#include <string>
#include <unistd.h>
#include <variant>
#include <vector>

#include <qaf/quantizers/conventions.hpp>
#if QAF_PROPERTY_MODEL_FILES
#include <qaf/io/model_file.hpp>
#endif

#include "laws.hpp"

namespace property {
namespace {

qaf::Granularity draw_granularity(Draw& draw) {
  return draw.one_of({qaf::Granularity::tensor, qaf::Granularity::component, qaf::Granularity::component,
                      qaf::Granularity::row, qaf::Granularity::block});
}

qaf::Rounding draw_rounding(Draw& draw) {
  if (draw.chance(0.5)) return {};
  return {draw.one_of({qaf::Ties::to_even, qaf::Ties::away_from_zero, qaf::Ties::up}), draw.chance(0.5)};
}

/// What quantizers with scales share. Methods that try very many scales only where codes have few bits.
template <typename Chosen>
void draw_scales(Draw& draw, int bits, Chosen& quantizer) {
  using qaf::ScaleMethod;
  quantizer.granularity = draw_granularity(draw);
  quantizer.block_size = draw.one_of<qaf::Index>({1, 2, 3, 7, 32, 1000000, std::numeric_limits<qaf::Index>::max()});
  quantizer.scale_method =
      draw.one_of({ScaleMethod::maximum, ScaleMethod::percentile, ScaleMethod::grid, ScaleMethod::least_squares,
                   ScaleMethod::least_squares, ScaleMethod::least_squares, ScaleMethod::exact});
  if (bits > 5 && quantizer.scale_method == ScaleMethod::exact) quantizer.scale_method = ScaleMethod::least_squares;
  quantizer.percentile = draw.one_of({99.9, 100.0, 90.0, 50.1});
  draw.note(to_string(quantizer.granularity), quantizer.granularity == qaf::Granularity::block ? " of " : "",
            quantizer.granularity == qaf::Granularity::block ? std::to_string(quantizer.block_size) : "", " method ",
            static_cast<int>(quantizer.scale_method));
}

float draw_smallest_scale(Draw& draw) {
  if (draw.chance(0.8)) return std::numeric_limits<float>::min();
  return draw.one_of({1.0F, 1e-7F, 1e-30F});
}

template <typename Chosen>
Chosen draw_uniform(Draw& draw, int most_bits) {
  Chosen quantizer;
  quantizer.range = draw.one_of({qaf::CodeRange::full, qaf::CodeRange::narrow});
  quantizer.end = draw.one_of({qaf::ScaleEnd::middle, qaf::ScaleEnd::highest, qaf::ScaleEnd::lowest});
  const bool is_narrow = quantizer.range == qaf::CodeRange::narrow || quantizer.end == qaf::ScaleEnd::highest;
  quantizer.bits = draw.integer(is_narrow ? 2 : 1, most_bits);
  quantizer.rounding = draw_rounding(draw);
  quantizer.smallest_scale = draw_smallest_scale(draw);
  draw.note("uniform ", quantizer.bits);
  draw_scales(draw, quantizer.bits, quantizer);
  return quantizer;
}

template <typename Chosen>
Chosen draw_affine(Draw& draw, int most_bits) {
  Chosen quantizer;
  quantizer.bits = draw.integer(1, most_bits);
  quantizer.symmetric_range = draw.chance(0.3);
  quantizer.rounding = draw_rounding(draw);
  quantizer.zero_point_order = draw.one_of({qaf::ZeroPointOrder::after_rounding, qaf::ZeroPointOrder::before_rounding});
  quantizer.zero_point_precision =
      draw.one_of({qaf::ZeroPointPrecision::single_quotient, qaf::ZeroPointPrecision::single_scale,
                   qaf::ZeroPointPrecision::double_scale});
  quantizer.smallest_scale = draw_smallest_scale(draw);
  draw.note("affine ", quantizer.bits);
  draw_scales(draw, quantizer.bits, quantizer);
  return quantizer;
}

qaf::LevelQuantizer<qaf::AnyLevels> draw_levels(Draw& draw) {
  qaf::LevelQuantizer<qaf::AnyLevels> quantizer;
  switch (draw.integer(0, 4)) {
    case 0:
      quantizer.table.choice = qaf::PowerOfTwoLevels{draw.integer(2, 7)};
      break;
    case 1:
      quantizer.table.choice = qaf::AdditivePowerOfTwoLevels{draw.integer(2, 8)};
      break;
    case 2:
      quantizer.table.choice = qaf::TernaryLevels();
      break;
    case 3:
      quantizer.table.choice = qaf::BinaryLevels();
      break;
    default:
      quantizer.table.choice = qaf::NormalFloat4Levels();
  }
  draw.note("levels ", quantizer.table.choice.index(), " bits ", quantizer.code_bits());
  draw_scales(draw, quantizer.code_bits(), quantizer);
  return quantizer;
}

qaf::CodebookQuantizer draw_codebook(Draw& draw) {
  qaf::CodebookQuantizer quantizer;
  quantizer.bits = draw.integer(1, 8);
  quantizer.granularity = draw.one_of({qaf::Granularity::tensor, qaf::Granularity::component});
  quantizer.max_iterations = draw.small_index(1, 100);
  draw.note("codebook ", quantizer.bits, " ", to_string(quantizer.granularity));
  return quantizer;
}

template <typename Base>
qaf::CompactScales<Base> with_compact_scales(Draw& draw, const Base& base) {
  const auto format = draw.one_of({qaf::ScaleFormat::float16, qaf::ScaleFormat::bfloat16,
                                   qaf::ScaleFormat::power_of_two, qaf::ScaleFormat::linear8});
  draw.note("scale format ", static_cast<int>(format));
  return {base, format};
}

/// One of those that have the names of other systems.
AnyOfAll draw_convention(Draw& draw) {
  namespace conventions = qaf::conventions;
  const int which = draw.integer(0, 9), bits = draw.integer(2, 8);
  draw.note("convention ", which);
  switch (which) {
    case 0:
      return {{}, conventions::onnx_runtime_weights()};
    case 1:
      return {{}, conventions::onnx_int8()};
    case 2:
      return {{}, conventions::onnx_uint8()};
    case 3:
      return {{}, conventions::tensorrt(bits)};
    case 4:
      return {{}, conventions::tflite_weights()};
    case 5:
      return {{}, conventions::torch_symmetric(bits)};
    case 6:
      return {{}, conventions::torch_affine()};
    case 7:
      return {{}, conventions::gemmlowp()};
    case 8:
      return {{}, conventions::gptq(bits, draw.chance(0.5))};
    default:
      return {{}, conventions::paper(bits)};
  }
}

/// One that was chosen by its name.
AnyOfAll draw_named(Draw& draw) {
  const auto& names = qaf::quantizer_names();
  const std::string& name = names[static_cast<std::size_t>(draw.index(0, static_cast<qaf::Index>(names.size()) - 1))];
  const qaf::Granularity granularity = name == "codebook"
                                           ? draw.one_of({qaf::Granularity::tensor, qaf::Granularity::component})
                                           : draw_granularity(draw);
  const bool has_bits = name != "ternary" && name != "binary" && name != "nf4";
  const int bits = has_bits ? draw.integer(2, 7) : 0;
  draw.note(name, " ", bits, " ", to_string(granularity));
  const qaf::AnyQuantizer any = qaf::make_quantizer(name, bits, granularity);
  return std::visit([](const auto& chosen) { return AnyOfAll{{}, chosen}; }, any.choice);
}

AnyOfAll draw_good_quantizer(Draw& draw) {
  switch (draw.integer(0, 11)) {
    case 0:
      return {{}, draw_affine<qaf::AffineQuantizer>(draw, 8)};
    case 1:
      return {{}, draw_affine<qaf::BasicAffineQuantizer<std::int8_t>>(draw, 8)};
    case 2:
      return {{}, draw_affine<qaf::BasicAffineQuantizer<std::int16_t>>(draw, 16)};
    case 3:
      return {{}, draw_uniform<qaf::UniformQuantizer16>(draw, 16)};
    case 4:
      return {{}, draw_levels(draw)};
    case 5:
      return {{}, draw_codebook(draw)};
    case 6:
      return {{}, with_compact_scales(draw, draw_uniform<qaf::UniformQuantizer>(draw, 8))};
    case 7:
      return {{}, with_compact_scales(draw, draw_affine<qaf::AffineQuantizer>(draw, 8))};
    case 8:
      return {{}, with_compact_scales(draw, draw_levels(draw))};
    case 9:
      return draw_convention(draw);
    case 10:
      return draw_named(draw);
    default:
      return {{}, draw_uniform<qaf::UniformQuantizer>(draw, 8)};
  }
}

}  // namespace

void Quantizer::validate() const { chosen.validate(); }
Quantizer::Parameters Quantizer::fit(const qaf::Matrix<float>& matrix) const { return chosen.fit(matrix); }
Quantizer::Parameters Quantizer::fit(const qaf::Matrix<double>& matrix) const { return chosen.fit(matrix); }
qaf::Matrix<Quantizer::Code> Quantizer::encode(const qaf::Matrix<float>& matrix, const Parameters& parameters) const {
  return chosen.encode(matrix, parameters);
}
qaf::Matrix<Quantizer::Code> Quantizer::encode(const qaf::Matrix<double>& matrix, const Parameters& parameters) const {
  return chosen.encode(matrix, parameters);
}
qaf::Matrix<float> Quantizer::decode(const qaf::Matrix<Code>& codes, const Parameters& parameters) const {
  return chosen.decode(codes, parameters);
}
Quantizer::Parameters Quantizer::column_parameters(const Parameters& parameters, qaf::Index r) const {
  return chosen.column_parameters(parameters, r);
}
bool Quantizer::set_column_parameters(Parameters& parameters, qaf::Index r, const Parameters& column) const {
  return chosen.set_column_parameters(parameters, r, column);
}
int Quantizer::code_bits() const { return chosen.code_bits(); }
qaf::Index Quantizer::parameter_bits(const Parameters& parameters) const { return chosen.parameter_bits(parameters); }
int Quantizer::lowest() const { return chosen.lowest(); }
int Quantizer::highest() const { return chosen.highest(); }

Quantizer draw_quantizer(Draw& draw) { return {draw_good_quantizer(draw)}; }

void spoil_quantizer(Draw& draw, Quantizer& quantizer) {
  draw.spoil("a field of the quantizer");
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  switch (draw.integer(0, 4)) {
    case 0: {
      qaf::UniformQuantizer bad;
      bad.bits = draw.one_of({0, -1, 9, 1000, std::numeric_limits<int>::max(), std::numeric_limits<int>::min()});
      quantizer.chosen.choice = bad;
      break;
    }
    case 1: {
      qaf::BasicAffineQuantizer<std::int16_t> bad;
      bad.smallest_scale = draw.one_of({0.0F, -1.0F, 2.0F, static_cast<float>(nan), 1e-45F});
      quantizer.chosen.choice = bad;
      break;
    }
    case 2: {
      qaf::LevelQuantizer<qaf::AnyLevels> bad;
      bad.table.choice = qaf::PowerOfTwoLevels{draw.one_of({1, 8, -5, 100})};
      quantizer.chosen.choice = bad;
      break;
    }
    case 3: {
      qaf::CodebookQuantizer bad;
      if (draw.chance(0.5))
        bad.bits = draw.one_of({0, 9, -1});
      else
        bad.granularity = qaf::Granularity::row;
      quantizer.chosen.choice = bad;
      break;
    }
    default: {
      qaf::CompactScales<qaf::UniformQuantizer> bad;
      if (draw.chance(0.5)) {
        bad.base.granularity = qaf::Granularity::block;
        bad.base.block_size = draw.one_of<qaf::Index>({0, -1});
      } else {
        bad.base.scale_method = qaf::ScaleMethod::percentile;
        bad.base.percentile = draw.one_of({0.0, -1.0, 101.0, nan});
      }
      quantizer.chosen.choice = bad;
    }
  }
}

std::vector<Quantizer> draw_quantizers(Draw& draw, qaf::Index order) {
  const bool is_one = draw.chance(0.6);
  std::vector<Quantizer> quantizers;
  for (qaf::Index mode = 0; mode < (is_one ? 1 : order); ++mode) quantizers.push_back(draw_quantizer(draw));
  if (draw.chance(0.02)) spoil_quantizer(draw, quantizers.front());
  quantizers.resize(static_cast<std::size_t>(order), quantizers.front());
  if (draw.chance(0.01)) {
    quantizers.push_back(quantizers.front());
    draw.spoil("a quantizer too many");
  }
  return quantizers;
}

namespace {

#if QAF_PROPERTY_MODEL_FILES
template <typename Scalar>
void check_file_of(bool packed, const qaf::QuantizedCpModel<Scalar, Quantizer>& model) {
  static const std::string path =
      (std::filesystem::temp_directory_path() / ("qaf_property_" + std::to_string(getpid()) + ".safetensors")).string();
  qaf::QuantizedCpModel<Scalar, AnyOfAll> written;
  written.weights = model.weights;
  for (const auto& factor : model.factors)
    written.factors.push_back({factor.codes, factor.parameters, factor.quantizer.chosen});
  qaf::ModelFileOptions options;
  options.packed = packed;
  qaf::write_quantized_model(path, written, options);
  const auto read = qaf::read_quantized_model<Scalar, AnyOfAll>(path);
  std::filesystem::remove(path);
  require(read.weights == written.weights, "the weights change in a file");
  for (std::size_t n = 0; n < written.factors.size(); ++n) {
    require(read.factors[n].codes == written.factors[n].codes, "the codes of factor ", n, " change in a file");
    require(qaf::decode<Scalar>(read.factors[n]) == qaf::decode<Scalar>(written.factors[n]), "factor ", n,
            " changes in a file");
  }
}
#else
template <typename Scalar>
void check_file_of(bool, const qaf::QuantizedCpModel<Scalar, Quantizer>&) {}
#endif

}  // namespace

void check_file(bool packed, const qaf::QuantizedCpModel<float, Quantizer>& model) { check_file_of(packed, model); }
void check_file(bool packed, const qaf::QuantizedCpModel<double, Quantizer>& model) { check_file_of(packed, model); }

}  // namespace property
