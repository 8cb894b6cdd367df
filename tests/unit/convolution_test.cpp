#include "support/convolution.hpp"

#include <array>
#include <cstdint>
#include <vector>

#include <qaf/convolution/convolve.hpp>
#include <qaf/convolution/layer.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::ConvolutionGeometry;
using qaf::FeatureMaps;
using qaf::Index;
using qaf::Matrix;
using qaf::StorageOrder;

template <typename Scalar>
void check_convolution(const FeatureMaps<Scalar>& maps, const std::vector<Index>& kernel_sizes,
                       const ConvolutionGeometry& geometry) {
  CAPTURE(kernel_sizes, geometry.stride, geometry.padding, geometry.dilation, geometry.groups);
  for (const StorageOrder order : support::both_orders) {
    const auto kernel = support::random_tensor<Scalar>(kernel_sizes, order);
    const FeatureMaps<Scalar> result = qaf::convolve(maps, kernel, geometry);
    const FeatureMaps<double> expected = support::direct_convolution(maps, kernel, geometry);
    CHECK(result.images == expected.images);
    CHECK(result.rows == expected.rows);
    CHECK(result.columns == expected.columns);
    CHECK(support::matrix_distance(result.values, expected.values) <= support::Tolerance<Scalar>::product);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("A convolution is what its definition says", "[convolution]", float, double) {
  const auto maps = support::random_maps<TestType>(2, 7, 9, 6);
  for (ConvolutionGeometry geometry : support::various_geometries())
    for (const std::array<Index, 2> size : {std::array<Index, 2>{1, 1}, {3, 3}, {2, 4}, {1, 5}})
      for (const Index groups : {1, 2, 3, 6}) {
        geometry.groups = groups;
        check_convolution(maps, {12, 6 / groups, size[0], size[1]}, geometry);
        if (groups == 6) check_convolution(maps, {6, 1, size[0], size[1]}, geometry);
      }
}

TEMPLATE_TEST_CASE("A convolution of more pixels than a block holds", "[convolution]", float, double) {
  ConvolutionGeometry geometry;
  geometry.padding = {1, 1};
  check_convolution(support::random_maps<TestType>(3, 23, 29, 8), {5, 8, 3, 3}, geometry);
  // A patch of more entries than a block is meant to have.
  check_convolution(support::random_maps<TestType>(1, 9, 8, 300), {2, 300, 5, 5}, geometry);
}

TEMPLATE_TEST_CASE("A linear layer is a kernel of one position on maps of one pixel", "[convolution]", float, double) {
  const auto maps = support::random_maps<TestType>(5, 1, 1, 7);
  for (const StorageOrder order : support::both_orders) {
    const auto weights = support::random_tensor<TestType>({4, 7}, order);
    Matrix<double> matrix(4, 7);
    for (Index k = 0; k < matrix.size(); ++k)
      matrix(k % 4, k / 4) = static_cast<double>(support::entry(weights, {k % 4, k / 4}));
    const auto result = qaf::convolve(maps, weights);
    CHECK(support::matrix_distance(result.values, matrix * maps.values.template cast<double>()) <=
          support::Tolerance<TestType>::product);
  }
}

TEMPLATE_TEST_CASE("Patches hold what the kernel sees", "[convolution]", float, double) {
  const auto maps = support::random_maps<TestType>(2, 5, 6, 3);
  for (const ConvolutionGeometry& geometry : support::various_geometries()) {
    const std::array<Index, 2> kernel{3, 2};
    const std::array<Index, 2> size = qaf::output_size({5, 6}, kernel, geometry);
    const Matrix<TestType> patches = qaf::patches(maps, kernel, geometry);
    REQUIRE(patches.rows() == 18);
    REQUIRE(patches.cols() == 2 * size[0] * size[1]);
    bool same = true;
    for (Index pixel = 0; pixel < patches.cols(); ++pixel)
      for (Index k = 0; k < 18; ++k) {
        const Index image = pixel / (size[0] * size[1]), row = pixel / size[1] % size[0], column = pixel % size[1];
        const Index y = k / 3 / 2, x = k / 3 % 2;
        same = same && patches(k, pixel) ==
                           support::pixel_value(
                               maps, image, row * geometry.stride[0] - geometry.padding[0] + y * geometry.dilation[0],
                               column * geometry.stride[1] - geometry.padding[1] + x * geometry.dilation[1], k % 3);
      }
    CHECK(same);
  }
}

TEST_CASE("Geometries that mean nothing are told", "[convolution]") {
  const auto text = [](const ConvolutionGeometry& geometry) {
    return support::error_text([&] { geometry.validate(); });
  };
  ConvolutionGeometry geometry;
  geometry.stride = {1, 0};
  CHECK(text(geometry) == "qaf::ConvolutionGeometry: stride must be from 1 to 2147483647, got 0");
  geometry = {};
  geometry.padding = {-1, 0};
  CHECK(text(geometry) == "qaf::ConvolutionGeometry: padding must be from 0 to 2147483647, got -1");
  geometry = {};
  if (sizeof(Index) > 4) {
    geometry.dilation = {static_cast<Index>(std::int64_t{1} << 31), 1};
    CHECK(text(geometry) == "qaf::ConvolutionGeometry: dilation must be from 1 to 2147483647, got 2147483648");
  }
  geometry = {};
  geometry.groups = 0;
  CHECK(text(geometry) == "qaf::ConvolutionGeometry: groups must be from 1 to 2147483647, got 0");
  geometry = {};
  geometry.dilation = {3, 1};
  CHECK_ERROR(qaf::output_size({6, 6}, {3, 3}, geometry),
              "qaf::output_size: a kernel over 7 rows must fit into the padded image, got 6");
  CHECK_ERROR(
      qaf::output_size({6, 6}, {0, 3}, geometry),
      "qaf::output_size: kernel and image must have from 1 to 2147483647 rows and columns, got a kernel of 0 x 3 "
      "and an image of 6 x 6");
}

TEST_CASE("Maps and kernels that do not fit are told", "[convolution]") {
  auto maps = support::random_maps<float>(1, 4, 4, 6);
  const auto kernel = [](const std::vector<Index>& sizes) {
    return support::random_tensor<float>(sizes, StorageOrder::row_major);
  };
  CHECK_ERROR(qaf::convolve(maps, kernel({4, 6, 9})),
              "qaf::convolve: a kernel must be O x I x kh x kw or, of a linear layer, O x I, got 4 x 6 x 9");
  CHECK_ERROR(qaf::convolve(maps, kernel({4, 5, 3, 3})),
              "qaf::convolve: a kernel for 5 input channels in each of 1 groups needs maps of 5 channels, got 6");
  ConvolutionGeometry geometry;
  geometry.groups = 3;
  CHECK_ERROR(qaf::convolve(maps, kernel({4, 2, 3, 3}), geometry),
              "qaf::convolve: the 4 output channels of the kernel must divide into 3 groups");
  qaf::ConvolutionLayer<float> layer;
  layer.kernel = kernel({4, 6, 3, 3});
  layer.bias = qaf::Vector<float>::Ones(3);
  CHECK_ERROR(qaf::convolve(maps, layer), "qaf::convolve: a bias must be of the kernel's 4 output channels, got 3");
  maps.columns = 5;
  CHECK_ERROR(qaf::convolve(maps, kernel({4, 6, 3, 3})),
              "qaf::convolve: feature maps of 1 x 4 x 5 pixels must have so many columns of values, got 16");
  maps.images = 0;
  CHECK_ERROR(qaf::patches(maps, {3, 3}),
              "qaf::patches: feature maps must have at least 1 image, row, column and channel, got 0 x 4 x 5 x 6");
}
