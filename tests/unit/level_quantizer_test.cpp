#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <qaf/detail/random.hpp>
#include <qaf/quantizers/codebook.hpp>
#include <qaf/quantizers/fixed_levels.hpp>
#include <qaf/quantizers/power_of_two.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/laws.hpp"

namespace {

using qaf::CodebookQuantizer;
using qaf::Granularity;
using qaf::Index;
using qaf::Matrix;
using qaf::ScaleMethod;

Matrix<float> random_matrix(Index rows, Index cols) {
  return qaf::detail::NormalGenerator(1).matrix<float>(rows, cols);
}

template <typename Quantizer>
double squared_error(const Quantizer& quantizer, const Matrix<float>& matrix) {
  const auto parameters = quantizer.fit(matrix);
  return static_cast<double>(
      (quantizer.decode(quantizer.encode(matrix, parameters), parameters) - matrix).squaredNorm());
}

/// Every scale method and every granularity. All pairs of them would take minutes under sanitizers, so the granularity
/// that a method meets is another one for each `turn`: four turns have all pairs.
template <typename Quantizer>
void check_laws(Quantizer quantizer, std::size_t turn) {
  const std::vector<ScaleMethod> methods = {ScaleMethod::maximum, ScaleMethod::percentile, ScaleMethod::grid,
                                            ScaleMethod::least_squares, ScaleMethod::exact};
  for (std::size_t k = 0; k < methods.size(); ++k) {
    quantizer.granularity = support::all_granularities[(k + turn) % support::all_granularities.size()];
    quantizer.block_size = 4;
    quantizer.scale_method = methods[k];
    CAPTURE(qaf::to_string(quantizer.granularity), static_cast<int>(methods[k]));
    CHECK(support::broken_laws(quantizer) == "");
  }
}

bool is_power_of_two(float value) {
  int exponent = 0;
  return std::abs(std::frexp(value, &exponent)) == 0.5F;
}

}  // namespace

TEST_CASE("Quantizers of fixed levels keep the laws", "[level_quantizer]") {
  for (const std::size_t turn : {0U, 1U, 2U, 3U}) check_laws(qaf::TernaryQuantizer(), turn);
  check_laws(qaf::NormalFloat4Quantizer(), 0);
  for (const int bits : {2, 3, 4}) {
    CAPTURE(bits);
    qaf::PowerOfTwoQuantizer power;
    power.table.bits = bits;
    check_laws(power, static_cast<std::size_t>(bits));
  }
  for (const int bits : {2, 3, 4, 5}) {
    CAPTURE(bits);
    qaf::AdditivePowerOfTwoQuantizer additive;
    additive.table.bits = bits;
    check_laws(additive, static_cast<std::size_t>(bits) + 2);
  }
  qaf::PowerOfTwoQuantizer widest;  // of the largest tables the usual scale method only
  widest.table.bits = 7;
  CHECK(support::broken_laws(widest) == "");
  qaf::AdditivePowerOfTwoQuantizer largest;
  largest.table.bits = 8;
  CHECK(support::broken_laws(largest) == "");
}

TEST_CASE("The binary quantizer keeps the laws", "[level_quantizer]") {
  for (const std::size_t turn : {0U, 1U, 2U, 3U}) check_laws(qaf::BinaryQuantizer(), turn);
}

TEST_CASE("Levels and tables reach both ends of float's range", "[level_quantizer]") {
  const Matrix<float> matrix = random_matrix(700, 1).array().sin().matrix() * 3.3e38F;
  const auto relative_error = [&](const Matrix<float>& decoded) {
    return (decoded - matrix).cast<double>().norm() / matrix.cast<double>().norm();
  };
  const qaf::NormalFloat4Quantizer levels;
  const auto parameters = levels.fit(matrix);
  CHECK(relative_error(levels.decode(levels.encode(matrix, parameters), parameters)) < 0.1);
  const qaf::CodebookQuantizer codebook;
  const auto table = codebook.fit(matrix);
  CHECK(relative_error(codebook.decode(codebook.encode(matrix, table), table)) < 0.1);
}

