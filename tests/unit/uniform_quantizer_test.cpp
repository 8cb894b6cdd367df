#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <qaf/detail/random.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/quantizer.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/laws.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::CodeRange;
using qaf::Granularity;
using qaf::Index;
using qaf::Matrix;
using qaf::ScaleMethod;
using qaf::ScaleParameters;
using qaf::Ties;
using qaf::UniformQuantizer;
using qaf::UniformQuantizer16;

const std::vector<Granularity> granularities = {Granularity::tensor, Granularity::component, Granularity::row};
const std::vector<CodeRange> ranges = {CodeRange::full, CodeRange::narrow};
const std::vector<ScaleMethod> methods = {ScaleMethod::maximum, ScaleMethod::percentile, ScaleMethod::grid,
                                          ScaleMethod::least_squares};

template <typename Quantizer>
Quantizer quantizer(int bits, Granularity granularity, CodeRange range, ScaleMethod method) {
  Quantizer result;
  result.bits = bits;
  result.granularity = granularity;
  result.range = range;
  result.scale_method = method;
  return result;
}

/// Calls `visit` with every quantizer of that type: all bits, granularities, ranges and methods.
template <typename Quantizer, typename Visit>
void for_each_quantizer(const Visit& visit) {
  const int most = std::numeric_limits<typename Quantizer::Code>::digits + 1;
  for (int bits = 2; bits <= most; ++bits)
    for (const Granularity granularity : granularities)
      for (const CodeRange range : ranges)
        for (const ScaleMethod method : methods) visit(quantizer<Quantizer>(bits, granularity, range, method));
}

template <typename Scalar>
Matrix<Scalar> random_matrix(Index rows, Index cols, std::uint64_t seed = 1) {
  return qaf::detail::NormalGenerator(seed).matrix<Scalar>(rows, cols);
}

/// The scale of an entry.
float scale_at(Granularity granularity, const ScaleParameters& parameters, Index i, Index j) {
  return parameters.scales[granularity == Granularity::tensor ? 0 : granularity == Granularity::component ? j : i];
}

Index scale_count(Granularity granularity, Index rows, Index cols) {
  return granularity == Granularity::tensor ? 1 : granularity == Granularity::component ? cols : rows;
}

/// The sum of squared errors of one group under a scale, code by code, in double.
template <typename Values>
double group_error(const Values& values, double scale, int lowest, int highest) {
  double sum = 0;
  for (Index k = 0; k < values.size(); ++k) {
    const double value = static_cast<double>(values[k]);
    const double code =
        std::clamp(std::nearbyint(value / scale), static_cast<double>(lowest), static_cast<double>(highest));
    sum += (value - scale * code) * (value - scale * code);
  }
  return sum;
}

/// The scale for a largest magnitude, as the documentation of the quantizer defines it.
double documented_scale(CodeRange range, int bits, double largest) {
  return range == CodeRange::full ? 2 * largest / ((1 << bits) - 1) : largest / ((1 << (bits - 1)) - 1);
}

}  // namespace

TEST_CASE("The code range is that of two's complement, or without its lowest", "[uniform_quantizer]") {
  for (int bits = 2; bits <= 16; ++bits) {
    UniformQuantizer16 q;
    q.bits = bits;
    q.range = CodeRange::full;
    CHECK(q.lowest() == -(1 << (bits - 1)));
    CHECK(q.highest() == (1 << (bits - 1)) - 1);
    q.range = CodeRange::narrow;
    CHECK(q.lowest() == -q.highest());
    CHECK(q.highest() == (1 << (bits - 1)) - 1);
  }
}

