#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <qaf/cp_als.hpp>
#include <qaf/error_preserving_correction.hpp>
#include <qaf/weighted.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/models.hpp"
#include "support/random.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::CpModel;
using qaf::DenseTensor;
using qaf::Index;
using qaf::Matrix;
using qaf::Status;
using qaf::StorageOrder;
using qaf::Vector;
using support::same_bits;
using support::Tolerance;

using Options = qaf::ErrorPreservingCorrectionOptions;
using Sizes = std::vector<Index>;

Options sweeps(Index count, double slack = 0) {
  Options options;
  options.max_iterations = count;
  options.tolerance = 0;
  options.slack = slack;
  return options;
}

/// A fit whose components have grown against each other.
template <typename Tensor>
auto long_fit(const Tensor& tensor, Index rank, Index count = 300) {
  qaf::CpAlsOptions options;
  options.max_iterations = count;
  options.tolerance = 0;
  options.extrapolate = true;
  return qaf::cp_als(tensor, rank, options).model;
}

bool never_rises(const std::vector<double>& history) { return std::is_sorted(history.rbegin(), history.rend()); }

/// Whether the error is within the bound, up to rounding of its square.
template <typename Scalar>
bool keeps(const qaf::ErrorPreservingCorrectionResult<Scalar>& result, double bound) {
  const double w = result.start_weights_norm;
  const double rounding = 16 * (std::numeric_limits<Scalar>::epsilon() * (1 + w) + 2e-16 * w * w);
  return result.relative_error * result.relative_error <= bound * bound + rounding;
}

/// F, G and a metric of a problem in one factor.
struct OneFactor {
  qaf::detail::ModeMetric<double> metric;
  Matrix<double> f, g;

  double squared_error(const Matrix<double>& a) const {
    const Matrix<double> seen = metric.times(a, 1);
    return 1 + (a.transpose() * seen).cwiseProduct(g).sum() - 2 * seen.cwiseProduct(f).sum();
  }
};

enum class Weighing { none, diagonal, full };

/// F and G as a tensor of norm 1 gives them, for a rank above the mode's length, and columns that lie close.
OneFactor one_factor(Weighing weighing, std::uint64_t seed) {
  const Sizes dimensions = {4, 5, 6};
  qaf::detail::NormalGenerator normal(seed);
  auto tensor = support::random_tensor<double>(dimensions, StorageOrder::column_major, seed);
  std::vector<Matrix<double>> metrics(3);
  if (weighing == Weighing::diagonal) metrics[0] = normal.matrix<double>(4, 1).cwiseAbs2();
  if (weighing == Weighing::full) {
    const Matrix<double> samples = normal.matrix<double>(4, 6);
    metrics[0] = samples * samples.transpose();
  }
  const auto plain = qaf::weighted(tensor, metrics);
  CpModel<double> model = support::random_model<double>(dimensions, 5, seed + 1);
  for (auto& factor : model.factors) {
    for (Index r = 1; r < 5; ++r) factor.col(r) = factor.col(0) + 0.3 * factor.col(r);
    qaf::detail::normalize_columns(factor);
  }
  qaf::detail::AlternatingProblem<double> problem(plain, qaf::detail::weighted_norm("test", plain, qaf::Resources()), 5,
                                                  true, {});
  problem.set_factors(model.factors);
  return {plain.metric(0), problem.mttkrp(0), problem.gram_of_others(0)};
}

}  // namespace

