#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

namespace qaf::detail {

/// The cubic through given points that rises and falls only where these do (Fritsch and Carlson 1980, with the slopes
/// of Fritsch and Butland 1984). Beyond the first and last point it is constant. `x` rises strictly; one point or more.
class MonotoneCubic {
 public:
  MonotoneCubic(std::vector<double> x, std::vector<double> y)
      : x_(std::move(x)), y_(std::move(y)), slopes_(x_.size(), 0.0) {
    const std::size_t last = x_.size() - 1;
    for (std::size_t k = 1; k < last; ++k) {
      const double left = secant(k - 1), right = secant(k);
      if (left * right <= 0) continue;
      const double before = x_[k] - x_[k - 1], after = x_[k + 1] - x_[k];
      const double a = 2 * after + before, b = after + 2 * before;
      slopes_[k] = (a + b) / (a / left + b / right);
    }
    if (last > 0) {
      slopes_[0] = end_slope(secant(0), slopes_[1], last);
      slopes_[last] = end_slope(secant(last - 1), slopes_[last - 1], last);
    }
  }

  double operator()(double x) const {
    if (x <= x_.front()) return y_.front();
    if (x >= x_.back()) return y_.back();
    const std::size_t k =
        static_cast<std::size_t>(std::upper_bound(x_.begin(), x_.end(), x) - x_.begin()) - std::size_t{1};
    const double width = x_[k + 1] - x_[k], t = (x - x_[k]) / width, s = 1 - t;
    return s * s * ((1 + 2 * t) * y_[k] + t * width * slopes_[k]) +
           t * t * ((1 + 2 * s) * y_[k + 1] - s * width * slopes_[k + 1]);
  }

 private:
  double secant(std::size_t k) const { return (y_[k + 1] - y_[k]) / (x_[k + 1] - x_[k]); }

  // That of the parabola with the other end's slope, as far as the cubic stays monotone with it.
  static double end_slope(double secant, double other, std::size_t intervals) {
    const double slope = intervals == 1 ? secant : (3 * secant - other) / 2;
    if (slope * secant <= 0) return 0;
    return std::abs(slope) > 3 * std::abs(secant) ? 3 * secant : slope;
  }

  std::vector<double> x_, y_, slopes_;
};

}  // namespace qaf::detail
