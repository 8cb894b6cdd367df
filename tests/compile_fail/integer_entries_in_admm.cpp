// expects: qaf: the entries of a tensor must be float or double
#include <qaf/cp_admm.hpp>
#include <qaf/quantizers/uniform.hpp>

void use(const qaf::DenseTensor<int>& tensor) { qaf::cp_admm(tensor, 2, qaf::UniformQuantizer()); }
