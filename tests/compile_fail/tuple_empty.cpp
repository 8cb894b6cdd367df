// expects: qaf: a std::tuple of quantizers must hold one for each mode
#include <tuple>

#include <qaf/cp_admm.hpp>

void use(const qaf::Matrix<float>& matrix) { qaf::cp_admm(matrix, 2, std::tuple<>()); }
