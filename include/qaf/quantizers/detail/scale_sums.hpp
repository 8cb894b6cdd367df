#pragma once

#include <algorithm>
#include <array>
#include <limits>
#include <type_traits>

#include <qaf/detail/packets.hpp>
#include <qaf/quantizers/detail/group_values.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// With v the values of a group over a scale, q the levels nearest to them and d = v - q: the sums of d^2, d q and q^2.
/// Each is a number, or a number for each of some scales.
template <typename Sum>
struct ScaleSums {
  Sum rest, match, squares;

  /// The best scale for these levels over the scale that gave them, less 1. 0 where none is positive, as may be with a
  /// table without a level 0.
  Sum gain() const {
    const Sum best = match / (squares + std::numeric_limits<float>::min());
    if constexpr (std::is_arithmetic_v<Sum>)
      return best > -1 ? best : 0;
    else
      return (best > -1).select(best, Sum::Zero());
  }
};

/// So many scales are tried at once, and a number for each of them.
inline constexpr int lanes = 16;
template <typename Scalar>
using Lanes = Eigen::Array<Scalar, lanes, 1>;

/// Adds the terms of some values, which have been divided by the scale; without `improve` d^2 alone.
template <bool improve, typename P, typename Nearest>
void add_terms(const P& values, const Nearest& nearest, P& rest, P& match, P& squares) {
  using namespace Eigen::internal;
  const P level = nearest(values);
  const P d = psub(values, level);
  rest = pmadd(d, d, rest);
  if constexpr (improve) {
    match = pmadd(d, level, match);
    squares = pmadd(level, level, squares);
  }
}

// Below, two sums at a time, since the terms of one turn wait for those of the turn before. They have names of their
// own: those of an array g++ would write to memory in every turn. Sums of more terms than `part_size` are made from
// parts.

inline constexpr Index part_size = 2048;

/// The sums for 16 scales, the inverses of which are given.
template <bool improve, typename Scalar, typename Nearest>
ScaleSums<Lanes<Scalar>> sums_of_lanes(const Scalar* values, Index size, const Nearest& nearest,
                                       const Lanes<Scalar>& inverse) {
  using namespace Eigen::internal;
  using P = Packet<Scalar>;
  constexpr Index width = packet_size<Scalar>;
  const Lanes<Scalar> zeros = Lanes<Scalar>::Zero();
  ScaleSums<Lanes<Scalar>> sums{zeros, zeros, zeros};
  const auto add = [](Lanes<Scalar>& sum, Index lane, const P& part) {
    Scalar* const to = sum.data() + lane;
    pstoreu(to, padd(ploadu<P>(to), part));
  };
  for (Index begin = 0; begin < size; begin += part_size) {
    const Index end = std::min(begin + part_size, size);
    for (Index lane = 0; lane < lanes; lane += 2 * width) {
      const P factor = ploadu<P>(inverse.data() + lane);
      P rest = pset1<P>(Scalar(0)), match = rest, squares = rest, rest_2 = rest, match_2 = rest, squares_2 = rest;
      if constexpr (lanes > width) {
        const P factor_2 = ploadu<P>(inverse.data() + lane + width);
        for (Index k = begin; k < end; ++k) {
          const P value = pset1<P>(values[k]);
          add_terms<improve>(pmul(value, factor), nearest, rest, match, squares);
          add_terms<improve>(pmul(value, factor_2), nearest, rest_2, match_2, squares_2);
        }
        add(sums.rest, lane + width, rest_2);
        add(sums.match, lane + width, match_2);
        add(sums.squares, lane + width, squares_2);
      } else {
        Index k = begin;
        for (; k + 1 < end; k += 2) {
          add_terms<improve>(pmul(pset1<P>(values[k]), factor), nearest, rest, match, squares);
          add_terms<improve>(pmul(pset1<P>(values[k + 1]), factor), nearest, rest_2, match_2, squares_2);
        }
        if (k < end) add_terms<improve>(pmul(pset1<P>(values[k]), factor), nearest, rest, match, squares);
        rest = padd(rest, rest_2);
        match = padd(match, match_2);
        squares = padd(squares, squares_2);
      }
      add(sums.rest, lane, rest);
      add(sums.match, lane, match);
      add(sums.squares, lane, squares);
    }
  }
  return sums;
}

/// The sums of d^2 for two scales, the inverses of which are given. Has the memory of the next group ready.
template <typename Scalar, typename Nearest>
std::array<double, 2> errors_of_two(const GroupValues<Scalar>& group, const Nearest& nearest, Scalar inverse,
                                    Scalar inverse_2) {
  using namespace Eigen::internal;
  using P = Packet<Scalar>;
  constexpr Index width = packet_size<Scalar>;
  const P factor = pset1<P>(inverse), factor_2 = pset1<P>(inverse_2);
  double rest = 0, rest_2 = 0;
  Index k = 0;
  while (k + width <= group.size) {
    P part = pset1<P>(Scalar(0)), part_2 = part, unused = part;
    for (const Index end = std::min(k + part_size * width, group.size); k + width <= end; k += width) {
      const P value = ploadu<P>(group.data + k);
      prefetch(group.next + k);
      add_terms<false>(pmul(value, factor), nearest, part, unused, unused);
      add_terms<false>(pmul(value, factor_2), nearest, part_2, unused, unused);
    }
    rest += static_cast<double>(predux(part));
    rest_2 += static_cast<double>(predux(part_2));
  }
  Scalar left = 0, left_2 = 0, unused = 0;
  for (; k < group.size; ++k) {
    add_terms<false>(group.data[k] * inverse, nearest, left, unused, unused);
    add_terms<false>(group.data[k] * inverse_2, nearest, left_2, unused, unused);
  }
  return {rest + static_cast<double>(left), rest_2 + static_cast<double>(left_2)};
}

/// The sums for one scale, the inverse of which is given.
template <typename Scalar, typename Nearest>
ScaleSums<double> sums_of_one(const GroupValues<Scalar>& group, const Nearest& nearest, Scalar inverse) {
  using namespace Eigen::internal;
  using P = Packet<Scalar>;
  constexpr Index width = packet_size<Scalar>;
  ScaleSums<double> sums{0, 0, 0};
  const auto add = [&](const auto& rest, const auto& match, const auto& squares) {
    sums.rest += static_cast<double>(predux(rest));
    sums.match += static_cast<double>(predux(match));
    sums.squares += static_cast<double>(predux(squares));
  };
  const P factor = pset1<P>(inverse);
  Index k = 0;
  while (k + 2 * width <= group.size) {
    P rest = pset1<P>(Scalar(0)), match = rest, squares = rest, rest_2 = rest, match_2 = rest, squares_2 = rest;
    for (const Index end = std::min(k + part_size * width, group.size); k + 2 * width <= end; k += 2 * width) {
      const P values = ploadu<P>(group.data + k), values_2 = ploadu<P>(group.data + k + width);
      add_terms<true>(pmul(values, factor), nearest, rest, match, squares);
      add_terms<true>(pmul(values_2, factor), nearest, rest_2, match_2, squares_2);
    }
    add(padd(rest, rest_2), padd(match, match_2), padd(squares, squares_2));
  }
  Scalar rest = 0, match = 0, squares = 0;
  for (; k < group.size; ++k) add_terms<true>(group.data[k] * inverse, nearest, rest, match, squares);
  add(rest, match, squares);
  return sums;
}

}  // namespace qaf::detail
