#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include <qaf/cp_model.hpp>
#include <qaf/detail/alternating_problem.hpp>
#include <qaf/detail/columns.hpp>
#include <qaf/detail/products.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/resources.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>
#include <qaf/weighted_tensor.hpp>

namespace qaf {
namespace detail {

/// `fit_weights` of factors whose Gram matrices neither overflow nor vanish. `may_take(weights)`: whether those found
/// may be taken.
template <typename Scalar, typename MayTake>
double fit_weights_of_moderate_factors(AlternatingProblem<Scalar>& problem, const MayTake& may_take,
                                       Vector<Scalar>& weights) {
  const Matrix<Scalar>& all = problem.gram_of_others(Index{-1});
  const Matrix<Scalar> y = inner_products(problem.mttkrp(0), problem.seen(0)).transpose();  // 1 x R
  Matrix<Scalar> row = weights.transpose();
  double before = fast_relative_error(1.0, y, row, all);
  if (!(before <= 1)) {  // worse than none: what is far off would leave its own rounding errors
    row.setZero();
    weights.setZero();
    before = 1;
  }
  problem.cholesky().factorize(all, rounding_damping<Scalar>(all.diagonal()), problem.threads());
  Matrix<Scalar> step = y - product(row, all, problem.threads());
  problem.cholesky().solve_on_the_right(problem.threads(), step);
  row += step;
  const double after = fast_relative_error(1.0, y, row, all);
  // Components that nearly cancel leave rounding errors of their own size.
  const double rounding =
      static_cast<double>(std::numeric_limits<Scalar>::epsilon()) *
      row.cwiseAbs().cwiseProduct(all.diagonal().cwiseSqrt().transpose()).template cast<double>().sum();
  if (!(after < before && rounding < before && may_take(row))) return before;
  weights = row.transpose();
  return after;
}

/// `fit_weights` of factors that stand in a problem; returns the relative error.
template <typename Scalar>
double unchecked_fit_weights(AlternatingProblem<Scalar>& problem, Vector<Scalar>& weights) {
  constexpr double far = 1e4;  // norms whose squares, multiplied over some modes, stay in float's range
  constexpr double most = std::numeric_limits<Scalar>::max(), nothing = 1e-7;
  const Index rank = problem.rank();
  Vector<double> sizes = Vector<double>::Ones(rank);
  std::vector<Vector<Scalar>> inverses;
  bool moderate = true;
  for (Index mode = 0; mode < problem.order(); ++mode) {
    inverses.push_back(Vector<Scalar>::Ones(rank));
    for (Index r = 0; r < rank; ++r) {
      const double norm = column_norm(problem.factor(mode), r);
      if (!(norm > 0)) continue;
      moderate = moderate && norm > 1 / far && norm < far;
      const double inverse = std::min(1 / norm, most);
      sizes[r] /= inverse;
      inverses.back()[r] = static_cast<Scalar>(inverse);
    }
  }
  if (moderate)
    return fit_weights_of_moderate_factors(
        problem, [](const auto&) { return true; }, weights);
  // The same of columns of norm 1; of 0 where columns are so tiny that no weight brings them to size.
  for (Index r = 0; r < rank; ++r)
    if (sizes[r] * most < nothing) inverses.front()[r] = Scalar(0);
  const std::vector<Matrix<Scalar>> factors = problem.factors();
  for (Index mode = 0; mode < problem.order(); ++mode)
    problem.scale_factor(mode, inverses[static_cast<std::size_t>(mode)]);
  Vector<Scalar> of_units = weights.template cast<double>().cwiseProduct(sizes).template cast<Scalar>();
  const auto may_take = [&](const Matrix<Scalar>& row) {
    for (Index r = 0; r < rank; ++r)
      if (std::abs(static_cast<double>(row(0, r))) > sizes[r] * most) return false;
    return true;
  };
  const double error = fit_weights_of_moderate_factors(problem, may_take, of_units);
  for (Index r = 0; r < rank; ++r)
    weights[r] =
        inverses.front()[r] == 0 ? Scalar(0) : static_cast<Scalar>(static_cast<double>(of_units[r]) / sizes[r]);
  problem.set_factors(factors);
  return error;
}

}  // namespace detail

/// Replaces the weights of a quantized model by the best ones for its codes: the least-squares solution
/// `(hadamard of all Gram matrices) lambda = y`, `y_r = <F_r, M a_r>`, M the metric of the mode where errors are
/// weighted. The error never rises. Errors: a model of another size, a field of `resources` out of range, NaN or
/// infinity in the tensor. Cost: one MTTKRP and `R^3 / 3` flops. Returns the relative error, by the fast formula.
template <typename Tensor, typename Quantizer, typename Scalar = detail::TensorScalar<Tensor>>
double fit_weights(const Tensor& tensor, QuantizedCpModel<Scalar, Quantizer>& model, const Resources& resources = {}) {
  const WeightedTensor<Scalar> weighted = detail::weighted_view<Scalar>(tensor);
  validate(resources);
  const double norm = detail::weighted_norm("fit_weights", weighted, resources);
  CpModel<Scalar> decoded = decode(model);
  detail::check_start("fit_weights", weighted.view(), decoded);
  if (norm == 0) {
    model.weights.setZero();
    return 0;
  }
  Vector<Scalar> weights = detail::weights_over_norm(decoded, norm);
  detail::AlternatingProblem<Scalar> problem(weighted, norm, model.rank(), false, resources);
  problem.set_factors(std::move(decoded.factors));
  const double error = detail::unchecked_fit_weights(problem, weights);
  const Vector<Scalar> before = std::exchange(model.weights, std::move(weights));
  if (!detail::scale_to_norm(norm, model.weights)) return error;
  // What a component that had to go leaves may be worse than what was.
  const auto error_of = [&] { return detail::direct_relative_error(weighted, decode(model), norm, problem.threads()); };
  const double after = error_of();
  const Vector<Scalar> reduced = std::exchange(model.weights, before);
  const double at_first = error_of();
  if (at_first <= after) return at_first;
  model.weights = reduced;
  return after;
}

}  // namespace qaf
