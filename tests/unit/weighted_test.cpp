// Errors that weigh differently.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <qaf/coordinate_descent.hpp>
#include <qaf/cp_admm.hpp>
#include <qaf/cp_als.hpp>
#include <qaf/detail/mode_metric.hpp>
#include <qaf/detail/random.hpp>
#include <qaf/quantizers/uniform.hpp>
#include <qaf/weighted.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::Index;
using qaf::Matrix;
using qaf::StorageOrder;
using support::Tolerance;
using Sizes = std::vector<Index>;
using Metrics = std::vector<Matrix<double>>;

/// A symmetric positive definite matrix, of condition about 20.
Matrix<double> definite(Index length, std::uint64_t seed) {
  const Matrix<double> random = qaf::detail::NormalGenerator(seed).matrix<double>(length, 2 * length);
  return random * random.transpose() / static_cast<double>(length) + 0.2 * Matrix<double>::Identity(length, length);
}

Matrix<double> importances(Index length) {
  return Matrix<double>::Constant(length, 1, 0.5) + Matrix<double>::Random(length, 1).cwiseAbs();
}

/// A metric of another kind for every mode in turn: a matrix, none, importances.
Metrics mixed_metrics(const Sizes& dimensions) {
  Metrics metrics;
  for (std::size_t n = 0; n < dimensions.size(); ++n)
    metrics.push_back(n % 3 == 0   ? definite(dimensions[n], n)
                      : n % 3 == 1 ? Matrix<double>()
                                   : importances(dimensions[n]));
  return metrics;
}

/// Rounds up, not to the nearest.
struct CeilingQuantizer {
  using Code = int;
  struct Parameters {};
  Parameters fit(const Matrix<double>&) const { return {}; }
  Matrix<int> encode(const Matrix<double>& matrix, const Parameters&) const {
    return matrix.array().ceil().cast<int>();
  }
  Matrix<double> decode(const Matrix<int>& codes, const Parameters&) const { return codes.cast<double>(); }
  Parameters column_parameters(const Parameters&, Index) const { return {}; }
};

/// `M_n` in full, as it was given.
Matrix<double> full(const Matrix<double>& metric, Index length) {
  if (metric.size() == 0) return Matrix<double>::Identity(length, length);
  if (metric.cols() == 1) return metric.col(0).asDiagonal();
  return metric;
}

/// `X x_n L_n^T` in every mode, with `M_n = L_n L_n^T`: plain errors of this one are weighted errors of X.
template <typename Scalar>
qaf::DenseTensor<double> whitened(const qaf::DenseTensor<Scalar>& tensor, const Metrics& metrics) {
  const Sizes& dimensions = tensor.dimensions();
  qaf::DenseTensor<double> result(dimensions, StorageOrder::column_major);
  support::for_each_index(dimensions, [&](const Sizes& index) {
    result.data()[support::position(dimensions, StorageOrder::column_major, index)] =
        static_cast<double>(support::entry(tensor, index));
  });
  for (std::size_t n = 0; n < dimensions.size(); ++n) {
    const Matrix<double> root = Eigen::LLT<Matrix<double>>(full(metrics[n], dimensions[n])).matrixL();
    qaf::DenseTensor<double> next(dimensions, StorageOrder::column_major);
    support::for_each_index(dimensions, [&](const Sizes& index) {
      Sizes from = index;
      double sum = 0;
      for (from[n] = 0; from[n] < dimensions[n]; ++from[n])
        sum += root(from[n], index[n]) * support::entry(result, from);
      next.data()[support::position(dimensions, StorageOrder::column_major, index)] = sum;
    });
    result = next;
  }
  return result;
}

/// The factors of the model of `whitened`.
template <typename Scalar>
qaf::CpModel<double> whitened(const qaf::CpModel<Scalar>& model, const Metrics& metrics) {
  qaf::CpModel<double> result;
  result.weights = model.weights.template cast<double>();
  for (std::size_t n = 0; n < metrics.size(); ++n) {
    const Matrix<double> root = Eigen::LLT<Matrix<double>>(full(metrics[n], model.factors[n].rows())).matrixL();
    result.factors.push_back(root.transpose() * model.factors[n].template cast<double>());
  }
  return result;
}

qaf::UniformQuantizer with_bits(int bits, qaf::Granularity granularity = qaf::Granularity::component) {
  qaf::UniformQuantizer quantizer;
  quantizer.bits = bits;
  quantizer.granularity = granularity;
  return quantizer;
}

}  // namespace

