// Quantizers of least error against exhaustive search.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <qaf/detail/random.hpp>
#include <qaf/quantizers/affine.hpp>
#include <qaf/quantizers/codebook.hpp>
#include <qaf/quantizers/compact_scales.hpp>
#include <qaf/quantizers/fixed_levels.hpp>
#include <qaf/quantizers/power_of_two.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "support/catch.hpp"

namespace {

using qaf::Index;
using qaf::Matrix;
using qaf::ScaleMethod;
using qaf::Vector;

/// Normal values, one of them far off where `seed` is odd.
Matrix<double> columns_of_values(Index rows, Index cols, std::uint64_t seed) {
  Matrix<double> values = qaf::detail::NormalGenerator(seed).matrix<double>(rows, cols);
  if (seed % 2 == 1) values.row(rows / 2) *= 4;
  return values;
}

/// The least squared error of a column for all positive scales of all levels. Between two scales at which a value
/// changes its level the codes stay, and the best scale for codes c is `<x, c> / <c, c>`, so all that can be best is
/// tried: a value for each midpoint between levels on its side of 0, in the order of `1 / scale`.
template <typename Column>
double least_error_of_scales(const Column& values, const std::vector<double>& levels) {
  struct Change {
    double at;              // 1 / scale
    double linear, square;  // what it adds to <x, c> and <c, c>
  };
  std::vector<Change> changes;
  const double nearest_to_zero =
      *std::min_element(levels.begin(), levels.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
  double linear = 0, square = 0;
  for (const double value : values) {
    double first = nearest_to_zero;
    // Of -1 and 1 both are nearest.
    if (value * first < 0 && std::find(levels.begin(), levels.end(), -first) != levels.end()) first = -first;
    linear += value * first;
    square += first * first;
    for (std::size_t k = 0; k + 1 < levels.size(); ++k) {
      const double midpoint = (levels[k] + levels[k + 1]) / 2;
      if (!(midpoint * value > 0)) continue;
      const double before = value > 0 ? levels[k] : levels[k + 1], after = value > 0 ? levels[k + 1] : levels[k];
      changes.push_back({midpoint / value, value * (after - before), after * after - before * before});
    }
  }
  std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) { return a.at < b.at; });
  double most = 0;  // of what a scale can explain
  const auto offer = [&] {
    if (linear > 0 && square > 1e-12) most = std::max(most, linear * linear / square);
  };
  offer();
  for (const Change& change : changes) {
    linear += change.linear;
    square += change.square;
    offer();
  }
  return values.squaredNorm() - most;
}

std::vector<double> integers(int lowest, int highest) {
  std::vector<double> levels;
  for (int k = lowest; k <= highest; ++k) levels.push_back(k);
  return levels;
}

template <typename Table>
std::vector<double> levels_of(const Table& table) {
  const std::vector<float> levels = table.levels();
  return {levels.begin(), levels.end()};
}

/// The squared errors of all columns.
template <typename Quantizer>
Vector<double> errors_of(const Quantizer& quantizer, const Matrix<double>& values) {
  const auto parameters = quantizer.fit(values);
  const Matrix<double> decoded =
      quantizer.decode(quantizer.encode(values, parameters), parameters).template cast<double>();
  return (decoded - values).colwise().squaredNorm();
}

/// What quantizing costs against the least possible.
struct Excess {
  double sum = 0, least_sum = 0, worst = 1;
  int least_count = 0, count = 0;

  void add(double error, double least, double norm) {
    // What float32 scales and decoded values may change in a squared error.
    const double rounding = 3e-7 * std::sqrt(std::max(least, 0.0) * norm) + 1e-12 * norm;
    REQUIRE(least > -rounding);
    REQUIRE(error >= least - rounding);  // nothing is better than the least
    if (error <= least + rounding) ++least_count;
    ++count;
    const double floor = 1e-9 * norm;  // so that least errors of 0 have ratios too
    sum += error + floor;
    least_sum += least + floor;
    worst = std::max(worst, (error + floor) / (least + floor));
  }

  double mean() const { return sum / least_sum; }
};

/// Of columns quantized at once, so that short groups lie side by side in vector registers.
template <typename Quantizer, typename Least>
Excess excess_of(Quantizer quantizer, ScaleMethod method, Index size, const Least& least_error) {
  quantizer.scale_method = method;
  Excess excess;
  for (std::uint64_t seed = 0; seed < 2; ++seed) {
    const Matrix<double> values = columns_of_values(size, size < 100 ? 9 : 2, seed);
    const Vector<double> errors = errors_of(quantizer, values);
    for (Index r = 0; r < values.cols(); ++r) {
      CAPTURE(size, seed, r);
      excess.add(errors[r], least_error(values.col(r)), values.col(r).squaredNorm());
    }
  }
  return excess;
}