TEST_CASE("The factor of least norm solves its normal equations and lies on the bound",
          "[error_preserving_correction]") {
  for (const Weighing weighing : {Weighing::none, Weighing::diagonal, Weighing::full}) {
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      const OneFactor problem = one_factor(weighing, seed);
      // In the metric alone: A G = F has the least error there is.
      const double least = problem.squared_error(problem.g.llt().solve(problem.f.transpose()).transpose());
      for (const double part : {1e-9, 1e-4, 0.1, 0.5, 0.999}) {
        CAPTURE(static_cast<int>(weighing), seed, part);
        const double bound = least + part * (1 - least);
        const auto found = qaf::detail::least_norm_factor(problem.metric, problem.f, problem.g, bound, 1);
        REQUIRE(found.damping > 0);
        CHECK(support::matrix_distance(problem.metric.times(found.factor, 1) * problem.g + found.damping * found.factor,
                                       problem.metric.times(problem.f, 1)) < 1e-10);
        CHECK(problem.squared_error(found.factor) == Approx(bound).epsilon(1e-10));
        // Nothing else within the bound is shorter.
        qaf::detail::NormalGenerator normal(seed + 7);
        for (int k = 0; k < 200; ++k) {
          Matrix<double> other = normal.matrix<double>(4, 5) * std::pow(10.0, -k % 5) + found.factor;
          other *= found.factor.norm() * 0.999 / other.norm();
          CHECK(problem.squared_error(other) > bound);
        }
      }
      CHECK(qaf::detail::least_norm_factor(problem.metric, problem.f, problem.g, least - 1e-6, 1).factor.size() == 0);
      CHECK(qaf::detail::least_norm_factor(problem.metric, problem.f, problem.g, 1, 1).factor.isZero(0));
    }
  }
}

TEST_CASE("The damping is the one that a search over all of them finds", "[error_preserving_correction]") {
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    CAPTURE(seed);
    const OneFactor problem = one_factor(Weighing::none, seed);
    const auto solution = [&](double mu) {
      const Matrix<double> damped = problem.g + mu * Matrix<double>::Identity(5, 5);
      return Matrix<double>(damped.llt().solve(problem.f.transpose()).transpose());
    };
    for (const double mu : {1e-5, 1e-2, 1.0, 30.0}) {
      const double bound = problem.squared_error(solution(mu));
      double best = 0, error = 0;
      for (double tried = 1e-8; tried < 1e4; tried *= 1.01) {
        const double now = problem.squared_error(solution(tried));
        CHECK(now >= error - 1e-12);  // the equation is monotone
        error = now;
        if (now <= bound) best = tried;
      }
      const auto found = qaf::detail::least_norm_factor(problem.metric, problem.f, problem.g, bound, 1);
      CHECK(found.damping == Approx(mu).epsilon(1e-6));
      CHECK(found.damping >= best * (1 - 1e-6));
      CHECK(found.damping <= best * 1.011);
    }
  }
}

TEST_CASE("A problem of zeros has no damping, never NaN", "[error_preserving_correction]") {
  const qaf::detail::ModeMetric<double> metric;
  const Matrix<double> f = Matrix<double>::Zero(3, 2), g = Matrix<double>::Zero(2, 2);
  CHECK(qaf::detail::least_norm_factor(metric, f, g, 0.5, 1).factor.size() == 0);
  CHECK(qaf::detail::least_norm_factor<double>(metric, f, Matrix<double>::Identity(2, 2), 0.5, 1).factor.size() == 0);
  // A direction that the others lack altogether.
  Matrix<double> one = g, f_one = f;
  one(0, 0) = 1;
  f_one(1, 0) = 0.9;
  const auto found = qaf::detail::least_norm_factor(metric, f_one, one, 0.5, 1);
  REQUIRE(found.factor.size() == 6);
  CHECK(found.factor(1, 0) == Approx(0.9 - std::sqrt(0.5 - 0.19)));
  CHECK(found.factor.col(1).isZero(0));
}

