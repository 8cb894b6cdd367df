// The sweeps of `cp_admm` next to the method's equations, written out plainly and in double.

#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include <Eigen/Cholesky>

#include <qaf/cp_admm.hpp>
#include <qaf/detail/admm_state.hpp>
#include <qaf/detail/alternating_problem.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"
#include "support/reference.hpp"

namespace {

using qaf::CpAdmmOptions;
using qaf::CpModel;
using qaf::Index;
using qaf::Matrix;
using qaf::PenaltyShape;
using Sizes = std::vector<Index>;

/// `T = (F + (W + momentum (W - W_before)) D)(G + D)^-1` with `W = H + U`, `H = decode(encode(T - U))`, `U += H - T`;
/// `D = rho diag(G)` or `rho tr(G) / R`, and U shrinks as rho grows.
class PlainAdmm {
 public:
  PlainAdmm(const qaf::DenseTensor<double>& tensor, std::vector<Matrix<double>> factors,
            const qaf::UniformQuantizer& quantizer, const CpAdmmOptions& options)
      : tensor_(tensor),
        norm_(support::direct_norm(tensor)),
        quantizer_(quantizer),
        options_(options),
        factors_(std::move(factors)),
        before_(factors_),
        rho_(options.first_penalty) {
    for (const Matrix<double>& factor : factors_)
      duals_.emplace_back(Matrix<double>::Zero(factor.rows(), factor.cols()));
  }

  /// Returns the relative error after it.
  double sweep() {
    for (std::size_t mode = 0; mode < factors_.size(); ++mode) update(mode);
    CpModel<double> model;
    model.factors = factors_;
    model.weights = qaf::Vector<double>::Constant(factors_[0].cols(), norm_);
    const double growth =
        std::pow(options_.last_penalty / options_.first_penalty, 1 / static_cast<double>(options_.max_iterations - 1));
    rho_ *= growth;
    for (std::size_t mode = 0; mode < factors_.size(); ++mode) {
      duals_[mode] /= growth;
      before_[mode] = factors_[mode] + (before_[mode] - factors_[mode]) / growth;
    }
    return support::direct_error(tensor_, model);
  }

 private:
  void update(std::size_t mode) {
    const Matrix<double> f = support::direct_mttkrp(tensor_, factors_, mode) / norm_;
    Matrix<double> k = support::direct_gram_of_others(factors_, mode);
    qaf::Vector<double> d = rho_ * k.diagonal();
    if (options_.penalty_shape == PenaltyShape::trace) d.setConstant(d.mean());
    k.diagonal() += d;
    for (Index step = 0; step < options_.max_inner_iterations; ++step) {
      const Matrix<double> w = factors_[mode] + duals_[mode];
      const Matrix<double> right = f + (w + options_.momentum * (w - before_[mode])) * d.asDiagonal();
      before_[mode] = w;
      const Matrix<double> t = k.ldlt().solve(right.transpose()).transpose();
      factors_[mode] = qaf::decode<double>(qaf::quantize(Matrix<double>(t - duals_[mode]), quantizer_));
      duals_[mode] += factors_[mode] - t;
    }
  }

  const qaf::DenseTensor<double>& tensor_;
  double norm_;
  qaf::UniformQuantizer quantizer_;
  CpAdmmOptions options_;
  std::vector<Matrix<double>> factors_, duals_, before_;
  double rho_;
};

/// The start's factors, for a tensor of norm 1, as `cp_admm` takes them.
std::vector<Matrix<double>> balanced(CpModel<double> start, double norm) {
  start.weights /= norm;
  qaf::balance(start);
  return start.factors;
}

}  // namespace

TEST_CASE("Every sweep of ADMM is what its equations say", "[admm_iterates]") {
  for (const Sizes& dimensions : std::vector<Sizes>{{9, 8, 7}, {6, 5, 4, 3}}) {
    const auto tensor = support::low_rank_tensor<double>(dimensions, 4, 0.2, 3, qaf::StorageOrder::column_major);
    auto start = support::random_model<double>(dimensions, 4, 5);
    start.weights.setOnes();
    for (const PenaltyShape shape : {PenaltyShape::diagonal, PenaltyShape::trace}) {
      for (const double momentum : {0.0, 0.5}) {
        for (const Index steps : {1, 3}) {
          CAPTURE(dimensions, shape == PenaltyShape::trace, momentum, steps);
          CpAdmmOptions options;
          options.max_iterations = 8;
          options.max_inner_iterations = steps;
          options.inner_tolerance = 0;
          options.first_penalty = 0.3;
          options.last_penalty = 0.9;
          options.penalty_shape = shape;
          options.momentum = momentum;
          options.reflect = options.refine = false;
          options.tolerance = 0;
          qaf::UniformQuantizer quantizer;
          quantizer.bits = 4;
          quantizer.scale_method = qaf::ScaleMethod::maximum;  // scales with a column, and no other steps
          const auto result = qaf::cp_admm(tensor, start, quantizer, options);
          PlainAdmm plain(tensor, balanced(start, support::direct_norm(tensor)), quantizer, options);
          REQUIRE(result.history.size() == 8);
          for (const double error : result.history) CHECK(error == Approx(plain.sweep()).epsilon(1e-6));
        }
      }
    }
  }
}

TEST_CASE("Codes keep their model when factors are balanced, also with one updated since", "[admm_iterates]") {
  const auto tensor = support::low_rank_tensor<double>({9, 8, 7}, 4, 0.2, 3, qaf::StorageOrder::column_major);
  const double norm = support::direct_norm(tensor);
  const auto weighted = qaf::detail::weighted_view<double>(tensor);
  qaf::detail::AlternatingProblem<double> problem(weighted, norm, 4, true, {});
  auto start = support::random_model<double>({9, 8, 7}, 4, 5);
  start.weights.setOnes();
  std::vector<Matrix<double>> factors = balanced(start, norm);
  factors[0] *= 1e4;
  factors[2] *= 1e-4;
  CpAdmmOptions options;
  options.reflect = false;
  qaf::UniformQuantizer quantizer;
  quantizer.bits = 4;
  qaf::detail::AdmmState<double, qaf::UniformQuantizer> state(
      problem, factors, std::vector<qaf::UniformQuantizer>(3, quantizer), options);
  const auto error = [&] {
    CpModel<double> model = qaf::decode(state.quantized_model());
    model.weights *= norm;
    return support::direct_error(tensor, model);
  };
  double told = 0;
  for (const Index mode : {0, 1, 2}) told = state.update(mode);
  CHECK(error() == Approx(told));
  const double before = problem.factor(0).norm();
  state.balance();
  CHECK(problem.factor(0).norm() < before / 100);
  CHECK(error() == Approx(told));
  for (const Index mode : {0, 1, 2}) {
    told = state.update(mode);
    CHECK(error() == Approx(told));
  }
}
