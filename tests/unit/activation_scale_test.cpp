#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <qaf/convolution/activation_scale.hpp>

#include "support/catch.hpp"
#include "support/convolution.hpp"
#include "support/error_text.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::ActivationObserver;
using qaf::ActivationRange;
using qaf::ActivationScale;
using qaf::FeatureMaps;
using qaf::Index;
using qaf::Matrix;

double lowest_real(const ActivationScale& scale) {
  return static_cast<double>(scale.scale) * (-128.0 - scale.zero_point);
}

double highest_real(const ActivationScale& scale) {
  return static_cast<double>(scale.scale) * (127.0 - scale.zero_point);
}

template <typename Scalar>
double squared_error(const FeatureMaps<Scalar>& maps, const ActivationScale& scale) {
  const auto back = qaf::dequantize(qaf::quantize(maps, scale), scale);
  return (back.values.template cast<double>() - maps.values.template cast<double>()).squaredNorm();
}

template <typename Scalar>
FeatureMaps<Scalar> heavy_tailed(bool relu, std::uint64_t seed) {
  auto maps = support::random_maps<Scalar>(4, 16, 16, 8, seed);
  for (Index k = 0; k < maps.values.size(); ++k) {
    Scalar& value = maps.values.data()[k];
    value *= value * value;
    if (relu) value = std::max(value, Scalar(0));
  }
  return maps;
}

}  // namespace

TEMPLATE_TEST_CASE("The range of what was seen is covered to half a step", "[activation_scale]", float, double) {
  for (const double shift : {-10.0, -1.0, 0.0, 1.0, 10.0})
    for (const double factor : {1e-30, 1e-3, 1.0, 1e6, 1e30}) {
      CAPTURE(shift, factor);
      auto maps = support::random_maps<TestType>(2, 5, 6, 3);
      maps.values = (maps.values.array() + static_cast<TestType>(shift)) * static_cast<TestType>(factor);
      ActivationObserver observer;
      observer.observe(maps);
      const ActivationScale scale = observer.scale(ActivationRange::min_max);
      const double half_step = 0.5001 * static_cast<double>(scale.scale);
      CHECK(lowest_real(scale) <= static_cast<double>(maps.values.minCoeff()) + half_step);
      CHECK(highest_real(scale) >= static_cast<double>(maps.values.maxCoeff()) - half_step);
      CHECK(static_cast<double>(scale.scale) * 255 <=
            1.0001 * (std::max(0.0, observer.highest()) - std::min(0.0, observer.lowest())));
      const auto back = qaf::dequantize(qaf::quantize(maps, scale), scale);
      CHECK((back.values.template cast<double>() - maps.values.template cast<double>()).cwiseAbs().maxCoeff() <=
            1.01 * half_step);
      // 0 has a code.
      FeatureMaps<TestType> zero{1, 1, 1, Matrix<TestType>::Zero(1, 1)};
      CHECK(qaf::dequantize(qaf::quantize(zero, scale), scale).values(0, 0) == 0);
    }
}

TEMPLATE_TEST_CASE("A percentile leaves so many values outside", "[activation_scale]", float, double) {
  for (const double percentile : {99.0, 99.9}) {
    CAPTURE(percentile);
    const auto maps = heavy_tailed<TestType>(false, 5);
    ActivationObserver observer;
    observer.observe(maps);
    const ActivationScale scale = observer.scale(ActivationRange::percentile, percentile);
    const double step = static_cast<double>(scale.scale), low = lowest_real(scale), high = highest_real(scale);
    const auto share = [&](const auto& is_outside) {
      Index outside = 0;
      for (Index k = 0; k < maps.values.size(); ++k)
        if (is_outside(static_cast<double>(maps.values.data()[k]))) ++outside;
      return static_cast<double>(outside) / static_cast<double>(maps.values.size());
    };
    const double wanted = 1 - percentile / 100;
    CHECK(share([&](double value) { return value > high + step; }) <= wanted);
    CHECK(share([&](double value) { return value > high - step; }) >= wanted);
    CHECK(share([&](double value) { return value < low - step; }) <= wanted);
    CHECK(share([&](double value) { return value < low + step; }) >= wanted);
  }
}

