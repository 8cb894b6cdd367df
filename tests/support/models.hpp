#pragma once

#include <cmath>
#include <cstddef>

#include <qaf/cp_model.hpp>
#include <qaf/types.hpp>

#include "support/tolerance.hpp"

// What tests ask of float models.
namespace support {

template <typename Scalar>
bool same_bits(const qaf::CpModel<Scalar>& a, const qaf::CpModel<Scalar>& b) {
  if (a.weights != b.weights || a.factors.size() != b.factors.size()) return false;
  for (std::size_t n = 0; n < a.factors.size(); ++n)
    if (a.factors[n] != b.factors[n]) return false;
  return true;
}

/// Columns of norm 1, weights that are not negative and do not rise.
template <typename Scalar>
bool is_normalized(const qaf::CpModel<Scalar>& model) {
  const Scalar small = static_cast<Scalar>(Tolerance<Scalar>::rounding);
  for (qaf::Index r = 0; r < model.rank(); ++r) {
    if (!(model.weights[r] >= 0) || (r > 0 && model.weights[r] > model.weights[r - 1])) return false;
    for (const qaf::Matrix<Scalar>& factor : model.factors)
      if (model.weights[r] > 0 && std::abs(factor.col(r).norm() - 1) > small) return false;
  }
  return true;
}

}  // namespace support
