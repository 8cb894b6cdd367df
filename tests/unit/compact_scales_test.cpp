#include <cmath>
#include <cstdint>

#include <qaf/detail/random.hpp>
#include <qaf/model_size.hpp>
#include <qaf/quantizers/affine.hpp>
#include <qaf/quantizers/compact_scales.hpp>
#include <qaf/quantizers/fixed_levels.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "support/catch.hpp"
#include "support/laws.hpp"

namespace {

using qaf::CompactScales;
using qaf::Granularity;
using qaf::Index;
using qaf::Matrix;
using qaf::ScaleFormat;

const std::vector<ScaleFormat> formats = {ScaleFormat::float16, ScaleFormat::bfloat16, ScaleFormat::power_of_two,
                                          ScaleFormat::linear8};

/// Scales of rows that differ by some thousand times.
Matrix<float> rows_of_many_sizes() {
  Matrix<float> matrix = qaf::detail::NormalGenerator(3).matrix<float>(12, 40);
  for (Index i = 0; i < matrix.rows(); ++i) matrix.row(i) *= std::exp2(static_cast<float>(i));
  return matrix;
}

}  // namespace

TEMPLATE_TEST_CASE("Quantizers with compact scales keep the laws", "[compact_scales]", qaf::UniformQuantizer,
                   qaf::AffineQuantizer, qaf::NormalFloat4Quantizer) {
  for (const ScaleFormat format : {ScaleFormat::bfloat16, ScaleFormat::power_of_two}) {
    for (const Granularity granularity : support::all_granularities) {
      CompactScales<TestType> q;
      q.format = format;
      q.base.granularity = granularity;
      q.base.block_size = 5;
      CAPTURE(static_cast<int>(format), qaf::to_string(granularity));
      CHECK(support::broken_laws(q, granularity != Granularity::block) == "");
    }
  }
}

TEST_CASE("Scales are numbers of the format", "[compact_scales]") {
  const Matrix<float> matrix = rows_of_many_sizes();
  CompactScales<qaf::UniformQuantizer> q;
  q.base.bits = 4;
  q.base.granularity = Granularity::row;
  for (const ScaleFormat format : formats) {
    CAPTURE(static_cast<int>(format));
    q.format = format;
    const qaf::Vector<float> scales = q.fit(matrix).scales;
    const float step = scales.maxCoeff() / 255;
    for (const float scale : scales) {
      int exponent = 0;
      const float mantissa = std::frexp(scale, &exponent);  // 0.5 .. 1
      if (format == ScaleFormat::float16) CHECK(mantissa * 2048 == std::rint(mantissa * 2048));
      if (format == ScaleFormat::bfloat16) CHECK(mantissa * 256 == std::rint(mantissa * 256));
      if (format == ScaleFormat::power_of_two) CHECK(mantissa == 0.5F);
      if (format == ScaleFormat::linear8) CHECK(scale / step == Approx(std::rint(scale / step)).epsilon(1e-4));
    }
  }
}

TEST_CASE("Of the two neighbours of a scale the better one is taken", "[compact_scales]") {
  const Matrix<float> matrix = qaf::detail::NormalGenerator(3).matrix<float>(60, 30);
  CompactScales<qaf::UniformQuantizer> q;
  q.base.bits = 3;
  const auto parameters = q.fit(matrix);
  const auto error = [&](const qaf::ScaleParameters& some, Index r) {
    return (q.decode(q.encode(matrix, some), some) - matrix).col(r).squaredNorm();
  };
  const qaf::Vector<float> fitted = q.base.fit(matrix).scales;
  int up = 0, down = 0;
  for (Index r = 0; r < matrix.cols(); ++r) {
    const bool is_above = parameters.scales[r] > fitted[r];
    ++(is_above ? up : down);
    qaf::ScaleParameters other = parameters;
    other.scales[r] *= is_above ? 0.5F : 2;
    CHECK(error(parameters, r) <= error(other, r));
  }
  CHECK(up > 0);
  CHECK(down > 0);
}

TEST_CASE("Compact scales cost little error and fewer bits", "[compact_scales]") {
  const Matrix<float> matrix = rows_of_many_sizes();
  qaf::UniformQuantizer plain;
  plain.granularity = Granularity::block;
  plain.block_size = 4;
  plain.bits = 4;
  const auto error = [&](const auto& q) {
    const auto parameters = q.fit(matrix);
    return static_cast<double>((q.decode(q.encode(matrix, parameters), parameters) - matrix).norm() / matrix.norm());
  };
  const Index groups = Index{3} * 40;
  CHECK(plain.parameter_bits(plain.fit(matrix)) == 32 * groups);
  for (const ScaleFormat format : formats) {
    CAPTURE(static_cast<int>(format));
    const CompactScales<qaf::UniformQuantizer> q{plain, format};
    CHECK(error(q) < error(plain) * (format == ScaleFormat::power_of_two ? 2 : 1.05));
    const Index expected = format == ScaleFormat::linear8        ? 8 * groups + 32
                           : format == ScaleFormat::power_of_two ? 8 * groups
                                                                 : 16 * groups;
    CHECK(q.parameter_bits(q.fit(matrix)) == expected);
  }
}

TEST_CASE("A scale does not depend on how large other rows are", "[compact_scales]") {
  Matrix<float> matrix = rows_of_many_sizes();
  CompactScales<qaf::UniformQuantizer> q;
  q.format = ScaleFormat::power_of_two;
  q.base.granularity = Granularity::row;
  q.base.bits = 3;
  const auto alone = q.fit(matrix.bottomRows(matrix.rows() - 1)).scales;
  matrix.row(0) *= 1e25F / matrix.row(0).cwiseAbs().maxCoeff();
  CHECK(q.fit(matrix).scales.tail(alone.size()) == alone);
}

TEST_CASE("Scales beyond a format become its ends", "[compact_scales]") {
  Matrix<float> matrix(2, 3);
  matrix << 1e30F, 1e-30F, 1, 1e30F, 1e-30F, 1;
  CompactScales<qaf::UniformQuantizer> q;
  q.format = ScaleFormat::float16;
  const auto parameters = q.fit(matrix);
  CHECK(parameters.scales[0] == 65504);
  CHECK(parameters.scales[1] == std::ldexp(1.0F, -14));
}

TEST_CASE("A scale is not rounded up to where codes overflow", "[compact_scales]") {
  const Matrix<float> matrix = Matrix<float>::Constant(3, 2, 0.9F * std::numeric_limits<float>::max());
  for (const ScaleFormat format : formats) {
    CompactScales<qaf::UniformQuantizer> q;
    q.format = format;
    q.base.bits = 2;
    q.base.granularity = Granularity::row;
    const auto parameters = q.fit(matrix);
    CHECK(q.decode(Matrix<std::int8_t>::Constant(3, 2, -2), parameters).allFinite());
  }
}

TEST_CASE("Large scales of levels are rounded up too", "[compact_scales]") {
  const Matrix<float> matrix = Matrix<float>::Constant(2, 1, -1.6e38F);
  CompactScales<qaf::NormalFloat4Quantizer> q;
  const auto parameters = q.fit(matrix);
  CHECK(parameters.scales[0] == std::ldexp(1.0F, 127));
}
