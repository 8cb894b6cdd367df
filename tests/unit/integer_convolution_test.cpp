#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <qaf/convolution/integer_convolution.hpp>
#include <qaf/convolution/rescale_layers.hpp>
#include <qaf/convolution/three_layers.hpp>

#include "support/catch.hpp"
#include "support/convolution.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::ActivationScale;
using qaf::ConvolutionGeometry;
using qaf::DenseTensor;
using qaf::FeatureMaps;
using qaf::Index;
using qaf::IntegerConvolution;
using qaf::Matrix;
using qaf::QuantizedConvolutionLayer;
using qaf::Requantization;
using qaf::StorageOrder;

const std::vector<Requantization> both_requantizations = {Requantization::fixed_point, Requantization::float_scale};

int random_integer(std::mt19937_64& generator, int from, int to) {
  return from + static_cast<int>(generator() % static_cast<std::uint64_t>(to - from + 1));
}

// Scales of both signs, with which the outputs fill their range.
QuantizedConvolutionLayer random_layer(const std::vector<Index>& sizes, const ConvolutionGeometry& geometry,
                                       std::mt19937_64& generator) {
  QuantizedConvolutionLayer layer;
  layer.codes = DenseTensor<std::int16_t>(sizes, StorageOrder::row_major);
  for (Index k = 0; k < layer.codes.size(); ++k)
    layer.codes.data()[k] = static_cast<std::int16_t>(random_integer(generator, -128, 127));
  layer.geometry = geometry;
  layer.scales.resize(sizes[0]);
  layer.bias.resize(sizes[0]);
  for (Index o = 0; o < sizes[0]; ++o) {
    layer.scales[o] = 0.0001 * random_integer(generator, 10, 100) * (random_integer(generator, 0, 1) == 0 ? 1 : -1);
    layer.bias[o] = 0.01 * random_integer(generator, -100, 100);
  }
  return layer;
}

FeatureMaps<std::int8_t> random_codes(Index images, Index rows, Index columns, Index channels,
                                      std::mt19937_64& generator) {
  FeatureMaps<std::int8_t> maps{images, rows, columns, Matrix<std::int8_t>(channels, images * rows * columns)};
  for (Index k = 0; k < maps.values.size(); ++k)
    maps.values.data()[k] = static_cast<std::int8_t>(random_integer(generator, -128, 127));
  return maps;
}

// The sum 2^31 a b to the nearest integer as gemmlowp writes it: a division that cuts off toward zero.
std::int64_t direct_high_product(std::int64_t a, std::int64_t b) {
  const std::int64_t product = a * b;
  const std::int64_t nudge = product >= 0 ? 1073741824 : 1 - 1073741824;
  return (product + nudge) / 2147483648LL;
}

std::int64_t direct_rounding_division(std::int64_t x, int exponent) {
  const std::int64_t divisor = std::int64_t{1} << exponent, magnitude = x < 0 ? -x : x;
  const std::int64_t rounded = (2 * magnitude + divisor) / (2 * divisor);
  return x < 0 ? -rounded : rounded;
}

// TensorFlow Lite's arithmetic from the real multiplier on.
std::int64_t direct_fixed_point(std::int64_t sum, double multiplier) {
  int shift = 0;
  std::int64_t fixed = std::llround(std::frexp(multiplier, &shift) * 2147483648.0);
  if (fixed == 2147483648LL) {
    fixed = 1073741824;
    ++shift;
  }
  if (shift < -31) return 0;
  if (shift > 0) return direct_high_product(sum * (1 << shift), fixed);
  return direct_rounding_division(direct_high_product(sum, fixed), -shift);
}

