// Any bytes as the description of a network: one whose values are in range and that reads alike when it is written out
// again, or an error with a sentence.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>

#include "support/network_description.hpp"

namespace {

NetworkDescription parsed(const std::string& text) {
  std::istringstream stream(text);
  return parse_description(stream, "net.txt");
}

/// The description in a form in which nothing is left to its defaults.
std::string text_of(const NetworkDescription& description) {
  std::ostringstream text;
  text.precision(std::numeric_limits<double>::max_digits10);
  text << "input channels " << description.means.size() << " means";
  for (const float mean : description.means) text << " " << mean;
  text << " deviations";
  for (const float deviation : description.deviations) text << " " << deviation;
  for (const Step& step : description.steps) {
    text << "\n" << (step.branch.empty() ? "" : "on " + step.branch + " ");
    for (const network_description::Grammar& grammar : network_description::grammars()) {
      if (grammar.kind != step.kind) continue;
      text << grammar.word << " " << step.name;
      for (const std::string& name : grammar.numbers) {
        text << " " << name << " ";
        if (name == "epsilon")
          text << step.epsilon;
        else
          text << (name == "size"       ? step.size
                   : name == "stride"   ? step.stride
                   : name == "dilation" ? step.dilation
                   : name == "padding"  ? step.padding
                                        : step.groups);
      }
    }
  }
  return text.str();
}

bool is_in_range(const NetworkDescription& description) {
  bool good = description.means.size() == description.deviations.size() && !description.means.empty() &&
              !description.steps.empty();
  for (const float mean : description.means) good = good && std::isfinite(mean);
  for (const float deviation : description.deviations) good = good && std::isfinite(deviation) && deviation > 0;
  for (const Step& step : description.steps)
    good = good && step.stride >= 1 && step.padding >= 0 && step.dilation >= 1 && step.groups >= 1 && step.epsilon > 0;
  return good;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const NetworkDescription description = parsed(std::string(reinterpret_cast<const char*>(data), size));
    if (!is_in_range(description)) std::abort();
    const std::string text = text_of(description);
    try {
      if (text_of(parsed(text)) != text) std::abort();
    } catch (const std::runtime_error&) {
      std::abort();  // what was read can be written
    }
  } catch (const std::runtime_error&) {
  }
  return 0;
}
