#include "other.hpp"

#include <cmath>

#include <qaf/qaf.hpp>

double error_in_other_unit() {
  Eigen::Tensor<float, 3> tensor(6, 5, 4);
  for (int k = 0; k < 120; ++k) tensor.data()[k] = static_cast<float>(std::sin(k * k));
  return qaf::cp_als(tensor, 3).relative_error;
}
