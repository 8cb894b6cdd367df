// Coordinate descent on a quantizer's grid.

#include <cmath>
#include <limits>
#include <vector>

#include <qaf/coordinate_descent.hpp>
#include <qaf/cp_als.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::CoordinateDescentOptions;
using qaf::Granularity;
using qaf::Index;
using qaf::StorageOrder;

CoordinateDescentOptions sweeps(Index count) {
  CoordinateDescentOptions options;
  options.max_iterations = count;
  options.tolerance = 0;
  return options;
}

qaf::UniformQuantizer with_bits(int bits, Granularity granularity) {
  qaf::UniformQuantizer quantizer;
  quantizer.bits = bits;
  quantizer.granularity = granularity;
  return quantizer;
}

/// The same grid, without the optional members: every change of a column encodes the whole factor.
struct PlainQuantizer {
  using Code = std::int8_t;
  using Parameters = qaf::ScaleParameters;
  qaf::UniformQuantizer inner;
  template <typename Matrix>
  Parameters fit(const Matrix& matrix) const {
    return inner.fit(matrix);
  }
  template <typename Matrix>
  qaf::Matrix<Code> encode(const Matrix& matrix, const Parameters& parameters) const {
    return inner.encode(matrix, parameters);
  }
  qaf::Matrix<float> decode(const qaf::Matrix<Code>& codes, const Parameters& parameters) const {
    return inner.decode(codes, parameters);
  }
};

}  // namespace

TEMPLATE_TEST_CASE("No sweep of coordinate descent raises the true error", "[coordinate_descent]", float, double) {
  for (const Granularity granularity : {Granularity::tensor, Granularity::component, Granularity::row}) {
    for (const int bits : {2, 4, 8}) {
      for (const Index rank : {3, 9}) {
        CAPTURE(qaf::to_string(granularity), bits, rank);
        const auto tensor = support::low_rank_tensor<TestType>({8, 7, 6}, 5, 0.3, 3, StorageOrder::row_major);
        auto model = qaf::quantize(qaf::cp_als(tensor, rank).model, with_bits(bits, granularity));
        const double first = qaf::relative_error(tensor, model);
        double error = first;
        for (int sweep = 0; sweep < 10; ++sweep) {
          const double told = qaf::coordinate_descent(tensor, model, sweeps(1));
          const double next = qaf::relative_error(tensor, model);
          CHECK(next <= error + 100 * support::Tolerance<TestType>::rounding);
          CHECK(told == Approx(next).margin(2e-3));
          error = next;
          for (const auto& factor : model.factors) {
            CHECK(static_cast<int>(factor.codes.minCoeff()) >= -(1 << (bits - 1)));
            CHECK(static_cast<int>(factor.codes.maxCoeff()) < (1 << (bits - 1)));
          }
        }
        // At 3 components and more bits the codes of the start may be the best already.
        if (bits == 2) CHECK(error < 0.99 * first);
        if (bits == 4 && rank == 9) CHECK(error < first);
      }
    }
  }
}

TEST_CASE("Coordinate descent over several blocks of columns knows its true error", "[coordinate_descent]") {
  // Columns are taken 64 at a time; those of other blocks have to learn what changed in one.
  const auto tensor = support::random_tensor<double>({9, 8, 7}, StorageOrder::row_major);
  for (const Index rank : {64, 65, 130}) {
    CAPTURE(rank);
    auto model = qaf::quantize(support::random_model<double>({9, 8, 7}, rank), with_bits(3, Granularity::component));
    double error = qaf::relative_error(tensor, model);
    for (int sweep = 0; sweep < 3; ++sweep) {
      const double told = qaf::coordinate_descent(tensor, model, sweeps(1));
      const double next = qaf::relative_error(tensor, model);
      CHECK(told == Approx(next).epsilon(1e-6));
      CHECK(next <= error * (1 + support::Tolerance<double>::rise));
      error = next;
    }
  }
}

TEST_CASE("Where coordinate descent ends, no entry's next code is better", "[coordinate_descent]") {
  const auto tensor = support::low_rank_tensor<double>({6, 5, 4}, 4, 0.3, 3, StorageOrder::column_major);
  for (const Granularity granularity : {Granularity::tensor, Granularity::component, Granularity::row}) {
    CAPTURE(qaf::to_string(granularity));
    auto model = qaf::quantize(qaf::cp_als(tensor, 4).model, with_bits(3, granularity));
    qaf::coordinate_descent(tensor, model, sweeps(200));
    const double error = qaf::relative_error(tensor, model);
    for (auto& factor : model.factors)
      for (Index k = 0; k < factor.codes.size(); ++k)
        for (const int step : {-1, 1}) {
          const std::int8_t code = factor.codes.data()[k];
          if (code + step < -4 || code + step > 3) continue;
          factor.codes.data()[k] = static_cast<std::int8_t>(code + step);
          CHECK(qaf::relative_error(tensor, model) >= error - 1e-9);
          factor.codes.data()[k] = code;
        }
  }
}

TEMPLATE_TEST_CASE("A quantizer without the optional members goes through coordinate descent too",
                   "[coordinate_descent]", float, double) {
  const auto tensor = support::low_rank_tensor<TestType>({6, 5, 4}, 4, 0.3, 3, StorageOrder::column_major);
  // With one scale for all there is nothing to refit, so both take the same way.
  const auto quantizer = with_bits(3, Granularity::tensor);
  const auto start = qaf::cp_als(tensor, 4).model;
  auto fast = qaf::quantize(start, quantizer);
  auto plain = qaf::quantize(start, PlainQuantizer{quantizer});
  qaf::coordinate_descent(tensor, fast, sweeps(5));
  qaf::coordinate_descent(tensor, plain, sweeps(5));
  CHECK(fast.weights == plain.weights);
  for (std::size_t n = 0; n < 3; ++n) CHECK(fast.factors[n].codes == plain.factors[n].codes);

  auto identity = qaf::quantize(start, qaf::IdentityQuantizer());
  CHECK(qaf::coordinate_descent(tensor, identity, sweeps(5)) <
        qaf::relative_error(tensor, start) + 100 * support::Tolerance<TestType>::rounding);
}

