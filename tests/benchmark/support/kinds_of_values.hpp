#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <qaf/detail/random.hpp>
#include <qaf/types.hpp>

/// What weights and factors look like, and what is far from that.
inline const std::vector<std::string>& kinds_of_values() {
  static const std::vector<std::string> kinds = {"normal", "cubed normal", "uniform", "Laplace",
                                                 "sparse with an outlier"};
  return kinds;
}

/// Random values of one of these kinds. Sparse: a fifth of them normal, one 10, the others 0.
template <typename Scalar>
Eigen::Array<Scalar, Eigen::Dynamic, 1> values_of_kind(const std::string& kind, qaf::Index size, std::uint64_t seed) {
  using Values = Eigen::Array<Scalar, Eigen::Dynamic, 1>;
  qaf::detail::NormalGenerator normal(seed);
  Values values = normal.matrix<Scalar>(size, 1).array();
  if (kind == "normal") return values;
  if (kind == "cubed normal") return values.cube();
  const Values others = normal.matrix<Scalar>(size, 1).array();
  if (kind == "sparse with an outlier") {
    Values sparse = (others > Scalar(0.8416)).select(values, Values::Zero(size));
    sparse[size / 2] = 10;
    return sparse;
  }
  // The direction of a point with normal coordinates is evenly distributed.
  Values uniform = values.binaryExpr(others, [](Scalar a, Scalar b) {
    return static_cast<Scalar>(std::atan2(static_cast<double>(a), static_cast<double>(b)) / 3.141592653589793);
  });
  if (kind == "uniform") return uniform;
  return uniform.unaryExpr([](Scalar value) {  // Laplace
    const double u = static_cast<double>(value), magnitude = -std::log1p(-0.999999999 * std::abs(u));
    return static_cast<Scalar>(std::copysign(magnitude, u));
  });
}
