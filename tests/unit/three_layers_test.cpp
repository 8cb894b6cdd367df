#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include <qaf/convolution/convolve.hpp>
#include <qaf/convolution/kernel_tensors.hpp>
#include <qaf/convolution/three_layers.hpp>
#include <qaf/quantizers/any.hpp>
#include <qaf/quantizers/compact_scales.hpp>

#include "support/catch.hpp"
#include "support/convolution.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::ConvolutionGeometry;
using qaf::CpModel;
using qaf::DenseTensor;
using qaf::FeatureMaps;
using qaf::Granularity;
using qaf::Index;
using qaf::Matrix;
using qaf::StorageOrder;
using qaf::Vector;

// One model a group, of different entries.
template <typename Scalar>
std::vector<CpModel<Scalar>> random_models(const std::vector<Index>& sizes, Index rank, Index groups) {
  std::vector<CpModel<Scalar>> models;
  for (Index group = 0; group < groups; ++group)
    models.push_back(support::random_model<Scalar>(sizes, rank, static_cast<std::uint64_t>(20 + group)));
  return models;
}

template <typename Model>
auto reconstructed_kernel(const std::vector<Model>& models, const std::array<Index, 2>& size) {
  using Scalar = typename std::decay_t<decltype(models.front().weights)>::Scalar;
  std::vector<DenseTensor<Scalar>> tensors;
  for (const Model& model : models) {
    tensors.push_back(qaf::reconstruct(model, StorageOrder::row_major));
    const std::vector<Index> sizes = tensors.back().dimensions();
    if (sizes.size() == 4) tensors.back().reshape({sizes[0], sizes[1], sizes[2] * sizes[3]});
    if (sizes.size() == 2) tensors.back().reshape({sizes[0], sizes[1], 1});
  }
  return qaf::kernel_from_tensors(tensors, size);
}

// The layers against the kernel that the models describe.
template <typename Scalar, typename Layers>
double layers_error(const Layers& layers, const std::vector<CpModel<Scalar>>& models, const FeatureMaps<Scalar>& maps,
                    const std::array<Index, 2>& size, const ConvolutionGeometry& geometry) {
  const FeatureMaps<Scalar> result = qaf::convolve(maps, layers);
  const FeatureMaps<double> expected = support::direct_convolution(maps, reconstructed_kernel(models, size), geometry);
  CHECK(result.rows == expected.rows);
  CHECK(result.columns == expected.columns);
  return support::matrix_distance(result.values, expected.values);
}

template <typename Scalar, typename Quantizer>
std::vector<qaf::QuantizedCpModel<Scalar, Quantizer>> quantized(const std::vector<CpModel<Scalar>>& models,
                                                                const std::vector<Quantizer>& quantizers) {
  std::vector<qaf::QuantizedCpModel<Scalar, Quantizer>> result;
  for (const CpModel<Scalar>& model : models) {
    result.push_back(qaf::quantize(model, quantizers));
    for (Index r = 0; r < model.rank(); ++r) result.back().weights[r] *= static_cast<Scalar>(r % 2 == 0 ? 1.5 : -0.7);
  }
  return result;
}

// The integer layers, decoded, against the kernel that the codes stand for.
template <typename Scalar, typename Quantizer>
double integer_layers_error(const std::vector<CpModel<Scalar>>& models, const std::vector<Quantizer>& quantizers,
                            const std::array<Index, 2>& size, const ConvolutionGeometry& geometry) {
  const auto coded = quantized(models, quantizers);
  std::vector<CpModel<Scalar>> decoded;
  for (const auto& model : coded) decoded.push_back(qaf::decode(model));
  const Index inputs = models.front().factors[1].rows() * geometry.groups;
  const auto maps = support::random_maps<Scalar>(2, 7, 8, inputs);
  return layers_error(qaf::decode<Scalar>(qaf::three_layers(coded, size, geometry)), decoded, maps, size, geometry);
}

