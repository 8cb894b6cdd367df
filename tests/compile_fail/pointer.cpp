// expects: wrap a pointer in qaf::TensorView
#include <qaf/cp_als.hpp>

void use(const float* entries) { qaf::cp_als(entries, 2); }