TEMPLATE_TEST_CASE("The correction lowers large weights at the same error", "[error_preserving_correction]", float,
                   double) {
  for (const StorageOrder storage_order : support::both_orders) {
    const auto tensor = support::random_tensor<TestType>({8, 7, 6}, storage_order, 3);
    const double norm = support::direct_norm(tensor);
    for (const Index rank : {9, 14}) {
      CAPTURE(rank, static_cast<int>(storage_order));
      const CpModel<TestType> start = long_fit(tensor, rank, 50);
      const auto result = qaf::error_preserving_correction(tensor, start, sweeps(300));
      const double bound = support::direct_error(tensor, start);
      CHECK(keeps(result, bound));
      CHECK(result.relative_error ==
            Approx(support::direct_error(tensor, result.model)).epsilon(10 * Tolerance<TestType>::product));
      CHECK(result.start_weights_norm ==
            Approx(static_cast<double>(start.weights.norm()) / norm).epsilon(Tolerance<TestType>::product));
      CHECK(result.weights_norm ==
            Approx(static_cast<double>(result.model.weights.norm()) / norm).epsilon(Tolerance<TestType>::product));
      CHECK(result.weights_norm < 0.5 * result.start_weights_norm);
      REQUIRE(result.history.size() == static_cast<std::size_t>(result.iterations));
      CHECK(never_rises(result.history));
      CHECK(result.history.front() <= result.start_weights_norm * result.start_weights_norm);
      CHECK(result.history.back() == Approx(result.weights_norm * result.weights_norm));
      CHECK(result.status == Status::max_iterations);
      CHECK(result.seconds >= 0);
      for (const auto& factor : result.model.factors)
        for (Index r = 0; r < rank; ++r)
          CHECK(factor.col(r).norm() == Approx(1).epsilon(Tolerance<TestType>::rounding));
      for (Index r = 1; r < rank; ++r) CHECK(result.model.weights[r] <= result.model.weights[r - 1]);
    }
  }
}

TEMPLATE_TEST_CASE("The correction keeps the bound for every order, also of very large weights",
                   "[error_preserving_correction]", float, double) {
  for (const Sizes& dimensions : support::one_shape_an_order) {
    for (const Index count : {20, 1000}) {
      CAPTURE(qaf::detail::shape_text(dimensions), count);
      const auto tensor = support::random_tensor<TestType>(dimensions, StorageOrder::row_major, 5);
      const CpModel<TestType> start = long_fit(tensor, 4, count);
      for (const double slack : {0.0, 0.01, 0.1}) {
        const auto result = qaf::error_preserving_correction(tensor, start, sweeps(100, slack));
        CHECK(keeps(result, (1 + slack) * support::direct_error(tensor, start)));
        CHECK(result.weights_norm <= result.start_weights_norm);
        CHECK(never_rises(result.history));
      }
    }
  }
}

TEMPLATE_TEST_CASE("The more slack, the smaller the weights", "[error_preserving_correction]", float, double) {
  const auto tensor = support::random_tensor<TestType>({8, 7, 6}, StorageOrder::column_major, 3);
  const CpModel<TestType> start = long_fit(tensor, 14);
  const double error = support::direct_error(tensor, start);
  double previous = std::numeric_limits<double>::infinity();
  for (const double slack : {0.0, 0.005, 0.02, 0.1}) {
    CAPTURE(slack);
    const auto result = qaf::error_preserving_correction(tensor, start, sweeps(100, slack));
    CHECK(result.weights_norm < 0.9 * previous);
    CHECK(keeps(result, (1 + slack) * error));
    CHECK(result.relative_error == Approx((1 + slack) * error).epsilon(Tolerance<TestType>::solve));
    previous = result.weights_norm;
  }
  // Where even zeros are within the bound, they are the answer.
  const auto zeros = qaf::error_preserving_correction(tensor, start, sweeps(100, 100));
  CHECK(zeros.status == Status::converged);
  CHECK(zeros.weights_norm == 0);
  CHECK(zeros.model.weights.isZero(0));
  CHECK(zeros.relative_error == Approx(1));
}

TEMPLATE_TEST_CASE("A bound that rounding hides gives the start back", "[error_preserving_correction]", float, double) {
  CpModel<TestType> exact = support::random_model<TestType>({7, 6, 5}, 2, 4);
  const DenseTensor<TestType> tensor = support::direct_tensor(exact, StorageOrder::column_major);
  const auto result = qaf::error_preserving_correction(tensor, exact);
  CHECK(result.status == Status::stalled);
  CHECK(result.iterations == 0);
  CHECK(result.history.empty());
  CHECK(result.relative_error < Tolerance<TestType>::rounding);
  CHECK(result.weights_norm == result.start_weights_norm);
  qaf::normalize(exact);
  CHECK(support::model_distance(result.model, exact) < Tolerance<TestType>::product);
}