template <typename Quantizer>
std::vector<Quantizer> three_of(Quantizer quantizer, Granularity outputs, Granularity inputs, Granularity positions) {
  std::vector<Quantizer> quantizers(3, quantizer);
  quantizers[0].granularity = outputs;
  quantizers[1].granularity = inputs;
  quantizers[2].granularity = positions;
  return quantizers;
}

const std::array<Index, 2> size_3x2{3, 2};

// A quantizer of a user's own: multiples of 1/4, told as integers.
struct Quarters {
  using Code = float;
  struct Parameters {};

  template <typename Derived>
  Parameters fit(const Eigen::MatrixBase<Derived>&) const {
    return {};
  }
  template <typename Derived>
  Matrix<float> encode(const Eigen::MatrixBase<Derived>& matrix, const Parameters&) const {
    return ((matrix.array() * 4).rint() / 4).template cast<float>();
  }
  Matrix<float> decode(const Matrix<float>& codes, const Parameters&) const { return codes; }
  qaf::IntegerFactor integer_factor(const Matrix<float>& codes, const Parameters&) const {
    return {(codes * 4).cast<std::int16_t>(), Granularity::tensor, Vector<float>::Constant(1, 0.25F)};
  }
};

}  // namespace

TEMPLATE_TEST_CASE("A kernel becomes a tensor a group and comes back", "[three_layers]", float, double) {
  for (const StorageOrder order : support::both_orders)
    for (const std::vector<Index>& sizes :
         std::vector<std::vector<Index>>{{6, 4, 3, 2}, {6, 4, 1, 5}, {6, 4, 4, 1}, {6, 4, 1, 1}, {6, 4}})
      for (const Index groups : {1, 3}) {
        CAPTURE(sizes, groups);
        const auto kernel = support::random_tensor<TestType>(sizes, order);
        const auto tensors = qaf::kernel_tensors(kernel, groups);
        REQUIRE(tensors.size() == groups);
        const bool is_row = sizes.size() == 2 || sizes[2] == 1 || sizes[3] == 1;
        CHECK(tensors.is_copy() == (order == StorageOrder::column_major && (groups > 1 || !is_row)));
        CHECK((tensors[0].data() == kernel.data()) == !tensors.is_copy());
        std::vector<DenseTensor<TestType>> parts;
        bool same = true;
        for (Index group = 0; group < groups; ++group) {
          const auto view = tensors[group];
          DenseTensor<TestType> part(view.dimensions(), view.storage_order());
          std::copy_n(view.data(), view.size(), part.data());
          parts.push_back(part);
          support::for_each_index(view.dimensions(), [&](std::vector<Index> index) {
            const TestType entry = support::entry(view, index);
            index[0] += group * 6 / groups;
            if (sizes.size() == 4) {
              const Index position = index[2];
              index[2] = position / sizes[3];
              index.push_back(position % sizes[3]);
            }
            same = same && entry == support::entry(kernel, index);
          });
        }
        CHECK(same);
        const auto back = qaf::kernel_from_tensors(
            parts, sizes.size() == 4 ? std::array<Index, 2>{sizes[2], sizes[3]} : std::array<Index, 2>{1, 1});
        REQUIRE(back.dimensions() == sizes);
        const auto expected = qaf::with_storage_order(kernel, StorageOrder::row_major);
        CHECK(std::equal(back.data(), back.data() + back.size(), expected.data()));
      }
}

TEST_CASE("A copied KernelTensors still views its own entries", "[three_layers]") {
  const auto kernel = support::random_tensor<float>({4, 3, 2, 2}, StorageOrder::column_major);
  auto first = std::make_unique<qaf::KernelTensors<float>>(qaf::kernel_tensors(kernel));
  const auto second = *first;
  first.reset();
  CHECK(second[0].data()[1] == support::entry(kernel, {0, 0, 0, 1}));
}

