#pragma once

#include <cmath>
#include <cstdint>
#include <random>

#include <qaf/types.hpp>

namespace qaf::detail {

/// Standard normal numbers from a seed. The library's own transform (Box and Muller 1958): the
/// standard distributions differ from one standard library to the next.
class NormalGenerator {
 public:
  explicit NormalGenerator(std::uint64_t seed) : engine_(seed) {}

  double operator()() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    constexpr double two_pi = 6.283185307179586476925286766559;
    const double radius = std::sqrt(-2 * std::log(uniform()));
    const double angle = two_pi * uniform();
    spare_ = radius * std::sin(angle);
    has_spare_ = true;
    return radius * std::cos(angle);
  }

  template <typename Scalar>
  Matrix<Scalar> matrix(Index rows, Index cols) {
    Matrix<Scalar> result(rows, cols);
    for (Index j = 0; j < cols; ++j)
      for (Index i = 0; i < rows; ++i) result(i, j) = static_cast<Scalar>((*this)());
    return result;
  }

 private:
  // In (0, 1], so that its logarithm is finite: 53 random bits, plus one step.
  double uniform() { return (static_cast<double>(engine_() >> 11) + 1) * 0x1p-53; }

  std::mt19937_64 engine_;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace qaf::detail
