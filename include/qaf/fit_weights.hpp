#pragma once

#include <cmath>
#include <vector>

#include <qaf/cp_als.hpp>
#include <qaf/cp_model.hpp>
#include <qaf/detail/products.hpp>
#include <qaf/error.hpp>
#include <qaf/mttkrp.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>

namespace qaf {
namespace detail {

/// `fit_weights` for a tensor scaled to norm 1, weights included; returns the relative error.
template <typename Scalar>
double unchecked_fit_weights(const TensorView<Scalar>& tensor, double norm, const std::vector<Matrix<Scalar>>& factors,
                             Vector<Scalar>& weights) {
  std::vector<Matrix<Scalar>> grams;
  for (const Matrix<Scalar>& factor : factors) grams.push_back(gram(factor));
  const Matrix<Scalar> all = gram_of_others(grams, Index{-1});
  const Matrix<Scalar> f = unchecked_mttkrp(tensor, factors, Index{0}) / static_cast<Scalar>(norm);
  const Matrix<Scalar> y = f.cwiseProduct(factors.front()).colwise().sum();  // 1 x R
  Matrix<Scalar> row = weights.transpose();
  const double before = fast_relative_error(1.0, y, row, all);
  least_squares_update(y, all, 0.0, row);
  const double after = fast_relative_error(1.0, y, row, all);
  if (!(after < before)) return before;  // nothing but rounding is left to gain
  weights = row.transpose();
  return after;
}

}  // namespace detail

/// Replaces the weights of a quantized model by the best ones for its codes: the least-squares solution
/// `(hadamard of all Gram matrices) lambda = y`, `y_r = <F_r, a_r>`. The error never rises.
/// Errors: a model of another size, NaN or infinity in the tensor.
/// Cost: one MTTKRP and `R^3 / 3` flops. Returns the relative error, by the fast formula.
template <typename Tensor, typename Quantizer, typename Scalar = detail::TensorScalar<Tensor>>
double fit_weights(const Tensor& tensor, QuantizedCpModel<Scalar, Quantizer>& model) {
  const auto view = detail::floating_point_view<Scalar>(tensor);
  const double norm = detail::frobenius_norm("fit_weights", view);
  const CpModel<Scalar> decoded = decode(model);
  detail::check_start("fit_weights", view, decoded);
  if (norm == 0) {
    model.weights.setZero();
    return 0;
  }
  Vector<Scalar> weights = model.weights / static_cast<Scalar>(norm);
  const double error = detail::unchecked_fit_weights(view, norm, decoded.factors, weights);
  model.weights = weights * static_cast<Scalar>(norm);
  return error;
}

}  // namespace qaf