TEMPLATE_TEST_CASE("Three layers of a float model are its convolution", "[three_layers]", float, double) {
  for (ConvolutionGeometry geometry : support::various_geometries())
    for (const Index groups : {1, 2, 3}) {
      CAPTURE(groups, geometry.stride, geometry.padding, geometry.dilation);
      geometry.groups = groups;
      const auto maps = support::random_maps<TestType>(2, 7, 8, 4 * groups);
      const auto models = random_models<TestType>({3, 4, 6}, 5, groups);
      const auto layers = qaf::three_layers(models, size_3x2, geometry);
      CHECK(layers.size() == 3);
      CHECK(layers[1].geometry.groups == 5 * groups);
      CHECK(layers_error(layers, models, maps, size_3x2, geometry) <= support::Tolerance<TestType>::product);
      const auto of_order_4 = random_models<TestType>({3, 4, 3, 2}, 5, groups);
      CHECK(layers_error(qaf::three_layers(of_order_4, size_3x2, geometry), of_order_4, maps, size_3x2, geometry) <=
            support::Tolerance<TestType>::product);
      const auto of_order_2 = random_models<TestType>({3, 4}, 5, groups);
      const auto two_layers = qaf::three_layers(of_order_2, {1, 1}, geometry);
      CHECK(two_layers.size() == 2);
      CHECK(layers_error(two_layers, of_order_2, maps, {1, 1}, geometry) <= support::Tolerance<TestType>::product);
    }
}

TEMPLATE_TEST_CASE("The layers' bias and ReLU come last", "[three_layers]", float, double) {
  const auto maps = support::random_maps<TestType>(1, 5, 5, 4);
  const auto model = support::random_model<TestType>({3, 4, 6}, 5);
  Vector<TestType> bias(3);
  bias << 2, -1, 0.5;
  const auto plain = qaf::convolve(maps, qaf::three_layers(model, size_3x2));
  auto layers = qaf::three_layers(model, size_3x2, {}, bias);
  const auto biased = qaf::convolve(maps, layers);
  CHECK(support::matrix_distance(biased.values, plain.values.colwise() + bias) <=
        support::Tolerance<TestType>::rounding);
  layers.back().relu = true;
  CHECK(qaf::convolve(maps, layers).values == biased.values.cwiseMax(TestType(0)));
}

TEMPLATE_TEST_CASE("Integer layers stand for what the codes decode to", "[three_layers]", float, double) {
  const double tolerance = 2 * support::Tolerance<float>::rounding;  // decoded factors are floats
  std::vector<ConvolutionGeometry> geometries = support::various_geometries();
  for (ConvolutionGeometry geometry : {geometries[1], geometries[2], geometries[5]})
    for (const Index groups : {1, 3}) {
      geometry.groups = groups;
      const auto models = random_models<TestType>({4, 5, 6}, 7, groups);
      for (const Granularity outputs : {Granularity::tensor, Granularity::component, Granularity::row})
        for (const Granularity others : {Granularity::tensor, Granularity::component}) {
          CAPTURE(groups, outputs, others);
          const auto error = [&](const auto& quantizer) {
            return integer_layers_error(models, three_of(quantizer, outputs, others, others), size_3x2, geometry);
          };
          CHECK(error(qaf::UniformQuantizer()) <= tolerance);
          CHECK(error(qaf::AffineQuantizer()) <= tolerance);
          CHECK(error(qaf::LevelQuantizer<qaf::TernaryLevels>()) <= tolerance);
          qaf::LevelQuantizer<qaf::PowerOfTwoLevels> powers;
          powers.table.bits = 4;
          CHECK(error(powers) <= tolerance);
        }
    }
}

