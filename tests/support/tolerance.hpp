#pragma once

#include <type_traits>

namespace support {

/// Every tolerance of the unit tests, one column a scalar type. All are relative.
template <typename Scalar>
struct Tolerance {
  static constexpr bool is_float = std::is_same_v<Scalar, float>;

  /// A few operations on one number.
  static constexpr double rounding = is_float ? 1e-6 : 1e-14;
  /// Sums of up to some thousand products, against the Frobenius norm of the result.
  static constexpr double product = is_float ? 1e-5 : 1e-13;
  /// Eigenvectors and the solutions of small least-squares problems.
  static constexpr double solve = is_float ? 1e-3 : 1e-8;
  /// The relative error at which a tensor of exact low rank counts as recovered: the solvers steer by the
  /// fast formula, which sees nothing below the square root of the precision.
  static constexpr double recovery = is_float ? 1e-3 : 1e-6;
  /// How far recovered columns may be from the true ones.
  static constexpr double recovered_column = is_float ? 1e-2 : 1e-4;
  /// The fast formula of the relative error, where that error is 0.01 or more.
  static constexpr double fast_error = is_float ? 1e-4 : 1e-11;
  /// What a sweep may add to the error by rounding alone.
  static constexpr double rise = is_float ? 1e-5 : 1e-12;
  /// Errors of the same codes with scales rounded in another unit, scales being float in any case.
  static constexpr double quantized = is_float ? 1e-4 : 1e-6;
  /// The same iteration on data of another scale, some tens of sweeps later.
  static constexpr double repeated = is_float ? 1e-3 : 1e-9;
};

}  // namespace support
