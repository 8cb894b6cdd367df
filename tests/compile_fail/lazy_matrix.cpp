// expects: qaf: a matrix expression has no entries in memory yet; pass expression.eval()
#include <qaf/cp_als.hpp>

void use(const Eigen::MatrixXf& a, const Eigen::MatrixXf& b) { qaf::cp_als(a + b, 2); }
