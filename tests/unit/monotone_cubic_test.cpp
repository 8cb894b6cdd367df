#include <algorithm>
#include <cmath>
#include <vector>

#include <qaf/detail/monotone_cubic.hpp>

#include "support/catch.hpp"

using qaf::detail::MonotoneCubic;

TEST_CASE("A monotone cubic passes its points and is constant beyond them", "[monotone_cubic]") {
  const std::vector<double> x = {1, 2, 4, 9, 10}, y = {3, 1, 1.5, -2, -2};
  const MonotoneCubic curve(x, y);
  for (std::size_t k = 0; k < x.size(); ++k) CHECK(curve(x[k]) == Approx(y[k]).margin(1e-14));
  CHECK(curve(-5) == 3);
  CHECK(curve(11) == -2);
  const MonotoneCubic point({2}, {7});
  CHECK(point(1) == 7);
  CHECK(point(3) == 7);
}

TEST_CASE("Between two points a monotone cubic stays between their values, and goes one way", "[monotone_cubic]") {
  const std::vector<double> x = {0, 1, 1.5, 6, 7, 20}, y = {9, 8.9, 2, 1.9, 5, 0};
  const MonotoneCubic curve(x, y);
  for (std::size_t k = 0; k + 1 < x.size(); ++k) {
    const double direction = y[k + 1] > y[k] ? 1 : -1;
    double before = y[k];
    for (int step = 0; step <= 100; ++step) {
      const double value = curve(x[k] + (x[k + 1] - x[k]) * step / 100);
      CHECK(direction * (value - before) >= -1e-12);
      CHECK(direction * (y[k + 1] - value) >= -1e-12);
      before = value;
    }
  }
}

TEST_CASE("A monotone cubic is exact on lines and close on smooth curves", "[monotone_cubic]") {
  const MonotoneCubic line({1, 2, 5, 7}, {2, 4, 10, 14}), pair({1, 3}, {5, 1});
  for (double x = 1; x <= 7; x += 0.25) CHECK(line(x) == Approx(2 * x));
  CHECK(pair(1.5) == Approx(4));
  std::vector<double> x, y;
  for (int k = 0; k <= 10; ++k) {
    x.push_back(k * 0.2);
    y.push_back(std::exp(-x.back()));
  }
  const MonotoneCubic curve(x, y);
  double worst = 0;
  for (double at = 0; at <= 2; at += 0.01) worst = std::max(worst, std::abs(curve(at) - std::exp(-at)));
  CHECK(worst < 2e-3);
}
