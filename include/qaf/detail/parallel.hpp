#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>

#include <qaf/types.hpp>

namespace qaf::detail {

/// How many threads `wanted` of `Resources` stands for: at least 1.
inline int thread_count(int wanted) {
#ifdef _OPENMP
  return wanted > 0 ? wanted : std::max(omp_get_max_threads(), 1);
#else
  static_cast<void>(wanted);
  return 1;
#endif
}

/// How many of them are worth starting for so many multiply-adds.
inline int threads_worth(int threads, Index multiply_adds) {
  constexpr Index least = Index{1} << 19;  // some microseconds
  return static_cast<int>(std::clamp<Index>(multiply_adds / least, 1, threads));
}

/// Cuts 0 .. count - 1 into one range a thread, the same ranges for the same number of threads, and calls
/// `body(begin, end)` for each. `body` must not throw.
template <typename Body>
void parallel_ranges(int threads, Index count, const Body& body) {
  const Index parts = std::min<Index>(threads, count);
#ifdef _OPENMP
  if (parts > 1) {
#pragma omp parallel for num_threads(static_cast <int>(parts)) schedule(static, 1)
    for (Index part = 0; part < parts; ++part) body(count * part / parts, count * (part + 1) / parts);
    return;
  }
#endif
  if (parts > 0) body(Index{0}, count);
}

}  // namespace qaf::detail
