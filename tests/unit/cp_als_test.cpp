#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Eigenvalues>

#include <qaf/cp_als.hpp>
#include <qaf/initialize.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/models.hpp"
#include "support/random.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::CpAlsOptions;
using qaf::CpModel;
using qaf::DenseTensor;
using qaf::Index;
using qaf::Matrix;
using qaf::Status;
using qaf::StorageOrder;
using support::is_normalized;
using support::same_bits;
using support::Tolerance;

using Sizes = std::vector<Index>;

CpAlsOptions sweeps(Index count, std::uint64_t seed = 0) {
  CpAlsOptions options;
  options.max_iterations = count;
  options.tolerance = 0;
  options.seed = seed;
  return options;
}

/// How far the components of `found` are from those of `exact`, in any order: 1 less the smallest of the
/// products, over the modes, of the cosines between columns. A wrong sign or a component found twice is 1 or more.
template <typename Scalar>
double component_distance(CpModel<Scalar> exact, const CpModel<Scalar>& found) {
  qaf::normalize(exact);
  Matrix<double> cosines = Matrix<double>::Ones(exact.rank(), exact.rank());
  for (std::size_t n = 0; n < exact.factors.size(); ++n)
    cosines.array() *= (exact.factors[n].transpose() * found.factors[n]).template cast<double>().array();
  double distance = 0;
  std::vector<Index> taken;
  for (Index r = 0; r < exact.rank(); ++r) {
    Index match = 0;
    distance = std::max(distance, 1 - cosines.row(r).maxCoeff(&match));
    if (std::find(taken.begin(), taken.end(), match) != taken.end()) return 1;
    taken.push_back(match);
  }
  return distance;
}

/// The unfolding of a mode (`I_n x prod of the others`), copied index by index.
template <typename Scalar>
Matrix<double> unfolding(const DenseTensor<Scalar>& tensor, std::size_t mode) {
  const Sizes& dimensions = tensor.dimensions();
  Matrix<double> result(dimensions[mode], tensor.size() / dimensions[mode]);
  std::vector<Index> filled(static_cast<std::size_t>(dimensions[mode]), 0);
  support::for_each_index(dimensions, [&](const Sizes& index) {
    result(index[mode], filled[static_cast<std::size_t>(index[mode])]++) =
        static_cast<double>(support::entry(tensor, index));
  });
  return result;
}

/// The eigenvectors of `U U^T`, the largest eigenvalue first.
Matrix<double> leading_vectors(const Matrix<double>& unfolded) {
  const Eigen::SelfAdjointEigenSolver<Matrix<double>> solver(Matrix<double>(unfolded * unfolded.transpose()));
  return solver.eigenvectors().rowwise().reverse();
}

}  // namespace

TEMPLATE_TEST_CASE("ALS recovers tensors of exact low rank", "[cp_als]", float, double) {
  for (const Sizes& dimensions : std::vector<Sizes>{{8, 7}, {8, 7, 6}, {6, 5, 4, 5}, {5, 4, 5, 4, 4}}) {
    for (Index rank = 1; rank <= 4; ++rank) {
      for (const StorageOrder storage_order : support::both_orders) {
        CAPTURE(qaf::detail::shape_text(dimensions), rank, static_cast<int>(storage_order));
        CpModel<TestType> exact = support::random_model<TestType>(dimensions, rank, 40 + static_cast<unsigned>(rank));
        exact.weights.setOnes();
        const DenseTensor<TestType> tensor = support::direct_tensor(exact, storage_order);
        // A start may end in a local minimum; of three, one must not.
        double least = 1;
        double distance = 2;
        for (std::uint64_t seed = 0; seed < 3 && least >= Tolerance<TestType>::recovery; ++seed) {
          CpAlsOptions options = sweeps(1000, seed);
          options.tolerance = Tolerance<TestType>::is_float ? 1e-7 : 1e-12;
          const auto result = qaf::cp_als(tensor, rank, options);
          if (result.relative_error >= least) continue;
          least = result.relative_error;
          distance = component_distance(exact, result.model);
        }
        CHECK(least < Tolerance<TestType>::recovery);
        // A matrix has many models of its rank, a tensor of order 3 or more one.
        if (dimensions.size() > 2) CHECK(distance < Tolerance<TestType>::recovered_column);
      }
    }
  }
}

