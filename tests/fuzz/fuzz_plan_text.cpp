// Any bytes as the text of a plan: a plan that is written and read again alike, or an invalid argument.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include <qaf/plan/plan_text.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qaf::Plan plan;
  try {
    plan = qaf::parse_plan(std::string(reinterpret_cast<const char*>(data), size));
  } catch (const std::invalid_argument&) {
    return 0;
  }
  // The loss in the first text is of errors that were not rounded yet.
  const std::string text = qaf::plan_text(qaf::parse_plan(qaf::plan_text(plan)));
  if (qaf::plan_text(qaf::parse_plan(text)) != text) std::abort();
  return 0;
}
