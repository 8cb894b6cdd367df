// Tensors whose rank and models are known from the literature.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <qaf/cp_als.hpp>
#include <qaf/error_preserving_correction.hpp>
#include <qaf/initialize.hpp>

#include "support/catch.hpp"
#include "support/matrix_multiplication.hpp"
#include "support/random.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::CpModel;
using qaf::DenseTensor;
using qaf::Index;
using qaf::Matrix;
using qaf::StorageOrder;
using support::Multiplication;
using support::Tolerance;

using Sizes = std::vector<Index>;

/// Plain ALS loses itself among components that grow against each other. A little noise, which falls, keeps them small
/// until they have found their places.
qaf::CpAlsResult<double> als_with_falling_noise(const DenseTensor<double>& tensor, Index rank, std::uint64_t seed) {
  qaf::CpAlsOptions options;
  options.seed = seed;
  options.max_iterations = 1000;
  options.tolerance = 0;
  options.extrapolate = true;
  options.noise = {1e-7};
  options.first_noise = 0.002;
  const CpModel<double> start = qaf::cp_als(tensor, rank, options).model;
  options.noise = {};
  options.tolerance = 1e-13;
  return qaf::cp_als(tensor, start, options);
}

/// How far the components of `found` are from those of `exact`, both normalized, in the same order: the largest
/// distance between the rank-1 tensors of norm 1.
double component_distance(const CpModel<double>& exact, const CpModel<double>& found) {
  double distance = 0;
  for (Index r = 0; r < found.rank(); ++r) {
    double cosine = 1;
    for (std::size_t n = 0; n < exact.factors.size(); ++n)
      cosine *= exact.factors[n].col(r).dot(found.factors[n].col(r));
    distance = std::max(distance, std::sqrt(std::max(0.0, 2 - 2 * cosine)));
  }
  return distance;
}

/// Orthonormal columns in every mode, the same in all where the tensor is to be symmetric; weights 2^(-r / 2).
CpModel<double> orthogonal_model(const Sizes& dimensions, Index rank, bool is_symmetric) {
  CpModel<double> model;
  qaf::detail::NormalGenerator normal(5);
  for (const Index length : dimensions) {
    if (is_symmetric && !model.factors.empty()) {
      model.factors.push_back(model.factors.front());
      continue;
    }
    Matrix<double> columns = normal.matrix<double>(length, rank);
    for (Index r = 0; r < rank; ++r) {
      for (int turn = 0; turn < 2; ++turn)  // Gram and Schmidt twice is enough
        for (Index k = 0; k < r; ++k) columns.col(r) -= columns.col(k).dot(columns.col(r)) * columns.col(k);
      columns.col(r) /= columns.col(r).norm();
    }
    model.factors.push_back(columns);
  }
  model.weights.resize(rank);
  for (Index r = 0; r < rank; ++r) model.weights[r] = static_cast<double>(std::pow(2, -0.5 * static_cast<double>(r)));
  return model;
}

struct OrthogonalCase {
  Sizes dimensions;
  Index rank;
  bool is_symmetric;
};

const std::vector<OrthogonalCase> orthogonal_cases = {{{7, 5, 6}, 5, false},       {{6, 6, 6}, 6, true},
                                                      {{4, 5, 4, 6}, 4, false},    {{4, 4, 4, 4}, 4, true},
                                                      {{3, 4, 3, 3, 4}, 3, false}, {{3, 3, 3, 3, 3}, 3, true}};

/// `a o a o b + a o b o a + b o a o a` with a and b orthonormal: of rank 3, and the limit of tensors of rank 2.
DenseTensor<double> border_tensor() {
  DenseTensor<double> tensor({2, 2, 2}, StorageOrder::column_major);
  support::for_each_index(tensor.dimensions(), [&](const Sizes& index) {
    tensor.data()[support::position(tensor.dimensions(), tensor.storage_order(), index)] =
        index[0] + index[1] + index[2] == 1 ? 1 : 0;
  });
  return tensor;
}

}  // namespace