TEST_CASE("An entry moves only where the column comes nearer, however the quantizer rounds", "[weighted]") {
  qaf::detail::ModeMetric<double> metric;
  metric.matrix = definite(9, 1);
  metric.eigenvalues = Eigen::VectorXd::Ones(9);  // not plain
  int moved = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    const Matrix<double> target = 3 * qaf::detail::NormalGenerator(seed).matrix<double>(9, 1);
    qaf::detail::ColumnCandidate<double, CeilingQuantizer> nearest;
    nearest.codes = target.array().round().cast<int>();
    nearest.value = nearest.codes.cast<double>();
    const auto found = qaf::detail::descend_entries(CeilingQuantizer(), metric, target, nearest);
    CHECK(metric.squared_length(found.value - target) <= metric.squared_length(nearest.value - target) * (1 + 1e-12));
    CHECK(found.value == found.codes.cast<double>());
    moved += found.codes != nearest.codes;
  }
  CHECK(moved > 0);
}

TEMPLATE_TEST_CASE("The weighted error is the plain one of the whitened tensor", "[weighted]", float, double) {
  for (const Sizes& dimensions : support::one_shape_an_order) {
    for (const StorageOrder storage_order : support::both_orders) {
      CAPTURE(qaf::detail::shape_text(dimensions), static_cast<int>(storage_order));
      const auto tensor = support::random_tensor<TestType>(dimensions, storage_order);
      const auto model = support::random_model<TestType>(dimensions, 3);
      const Metrics metrics = mixed_metrics(dimensions);
      const double expected = support::direct_error(whitened(tensor, metrics), whitened(model, metrics));
      CHECK(qaf::relative_error(qaf::weighted(tensor, metrics), model) ==
            Approx(expected).epsilon(Tolerance<TestType>::product));
    }
  }
}

TEMPLATE_TEST_CASE("Without metrics, or with identities, nothing changes", "[weighted]", float, double) {
  const auto tensor = support::random_tensor<TestType>({6, 5, 4}, StorageOrder::row_major);
  const auto plain = qaf::cp_admm(tensor, 4, with_bits(4));
  const auto none = qaf::cp_admm(qaf::weighted(tensor, Metrics(3)), 4, with_bits(4));
  CHECK(none.relative_error == plain.relative_error);
  for (std::size_t n = 0; n < 3; ++n) CHECK(none.model.factors[n].codes == plain.model.factors[n].codes);

  Metrics identities;
  for (const Index length : {6, 5, 4}) identities.push_back(3 * Matrix<double>::Identity(length, length));
  qaf::CpAlsOptions options;
  options.max_iterations = 20;
  options.noise = std::vector<double>{0.01};
  CHECK(qaf::cp_als(qaf::weighted(tensor, identities), 3, options).relative_error ==
        Approx(qaf::cp_als(tensor, 3, options).relative_error).epsilon(Tolerance<TestType>::repeated));
}

TEMPLATE_TEST_CASE("Weighted ALS is plain ALS of the whitened tensor", "[weighted]", float, double) {
  for (const Sizes& dimensions : support::one_shape_an_order) {
    for (const StorageOrder storage_order : support::both_orders) {
      CAPTURE(qaf::detail::shape_text(dimensions), static_cast<int>(storage_order));
      const auto tensor = support::low_rank_tensor<TestType>(dimensions, 3, 0.3, 4, storage_order);
      const auto start = support::random_model<TestType>(dimensions, 2);
      const Metrics metrics = mixed_metrics(dimensions);
      qaf::CpAlsOptions options;
      options.max_iterations = 15;
      options.tolerance = 0;
      const auto result = qaf::cp_als(qaf::weighted(tensor, metrics), start, options);
      const auto expected = qaf::cp_als(whitened(tensor, metrics), whitened(start, metrics), options);
      CHECK(result.relative_error == Approx(expected.relative_error).epsilon(Tolerance<TestType>::repeated));
      CHECK(result.history.back() == Approx(result.relative_error).epsilon(Tolerance<TestType>::solve));
    }
  }
}

