#pragma once

#include <qaf/cp_model.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/quantizer.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// The bits that a model takes, packed.
struct ModelSize {
  Index codes = 0;       ///< those of all factors
  Index parameters = 0;  ///< scales, zero points, tables; without scales that merge into the weights
  Index weights = 0;     ///< lambda, with all that was merged into it

  /// All together.
  Index bits() const { return codes + parameters + weights; }
  /// All together, in bytes of 8 bits.
  double bytes() const { return static_cast<double>(bits()) / 8; }
};

/// The size of a quantized model. Scales of columns and of whole factors count nothing, since they merge into the
/// weights; what does not, such as scales of rows and blocks, zero points and tables, counts as the optional members
/// `code_bits` and `parameter_bits` of the quantizer tell (see `IdentityQuantizer`).
template <typename Scalar, typename Quantizer>
ModelSize model_size(const QuantizedCpModel<Scalar, Quantizer>& model) {
  constexpr bool tells_size = detail::is_detected<detail::CodeBitsResult, Quantizer> &&
                              detail::is_detected<detail::ParameterBitsResult, Quantizer>;
  static_assert(tells_size,
                "qaf: for the size of a model its quantizer needs the members code_bits() const and "
                "parameter_bits(parameters) const (see IdentityQuantizer in qaf/quantizer.hpp)");
  ModelSize size;
  if constexpr (tells_size) {
    for (const QuantizedFactor<Quantizer>& factor : model.factors) {
      size.codes += factor.codes.size() * factor.quantizer.code_bits();
      size.parameters += factor.quantizer.parameter_bits(factor.parameters);
    }
    size.weights = model.weights.size() * static_cast<Index>(8 * sizeof(Scalar));
  }
  return size;
}

/// The size of a float model; its factors count as `parameters`.
template <typename Scalar>
ModelSize model_size(const CpModel<Scalar>& model) {
  constexpr Index scalar_bits = 8 * sizeof(Scalar);
  ModelSize size;
  for (const Matrix<Scalar>& factor : model.factors) size.parameters += factor.size() * scalar_bits;
  size.weights = model.weights.size() * scalar_bits;
  return size;
}

}  // namespace qaf
