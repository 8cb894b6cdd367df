// The ten lines: a trained convolution's weights become 4-bit integer factors plus scales.

#include <cstdio>

#include <qaf/io/npy.hpp>
#include <qaf/qaf.hpp>

int main() {
  qaf::DenseTensor<float> weights = qaf::read_npy<float>(QAF_EXAMPLE_DATA "/network/conv5.weight.npy");
  weights.reshape({64, 64, 9});  // an Eigen::Tensor<float, 3> would do as well
  const qaf::Index rank = 134;   // half the parameters of the convolution

  qaf::UniformQuantizer quantizer;
  quantizer.bits = 4;
  const auto result = qaf::cp_admm(weights, rank, quantizer);

  const auto& factor = result.model.factors[0];
  std::printf("factor 0: %td x %td codes, for example %d with scale %.4g\n", factor.codes.rows(), factor.codes.cols(),
              factor.codes(0, 0), static_cast<double>(factor.parameters.scales[0]));

  const auto model = qaf::cp_als(weights, rank).model;  // the usual way: factor first, quantize afterwards
  const double afterwards = qaf::relative_error(weights, qaf::quantize(model, quantizer));
  std::printf("relative error: quantized afterwards %.4f, quantization-aware %.4f\n", afterwards,
              result.relative_error);
  return result.relative_error < afterwards ? 0 : 1;
}