// By the definition, with sums of 64 bits.
FeatureMaps<std::int8_t> direct_integer_convolution(const FeatureMaps<std::int8_t>& maps,
                                                    const QuantizedConvolutionLayer& layer,
                                                    const ActivationScale& input, const ActivationScale& output,
                                                    Requantization requantization) {
  DenseTensor<double> codes(layer.codes.dimensions(), StorageOrder::row_major);
  std::copy_n(layer.codes.data(), codes.size(), codes.data());
  FeatureMaps<double> values{maps.images, maps.rows, maps.columns,
                             maps.values.cast<double>().array() - static_cast<double>(input.zero_point)};
  const FeatureMaps<double> sums = support::direct_convolution(values, codes, layer.geometry);
  FeatureMaps<std::int8_t> result{sums.images, sums.rows, sums.columns,
                                  Matrix<std::int8_t>(sums.values.rows(), sums.values.cols())};
  for (Index o = 0; o < result.channels(); ++o) {
    const float scale = static_cast<float>(std::abs(layer.scales[o]));
    const double sign = layer.scales[o] < 0 ? -1 : 1;
    const double unit = static_cast<double>(input.scale) * static_cast<double>(scale);
    const double bias = layer.bias.size() == 0 ? 0 : std::rint(layer.bias[o] / unit);
    for (Index p = 0; p < sums.values.cols(); ++p) {
      const double sum = sign * sums.values(o, p) + bias;
      double product = 0;
      if (requantization == Requantization::fixed_point)
        product = static_cast<double>(
            direct_fixed_point(static_cast<std::int64_t>(sum), unit / static_cast<double>(output.scale)));
      else
        product = static_cast<double>(std::rint(static_cast<float>(sum) * (input.scale * scale / output.scale)));
      const double lowest = layer.relu ? output.zero_point : -128;
      result.values(o, p) = static_cast<std::int8_t>(std::clamp(product + output.zero_point, lowest, 127.0));
    }
  }
  return result;
}

void check_against_definition(const QuantizedConvolutionLayer& layer, const FeatureMaps<std::int8_t>& maps,
                              const ActivationScale& input, const ActivationScale& output) {
  for (const Requantization requantization : both_requantizations) {
    const FeatureMaps<std::int8_t> result = IntegerConvolution(layer, input, output, requantization)(maps);
    const FeatureMaps<std::int8_t> expected = direct_integer_convolution(maps, layer, input, output, requantization);
    REQUIRE(result.rows == expected.rows);
    REQUIRE(result.columns == expected.columns);
    CHECK(result.values == expected.values);
    // The case is one only where activations differ and few are clamped.
    const Index inside = (expected.values.array() > -128 && expected.values.array() < 127).count();
    CHECK(4 * inside > expected.values.size());
  }
}

}  // namespace

TEST_CASE("A fixed-point multiplier is the nearest one", "[integer_convolution]") {
  std::mt19937_64 generator(1);
  for (int k = 0; k < 10000; ++k) {
    const double value =
        std::ldexp(1 + static_cast<double>(generator() >> 11) * 0x1p-53, random_integer(generator, -31, 29));
    const qaf::FixedPointMultiplier number = qaf::fixed_point_multiplier(value);
    REQUIRE(number.multiplier >= 1 << 30);
    REQUIRE(std::abs(std::ldexp(number.multiplier, number.shift - 31) - value) <= std::ldexp(0.5, number.shift - 31));
  }
  CHECK(qaf::fixed_point_multiplier(0.5).multiplier == 1 << 30);
  CHECK(qaf::fixed_point_multiplier(0.5).shift == 0);
  CHECK(qaf::fixed_point_multiplier(std::nextafter(1.0, 0.0)).multiplier == 1 << 30);  // rounds up to 1
  CHECK(qaf::fixed_point_multiplier(std::nextafter(1.0, 0.0)).shift == 1);
  CHECK(qaf::fixed_point_multiplier(1e-10).multiplier == 0);
  CHECK_ERROR(qaf::fixed_point_multiplier(0),
              "qaf::fixed_point_multiplier: the value must be above 0 and below 2^30, got 0");
  CHECK_ERROR(qaf::fixed_point_multiplier(1073741824),
              "qaf::fixed_point_multiplier: the value must be above 0 and below 2^30, got 1.07374e+09");
  CHECK_ERROR(qaf::fixed_point_multiplier(std::nextafter(1073741824.0, 0.0)),
              "qaf::fixed_point_multiplier: the value must be above 0 and below 2^30, got 1.07374e+09");
}