TEMPLATE_TEST_CASE("Integer layers of quantizers made of others, and of a quantizer a mode", "[three_layers]", float,
                   double) {
  const double tolerance = 2 * support::Tolerance<float>::rounding;
  const auto models = random_models<TestType>({4, 5, 6}, 7, 1);
  qaf::CompactScales<qaf::UniformQuantizer> compact;
  CHECK(integer_layers_error(models, std::vector(3, compact), size_3x2, {}) <= tolerance);
  const std::vector<qaf::AnyQuantizer> mixed = {qaf::make_quantizer("uniform", 3), qaf::make_quantizer("affine", 4),
                                                qaf::make_quantizer("uniform", 8, Granularity::tensor)};
  CHECK(integer_layers_error(models, mixed, size_3x2, {}) <= tolerance);
  CHECK(integer_layers_error(models, std::vector(3, Quarters()), size_3x2, {}) <= tolerance);
  // A block as long as its column.
  qaf::UniformQuantizer blocks;
  blocks.granularity = Granularity::block;
  CHECK(integer_layers_error(models, std::vector(3, blocks), size_3x2, {}) <= tolerance);
  // Modes kh and kw on their own: their products of 4 bits fit into 8.
  blocks = {};
  blocks.bits = 4;
  CHECK(integer_layers_error(random_models<TestType>({4, 5, 3, 2}, 7, 1), std::vector(4, blocks), size_3x2, {}) <=
        tolerance);
  ConvolutionGeometry strided;
  strided.stride = {2, 1};
  CHECK(integer_layers_error(random_models<TestType>({4, 5}, 3, 1), std::vector(2, blocks), {1, 1}, strided) <=
        tolerance);
}

TEST_CASE("Each scale is where the table says", "[three_layers]") {
  qaf::UniformQuantizer quantizer;
  auto model = qaf::quantize(support::random_model<float>({4, 5, 6}, 3), quantizer);
  model.weights << 2, -3, 0;
  for (std::size_t n = 0; n < 3; ++n)
    for (Index r = 0; r < 3; ++r)
      model.factors[n].parameters.scales[r] = static_cast<float>(1 + r) * static_cast<float>(n == 0   ? 10
                                                                                             : n == 1 ? 1
                                                                                                      : 100);
  auto layers = qaf::three_layers(model, size_3x2);
  CHECK(layers[0].scales == Eigen::Vector3d(1, 2, 3));
  CHECK(layers[1].scales == Eigen::Vector3d(2000, -12000, 1));
  CHECK(layers[2].scales == Eigen::Vector4d(1, 1, 1, 1));
  CHECK(layers[1].codes.data()[12] == 0);  // the component of weight 0
  model.weights[1] = 1e-44F;               // float32 takes the scale for 0
  model.factors[2].parameters.scales[1] = 1e-10F;
  layers = qaf::three_layers(model, size_3x2);
  CHECK(layers[1].scales[1] == 1);
  CHECK(layers[1].codes.data()[6] == 0);
  model.weights[1] = -3;
  model.factors[2].parameters.scales[1] = 200;
  quantizer.granularity = Granularity::row;
  model.factors[0] = qaf::quantize(Matrix<float>(Matrix<float>::Random(4, 3)), quantizer);
  model.factors[0].parameters.scales << 1, 2, 3, 4;
  layers = qaf::three_layers(model, size_3x2);
  CHECK(layers[1].scales == Eigen::Vector3d(200, -600, 1));
  CHECK(layers[2].scales == Eigen::Vector4d(1, 2, 3, 4));
}

