#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include <qaf/detail/random.hpp>
#include <qaf/quantizers/affine.hpp>
#include <qaf/quantizers/codebook.hpp>
#include <qaf/quantizers/detail/column_chunks.hpp>
#include <qaf/quantizers/fixed_levels.hpp>
#include <qaf/quantizers/power_of_two.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/laws.hpp"

// Encoding and decoding entry by entry, in columns that are shorter, longer and as long as a chunk or some of them.
namespace {

using qaf::Granularity;
using qaf::Index;
using qaf::Matrix;
using qaf::Ties;

const std::vector<Index> lengths = {1,
                                    9,
                                    qaf::detail::chunk_size - 1,
                                    qaf::detail::chunk_size,
                                    qaf::detail::chunk_size + 1,
                                    3 * qaf::detail::chunk_size - 5};

/// Normal entries, multiples of a quarter of the largest scale (so that there are ties), and far ones.
template <typename Scalar>
Matrix<Scalar> some_matrix(Index rows, Index cols) {
  Matrix<Scalar> matrix = qaf::detail::NormalGenerator(1).matrix<Scalar>(rows, cols);
  for (Index i = 0; i < rows; i += 3) matrix.row(i) = (8 * matrix.row(i)).array().rint() / 16;
  if (rows > 4) matrix(4, 0) = Scalar(-1e30);
  return matrix;
}

template <typename Scalar>
Scalar rounded(Scalar value, Ties ties, int lowest) {
  const Scalar low = static_cast<Scalar>(lowest);
  return ties == Ties::to_even          ? std::nearbyint(value)
         : ties == Ties::away_from_zero ? std::round(value)
                                        : std::round(value - low) + low;
}

/// The group of entry (i, r), as the documentation numbers them.
Index group_of(Granularity granularity, Index block_size, Index rows, Index i, Index r) {
  return granularity == Granularity::tensor      ? 0
         : granularity == Granularity::component ? r
         : granularity == Granularity::row       ? i
                                                 : r * ((rows + block_size - 1) / block_size) + i / block_size;
}

/// Calls `visit(quantizer)` with that quantizer in all granularities and roundings.
template <typename Quantizer, typename Visit>
void for_each_rounding(Quantizer quantizer, const Visit& visit) {
  quantizer.bits = 3;
  quantizer.block_size = 50;
  for (const Granularity granularity : support::all_granularities) {
    for (const Ties ties : {Ties::to_even, Ties::away_from_zero, Ties::up}) {
      for (const bool by_reciprocal : {false, true}) {
        quantizer.granularity = granularity;
        quantizer.rounding = {ties, by_reciprocal};
        visit(quantizer);
      }
    }
  }
}

/// A scale for each group, of few bits, so that quotients are ties.
template <typename Quantizer>
qaf::Vector<float> some_scales(const Quantizer& quantizer, Index rows, Index cols) {
  qaf::Vector<float> scales(quantizer.fit(Matrix<float>(Matrix<float>::Ones(rows, cols))).scales.size());
  for (Index k = 0; k < scales.size(); ++k) scales[k] = k % 3 == 0 ? 0.5F : k % 3 == 1 ? 0.25F : 0.3F;
  return scales;
}

}  // namespace

TEMPLATE_TEST_CASE("Uniform codes are those of each entry by itself", "[column_chunks]", float, double) {
  for (const Index rows : lengths) {
    const Matrix<TestType> matrix = some_matrix<TestType>(rows, 3);
    for_each_rounding(qaf::UniformQuantizer(), [&](const qaf::UniformQuantizer& q) {
      CAPTURE(rows, qaf::to_string(q.granularity), static_cast<int>(q.rounding.ties), q.rounding.by_reciprocal);
      auto parameters = q.fit(matrix);
      parameters.scales = some_scales(q, rows, 3);
      const Matrix<std::int8_t> codes = q.encode(matrix, parameters);
      const Matrix<float> values = q.decode(codes, parameters);
      bool is_same = true;
      for (Index r = 0; r < 3; ++r) {
        for (Index i = 0; i < rows; ++i) {
          const float scale = parameters.scales[group_of(q.granularity, q.block_size, rows, i, r)];
          const TestType own = static_cast<TestType>(scale);
          const TestType quotient = q.rounding.by_reciprocal ? matrix(i, r) * (1 / own) : matrix(i, r) / own;
          const int code = static_cast<int>(
              std::clamp(rounded(quotient, q.rounding.ties, q.lowest()), TestType(q.lowest()), TestType(q.highest())));
          is_same = is_same && codes(i, r) == code && values(i, r) == scale * static_cast<float>(code);
        }
      }
      CHECK(is_same);
    });
  }
}