TEMPLATE_TEST_CASE("What ALS returns is normalized, with its own error", "[cp_als]", float, double) {
  for (const Sizes& dimensions : support::one_shape_an_order) {
    for (const StorageOrder storage_order : support::both_orders) {
      CAPTURE(qaf::detail::shape_text(dimensions), static_cast<int>(storage_order));
      const DenseTensor<TestType> tensor = support::random_tensor<TestType>(dimensions, storage_order);
      const auto result = qaf::cp_als(tensor, 2, sweeps(20, 5));
      CHECK(is_normalized(result.model));
      CHECK(result.relative_error ==
            Approx(support::direct_error(tensor, result.model)).epsilon(Tolerance<TestType>::product));
      CHECK(result.relative_error <=
            *std::min_element(result.history.begin(), result.history.end()) * (1 + Tolerance<TestType>::fast_error));
      CHECK(result.history.size() == static_cast<std::size_t>(result.iterations));
      CHECK(result.seconds >= 0);
      CHECK(result.seed == 5);
    }
  }
}

TEMPLATE_TEST_CASE("The error never rises from sweep to sweep", "[cp_als]", float, double) {
  // The last has more components than any mode has entries.
  const std::vector<std::pair<Sizes, Index>> cases = {{{7, 5}, 2}, {{6, 5, 4}, 3}, {{5, 4, 2, 3}, 2}, {{6, 5, 4}, 7}};
  for (const auto& [dimensions, rank] : cases) {
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      CAPTURE(qaf::detail::shape_text(dimensions), rank, seed);
      const DenseTensor<TestType> tensor = support::random_tensor<TestType>(dimensions, StorageOrder::row_major, seed);
      const auto result = qaf::cp_als(tensor, rank, sweeps(80, seed));
      REQUIRE(result.history.size() >= 3);
      for (std::size_t k = 1; k < result.history.size(); ++k)
        CHECK(result.history[k] * result.history[k] <=
              result.history[k - 1] * result.history[k - 1] + Tolerance<TestType>::rise);
      CHECK(result.history.back() < 1);
    }
  }
}

TEMPLATE_TEST_CASE("With extrapolation the error never rises either, and falls in fewer sweeps", "[cp_als]", float,
                   double) {
  int plain_sweeps = 0;
  int sweeps_with = 0;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    CAPTURE(seed);
    // Columns that point nearly the same way make plain ALS slow.
    CpModel<TestType> exact = support::random_model<TestType>({9, 8, 7}, 3, seed);
    exact.weights.setOnes();
    for (auto& factor : exact.factors)
      for (Index r = 1; r < 3; ++r) factor.col(r) = factor.col(0) + TestType(0.5) * factor.col(r);
    DenseTensor<TestType> tensor = support::direct_tensor(exact, StorageOrder::column_major);
    support::add_noise(tensor, 0.01, seed + 9);

    CpAlsOptions options = sweeps(300, seed + 500);
    const auto plain = qaf::cp_als(tensor, 3, options);
    options.extrapolate = true;
    const auto extrapolated = qaf::cp_als(tensor, 3, options);
    for (std::size_t k = 1; k < extrapolated.history.size(); ++k)
      CHECK(extrapolated.history[k] * extrapolated.history[k] <=
            extrapolated.history[k - 1] * extrapolated.history[k - 1] + Tolerance<TestType>::rise);
    CHECK(extrapolated.relative_error ==
          Approx(support::direct_error(tensor, extrapolated.model)).epsilon(10 * Tolerance<TestType>::product));
    CHECK(is_normalized(extrapolated.model));

    // Sweeps until nearly what plain ALS has in the end.
    const double target = 1.05 * plain.relative_error;
    const auto until = [&](const std::vector<double>& history) {
      return static_cast<int>(
          std::find_if(history.begin(), history.end(), [&](double error) { return error <= target; }) -
          history.begin());
    };
    plain_sweeps += until(plain.history);
    sweeps_with += until(extrapolated.history);
  }
  CAPTURE(plain_sweeps, sweeps_with);
  CHECK(sweeps_with < 0.7 * plain_sweeps);
}

// What noise in the factors adds to the square of a weight.
double kappa(const std::vector<double>& noise) {
  double product = 1;
  for (const double power : noise) product *= 1 + power;
  return product - 1;
}

