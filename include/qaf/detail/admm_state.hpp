#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <qaf/cp_admm_options.hpp>
#include <qaf/detail/alternating_problem.hpp>
#include <qaf/detail/columns.hpp>
#include <qaf/detail/mode_metric.hpp>
#include <qaf/detail/products.hpp>
#include <qaf/detail/random.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// -1 or 1 where a quantizer rounds columns whose largest entry is negative or positive better than
/// their reflections, 0 where it is all the same to it. Measured on normal entries with a fixed seed.
template <typename Scalar, typename Quantizer>
Scalar preferred_sign(const Quantizer& quantizer, Index rows) {
  constexpr Index columns = 64;
  Matrix<Scalar> matrix = NormalGenerator(0).matrix<Scalar>(rows, columns);
  for (Index r = 0; r < columns; ++r) {
    Index largest = 0;
    matrix.col(r).cwiseAbs().maxCoeff(&largest);
    if (matrix(largest, r) < 0) matrix.col(r) *= Scalar(-1);
  }
  const auto error = [&](const Matrix<Scalar>& values) {
    return static_cast<double>((decode<Scalar>(quantize(values, quantizer)) - values).squaredNorm());
  };
  const double positive = error(matrix), negative = error(-matrix);
  const double rounding = 1e-4 * static_cast<double>(matrix.squaredNorm());
  return std::abs(positive - negative) <= rounding ? Scalar(0) : positive < negative ? Scalar(1) : Scalar(-1);
}

/// The iterates of the method of multipliers for all factors: H (decoded codes, the factors of the problem), the scaled
/// duals U and what both need. See `cp_admm` for the equations.
template <typename Scalar, typename Quantizer>
class AdmmState {
 public:
  /// `factors` are balanced; their codes are the first ones, they themselves the first H. `problem` must outlive this.
  AdmmState(AlternatingProblem<Scalar>& problem, std::vector<Matrix<Scalar>> factors, std::vector<Quantizer> quantizers,
            const CpAdmmOptions& options)
      : problem_(problem),
        quantizers_(std::move(quantizers)),
        momentum_(static_cast<Scalar>(options.momentum)),
        inner_tolerance_(options.inner_tolerance),
        inner_iterations_(options.max_inner_iterations),
        diagonal_(options.penalty_shape == PenaltyShape::diagonal),
        rho_(options.first_penalty) {
    for (std::size_t n = 0; n < factors.size(); ++n) {
      const Matrix<Scalar>& value = factors[n];
      duals_.push_back(Matrix<Scalar>::Zero(value.rows(), value.cols()));
      anchors_.push_back(value);
      preferred_signs_.push_back(options.reflect ? preferred_sign<Scalar>(quantizers_[n], value.rows()) : Scalar(0));
      multipliers_.push_back(Vector<Scalar>::Ones(value.cols()));
      quantized_.push_back({{}, {}, quantizers_[n]});
      project(n, value);  // also reflects
    }
    problem_.set_factors(std::move(factors));
  }

  /// The codes as they stand, the signs and norms that were taken out of columns in the weights.
  QuantizedCpModel<Scalar, Quantizer> quantized_model() const {
    QuantizedCpModel<Scalar, Quantizer> model{quantized_, multipliers_.front()};
    for (std::size_t n = 1; n < multipliers_.size(); ++n)
      for (Index r = 0; r < model.rank(); ++r) model.weights[r] *= multipliers_[n][r];
    return model;
  }