/// `exact` leaves the least error and no method less; `least_squares` in the mean up to some times as much where there
/// are no more than 16 levels, and where there are more.
template <typename Quantizer>
void check_methods(double few_levels, double many_levels, const Quantizer& quantizer,
                   const std::vector<double>& levels) {
  for (const Index size : {1, 2, 5, 9, 32, 300, 2500}) {
    CAPTURE(levels.size(), levels.front(), size);
    const auto least = [&](const auto& values) { return least_error_of_scales(values, levels); };
    const Excess exact = excess_of(quantizer, ScaleMethod::exact, size, least);
    CHECK(exact.least_count == exact.count);
    for (const ScaleMethod method : {ScaleMethod::maximum, ScaleMethod::grid})
      excess_of(quantizer, method, size, least);
    const Excess fast = excess_of(quantizer, ScaleMethod::least_squares, size, least);
    // Of fewer entries the least error is often near 0, and so is what is above it.
    if (size >= 9) CHECK(fast.mean() < (levels.size() <= 16 ? few_levels : many_levels));
  }
}

/// The least squared error of `count` levels, by dynamic programming: of sorted values each level stands for a stretch.
double least_error_of_levels(std::vector<double> values, Index count) {
  std::sort(values.begin(), values.end());
  const std::size_t size = values.size();
  std::vector<double> sums(size + 1, 0), squares(size + 1, 0);
  for (std::size_t k = 0; k < size; ++k) {
    sums[k + 1] = sums[k] + values[k];
    squares[k + 1] = squares[k] + values[k] * values[k];
  }
  const auto error_of_stretch = [&](std::size_t begin, std::size_t end) {
    const double sum = sums[end] - sums[begin];
    return std::max(0.0, squares[end] - squares[begin] - sum * sum / static_cast<double>(end - begin));
  };
  std::vector<double> least(size + 1, std::numeric_limits<double>::infinity());
  least[0] = 0;
  for (Index level = 0; level < count; ++level) {
    std::vector<double> next = least;
    for (std::size_t end = 1; end <= size; ++end)
      for (std::size_t begin = 0; begin < end; ++begin)
        next[end] = std::min(next[end], least[begin] + error_of_stretch(begin, end));
    least = std::move(next);
  }
  return least[size];
}

/// All scales of a format that may matter to values of about 1: from 2^-12 to 2^4.
std::vector<float> scales_of_format(qaf::ScaleFormat format) {
  const int steps = format == qaf::ScaleFormat::float16 ? 1024 : format == qaf::ScaleFormat::bfloat16 ? 128 : 1;
  std::vector<float> scales;
  for (int exponent = -12; exponent <= 4; ++exponent)
    for (int k = 0; k < steps; ++k)
      scales.push_back(std::ldexp(1 + static_cast<float>(k) / static_cast<float>(steps), exponent));
  return scales;
}

/// The least squared error of a column among given scales.
template <typename Quantizer, typename Column>
double least_error_among(const Quantizer& quantizer, const Column& column, const std::vector<float>& scales) {
  double least = std::numeric_limits<double>::infinity();
  for (const float scale : scales) {
    double error = 0;
    for (const double value : column) {
      const double code = std::clamp(std::rint(value / static_cast<double>(scale)),
                                     static_cast<double>(quantizer.lowest()), static_cast<double>(quantizer.highest()));
      error += std::pow(value - code * static_cast<double>(scale), 2);
    }
    least = std::min(least, error);
  }
  return least;
}

}  // namespace

TEST_CASE("No scale of integers is better than the exact one", "[least_error]") {
  for (int bits = 1; bits <= 8; ++bits) {
    qaf::UniformQuantizer quantizer;
    quantizer.bits = bits;
    check_methods(1.05, 1.2, quantizer, integers(quantizer.lowest(), quantizer.highest()));
    if (bits == 1) continue;
    quantizer.range = qaf::CodeRange::narrow;
    check_methods(1.05, 1.2, quantizer, integers(quantizer.lowest(), quantizer.highest()));
  }
}

TEST_CASE("No scale of a table of levels is better than the exact one", "[least_error]") {
  check_methods(1.1, 1.7, qaf::BinaryQuantizer(), {-1, 1});
  check_methods(1.1, 1.7, qaf::TernaryQuantizer(), {-1, 0, 1});
  check_methods(1.1, 1.7, qaf::NormalFloat4Quantizer(), levels_of(qaf::NormalFloat4Levels()));
  for (int bits = 2; bits <= 7; ++bits) {
    qaf::PowerOfTwoQuantizer powers;
    powers.table.bits = bits;
    check_methods(1.1, 1.7, powers, levels_of(powers.table));
    qaf::AdditivePowerOfTwoQuantizer sums;
    sums.table.bits = bits;
    check_methods(1.1, 1.7, sums, levels_of(sums.table));
  }
}

