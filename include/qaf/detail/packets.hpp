#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include <Eigen/Core>

#include <qaf/types.hpp>

namespace qaf::detail {

/// What Eigen keeps in a vector register; one scalar where it uses none. Its functions on these (`padd` and so on) are
/// called where compilers leave loops over arrays slow: g++ writes sums that are arrays to memory in every turn.
template <typename Scalar>
using Packet = typename Eigen::internal::packet_traits<Scalar>::type;

/// How many scalars that is.
template <typename Scalar>
inline constexpr Index packet_size = Eigen::internal::packet_traits<Scalar>::size;

inline constexpr int vector_registers = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS;

enum class Cache { first, second };

/// Asks for a line of memory, to be in the first cache when it is read, or in the second, which holds more of them.
template <Cache cache>
void prefetch_to(const void* line) {
#if defined(__GNUC__)
  __builtin_prefetch(line, 0, cache == Cache::first ? 3 : 2);
#elif defined(EIGEN_VECTORIZE_SSE)
  _mm_prefetch(static_cast<const char*>(line), cache == Cache::first ? _MM_HINT_T0 : _MM_HINT_T1);
#else
  static_cast<void>(line);
#endif
}

/// Whether memory begins on a boundary of registers.
template <typename Scalar>
bool is_on_boundary(const Scalar* memory) {
  return reinterpret_cast<std::uintptr_t>(memory) % sizeof(Packet<Scalar>) == 0;
}

/// Stores a register without first reading the line that it goes to, nor keeping it in the caches, where there is such
/// an instruction. The target must lie on a boundary of registers. `finish_streams` must follow before another thread
/// reads.
template <typename Scalar>
EIGEN_ALWAYS_INLINE void stream_packet(Scalar* target, const Packet<Scalar>& packet) {
  eigen_assert(is_on_boundary(target));
#if defined(EIGEN_VECTORIZE_AVX512)
  if constexpr (std::is_same_v<Scalar, float>)
    _mm512_stream_ps(target, packet);
  else
    _mm512_stream_pd(target, packet);
#elif defined(EIGEN_VECTORIZE_AVX)
  if constexpr (std::is_same_v<Scalar, float>)
    _mm256_stream_ps(target, packet);
  else
    _mm256_stream_pd(target, packet);
#elif defined(EIGEN_VECTORIZE_SSE2)
  if constexpr (std::is_same_v<Scalar, float>)
    _mm_stream_ps(target, packet);
  else
    _mm_stream_pd(target, packet);
#else
  Eigen::internal::pstoreu(target, packet);
#endif
}
inline void finish_streams() {
#if defined(EIGEN_VECTORIZE_SSE2)
  _mm_sfence();
#endif
}

template <typename Body, int... k>
EIGEN_ALWAYS_INLINE void unroll(std::integer_sequence<int, k...>, Body&& body) {
  (body(std::integral_constant<int, k>()), ...);
}

/// Calls `body(0)`, `body(1)` .. `body(count - 1)` with constants: arrays of registers that only these index stay in
/// registers.
template <int count, typename Body>
EIGEN_ALWAYS_INLINE void unroll(Body&& body) {
  unroll(std::make_integer_sequence<int, count>(), body);
}

/// Whether there is no instruction that rounds.
#if defined(EIGEN_VECTORIZE_SSE2) && !defined(EIGEN_VECTORIZE_SSE4_1) && !defined(__FAST_MATH__)
inline constexpr bool rounds_by_addition = true;
#else
inline constexpr bool rounds_by_addition = false;
#endif

/// Added and taken away again, it rounds to the nearest integer, exact ties to the even one: floats about it are
/// integers. For magnitudes up to 2^22.
template <typename Scalar>
inline constexpr Scalar rounding_addend = Scalar(1.5) / std::numeric_limits<Scalar>::epsilon();

/// Each of some values, scalars or packets, to the nearest integer, exact ties to the even one. Magnitudes up to 2^22.
template <typename Scalar, typename P>
P rounded_packet(const P& values) {
  using namespace Eigen::internal;
  if constexpr (rounds_by_addition) {
    const P addend = pset1<P>(rounding_addend<Scalar>);
    return psub(padd(values, addend), addend);
  } else {
    return print(values);
  }
}

}  // namespace qaf::detail