TEMPLATE_TEST_CASE("With weights and noise the expected error never rises and ends at rest", "[weighted]", float,
                   double) {
  const Sizes dimensions = {6, 5, 4};
  const auto tensor = support::random_tensor<TestType>(dimensions, StorageOrder::column_major);
  const Metrics metrics = {definite(6, 1), importances(5), definite(4, 3)};
  const auto weighted = qaf::weighted(tensor, metrics);
  const std::vector<double> noise = {0.02, 0.1, 0.005};
  qaf::CpAlsOptions options;
  options.max_iterations = 1;
  options.noise = noise;
  // Metrics count with a mean eigenvalue of 1.
  Metrics scaled;
  for (std::size_t n = 0; n < 3; ++n) {
    const Matrix<double> matrix = full(metrics[n], dimensions[n]);
    scaled.push_back(matrix * static_cast<double>(dimensions[n]) / matrix.trace());
  }
  const double norm = support::direct_norm(whitened(tensor, scaled));
  const auto expected_error = [&](const qaf::CpModel<TestType>& model) {
    double sum = 0;
    for (Index r = 0; r < model.rank(); ++r) {
      double with = 1, without = 1;
      for (std::size_t n = 0; n < 3; ++n) {
        const qaf::Vector<double> column = model.factors[n].col(r).template cast<double>();
        const double power = column.dot(scaled[n] * column);
        without *= power;
        with *= power + noise[n] * column.squaredNorm();
      }
      sum += (with - without) * std::pow(static_cast<double>(model.weights[r]) / norm, 2);
    }
    return std::sqrt(std::pow(support::direct_error(whitened(tensor, scaled), whitened(model, scaled)), 2) + sum);
  };
  auto result = qaf::cp_als(weighted, 3, options);
  double previous = expected_error(result.model), change = 1;
  for (int k = 0; k < 200; ++k) {
    result = qaf::cp_als(weighted, result.model, options);
    const double now = expected_error(result.model);
    CHECK(now <= previous + Tolerance<TestType>::rise);
    CHECK(result.expected_error == Approx(now).epsilon(Tolerance<TestType>::solve));
    change = previous - now;
    previous = now;
  }
  CHECK(change < 1e-4);
  // No small change of an entry lowers the expected error.
  for (std::size_t n = 0; n < 3; ++n) {
    for (const TestType step : {TestType(-1e-2), TestType(1e-2)}) {
      auto moved = result.model;
      moved.factors[n](1, 0) += step;
      CHECK(expected_error(moved) > previous - 1e-6);
    }
  }
}

TEMPLATE_TEST_CASE("No step after the multipliers raises the weighted error", "[weighted]", float, double) {
  const auto tensor = support::low_rank_tensor<TestType>({8, 7, 6}, 5, 0.3, 3, StorageOrder::row_major);
  const Metrics metrics = {definite(8, 1), definite(7, 2), importances(6)};
  const auto weighted = qaf::weighted(tensor, metrics);
  for (const qaf::Granularity granularity :
       {qaf::Granularity::component, qaf::Granularity::tensor, qaf::Granularity::row}) {
    for (const int bits : {2, 4}) {
      CAPTURE(qaf::to_string(granularity), bits);
      auto model = qaf::quantize(qaf::cp_als(weighted, 5).model, with_bits(bits, granularity));
      const double first = qaf::relative_error(weighted, model);
      double error = first;
      qaf::CoordinateDescentOptions options;
      options.max_iterations = 1;
      for (int sweep = 0; sweep < 8; ++sweep) {
        const double told =
            sweep % 2 == 0 ? qaf::fit_weights(weighted, model) : qaf::coordinate_descent(weighted, model, options);
        const double next = qaf::relative_error(weighted, model);
        CHECK(next <= error + 100 * Tolerance<TestType>::rounding);
        CHECK(told == Approx(next).margin(2e-3));
        error = next;
      }
      CHECK(error < 0.995 * first);
    }
  }
}

TEMPLATE_TEST_CASE("Coordinate descent in a metric ends where no entry can be improved", "[weighted]", float, double) {
  const auto tensor = support::random_tensor<TestType>({5, 4, 3}, StorageOrder::column_major);
  const auto weighted = qaf::weighted(tensor, {definite(5, 1), definite(4, 2), definite(3, 3)});
  auto model = qaf::quantize(qaf::cp_als(weighted, 3).model, with_bits(3));
  qaf::CoordinateDescentOptions options;
  options.max_iterations = 200;
  options.tolerance = 0;
  qaf::coordinate_descent(weighted, model, options);
  const double error = qaf::relative_error(weighted, model);
  for (std::size_t n = 0; n < 3; ++n) {
    for (Index k = 0; k < model.factors[n].codes.size(); ++k) {
      for (const int step : {-1, 1}) {
        auto moved = model;
        const int code = static_cast<int>(moved.factors[n].codes(k)) + step;
        if (code < -4 || code > 3) continue;
        moved.factors[n].codes(k) = static_cast<std::int8_t>(code);
        CAPTURE(n, k, step);
        CHECK(qaf::relative_error(weighted, moved) >= error - 1e-5);
      }
    }
  }
}

