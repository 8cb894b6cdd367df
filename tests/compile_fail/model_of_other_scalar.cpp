// expects: qaf: a tensor and its model or factors must have the same scalar type
#include <qaf/cp_model.hpp>

double use(const qaf::Matrix<float>& matrix, const qaf::CpModel<double>& model) {
  return qaf::relative_error(matrix, model);
}
