#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <qaf/detail/random.hpp>
#include <qaf/quantizers/detail/group_batch.hpp>
#include <qaf/quantizers/detail/group_sample.hpp>
#include <qaf/quantizers/detail/group_values.hpp>
#include <qaf/quantizers/detail/nearest_level.hpp>
#include <qaf/quantizers/detail/scale_search.hpp>
#include <qaf/quantizers/detail/sorted_values.hpp>
#include <qaf/quantizers/fixed_levels.hpp>

#include "benchmark/support/kinds_of_values.hpp"
#include "support/catch.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::Index;
using qaf::ScaleMethod;
using qaf::detail::GroupValues;
using qaf::detail::NearestInteger;
using qaf::detail::NearestLevel;
using qaf::detail::ScaleCandidate;

template <typename Scalar>
using Values = Eigen::Array<Scalar, Eigen::Dynamic, 1>;

template <typename Scalar>
GroupValues<Scalar> group_of(const Values<Scalar>& values) {
  return qaf::detail::look_at_values("group_of", values.data(), values.size(), values.data());
}

template <typename Scalar>
Values<Scalar> normal_values(Index size, std::uint64_t seed) {
  return qaf::detail::NormalGenerator(seed).matrix<Scalar>(size, 1).array();
}

template <typename Levels>
double squared_error(const Values<double>& values, const Levels& levels, double scale) {
  double sum = 0;
  for (const double value : values) {
    double least = std::numeric_limits<double>::infinity();
    for (Index k = 0; k < levels.count(); ++k) least = std::min(least, std::abs(value - scale * levels.level(k)));
    sum += least * least;
  }
  return sum;
}

/// The scale that a method finds, about that which maps the largest magnitude to the end of the levels.
template <typename Scalar, typename Levels>
ScaleCandidate search(const Values<Scalar>& values, const Levels& levels, ScaleMethod method) {
  const GroupValues<Scalar> group = group_of(values);
  const double end = static_cast<double>(std::max(levels.highest, -levels.lowest));
  const double unit = static_cast<double>(group.largest()) / end;
  const ScaleCandidate best = qaf::detail::ScaleSearch<Scalar, Levels>(group, method)(levels, unit);
  return {best.scale * unit, best.error * unit * unit};
}

template <typename Scalar>
NearestInteger<Scalar> integers(int lowest, int highest) {
  return {static_cast<Scalar>(lowest), static_cast<Scalar>(highest)};
}

const std::vector<std::vector<float>> tables = {
    {-1, 1},    {-1, 0, 1}, {0, 1},     {-1, -0.2F, 0.9F}, {-1, -0.5F, 0, 0.3F, 0.4F},
    {-1, 0.5F}, {-0.1F, 1}, {-0.5F, 1}, {-1, -0.9F, 0.1F}};

template <typename Levels>
void check_exact(const Levels& levels, Index size, std::uint64_t seed) {
  CAPTURE(levels.lowest, levels.highest, levels.count(), size, seed);
  const Values<double> values = normal_values<double>(size, seed);
  const ScaleCandidate best = search(values, levels, ScaleMethod::exact);
  const double norm = values.square().sum();
  REQUIRE(best.scale > 0);
  CHECK(squared_error(values, levels, best.scale) == Approx(best.error).margin(1e-11 * norm));
  // Thousands of others, from far too small to far too large.
  const double end = std::max(std::abs(levels.lowest), std::abs(levels.highest)) / values.abs().maxCoeff();
  for (double scale = 1e-3 / end; scale < 20 / end; scale *= 1.002)
    REQUIRE(best.error <= squared_error(values, levels, scale) + 1e-11 * norm);
}

}  // namespace

TEST_CASE("No scale beats the exact one", "[scale_search]") {
  for (const Index size : {1, 2, 9, 40}) {
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
      for (const auto& [lowest, highest] : {std::pair{-2, 1}, {-8, 7}, {0, 7}, {-3, 12}, {-7, 0}})
        check_exact(integers<double>(lowest, highest), size, seed);
      for (const auto& table : tables) check_exact(NearestLevel<double>(table), size, seed);
    }
  }
}

TEST_CASE("No scale of long groups beats the exact one", "[scale_search]") {
  check_exact(integers<double>(-8, 7), 2500, 0);
  check_exact(integers<double>(-2, 1), 2500, 1);
  check_exact(NearestLevel<double>({-1, -0.2F, 0, 0.9F}), 2500, 2);
}