TEMPLATE_TEST_CASE("Weights, signs and norms of the start's columns do not matter", "[error_preserving_correction]",
                   float, double) {
  const auto tensor = support::random_tensor<TestType>({7, 6, 5}, StorageOrder::row_major);
  const CpModel<TestType> start = long_fit(tensor, 8, 30);
  CpModel<TestType> other = start;
  other.factors[0].col(1) *= TestType(-128);
  other.weights[1] /= TestType(-128);
  other.factors[2] *= TestType(0.0625);
  other.weights *= TestType(16);
  const CpModel<TestType> copy = other;
  const auto first = qaf::error_preserving_correction(tensor, start, sweeps(10));
  const auto second = qaf::error_preserving_correction(tensor, other, sweeps(10));
  CHECK(same_bits(other, copy));
  CHECK(second.start_weights_norm == Approx(first.start_weights_norm).epsilon(Tolerance<TestType>::product));
  CHECK(second.weights_norm == Approx(first.weights_norm).epsilon(Tolerance<TestType>::repeated));
  CHECK(second.relative_error == Approx(first.relative_error).epsilon(Tolerance<TestType>::repeated));

  // A component of zeros stays or is used, and is never NaN.
  other = qaf::error_preserving_correction(tensor, start, sweeps(200)).model;
  other.weights[7] = 0;
  for (auto& factor : other.factors) factor.col(7).setZero();
  REQUIRE(support::direct_error(tensor, other) < 1);
  const auto repaired = qaf::error_preserving_correction(tensor, other, sweeps(10));
  CHECK(repaired.status != Status::not_finite);
  CHECK(keeps(repaired, support::direct_error(tensor, other)));
  CHECK(repaired.weights_norm < repaired.start_weights_norm);
}

TEMPLATE_TEST_CASE("The correction works the same at every scale of the data", "[error_preserving_correction]", float,
                   double) {
  const auto tensor = support::random_tensor<TestType>({7, 6, 5}, StorageOrder::column_major);
  const CpModel<TestType> start = long_fit(tensor, 8, 30);
  const auto expected = qaf::error_preserving_correction(tensor, start, sweeps(20));
  for (const double scale :
       Tolerance<TestType>::is_float ? std::vector<double>{1e-30, 1e30} : std::vector<double>{1e-200, 1e150}) {
    CAPTURE(scale);
    CpModel<TestType> scaled = start;
    scaled.weights = (start.weights.template cast<double>() * scale).template cast<TestType>();
    const auto result = qaf::error_preserving_correction(support::scaled(tensor, scale), scaled, sweeps(20));
    CHECK(result.weights_norm == Approx(expected.weights_norm).epsilon(10 * Tolerance<TestType>::repeated));
    CHECK(result.relative_error == Approx(expected.relative_error).epsilon(Tolerance<TestType>::repeated));
  }
}

