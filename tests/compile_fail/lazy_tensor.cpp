// expects: evaluate an expression first
#include <unsupported/Eigen/CXX11/Tensor>

#include <qaf/cp_als.hpp>

void use(const Eigen::Tensor<float, 3>& a, const Eigen::Tensor<float, 3>& b) { qaf::cp_als(a + b, 2); }
