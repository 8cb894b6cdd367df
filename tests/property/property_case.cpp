#include "property_case.hpp"

#include <exception>
#include <stdexcept>
#include <string>

#include <qaf/error.hpp>

#include "draw.hpp"
#include "laws.hpp"

namespace property {

std::string run_float_subject(int subject, Draw& draw);
std::string run_double_subject(int subject, Draw& draw);

namespace {

/// The subject of a case: half of them are `cp_admm`.
int draw_subject(Draw& draw) { return draw.one_of({0, 0, 0, 0, 0, 1, 2, 3, 4, 4, 5, 5}); }

const char* const subjects[] = {"cp_admm",
                                "cp_als",
                                "quantization_aware_start",
                                "error_preserving_correction",
                                "quantize, fit_weights, coordinate_descent",
                                "a quantizer"};

/// What is wrong with a refusal; "" where nothing is.
std::string flaw_of_refusal(const Draw& draw, const std::string& sentence) {
  if (!draw.is_spoilt() && !draw.may_be_refused()) return "refused without a reason: " + sentence;
  if (sentence.compare(0, 5, "qaf::") != 0 || sentence.find(": ") == std::string::npos ||
      sentence.find("got") == std::string::npos)
    return "refused without saying what was expected and what came: " + sentence;
  return "";
}

}  // namespace

Ending run_case(std::uint64_t number) {
  Draw draw(number);
  const int subject = draw_subject(draw);
  const bool is_float = draw.chance(0.6);
  Ending ending;
  ending.subject = std::string(subjects[subject]) + (is_float ? ", float" : ", double");
  draw.note(ending.subject, ":");
  try {
    ending.kind = is_float ? run_float_subject(subject, draw) : run_double_subject(subject, draw);
    if (draw.is_spoilt() && !draw.may_be_refused()) ending.failure = "accepted what must be refused";
  } catch (const BrokenLaw& broken) {
    ending.failure = broken.text;
  } catch (const std::invalid_argument& error) {
    ending.kind = "refused";
    ending.refusal = error.what();
    ending.failure = flaw_of_refusal(draw, error.what());
  } catch (const std::exception& error) {
    ending.failure = std::string("another exception: ") + error.what();
  }
  ending.line = draw.line();
  return ending;
}

}  // namespace property