TEMPLATE_TEST_CASE("Least squares leaves hardly more error than the grid anywhere, and less in the mean",
                   "[scale_search]", float, double) {
  double logarithms = 0;
  int count = 0;
  for (const Index size : {9, 32, 64, 512, 4608}) {
    for (const int bits : {2, 3, 4, 6, 8}) {
      for (const std::string& kind : kinds_of_values()) {
        CAPTURE(size, bits, kind);
        const int groups = size < 100 ? 60 : 6;
        const auto levels = integers<TestType>(-(1 << (bits - 1)), (1 << (bits - 1)) - 1);
        double fast = 0, grid = 0;
        for (int seed = 0; seed < groups; ++seed) {
          const auto values = values_of_kind<TestType>(kind, size, static_cast<std::uint64_t>(seed));
          const auto exact_values = values.template cast<double>().eval();
          const ScaleCandidate found = search(values, levels, ScaleMethod::least_squares);
          // What it promises is what the scale leaves, or more.
          const double error = squared_error(exact_values, levels, found.scale);
          CHECK(error <= found.error + support::Tolerance<TestType>::rounding * exact_values.square().sum());
          fast += error;
          grid += squared_error(exact_values, levels, search(values, levels, ScaleMethod::grid).scale);
        }
        CHECK(fast <= (bits <= 4 ? 1.01 : 1.05) * grid);
        logarithms += std::log(fast / grid);
        ++count;
      }
    }
  }
  CHECK(logarithms / count < std::log(0.98));
}

TEST_CASE("Least squares comes near the exact scale at 4 bits and less", "[scale_search]") {
  for (const int bits : {2, 3, 4}) {
    const auto levels = integers<float>(-(1 << (bits - 1)), (1 << (bits - 1)) - 1);
    for (const std::string& kind : kinds_of_values()) {
      for (const Index size : {2, 3, 4, 9, 64, 1000, 3000}) {
        CAPTURE(bits, kind, size);
        double fast = 0, exact = 0;
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
          const Values<float> values = values_of_kind<float>(kind, size, seed);
          fast +=
              squared_error(values.cast<double>(), levels, search(values, levels, ScaleMethod::least_squares).scale);
          exact += squared_error(values.cast<double>(), levels, search(values, levels, ScaleMethod::exact).scale);
        }
        CHECK(exact <= fast * (1 + 1e-5));
        CHECK(fast <= (size < 10 ? 1.05 : 1.01) * exact);
      }
    }
  }
}

TEST_CASE("Of tables too least squares comes near the exact scale", "[scale_search]") {
  std::vector<std::vector<float>> all = tables;
  all.push_back(qaf::NormalFloat4Levels().levels());
  for (const std::vector<float>& table : all) {
    const NearestLevel<float> levels(table);
    for (const Index size : {9, 64, 1000, 3000}) {
      CAPTURE(table.size(), table.front(), size);
      double fast = 0, exact = 0;
      for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const Values<float> values = normal_values<float>(size, seed);
        fast += squared_error(values.cast<double>(), levels, search(values, levels, ScaleMethod::least_squares).scale);
        exact += squared_error(values.cast<double>(), levels, search(values, levels, ScaleMethod::exact).scale);
      }
      CHECK(fast <= 1.03 * exact);
    }
  }
}

TEST_CASE("What has been quantized is found again", "[scale_search]") {
  const auto levels = integers<float>(-8, 7);
  for (const Index size : {20, 300, 5000}) {
    const Values<float> values =
        0.37F * (2 * normal_values<float>(size, 1)).rint().max(levels.lowest).min(levels.highest);
    const ScaleCandidate found = search(values, levels, ScaleMethod::least_squares);
    CAPTURE(size, found.scale);
    CHECK(squared_error(values.cast<double>(), levels, found.scale) <
          1e-9 * static_cast<double>(values.square().sum()));
  }
}

TEST_CASE("The order of the entries hardly matters to long groups", "[scale_search]") {
  const auto levels = integers<float>(-8, 7);
  for (const std::string& kind : kinds_of_values()) {
    CAPTURE(kind);
    Values<float> values = values_of_kind<float>(kind, 5000, 3);
    const double error =
        squared_error(values.cast<double>(), levels, search(values, levels, ScaleMethod::least_squares).scale);
    for (const bool is_descending : {false, true}) {
      std::sort(values.begin(), values.end());
      if (is_descending) values.reverseInPlace();
      const double sorted =
          squared_error(values.cast<double>(), levels, search(values, levels, ScaleMethod::least_squares).scale);
      CHECK(sorted == Approx(error).epsilon(0.1));
    }
  }
}

