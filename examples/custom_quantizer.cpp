// Write a quantizer, use it, check it: ternary weights after Li et al. 2016, "Ternary Weight Networks".

#include <cmath>
#include <cstdint>
#include <cstdio>

#include <qaf/io/npy.hpp>
#include <qaf/qaf.hpp>

// Every entry is -scale, 0 or scale. All the solvers need is Code, Parameters, fit, encode and decode.
struct TernaryQuantizer {
  using Code = std::int8_t;
  struct Parameters {
    float scale = 1;
  };

  // The scale is the mean magnitude of the entries above 0.7 times the mean magnitude of all.
  Parameters fit(const qaf::Matrix<float>& matrix) const {
    const auto magnitudes = matrix.array().abs();
    const auto large = (magnitudes > 0.7F * magnitudes.mean()).cast<float>();
    const float count = large.sum();
    return count > 0 ? Parameters{(magnitudes * large).sum() / count} : Parameters{};
  }

  // The nearest of the three values: nearer to 0 up to half a scale.
  qaf::Matrix<Code> encode(const qaf::Matrix<float>& matrix, const Parameters& parameters) const {
    return (matrix / parameters.scale).array().rint().max(-1.0F).min(1.0F).cast<Code>();
  }

  qaf::Matrix<float> decode(const qaf::Matrix<Code>& codes, const Parameters& parameters) const {
    return codes.cast<float>() * parameters.scale;
  }
};

int main() {
  qaf::DenseTensor<float> weights = qaf::read_npy<float>(QAF_EXAMPLE_DATA "/network/conv5.weight.npy");
  weights.reshape({64, 64, 9});
  const qaf::Index rank = 400;  // a larger rank is cheap at 1.6 bits a code
  const TernaryQuantizer quantizer;

  // Use it.
  const auto afterwards = quantize(qaf::cp_als(weights, rank).model, quantizer);
  const auto result = cp_admm(weights, rank, quantizer);

  // Check it: codes in range, and encoding what was decoded changes nothing.
  bool valid = true;
  for (const auto& factor : result.model.factors) {
    valid = valid && factor.codes.minCoeff() >= -1 && factor.codes.maxCoeff() <= 1;
    const qaf::Matrix<float> decoded = quantizer.decode(factor.codes, factor.parameters);
    valid = valid && quantizer.encode(decoded, factor.parameters) == factor.codes;
  }

  const double error_afterwards = relative_error(weights, afterwards);
  std::printf("ternary factors of rank %td, relative error\n", rank);
  std::printf("  CP-ALS, quantized afterwards  %.4f\n", error_afterwards);
  std::printf("  quantization-aware            %.4f\n", result.relative_error);
  std::printf("codes %s\n", valid ? "valid" : "NOT VALID");
  return valid && result.relative_error < error_afterwards ? 0 : 1;
}
