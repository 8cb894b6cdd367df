// expects: qaf: a tensor must be an Eigen::Tensor, TensorMap, an Eigen matrix, a qaf::DenseTensor or a qaf::TensorView
#include <vector>

#include <qaf/cp_als.hpp>

void use(const std::vector<float>& entries) { qaf::cp_als(entries, 2); }
