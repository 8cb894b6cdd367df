#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>
#include <atomic>
#include <exception>

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

/// Keeps an exception, such as that memory is short, which must not leave a thread, for the thread that started it.
class CaughtException {
 public:
  /// Calls `body`.
  template <typename Body>
  void guard(const Body& body) noexcept {
#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
    try {
      body();
    } catch (...) {
      if (!is_taken_.exchange(true)) exception_ = std::current_exception();
    }
#else
    static_cast<void>(is_taken_);
    body();
#endif
  }

  /// Throws it, if there is one.
  void rethrow() const {
    if (exception_) std::rethrow_exception(exception_);
  }

 private:
  std::atomic<bool> is_taken_{false};  // the first one is kept
  std::exception_ptr exception_;
};

/// Cuts 0 .. count - 1 into one range a thread, the same ranges for the same number of threads, and calls
/// `body(begin, end)` for each.
template <typename Body>
void parallel_ranges(int threads, Index count, const Body& body) {
  const Index parts = std::min<Index>(threads, count);
#ifdef _OPENMP
  if (parts > 1) {
    CaughtException caught;
#pragma omp parallel for num_threads(static_cast <int>(parts)) schedule(static, 1)
    for (Index part = 0; part < parts; ++part)
      caught.guard([&] { body(count * part / parts, count * (part + 1) / parts); });
    caught.rethrow();
    return;
  }
#endif
  if (parts > 0) body(Index{0}, count);
}

}  // namespace qaf::detail
