#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <qaf/convolution/feature_maps.hpp>
#include <qaf/error.hpp>
#include <qaf/quantizers/affine.hpp>
#include <qaf/quantizers/granularity.hpp>
#include <qaf/quantizers/scale_method.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// What 8-bit activations stand for: `real = scale * (code - zero_point)`, one scale for all channels.
struct ActivationScale {
  float scale = 1;              ///< positive, normal and finite
  std::int32_t zero_point = 0;  ///< a code, from -128 to 127

  /// Errors: a field out of its range.
  void validate() const { quantizer().decode(Matrix<std::int8_t>(0, 0), parameters()); }

  /// The quantizer of which these are the parameters: 8 bits, codes from -128, rounding to the nearest integer, exact
  /// ties to the even one, as ONNX's QuantizeLinear.
  static BasicAffineQuantizer<std::int8_t> quantizer() {
    BasicAffineQuantizer<std::int8_t> quantizer;
    quantizer.granularity = Granularity::tensor;
    quantizer.scale_method = ScaleMethod::maximum;
    return quantizer;
  }

  /// The same as parameters of `quantizer()`.
  AffineParameters parameters() const {
    AffineParameters parameters;
    parameters.scales = Vector<float>::Constant(1, scale);
    parameters.zero_points = Vector<std::int32_t>::Constant(1, zero_point);
    return parameters;
  }
};

/// The scale whose codes -128 .. 127 cover the range from `lowest` to `highest` and 0. Errors: bounds that are not
/// finite.
inline ActivationScale activation_scale(double lowest, double highest) {
  Matrix<double> range(1, 2);
  range(0, 0) = lowest;
  range(0, 1) = highest;
  const AffineParameters parameters = ActivationScale::quantizer().fit(range);
  return {parameters.scales[0], parameters.zero_points[0]};
}

/// The maps as codes. Errors: a scale out of its range, NaN or infinity among the values.
template <typename Scalar>
FeatureMaps<std::int8_t> quantize(const FeatureMaps<Scalar>& maps, const ActivationScale& scale) {
  maps.validate("quantize");
  return {maps.images, maps.rows, maps.columns, ActivationScale::quantizer().encode(maps.values, scale.parameters())};
}

/// What the codes stand for. Errors: a scale out of its range.
inline FeatureMaps<float> dequantize(const FeatureMaps<std::int8_t>& maps, const ActivationScale& scale) {
  maps.validate("dequantize");
  return {maps.images, maps.rows, maps.columns, ActivationScale::quantizer().decode(maps.values, scale.parameters())};
}

/// How the range of activations follows from those seen.
enum class ActivationRange {
  min_max,       ///< all of them
  percentile,    ///< without the `100 - percentile` percent farthest out on either side
  least_squares  ///< the range of the least sum of squared errors, among some fifty on either side
};

/// Looks at activations, batch after batch, and says which scale suits them. What it keeps is a histogram of 32768 bins
/// of the same width, which widens by joining bins in pairs as larger values come; a bin is at most an 8192nd of the
/// largest magnitude wide.
class ActivationObserver {
 public:
  /// Adds the values of maps. Errors: maps that do not fit together, NaN or infinity. Cost: a pass.
  template <typename Scalar>
  void observe(const FeatureMaps<Scalar>& maps) {
    maps.validate("ActivationObserver::observe");
    if (!maps.values.allFinite())
      detail::fail("ActivationObserver::observe", "every activation must be finite, got NaN or infinity");
    const double lowest = static_cast<double>(maps.values.minCoeff());
    const double highest = static_cast<double>(maps.values.maxCoeff());
    lowest_ = std::min(lowest_, lowest);
    highest_ = std::max(highest_, highest);
    count_ += maps.values.size();
    widen_to(std::max(-lowest, highest));
    if (counts_.empty()) return;  // zeros only
    for (Index k = 0; k < maps.values.size(); ++k) {
      const double value = static_cast<double>(maps.values.data()[k]);
      if (value != 0) ++counts_[static_cast<std::size_t>(half + static_cast<Index>(std::floor(value / width_)))];
    }
  }

  /// How many values were seen.
  Index count() const { return count_; }

  /// The range of those seen and 0: its lower end.
  double lowest() const { return lowest_; }
  /// Its other end.
  double highest() const { return highest_; }