TEMPLATE_TEST_CASE("Least squares leaves less error than other ranges", "[activation_scale]", float, double) {
  for (const bool relu : {false, true}) {
    CAPTURE(relu);
    const auto maps = heavy_tailed<TestType>(relu, 6);
    ActivationObserver observer;
    observer.observe(maps);
    const double least = squared_error(maps, observer.scale());
    const double whole = squared_error(maps, observer.scale(ActivationRange::min_max));
    CHECK((relu ? least <= whole : least < 0.99 * whole));
    for (const double percentile : {99.0, 99.5, 99.9, 99.99})
      CHECK(least <= 1.02 * squared_error(maps, observer.scale(ActivationRange::percentile, percentile)));
    // Against other clips on both sides.
    for (const double low : {0.3, 0.5, 0.8, 1.0})
      for (const double high : {0.3, 0.5, 0.8, 1.0})
        CHECK(least <=
              1.02 * squared_error(maps, qaf::activation_scale(low * observer.lowest(), high * observer.highest())));
  }
}

TEMPLATE_TEST_CASE("Batches add up, whichever comes first", "[activation_scale]", float, double) {
  auto small = heavy_tailed<TestType>(false, 7), large = heavy_tailed<TestType>(false, 8);
  large.values *= TestType(300);
  FeatureMaps<TestType> zeros{1, 2, 2, Matrix<TestType>::Zero(3, 4)};
  ActivationObserver up, down;
  for (const auto* maps : {&zeros, &small, &large}) up.observe(*maps);
  for (const auto* maps : {&large, &zeros, &small}) down.observe(*maps);
  CHECK(up.count() == small.values.size() + large.values.size() + 12);
  CHECK(up.count() == down.count());
  for (const ActivationRange range :
       {ActivationRange::min_max, ActivationRange::percentile, ActivationRange::least_squares}) {
    CHECK(up.scale(range).scale == down.scale(range).scale);
    CHECK(up.scale(range).zero_point == down.scale(range).zero_point);
  }
}

TEMPLATE_TEST_CASE("Negated activations have the mirrored range, bins joined or not", "[activation_scale]", float,
                   double) {
  ActivationObserver plain, negated;
  for (const double factor : {1.0, 3.0, 20.0}) {
    auto maps = heavy_tailed<TestType>(true, 9);
    maps.values *= static_cast<TestType>(factor);
    plain.observe(maps);
    maps.values = -maps.values;
    negated.observe(maps);
    const double high = highest_real(plain.scale(ActivationRange::percentile, 90));
    const double low = lowest_real(negated.scale(ActivationRange::percentile, 90));
    CHECK(high > 0);
    CHECK(high == Approx(-low).epsilon(1e-6));
  }
}

TEST_CASE("Activations of zeros have a scale, and one outlier is clipped", "[activation_scale]") {
  FeatureMaps<float> maps{1, 8, 8, Matrix<float>::Zero(16, 64)};
  ActivationObserver zeros;
  zeros.observe(maps);
  for (const ActivationRange range :
       {ActivationRange::min_max, ActivationRange::percentile, ActivationRange::least_squares})
    CHECK(zeros.scale(range).scale == 1);
  maps = support::random_maps<float>(1, 32, 32, 16);
  maps.values(3, 5) = 1000;
  ActivationObserver outlier;
  outlier.observe(maps);
  CHECK(highest_real(outlier.scale(ActivationRange::percentile)) < 10);
  CHECK(highest_real(outlier.scale(ActivationRange::min_max)) > 990);
}

TEST_CASE("Activations that are no numbers, and observers that saw nothing, are told", "[activation_scale]") {
  ActivationObserver observer;
  CHECK_ERROR(observer.scale(), "qaf::ActivationObserver::scale: there must be something observed before");
  FeatureMaps<float> maps{1, 1, 1, Matrix<float>::Constant(2, 1, std::numeric_limits<float>::infinity())};
  CHECK_ERROR(observer.observe(maps),
              "qaf::ActivationObserver::observe: every activation must be finite, got NaN or infinity");
  maps.values.setOnes();
  observer.observe(maps);
  CHECK_ERROR(observer.scale(ActivationRange::percentile, 101),
              "qaf::ActivationObserver::scale: percentile must be from 50 to 100, got 101");
  maps.rows = 2;
  CHECK_ERROR(qaf::quantize(maps, ActivationScale{}),
              "qaf::quantize: feature maps of 1 x 2 x 1 pixels must have so many columns of values, got 1");
}

TEST_CASE("Activations below all normal numbers are observed", "[activation_scale]") {
  qaf::ActivationObserver observer;
  qaf::FeatureMaps<double> maps{1, 1, 2, qaf::Matrix<double>::Constant(3, 2, 1e-320)};
  observer.observe(maps);
  maps.values.setConstant(2);
  observer.observe(maps);
  CHECK(observer.count() == 12);
  CHECK(observer.highest() == 2);
  CHECK(observer.scale(qaf::ActivationRange::min_max).scale == Approx(2.0 / 255));
}
