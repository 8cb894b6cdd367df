#include "subjects.hpp"

namespace property {

std::string run_double_subject(int subject, Draw& draw) { return run_subject<double>(subject, draw); }

}  // namespace property
