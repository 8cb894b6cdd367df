#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <qaf/detail/packets.hpp>
#include <qaf/error.hpp>
#include <qaf/quantizers/detail/column_chunks.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// Half way from each of some ascending levels to the next.
template <typename Scalar>
std::vector<Scalar> midpoints_of(const float* levels, Index count) {
  std::vector<Scalar> midpoints;
  for (Index k = 1; k < count; ++k)
    midpoints.push_back(static_cast<Scalar>(levels[k - 1]) / 2 + static_cast<Scalar>(levels[k]) / 2);
  return midpoints;
}

/// The number of the level nearest to each value of a chunk, 0 for the lowest: how many midpoints are less.
template <typename Scalar>
void nearest_levels(const Chunk<Scalar>& values, const std::vector<Scalar>& midpoints, Chunk<Scalar>& numbers) {
  using namespace Eigen::internal;
  using P = Packet<Scalar>;
  constexpr Index width = packet_size<Scalar>;
  constexpr std::size_t few = 32;  // up to here comparing with all is faster than a search
  if (midpoints.size() > few) {
    for (Index k = 0; k < chunk_size; ++k)
      numbers[k] =
          static_cast<Scalar>(std::lower_bound(midpoints.begin(), midpoints.end(), values[k]) - midpoints.begin());
    return;
  }
  const P one = pset1<P>(Scalar(1));
  for (Index k = 0; k < chunk_size; k += 4 * width) {
    const auto load = [&](Index which) { return ploadu<P>(values.data() + k + which * width); };
    const P values_0 = load(0), values_1 = load(1), values_2 = load(2), values_3 = load(3);
    P count_0 = pset1<P>(Scalar(0)), count_1 = count_0, count_2 = count_0, count_3 = count_0;
    for (const Scalar number : midpoints) {
      const P midpoint = pset1<P>(number);
      count_0 = padd(count_0, pand(pcmp_lt(midpoint, values_0), one));
      count_1 = padd(count_1, pand(pcmp_lt(midpoint, values_1), one));
      count_2 = padd(count_2, pand(pcmp_lt(midpoint, values_2), one));
      count_3 = padd(count_3, pand(pcmp_lt(midpoint, values_3), one));
    }
    Scalar* const to = numbers.data() + k;
    pstoreu(to, count_0);
    pstoreu(to + width, count_1);
    pstoreu(to + 2 * width, count_2);
    pstoreu(to + 3 * width, count_3);
  }
}

/// Writes the levels of a column of codes, times scales: `scales(begin)` are those of the chunk that begins there.
template <typename Scales>
void decode_levels(const std::uint8_t* column, Index size, const std::array<float, 256>& levels, const Scales& scales,
                   float* values) {
  convert_chunks(column, size, values, [&](const std::uint8_t* from, Index begin, float* to) {
    Chunk<float> chosen;
    for (Index k = 0; k < chunk_size; ++k) chosen.data()[k] = levels[from[k]];
    Eigen::Map<Chunk<float>>{to} = chosen * scales(begin);
  });
}

/// Throws unless these are the levels of a table.
inline void check_levels(const std::vector<float>& levels) {
  if (levels.size() < 2 || levels.size() > 256)
    fail("LevelQuantizer", "a table must have 2 to 256 levels, got ", levels.size());
  for (std::size_t k = 1; k < levels.size(); ++k)
    if (!(levels[k - 1] < levels[k]))
      fail("LevelQuantizer", "levels must ascend, got ", levels[k - 1], " before ", levels[k]);
  if (!(levels.front() <= 0 && levels.back() >= 0 && std::max(-levels.front(), levels.back()) == 1))
    fail("LevelQuantizer", "levels must reach from at most 0 to at least 0, the farthest to magnitude 1; got ",
         levels.front(), " to ", levels.back());
}

/// Throws unless every code is the number of one of the levels.
inline void check_level_codes(const char* function, const Matrix<std::uint8_t>& codes, std::size_t levels) {
  if (codes.size() > 0 && codes.maxCoeff() >= levels)
    fail(function, "every code must be below the number of levels, ", levels, ", got ", int{codes.maxCoeff()});
}

}  // namespace qaf::detail
