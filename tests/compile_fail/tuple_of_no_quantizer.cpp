// expects: qaf: a quantizer needs a public type Code
#include <tuple>

#include <qaf/cp_admm.hpp>
#include <qaf/quantizers/uniform.hpp>

struct Broken {};

void use(const qaf::Matrix<float>& matrix) {
  qaf::cp_admm(matrix, 2, std::make_tuple(qaf::UniformQuantizer(), Broken()));
}
