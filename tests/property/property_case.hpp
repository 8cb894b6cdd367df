#pragma once

#include <cstdint>
#include <string>

namespace property {

/// How a case ended.
struct Ending {
  std::string subject;  ///< the function, and the scalar
  std::string kind;     ///< a status, "refused" or "as it must be"
  std::string failure;  ///< what is wrong; empty where nothing is
  std::string line;     ///< what was drawn
  std::string refusal;  ///< the sentence of the error
};

/// The case of that number.
Ending run_case(std::uint64_t number);

/// What the case that runs has drawn so far, for a report of a crash.
void show_line(const std::string& line);

}  // namespace property
