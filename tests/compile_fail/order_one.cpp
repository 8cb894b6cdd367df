// expects: qaf: a tensor must have at least 2 modes
#include <unsupported/Eigen/CXX11/Tensor>

#include <qaf/cp_als.hpp>

void use(const Eigen::Tensor<float, 1>& tensor) { qaf::cp_als(tensor, 2); }
