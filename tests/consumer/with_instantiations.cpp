#include <cstdio>

#include <qaf/explicit_instantiation.hpp>

// Calls all that is compiled once, elsewhere. It would not link if a declaration and its definition did not agree.
template <typename Scalar>
bool solve() {
  Eigen::Tensor<Scalar, 3> tensor(6, 5, 4);
  tensor.setRandom();
  qaf::UniformQuantizer quantizer;
  quantizer.bits = 4;
  qaf::CpAdmmOptions options = qaf::cp_admm_options(qaf::Effort::quick);
  const auto model = qaf::cp_als(tensor, 3).model;
  const auto afterwards = qaf::quantize(model, quantizer);
  auto result = qaf::cp_admm(tensor, 3, quantizer, options);
  const double error = qaf::relative_error(tensor, result.model);
  qaf::fit_weights(tensor, result.model);
  qaf::coordinate_descent(tensor, result.model);
  const bool is_mttkrp = qaf::mttkrp(tensor, model.factors, 1).rows() == 5;
  std::printf("quantized afterwards %.3f, quantization-aware %.3f\n", qaf::relative_error(tensor, afterwards), error);
  return is_mttkrp && error <= qaf::relative_error(tensor, afterwards) + 0.05;
}

int main() { return solve<float>() && solve<double>() ? 0 : 1; }