TEMPLATE_TEST_CASE("Codes are in range and the nearest there is", "[uniform_quantizer]", float, double) {
  const Matrix<TestType> matrix = random_matrix<TestType>(7, 5);
  const auto check = [&](const auto& q) {
    CAPTURE(q.bits, qaf::to_string(q.granularity), static_cast<int>(q.range), static_cast<int>(q.scale_method));
    const ScaleParameters parameters = q.fit(matrix);
    REQUIRE(parameters.scales.size() == scale_count(q.granularity, 7, 5));
    const auto codes = q.encode(matrix, parameters);
    const Matrix<float> decoded = q.decode(codes, parameters);
    REQUIRE(codes.rows() == 7);
    REQUIRE(codes.cols() == 5);
    for (Index j = 0; j < 5; ++j) {
      for (Index i = 0; i < 7; ++i) {
        const int code = codes(i, j);
        CHECK(code >= q.lowest());
        CHECK(code <= q.highest());
        const double scale = scale_at(q.granularity, parameters, i, j);
        CHECK(decoded(i, j) == static_cast<float>(code) * static_cast<float>(scale));
        // Against every other code where there are few, else against the neighbours; the factor leaves
        // room for the rounding of the division.
        const double value = static_cast<double>(matrix(i, j));
        const double distance = std::abs(value - scale * code);
        const int from = q.bits <= 8 ? q.lowest() : std::max(q.lowest(), code - 2);
        const int to = q.bits <= 8 ? q.highest() : std::min(q.highest(), code + 2);
        double nearest = distance;
        for (int other = from; other <= to; ++other) nearest = std::min(nearest, std::abs(value - scale * other));
        CHECK(distance - nearest <= 1e-6 * std::abs(value));
      }
    }
  };
  for_each_quantizer<UniformQuantizer>(check);
  for_each_quantizer<UniformQuantizer16>(check);
}

TEMPLATE_TEST_CASE("Scales by the maximum leave no entry more than half a scale away", "[uniform_quantizer]", float,
                   double) {
  const Matrix<TestType> matrix = random_matrix<TestType>(9, 6, 3);
  for_each_quantizer<UniformQuantizer16>([&](const UniformQuantizer16& q) {
    if (q.scale_method != ScaleMethod::maximum) return;
    CAPTURE(q.bits, qaf::to_string(q.granularity), static_cast<int>(q.range));
    const ScaleParameters parameters = q.fit(matrix);
    const Matrix<float> decoded = q.decode(q.encode(matrix, parameters), parameters);
    for (Index j = 0; j < matrix.cols(); ++j) {
      for (Index i = 0; i < matrix.rows(); ++i) {
        const double scale = scale_at(q.granularity, parameters, i, j);
        const double distance = std::abs(static_cast<double>(decoded(i, j)) - static_cast<double>(matrix(i, j)));
        CHECK(distance <= 0.5 * scale * (1 + 1e-6) + 1e-6 * std::abs(static_cast<double>(matrix(i, j))));
      }
    }
  });
}

TEMPLATE_TEST_CASE("Scales by the maximum are those the documentation gives", "[uniform_quantizer]", float, double) {
  Matrix<TestType> matrix(2, 3);
  matrix << -6, 1, 0.5, 3, -2, 0.25;
  for (const CodeRange range : ranges) {
    for (int bits = 2; bits <= 8; ++bits) {
      CAPTURE(bits, static_cast<int>(range));
      auto q = quantizer<UniformQuantizer>(bits, Granularity::tensor, range, ScaleMethod::maximum);
      CHECK(q.fit(matrix).scales[0] == Approx(documented_scale(range, bits, 6)).epsilon(1e-6));
      q.granularity = Granularity::component;
      const ScaleParameters by_component = q.fit(matrix);
      CHECK(by_component.scales[0] == Approx(documented_scale(range, bits, 6)).epsilon(1e-6));
      CHECK(by_component.scales[1] == Approx(documented_scale(range, bits, 2)).epsilon(1e-6));
      CHECK(by_component.scales[2] == Approx(documented_scale(range, bits, 0.5)).epsilon(1e-6));
      q.granularity = Granularity::row;
      const ScaleParameters by_row = q.fit(matrix);
      CHECK(by_row.scales[0] == Approx(documented_scale(range, bits, 6)).epsilon(1e-6));
      CHECK(by_row.scales[1] == Approx(documented_scale(range, bits, 3)).epsilon(1e-6));
    }
  }
}