  /// The scale for what was seen. `percentile`: from 50 to 100, used where the range is that. Errors: nothing seen yet,
  /// a percentile out of its range.
  ActivationScale scale(ActivationRange range = ActivationRange::least_squares, double percentile = 99.99) const {
    if (count_ == 0) detail::fail("ActivationObserver::scale", "there must be something observed before");
    if (!(percentile >= 50 && percentile <= 100))
      detail::fail("ActivationObserver::scale", "percentile must be from 50 to 100, got ", percentile);
    if (range == ActivationRange::percentile) return percentile_scale(percentile);
    if (range == ActivationRange::least_squares) return least_squares_scale();
    return activation_scale(lowest_, highest_);
  }

 private:
  static constexpr Index half = 16384;  // bins on either side of 0

  struct Bin {
    double value, count;
  };

  // Makes the bins reach beyond this magnitude.
  void widen_to(double magnitude) {
    if (magnitude == 0) return;
    int exponent = 0;
    std::frexp(magnitude, &exponent);  // magnitude < 2^exponent
    if (counts_.empty()) {
      counts_.assign(static_cast<std::size_t>(2 * half), 0);
      exponent_ = std::max(exponent, -1000);  // bins of a width that is normal
    }
    for (; exponent_ < exponent; ++exponent_) {
      std::vector<Index> wider(counts_.size(), 0);
      for (Index k = -half; k < half; ++k)
        wider[static_cast<std::size_t>(half + (k >= 0 ? k / 2 : -((1 - k) / 2)))] +=
            counts_[static_cast<std::size_t>(half + k)];
      counts_.swap(wider);
    }
    width_ = std::ldexp(1.0, exponent_) / static_cast<double>(half);
  }

  ActivationScale percentile_scale(double percentile) const {
    const double outside = (1 - percentile / 100) * static_cast<double>(count_);
    // The outermost bin on a side with more than that many values from it on.
    const auto bound = [&](Index first, Index step) {
      double seen = 0;
      for (Index k = first; k >= -half && k < half; k += step) {
        seen += static_cast<double>(counts_[static_cast<std::size_t>(half + k)]);
        if (seen > outside) return k;
        if (k == (step > 0 ? -1 : 0)) break;
      }
      return Index{step > 0 ? 0 : -1};
    };
    if (counts_.empty()) return activation_scale(0, 0);
    const double low = static_cast<double>(bound(-half, 1)) * width_;
    const double high = static_cast<double>(bound(half - 1, -1) + 1) * width_;
    return activation_scale(std::max(low, lowest_), std::min(high, highest_));
  }

  ActivationScale least_squares_scale() const {
    std::vector<Bin> bins;
    for (std::size_t k = 0; k < counts_.size(); ++k)
      if (counts_[k] > 0)
        bins.push_back(
            {(static_cast<double>(k) - static_cast<double>(half) + 0.5) * width_, static_cast<double>(counts_[k])});
    constexpr int steps = 50, rounds = 2;
    double low = lowest_, high = highest_;
    ActivationScale best = activation_scale(low, high);
    double least = squared_error(bins, best);
    for (int round = 0; round < rounds; ++round)
      for (const bool is_high : {true, false}) {
        const double end = is_high ? highest_ : lowest_;
        if (end == 0) continue;
        for (int k = 1; k <= steps; ++k) {
          const double bound = end * k / steps;
          const ActivationScale scale = activation_scale(is_high ? low : bound, is_high ? bound : high);
          const double error = squared_error(bins, scale);
          if (!(error < least)) continue;
          least = error;
          best = scale;
          (is_high ? high : low) = bound;
        }
      }
    return best;
  }

  static double squared_error(const std::vector<Bin>& bins, const ActivationScale& scale) {
    const double unit = static_cast<double>(scale.scale);
    double sum = 0;
    for (const Bin& bin : bins) {
      const double code =
          std::clamp(std::nearbyint(bin.value / unit), -128.0 - scale.zero_point, 127.0 - scale.zero_point);
      const double error = (bin.value - code * unit) / unit;
      sum += bin.count * error * error;
    }
    return sum * unit * unit;
  }

  std::vector<Index> counts_;  // bin k counts the values from (k - half) width to the next one's, without zeros
  double width_ = 0;
  int exponent_ = 0;  // the bins reach from -2^exponent to 2^exponent
  double lowest_ = 0, highest_ = 0;
  Index count_ = 0;
};

}  // namespace qaf