TEST_CASE("Coordinate descent reflects a column whose mirror image fits the range better", "[coordinate_descent]") {
  // Rank 1, and exact with the codes 1, -2: but not with 2, which 2 bits do not have.
  qaf::Matrix<double> tensor(2, 2);
  tensor << 4, -2, -2, 1;
  qaf::QuantizedCpModel<double, qaf::UniformQuantizer> model;
  const auto quantizer = with_bits(2, Granularity::tensor);
  for (int mode = 0; mode < 2; ++mode) {
    qaf::QuantizedFactor<qaf::UniformQuantizer> factor;
    factor.quantizer = quantizer;
    factor.codes.resize(2, 1);
    factor.codes << 1, -1;
    factor.parameters.scales = qaf::Vector<float>::Ones(1);
    model.factors.push_back(factor);
  }
  model.weights = qaf::Vector<double>::Ones(1);
  qaf::coordinate_descent(tensor, model, sweeps(10));
  CHECK(qaf::relative_error(tensor, model) < 1e-6);
}

TEST_CASE("Coordinate descent works the same at every scale of the data, and names bad input", "[coordinate_descent]") {
  const auto tensor = support::low_rank_tensor<float>({6, 5, 4}, 4, 0.3, 3, StorageOrder::column_major);
  const auto quantizer = with_bits(3, Granularity::component);
  const auto start = qaf::quantize(qaf::cp_als(tensor, 4).model, quantizer);
  auto model = start;
  const double expected = qaf::coordinate_descent(tensor, model, sweeps(5));
  for (const double scale : {1e-28, 1e28}) {
    auto scaled = start;
    scaled.weights *= static_cast<float>(scale);
    CHECK(qaf::coordinate_descent(support::scaled(tensor, scale), scaled, sweeps(5)) == Approx(expected).epsilon(1e-2));
  }
  CHECK_ERROR(qaf::coordinate_descent(tensor, model, sweeps(0)),
              "qaf::CoordinateDescentOptions: max_iterations must be at least 1, got 0");
  CoordinateDescentOptions bad;
  bad.tolerance = -1;
  CHECK_ERROR(qaf::coordinate_descent(tensor, model, bad),
              "qaf::CoordinateDescentOptions: tolerance must be 0 or more and finite, got -1");
  CHECK_ERROR(
      qaf::coordinate_descent(support::random_tensor<float>({4, 5, 6}, StorageOrder::column_major), model, sweeps(1)),
      "qaf::coordinate_descent: the start must be a model of a tensor 4 x 5 x 6, got 6 x 5 x 4");
  CHECK(qaf::coordinate_descent(qaf::DenseTensor<float>({6, 5, 4}), model, sweeps(1)) == 0);
  CHECK((model.weights.array() == 0).all());
}

TEST_CASE("Weights far larger than a tiny tensor come down, finite, or are refused", "[coordinate_descent]") {
  const auto tensor = support::low_rank_tensor<float>({6, 5, 4}, 4, 0.3, 3, StorageOrder::column_major);
  auto model = qaf::quantize(qaf::cp_als(tensor, 4).model, with_bits(3, Granularity::component));
  const auto tiny = support::scaled(tensor, 1e-40);  // subnormal
  const double before = qaf::relative_error(tiny, model);
  auto descended = model;
  CHECK(std::isfinite(qaf::coordinate_descent(tiny, descended, sweeps(3))));
  CHECK(descended.weights.allFinite());
  CHECK(qaf::relative_error(tiny, descended) <= before);
  for (auto& factor : model.factors) factor.parameters.scales *= 1e-13F;
  model.weights.setConstant(1e38F);
  const std::string text =
      support::error_text([&] { qaf::coordinate_descent(support::scaled(tensor, 1e-3), model, sweeps(1)); });
  CHECK(text.find("qaf::coordinate_descent: the weights of the model, over the norm of the tensor 0.") == 0);
  CHECK(text.find(", must be within the range of the scalar type, got 1e+38") != std::string::npos);
}

TEST_CASE("A component of zeros stays harmless whatever its weight", "[coordinate_descent]") {
  const auto tensor = support::low_rank_tensor<float>({6, 5, 4}, 4, 0.3, 3, StorageOrder::column_major);
  auto model = qaf::quantize(qaf::cp_als(tensor, 4).model, with_bits(3, Granularity::component));
  model.factors[1].codes.col(2).setZero();
  const auto tiny = support::scaled(tensor, 1e-30);
  model.weights *= 1e-30F;
  model.weights[2] = 1;  // the square of 1e30 is infinite
  const double before = qaf::relative_error(tiny, model);
  CHECK(qaf::coordinate_descent(tiny, model, sweeps(3)) <= before + 1e-5);
  CHECK(qaf::relative_error(tiny, model) <= before + 1e-5);
}

TEST_CASE("Columns whose best values no float holds stay as they are", "[coordinate_descent]") {
  const auto tensor = support::low_rank_tensor<double>({4, 4, 4}, 2, 0.1, 3, StorageOrder::row_major);
  auto model = qaf::quantize(qaf::cp_als(tensor, 2).model, with_bits(4, Granularity::component));
  model.weights[1] *= 1e-60;
  const double before = qaf::relative_error(tensor, model);
  CHECK(qaf::coordinate_descent(tensor, model, sweeps(3)) <= before + 1e-8);
}