TEMPLATE_TEST_CASE("The factors ALS ends with solve the normal equations", "[cp_als]", float, double) {
  for (const double least : {0.0, 0.004, 0.1}) {
    for (const Sizes& dimensions : std::vector<Sizes>{{8, 7, 6}, {5, 4, 3, 4}}) {
      CAPTURE(qaf::detail::shape_text(dimensions), least);
      std::vector<double> noise;
      for (std::size_t mode = 0; mode < dimensions.size(); ++mode)
        noise.push_back(least * static_cast<double>(mode + 1));
      const auto tensor = support::low_rank_tensor<TestType>(dimensions, 2, 0.2, 3, StorageOrder::column_major);
      // Sweep by sweep, since the result of many is the one with the least error, without the noise's part.
      CpAlsOptions options = sweeps(1);
      options.noise = noise;
      CpModel<TestType> model = qaf::cp_als(tensor, 2, options).model;
      for (int k = 0; k < 300; ++k) model = qaf::cp_als(tensor, model, options).model;
      for (std::size_t mode = 0; mode < dimensions.size(); ++mode) {
        CAPTURE(mode);
        const Matrix<double> f = support::direct_mttkrp(tensor, model.factors, mode);
        Matrix<double> g = support::direct_gram_of_others(model.factors, mode);
        g.diagonal().array() += kappa(noise);
        const Matrix<double> a = (model.factors[mode] * model.weights.asDiagonal()).template cast<double>();
        CHECK(support::matrix_distance(a * g, f) < Tolerance<TestType>::solve);
      }
    }
  }
}

TEST_CASE("The noise falls geometrically in the first half of the sweeps", "[cp_als]") {
  CpAlsOptions options = sweeps(10);
  options.first_noise = 1;
  const double exponents[] = {0.8, 0.6, 0.4, 0.2, 0, 0, 0, 0, 0, 0};
  for (Index sweep = 0; sweep < 10; ++sweep) {
    CAPTURE(sweep);
    const std::vector<double> noise = qaf::detail::noise_of_sweep({0.01, 0, 2}, options, sweep);
    CHECK(noise[0] == Approx(0.01 * std::pow(100, exponents[sweep])));
    CHECK(noise[1] == 0);
    CHECK(noise[2] == 2);
  }
}

TEMPLATE_TEST_CASE("With noise the expected error never rises", "[cp_als]", float, double) {
  const auto tensor = support::random_tensor<TestType>({6, 5, 4}, StorageOrder::column_major, 8);
  const double norm = support::direct_norm(tensor);
  for (const double noise : {0.001, 0.03, 0.3}) {
    CAPTURE(noise);
    CpAlsOptions options = sweeps(1);
    options.noise = std::vector<double>{noise};
    const auto objective = [&](const CpModel<TestType>& model) {
      const double error = support::direct_error(tensor, model);
      return error * error +
             kappa({noise, noise, noise}) * model.weights.template cast<double>().squaredNorm() / (norm * norm);
    };
    // Sweep by sweep, since the result of many is the one with the least error alone.
    CpModel<TestType> model = qaf::cp_als(tensor, 4, options).model;
    double previous = objective(model);
    for (int k = 0; k < 40; ++k) {
      model = qaf::cp_als(tensor, model, options).model;
      const double now = objective(model);
      CHECK(now <= previous + Tolerance<TestType>::rise);
      previous = now;
    }
    // The noise does what it is for: smaller weights, for some more error.
    const CpModel<TestType> free = qaf::cp_als(tensor, model, sweeps(40)).model;
    CHECK(free.weights.squaredNorm() > model.weights.squaredNorm());
    CHECK(support::direct_error(tensor, free) < support::direct_error(tensor, model));
  }
}

TEMPLATE_TEST_CASE("The start from Gram matrices is the leading singular subspace", "[cp_als]", float, double) {
  for (const Sizes& dimensions : std::vector<Sizes>{{6, 6}, {8, 7, 6}, {5, 4, 3, 4}, {3, 4, 2, 3, 2}}) {
    for (const StorageOrder storage_order : support::both_orders) {
      const auto tensor = support::low_rank_tensor<TestType>(dimensions, 2, 0.3, 17, storage_order);
      const auto factors = qaf::initialize_gram_eigenvectors(tensor, 2).factors;
      REQUIRE(factors.size() == dimensions.size());
      for (std::size_t mode = 0; mode < dimensions.size(); ++mode) {
        CAPTURE(qaf::detail::shape_text(dimensions), mode, static_cast<int>(storage_order));
        const Matrix<double> found = factors[mode].template cast<double>();
        const Matrix<double> expected = leading_vectors(unfolding(tensor, mode));
        REQUIRE(found.rows() == dimensions[mode]);
        REQUIRE(found.cols() == 2);
        CHECK((found.transpose() * found - Matrix<double>::Identity(2, 2)).norm() < Tolerance<TestType>::solve);
        // Vector by vector, up to sign.
        for (Index r = 0; r < 2; ++r)
          CHECK(std::abs(found.col(r).dot(expected.col(r))) == Approx(1).epsilon(Tolerance<TestType>::solve));
      }
    }
  }
}