TEST_CASE("The scale of binary weights is their mean magnitude", "[level_quantizer]") {
  const Matrix<float> matrix = random_matrix(50, 4);
  for (const ScaleMethod method : {ScaleMethod::least_squares, ScaleMethod::exact}) {
    qaf::BinaryQuantizer q;
    q.scale_method = method;
    const auto parameters = q.fit(matrix);
    for (Index r = 0; r < 4; ++r) CHECK(parameters.scales[r] == Approx(matrix.col(r).cwiseAbs().mean()).epsilon(1e-5));
  }
}

TEST_CASE("Exact ternary weights are the best of all thresholds", "[level_quantizer]") {
  const Matrix<float> matrix = random_matrix(31, 6);
  qaf::TernaryQuantizer q;
  q.scale_method = ScaleMethod::exact;
  const auto parameters = q.fit(matrix);
  for (Index r = 0; r < matrix.cols(); ++r) {
    const qaf::Vector<float> column = matrix.col(r);
    float least = column.squaredNorm();
    for (Index i = 0; i < column.size(); ++i) {
      // The entries at least as large as entry i become +-1, with their mean magnitude as the scale.
      const auto large = (column.array().abs() >= std::abs(column[i])).cast<float>();
      const float sum = (column.array().abs() * large).sum();
      least = std::min(least, column.squaredNorm() - sum * sum / large.sum());
    }
    const Matrix<float> own = column;
    const auto one = q.column_parameters(parameters, r);
    CHECK((q.decode(q.encode(own, one), one) - own).squaredNorm() == Approx(least).epsilon(1e-4));
  }
}

TEST_CASE("Levels are the published ones", "[level_quantizer]") {
  // 2^bits - 1 of them, 0 and powers of two.
  for (int bits = 2; bits <= 7; ++bits) {
    const std::vector<float> levels = qaf::PowerOfTwoLevels{bits}.levels();
    CHECK(levels.size() == (std::size_t{1} << bits) - 1);
    CHECK(std::is_sorted(levels.begin(), levels.end()));
    for (const float level : levels) CHECK((level == 0 || is_power_of_two(level)));
  }
  // Li, Dong and Wang 2020, section 2.2: 5 bits are two terms of 2 bits. Magnitudes times 48.
  const std::vector<int> five = {0, 1, 2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 32, 33, 36, 48};
  const std::vector<float> levels = qaf::AdditivePowerOfTwoLevels{5}.levels();
  REQUIRE(levels.size() == 31);
  for (std::size_t k = 0; k < 16; ++k) {
    CHECK(levels[15 + k] * 48 == Approx(five[k]));
    CHECK(levels[15 - k] == -levels[15 + k]);
  }
  // 4 bits: one term of 2 bits and one of 1, as the authors' code has it. Magnitudes times 10.
  const std::vector<int> four = {0, 1, 2, 3, 4, 6, 8, 10};
  const std::vector<float> of_four = qaf::AdditivePowerOfTwoLevels{4}.levels();
  REQUIRE(of_four.size() == 15);
  for (std::size_t k = 0; k < 8; ++k) CHECK(of_four[7 + k] * 10 == Approx(four[k]));
  CHECK(qaf::NormalFloat4Levels().levels().size() == 16);
}

TEST_CASE("NF4 with the maximum and blocks is that of QLoRA", "[level_quantizer]") {
  Matrix<float> matrix(5, 1);
  matrix << -2, 0.1F, 0.5F, 1.3F, 0;
  qaf::NormalFloat4Quantizer q;
  q.scale_method = ScaleMethod::maximum;
  q.granularity = Granularity::block;
  q.block_size = 3;
  const auto parameters = q.fit(matrix);
  REQUIRE(parameters.scales.size() == 2);
  CHECK(parameters.scales[0] == 2);
  CHECK(parameters.scales[1] == 1.3F);
  Matrix<int> expected(5, 1);
  expected << 0, 8, 10, 15, 7;  // 0.05, 0.25, 1 and 0 of the largest magnitude
  CHECK(q.encode(matrix, parameters).cast<int>() == expected);
}