TEST_CASE("Multiplying rounds twice, exact ties up and then away from zero", "[integer_convolution]") {
  const auto times = [](int x, double value) { return qaf::multiply(x, qaf::fixed_point_multiplier(value)); };
  CHECK(times(1, 0.5) == 1);      // 0.5 goes up
  CHECK(times(-1, 0.5) == 0);     // -0.5 goes up
  CHECK(times(-3, 0.5) == -1);    // -1.5 goes up
  CHECK(times(4, 0.125) == 1);    // 2 after the first rounding, then 0.5 away from zero
  CHECK(times(-4, 0.125) == -1);  // -2, then -0.5 away from zero
  CHECK(times(3, 0.125) == 1);    // 1.5 goes up to 2, then 0.5 away from zero: 0.375 becomes 1
  CHECK(times(-3, 0.125) == 0);   // -1.5 goes up to -1, then -0.25
  CHECK(times(5, 3) == 15);
  std::mt19937_64 generator(2);
  constexpr int most = std::numeric_limits<std::int32_t>::max();
  for (int k = 0; k < 20000; ++k) {
    const int exponent = random_integer(generator, -33, 12);
    const double value = std::ldexp(1 + random_integer(generator, 0, 15) / 16.0, exponent);
    const int largest = std::min(most, most >> std::max(exponent + 1, 0));
    for (const int x : {largest, -largest, random_integer(generator, -1000, 1000),
                        random_integer(generator, -largest / 2, largest / 2)}) {
      if (std::abs(x) > largest) continue;
      REQUIRE(times(x, value) == direct_fixed_point(x, value));
    }
  }
}

TEST_CASE("Integer convolutions give the integers of their definition", "[integer_convolution]") {
  std::mt19937_64 generator(3);
  int number = 0;
  for (ConvolutionGeometry geometry : support::various_geometries())
    for (const std::array<Index, 2> size : {std::array<Index, 2>{1, 1}, {3, 3}, {2, 4}})
      for (const Index groups : {1, 2, 6}) {
        geometry.groups = groups;
        const Index outputs = groups == 6 && number % 2 == 0 ? 6 : 12;
        CAPTURE(geometry.stride, geometry.padding, geometry.dilation, groups, size, outputs);
        QuantizedConvolutionLayer layer = random_layer({outputs, 6 / groups, size[0], size[1]}, geometry, generator);
        layer.relu = number % 3 == 0;
        if (number++ % 4 == 0) layer.bias.resize(0);
        const ActivationScale input{0.02F, random_integer(generator, -128, 127)};
        const ActivationScale output{0.06F, random_integer(generator, -90, 20)};
        check_against_definition(layer, random_codes(2, 7, 9, 6, generator), input, output);
      }
}

TEST_CASE("Integer convolutions of odd sizes, around those of registers and blocks", "[integer_convolution]") {
  std::mt19937_64 generator(4);
  ConvolutionGeometry geometry;
  for (const Index outputs : {1, 3, 4, 5, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 65})
    for (const Index inputs : {1, 2, 3, 64, 65}) {
      CAPTURE(outputs, inputs);
      const QuantizedConvolutionLayer layer = random_layer({outputs, inputs, 1, 1}, geometry, generator);
      const ActivationScale input{0.02F, -128}, output{0.08F, -3};
      check_against_definition(layer, random_codes(1, 5, outputs, inputs, generator), input, output);
    }
  geometry.padding = {1, 1};
  const QuantizedConvolutionLayer layer = random_layer({7, 33, 3, 3}, geometry, generator);
  check_against_definition(layer, random_codes(2, 19, 23, 33, generator), {0.01F, 5}, {0.2F, 1});
}