TEMPLATE_TEST_CASE("Ties go to the even code, and values past the range to its end", "[uniform_quantizer]", float,
                   double) {
  Matrix<TestType> matrix(1, 14);
  matrix << -100, -8.5, -7.5, -6.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 6.5, 7.5, 100, -0.0;
  auto q = quantizer<UniformQuantizer>(4, Granularity::tensor, CodeRange::full, ScaleMethod::maximum);
  Matrix<int> full(1, 14);
  full << -8, -8, -8, -6, -2, -2, 0, 0, 2, 2, 6, 7, 7, 0;
  Matrix<int> narrow = full.cwiseMax(-7);
  for (const float scale : {1.0F, 0.25F, 1024.0F}) {  // exact: powers of two
    CAPTURE(scale);
    const ScaleParameters parameters{qaf::Vector<float>::Constant(1, scale)};
    const Matrix<TestType> values = matrix * static_cast<TestType>(scale);
    q.range = CodeRange::full;
    CHECK(q.encode(values, parameters).template cast<int>() == full);
    q.range = CodeRange::narrow;
    CHECK(q.encode(values, parameters).template cast<int>() == narrow);
  }
}

TEMPLATE_TEST_CASE("Encoding what was decoded gives the same codes", "[uniform_quantizer]", float, double) {
  const auto check = [&](const auto& q) {
    if (q.scale_method != ScaleMethod::maximum) return;
    using Code = typename std::decay_t<decltype(q)>::Code;
    CAPTURE(q.bits, qaf::to_string(q.granularity), static_cast<int>(q.range));
    // Every code there is, in 4 columns of other scales.
    const Index rows = q.highest() - q.lowest() + 1;
    Matrix<Code> codes(rows, 4);
    for (Index i = 0; i < rows; ++i) codes.row(i).setConstant(static_cast<Code>(q.lowest() + static_cast<int>(i)));
    ScaleParameters parameters;
    parameters.scales.resize(scale_count(q.granularity, rows, 4));
    const std::vector<float> scales = {0.1F, 3.7e-5F, 12345.678F, 1e-38F * 1.5F};
    for (Index k = 0; k < parameters.scales.size(); ++k)
      parameters.scales[k] = scales[static_cast<std::size_t>(k) % scales.size()];
    const Matrix<TestType> decoded = q.decode(codes, parameters).template cast<TestType>();
    CHECK(q.encode(decoded, parameters) == codes);
  };
  for_each_quantizer<UniformQuantizer>(check);
  for_each_quantizer<UniformQuantizer16>(check);
}

TEMPLATE_TEST_CASE("A group of zeros has scale 1 and codes 0", "[uniform_quantizer]", float, double) {
  for_each_quantizer<UniformQuantizer>([&](const UniformQuantizer& q) {
    CAPTURE(q.bits, qaf::to_string(q.granularity), static_cast<int>(q.scale_method));
    Matrix<TestType> matrix = random_matrix<TestType>(4, 3);
    if (q.granularity == Granularity::tensor) matrix.setZero();
    if (q.granularity == Granularity::component) matrix.col(1).setZero();
    if (q.granularity == Granularity::row) matrix.row(1).setZero();
    const ScaleParameters parameters = q.fit(matrix);
    CHECK(parameters.scales[q.granularity == Granularity::tensor ? 0 : 1] == 1);
    const Matrix<std::int8_t> codes = q.encode(matrix, parameters);
    for (Index j = 0; j < 3; ++j)
      for (Index i = 0; i < 4; ++i)
        if (matrix(i, j) == 0) CHECK(static_cast<int>(codes(i, j)) == 0);
  });
}