TEMPLATE_TEST_CASE("The start from Gram matrices sums over all blocks of a large tensor", "[cp_als]", float, double) {
  for (const Sizes& dimensions : std::vector<Sizes>{{3, 9000, 30}, {30, 9000, 3}}) {
    for (const StorageOrder storage_order : support::both_orders) {
      const auto tensor = support::random_tensor<TestType>(dimensions, storage_order, 4);
      const double norm = support::direct_norm(tensor);
      for (const std::size_t mode : {std::size_t{0}, std::size_t{2}}) {
        CAPTURE(qaf::detail::shape_text(dimensions), mode, static_cast<int>(storage_order));
        const qaf::detail::ModeView<TestType> view(qaf::tensor_view(tensor), static_cast<Index>(mode));
        const Matrix<TestType> gram =
            qaf::detail::unfolding_gram(qaf::tensor_view(tensor), static_cast<Index>(mode), norm);
        const Matrix<double> unfolded = unfolding(tensor, mode) / norm;
        CHECK(support::matrix_distance(gram, Matrix<double>(unfolded * unfolded.transpose())) <
              10 * Tolerance<TestType>::product);
      }
    }
  }
}

TEMPLATE_TEST_CASE("The start from Gram matrices fills up with unit columns", "[cp_als]", float, double) {
  SECTION("more components than a mode has entries") {
    const auto tensor = support::random_tensor<TestType>({5, 4, 3}, StorageOrder::column_major);
    const auto factors = qaf::initialize_gram_eigenvectors(tensor, 6, 3).factors;
    for (std::size_t mode = 0; mode < 3; ++mode) {
      CAPTURE(mode);
      const Matrix<double> factor = factors[mode].template cast<double>();
      const Index length = factor.rows();
      REQUIRE(factor.cols() == 6);
      CHECK(factor.leftCols(length).isUnitary(Tolerance<TestType>::solve));
      for (Index r = 0; r < 6; ++r) CHECK(factor.col(r).norm() == Approx(1).epsilon(Tolerance<TestType>::rounding));
    }
  }
  SECTION("a mode longer than all others together") {
    const auto tensor = support::random_tensor<TestType>({50, 3, 2}, StorageOrder::column_major);
    const auto factors = qaf::initialize_gram_eigenvectors(tensor, 4, 3).factors;
    const Matrix<double> vectors = leading_vectors(unfolding(tensor, 0)).leftCols(6);  // all its rank
    const Matrix<double> factor = factors[0].template cast<double>();
    CHECK((factor - vectors * (vectors.transpose() * factor)).norm() < Tolerance<TestType>::solve);
    for (Index r = 0; r < 4; ++r) CHECK(factor.col(r).norm() == Approx(1).epsilon(Tolerance<TestType>::rounding));
    CHECK((factor.transpose() * factor).determinant() > 1e-6);
  }
  SECTION("a tensor of zeros") {
    const auto model = qaf::initialize_gram_eigenvectors(DenseTensor<TestType>({3, 2, 2}), 2, 3);
    CHECK(model.weights.isZero(0));
    for (const auto& factor : model.factors)
      for (Index r = 0; r < 2; ++r) CHECK(factor.col(r).norm() == Approx(1).epsilon(Tolerance<TestType>::rounding));
  }
}

TEMPLATE_TEST_CASE("From the Gram matrices one sweep solves an orthogonal tensor, from random columns not", "[cp_als]",
                   float, double) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    CAPTURE(seed);
    CpModel<TestType> exact = support::random_model<TestType>({12, 10, 8}, 3, seed);
    for (auto& factor : exact.factors)
      factor = leading_vectors(factor.template cast<double>()).leftCols(3).template cast<TestType>();
    exact.weights << 3, 2, 1;
    DenseTensor<TestType> tensor = support::direct_tensor(exact, StorageOrder::row_major);
    support::add_noise(tensor, 0.05, seed + 9);
    const double least = support::direct_error(tensor, exact);
    const CpModel<TestType> start = qaf::initialize_gram_eigenvectors(tensor, 3);
    CHECK(start.weights.isApproxToConstant(static_cast<TestType>(support::direct_norm(tensor) / 3)));
    CHECK(qaf::cp_als(tensor, start, sweeps(1)).relative_error < 1.05 * least);
    CHECK(qaf::cp_als(tensor, 3, sweeps(1, seed + 500)).relative_error > 1.05 * least);
  }
}