TEST_CASE("Models and quantizers that make no layers are told", "[three_layers]") {
  const auto model = support::random_model<float>({4, 5, 6}, 3);
  ConvolutionGeometry geometry;
  CHECK_ERROR(qaf::three_layers(model, {3, 3}),
              "qaf::three_layers: a kernel of 3 x 3 needs models of O x I x (kh kw), of O x I x kh x kw or, where both "
              "are 1, of O x I, got 4 x 5 x 6");
  geometry.groups = 2;
  CHECK_ERROR(qaf::three_layers(model, size_3x2, geometry),
              "qaf::three_layers: a convolution of 2 groups needs so many models, got 1");
  CHECK_ERROR(
      qaf::three_layers(std::vector{model, support::random_model<float>({4, 5, 6}, 2)}, size_3x2, geometry),
      "qaf::three_layers: the models of all groups must have the same sizes and the same rank, got a model of 4 "
      "x 5 x 6 of rank 3 and one of 4 x 5 x 6 of rank 2");
  CHECK_ERROR(qaf::three_layers(model, size_3x2, {}, Vector<float>(3)),
              "qaf::three_layers: a bias must be of the 4 output channels, got 3");
  qaf::UniformQuantizer quantizer;
  const auto layers_of = [&](Granularity outputs, Granularity inputs, Granularity positions) {
    return qaf::three_layers(qaf::quantize(model, three_of(quantizer, outputs, inputs, positions)), size_3x2);
  };
  const Granularity component = Granularity::component, row = Granularity::row;
  CHECK_ERROR(layers_of(component, row, component),
              "qaf::three_layers: a scale for each input channel changes within a sum of products, which integer "
              "arithmetic cannot do; the rows of the first factor alone, the output channels, may have scales of their "
              "own");
  CHECK_ERROR(layers_of(component, component, row),
              "qaf::three_layers: a scale for each position of the kernel changes within a sum of products, which "
              "integer arithmetic cannot do; the rows of the first factor alone, the output channels, may have scales "
              "of their own");
  quantizer.block_size = 2;
  CHECK_ERROR(layers_of(component, Granularity::block, component),
              "qaf::integer_factor: scales of blocks change within a sum of products, which integer arithmetic cannot "
              "do; use a scale per component, row or tensor");
  CHECK_ERROR(qaf::three_layers(qaf::quantize(model, qaf::make_quantizer("nf4")), size_3x2),
              "qaf::integer_factor: the levels of this quantizer are no integers of 8 bits times a power of two, which "
              "integer arithmetic needs");
  CHECK_ERROR(qaf::three_layers(qaf::quantize(model, qaf::make_quantizer("codebook", 2)), size_3x2),
              "qaf::integer_factor: the codes of the quantizer chosen, number 3, are not integers times scales, which "
              "integer arithmetic needs");
  qaf::UniformQuantizer16 sixteen_bits;
  sixteen_bits.bits = 16;
  const auto four_modes = qaf::quantize(support::random_model<float>({4, 5, 3, 2}, 3), sixteen_bits);
  CHECK(support::error_text([&] {
          qaf::three_layers(four_modes, size_3x2);
        }).rfind("qaf::three_layers: the product of the integers of modes kh and kw must fit into 16 bits, got ", 0) ==
        0);
  qaf::BasicAffineQuantizer<std::uint16_t> wide;
  wide.bits = 16;
  CHECK(support::error_text([&] {
          qaf::three_layers(qaf::quantize(model, wide), size_3x2);
        }).rfind("qaf::integer_factor: a code less its zero point must fit into 16 bits, got ", 0) == 0);
  CHECK_ERROR(qaf::kernel_tensors(support::random_tensor<float>({4, 2, 3, 3}, StorageOrder::row_major), 3),
              "qaf::kernel_tensors: the 4 output channels of the kernel must divide into 3 groups");
  CHECK_ERROR(qaf::kernel_from_tensor(DenseTensor<float>({4, 2, 6}), {3, 3}),
              "qaf::kernel_from_tensors: a tensor must be O x I x 9 for a kernel of 3 x 3, got 4 x 2 x 6");
  CHECK_ERROR(
      qaf::kernel_from_tensors(std::vector{DenseTensor<float>({4, 2, 6}), DenseTensor<float>({4, 3, 6})}, size_3x2),
      "qaf::kernel_from_tensors: the tensors of all groups must be 4 x 2 x 6, got 4 x 3 x 6");
}