TEST_CASE("A codebook keeps the laws", "[level_quantizer]") {
  for (const Granularity granularity : {Granularity::tensor, Granularity::component}) {
    for (const int bits : {1, 3, 4, 8}) {
      CodebookQuantizer q;
      q.bits = bits;
      q.granularity = granularity;
      CAPTURE(bits, qaf::to_string(granularity));
      CHECK(support::broken_laws(q) == "");
    }
  }
}

TEST_CASE("Every iteration of a codebook lowers its error, and it ends at the means", "[level_quantizer]") {
  for (const Index rows : {40, 2000}) {  // cut best at once, and cut at some places first
    CAPTURE(rows);
    const Matrix<float> matrix = random_matrix(rows, 5).array().cube();
    CodebookQuantizer q;
    q.bits = 3;
    double last = std::numeric_limits<double>::infinity();
    for (const Index iterations : {1, 2, 4, 8, 200}) {
      q.max_iterations = iterations;
      const double error = squared_error(q, matrix);
      CHECK(error <= last * (1 + 1e-6));
      last = error;
    }
    const auto parameters = q.fit(matrix);
    const auto codes = q.encode(matrix, parameters);
    for (int level = 0; level < 8; ++level) {
      const Matrix<double> own = (codes.array() == static_cast<std::uint8_t>(level)).cast<double>();
      if (own.sum() > 0)
        CHECK(parameters.levels(level, 0) ==
              Approx(matrix.cast<double>().cwiseProduct(own).sum() / own.sum()).epsilon(1e-5));
    }
  }
}

TEST_CASE("A codebook of few entries has the least error there is", "[level_quantizer]") {
  for (Index seed = 0; seed < 20; ++seed) {
    Matrix<float> values = random_matrix(11, 20).col(seed);
    values(seed % 11, 0) *= 8;  // an outlier
    std::vector<double> sorted(values.data(), values.data() + 11);
    std::sort(sorted.begin(), sorted.end());
    const auto error_of = [&](std::size_t begin, std::size_t end) {
      const Eigen::Map<const Eigen::ArrayXd> part(sorted.data() + begin, static_cast<Index>(end - begin));
      return (part - part.mean()).square().sum();
    };
    double least = std::numeric_limits<double>::infinity();  // of all ways to cut into four parts
    for (std::size_t a = 1; a < 9; ++a)
      for (std::size_t b = a + 1; b < 10; ++b)
        for (std::size_t c = b + 1; c < 11; ++c)
          least = std::min(least, error_of(0, a) + error_of(a, b) + error_of(b, c) + error_of(c, 11));
    CodebookQuantizer q;
    q.bits = 2;
    CAPTURE(seed);
    CHECK(squared_error(q, values) == Approx(least).epsilon(1e-5));
  }
}

TEST_CASE("A codebook of many entries gives outliers levels of their own", "[level_quantizer]") {
  Matrix<float> values = qaf::Vector<float>::LinSpaced(5000, -1, 1);
  values(100, 0) = 40;
  values(200, 0) = -60;
  CodebookQuantizer q;
  q.bits = 3;
  const Matrix<float> levels = q.fit(values).levels;
  CHECK(levels(0, 0) == -60);
  CHECK(levels(7, 0) == 40);
  // The others share six levels: a sixth of the interval each, whose variance is the square of its length by 12.
  CHECK(squared_error(q, values) < 1.01 * 4998 / 9 / 12);
}

TEST_CASE("A codebook with a level for every value is exact", "[level_quantizer]") {
  Matrix<float> matrix(4, 4);
  matrix << 3, -1, 3, 0, 0, 0, 7, 7, -1, -1, 3, 0.5F, 7, 7, 7, 7;
  CodebookQuantizer q;
  q.bits = 4;
  CHECK(squared_error(q, matrix) == 0);
}