TEST_CASE("A random model has unit columns, depends on the seed, and refuses bad sizes", "[cp_als]") {
  const CpModel<double> model = qaf::initialize_random<double>({4, 3}, 5, 1);
  CHECK(model.weights == qaf::Vector<double>::Ones(5));
  const auto& factors = model.factors;
  REQUIRE(factors.size() == 2);
  CHECK(factors[0].rows() == 4);
  CHECK(factors[1].rows() == 3);
  for (const auto& factor : factors)
    for (Index r = 0; r < 5; ++r) CHECK(factor.col(r).norm() == Approx(1));
  CHECK(qaf::initialize_random<double>({4, 3}, 5, 1).factors[1] == factors[1]);
  CHECK(qaf::initialize_random<double>({4, 3}, 5, 2).factors[1] != factors[1]);
  const auto cube = qaf::initialize_random<double>({4, 4, 4}, 5, 1).factors;
  CHECK((cube[0] != cube[1] && cube[1] != cube[2] && cube[0] != cube[2]));
  CHECK_ERROR(qaf::initialize_random<double>({4, 3}, 0, 1), "qaf::initialize_random: rank must be at least 1, got 0");
  CHECK_ERROR(qaf::initialize_random<double>({4, 0}, 2, 1),
              "qaf::initialize_random: every size must be at least 1, got 4 x 0");
  CHECK_ERROR(qaf::initialize_gram_eigenvectors(DenseTensor<double>({3, 2}), 0, 1),
              "qaf::initialize_gram_eigenvectors: rank must be at least 1, got 0");
}

TEST_CASE("Normal numbers have the moments of the normal distribution", "[cp_als]") {
  qaf::detail::NormalGenerator normal(9);
  const Matrix<double> sample = normal.matrix<double>(100000, 1);
  CHECK(std::abs(sample.mean()) < 0.015);
  CHECK(sample.array().square().mean() == Approx(1).margin(0.02));
  CHECK(std::abs(sample.array().cube().mean()) < 0.05);
  CHECK(sample.array().pow(4).mean() == Approx(3).margin(0.15));
  CHECK(std::abs((sample.topRows(99999).array() * sample.bottomRows(99999).array()).mean()) < 0.015);
}

TEST_CASE("ALS stops where the error changes by no more than the tolerance", "[cp_als]") {
  const auto tensor = support::low_rank_tensor<double>({8, 7, 6}, 2, 0.3, 1, StorageOrder::column_major);
  CpAlsOptions options;
  options.tolerance = 1e-4;
  const auto result = qaf::cp_als(tensor, 2, options);
  CHECK(result.status == Status::converged);
  REQUIRE(result.iterations >= 2);
  CHECK(result.iterations < options.max_iterations);
  const std::size_t last = result.history.size() - 1;
  CHECK(std::abs(result.history[last] - result.history[last - 1]) <= options.tolerance);
  for (std::size_t k = 1; k < last; ++k) CHECK(std::abs(result.history[k] - result.history[k - 1]) > options.tolerance);
}

TEST_CASE("ALS stops at the number of sweeps allowed", "[cp_als]") {
  const auto tensor = support::random_tensor<double>({8, 7, 6}, StorageOrder::column_major);
  for (const Index count : {1, 7}) {
    const auto result = qaf::cp_als(tensor, 3, sweeps(count));
    CHECK(result.status == Status::max_iterations);
    CHECK(result.iterations == count);
    CHECK(result.history.size() == static_cast<std::size_t>(count));
  }
}

TEST_CASE("ALS tells its callback of every sweep and stops where that says so", "[cp_als]") {
  const auto tensor = support::random_tensor<double>({8, 7, 6}, StorageOrder::column_major);
  std::vector<qaf::Progress> seen;
  CpAlsOptions options = sweeps(50);
  options.on_iteration = [&](const qaf::Progress& progress) {
    seen.push_back(progress);
    return progress.iteration < 9;
  };
  const auto result = qaf::cp_als(tensor, 3, options);
  CHECK(result.status == Status::stopped_by_callback);
  CHECK(result.iterations == 9);
  REQUIRE(seen.size() == 9);
  REQUIRE(result.history.size() == 9);
  double best = std::numeric_limits<double>::infinity();
  for (std::size_t k = 0; k < seen.size(); ++k) {
    best = std::min(best, result.history[k]);
    CHECK(seen[k].iteration == static_cast<Index>(k) + 1);
    CHECK(seen[k].max_iterations == 50);
    CHECK(seen[k].relative_error == result.history[k]);
    CHECK(seen[k].best_error == best);
  }
  // Looking on changes nothing.
  CHECK(same_bits(result.model, qaf::cp_als(tensor, 3, sweeps(9)).model));
}

TEST_CASE("Every status has a name", "[cp_als]") {
  CHECK(std::string(qaf::to_string(Status::converged)) == "converged");
  CHECK(std::string(qaf::to_string(Status::max_iterations)) == "max_iterations");
  CHECK(std::string(qaf::to_string(Status::stalled)) == "stalled");
  CHECK(std::string(qaf::to_string(Status::not_finite)) == "not_finite");
  CHECK(std::string(qaf::to_string(Status::stopped_by_callback)) == "stopped_by_callback");
}