TEST_CASE("No scale and zero point are better than the exact ones", "[least_error]") {
  for (int bits = 1; bits <= 8; ++bits) {
    qaf::AffineQuantizer quantizer;
    quantizer.bits = bits;
    const auto least = [&](const auto& values) {
      double error = std::numeric_limits<double>::infinity();
      for (int zero = 0; zero <= quantizer.highest(); ++zero)
        error = std::min(error, least_error_of_scales(values, integers(-zero, quantizer.highest() - zero)));
      return error;
    };
    for (const Index size : {2, 9, 32}) {
      if (bits > 5 && size > 9) continue;  // slow
      CAPTURE(bits, size);
      const Excess exact = excess_of(quantizer, ScaleMethod::exact, size, least);
      CHECK(exact.least_count == exact.count);
      const Excess fast = excess_of(quantizer, ScaleMethod::least_squares, size, least);
      if (size >= 9) CHECK(fast.mean() < (bits <= 4 ? 1.01 : 1.2));
    }
  }
}

TEST_CASE("No codebook is better than the best one there is", "[least_error]") {
  for (const int bits : {1, 2, 3, 4}) {
    qaf::CodebookQuantizer quantizer;
    quantizer.bits = bits;
    quantizer.granularity = qaf::Granularity::component;
    for (const Index size : {5, 20, 64, 200}) {
      Excess excess;
      for (std::uint64_t seed = 0; seed < 4; ++seed) {
        const Matrix<double> values = columns_of_values(size, 10, seed);
        const Vector<double> errors = errors_of(quantizer, values);
        for (Index r = 0; r < values.cols(); ++r) {
          CAPTURE(bits, size, seed, r);
          excess.add(errors[r], least_error_of_levels({values.col(r).begin(), values.col(r).end()}, Index{1} << bits),
                     values.col(r).squaredNorm());
        }
      }
      CAPTURE(bits, size);
      if ((1 << bits) >= size) CHECK(excess.least_count == excess.count);
      // Lloyd's iteration ends in a local minimum: with few entries for each level far from the least.
      if (size >= 50 << bits) CHECK(excess.mean() < 1.1);
    }
  }
}

TEST_CASE("A compact scale comes near the best of its format", "[least_error]") {
  using qaf::ScaleFormat;
  for (const ScaleFormat format : {ScaleFormat::float16, ScaleFormat::bfloat16, ScaleFormat::power_of_two}) {
    const std::vector<float> scales = scales_of_format(format);
    for (const int bits : {2, 3, 4, 8}) {
      qaf::CompactScales<qaf::UniformQuantizer> quantizer;
      quantizer.format = format;
      quantizer.base.bits = bits;
      quantizer.base.scale_method = ScaleMethod::exact;
      for (const Index size : {2, 9, 32}) {
        const Matrix<double> values = columns_of_values(size, 9, 1);
        const Vector<double> errors = errors_of(quantizer, values);
        Excess excess;
        for (Index r = 0; r < values.cols(); ++r) {
          CAPTURE(static_cast<int>(format), bits, size, r);
          excess.add(errors[r], least_error_among(quantizer, values.col(r), scales), values.col(r).squaredNorm());
        }
        // Of two entries the error is anything but smooth in the scale.
        CAPTURE(static_cast<int>(format), bits, size);
        if (size >= 9) CHECK(excess.mean() < 1.15);
      }
    }
  }
}

TEST_CASE("Scales that are multiples of one another's step are the best multiples, but for a few", "[least_error]") {
  for (const int bits : {2, 4}) {
    qaf::CompactScales<qaf::UniformQuantizer> quantizer;
    quantizer.format = qaf::ScaleFormat::linear8;
    quantizer.base.bits = bits;
    quantizer.base.scale_method = ScaleMethod::exact;
    const Matrix<double> values = columns_of_values(16, 40, 0);
    const float step = quantizer.fit(values).scales.maxCoeff() / 255;
    std::vector<float> scales;
    for (int k = 1; k <= 255; ++k) scales.push_back(static_cast<float>(k) * step);
    const Vector<double> errors = errors_of(quantizer, values);
    Excess excess;
    for (Index r = 0; r < values.cols(); ++r)
      excess.add(errors[r], least_error_among(quantizer, values.col(r), scales), values.col(r).squaredNorm());
    CAPTURE(bits);
    CHECK(excess.mean() < 1.01);
  }
}