TEMPLATE_TEST_CASE("What weighs more is fitted better", "[weighted]", float, double) {
  const auto tensor = support::random_tensor<TestType>({12, 10, 8}, StorageOrder::row_major);
  const Metrics metrics = {Matrix<double>(), definite(10, 1) + 20 * Matrix<double>::Ones(10, 10), importances(8)};
  const auto weighted = qaf::weighted(tensor, metrics);
  for (const int bits : {3, 4}) {
    const auto aware = qaf::cp_admm(weighted, 8, with_bits(bits));
    const auto plain = qaf::cp_admm(tensor, 8, with_bits(bits));
    CHECK(aware.relative_error ==
          Approx(qaf::relative_error(weighted, aware.model)).epsilon(Tolerance<TestType>::product));
    CHECK(aware.relative_error < 0.97 * qaf::relative_error(weighted, plain.model));
    CHECK(qaf::relative_error(tensor, aware.model) > plain.relative_error);
  }
  // In parts of the tensor of importance 0 any error will do.
  Matrix<double> half = Matrix<double>::Zero(12, 1);
  half.topRows(6).setOnes();
  const auto of_half = qaf::weighted(tensor, {half, Matrix<double>(), Matrix<double>()});
  CHECK(qaf::cp_admm(of_half, 8, with_bits(4)).relative_error <
        0.9 * qaf::cp_admm(tensor, 8, with_bits(4)).relative_error);
}

TEST_CASE("The weighted error of a model far larger than a tiny tensor is finite and right", "[weighted]") {
  const auto tensor = support::scaled(support::random_tensor<float>({4, 3, 2}, StorageOrder::row_major), 1e-30);
  const auto model = support::random_model<float>({4, 3, 2}, 2);
  const qaf::Matrix<double> importances = qaf::Matrix<double>::Constant(4, 1, 3.0);  // weigh the same after all
  const double plain = qaf::relative_error(tensor, model);
  CHECK(plain > 1e28);
  CHECK(qaf::relative_error(qaf::weighted(tensor, {importances, {}, {}}), model) == Approx(plain).epsilon(1e-5));
}

TEST_CASE("Bad metrics are refused by name", "[weighted]") {
  const auto tensor = support::random_tensor<double>({3, 2}, StorageOrder::column_major);
  const Matrix<double> none;
  CHECK_ERROR(qaf::weighted(tensor, {none}),
              "qaf::weighted: expected a metric, or an empty matrix, for each of the 2 modes, got 1");
  CHECK_ERROR(qaf::weighted(tensor, {none, Matrix<double>::Ones(3, 1)}),
              "qaf::weighted: metric 1 must be 2 x 1 importances, a 2 x 2 matrix or empty, got 3 x 1");
  CHECK_ERROR(qaf::weighted(tensor, {Matrix<double>::Constant(3, 1, std::numeric_limits<double>::quiet_NaN()), none}),
              "qaf::weighted: metric 0 must be finite, got NaN or infinity");
  CHECK_ERROR(qaf::weighted(tensor, {Matrix<double>::Zero(3, 1), none}),
              "qaf::weighted: the importances of metric 0 must be 0 or more and not all 0, got 0 to 0");
  Matrix<double> matrix = Matrix<double>::Identity(2, 2);
  matrix(0, 1) = 0.5;
  CHECK_ERROR(qaf::weighted(tensor, {none, matrix}),
              "qaf::weighted: metric 1 must be symmetric, got entries (i, j) and (j, i) that differ by 0.5");
  matrix(1, 0) = 0.5;
  matrix(1, 1) = -1;
  CHECK(support::error_text([&] {
          static_cast<void>(qaf::weighted(tensor, {none, matrix}));
        }).rfind("qaf::weighted: metric 1 must be positive definite, got an eigenvalue of -1.1", 0) == 0);
}