TEMPLATE_TEST_CASE("The grid finds the best of its 200 scales", "[uniform_quantizer]", float, double) {
  const auto check = [&](const auto& q) {
    if (q.scale_method != ScaleMethod::grid || q.granularity != Granularity::component) return;
    CAPTURE(q.bits, static_cast<int>(q.range));
    const Matrix<TestType> matrix = random_matrix<TestType>(30, 3, 5);
    const ScaleParameters fitted = q.fit(matrix);
    auto by_maximum = q;
    by_maximum.scale_method = ScaleMethod::maximum;
    const ScaleParameters maximum = by_maximum.fit(matrix);
    for (Index j = 0; j < matrix.cols(); ++j) {
      const qaf::Vector<TestType> column = matrix.col(j);
      const double largest = static_cast<double>(column.cwiseAbs().maxCoeff());
      double least = std::numeric_limits<double>::infinity();
      bool is_candidate = false;
      for (int k = 0; k < 200; ++k) {
        const double scale =
            static_cast<double>(static_cast<float>(documented_scale(q.range, q.bits, largest * (0.2 + k / 199.0))));
        least = std::min(least, group_error(column, scale, q.lowest(), q.highest()));
        is_candidate = is_candidate || std::abs(static_cast<double>(fitted.scales[j]) / scale - 1) < 1e-6;
      }
      CHECK(is_candidate);
      const double error = group_error(column, static_cast<double>(fitted.scales[j]), q.lowest(), q.highest());
      // A value is known to `rounding`, the error is a share 2^-bits of the values.
      const double slack = support::Tolerance<TestType>::rounding * (1 << q.bits);
      CHECK(error <= least * (1 + slack));
      // The scale by the maximum is not itself among the 200, but next to one that is.
      const double error_by_maximum =
          group_error(column, static_cast<double>(maximum.scales[j]), q.lowest(), q.highest());
      CHECK(error <= error_by_maximum * (q.bits <= 8 ? 1.02 : 1.3));
    }
  };
  for_each_quantizer<UniformQuantizer>(check);
  for_each_quantizer<UniformQuantizer16>(check);
}

TEMPLATE_TEST_CASE("Least squares is as good as the grid of 200 scales", "[uniform_quantizer]", float, double) {
  for (const Index rows : {9, 64, 300}) {
    const Matrix<TestType> matrix = random_matrix<TestType>(rows, 100, 5);
    for (const CodeRange range : {CodeRange::full, CodeRange::narrow}) {
      for (const int bits : {2, 3, 4, 6}) {
        CAPTURE(rows, bits, static_cast<int>(range));
        const auto error = [&](ScaleMethod method) {
          const auto q = quantizer<UniformQuantizer>(bits, Granularity::component, range, method);
          return (q.decode(q.encode(matrix, q.fit(matrix)), q.fit(matrix)).template cast<TestType>() - matrix)
              .squaredNorm();
        };
        CHECK(error(ScaleMethod::least_squares) <= TestType(bits <= 4 ? 1.02 : 1.1) * error(ScaleMethod::grid));
      }
    }
  }
}

