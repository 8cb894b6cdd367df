#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include <qaf/error.hpp>
#include <qaf/quantizers/levels.hpp>

namespace qaf {
namespace detail {

/// The levels of a table symmetric about 0, ascending: those magnitudes, their negatives and 0, each once.
inline std::vector<float> symmetric_levels(const std::vector<float>& magnitudes) {
  std::vector<float> levels{0};
  for (const float magnitude : magnitudes) {
    levels.push_back(magnitude);
    levels.push_back(-magnitude);
  }
  std::sort(levels.begin(), levels.end());
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
  return levels;
}

}  // namespace detail

/// 0 and `+-2^-k`, k = 0 .. 2^(bits-1) - 2: multiplying by such a number is a shift (Miyashita, Lee and Murmann 2016).
/// `2^bits - 1` levels.
struct PowerOfTwoLevels {
  int bits = 4;  ///< of a code with its sign, 2 to 7

  /// Errors: bits out of range.
  void validate() const {
    if (bits < 2 || bits > 7) detail::fail("PowerOfTwoLevels", "bits must be from 2 to 7, got ", bits);
  }

  /// The levels, ascending, the farthest from 0 at magnitude 1.
  std::vector<float> levels() const {
    std::vector<float> magnitudes;
    for (int k = 0; k <= (1 << (bits - 1)) - 2; ++k) magnitudes.push_back(std::ldexp(1.0F, -k));
    return detail::symmetric_levels(magnitudes);
  }
};

/// Sums of powers of two (APoT; Li, Dong and Wang 2020, equation 5): multiplying by such a number is a few shifts and
/// additions, and the levels lie closer to each other than those of `PowerOfTwoLevels` where these are far from 0.
///
/// A magnitude is the sum of n terms of 2 bits, `bits = 2 n + 1`: term i is 0, `2^-i`, `2^-(i+n)` or `2^-(i+2n)`. For
/// even bits, as in the authors' code, one more term has 1 bit, 0 or `2^-2n`, and the last choices of the others come
/// after that. All are divided by the largest sum.
struct AdditivePowerOfTwoLevels {
  int bits = 4;  ///< of a code with its sign, 2 to 8

  /// Errors: bits out of range.
  void validate() const {
    if (bits < 2 || bits > 8) detail::fail("AdditivePowerOfTwoLevels", "bits must be from 2 to 8, got ", bits);
  }

  /// The levels, ascending, the farthest from 0 at magnitude 1.
  std::vector<float> levels() const {
    const int terms = (bits - 1) / 2;
    const bool has_single = bits % 2 == 0;
    std::vector<float> sums{0};
    const auto add_term = [&](const std::vector<int>& exponents) {
      const std::vector<float> shorter = sums;
      for (const int exponent : exponents)
        for (const float sum : shorter) sums.push_back(sum + std::ldexp(1.0F, -exponent));
    };
    for (int i = 0; i < terms; ++i) add_term({i, i + terms, i + 2 * terms + (has_single ? 1 : 0)});
    if (has_single) add_term({2 * terms});
    const float largest = *std::max_element(sums.begin(), sums.end());
    for (float& sum : sums) sum /= largest;
    return detail::symmetric_levels(sums);
  }
};

/// Every value is a scale times 0 or `+-2^-k`.
using PowerOfTwoQuantizer = LevelQuantizer<PowerOfTwoLevels>;

/// Every value is a scale times a sum of powers of two.
using AdditivePowerOfTwoQuantizer = LevelQuantizer<AdditivePowerOfTwoLevels>;

}  // namespace qaf
