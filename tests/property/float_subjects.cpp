#include "subjects.hpp"

namespace property {

std::string run_float_subject(int subject, Draw& draw) { return run_subject<float>(subject, draw); }

}  // namespace property