TEMPLATE_TEST_CASE("Affine codes are those of each entry by itself", "[column_chunks]", float, double) {
  for (const Index rows : lengths) {
    const Matrix<TestType> matrix = some_matrix<TestType>(rows, 3);
    for (const auto order : {qaf::ZeroPointOrder::after_rounding, qaf::ZeroPointOrder::before_rounding}) {
      for_each_rounding(qaf::AffineQuantizer(), [&](qaf::AffineQuantizer q) {
        q.zero_point_order = order;
        CAPTURE(rows, qaf::to_string(q.granularity), static_cast<int>(q.rounding.ties), q.rounding.by_reciprocal);
        auto parameters = q.fit(matrix);
        parameters.scales = some_scales(q, rows, 3);
        for (Index k = 0; k < parameters.zero_points.size(); ++k)
          parameters.zero_points[k] = static_cast<std::int32_t>(k % 8);
        const Matrix<std::uint8_t> codes = q.encode(matrix, parameters);
        const Matrix<float> values = q.decode(codes, parameters);
        bool is_same = true;
        for (Index r = 0; r < 3; ++r) {
          for (Index i = 0; i < rows; ++i) {
            const Index group = group_of(q.granularity, q.block_size, rows, i, r);
            const float scale = parameters.scales[group];
            const TestType own = static_cast<TestType>(scale);
            const TestType zero = static_cast<TestType>(parameters.zero_points[group]);
            const TestType quotient = q.rounding.by_reciprocal ? matrix(i, r) * (1 / own) : matrix(i, r) / own;
            const TestType integer = order == qaf::ZeroPointOrder::after_rounding
                                         ? rounded(quotient, q.rounding.ties, q.lowest()) + zero
                                         : rounded(quotient + zero, q.rounding.ties, q.lowest());
            const int code = static_cast<int>(std::clamp(integer, TestType(q.lowest()), TestType(q.highest())));
            is_same = is_same && codes(i, r) == code &&
                      values(i, r) == scale * static_cast<float>(code - parameters.zero_points[group]);
          }
        }
        CHECK(is_same);
      });
    }
  }
}

TEST_CASE("A product with the reciprocal is rounded before the zero point is added", "[column_chunks]") {
  qaf::AffineQuantizer q;
  q.zero_point_order = qaf::ZeroPointOrder::before_rounding;
  q.rounding = {Ties::away_from_zero, true};
  const float scale = 0.0337F, inverse = 1 / scale;
  qaf::AffineParameters parameters{{qaf::Vector<float>::Constant(1, scale)}, {}};
  parameters.zero_points = qaf::Vector<std::int32_t>::Constant(1, 100);
  // Values whose products lie about halves.
  Matrix<float> matrix(1000, 1);
  for (Index i = 0; i < 1000; ++i) {
    float value = (static_cast<float>(i % 200) - 99.5F) * scale;
    for (Index k = 0; k < i / 200; ++k) value = std::nextafter(value, 1e9F);
    matrix(i, 0) = value;
  }
  const Matrix<std::uint8_t> codes = q.encode(matrix, parameters);
  bool is_same = true;
  for (Index i = 0; i < 1000; ++i) {
    const volatile float product = matrix(i, 0) * inverse;
    const volatile float sum = product + 100;
    is_same = is_same && static_cast<float>(codes(i, 0)) == std::clamp(std::round(sum), 0.0F, 255.0F);
  }
  CHECK(is_same);
}

