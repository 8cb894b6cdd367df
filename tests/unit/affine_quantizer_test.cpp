#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <qaf/cp_admm.hpp>
#include <qaf/detail/random.hpp>
#include <qaf/quantizers/affine.hpp>
#include <qaf/quantizers/uniform.hpp>
#include <qaf/testing/quantizer_laws.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/laws.hpp"
#include "support/random.hpp"

namespace {

using qaf::AffineParameters;
using qaf::AffineQuantizer;
using qaf::BasicAffineQuantizer;
using qaf::Granularity;
using qaf::Index;
using qaf::Matrix;
using qaf::ScaleMethod;

template <typename Quantizer, typename Scalar>
double squared_error(const Quantizer& quantizer, const Matrix<Scalar>& matrix) {
  const auto parameters = quantizer.fit(matrix);
  return static_cast<double>(
      (quantizer.decode(quantizer.encode(matrix, parameters), parameters).template cast<Scalar>() - matrix)
          .squaredNorm());
}

const std::vector<ScaleMethod> methods = {ScaleMethod::maximum, ScaleMethod::percentile, ScaleMethod::grid,
                                          ScaleMethod::least_squares, ScaleMethod::exact};

}  // namespace

TEMPLATE_TEST_CASE("The affine quantizer keeps the laws", "[affine_quantizer]", std::int8_t, std::uint8_t,
                   std::int16_t) {
  for (const Granularity granularity : support::all_granularities) {
    for (const ScaleMethod method : methods) {
      for (const int bits : {1, 2, 4, 8}) {
        if (method == ScaleMethod::exact && bits > 4) continue;  // slow
        BasicAffineQuantizer<TestType> q;
        q.bits = bits;
        q.granularity = granularity;
        q.block_size = 3;
        q.scale_method = method;
        for (const bool symmetric : {false, true}) {
          q.symmetric_range = symmetric;
          CAPTURE(qaf::to_string(granularity), static_cast<int>(method), bits, symmetric);
          CHECK(support::broken_laws(q) == "");
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("Zero is represented exactly", "[affine_quantizer]", float, double) {
  Matrix<TestType> matrix = qaf::detail::NormalGenerator(1).matrix<TestType>(20, 4);
  matrix.row(7).setZero();
  matrix.col(1).array() += TestType(5);  // far from 0, which the range is extended to
  matrix(7, 1) = 0;
  for (const ScaleMethod method : methods) {
    AffineQuantizer q;
    q.bits = 4;
    q.scale_method = method;
    const AffineParameters parameters = q.fit(matrix);
    CHECK(q.decode(q.encode(matrix, parameters), parameters).row(7).isZero(0));
  }
}

TEST_CASE("Values on one side of 0 have all codes to themselves", "[affine_quantizer]") {
  const Matrix<float> matrix = qaf::detail::NormalGenerator(4).matrix<float>(200, 3).cwiseAbs();
  AffineQuantizer affine;
  qaf::UniformQuantizer symmetric;
  for (const ScaleMethod method : methods) {
    affine.bits = symmetric.bits = 4;
    affine.scale_method = symmetric.scale_method = method;
    // Half the step, a quarter of the squared error.
    CHECK(squared_error(affine, matrix) < 0.35 * squared_error(symmetric, matrix));
    CHECK(affine.encode(matrix, affine.fit(matrix)).maxCoeff() == 15);
  }
}

TEST_CASE("Each method leaves no more error than those before it", "[affine_quantizer]") {
  const Matrix<float> matrix = qaf::detail::NormalGenerator(9).matrix<float>(30, 40);
  for (const int bits : {2, 3, 4}) {
    AffineQuantizer q;
    q.bits = bits;
    const auto error = [&](ScaleMethod method) {
      q.scale_method = method;
      return squared_error(q, matrix);
    };
    CAPTURE(bits);
    const double exact = error(ScaleMethod::exact), fast = error(ScaleMethod::least_squares);
    CHECK(exact <= fast);
    CHECK(fast <= 1.05 * exact);
    CHECK(fast <= 1.01 * error(ScaleMethod::grid));
    CHECK(error(ScaleMethod::grid) < error(ScaleMethod::maximum));
  }
}

TEST_CASE("cp_admm takes affine quantizers", "[affine_quantizer]") {
  const auto tensor = support::low_rank_tensor<float>({8, 7, 6}, 4, 0.1, 2, qaf::StorageOrder::column_major);
  AffineQuantizer q;
  q.bits = 4;
  const auto result = qaf::cp_admm(tensor, 4, q, qaf::cp_admm_options(qaf::Effort::quick));
  CHECK(result.relative_error < 0.3);
  CHECK(result.relative_error < qaf::relative_error(tensor, qaf::quantize(qaf::cp_als(tensor, 4).model, q)));
}

TEST_CASE("Wrong fields and parameters of an affine quantizer are told", "[affine_quantizer]") {
  const Matrix<float> matrix = Matrix<float>::Ones(4, 2);
  AffineQuantizer q;
  q.bits = 9;
  CHECK_THROWS_WITH(q.fit(matrix), "qaf::AffineQuantizer: bits must be from 1 to 8, got 9");
  q.bits = 4;
  q.granularity = Granularity::block;
  q.block_size = 0;
  CHECK_THROWS_WITH(q.fit(matrix), "qaf::AffineQuantizer: block_size must be at least 1, got 0");
  q.granularity = Granularity::component;
  q.scale_method = ScaleMethod::percentile;
  q.percentile = 101;
  CHECK_THROWS_WITH(q.fit(matrix), "qaf::AffineQuantizer: percentile must be above 50 and at most 100, got 101");
  q.percentile = 99;
  q.smallest_scale = 0;
  CHECK_THROWS_WITH(q.fit(matrix),
                    "qaf::AffineQuantizer: smallest_scale must be a normal number, positive and at most 1, got 0");
  q = {};
  AffineParameters parameters = q.fit(matrix);
  parameters.zero_points[1] = 256;
  CHECK_THROWS_WITH(q.encode(matrix, parameters),
                    "qaf::AffineQuantizer::encode: every zero point must be from 0 to 255, got 256");
  parameters.zero_points.resize(3);
  CHECK_THROWS_WITH(q.encode(matrix, parameters),
                    "qaf::AffineQuantizer::encode: a 4 x 2 matrix with granularity component has 2 zero points, got 3");
}

TEST_CASE("Affine codes reach both ends of float's range", "[affine_quantizer]") {
  Matrix<float> matrix(2, 1);
  matrix << -3e38F, 3e38F;
  AffineQuantizer q;
  for (const ScaleMethod method : methods) {
    if (method == ScaleMethod::exact) continue;  // 8 bits: slow
    q.scale_method = method;
    const AffineParameters parameters = q.fit(matrix);
    const Matrix<float> decoded = q.decode(q.encode(matrix, parameters), parameters);
    CAPTURE(static_cast<int>(method));
    CHECK(decoded(0, 0) == Approx(-3e38).epsilon(0.01));
    CHECK(decoded(1, 0) == Approx(3e38).epsilon(0.01));
  }
}

TEST_CASE("No affine code is past float's range", "[affine_quantizer]") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Matrix<float> matrix = qaf::detail::NormalGenerator(seed).matrix<float>(5 + static_cast<Index>(seed) % 40, 1);
    matrix = matrix / matrix.cwiseAbs().maxCoeff() * ((1 - 1e-6F) * std::numeric_limits<float>::max());
    for (const int bits : {1, 2, 3, 4}) {
      AffineQuantizer q;
      q.bits = bits;
      const AffineParameters parameters = q.fit(matrix);
      const int farthest = std::max(parameters.zero_points[0] - q.lowest(), q.highest() - parameters.zero_points[0]);
      CAPTURE(seed, bits, farthest);
      CHECK(std::isfinite(static_cast<float>(farthest) * parameters.scales[0]));
    }
  }
}

TEST_CASE("The zero point is the code nearest to where the range puts 0", "[affine_quantizer]") {
  for (const qaf::ZeroPointPrecision precision :
       {qaf::ZeroPointPrecision::single_quotient, qaf::ZeroPointPrecision::double_scale}) {
    AffineQuantizer q;
    q.bits = 8;
    q.scale_method = ScaleMethod::maximum;
    q.zero_point_precision = precision;
    // 255 / 3.2 = 79.7, 255 / 3.3 = 77.3
    for (const auto& [highest, code] : {std::pair{2.2, 80}, std::pair{2.3, 77}}) {
      CAPTURE(highest);
      Matrix<double> matrix(2, 1);
      matrix << -1, highest;
      CHECK(q.fit(matrix).zero_points[0] == q.lowest() + code);
    }
  }
}

TEST_CASE("Least squares moves the zero point to either side", "[affine_quantizer]") {
  int up = 0, down = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const Matrix<double> matrix = qaf::detail::NormalGenerator(seed).matrix<double>(12, 1);
    AffineQuantizer q;
    q.bits = 3;
    q.scale_method = ScaleMethod::maximum;
    const int before = q.fit(matrix).zero_points[0];
    q.scale_method = ScaleMethod::least_squares;
    const int after = q.fit(matrix).zero_points[0];
    up += after > before;
    down += after < before;
  }
  CHECK(up > 0);
  CHECK(down > 0);
}

TEST_CASE("A zero point is that of the scale that is kept", "[affine_quantizer]") {
  AffineQuantizer q;
  q.scale_method = ScaleMethod::maximum;
  q.zero_point_precision = qaf::ZeroPointPrecision::double_scale;
  const Matrix<double> matrix = Matrix<double>::Constant(1, 1, 4.9e-324);  // its scale would be 0
  const AffineParameters parameters = q.fit(matrix);
  CHECK(parameters.zero_points[0] == 0);
  CHECK(q.encode(matrix, parameters)(0, 0) == 0);
}