TEST_CASE("Multipliers above 1 shift to the left", "[integer_convolution]") {
  std::mt19937_64 generator(5);
  QuantizedConvolutionLayer layer = random_layer({4, 2, 1, 1}, {}, generator);
  for (Index k = 0; k < layer.codes.size(); ++k) layer.codes.data()[k] = static_cast<std::int16_t>(k % 3 - 1);
  layer.scales.setConstant(6);
  check_against_definition(layer, random_codes(1, 9, 9, 2, generator), {0.01F, 3}, {0.05F, 0});
}

TEMPLATE_TEST_CASE("Three integer layers follow the float ones to a few steps of the scale", "[integer_convolution]",
                   float, double) {
  qaf::UniformQuantizer quantizer;
  quantizer.bits = 4;
  const auto model = qaf::quantize(support::random_model<TestType>({6, 5, 9}, 12), quantizer);
  ConvolutionGeometry geometry;
  geometry.stride = {2, 1};
  geometry.padding = {1, 1};
  auto layers = qaf::three_layers(model, {3, 3}, geometry, Eigen::VectorXd::LinSpaced(6, -2, 2));
  layers.back().relu = true;
  const auto maps = support::random_maps<TestType>(3, 12, 11, 5);
  const auto rms_steps = [&] {
    const auto float_layers = qaf::decode<TestType>(layers);
    std::vector<qaf::ActivationObserver> observers;
    qaf::observe(float_layers, maps, observers);
    const FeatureMaps<TestType> expected = qaf::convolve(maps, float_layers);
    double worst = 0;
    for (const Requantization requantization : both_requantizations) {
      const auto integer = qaf::integer_convolutions(layers, observers, requantization, qaf::ActivationRange::min_max);
      const auto codes = qaf::convolve(qaf::quantize(maps, integer.front().input()), integer);
      const auto result = qaf::dequantize(codes, integer.back().output());
      const Matrix<double> difference = result.values.template cast<double>() - expected.values.template cast<double>();
      const double step = static_cast<double>(integer.back().output().scale);
      worst = std::max(worst, difference.norm() / std::sqrt(static_cast<double>(difference.size())) / step);
    }
    return worst;
  };
  const double before = rms_steps();
  CHECK(before < 3);
  qaf::equalize_ranges(layers, maps);
  CHECK(rms_steps() < before);
}

TEMPLATE_TEST_CASE("Equalizing ranges changes no output", "[integer_convolution]", float, double) {
  const auto model = qaf::quantize(support::random_model<TestType>({6, 5, 9}, 12), qaf::UniformQuantizer());
  auto layers = qaf::three_layers(model, {3, 3});
  const auto maps = support::random_maps<TestType>(1, 8, 9, 5);
  const auto before = qaf::convolve(maps, qaf::decode<TestType>(layers));
  qaf::equalize_ranges(layers, maps);
  const auto after = qaf::convolve(maps, qaf::decode<TestType>(layers));
  CHECK(support::matrix_distance(after.values, before.values) <= support::Tolerance<TestType>::product);
  // All channels reach the same end of the range, or its other end.
  const auto first = qaf::convolve(maps, qaf::decode<TestType>(layers[0]));
  const auto lowest = first.values.rowwise().minCoeff().template cast<double>().eval();
  const auto highest = first.values.rowwise().maxCoeff().template cast<double>().eval();
  for (Index r = 0; r < highest.size(); ++r)
    CHECK(std::min(highest.maxCoeff() - highest[r], lowest[r] - lowest.minCoeff()) <=
          support::Tolerance<TestType>::product * highest.maxCoeff());
  auto two = std::vector<QuantizedConvolutionLayer>(layers.begin(), layers.begin() + 2);
  CHECK_ERROR(qaf::equalize_ranges(two, maps),
              "qaf::equalize_ranges: there must be three layers, the second depthwise and the third 1 x 1, as "
              "three_layers makes them");
  auto no_numbers = maps;
  no_numbers.values(2, 3) = std::numeric_limits<TestType>::infinity();
  CHECK_ERROR(qaf::equalize_ranges(layers, no_numbers),
              "qaf::equalize_ranges: the first layer's outputs must be finite, got NaN or infinity");
  layers[0].relu = true;
  CHECK_ERROR(qaf::equalize_ranges(layers, maps),
              "qaf::equalize_ranges: the first and the second layer must have no bias and no ReLU");
}

