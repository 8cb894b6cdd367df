#pragma once

#include <cmath>
#include <limits>

#include <qaf/detail/packets.hpp>
#include <qaf/error.hpp>
#include <qaf/quantizers/detail/column_chunks.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// Where a value half way between two integers goes.
enum class Ties {
  to_even,         ///< to the even one, as `nearbyint` in the default rounding mode
  away_from_zero,  ///< to the one farther from 0, as `round`
  up               ///< to the higher one, as `round(value - lowest) + lowest` with the lowest code
};

/// How `real / scale` becomes an integer. Systems differ in it at exact ties and in the last bit of the quotient.
struct Rounding {
  Ties ties = Ties::to_even;   ///< where exact halves go
  bool by_reciprocal = false;  ///< `real * (1 / scale)`, both rounded to the scalar type, in the place of a division

  /// The nearest integer. `lowest`: the lowest code.
  template <typename Scalar>
  Scalar round(Scalar value, int lowest) const {
    const Scalar origin = static_cast<Scalar>(lowest);
    switch (ties) {
      case Ties::to_even:
        break;
      case Ties::away_from_zero:
        return std::round(value);
      case Ties::up:
        return std::round(value - origin) + origin;
    }
    return std::rint(value);
  }

  /// The same for a chunk of values, of the integers from `low` to `high`, which are at most 2^22.
  template <typename Values, typename Scalar>
  void round(const Values& values, int lowest, Scalar low, Scalar high, detail::Chunk<Scalar>& rounded) const {
    const Scalar origin = static_cast<Scalar>(lowest);
    constexpr Scalar addend = detail::rounding_addend<Scalar>;
    // A name for the clamped values would be kept in memory by g++.
    switch (ties) {
      case Ties::to_even:
        if constexpr (detail::rounds_by_addition)
          rounded = (values.max(low).min(high) + addend) - addend;
        else
          rounded = values.max(low).min(high).rint();
        break;
      case Ties::away_from_zero:
        rounded = values.max(low).min(high).round();
        break;
      case Ties::up:
        rounded = (values.max(low).min(high) - origin).round() + origin;
        break;
    }
  }

  /// Calls `use` with `values / scales`; with `by_reciprocal` `values * scales`, the scales being inverses.
  template <typename Values, typename Scales, typename Use>
  void divide(const Values& values, const Scales& scales, const Use& use) const {
    if (by_reciprocal)
      use(values * scales);
    else
      use(values / scales);
  }
};

namespace detail {

inline void check_smallest_scale(const char* quantizer, float smallest) {
  if (!(smallest >= std::numeric_limits<float>::min() && smallest <= 1))
    fail(quantizer, "smallest_scale must be a normal number, positive and at most 1, got ", smallest);
}

/// Nothing decides on the scale of a group of zeros: 1, or the least there is where a quantizer sets one.
inline float scale_of_zeros(float smallest) { return smallest == std::numeric_limits<float>::min() ? 1 : smallest; }

}  // namespace detail
}  // namespace qaf
