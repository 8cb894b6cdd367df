#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include <qaf/detail/cholesky.hpp>
#include <qaf/detail/columns.hpp>
#include <qaf/detail/mode_metric.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/panel_products.hpp>
#include <qaf/detail/panel_rows.hpp>
#include <qaf/detail/parallel.hpp>
#include <qaf/detail/partial_products.hpp>
#include <qaf/detail/products.hpp>
#include <qaf/detail/symmetric_panels.hpp>
#include <qaf/resources.hpp>
#include <qaf/types.hpp>
#include <qaf/weighted_tensor.hpp>

namespace qaf::detail {

/// What all solvers share: the factors of a model of weights 1, and for a factor at a time the F and G that its
/// least-squares problem is made of, of the tensor scaled to norm 1. With weighted errors the factors enter F and G
/// as `M A` (M the metric of their mode), and the problem in `A` is to minimize
/// `tr(A^T M A G) - 2 tr(A^T M F)`.
///
/// Factors, F and G stand in panels; as matrices they are made when they are asked for. All memory is kept, since new
/// memory would cost more than what is done with it.
template <typename Scalar>
class AlternatingProblem {
 public:
  /// `tensor` must outlive this; `norm` is its weighted norm, above 0. `across_sweeps`: factors are going to change one
  /// after the other, sweep after sweep, not all at once between sweeps. `by_rows`: all by `update_factor`.
  AlternatingProblem(const WeightedTensor<Scalar>& tensor, double norm, Index rank, bool across_sweeps,
                     const Resources& resources, bool by_rows = false)
      : tensor_(tensor),
        norm_(norm),
        threads_(thread_count(resources.threads)),
        scaled_entries_(scaled_entries(tensor.view(), norm)),
        partials_(view_of_entries(), rank, across_sweeps, resources, by_rows && tensor.is_plain()),
        plain_(tensor.is_plain()),
        modes_(static_cast<std::size_t>(tensor.view().order())),
        seen_panels_(modes_.size()) {}

  Index order() const { return tensor_.view().order(); }
  Index rank() const { return partials_.layout().rank(); }
  int threads() const { return threads_; }
  double norm() const { return norm_; }
  const WeightedTensor<Scalar>& tensor() const { return tensor_; }
  const ModeMetric<Scalar>& metric(Index mode) const { return tensor_.metric(mode); }

  const Matrix<Scalar>& factor(Index mode) const {
    const Mode& m = modes_[static_cast<std::size_t>(mode)];
    if (!m.has_matrix) m.panels.view().copy_to(m.matrix);
    m.has_matrix = true;
    return m.matrix;
  }

  std::vector<Matrix<Scalar>> factors() const {
    std::vector<Matrix<Scalar>> result;
    for (Index mode = 0; mode < order(); ++mode) result.push_back(factor(mode));
    return result;
  }

  void set_factors(std::vector<Matrix<Scalar>> factors) {
    for (std::size_t n = 0; n < factors.size(); ++n) set_factor(static_cast<Index>(n), std::move(factors[n]));
  }

  void set_factor(Index mode, Matrix<Scalar> factor) {
    Mode& m = modes_[static_cast<std::size_t>(mode)];
    m.matrix = std::move(factor);
    m.has_matrix = true;
    std::swap(m.panels, m.before);
    m.panels.assign(m.matrix, partials_.layout());
    factor_changed(mode);
  }

  /// Takes back the last change of every factor.
  void take_back() {
    for (Index mode = 0; mode < order(); ++mode) take_before(mode);
  }

  /// Multiplies the columns of a factor.
  void scale_factor(Index mode, const Vector<Scalar>& scales) {
    set_factor(mode, with_scaled_columns(factor(mode), scales));
  }

  /// `M A` of a mode.
  const Matrix<Scalar>& seen(Index mode) const {
    return plain_ ? factor(mode) : modes_[static_cast<std::size_t>(mode)].seen;
  }

  /// F of a mode (`I_n x R`), valid until one is asked for again.
  const Matrix<Scalar>& mttkrp(Index mode) {
    find_mttkrp(mode);
    f_matrix_.resize(f_.rows(), rank());
    f_.copy_to(f_matrix_);
    return f_matrix_;
  }

  /// G of a mode (`R x R`), valid until one is asked for again; of all modes for -1.
  const Matrix<Scalar>& gram_of_others(Index mode) {
    find_gram_of_others(mode);
    g_matrix_ = g_.to_matrix();
    return g_matrix_;
  }