  /// `T = (F + (H + U) D)(G + D)^-1`, `H = decode(encode(T - U))`, `U += H - T` for one factor, once or more;
  /// `D = rho diag(G)` or `rho tr(G) / R`. Returns the relative error after it, NaN where numbers stop being finite.
  double update(Index mode) {
    const std::size_t n = static_cast<std::size_t>(mode);
    Matrix<Scalar>& dual = duals_[n];
    Vector<Scalar> penalty = problem_.find_problem(mode);  // the diagonal of G
    if (!diagonal_) penalty.setConstant(penalty.mean());
    for (Scalar& value : penalty)
      value = std::max(static_cast<Scalar>(rho_) * value, std::numeric_limits<Scalar>::min());
    Matrix<Scalar> value = problem_.factor(mode);
    for (Index step = 0; step < inner_iterations_; ++step) {
      Matrix<Scalar> anchor = value + dual;
      const Matrix<Scalar> moved = anchor + momentum_ * (anchor - anchors_[n]);
      anchors_[n] = std::move(anchor);
      const Matrix<Scalar> target = problem_.penalized_minimizer(mode, penalty, moved);
      const Matrix<Scalar> goal = target - dual;
      // Beyond float's range a quantizer may have no scale.
      if (!goal.allFinite() || goal.cwiseAbs().maxCoeff() > static_cast<Scalar>(std::numeric_limits<float>::max()))
        return std::numeric_limits<double>::quiet_NaN();
      const Matrix<Scalar> before = std::exchange(value, project(n, goal));
      dual += value - target;
      if (step + 1 == inner_iterations_) break;
      const double size = static_cast<double>(value.squaredNorm());
      const double primal = static_cast<double>((value - target).squaredNorm());
      const double change = static_cast<double>((value - before).squaredNorm());
      const double dual_size = static_cast<double>(dual.squaredNorm());
      if (primal <= inner_tolerance_ * size && change <= inner_tolerance_ * dual_size) break;
    }
    problem_.set_factor(mode, std::move(value));
    return problem_.relative_error(mode);
  }

  /// See `balancing_scales`: with a penalty of the diagonal of G the iterates do not depend on the norms of columns.
  void balance() {
    if (!diagonal_) return;
    const std::vector<Vector<Scalar>> scales = balancing_scales(problem_);
    for (std::size_t n = 0; n < scales.size(); ++n) {
      problem_.scale_factor(static_cast<Index>(n), scales[n]);
      scale_columns(scales[n], duals_[n]);
      scale_columns(scales[n], anchors_[n]);
      for (Index r = 0; r < scales[n].size(); ++r) multipliers_[n][r] *= scales[n][r];
    }
  }

  /// The scaled dual is the multiplier over the penalty, so it shrinks as the penalty grows.
  void raise_penalty(double growth) {
    if (growth == 1) return;
    rho_ *= growth;
    for (std::size_t n = 0; n < duals_.size(); ++n) {
      const Matrix<Scalar>& value = problem_.factor(static_cast<Index>(n));
      anchors_[n] = value + (anchors_[n] - value) / static_cast<Scalar>(growth);
      duals_[n] /= static_cast<Scalar>(growth);
    }
  }

 private:
  // The nearest matrix on the grid, columns reflected to the side that the quantizer prefers.
  Matrix<Scalar> project(std::size_t n, Matrix<Scalar> matrix) {
    Vector<Scalar>& signs = multipliers_[n];
    signs.setOnes(matrix.cols());
    if (preferred_signs_[n] != 0) {
      for (Index r = 0; r < matrix.cols(); ++r) {
        Index largest = 0;
        matrix.col(r).cwiseAbs().maxCoeff(&largest);
        signs[r] = matrix(largest, r) * preferred_signs_[n] < 0 ? Scalar(-1) : Scalar(1);
      }
      scale_columns(signs, matrix);
    }
    quantized_[n] = quantize(matrix, quantizers_[n]);
    return with_scaled_columns(decode<Scalar>(quantized_[n]), signs);
  }

  AlternatingProblem<Scalar>& problem_;
  std::vector<Quantizer> quantizers_;
  std::vector<Matrix<Scalar>> duals_, anchors_;
  std::vector<Vector<Scalar>> multipliers_;  // H is the decoded codes, their columns times these
  std::vector<QuantizedFactor<Quantizer>> quantized_;
  std::vector<Scalar> preferred_signs_;
  Scalar momentum_;
  double inner_tolerance_;
  Index inner_iterations_;
  bool diagonal_;
  double rho_;
};

}  // namespace qaf::detail