TEMPLATE_TEST_CASE("The correction of a weighted tensor keeps the weighted error", "[error_preserving_correction]",
                   float, double) {
  const auto tensor = support::random_tensor<TestType>({8, 7, 6}, StorageOrder::column_major, 3);
  qaf::detail::NormalGenerator normal(11);
  const Matrix<double> samples = normal.matrix<double>(7, 20);
  const Matrix<double> full = samples * samples.transpose();
  const Matrix<double> importances = normal.matrix<double>(8, 1).cwiseAbs2();
  const auto weighted = qaf::weighted(tensor, {importances, full, Matrix<double>()});
  const CpModel<TestType> start = long_fit(weighted, 12, 100);
  const auto result = qaf::error_preserving_correction(weighted, start, sweeps(200));
  const double bound = qaf::relative_error(weighted, start);
  CHECK(keeps(result, bound));
  CHECK(result.relative_error == Approx(qaf::relative_error(weighted, result.model)).epsilon(1e-6));
  CHECK(result.weights_norm < 0.8 * result.start_weights_norm);
  CHECK(never_rises(result.history));
  const double norm = qaf::detail::weighted_norm("test", weighted, qaf::Resources());
  CHECK(result.weights_norm ==
        Approx(static_cast<double>(result.model.weights.norm()) / norm).epsilon(Tolerance<TestType>::product));

  // Metrics of ones are no metrics.
  const auto ones =
      qaf::weighted(tensor, {Matrix<double>::Ones(8, 1), Matrix<double>::Identity(7, 7), Matrix<double>::Ones(6, 1)});
  CHECK(qaf::error_preserving_correction(ones, start, sweeps(20)).weights_norm ==
        Approx(qaf::error_preserving_correction(tensor, start, sweeps(20)).weights_norm)
            .epsilon(10 * Tolerance<TestType>::repeated));
}

TEST_CASE("The correction ends where a sweep gains too little", "[error_preserving_correction]") {
  const auto tensor = support::random_tensor<double>({8, 7, 6}, StorageOrder::column_major, 3);
  Options options;
  options.tolerance = 1e-2;
  options.slack = 0.05;
  const auto result = qaf::error_preserving_correction(tensor, long_fit(tensor, 9, 50), options);
  CHECK(result.status == Status::converged);
  REQUIRE(result.history.size() >= 2);
  CHECK(result.iterations < options.max_iterations);
  for (std::size_t k = 1; k < result.history.size(); ++k) {
    const double part = (result.history[k - 1] - result.history[k]) / result.history[k - 1];
    CHECK((part <= options.tolerance) == (k + 1 == result.history.size()));
  }
}

TEST_CASE("The correction tells its callback of every sweep and stops where that says so",
          "[error_preserving_correction]") {
  const auto tensor = support::random_tensor<double>({8, 7, 6}, StorageOrder::column_major, 3);
  const CpModel<double> start = long_fit(tensor, 9, 50);
  Options options = sweeps(40);
  std::vector<qaf::Progress> seen;
  options.on_iteration = [&](const qaf::Progress& progress) {
    seen.push_back(progress);
    return progress.iteration < 6;
  };
  const auto result = qaf::error_preserving_correction(tensor, start, options);
  CHECK(result.status == Status::stopped_by_callback);
  CHECK(result.iterations == 6);
  CHECK(result.history.size() == 6);
  REQUIRE(seen.size() == 6);
  for (std::size_t k = 0; k < seen.size(); ++k) {
    CHECK(seen[k].iteration == static_cast<Index>(k) + 1);
    CHECK(seen[k].max_iterations == 40);
    CHECK(seen[k].best_error <= seen[k].relative_error);
  }
  CHECK(seen.back().relative_error == Approx(result.relative_error).epsilon(1e-9));
  // Looking on changes nothing.
  CHECK(same_bits(result.model, qaf::error_preserving_correction(tensor, start, sweeps(6)).model));
}

TEMPLATE_TEST_CASE("The correction gives the same bits again, for a view and a tensor", "[error_preserving_correction]",
                   float, double) {
  const auto tensor = support::random_tensor<TestType>({8, 7, 6}, StorageOrder::column_major, 3);
  const CpModel<TestType> start = long_fit(tensor, 9, 50);
  const auto first = qaf::error_preserving_correction(tensor, start, sweeps(10));
  const auto second = qaf::error_preserving_correction(qaf::tensor_view(tensor), start, sweeps(10));
  CHECK(same_bits(first.model, second.model));
  CHECK(first.history == second.history);
  CHECK(first.relative_error == second.relative_error);
}

