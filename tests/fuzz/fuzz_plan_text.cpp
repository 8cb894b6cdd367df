// Any bytes as the text of a plan: a plan that is written and read again alike, or an invalid argument.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include <qaf/plan/plan_text.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const qaf::Plan plan = qaf::parse_plan(std::string(reinterpret_cast<const char*>(data), size));
    const std::string text =
        qaf::plan_text(qaf::parse_plan(qaf::plan_text(plan)));  // of rounded errors, and their loss
    if (qaf::plan_text(qaf::parse_plan(text)) != text) std::abort();
  } catch (const std::invalid_argument&) {
  }
  return 0;
}