TEST_CASE("Equalizing lowers the noise that rounding the first layer's outputs makes", "[integer_convolution]") {
  ConvolutionGeometry geometry;
  for (const Index groups : {1, 2}) {
    geometry.groups = groups;
    std::vector<qaf::QuantizedCpModel<double, qaf::UniformQuantizer>> models;
    for (Index group = 0; group < groups; ++group) {
      models.push_back(
          qaf::quantize(support::random_model<double>({6, 5, 9}, 12, 30 + static_cast<std::uint64_t>(group)),
                        qaf::UniformQuantizer()));
      for (Index r = 0; r < 12; ++r) {  // ranges of very different sizes
        models.back().factors[1].parameters.scales[r] *= static_cast<float>(1 + r * r);
        models.back().factors[2].parameters.scales[r] /= static_cast<float>(1 + r * r);
      }
    }
    auto layers = qaf::three_layers(models, {3, 3}, geometry);
    const auto maps = support::random_maps<double>(2, 20, 20, 5 * groups);
    const auto noise = [&] {
      const auto exact = qaf::decode<double>(layers);
      const auto between = qaf::convolve(maps, exact[0]);
      qaf::ActivationObserver observer;
      observer.observe(between);
      const ActivationScale scale = observer.scale(qaf::ActivationRange::min_max);
      const auto rounded = qaf::dequantize(qaf::quantize(between, scale), scale);
      const FeatureMaps<double> back{rounded.images, rounded.rows, rounded.columns, rounded.values.cast<double>()};
      const std::vector<qaf::ConvolutionLayer<double>> rest(exact.begin() + 1, exact.end());
      return (qaf::convolve(back, rest).values - qaf::convolve(between, rest).values).norm();
    };
    const double before = noise();
    qaf::equalize_ranges(layers, maps);
    CHECK(noise() < 0.5 * before);
  }
}

TEST_CASE("Equalizing leaves a channel alone that the maps hardly reach", "[integer_convolution]") {
  // Input channel 1 is almost 0 in the maps, and the only one of component 1.
  auto model = qaf::quantize(support::random_model<float>({3, 2, 9}, 2), qaf::UniformQuantizer());
  model.factors[1].codes << 100, 0, 0, 100;
  auto layers = qaf::three_layers(model, {3, 3});
  auto maps = support::random_maps<float>(1, 5, 5, 2);
  maps.values.row(1).setConstant(1e-9F);
  const auto before = layers;
  qaf::equalize_ranges(layers, maps);
  CHECK(layers[0].scales[1] == before[0].scales[1]);
  std::vector<qaf::ActivationObserver> observers;
  qaf::observe(qaf::decode<float>(layers), maps, observers);
  CHECK_NOTHROW(qaf::integer_convolutions(layers, observers));
}

TEST_CASE("Positive scales stand for the same layer", "[integer_convolution]") {
  std::mt19937_64 generator(6);
  QuantizedConvolutionLayer layer = random_layer({8, 2, 2, 2}, {}, generator);
  for (Index k = 0; k < layer.codes.size(); ++k)
    layer.codes.data()[k] = std::max<std::int16_t>(layer.codes.data()[k], -127);
  REQUIRE(layer.scales.minCoeff() < 0);
  const QuantizedConvolutionLayer positive = qaf::with_positive_scales(layer);
  CHECK(positive.scales == layer.scales.cwiseAbs());
  const auto before = qaf::decode<double>(layer), after = qaf::decode<double>(positive);
  CHECK(std::equal(before.kernel.data(), before.kernel.data() + before.kernel.size(), after.kernel.data()));
  layer.scales[3] = -1;
  layer.codes.data()[3 * 8 + 5] = -128;
  CHECK_ERROR(qaf::with_positive_scales(layer),
              "qaf::with_positive_scales: output channel 3 has a negative scale and a code -128, which has no negative "
              "in 8 bits; quantize in the narrow range or with fewer bits");
  layer.codes.data()[0] = 200;  // codes of affine quantizers, less their zero points
  CHECK(qaf::with_positive_scales(layer).codes.data()[3 * 8 + 5] == 128);
  layer.codes.data()[3 * 8 + 5] = -32768;
  CHECK_ERROR(qaf::with_positive_scales(layer),
              "qaf::with_positive_scales: output channel 3 has a negative scale and a code -32768, which has no "
              "negative in 16 bits; quantize in the narrow range or with fewer bits");
}

