#pragma once

// What sweeps of the solvers take, and the limit: the products that no way of sharing work avoids.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include <qaf/cp_admm.hpp>
#include <qaf/cp_als.hpp>
#include <qaf/detail/cholesky.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/panel_products.hpp>
#include <qaf/detail/random.hpp>
#include <qaf/detail/symmetric_panels.hpp>
#include <qaf/detail/tensor_pass.hpp>
#include <qaf/initialize.hpp>
#include <qaf/quantizers/uniform.hpp>
#include <qaf/types.hpp>

#include "support/two_contractions.hpp"

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <typename Function>
double seconds_of(const Function& function) {
  const double begin = now();
  function();
  return now() - begin;
}

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Seconds of a sweep.
struct SweepTimes {
  double passes = 0;   ///< `N / (N - 1)` passes over the tensor, each summing over one mode
  double grams = 0;    ///< N Gram matrices
  double solves = 0;   ///< N Cholesky factorizations, and the triangular solves
  double cp_als = 0;   ///< without extrapolation
  double cp_admm = 0;  ///< of one inner step, 4 bits
  double two_contractions = 0;

  double limit() const { return passes + grams + solves; }
};

/// A column-major tensor of normal entries.
template <typename Scalar>
qaf::DenseTensor<Scalar> noise_tensor(const std::vector<qaf::Index>& dimensions, std::uint64_t seed) {
  qaf::DenseTensor<Scalar> tensor(dimensions);
  qaf::detail::NormalGenerator normal(seed);
  for (qaf::Index k = 0; k < tensor.size(); ++k) tensor.data()[k] = static_cast<Scalar>(normal());
  return tensor;
}

/// A column-major tensor with a quarter of the rank's components in it, and a tenth of noise.
template <typename Scalar>
qaf::DenseTensor<Scalar> planted_tensor(const std::vector<qaf::Index>& dimensions, qaf::Index rank,
                                        std::uint64_t seed) {
  qaf::DenseTensor<Scalar> tensor =
      qaf::reconstruct(qaf::initialize_random<Scalar>(dimensions, std::max<qaf::Index>(rank / 4, 1), seed));
  const auto noise = noise_tensor<Scalar>(dimensions, seed + 1);
  const double norm = qaf::detail::frobenius_norm("planted_tensor", qaf::tensor_view(tensor));
  const Scalar size = static_cast<Scalar>(0.1 * norm / std::sqrt(static_cast<double>(tensor.size())));
  for (qaf::Index k = 0; k < tensor.size(); ++k) tensor.data()[k] += size * noise.data()[k];
  return tensor;
}

template <typename Scalar>
class SweepTimer {
 public:
  using Index = qaf::Index;
  using Matrix = qaf::Matrix<Scalar>;

  SweepTimer(const qaf::DenseTensor<Scalar>& tensor, Index rank, int threads)
      : tensor_(tensor), start_(qaf::initialize_random<Scalar>(tensor.dimensions(), rank, 7)), threads_(threads) {
    blas::set_threads(threads);
    const qaf::detail::PanelLayout<Scalar> layout(rank);
    panels_.resize(start_.factors.size());
    for (std::size_t n = 0; n < panels_.size(); ++n) {
      panels_[n].assign(start_.factors[n], layout);
      views_.push_back(panels_[n].view());
      grams_.emplace_back();
      grams_[n].resize(layout);
      qaf::detail::symmetric_product(views_[n], views_[n], threads, grams_[n].view());
    }
  }

  /// Medians of some turns, in each of which all is measured, one after the other.
  SweepTimes measure(int turns) {
    std::vector<double> passes, grams, solves, cp_als, cp_admm, two_contractions;
    for (int turn = 0; turn < turns; ++turn) {
      passes.push_back(seconds_of_passes());
      grams.push_back(seconds_of_grams());
      solves.push_back(seconds_of_solves());
      cp_als.push_back(seconds_of_cp_als());
      cp_admm.push_back(seconds_of_cp_admm());
      two_contractions.push_back(seconds_of_two_contractions());
    }
    return {median(passes), median(grams), median(solves), median(cp_als), median(cp_admm), median(two_contractions)};
  }

 private:
  static constexpr double least_seconds = 0.05;  // of a measurement

  Index order() const { return tensor_.order(); }
  qaf::TensorView<Scalar> view() const { return qaf::tensor_view(tensor_); }

  /// Seconds of a call.
  template <typename Function>
  static double repeated(const Function& function) {
    double calls = 0;
    const double begin = now();
    double end = begin;
    for (; end - begin < least_seconds; end = now(), ++calls) function();
    return (end - begin) / calls;
  }

