// The one file of a large project that compiles the solvers. It may have included them before.
#include <qaf/cp_als.hpp>
#include <qaf/explicit_instantiation.hpp>

QAF_INSTANTIATE
