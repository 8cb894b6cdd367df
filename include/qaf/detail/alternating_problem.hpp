#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include <qaf/cp_model.hpp>
#include <qaf/detail/cholesky.hpp>
#include <qaf/detail/gram.hpp>
#include <qaf/detail/mode_metric.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/parallel.hpp>
#include <qaf/detail/partial_products.hpp>
#include <qaf/detail/products.hpp>
#include <qaf/resources.hpp>
#include <qaf/types.hpp>
#include <qaf/weighted_tensor.hpp>

namespace qaf::detail {

/// What all solvers share: the factors of a model of weights 1, and for a factor at a time the F and G that its
/// least-squares problem is made of, of the tensor scaled to norm 1. With weighted errors the factors enter F and G
/// as `M A` (M the metric of their mode), and the problem in `A` is to minimize
/// `tr(A^T M A G) - 2 tr(A^T M F)`.
template <typename Scalar>
class AlternatingProblem {
 public:
  /// `tensor` must outlive this; `norm` is its weighted norm, above 0. `across_sweeps`: factors are going to change one
  /// after the other, sweep after sweep, not all at once between sweeps.
  AlternatingProblem(const WeightedTensor<Scalar>& tensor, double norm, Index rank, bool across_sweeps,
                     const Resources& resources)
      : tensor_(tensor),
        norm_(norm),
        threads_(thread_count(resources.threads)),
        partials_(tensor.view(), rank, across_sweeps, resources),
        plain_(tensor.is_plain()),
        factors_(static_cast<std::size_t>(tensor.view().order())),
        seen_(factors_.size()),
        panels_(factors_.size()),
        panel_views_(factors_.size()),
        grams_(factors_.size()) {}

  Index order() const { return tensor_.view().order(); }
  int threads() const { return threads_; }
  double norm() const { return norm_; }
  const WeightedTensor<Scalar>& tensor() const { return tensor_; }
  const ModeMetric<Scalar>& metric(Index mode) const { return tensor_.metric(mode); }

  const std::vector<Matrix<Scalar>>& factors() const { return factors_; }
  const Matrix<Scalar>& factor(Index mode) const { return factors_[static_cast<std::size_t>(mode)]; }

  void set_factors(std::vector<Matrix<Scalar>> factors) {
    for (std::size_t n = 0; n < factors.size(); ++n) set_factor(static_cast<Index>(n), std::move(factors[n]));
  }

  void set_factor(Index mode, Matrix<Scalar> factor) {
    const std::size_t n = static_cast<std::size_t>(mode);
    factors_[n] = std::move(factor);
    if (!plain_) seen_[n] = metric(mode).times(factors_[n]);
    panels_[n].assign(seen(mode), partials_.layout());
    panel_views_[n] = panels_[n].view();
    partials_.factor_changed(mode);
    grams_[n] = symmetric_product(factors_[n], panel_views_[n], threads_);
  }

  /// `M A` of a mode.
  const Matrix<Scalar>& seen(Index mode) const { return plain_ ? factor(mode) : seen_[static_cast<std::size_t>(mode)]; }

  /// F of a mode (`I_n x R`).
  Matrix<Scalar> mttkrp(Index mode) { return partials_.mttkrp(panel_views_, mode, static_cast<Scalar>(1 / norm_)); }

  /// `A^T M A` of every mode.
  const std::vector<Matrix<Scalar>>& grams() const { return grams_; }

  /// Squared norms of the columns of a factor (R).
  Vector<Scalar> squared_norms(Index mode) const {
    const std::size_t n = static_cast<std::size_t>(mode);
    if (plain_) return grams_[n].diagonal();
    return factors_[n].colwise().squaredNorm();
  }

  /// G of a mode (`R x R`).
  Matrix<Scalar> gram_of_others(Index mode) const { return qaf::gram_of_others(grams_, mode); }

  /// The relative error of the model from the F and G of the mode set last, see `fast_relative_error`.
  /// Cost: `R^2` multiplications, since the Gram matrices of all modes are at hand.
  double relative_error(Index mode, const Matrix<Scalar>& f, const Matrix<Scalar>& g) const {
    // Columns in the scalar's own precision, which is several times as fast, and their sums in double.
    const auto inner_product = [](const Matrix<Scalar>& a, const Matrix<Scalar>& b) {
      return a.cwiseProduct(b).colwise().sum().template cast<double>().sum();
    };
    const double inner = inner_product(f, seen(mode));
    const double model = inner_product(g, grams_[static_cast<std::size_t>(mode)]);
    const double squared = 1 - 2 * inner + model;
    return std::sqrt(squared > 0 || std::isnan(squared) ? squared : 0.0);
  }