TEST_CASE("Sums that could need more than 32 bits are refused, those that just fit are right",
          "[integer_convolution]") {
  // 2^31 - 1 = 8421504 * 255 + 127: at zero point -128 activations reach 255.
  QuantizedConvolutionLayer layer;
  const Index inputs = 8421504 / 127;  // 66311, the rest 7
  layer.codes = DenseTensor<std::int16_t>({1, inputs + 1, 1, 1}, StorageOrder::row_major);
  std::fill_n(layer.codes.data(), inputs, std::int16_t{127});
  layer.codes.data()[inputs] = 7;
  layer.scales = Eigen::VectorXd::Ones(1);
  const ActivationScale input{1, -128};
  FeatureMaps<std::int8_t> maps{1, 1, 1, Matrix<std::int8_t>::Constant(inputs + 1, 1, 127)};
  for (const Requantization requantization : both_requantizations) {
    const IntegerConvolution fits(layer, input, {2e7F, 0}, requantization);
    CHECK(fits(maps).values(0, 0) == 107);  // 2147483520 / 20000000
  }
  layer.bias = Eigen::VectorXd::Constant(1, 128);
  CHECK_ERROR(IntegerConvolution(layer, input, {20000000, 0}),
              "qaf::IntegerConvolution: the sums of output channel 0 must fit into 32 bits, but can reach 2.14748e+09");
  layer.bias.resize(0);
  CHECK_ERROR(
      IntegerConvolution(layer, input, {0.5F, 0}),
      "qaf::IntegerConvolution: the sums of output channel 0, which can reach 2.14748e+09, must fit into 32 bits "
      "times 2, what an integer becomes in units of the output's scale; that scale is too small");
}

TEST_CASE("A multiplier of 2^30 and more is told with its output channel", "[integer_convolution]") {
  QuantizedConvolutionLayer layer;
  layer.codes = DenseTensor<std::int16_t>({2, 1, 1, 1}, StorageOrder::row_major);
  layer.codes.data()[0] = 1;
  layer.codes.data()[1] = 0;  // its sums are 0
  layer.scales = Eigen::VectorXd::Ones(2);
  layer.scales[1] = 1073741824;
  CHECK_ERROR(IntegerConvolution(layer, {1, 0}, {1, 0}),
              "qaf::IntegerConvolution: the sums of output channel 1, which can reach 0, must fit into 32 bits times "
              "1.07374e+09, what an integer becomes in units of the output's scale; that scale is too small");
  CHECK_NOTHROW(IntegerConvolution(layer, {1, 0}, {1, 0}, Requantization::float_scale));
  layer.scales[1] = 536870912;
  CHECK_NOTHROW(IntegerConvolution(layer, {1, 0}, {1, 0}));
  layer.scales[0] = 1e30;
  CHECK_ERROR(
      IntegerConvolution(layer, {1e30F, 0}, {1, 0}, Requantization::float_scale),
      "qaf::IntegerConvolution: input.scale s / output.scale must be finite, got input.scale 1e+30, s 1e+30 and "
      "output.scale 1");
}

