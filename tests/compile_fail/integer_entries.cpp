// expects: qaf: the entries of a tensor must be float or double
#include <qaf/cp_als.hpp>

void use(const Eigen::MatrixXi& matrix) { qaf::cp_als(matrix, 2); }