TEMPLATE_TEST_CASE("Codes of levels are those of each entry by itself", "[column_chunks]", float, double) {
  const auto check = [](auto q, Index rows) {
    const Matrix<TestType> matrix = some_matrix<TestType>(rows, 3);
    const std::vector<float> levels = q.table.levels();
    for (const Granularity granularity : support::all_granularities) {
      q.granularity = granularity;
      CAPTURE(rows, levels.size(), qaf::to_string(granularity));
      auto parameters = q.fit(matrix);
      parameters.scales = some_scales(q, rows, 3);
      const Matrix<std::uint8_t> codes = q.encode(matrix, parameters);
      const Matrix<float> values = q.decode(codes, parameters);
      bool is_same = true;
      for (Index r = 0; r < 3; ++r) {
        for (Index i = 0; i < rows; ++i) {
          const float scale = parameters.scales[group_of(granularity, q.block_size, rows, i, r)];
          const TestType quotient = matrix(i, r) / static_cast<TestType>(scale);
          std::size_t code = 0;
          while (code + 1 < levels.size() && quotient > TestType(levels[code]) / 2 + TestType(levels[code + 1]) / 2)
            ++code;
          is_same = is_same && codes(i, r) == code && values(i, r) == scale * levels[code];
        }
      }
      CHECK(is_same);
    }
  };
  for (const Index rows : lengths) {
    check(qaf::BinaryQuantizer(), rows);
    check(qaf::NormalFloat4Quantizer(), rows);
    qaf::PowerOfTwoQuantizer many;
    many.table.bits = 7;
    check(many, rows);
  }
}

TEMPLATE_TEST_CASE("No entry of a column may be NaN or infinite", "[column_chunks]", float, double) {
  const auto check = [](const auto& q, Index rows) {
    const Matrix<TestType> matrix = Matrix<TestType>::Ones(rows, 2);
    const auto parameters = q.fit(matrix);
    for (const Index bad : {Index{0}, rows / 2, rows - 1}) {
      for (const TestType value :
           {std::numeric_limits<TestType>::quiet_NaN(), -std::numeric_limits<TestType>::infinity()}) {
        CAPTURE(rows, bad, value);
        Matrix<TestType> broken = matrix;
        broken(bad, 1) = value;
        CHECK(support::error_text([&] { q.fit(broken); }).find("every entry must be finite") != std::string::npos);
        CHECK(support::error_text([&] { q.encode(broken, parameters); }).find("every entry must be finite") !=
              std::string::npos);
      }
    }
  };
  for (const Index rows : lengths) {
    for (const Granularity granularity : support::all_granularities) {
      qaf::UniformQuantizer q;
      q.granularity = granularity;
      check(q, rows);
    }
    check(qaf::AffineQuantizer(), rows);
    check(qaf::TernaryQuantizer(), rows);
    check(qaf::CodebookQuantizer(), rows);
  }
}

TEST_CASE("An expression is evaluated once, and any matrix is taken", "[column_chunks]") {
  const Matrix<float> matrix = some_matrix<float>(300, 5);
  for (const Granularity granularity : support::all_granularities) {
    qaf::UniformQuantizer q;
    q.granularity = granularity;
    CAPTURE(qaf::to_string(granularity));
    const auto parameters = q.fit(matrix);
    const Matrix<std::int8_t> codes = q.encode(matrix, parameters);
    int calls = 0;
    const auto count = [&](Index i, Index r) {
      ++calls;
      return matrix(i, r);
    };
    CHECK(q.fit(Matrix<float>::NullaryExpr(300, 5, count)) == parameters);
    CHECK(calls == matrix.size());
    CHECK(q.encode(Matrix<float>::NullaryExpr(300, 5, count), parameters) == codes);
    CHECK(calls == 2 * matrix.size());
    // No two evaluations of this are the same.
    CHECK(q.fit(Matrix<float>::Random(300, 5)).scales.maxCoeff() < 1);

    const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> by_rows = matrix;
    Matrix<float> larger = Matrix<float>::Zero(400, 9);
    larger.block(50, 2, 300, 5) = matrix;
    CHECK(q.fit(by_rows) == parameters);
    CHECK(q.encode(by_rows, parameters) == codes);
    CHECK(q.fit(larger.block(50, 2, 300, 5)) == parameters);
    CHECK(q.encode(larger.block(50, 2, 300, 5), parameters) == codes);
  }
}

TEST_CASE("Matrices without entries have parameters and codes", "[column_chunks]") {
  for (const Granularity granularity : support::all_granularities) {
    for (const auto& [rows, cols] : {std::pair{Index{0}, Index{3}}, {Index{3}, Index{0}}, {Index{0}, Index{0}}}) {
      qaf::UniformQuantizer q;
      q.granularity = granularity;
      CAPTURE(qaf::to_string(granularity), rows, cols);
      const Matrix<float> matrix(rows, cols);
      const auto parameters = q.fit(matrix);
      const Matrix<std::int8_t> codes = q.encode(matrix, parameters);
      CHECK(codes.rows() == rows);
      CHECK(codes.cols() == cols);
      CHECK(q.decode(codes, parameters).size() == 0);
    }
  }
}