TEMPLATE_TEST_CASE("The correction of a tensor of zeros is the zero model", "[error_preserving_correction]", float,
                   double) {
  const DenseTensor<TestType> zeros({4, 3, 2});
  const auto result = qaf::error_preserving_correction(zeros, support::random_model<TestType>({4, 3, 2}, 2));
  CHECK(result.status == Status::converged);
  CHECK(result.relative_error == 0);
  CHECK(result.weights_norm == 0);
  CHECK(result.iterations == 0);
  CHECK(result.history.empty());
  CHECK(result.model.rank() == 2);
  CHECK(qaf::relative_error(zeros, result.model) == 0);

  // A start of zeros for another tensor is within its own bound.
  CpModel<TestType> start = support::random_model<TestType>({4, 3, 2}, 2);
  start.weights.setZero();
  const auto kept =
      qaf::error_preserving_correction(support::random_tensor<TestType>({4, 3, 2}, StorageOrder::column_major), start);
  CHECK(kept.relative_error == Approx(1));
  CHECK(kept.weights_norm == 0);
}

TEMPLATE_TEST_CASE("The correction refuses what it cannot use, and says what", "[error_preserving_correction]", float,
                   double) {
  DenseTensor<TestType> tensor = support::random_tensor<TestType>({4, 3, 2}, StorageOrder::column_major);
  const CpModel<TestType> start = support::random_model<TestType>({4, 3, 2}, 2);
  const auto with = [](auto&& change) {
    Options options;
    change(options);
    return options;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const std::string name = "qaf::ErrorPreservingCorrectionOptions: ";
  const std::vector<std::pair<Options, std::string>> bad_options = {
      {with([](auto& o) { o.max_iterations = 0; }), "max_iterations must be at least 1, got 0"},
      {with([](auto& o) { o.slack = -0.5; }), "slack must be 0 or more and finite, got -0.5"},
      {with([&](auto& o) { o.slack = infinity; }), "slack must be 0 or more and finite, got inf"},
      {with([](auto& o) { o.tolerance = -1; }), "tolerance must be 0 or more and finite, got -1"},
      {with([&](auto& o) { o.tolerance = nan; }), "tolerance must be 0 or more and finite, got nan"}};
  for (const auto& bad : bad_options) {
    const Options& options = bad.first;
    CHECK_ERROR(qaf::validate(options), name + bad.second);
    CHECK_ERROR(qaf::error_preserving_correction(tensor, start, options), name + bad.second);
  }

  const std::string function = "qaf::error_preserving_correction: ";
  CHECK_ERROR(qaf::error_preserving_correction(tensor, support::random_model<TestType>({4, 2, 3}, 2)),
              function + "the start must be a model of a tensor 4 x 3 x 2, got 4 x 2 x 3");
  CpModel<TestType> broken = start;
  broken.factors[1](2, 1) = std::numeric_limits<TestType>::quiet_NaN();
  CHECK_ERROR(qaf::error_preserving_correction(tensor, broken),
              function + "every entry of the start must be finite, got NaN or infinity");
  broken = start;
  broken.factors[2].resize(2, 3);
  CHECK_ERROR(qaf::error_preserving_correction(tensor, broken),
              function + "factor 2 must be I x R with I >= 1 and R the 2 weights, got 2 x 3");
  tensor.data()[5] = std::numeric_limits<TestType>::quiet_NaN();
  CHECK_ERROR(qaf::error_preserving_correction(tensor, start),
              function + "every entry of the tensor must be finite, got nan at position 5 in storage order");
}

TEMPLATE_TEST_CASE("A start beyond all bounds of a tiny tensor becomes the zero model, never NaN",
                   "[error_preserving_correction]", float, double) {
  const double tiny = 1e4 * static_cast<double>(std::numeric_limits<TestType>::denorm_min());
  const auto tensor = support::scaled(support::random_tensor<TestType>({5, 4, 3}, StorageOrder::row_major), tiny);
  const auto result = qaf::error_preserving_correction(tensor, support::random_model<TestType>({5, 4, 3}, 2));
  CHECK(result.model.weights.isZero());
  CHECK(result.relative_error == Approx(1));
  CHECK(result.weights_norm == 0);
}