  /// The diagonal of `A^T M A` of a mode (R).
  Vector<Scalar> gram_diagonal(Index mode) const { return modes_[static_cast<std::size_t>(mode)].gram.diagonal(); }

  /// Squared norms of the columns of a factor (R).
  Vector<Scalar> squared_norms(Index mode) const {
    if (plain_) return gram_diagonal(mode);
    return inner_products(factor(mode), factor(mode));
  }

  /// Finds G of a mode, for the functions below. Returns its diagonal.
  Vector<Scalar> find_gram(Index mode) {
    find_gram_of_others(mode);
    return g_.diagonal();
  }

  /// Finds F and G of a mode, for the functions below. Returns the diagonal of G.
  Vector<Scalar> find_problem(Index mode) {
    find_mttkrp(mode);
    return find_gram(mode);
  }

  /// `A = (F + A diag(d)) (G + diag(d + e))^-1` in the place of A, where errors of the mode do not weigh differently:
  /// the minimizer of `tr(A^T A G) + tr(A^T A diag(e)) - 2 tr(A^T F) + sum_r d_r |a_r - a_r,old|^2`. After
  /// `find_gram`; finds F.
  void update_factor(Index mode, const Vector<Scalar>& d, const Vector<Scalar>& e) {
    Mode& m = modes_[static_cast<std::size_t>(mode)];
    cholesky_.factorize(g_, d + e, threads_);
    const bool solves_for_step = !cholesky_.is_well_conditioned();
    const Matrix<Scalar> g = solves_for_step ? g_.to_matrix() : Matrix<Scalar>();
    m.before.resize(m.panels.view().rows(), partials_.layout());
    f_ = partials_.update(seen_panels_, mode, m.before.view(), [&](const PanelView<Scalar>& f, Index first) {
      divide_by_norm(f);
      const PanelView<Scalar> a = m.panels.view().middle_rows(first, f.rows());
      const PanelView<Scalar> changed = m.before.view().middle_rows(first, f.rows());
      if (!solves_for_step) {
        find_right_side(f, a, d, changed);
        return cholesky_.solve_on_the_right(threads_, changed);
      }
      // Near to singular, the solve is applied to the residual, so that its own errors shrink with the steps.
      const Matrix<Scalar> before = a.to_matrix(Scalar(1));
      Matrix<Scalar> step = f.to_matrix(Scalar(1)) - product(before, g, threads_);
      step -= with_scaled_columns(before, e);
      cholesky_.solve_on_the_right(threads_, step);
      changed.assign(before + step);
    });
    take_before(mode);
  }

  /// `T = (F + W diag(d)) (G + diag(d))^-1`, the minimizer of `tr(T^T T G) - 2 tr(T^T F) + sum_r d_r |t_r - w_r|^2`. In
  /// a metric M that is not the plain one, a step from W towards the minimizer of `tr(T^T M T G) - 2 tr(T^T M F) +
  /// sum_r d_r |t_r - w_r|^2`. After `find_problem`.
  Matrix<Scalar> penalized_minimizer(Index mode, const Vector<Scalar>& d, const Matrix<Scalar>& w) {
    if (metric(mode).is_plain()) {
      cholesky_.factorize(g_, d, threads_);
      moved_.assign(w, partials_.layout());
      room_.resize(f_.rows(), partials_.layout());
      find_right_side(f_, moved_.view(), d, room_.view());
      cholesky_.solve_on_the_right(threads_, room_.view());
      return room_.view().to_matrix(Scalar(1));
    }
    const Matrix<Scalar> g = g_.to_matrix();
    Matrix<Scalar> step = metric(mode).times(f_.to_matrix(Scalar(1)) - product(w, g, threads_), threads_);
    solve_for_step(metric(mode), g, d, threads_, cholesky_, step);
    return w + step;
  }