TEST_CASE("The uniform quantizer keeps the laws", "[uniform_quantizer]") {
  for (const Granularity granularity : support::all_granularities) {
    for (const ScaleMethod method : {ScaleMethod::maximum, ScaleMethod::percentile, ScaleMethod::grid,
                                     ScaleMethod::least_squares, ScaleMethod::exact}) {
      for (const int bits : {1, 2, 4, 8}) {
        for (const Ties ties : {Ties::to_even, Ties::away_from_zero}) {
          auto q =
              quantizer<UniformQuantizer>(bits, granularity, bits == 1 ? CodeRange::full : CodeRange::narrow, method);
          q.rounding.ties = ties;
          q.block_size = 3;
          CAPTURE(qaf::to_string(granularity), static_cast<int>(method), bits);
          CHECK(support::broken_laws(q) == "");
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("A block is quantized as a column of its own", "[uniform_quantizer]", float, double) {
  const Matrix<TestType> matrix = random_matrix<TestType>(11, 3);
  UniformQuantizer q;
  q.granularity = Granularity::block;
  q.block_size = 4;  // the last block of a column has 3 entries
  UniformQuantizer by_component;
  const ScaleParameters parameters = q.fit(matrix);
  REQUIRE(parameters.scales.size() == 9);
  CHECK(parameters.per_column == 3);
  const Matrix<std::int8_t> codes = q.encode(matrix, parameters);
  const Matrix<float> decoded = q.decode(codes, parameters);
  for (Index r = 0; r < 3; ++r) {
    for (Index block = 0; block < 3; ++block) {
      const Matrix<TestType> part = matrix.col(r).segment(4 * block, block == 2 ? 3 : 4);
      const ScaleParameters own = by_component.fit(part);
      CHECK(own.scales[0] == parameters.scales[3 * r + block]);
      CHECK(by_component.encode(part, own) == codes.col(r).segment(4 * block, part.rows()));
      CHECK(by_component.decode(by_component.encode(part, own), own) == decoded.col(r).segment(4 * block, part.rows()));
    }
  }
  ScaleParameters other = parameters;
  CHECK_ERROR(q.set_column_parameters(other, 1, q.fit(Matrix<TestType>(matrix.topLeftCorner(8, 1)))),
              "qaf::set_column_parameters: a column has 3 groups, got parameters of 2");
  ScaleParameters wrong = parameters;
  wrong.per_column = 9;
  CHECK_ERROR(q.encode(matrix, wrong),
              "qaf::UniformQuantizer::encode: a column of 11 entries has 3 blocks of 4, got per_column 9");
}

TEST_CASE("The percentile is that of the magnitudes, between neighbours", "[uniform_quantizer]") {
  Matrix<float> matrix(5, 1);
  matrix << 1, -2, 3, -4, 100;
  auto q = quantizer<UniformQuantizer>(4, Granularity::component, CodeRange::narrow, ScaleMethod::percentile);
  for (const auto& [percentile, expected] : {std::pair{75.0, 4.0}, {50.0, 3.0}, {62.5, 3.5}, {100.0, 100.0}}) {
    q.percentile = percentile;
    CHECK(q.fit(matrix).scales[0] == Approx(expected / 7));
  }
  q.percentile = 50;  // where most are 0, by the maximum
  CHECK(q.fit(Matrix<float>(Matrix<float>::Identity(9, 1))).scales[0] == Approx(1.0 / 7));
}

TEST_CASE("The parameters of a column encode and decode it alone", "[uniform_quantizer]") {
  const Matrix<float> matrix = random_matrix<float>(6, 4, 3);
  for (const Granularity granularity : support::all_granularities) {
    CAPTURE(qaf::to_string(granularity));
    auto q = quantizer<UniformQuantizer>(4, granularity, CodeRange::full, ScaleMethod::grid);
    q.block_size = 4;
    ScaleParameters parameters = q.fit(matrix);
    const Matrix<std::int8_t> codes = q.encode(matrix, parameters);
    for (Index r = 0; r < 4; ++r) {
      const ScaleParameters own = q.column_parameters(parameters, r);
      CHECK(q.encode(matrix.col(r), own) == codes.col(r));
      CHECK(q.decode(codes.col(r), own) == q.decode(codes, parameters).col(r));
    }
    const ScaleParameters before = parameters;
    ScaleParameters other;
    other.scales = qaf::Vector<float>::Constant(granularity == Granularity::block ? 2 : 1, 0.5F);
    other.per_column = other.scales.size();
    const bool has_own = q.set_column_parameters(parameters, 2, other);
    CHECK(has_own == (granularity == Granularity::component || granularity == Granularity::block));
    CHECK((parameters == before) == !has_own);
    if (has_own) CHECK(q.column_parameters(parameters, 2) == other);
  }
}

TEST_CASE("The largest floats keep finite decoded values", "[uniform_quantizer]") {
  Matrix<float> matrix(2, 1);
  matrix << 3.4e38F, -3.4e38F;
  for_each_quantizer<UniformQuantizer>([&](const UniformQuantizer& q) {
    CAPTURE(q.bits, qaf::to_string(q.granularity), static_cast<int>(q.range), static_cast<int>(q.scale_method));
    const ScaleParameters parameters = q.fit(matrix);
    CHECK(q.decode(q.encode(matrix, parameters), parameters).allFinite());
  });
}

TEST_CASE("Least squares is far better than the maximum at 2 bits", "[uniform_quantizer]") {
  const Matrix<double> matrix = random_matrix<double>(1000, 1, 7);
  auto q = quantizer<UniformQuantizer>(2, Granularity::tensor, CodeRange::full, ScaleMethod::least_squares);
  const qaf::Vector<double> values = matrix.col(0);
  const double fitted = group_error(values, static_cast<double>(q.fit(matrix).scales[0]), q.lowest(), q.highest());
  q.scale_method = ScaleMethod::maximum;
  const double maximum = group_error(values, static_cast<double>(q.fit(matrix).scales[0]), q.lowest(), q.highest());
  CHECK(fitted < 0.5 * maximum);
}

TEMPLATE_TEST_CASE("Groups are independent: permuting them permutes scales and codes", "[uniform_quantizer]", float,
                   double) {
  const Matrix<TestType> matrix = random_matrix<TestType>(5, 4, 11);
  Eigen::PermutationMatrix<Eigen::Dynamic> columns(4), rows(5);
  columns.indices() << 2, 0, 3, 1;
  rows.indices() << 4, 2, 0, 1, 3;
  for_each_quantizer<UniformQuantizer>([&](const UniformQuantizer& q) {
    CAPTURE(q.bits, qaf::to_string(q.granularity), static_cast<int>(q.range), static_cast<int>(q.scale_method));
    // Sums within a group change their order where both are permuted, so only the groups move here.
    const bool by_row = q.granularity == Granularity::row;
    const Matrix<TestType> permuted = by_row ? Matrix<TestType>(rows * matrix) : Matrix<TestType>(matrix * columns);
    const ScaleParameters parameters = q.fit(matrix);
    ScaleParameters expected = parameters;
    if (q.granularity == Granularity::component) expected.scales = columns.transpose() * parameters.scales;
    if (by_row) expected.scales = rows * parameters.scales;
    const ScaleParameters found = q.fit(permuted);
    if (q.granularity != Granularity::tensor) CHECK(found == expected);
    CHECK(support::matrix_distance(found.scales, expected.scales) < 1e-2);
    const Matrix<std::int8_t> codes = q.encode(matrix, parameters);
    CHECK(q.encode(permuted, expected) ==
          (by_row ? Matrix<std::int8_t>(rows * codes) : Matrix<std::int8_t>(codes * columns)));
  });
}

TEMPLATE_TEST_CASE("Changing one group changes no other", "[uniform_quantizer]", float, double) {
  const Matrix<TestType> matrix = random_matrix<TestType>(5, 4, 12);
  Matrix<TestType> changed = matrix;
  changed.col(1) *= TestType(100);
  auto q = quantizer<UniformQuantizer>(4, Granularity::component, CodeRange::full, ScaleMethod::least_squares);
  const qaf::Vector<float> before = q.fit(matrix).scales;
  qaf::Vector<float> after = q.fit(changed).scales;
  CHECK(after[1] == Approx(100 * before[1]).epsilon(1e-2));
  after[1] = before[1];
  CHECK(after == before);
}

TEMPLATE_TEST_CASE("Tiny and huge values give normal scales and finite codes", "[uniform_quantizer]", float, double) {
  std::vector<double> sizes = {1e-45, 1e-42, 1e-38, 1e-37, 1e-30, 1e30, 1e37, 1e38};
  if (!support::Tolerance<TestType>::is_float) sizes.insert(sizes.end(), {5e-324, 1e-310, 1e-300, 1e-200, 1e-100});
  for (const double size : sizes) {
    for_each_quantizer<UniformQuantizer>([&](const UniformQuantizer& q) {
      CAPTURE(size, q.bits, qaf::to_string(q.granularity), static_cast<int>(q.range), static_cast<int>(q.scale_method));
      Matrix<TestType> matrix(2, 2);
      matrix << static_cast<TestType>(size), static_cast<TestType>(-size / 2), TestType(0),
          static_cast<TestType>(-size);
      const ScaleParameters parameters = q.fit(matrix);
      for (const float scale : parameters.scales) {
        CHECK(scale >= std::numeric_limits<float>::min());
        CHECK(std::isfinite(scale));
      }
      const Matrix<float> decoded = q.decode(q.encode(matrix, parameters), parameters);
      CHECK(decoded.allFinite());
      CHECK(decoded(1, 0) == 0);
      // Above the smallest scale the relative precision is that of the bits.
      if (size > 1e-35) CHECK(std::abs(static_cast<double>(decoded(0, 0)) / size - 1) < 1.01 / (q.highest() + 0.5));
      // Below, a value is at most half the smallest scale away, or at the end of the range.
      if (size < 1e-38)
        CHECK(std::abs(static_cast<double>(decoded(0, 0)) - size) <=
              0.51 * static_cast<double>(std::numeric_limits<float>::min()));
    });
  }
}

TEST_CASE("Values beyond the range of float are refused by fit", "[uniform_quantizer]") {
  Matrix<double> matrix = Matrix<double>::Ones(2, 2);
  matrix(1, 0) = -1e39;
  CHECK_ERROR(UniformQuantizer().fit(matrix),
              "qaf::UniformQuantizer::fit: values must be within the range of float, got one of magnitude 1e+39");
}

TEMPLATE_TEST_CASE("NaN and infinity are refused", "[uniform_quantizer]", float, double) {
  for (const TestType bad : {std::numeric_limits<TestType>::quiet_NaN(), std::numeric_limits<TestType>::infinity(),
                             -std::numeric_limits<TestType>::infinity()}) {
    Matrix<TestType> matrix = random_matrix<TestType>(3, 2);
    for (const Granularity granularity : granularities) {
      auto q = quantizer<UniformQuantizer>(8, granularity, CodeRange::full, ScaleMethod::maximum);
      const ScaleParameters parameters = q.fit(matrix);
      Matrix<TestType> broken = matrix;
      broken(2, 1) = bad;
      CHECK_ERROR(q.fit(broken), "qaf::UniformQuantizer::fit: every entry must be finite, got NaN or infinity");
      CHECK_ERROR(q.encode(broken, parameters),
                  "qaf::UniformQuantizer::encode: every entry must be finite, got NaN or infinity");
    }
  }
}

TEST_CASE("Scales that do not fit are refused", "[uniform_quantizer]") {
  const Matrix<float> matrix = random_matrix<float>(3, 2);
  UniformQuantizer q;
  ScaleParameters parameters = q.fit(matrix);
  const Matrix<std::int8_t> codes = q.encode(matrix, parameters);

  const ScaleParameters three{qaf::Vector<float>::Ones(3)};
  CHECK_ERROR(q.encode(matrix, three),
              "qaf::UniformQuantizer::encode: a 3 x 2 matrix with granularity component has 2 scales, got 3");
  CHECK_ERROR(q.decode(codes, three),
              "qaf::UniformQuantizer::decode: a 3 x 2 matrix with granularity component has 2 scales, got 3");
  q.granularity = Granularity::row;
  CHECK_ERROR(q.encode(matrix, parameters),
              "qaf::UniformQuantizer::encode: a 3 x 2 matrix with granularity row has 3 scales, got 2");
  q.granularity = Granularity::tensor;
  CHECK_ERROR(q.decode(codes, parameters),
              "qaf::UniformQuantizer::decode: a 3 x 2 matrix with granularity tensor has 1 scales, got 2");

  q.granularity = Granularity::component;
  for (const float bad :
       {0.0F, -1.0F, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    CAPTURE(bad);
    parameters.scales[1] = bad;
    CHECK(support::error_text([&] {
            q.encode(matrix, parameters);
          }).find("qaf::UniformQuantizer::encode: every scale must be positive, normal and finite, got ") == 0);
    CHECK(support::error_text([&] {
            q.decode(codes, parameters);
          }).find("qaf::UniformQuantizer::decode: every scale must be positive, normal and finite, got ") == 0);
  }
}

TEST_CASE("Bits out of range are refused by every member that uses them", "[uniform_quantizer]") {
  const Matrix<float> matrix = random_matrix<float>(3, 2);
  UniformQuantizer q;
  const ScaleParameters parameters = q.fit(matrix);
  for (const int bits : {0, -5, 17, 32}) {
    q.bits = bits;
    CHECK_ERROR(q.validate(),
                "qaf::UniformQuantizer: bits must be from 1 to 8 for codes of 8 bits, got " + std::to_string(bits));
  }
  for (const int bits : {9, 16}) {
    q.bits = bits;
    CHECK_ERROR(q.validate(), "qaf::UniformQuantizer: bits must be from 1 to 8 for codes of 8 bits, got " +
                                  std::to_string(bits) + "; UniformQuantizer16 goes to 16");
  }
  q.bits = 0;
  CHECK(support::error_text([&] { q.fit(matrix); }) != "");
  CHECK(support::error_text([&] { q.encode(matrix, parameters); }) != "");

  UniformQuantizer16 wide;
  for (const int bits : {0, 17}) {
    wide.bits = bits;
    CHECK_ERROR(wide.validate(),
                "qaf::UniformQuantizer: bits must be from 1 to 16 for codes of 16 bits, got " + std::to_string(bits));
  }
  for (const int bits : {1, 16}) {
    wide.bits = bits;
    CHECK_NOTHROW(wide.validate());
  }
}

TEST_CASE("Parameters are compared entry by entry", "[uniform_quantizer]") {
  const ScaleParameters a{qaf::Vector<float>::Ones(2)};
  ScaleParameters b = a;
  CHECK(a == b);
  b.scales[1] = 2;
  CHECK(a != b);
  CHECK(a != ScaleParameters{qaf::Vector<float>::Ones(3)});
  CHECK(a != ScaleParameters());
}

TEMPLATE_TEST_CASE("The identity quantizer gives back what it got", "[uniform_quantizer]", float, double) {
  const qaf::IdentityQuantizer q;
  Matrix<TestType> matrix = random_matrix<TestType>(4, 3);
  matrix(0, 0) = std::numeric_limits<TestType>::denorm_min();
  matrix(1, 0) = std::numeric_limits<TestType>::max();
  const qaf::QuantizedFactor<qaf::IdentityQuantizer> factor = qaf::quantize(matrix, q);
  CHECK(qaf::decode<TestType>(factor) == matrix);
}

TEMPLATE_TEST_CASE("Quantizing a model keeps its tensor as far as the bits go", "[uniform_quantizer]", float, double) {
  qaf::CpModel<TestType> model;
  qaf::detail::NormalGenerator normal(3);
  for (const Index length : {5, 4, 3}) model.factors.push_back(normal.matrix<TestType>(length, 3));
  for (const double scale : {1.0, 1e-30, 1e30}) {
    CAPTURE(scale);
    model.weights = qaf::Vector<TestType>::LinSpaced(3, TestType(-1), TestType(2)) * static_cast<TestType>(scale);
    const auto exact = qaf::quantize(model, qaf::IdentityQuantizer());
    CHECK(exact.rank() == 3);
    CHECK(support::model_distance(model, qaf::decode(exact)) < support::Tolerance<TestType>::product);
    auto q = quantizer<UniformQuantizer16>(16, Granularity::component, CodeRange::full, ScaleMethod::maximum);
    const auto fine = qaf::quantize(model, q);
    CHECK(support::model_distance(model, qaf::decode(fine)) < 3e-4);
    q.bits = 4;
    CHECK(support::model_distance(model, qaf::decode(qaf::quantize(model, q))) > 1e-3);
  }
  const auto q = quantizer<UniformQuantizer>(9, Granularity::component, CodeRange::full, ScaleMethod::maximum);
  CHECK(support::error_text([&] { qaf::quantize(model, q); }).find("bits must be") != std::string::npos);
}

TEST_CASE("A block larger than any column is the column", "[uniform_quantizer]") {
  const Matrix<float> matrix = qaf::detail::NormalGenerator(1).matrix<float>(70, 3);
  qaf::UniformQuantizer by_block, by_component;
  by_block.granularity = qaf::Granularity::block;
  by_block.block_size = std::numeric_limits<Index>::max();
  CHECK(by_block.fit(matrix).scales == by_component.fit(matrix).scales);
  CHECK(by_block.encode(matrix, by_block.fit(matrix)) == by_component.encode(matrix, by_component.fit(matrix)));
}