  /// Of one of the longest modes, which leave the smallest partial products: the fastest of them.
  double seconds_of_passes() {
    const Index longest = *std::max_element(tensor_.dimensions().begin(), tensor_.dimensions().end());
    double fastest = std::numeric_limits<double>::infinity();
    for (Index mode = 0; mode < order(); ++mode) {
      if (tensor_.dimensions()[static_cast<std::size_t>(mode)] != longest) continue;
      const qaf::detail::TensorPass<Scalar> pass(view(), (mode + 1) % order(), order() - 1);
      result_.resize(pass.cells(), views_.front().layout());
      fastest = std::min(fastest, repeated([&] { pass.run(views_, threads_, result_.view()); }));
    }
    const double count = static_cast<double>(order());
    return fastest * count / (count - 1);
  }

  double seconds_of_grams() {
    double sum = 0;
    for (std::size_t n = 0; n < views_.size(); ++n)
      sum += repeated([&] { qaf::detail::symmetric_product(views_[n], views_[n], threads_, grams_[n].view()); });
    return sum;
  }

  double seconds_of_solves() {
    double sum = 0;
    const qaf::Vector<Scalar> one = qaf::Vector<Scalar>::Ones(start_.rank());
    for (std::size_t mode = 0; mode < views_.size(); ++mode) {
      qaf::detail::SymmetricPanels<Scalar> gram;
      gram.assign(Matrix::Ones(start_.rank(), start_.rank()));
      for (std::size_t n = 0; n < grams_.size(); ++n)
        if (n != mode) gram.assign_product(gram, grams_[n]);
      double seconds = 0, calls = 0;
      for (; seconds < least_seconds; ++calls) {
        result_.assign(start_.factors[mode], views_[mode].layout());  // the copy does not count
        seconds += seconds_of([&] {
          cholesky_.factorize(gram, one, threads_);
          cholesky_.solve_on_the_right(threads_, result_.view());
        });
      }
      sum += seconds / calls;
    }
    return sum;
  }

  /// Sweeps after which runs of any length have come round.
  Index period() const { return order() == 3 ? 2 : order() == 4 ? 3 : 12; }

  /// Seconds of a sweep: of some runs without their first sweeps. `solve(sweeps, callback)` is one.
  template <typename Solve>
  double seconds_of_sweeps(const Solve& solve) {
    const Index sweeps = 2 * period();  // few, so that only the smallest tensors are solved to the last bit before
    double seconds = 0, counted = 0;
    while (seconds < 2 * least_seconds) {
      double begin = 0, end = 0;
      Index done = 0;
      solve(sweeps + 1, [&](const qaf::Progress& progress) {
        end = now();
        if (progress.iteration == 1) begin = end;
        done = progress.iteration;
        return true;
      });
      if (done < 2) throw std::runtime_error("a solver stopped after its first sweep");
      seconds += end - begin;
      counted += static_cast<double>(done - 1);
    }
    return seconds / counted;
  }

  double seconds_of_cp_als() {
    return seconds_of_sweeps([&](Index sweeps, const qaf::IterationCallback& callback) {
      qaf::CpAlsOptions options;
      options.max_iterations = sweeps;
      options.tolerance = 0;
      options.resources.threads = threads_;
      options.on_iteration = callback;
      qaf::cp_als(tensor_, start_, options);
    });
  }

  double seconds_of_cp_admm() {
    return seconds_of_sweeps([&](Index sweeps, const qaf::IterationCallback& callback) {
      qaf::CpAdmmOptions options;
      options.max_iterations = sweeps;
      options.tolerance = 0;
      options.refine = false;
      options.resources.threads = threads_;
      options.on_iteration = callback;
      qaf::UniformQuantizer quantizer;
      quantizer.bits = 4;
      qaf::cp_admm(tensor_, start_, quantizer, options);
    });
  }

  double seconds_of_two_contractions() {
    TwoContractions<Scalar> solver(view(), start_.factors);
    solver.sweep();
    return repeated([&] { solver.sweep(); });
  }

  const qaf::DenseTensor<Scalar>& tensor_;
  qaf::CpModel<Scalar> start_;
  int threads_;
  std::vector<qaf::detail::PanelMatrix<Scalar>> panels_;
  std::vector<qaf::detail::PanelView<Scalar>> views_;
  std::vector<qaf::detail::SymmetricPanels<Scalar>> grams_;
  qaf::detail::PanelMatrix<Scalar> result_;
  qaf::detail::Cholesky<Scalar> cholesky_;
};
