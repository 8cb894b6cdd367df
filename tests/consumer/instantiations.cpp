// The one file of a large project that compiles the solvers.
#define QAF_INSTANTIATE
#include <qaf/explicit_instantiation.hpp>