TEST_CASE("ALS finds algorithms of matrix multiplication with the least known number of products", "[known_tensors]") {
  struct Case {
    Multiplication product;
    Index rank;
  };
  // Strassen 1969; Hopcroft and Kerr 1971; Laderman 1976. The first three numbers are known to be the least.
  for (const auto& [product, rank] :
       {Case{{2, 2, 2}, 7}, Case{{2, 2, 3}, 11}, Case{{2, 2, 4}, 14}, Case{{2, 3, 3}, 15}, Case{{3, 3, 3}, 23}}) {
    CAPTURE(product.m, product.p, product.n, rank);
    const auto tensor = product.tensor<double>();
    double least = 1;
    CpModel<double> model;
    for (std::uint64_t seed = 0; seed < 40 && least >= Tolerance<double>::recovery; ++seed) {
      const auto result = als_with_falling_noise(tensor, rank, seed);
      if (result.relative_error >= least) continue;
      least = result.relative_error;
      model = result.model;
    }
    CHECK(least < Tolerance<double>::recovery);
    CHECK(product.error_of_algorithm(model) < 100 * Tolerance<double>::recovery);
  }
}

TEST_CASE("With less products than the border rank no start comes near", "[known_tensors]") {
  // The border rank of 2 x 2 matrices' product is 7 (Landsberg 2006), of 2 x 2 by 2 x 3 it is 10 (Conner, Harper and
  // Landsberg 2019). The least errors found are those of leaving out an entry of 8, and one of 12: 0.3536 and 0.2887.
  const Multiplication square{2, 2, 2}, oblong{2, 2, 3};
  double least_of_square = 1, least_of_oblong = 1;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    least_of_square =
        std::min(least_of_square, als_with_falling_noise(square.tensor<double>(), 6, seed).relative_error);
    least_of_oblong =
        std::min(least_of_oblong, als_with_falling_noise(oblong.tensor<double>(), 9, seed).relative_error);
  }
  CHECK(least_of_square > 0.3);
  CHECK(least_of_oblong > 0.25);
}

TEST_CASE("The components of an orthogonal tensor are found exactly, the largest first", "[known_tensors]") {
  for (const auto& [dimensions, rank, is_symmetric] : orthogonal_cases) {
    CAPTURE(qaf::detail::shape_text(dimensions), is_symmetric);
    const auto exact = orthogonal_model(dimensions, rank, is_symmetric);
    const auto tensor = support::direct_tensor(exact, StorageOrder::row_major);
    // A start may end in a local minimum.
    auto best = als_with_falling_noise(tensor, rank, 0);
    for (std::uint64_t seed = 1; seed < 40 && best.relative_error > Tolerance<double>::recovery; ++seed) {
      const auto next = als_with_falling_noise(tensor, rank, seed);
      if (next.relative_error < best.relative_error) best = next;
    }
    CHECK(best.relative_error < Tolerance<double>::recovery);
    CHECK(component_distance(exact, best.model) < 10 * Tolerance<double>::recovery);
    CHECK((best.model.weights - exact.weights).norm() < 10 * Tolerance<double>::recovery);
  }
}

TEST_CASE("Of an orthogonal tensor the best models are its leading components", "[known_tensors]") {
  for (const auto& [dimensions, rank, is_symmetric] : orthogonal_cases) {
    const auto exact = orthogonal_model(dimensions, rank, is_symmetric);
    const auto tensor = support::direct_tensor(exact, StorageOrder::column_major);
    for (Index kept = 1; kept < rank; ++kept) {
      CAPTURE(qaf::detail::shape_text(dimensions), is_symmetric, kept);
      const double rest = exact.weights.tail(rank - kept).norm() / exact.weights.norm();
      const auto leading = qaf::cp_als(tensor, qaf::initialize_gram_eigenvectors(tensor, kept));
      CHECK(leading.relative_error == Approx(rest));
      CHECK(component_distance(exact, leading.model) < 1e-7);
      CHECK((leading.model.weights - exact.weights.head(kept)).norm() < 1e-12);
      // And from no start is anything better found.
      qaf::CpAlsOptions options;
      for (options.seed = 0; options.seed < 10; ++options.seed)
        CHECK(qaf::cp_als(tensor, kept, options).relative_error > rest * (1 - 1e-12));
    }
  }
}