  /// A step of A towards the minimizer of `tr(A^T M A K) + tr(A^T A diag(e)) - 2 tr(A^T M F) +
  /// sum_r d_r |a_r - a_r,old|^2` with `K = G + diag(p)`, in a metric M that is not the plain one. After
  /// `find_problem`.
  void step_factor(Index mode, const Vector<Scalar>& p, const Vector<Scalar>& d, const Vector<Scalar>& e) {
    const Matrix<Scalar>& a = factor(mode);
    Matrix<Scalar> k = g_.to_matrix();
    k.diagonal() += p;
    Matrix<Scalar> step = metric(mode).times(f_.to_matrix(Scalar(1)) - product(a, k, threads_), threads_);
    step -= with_scaled_columns(a, e);
    k.diagonal() += d;
    solve_for_step(metric(mode), k, e, threads_, cholesky_, step);
    set_factor(mode, a + step);
  }

  /// The relative error of the model from the F and G found last, those of the mode set last:
  /// `|X - Xhat|^2 = 1 - 2 <F, M A> + <A^T M A, G>`; see `fast_relative_error`. Cost: `R^2` multiplications, since the
  /// Gram matrices of all modes are at hand.
  double relative_error(Index mode) const {
    const Mode& m = modes_[static_cast<std::size_t>(mode)];
    const double squared =
        1 - 2 * inner_product(f_, seen_panels_[static_cast<std::size_t>(mode)]) + g_.inner_product(m.gram);
    return root_of_cancelled_sum(squared);
  }

  /// Memory for factorizations.
  Cholesky<Scalar>& cholesky() { return cholesky_; }

 private:
  struct Mode {
    PanelMatrix<Scalar> panels;     // the factor
    PanelMatrix<Scalar> before;     // what it was before it changed last
    mutable Matrix<Scalar> matrix;  // the same, where somebody asked
    mutable bool has_matrix = false;
    Matrix<Scalar> seen;  // M A, where any mode is weighted
    PanelMatrix<Scalar> seen_panels;
    SymmetricPanels<Scalar> gram;
  };

  // The entries over the norm, where products with the entries themselves may leave the scalar's range; else nothing.
  static Vector<Scalar> scaled_entries(const TensorView<Scalar>& view, double norm) {
    if (!is_extreme_norm<Scalar>(norm)) return {};
    return Eigen::Map<const Vector<Scalar>>(view.data(), view.size()) / static_cast<Scalar>(norm);
  }

  TensorView<Scalar> view_of_entries() const {
    const TensorView<Scalar>& view = tensor_.view();
    if (scaled_entries_.size() == 0) return view;
    return {scaled_entries_.data(), view.dimensions(), view.storage_order()};
  }

  void take_before(Index mode) {
    Mode& m = modes_[static_cast<std::size_t>(mode)];
    std::swap(m.panels, m.before);
    m.has_matrix = false;
    factor_changed(mode);
  }

  void factor_changed(Index mode) {
    const std::size_t n = static_cast<std::size_t>(mode);
    Mode& m = modes_[n];
    if (!plain_) {
      m.seen = metric(mode).times(factor(mode), threads_);
      m.seen_panels.assign(m.seen, partials_.layout());
    }
    seen_panels_[n] = plain_ ? m.panels.view() : m.seen_panels.view();
    partials_.factor_changed(mode);
    m.gram.resize(partials_.layout());
    symmetric_product(m.panels.view(), seen_panels_[n], threads_, m.gram.view());
  }

  void find_mttkrp(Index mode) {
    f_ = partials_.mttkrp(seen_panels_, mode);
    divide_by_norm(f_);
  }

  // Rows of an MTTKRP of the tensor, unless its entries are scaled already.
  void divide_by_norm(const PanelView<Scalar>& f) const {
    if (scaled_entries_.size() > 0) return;
    // Divided, for the inverse of a tiny norm overflows.
    for (Index k = 0; k < f.layout().panels(); ++k)
      Eigen::Map<Eigen::Array<Scalar, Eigen::Dynamic, 1>>(f.panel(k), f.rows() * f.layout().width(k)) /=
          static_cast<Scalar>(norm_);
  }

  void find_gram_of_others(Index mode) {
    const SymmetricPanels<Scalar>* product = nullptr;  // of the Gram matrices so far
    for (Index other = 0; other < order(); ++other) {
      if (other == mode) continue;
      const SymmetricPanels<Scalar>& gram = modes_[static_cast<std::size_t>(other)].gram;
      if (product != nullptr) g_.assign_product(*product, gram);
      product = product == nullptr ? &gram : &g_;
    }
    if (product != &g_) g_.assign(*product);
  }