TEST_CASE("Wrong fields of quantizers of levels are told", "[level_quantizer]") {
  const Matrix<float> matrix = Matrix<float>::Ones(4, 2);
  qaf::PowerOfTwoQuantizer power;
  power.table.bits = 8;
  CHECK_THROWS_WITH(power.fit(matrix), "qaf::PowerOfTwoLevels: bits must be from 2 to 7, got 8");
  qaf::AdditivePowerOfTwoQuantizer additive;
  additive.table.bits = 1;
  CHECK_THROWS_WITH(additive.fit(matrix), "qaf::AdditivePowerOfTwoLevels: bits must be from 2 to 8, got 1");
  qaf::TernaryQuantizer ternary;
  const auto parameters = ternary.fit(matrix);
  CHECK_THROWS_WITH(ternary.decode(Matrix<std::uint8_t>::Constant(4, 2, 3), parameters),
                    "qaf::LevelQuantizer::decode: every code must be below the number of levels, 3, got 3");
  CodebookQuantizer codebook;
  codebook.granularity = Granularity::row;
  CHECK_THROWS_WITH(codebook.fit(matrix), "qaf::CodebookQuantizer: granularity must be tensor or component, got row");
  codebook = {};
  codebook.max_iterations = 0;
  CHECK_THROWS_WITH(codebook.fit(matrix), "qaf::CodebookQuantizer: max_iterations must be at least 1, got 0");
  codebook = {};
  CHECK_THROWS_WITH(codebook.encode(matrix, {Matrix<float>::Zero(8, 1)}),
                    "qaf::CodebookQuantizer::encode: a table for 4 bits has 16 levels, got 8");
}

TEST_CASE("Small means of a codebook do not drown in large entries", "[level_quantizer]") {
  Matrix<float> matrix(4, 1);
  matrix << -1e20F, 1, 2, 3;
  CodebookQuantizer q;
  q.bits = 2;
  CHECK(q.fit(matrix).levels == matrix);
}

namespace {

struct AnyTable {
  std::vector<float> values;
  void validate() const {}
  std::vector<float> levels() const { return values; }
};

}  // namespace

TEST_CASE("Tables that are none are refused", "[level_quantizer]") {
  const auto text = [](std::vector<float> levels) {
    const qaf::LevelQuantizer<AnyTable> q{{std::move(levels)}};
    return support::error_text([&] { q.validate(); });
  };
  CHECK(text({-1, 0.5F, 1}) == "");
  CHECK(text({}) == "qaf::LevelQuantizer: a table must have 2 to 256 levels, got 0");
  CHECK(text(std::vector<float>(257, 1)) == "qaf::LevelQuantizer: a table must have 2 to 256 levels, got 257");
  CHECK(text({0, 1, 0.5F}) == "qaf::LevelQuantizer: levels must ascend, got 1 before 0.5");
  CHECK(text({0, 2}) ==
        "qaf::LevelQuantizer: levels must reach from at most 0 to at least 0, the farthest to magnitude 1; got 0 to 2");
}

TEMPLATE_TEST_CASE("Exact scales of tables without a level 0 leave least too", "[level_quantizer]", float, double) {
  const std::vector<std::vector<float>> tables = {{-1, 0.5F}, {-0.1F, 1}, {-1, -0.2F, 0.9F}};
  for (const std::vector<float>& table : tables) {
    qaf::LevelQuantizer<AnyTable> q{{table}};
    for (const Index size : {1, 2, 9, 700}) {
      const Matrix<TestType> matrix = qaf::detail::NormalGenerator(3).matrix<TestType>(size, 4);
      double least = std::numeric_limits<double>::infinity();
      for (const ScaleMethod method :
           {ScaleMethod::exact, ScaleMethod::maximum, ScaleMethod::grid, ScaleMethod::least_squares}) {
        q.scale_method = method;
        const auto parameters = q.fit(matrix);
        const double error = (q.decode(q.encode(matrix, parameters), parameters).template cast<double>() -
                              matrix.template cast<double>())
                                 .squaredNorm();
        CAPTURE(table.size(), table.back(), size, static_cast<int>(method));
        if (method == ScaleMethod::exact) least = error;
        CHECK(least <= error + 1e-5 * static_cast<double>(matrix.squaredNorm()));
      }
    }
  }
}

TEST_CASE("Fields are checked before codes are decoded", "[level_quantizer]") {
  qaf::TernaryQuantizer q;
  q.granularity = Granularity::block;
  const auto parameters = q.fit(random_matrix(4, 2));
  q.block_size = 0;
  CHECK_THROWS_WITH(q.decode(Matrix<std::uint8_t>::Zero(4, 2), parameters),
                    "qaf::LevelQuantizer: block_size must be at least 1, got 0");
}