TEST_CASE("Equal weights do not blur the components of an orthogonal tensor", "[known_tensors]") {
  // Of the unfoldings' singular vectors nothing is then determined, but the model of order 3 is.
  auto exact = orthogonal_model({5, 5, 5}, 5, false);
  exact.weights.setOnes();
  const auto tensor = support::direct_tensor(exact, StorageOrder::column_major);
  qaf::CpAlsOptions options;
  options.tolerance = 0;
  auto best = qaf::cp_als(tensor, 5, options);
  for (options.seed = 1; options.seed < 10 && best.relative_error > 1e-6; ++options.seed)
    best = qaf::cp_als(tensor, 5, options);
  CHECK(best.relative_error < 1e-6);
  CHECK((best.model.weights - exact.weights).norm() < 1e-6);
  // Every component is one of the exact ones.
  const Matrix<double> cosines = (exact.factors[0].transpose() * best.model.factors[0]).cwiseAbs();
  for (Index r = 0; r < 5; ++r) CHECK(cosines.col(r).maxCoeff() > 1 - 1e-6);
}

TEST_CASE("At the border rank the error falls without end, and the weights grow", "[known_tensors]") {
  const auto tensor = border_tensor();
  qaf::CpAlsOptions options;
  options.tolerance = 0;
  double error = 1, weights = 0;
  for (const Index count : {10, 100, 1000, 10000}) {
    CAPTURE(count);
    options.max_iterations = count;
    const auto result = qaf::cp_als(tensor, 2, options);
    CHECK(result.status == qaf::Status::max_iterations);
    CHECK(result.relative_error < 0.5 * error);
    CHECK(result.model.weights.norm() > 1.5 * weights);
    error = result.relative_error;
    weights = result.model.weights.norm();
  }
  CHECK(als_with_falling_noise(tensor, 3, 0).relative_error < Tolerance<double>::recovery);
}

TEST_CASE("The correction at the border rank goes from one known model to a better one", "[known_tensors]") {
  // Expand `((a + e b)^o3 - a^o3) / e`: the tensor, and more of the norm `sqrt(3 e^2 + e^4)`, with weights of about
  // `1 / e`. Of `((a + e b)^o3 - (a - e b)^o3) / (2 e)` only `e^2 b o b o b` is too much, so weights of about
  // `1 / (2 e)` are enough for the same error with a much larger e.
  const auto tensor = border_tensor();
  for (const double e : {0.1, 0.03, 0.01}) {
    CAPTURE(e);
    CpModel<double> start;
    Matrix<double> factor(2, 2);
    factor << 1, 1, e, 0;
    start.factors.assign(3, factor);
    start.weights = Eigen::Vector2d(1 / e, -1 / e);
    const double error = std::sqrt(e * e + e * e * e * e / 3);
    CHECK(qaf::relative_error(tensor, start) == Approx(error));
    qaf::ErrorPreservingCorrectionOptions options;
    options.max_iterations = 20000;
    options.tolerance = 1e-10;
    const auto corrected = qaf::error_preserving_correction(tensor, start, options);
    CHECK(corrected.relative_error <= error * (1 + 1e-6));
    const double squared = error * std::sqrt(3.0);  // e^2 of the second model
    const double known = std::sqrt(2.0) * std::pow(1 + squared, 1.5) / (2 * std::sqrt(squared));
    CHECK(corrected.start_weights_norm * std::sqrt(3.0) > 1.4 / e);
    CHECK(corrected.model.weights.norm() <= 1.01 * known);
  }
}