 private:
  const WeightedTensor<Scalar>& tensor_;
  double norm_;
  int threads_;
  PartialProducts<Scalar> partials_;
  bool plain_;
  std::vector<Matrix<Scalar>> factors_;
  std::vector<Matrix<Scalar>> seen_;         // M A of every mode, where any of them is weighted
  std::vector<PanelMatrix<Scalar>> panels_;  // of what is seen
  std::vector<PanelView<Scalar>> panel_views_;
  std::vector<Matrix<Scalar>> grams_;
};

/// What the columns of each factor are to be multiplied by, so that all columns of a component get the same norm. Empty
/// where none has drifted far from that: updates do not depend on these norms, but in the long run they would leave the
/// scalar's range.
template <typename Scalar>
std::vector<Vector<Scalar>> balancing_scales(const AlternatingProblem<Scalar>& problem) {
  constexpr double far = 2.8;  // a natural logarithm
  const Index rank = problem.factor(0).cols();
  std::vector<Vector<double>> logarithms;
  Vector<double> mean = Vector<double>::Zero(rank);
  for (Index mode = 0; mode < problem.order(); ++mode) {
    logarithms.push_back(problem.squared_norms(mode).template cast<double>().array().log() / 2);
    mean += logarithms.back() / static_cast<double>(problem.order());
  }
  double drift = 0;
  std::vector<Vector<Scalar>> scales;
  for (const Vector<double>& logarithm : logarithms) {
    scales.push_back(Vector<Scalar>::Ones(rank));
    for (Index r = 0; r < rank; ++r) {
      if (!std::isfinite(mean[r])) continue;
      drift = std::max(drift, std::abs(logarithm[r] - mean[r]));
      scales.back()[r] = static_cast<Scalar>(std::exp(mean[r] - logarithm[r]));
    }
  }
  return drift < far ? std::vector<Vector<Scalar>>() : scales;
}

/// Whether solving with a factorized matrix of this diagonal loses no more than half of the scalar's digits: no
/// component is, but for so small a part, a combination of others.
template <typename Scalar>
bool is_well_conditioned(const Cholesky<Scalar>& cholesky, const Vector<Scalar>& diagonal) {
  if (cholesky.info() != Eigen::Success) return false;
  const Scalar least = std::sqrt(std::numeric_limits<Scalar>::epsilon());
  return (cholesky.matrixLLT().diagonal().array().square() >= least * diagonal.array()).all();
}

/// One least-squares update of a factor: with `K = G + diag(p)` it moves `A` to, or towards, the minimizer of
/// `tr(A^T M A K) + tr(A^T A diag(q)) - 2 tr(A^T M F) + sum_r d_r |a_r - a_r,old|^2`. A damping d of the size of the
/// rounding errors makes a singular system harmless and, unlike a ridge, leaves the minimizers where they are. Where
/// the system is near to singular, the solve is applied to the residual, so that its own errors shrink with the steps.
template <typename Scalar>
void least_squares_update(const ModeMetric<Scalar>& metric, const Matrix<Scalar>& f, const Matrix<Scalar>& g,
                          const Vector<Scalar>& p, const Vector<Scalar>& q, int threads, Matrix<Scalar>& factor) {
  const Scalar rounding = 4 * std::numeric_limits<Scalar>::epsilon() * static_cast<Scalar>(g.rows());
  const Vector<Scalar> damping =
      rounding * g.diagonal().array() + std::numeric_limits<Scalar>::min();  // columns may be zero
  Matrix<Scalar> k = g;
  if (metric.is_plain()) {
    k.diagonal() += p + q + damping;
    const Vector<Scalar> diagonal = k.diagonal();
    const Cholesky<Scalar> cholesky(k);
    if (is_well_conditioned(cholesky, diagonal)) {
      factor = f + factor * damping.asDiagonal();
      solve_on_the_right(cholesky, threads, factor);
    } else {
      Matrix<Scalar> step = f - product<Scalar>(factor, g) - factor * (p + q).asDiagonal();
      solve_on_the_right(cholesky, threads, step);
      factor += step;
    }
    return;
  }
  k.diagonal() += p;
  Matrix<Scalar> step = metric.times(f - product<Scalar>(factor, k));
  step.noalias() -= factor * q.asDiagonal();
  k.diagonal() += damping;
  solve_for_step(metric, std::move(k), q, threads, step);
  factor += step;
}

}  // namespace qaf::detail
