#include <cstdio>

#include <qaf/cp_admm.hpp>
#include <qaf/quantizers/uniform.hpp>

// Built without exceptions and run-time types. With an argument it makes a mistake on purpose.
int main(int argc, char**) {
  const Eigen::MatrixXf matrix = Eigen::MatrixXf::Identity(4, 4);
  const auto result = qaf::cp_admm(matrix, argc > 1 ? 0 : 2, qaf::UniformQuantizer());
  std::printf("relative error %g\n", result.relative_error);
  return result.relative_error < 1 ? 0 : 1;
}