TEMPLATE_TEST_CASE("ALS gives the same bits for the same seed", "[cp_als]", float, double) {
  const auto tensor = support::random_tensor<TestType>({8, 7, 6}, StorageOrder::column_major);
  const auto first = qaf::cp_als(tensor, 9, sweeps(10, 3));
  const auto second = qaf::cp_als(tensor, 9, sweeps(10, 3));
  CHECK(same_bits(first.model, second.model));
  CHECK(first.history == second.history);
  CHECK(first.relative_error == second.relative_error);
  CHECK_FALSE(same_bits(first.model, qaf::cp_als(tensor, 9, sweeps(10, 4)).model));

  const auto eigenvectors = qaf::initialize_gram_eigenvectors(tensor, 9, 3);
  CHECK(same_bits(eigenvectors, qaf::initialize_gram_eigenvectors(tensor, 9, 3)));
  // The columns past the eigenvectors are random too.
  CHECK_FALSE(same_bits(eigenvectors, qaf::initialize_gram_eigenvectors(tensor, 9, 4)));
}

TEMPLATE_TEST_CASE("ALS goes on from a given model and leaves it alone", "[cp_als]", float, double) {
  const auto tensor = support::random_tensor<TestType>({7, 6, 5}, StorageOrder::row_major);
  const auto first = qaf::cp_als(tensor, 3, sweeps(5));
  CpModel<TestType> start = first.model;
  const auto second = qaf::cp_als(tensor, start, sweeps(5));
  CHECK(same_bits(start, first.model));
  CHECK(second.relative_error <= first.relative_error + Tolerance<TestType>::rise);
  CHECK(second.history.front() <= first.history.back() + Tolerance<TestType>::rise);
  // Five sweeps and five more are ten.
  const auto ten = qaf::cp_als(tensor, 3, sweeps(10));
  CHECK(second.relative_error == Approx(ten.relative_error).epsilon(Tolerance<TestType>::repeated));

  // Neither weights nor signs nor norms of the start's columns matter, only the tensor it describes.
  start.factors[0].col(1) *= TestType(-100);
  start.weights[1] /= TestType(-100);
  start.factors[2] *= TestType(0.01);
  start.weights *= TestType(100);
  CHECK(qaf::cp_als(tensor, start, sweeps(5)).relative_error ==
        Approx(second.relative_error).epsilon(Tolerance<TestType>::repeated));
}

TEMPLATE_TEST_CASE("A start with a zero component is repaired or kept, never NaN", "[cp_als]", float, double) {
  const auto tensor = support::random_tensor<TestType>({7, 6, 5}, StorageOrder::row_major);
  CpModel<TestType> start = qaf::cp_als(tensor, 3, sweeps(5)).model;
  start.weights[2] = 0;
  for (auto& factor : start.factors) factor.col(2).setZero();
  const auto result = qaf::cp_als(tensor, start, sweeps(10));
  CHECK(result.status != Status::not_finite);
  CHECK(std::isfinite(result.relative_error));
  CHECK(result.relative_error <= support::direct_error(tensor, start) + Tolerance<TestType>::rise);
}

TEMPLATE_TEST_CASE("A start far larger than the tensor, or a tiny tensor, overflows nothing", "[cp_als]", float,
                   double) {
  const auto tensor = support::random_tensor<TestType>({5, 4, 3}, StorageOrder::column_major);
  const auto start = support::random_model<TestType>({5, 4, 3}, 2);
  for (const bool extrapolate : {false, true}) {
    CpAlsOptions options = sweeps(30);
    options.extrapolate = extrapolate;
    const double expected = qaf::cp_als(tensor, start, options).relative_error;
    CpModel<TestType> huge = start;
    for (auto& factor : huge.factors) factor *= static_cast<TestType>(Tolerance<TestType>::is_float ? 1e12 : 1e100);
    const auto result = qaf::cp_als(tensor, huge, options);
    CHECK(result.status != Status::not_finite);
    CHECK(result.relative_error == Approx(expected).epsilon(0.2));
    // Over a subnormal norm, weights of 1 are infinite.
    const double tiny = 1e4 * static_cast<double>(std::numeric_limits<TestType>::denorm_min());
    const auto of_tiny = qaf::cp_als(support::scaled(tensor, tiny), start, options);
    CHECK(of_tiny.status != Status::not_finite);
    CHECK(of_tiny.relative_error == Approx(expected).epsilon(0.2));
  }
}

