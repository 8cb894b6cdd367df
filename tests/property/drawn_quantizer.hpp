#pragma once

#include <cstdint>
#include <vector>

#include <qaf/quantized_model.hpp>
#include <qaf/quantizers/affine.hpp>
#include <qaf/quantizers/any.hpp>
#include <qaf/quantizers/codebook.hpp>
#include <qaf/quantizers/compact_scales.hpp>
#include <qaf/quantizers/levels.hpp>
#include <qaf/quantizers/one_of.hpp>
#include <qaf/quantizers/uniform.hpp>
#include <qaf/types.hpp>

#include "draw.hpp"

namespace property {

/// All quantizers of the library in one type.
using AnyOfAll =
    qaf::OneOf<qaf::UniformQuantizer, qaf::UniformQuantizer16, qaf::AffineQuantizer,
               qaf::BasicAffineQuantizer<std::int8_t>, qaf::BasicAffineQuantizer<std::int16_t>,
               qaf::LevelQuantizer<qaf::AnyLevels>, qaf::CodebookQuantizer, qaf::CompactScales<qaf::UniformQuantizer>,
               qaf::CompactScales<qaf::AffineQuantizer>, qaf::CompactScales<qaf::LevelQuantizer<qaf::AnyLevels>>>;

/// The same behind functions that are compiled once, since the solvers would compile them in many places.
struct Quantizer {
  using Code = AnyOfAll::Code;
  using Parameters = AnyOfAll::Parameters;

  AnyOfAll chosen;

  void validate() const;
  Parameters fit(const qaf::Matrix<float>& matrix) const;
  Parameters fit(const qaf::Matrix<double>& matrix) const;
  qaf::Matrix<Code> encode(const qaf::Matrix<float>& matrix, const Parameters& parameters) const;
  qaf::Matrix<Code> encode(const qaf::Matrix<double>& matrix, const Parameters& parameters) const;
  qaf::Matrix<float> decode(const qaf::Matrix<Code>& codes, const Parameters& parameters) const;
  Parameters column_parameters(const Parameters& parameters, qaf::Index r) const;
  bool set_column_parameters(Parameters& parameters, qaf::Index r, const Parameters& column) const;
  int code_bits() const;
  qaf::Index parameter_bits(const Parameters& parameters) const;
  int lowest() const;
  int highest() const;
};

/// Any of them, with fields in their ranges.
Quantizer draw_quantizer(Draw& draw);

/// Sets a field to what it cannot be.
void spoil_quantizer(Draw& draw, Quantizer& quantizer);

/// The same one for all modes, or one a mode; sometimes too many.
std::vector<Quantizer> draw_quantizers(Draw& draw, qaf::Index order);

/// A model written to a file and read again must have the same codes, and stand for the same. Does nothing where there
/// are no model files. Throws `BrokenLaw`.
void check_file(bool packed, const qaf::QuantizedCpModel<float, Quantizer>& model);
void check_file(bool packed, const qaf::QuantizedCpModel<double, Quantizer>& model);

}  // namespace property
