#include <cstdio>

#include <qaf/cp_als.hpp>

// What C++20 adds for a user: options by the names of their fields.
int main() {
  const Eigen::MatrixXd matrix = Eigen::MatrixXd::Identity(4, 4);
  const auto result = qaf::cp_als(matrix, 4, {.max_iterations = 100, .tolerance = 1e-8, .seed = 3});
  std::printf("%ld sweeps, relative error %g\n", static_cast<long>(result.iterations), result.relative_error);
  return result.iterations <= 100 && result.relative_error < 0.1 && result.seed == 3 ? 0 : 1;
}