TEST_CASE("A start with tiny columns and large weights is taken for what it describes", "[cp_als]") {
  const auto tensor = support::scaled(support::random_tensor<float>({5, 4, 3}, StorageOrder::row_major), 1e-10);
  CpModel<float> start = qaf::cp_als(tensor, 2, sweeps(10)).model;
  const double expected = qaf::cp_als(tensor, start, sweeps(5)).relative_error;
  for (auto& factor : start.factors) factor *= 1e-15F;
  for (const float part : {1e38F, 1e7F}) start.weights *= part;  // infinite over the norm
  CHECK(qaf::cp_als(tensor, start, sweeps(5)).relative_error == Approx(expected).epsilon(1e-3));
}

TEMPLATE_TEST_CASE("A tensor of zeros has the zero model, with error 0", "[cp_als]", float, double) {
  const DenseTensor<TestType> zeros({4, 3, 2});
  CpAlsOptions options;
  options.seed = 7;
  for (const auto& result :
       {qaf::cp_als(zeros, 2, options), qaf::cp_als(zeros, support::random_model<TestType>({4, 3, 2}, 2), options)}) {
    CHECK(result.status == Status::converged);
    CHECK(result.relative_error == 0);
    CHECK(result.iterations == 0);
    CHECK(result.history.empty());
    CHECK(result.seed == 7);
    CHECK(result.model.rank() == 2);
    CHECK(qaf::relative_error(zeros, result.model) == 0);
  }
  options.noise = {0.1, 0.1};
  CHECK_ERROR(
      qaf::cp_als(zeros, 2, options),
      "qaf::cp_als: CpAlsOptions::noise must hold a value for each of the 3 modes, one for all, or none, got 2");
}

TEMPLATE_TEST_CASE("ALS works the same at every scale of the data", "[cp_als]", float, double) {
  const auto tensor = support::random_tensor<TestType>({7, 6, 5}, StorageOrder::column_major);
  const std::vector<double> scales = Tolerance<TestType>::is_float ? std::vector<double>{1e-30, 1e-15, 1e15, 1e30}
                                                                   : std::vector<double>{1e-200, 1e-100, 1e100, 1e150};
  for (const double noise : {0.0, 0.004}) {
    CpAlsOptions options = sweeps(20);
    options.noise = std::vector<double>{noise};
    const double from_random = qaf::cp_als(tensor, 3, options).relative_error;
    const double from_eigenvectors =
        qaf::cp_als(tensor, qaf::initialize_gram_eigenvectors(tensor, 3), options).relative_error;
    for (const double scale : scales) {
      CAPTURE(scale, noise);
      const auto other = support::scaled(tensor, scale);
      const auto result = qaf::cp_als(other, 3, options);
      CHECK(result.relative_error == Approx(from_random).epsilon(Tolerance<TestType>::repeated));
      CHECK(qaf::cp_als(other, qaf::initialize_gram_eigenvectors(other, 3), options).relative_error ==
            Approx(from_eigenvectors).epsilon(Tolerance<TestType>::repeated));
    }
  }
}

TEMPLATE_TEST_CASE("ALS finds an exact model at both ends of the scalar's range", "[cp_als]", float, double) {
  constexpr double largest = std::numeric_limits<TestType>::max();
  constexpr double least_normal = std::numeric_limits<TestType>::min();
  const auto tensor = support::low_rank_tensor<TestType>({12, 10, 9}, 3, 0.0, 4, StorageOrder::column_major);
  const double norm = support::direct_norm(tensor);
  for (const bool extrapolate : {false, true}) {
    // The smallest is subnormal, and its entries have lost some of their bits.
    for (const double wanted : {largest / 300, least_normal * 4, least_normal / 16}) {
      CAPTURE(extrapolate, wanted);
      CpAlsOptions options = sweeps(300);
      options.extrapolate = extrapolate;
      const auto result = qaf::cp_als(support::scaled(tensor, wanted / norm), 3, options);
      CHECK(result.status != qaf::Status::not_finite);
      CHECK(result.relative_error < 2e-3);
      const TestType weight = result.model.weights[0];
      CHECK(static_cast<double>(weight) > wanted / 10);
      CHECK(static_cast<double>(weight) < wanted * 10);
    }
  }
}