TEST_CASE("A batch that cannot be observed to its end counts nowhere", "[integer_convolution]") {
  std::mt19937_64 generator(8);
  std::vector<qaf::ConvolutionLayer<float>> layers = {qaf::decode<float>(random_layer({4, 2, 1, 1}, {}, generator)),
                                                      qaf::decode<float>(random_layer({3, 4, 1, 1}, {}, generator))};
  std::vector<qaf::ActivationObserver> observers;
  const FeatureMaps<float> maps = support::random_maps<float>(1, 2, 2, 2);
  qaf::observe(layers, maps, observers);
  const std::vector<qaf::ActivationObserver> before = observers;
  FeatureMaps<float> other = maps;
  other.values.setConstant(1000);
  layers[1].bias.setConstant(3, std::numeric_limits<float>::infinity());  // as if its sums had overflowed
  CHECK_ERROR(qaf::observe(layers, other, observers),
              "qaf::ActivationObserver::observe: every activation must be finite, got NaN or infinity");
  REQUIRE(observers.size() == before.size());
  for (std::size_t k = 0; k < before.size(); ++k) {
    CHECK(observers[k].count() == before[k].count());
    CHECK(observers[k].lowest() == before[k].lowest());
    CHECK(observers[k].highest() == before[k].highest());
  }
}

TEST_CASE("Layers, scales and maps that do not fit are told", "[integer_convolution]") {
  std::mt19937_64 generator(7);
  const QuantizedConvolutionLayer good = random_layer({4, 2, 1, 1}, {}, generator);
  const ActivationScale scale;
  QuantizedConvolutionLayer layer = good;
  layer.codes.data()[3] = 256;
  CHECK_ERROR(IntegerConvolution(layer, scale, scale),
              "qaf::IntegerConvolution: codes must be of at most 8 bits, so from -255 to 255 without their zero point, "
              "got 256");
  layer = good;
  layer.scales[1] = 0;
  CHECK_ERROR(IntegerConvolution(layer, scale, scale),
              "qaf::IntegerConvolution: every scale of a layer must be finite and not 0, got 0");
  layer.scales[1] = 1e60;
  CHECK_ERROR(IntegerConvolution(layer, scale, scale),
              "qaf::IntegerConvolution: every scale must be a float32 that is not 0, got 1e+60");
  layer = good;
  layer.bias.resize(3);
  CHECK_ERROR(IntegerConvolution(layer, scale, scale),
              "qaf::IntegerConvolution: a layer of 4 output channels must have so many scales, and so many biases or "
              "none, got 4 and 3");
  layer = good;
  layer.codes.reshape({4, 2});
  CHECK_ERROR(IntegerConvolution(layer, scale, scale),
              "qaf::IntegerConvolution: the codes of a layer must be O x I x kh x kw, row-major, got 4 x 2");
  layer = good;
  layer.geometry.groups = 3;
  CHECK_ERROR(IntegerConvolution(layer, scale, scale),
              "qaf::IntegerConvolution: the 4 output channels of the codes must divide into 3 groups");
  CHECK_ERROR(IntegerConvolution(good, {1, 128}, scale),
              "qaf::AffineQuantizer::decode: every zero point must be from -128 to 127, got 128");
  CHECK_ERROR(IntegerConvolution(good, scale, {-1, 0}),
              "qaf::AffineQuantizer::decode: every scale must be positive, normal and finite, got -1");
  CHECK_ERROR(IntegerConvolution(good, scale, scale)(random_codes(1, 2, 2, 3, generator)),
              "qaf::IntegerConvolution: a layer for 2 input channels needs maps of so many, got 3");
  CHECK_ERROR(qaf::integer_convolutions({good}, {scale}),
              "qaf::integer_convolutions: there must be a scale for the input and one for each of 1 layers, got 1");
  std::vector<qaf::ActivationObserver> observers(3);
  CHECK_ERROR(qaf::observe<float>({qaf::decode<float>(good)}, support::random_maps<float>(1, 2, 2, 2), observers),
              "qaf::observe: there must be an observer for the input and one for each of 1 layers, got 3");
}
