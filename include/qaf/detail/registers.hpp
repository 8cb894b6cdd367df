#pragma once

#include <qaf/detail/packets.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// Some vector registers side by side: a row of a panel, or a part of one. In memory it lies best on a boundary of
/// registers, but need not: a user may have set what Eigen aligns to (`EIGEN_MAX_ALIGN_BYTES`).
template <typename Scalar, int count>
struct Registers {
  Registers<Scalar, count - 1> others;
  Packet<Scalar> last;

  static constexpr Index offset = (count - 1) * packet_size<Scalar>;  // of the last one

  EIGEN_ALWAYS_INLINE void set_zero() {
    others.set_zero();
    last = Eigen::internal::pset1<Packet<Scalar>>(Scalar(0));
  }
  EIGEN_ALWAYS_INLINE void load(const Scalar* source) {
    others.load(source);
    last = Eigen::internal::ploadu<Packet<Scalar>>(source + offset);
  }
  EIGEN_ALWAYS_INLINE void store(Scalar* target) const {
    others.store(target);
    Eigen::internal::pstoreu(target + offset, last);
  }
  /// As `store`, past the caches. The target must lie on a boundary of registers.
  EIGEN_ALWAYS_INLINE void stream(Scalar* target) const {
    others.stream(target);
    stream_packet(target + offset, last);
  }
  /// `this += factor row`, the factor in all of a register.
  EIGEN_ALWAYS_INLINE void add_product(const Packet<Scalar>& factor, const Registers& row) {
    others.add_product(factor, row.others);
    last = Eigen::internal::pmadd(factor, row.last, last);
  }
  /// `this += a b`, entry by entry.
  EIGEN_ALWAYS_INLINE void add_product(const Registers& a, const Registers& b) {
    others.add_product(a.others, b.others);
    last = Eigen::internal::pmadd(a.last, b.last, last);
  }
  EIGEN_ALWAYS_INLINE void add(const Registers& row) {
    others.add(row.others);
    last = Eigen::internal::padd(last, row.last);
  }
  EIGEN_ALWAYS_INLINE void multiply(const Registers& row) {
    others.multiply(row.others);
    last = Eigen::internal::pmul(last, row.last);
  }
  EIGEN_ALWAYS_INLINE void multiply(const Packet<Scalar>& factor) {
    others.multiply(factor);
    last = Eigen::internal::pmul(last, factor);
  }
};

template <typename Scalar>
struct Registers<Scalar, 0> {
  EIGEN_ALWAYS_INLINE void set_zero() {}
  EIGEN_ALWAYS_INLINE void load(const Scalar*) {}
  EIGEN_ALWAYS_INLINE void store(Scalar*) const {}
  EIGEN_ALWAYS_INLINE void stream(Scalar*) const {}
  EIGEN_ALWAYS_INLINE void add_product(const Packet<Scalar>&, const Registers&) {}
  EIGEN_ALWAYS_INLINE void add_product(const Registers&, const Registers&) {}
  EIGEN_ALWAYS_INLINE void add(const Registers&) {}
  EIGEN_ALWAYS_INLINE void multiply(const Registers&) {}
  EIGEN_ALWAYS_INLINE void multiply(const Packet<Scalar>&) {}
};

/// A number in all of a register.
template <typename Scalar>
EIGEN_ALWAYS_INLINE Packet<Scalar> broadcast(Scalar number) {
  return Eigen::internal::pset1<Packet<Scalar>>(number);
}

}  // namespace qaf::detail