TEMPLATE_TEST_CASE("For a matrix ALS reaches the truncated singular value decomposition", "[cp_als]", float, double) {
  for (const StorageOrder storage_order : support::both_orders) {
    for (const Index rank : {1, 2, 3}) {
      CAPTURE(rank, static_cast<int>(storage_order));
      const auto tensor = support::low_rank_tensor<TestType>({10, 8}, rank, 0.3, 2, storage_order);
      const Matrix<double> matrix = unfolding(tensor, 0);
      const Eigen::SelfAdjointEigenSolver<Matrix<double>> solver(Matrix<double>(matrix * matrix.transpose()));
      const double expected = std::sqrt(solver.eigenvalues().head(10 - rank).sum() / solver.eigenvalues().sum());
      CpAlsOptions options = sweeps(500);
      CHECK(qaf::cp_als(tensor, rank, options).relative_error ==
            Approx(expected).epsilon(10 * Tolerance<TestType>::product));
      const auto as_matrix = qaf::cp_als(Matrix<TestType>(matrix.template cast<TestType>()), rank, options);
      CHECK(as_matrix.relative_error == Approx(expected).epsilon(10 * Tolerance<TestType>::product));
    }
  }
}

TEMPLATE_TEST_CASE("ALS refuses what it cannot use, and says what", "[cp_als]", float, double) {
  DenseTensor<TestType> tensor = support::random_tensor<TestType>({4, 3, 2}, StorageOrder::column_major);
  const CpModel<TestType> start = support::random_model<TestType>({4, 3, 2}, 2);
  const auto with = [](auto&& change) {
    CpAlsOptions options;
    change(options);
    return options;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();

  CHECK_ERROR(qaf::cp_als(tensor, 0), "qaf::cp_als: rank must be at least 1, got 0");
  CHECK_ERROR(qaf::cp_als(tensor, -3), "qaf::cp_als: rank must be at least 1, got -3");

  const std::vector<std::pair<CpAlsOptions, std::string>> bad_options = {
      {with([](auto& o) { o.max_iterations = 0; }), "qaf::CpAlsOptions: max_iterations must be at least 1, got 0"},
      {with([](auto& o) { o.tolerance = -1e-3; }),
       "qaf::CpAlsOptions: tolerance must be 0 or more and finite, got -0.001"},
      {with([&](auto& o) { o.tolerance = nan; }), "qaf::CpAlsOptions: tolerance must be 0 or more and finite, got nan"},
      {with([&](auto& o) { o.tolerance = infinity; }),
       "qaf::CpAlsOptions: tolerance must be 0 or more and finite, got inf"},
      {with([](auto& o) {
         o.noise = std::vector<double>{0.1, -1};
       }),
       "qaf::CpAlsOptions: noise must be from 0 to 10000, got -1"},
      {with([&](auto& o) { o.noise = std::vector<double>{nan}; }),
       "qaf::CpAlsOptions: noise must be from 0 to 10000, got nan"},
      {with([](auto& o) { o.first_noise = 10001; }),
       "qaf::CpAlsOptions: first_noise must be from 0 to 10000, got 10001"}};
  for (const auto& bad : bad_options) {
    const auto& options = bad.first;  // a structured binding cannot be captured in C++17
    const std::string& sentence = bad.second;
    CHECK_ERROR(qaf::validate(options), sentence);
    CHECK_ERROR(qaf::cp_als(tensor, 2, options), sentence);
    CHECK_ERROR(qaf::cp_als(tensor, start, options), sentence);
  }

  CHECK_ERROR(qaf::cp_als(tensor, support::random_model<TestType>({4, 2, 3}, 2)),
              "qaf::cp_als: the start must be a model of a tensor 4 x 3 x 2, got 4 x 2 x 3");
  CpModel<TestType> broken = start;
  broken.factors[1](2, 1) = std::numeric_limits<TestType>::quiet_NaN();
  CHECK_ERROR(qaf::cp_als(tensor, broken), "qaf::cp_als: every entry of the start must be finite, got NaN or infinity");
  broken = start;
  broken.weights[0] = std::numeric_limits<TestType>::infinity();
  CHECK_ERROR(qaf::cp_als(tensor, broken), "qaf::cp_als: every entry of the start must be finite, got NaN or infinity");
  broken = start;
  broken.factors[2].resize(2, 3);
  CHECK_ERROR(qaf::cp_als(tensor, broken),
              "qaf::cp_als: factor 2 must be I x R with I >= 1 and R the 2 weights, got 2 x 3");

  tensor.data()[5] = std::numeric_limits<TestType>::quiet_NaN();
  const std::string sentence = "every entry of the tensor must be finite, got nan at position 5 in storage order";
  CHECK_ERROR(qaf::cp_als(tensor, 2), "qaf::cp_als: " + sentence);
  CHECK_ERROR(qaf::cp_als(tensor, start), "qaf::cp_als: " + sentence);
  CHECK_ERROR(qaf::initialize_gram_eigenvectors(tensor, 2), "qaf::initialize_gram_eigenvectors: " + sentence);
  tensor.data()[5] = std::numeric_limits<TestType>::infinity();
  CHECK(support::error_text([&] { qaf::cp_als(tensor, 2); }).find("got inf at position 5") != std::string::npos);
}
