#pragma once

#include <cstddef>
#include <vector>

#include <qaf/cp_model.hpp>
#include <qaf/detail/mode_quantizers.hpp>
#include <qaf/error.hpp>
#include <qaf/quantizer.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// One factor as codes, with all that decoding them needs.
template <typename Quantizer>
struct QuantizedFactor {
  Matrix<typename Quantizer::Code> codes;     ///< `I_n x R`
  typename Quantizer::Parameters parameters;  ///< scales and the like
  Quantizer quantizer;                        ///< a copy of the one that made them
};

/// A CP model whose factors are codes: the tensor it describes is the sum over r of
/// `weights[r] * a_r(1) o a_r(2) o ...` with `a_r(n)` column r of the decoded factor n.
template <typename Scalar, typename Quantizer>
struct QuantizedCpModel {
  std::vector<QuantizedFactor<Quantizer>> factors;  ///< one a mode
  Vector<Scalar> weights;                           ///< lambda, R

  /// The number of components, R.
  Index rank() const { return weights.size(); }
};

/// The codes of a matrix under the parameters that fit it.
template <typename Scalar, typename Quantizer>
QuantizedFactor<Quantizer> quantize(const Matrix<Scalar>& matrix, const Quantizer& quantizer) {
  QuantizedFactor<Quantizer> factor{{}, quantizer.fit(matrix), quantizer};
  factor.codes = quantizer.encode(matrix, factor.parameters);
  return factor;
}

/// What a factor's codes stand for (`I_n x R`).
template <typename Scalar, typename Quantizer>
Matrix<Scalar> decode(const QuantizedFactor<Quantizer>& factor) {
  return factor.quantizer.decode(factor.codes, factor.parameters).template cast<Scalar>();
}

/// The float model that the codes stand for, neither normalized nor balanced.
template <typename Scalar, typename Quantizer>
CpModel<Scalar> decode(const QuantizedCpModel<Scalar, Quantizer>& model) {
  CpModel<Scalar> decoded;
  for (const QuantizedFactor<Quantizer>& factor : model.factors) decoded.factors.push_back(decode<Scalar>(factor));
  decoded.weights = model.weights;
  return decoded;
}

/// Quantizes a float model as it is found after a float solver (post-training quantization): the
/// factors are balanced, then encoded one by one. `quantizers`: one for all modes, or a std::vector or std::tuple of
/// one a mode.
/// Errors: those of the quantizer, a model whose parts do not fit, another number of quantizers than modes.
template <typename Scalar, typename Quantizers>
auto quantize(CpModel<Scalar> model, const Quantizers& quantizers) {
  if constexpr (detail::ModeQuantizers<Quantizers>::template check<Scalar>()) {
    const auto each = detail::quantizers_of_modes("quantize", quantizers, static_cast<Index>(model.factors.size()));
    // Balanced factors of a tensor of norm 1 suit any quantizer; the scale of the data goes to the weights.
    const Scalar largest = model.weights.size() > 0 ? model.weights.cwiseAbs().maxCoeff() : Scalar(0);
    const Scalar unit = largest > 0 ? largest : Scalar(1);
    model.weights /= unit;
    balance(model);
    QuantizedCpModel<Scalar, typename detail::ModeQuantizers<Quantizers>::Quantizer> result;
    for (std::size_t n = 0; n < each.size(); ++n) result.factors.push_back(quantize(model.factors[n], each[n]));
    result.weights = Vector<Scalar>::Constant(model.rank(), unit);
    return result;
  }
}

/// The relative error of the tensor that the codes stand for. Errors and cost: as for a float model.
template <typename Tensor, typename Quantizer, typename Scalar = detail::TensorScalar<Tensor>>
double relative_error(const Tensor& tensor, const QuantizedCpModel<Scalar, Quantizer>& model,
                      const Resources& resources = {}) {
  return relative_error(tensor, decode(model), resources);
}

}  // namespace qaf
