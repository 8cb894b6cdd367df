#include <cstdio>

#include "qaf_in_one.hpp"

// In the other file.
int bytes_of_packed_codes();

// The header that was made, in two files of a program.
int main() {
  const Eigen::MatrixXf matrix = Eigen::MatrixXf::Identity(4, 4);
  const double error = qaf::cp_als(matrix, 4).relative_error;
  std::printf("qaf %s: relative error %g\n", QAF_VERSION, error);
  return error < 0.1 && bytes_of_packed_codes() == 2 ? 0 : 1;
}
