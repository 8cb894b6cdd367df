#include <cmath>
#include <cstdio>

#include <qaf/qaf.hpp>

#include "other.hpp"

// Both translation units instantiate the same functions and define nothing twice.
int main() {
  Eigen::Tensor<float, 3> tensor(6, 5, 4);
  for (int k = 0; k < 120; ++k) tensor.data()[k] = static_cast<float>(std::sin(k * k));
  const double error = qaf::cp_als(tensor, 3).relative_error;
  qaf::UniformQuantizer quantizer;
  quantizer.bits = 8;
  const auto result = qaf::cp_admm(tensor, 3, quantizer);
  std::printf("qaf %s: ALS %.4f, elsewhere %.4f, 8 bits %.4f\n", QAF_VERSION, error, error_in_other_unit(),
              result.relative_error);
  return error == error_in_other_unit() && result.relative_error < error + 0.05 ? 0 : 1;
}