TEMPLATE_TEST_CASE("Tiny groups together are searched as each alone", "[scale_search]", float, double) {
  const auto levels = integers<TestType>(-8, 7);
  for (const Index size : {1, 2, 9, 32}) {
    qaf::detail::GroupBatch<TestType> batch;
    std::vector<Values<TestType>> all;
    std::vector<double> units;
    for (std::uint64_t seed = 0; !batch.is_full(); ++seed) {
      all.push_back(std::pow(TestType(10), static_cast<TestType>(seed % 5)) * normal_values<TestType>(size, seed));
      const GroupValues<TestType> group = group_of(all.back());
      units.push_back(static_cast<double>(group.largest()) / 7.5);
      batch.add(group, units.back(), qaf::detail::least_scale(group, levels, units.back()));
    }
    const auto together = batch.scales(levels);
    for (std::size_t k = 0; k < units.size(); ++k) {
      CAPTURE(size, k);
      const double alone = qaf::detail::short_group_scale(group_of(all[k]), levels, units[k]).scale;
      const auto error = [&](double scale) {
        return squared_error(all[k].template cast<double>(), levels, scale * units[k]);
      };
      // There may be several of equal error.
      const double norm = static_cast<double>(all[k].square().sum());
      CHECK(error(static_cast<double>(together[k])) == Approx(error(alone)).epsilon(1e-3).margin(1e-9 * norm));
    }
  }
}

TEST_CASE("A sample stands for all entries, and has those that are far off", "[scale_search]") {
  for (const Index size : {2049, 4608, 70000}) {
    CAPTURE(size);
    Values<float> values = normal_values<float>(size, 5);
    values[size / 3] = 50;
    values[size - 1] = -70;
    const auto sample = qaf::detail::sample_group(group_of(values));
    CHECK(sample.extremes.minCoeff() == -70);
    CHECK(sample.extremes.maxCoeff() == 50);
    CHECK(sample.others.abs().maxCoeff() < 10);
    const Index zeros = (sample.others == 0).count();
    CHECK(static_cast<float>(sample.extremes.size()) +
              sample.weight * static_cast<float>(sample.others.size() - zeros) ==
          Approx(size).epsilon(1e-4));
    CHECK(sample.others.size() < size / 2);
  }
}

TEST_CASE("Long groups of two values alone keep them", "[scale_search]") {
  for (const Index size : {2048, 2049, 4096, 100000}) {
    for (const int bits : {2, 4, 8}) {
      CAPTURE(size, bits);
      const Values<float> values = (normal_values<float>(size, 5) < 0).select(Values<float>::Constant(size, -1), 1.0F);
      const auto levels = integers<float>(-(1 << (bits - 1)), (1 << (bits - 1)) - 1);
      CHECK(search(values, levels, ScaleMethod::least_squares).error < 1e-5 * static_cast<double>(size));
    }
  }
}

TEMPLATE_TEST_CASE("The nearest levels are found in registers too", "[scale_search]", float, double) {
  namespace internal = Eigen::internal;
  using P = qaf::detail::Packet<TestType>;
  const NearestLevel<TestType> levels({-1, -0.5F, -0.125F, 0, 0.25F, 1});
  const NearestInteger<TestType> whole{-3, 5};
  for (TestType value = TestType(-7.6); value < TestType(7.6); value += TestType(0.0137)) {
    CAPTURE(value);
    const TestType level = levels(value), integer = whole(value);
    for (Index k = 0; k < levels.count(); ++k)
      CHECK(std::abs(level - value) <= std::abs(static_cast<TestType>(levels.level(k)) - value) + TestType(1e-6));
    CHECK(integer == std::rint(std::clamp(value, whole.lowest, whole.highest)));
    CHECK(internal::pfirst(levels(internal::pset1<P>(value))) == level);
    CHECK(internal::pfirst(whole(internal::pset1<P>(value))) == integer);
  }
  for (TestType tie = TestType(-2.5); tie < 5; tie += 1) CHECK(whole(tie) == std::rint(tie));
}

TEMPLATE_TEST_CASE("Values are sorted, and their sums do not drown", "[scale_search]", float, double) {
  for (const std::string& kind : kinds_of_values()) {
    for (const Index size : {1, 63, 64, 1000, 20000}) {
      CAPTURE(kind, size);
      Values<TestType> values = values_of_kind<TestType>(kind, size, 2);
      if (size == 1000) values[77] = TestType(-1e20);
      const qaf::detail::SortedValues<TestType> sorted(group_of(values));
      std::sort(values.begin(), values.end());
      REQUIRE(sorted.size() == size);
      bool is_same = true;
      for (Index k = 0; k < size; ++k) is_same = is_same && sorted[k] == values[k];
      CHECK(is_same);
      const Index begin = size / 4, end = size - size / 4;
      CHECK(sorted.sum(begin, end) ==
            Approx(values.segment(begin, end - begin).template cast<double>().sum()).margin(1e-9));
    }
  }
}
