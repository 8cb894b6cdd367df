#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <random>
#include <string>

#include <qaf/error.hpp>
#include <qaf/types.hpp>

namespace property {

/// Everything that is random in a case, from the number of the case alone, and a line that tells what was drawn.
class Draw {
 public:
  explicit Draw(std::uint64_t number) : engine_(number) {}

  /// From 0 to 1, without 1.
  double part() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }

  bool chance(double probability) { return part() < probability; }

  /// From `least` to `most`.
  qaf::Index index(qaf::Index least, qaf::Index most) {
    return least + static_cast<qaf::Index>(engine_() % static_cast<std::uint64_t>(most - least + 1));
  }
  int integer(int least, int most) { return static_cast<int>(index(least, most)); }

  /// From `least` to `most`, small numbers more often.
  qaf::Index small_index(qaf::Index least, qaf::Index most) {
    const double ratio = static_cast<double>(most + 1) / static_cast<double>(least);
    return std::min(most, static_cast<qaf::Index>(static_cast<double>(least) * std::pow(ratio, part())));
  }

  double uniform(double least, double most) { return least + (most - least) * part(); }

  /// Ten to the power of anything between.
  double magnitude(double least_exponent, double most_exponent) {
    return std::pow(10.0, uniform(least_exponent, most_exponent));
  }

  double normal() { return std::sqrt(-2 * std::log(1 - part())) * std::cos(6.283185307179586 * part()); }

  std::uint64_t bits() { return engine_(); }

  template <typename Value>
  Value one_of(std::initializer_list<Value> values) {
    return *std::next(values.begin(),
                      static_cast<std::ptrdiff_t>(index(0, static_cast<qaf::Index>(values.size()) - 1)));
  }

  /// Adds to the line.
  template <typename... Parts>
  void note(const Parts&... parts) {
    line_ += (line_.empty() ? "" : " ") + qaf::detail::concatenate(parts...);
  }
  const std::string& line() const { return line_; }

  /// Tells that the case holds something that must be refused.
  template <typename... Parts>
  void spoil(const Parts&... parts) {
    is_spoilt_ = true;
    note("SPOILT:", parts...);
  }
  bool is_spoilt() const { return is_spoilt_; }

  /// Tells that the case is at the edge of what a scalar holds: a refusal is as good as a result.
  void allow_refusal() { may_be_refused_ = true; }
  bool may_be_refused() const { return may_be_refused_; }

 private:
  std::mt19937_64 engine_;
  std::string line_;
  bool is_spoilt_ = false, may_be_refused_ = false;
};

}  // namespace property
