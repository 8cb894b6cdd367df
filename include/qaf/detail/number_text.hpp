#pragma once

#include <limits>
#include <locale>
#include <sstream>
#include <string>

namespace qaf::detail {

/// A number in the fewest digits, six or more, from which it comes back, without an exponent below 10^15.
inline std::string number_text(double value) {
  std::string text;
  for (int digits = 6; digits <= std::numeric_limits<double>::max_digits10; ++digits) {
    std::ostringstream out;
    out.imbue(std::locale::classic());
    out.precision(digits);
    out << value;
    text = out.str();
    double back = 0;
    std::istringstream in(text);
    in.imbue(std::locale::classic());
    const bool has_exponent = text.find('e') != std::string::npos && value > 1 && value < 1e15;
    if (in >> back && back == value && !has_exponent) break;
  }
  return text;
}

}  // namespace qaf::detail
