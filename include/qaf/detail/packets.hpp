#pragma once

#include <type_traits>
#include <utility>

#include <Eigen/Core>

#include <qaf/types.hpp>

namespace qaf::detail {

// The vector registers of the processor compiled for, by the names that Eigen gives them on all of its architectures.

template <typename Scalar>
using Packet = typename Eigen::internal::packet_traits<Scalar>::type;

/// Scalars of a register.
template <typename Scalar>
inline constexpr Index packet_size = Eigen::internal::packet_traits<Scalar>::size;

inline constexpr int vector_registers = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS;

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

}  // namespace qaf::detail