  // `sums = F + A diag(d)`, or some rows.
  static void find_right_side(const PanelView<Scalar>& f, const PanelView<Scalar>& a, const Vector<Scalar>& d,
                              const PanelView<Scalar>& sums) {
    Vector<Scalar> padded = Vector<Scalar>::Zero(f.layout().padded_rank());
    padded.head(d.size()) = d;
    for (Index k = 0; k < sums.layout().panels(); ++k) {
      const Index width = sums.layout().width(k), begin = sums.layout().begin(k);
      for (Index i = 0; i < f.rows(); ++i) {
        const auto row = [&](const PanelView<Scalar>& matrix) {
          return Eigen::Map<Eigen::Array<Scalar, Eigen::Dynamic, 1>>(matrix.panel(k) + i * width, width);
        };
        row(sums) = row(f) + padded.segment(begin, width).array() * row(a);
      }
    }
  }

  static double inner_product(const PanelView<Scalar>& a, const PanelView<Scalar>& b) {
    constexpr Index block = 4096;  // entries that are summed in the scalar's own precision
    double sum = 0;
    for (Index k = 0; k < a.layout().panels(); ++k) {
      const Index size = a.rows() * a.layout().width(k);
      for (Index i = 0; i < size; i += block) {
        using Entries = Eigen::Map<const Vector<Scalar>>;
        const Index count = std::min(block, size - i);
        sum += static_cast<double>(Entries(a.panel(k) + i, count).dot(Entries(b.panel(k) + i, count)));
      }
    }
    return sum;
  }

  const WeightedTensor<Scalar>& tensor_;
  double norm_;
  int threads_;
  Vector<Scalar> scaled_entries_;
  PartialProducts<Scalar> partials_;
  bool plain_;
  std::vector<Mode> modes_;
  std::vector<PanelView<Scalar>> seen_panels_;
  PanelView<Scalar> f_;  // of the tensor scaled to norm 1
  SymmetricPanels<Scalar> g_;
  Matrix<Scalar> f_matrix_, g_matrix_;
  PanelMatrix<Scalar> room_, moved_;
  Cholesky<Scalar> cholesky_;
};

/// What the columns of each factor are to be multiplied by, so that all columns of a component get the same norm. Empty
/// where none has drifted far from that: updates do not depend on these norms, but in the long run they would leave the
/// scalar's range.
template <typename Scalar>
std::vector<Vector<Scalar>> balancing_scales(const AlternatingProblem<Scalar>& problem) {
  constexpr double far = 2.8;  // a natural logarithm
  const Index rank = problem.rank();
  std::vector<Vector<double>> logarithms;
  Vector<double> mean = Vector<double>::Zero(rank);
  for (Index mode = 0; mode < problem.order(); ++mode) {
    logarithms.emplace_back(rank);
    const Vector<Scalar> squared_norms = problem.squared_norms(mode);
    for (Index r = 0; r < rank; ++r) {
      logarithms.back()[r] = std::log(static_cast<double>(squared_norms[r])) / 2;
      mean[r] += logarithms.back()[r] / static_cast<double>(problem.order());
    }
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

/// Of the size of the rounding errors of a system with this diagonal, and nowhere 0, though columns may be.
template <typename Scalar>
Vector<Scalar> rounding_damping(const Vector<Scalar>& diagonal) {
  const Scalar rounding = 4 * std::numeric_limits<Scalar>::epsilon() * static_cast<Scalar>(diagonal.size());
  Vector<Scalar> damping = rounding * diagonal;
  for (Scalar& value : damping) value += std::numeric_limits<Scalar>::min();
  return damping;
}

/// One least-squares update of a factor: it moves `A` to, or towards, the minimizer of
/// `tr(A^T M A K) + tr(A^T A diag(q)) - 2 tr(A^T M F) + sum_r d_r |a_r - a_r,old|^2` with `K = G + diag(p)`. A damping
/// d of the size of the rounding errors makes a singular system harmless and, unlike a ridge, leaves the minimizers
/// where they are. `plain`: M cancels.
template <typename Scalar>
void least_squares_update(AlternatingProblem<Scalar>& problem, Index mode, bool plain, const Vector<Scalar>& p,
                          const Vector<Scalar>& q) {
  if (plain)
    problem.update_factor(mode, rounding_damping(problem.find_gram(mode)), p + q);
  else
    problem.step_factor(mode, p, rounding_damping(problem.find_problem(mode)), q);
}

}  // namespace qaf::detail
