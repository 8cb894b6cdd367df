#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include <qaf/convolution_geometry.hpp>
#include <qaf/detail/random.hpp>
#include <qaf/feature_maps.hpp>
#include <qaf/types.hpp>

#include "support/reference.hpp"

// Convolutions by their definition.
namespace support {

/// Standard normal values.
template <typename Scalar>
qaf::FeatureMaps<Scalar> random_maps(qaf::Index images, qaf::Index rows, qaf::Index columns, qaf::Index channels,
                                     std::uint64_t seed = 3) {
  qaf::detail::NormalGenerator normal(seed);
  return {images, rows, columns, normal.matrix<Scalar>(channels, images * rows * columns)};
}

/// The channel of a pixel, `outside` beyond the image.
template <typename Scalar>
Scalar pixel_value(const qaf::FeatureMaps<Scalar>& maps, qaf::Index image, qaf::Index row, qaf::Index column,
                   qaf::Index channel, Scalar outside = Scalar(0)) {
  if (row < 0 || row >= maps.rows || column < 0 || column >= maps.columns) return outside;
  return maps.values(channel, (image * maps.rows + row) * maps.columns + column);
}

/// Seven loops, in double: image, row, column and channel of the output; channel, row and column of the kernel.
template <typename Scalar, typename Kernel>
qaf::FeatureMaps<double> direct_convolution(const qaf::FeatureMaps<Scalar>& maps, const Kernel& kernel,
                                            const qaf::ConvolutionGeometry& geometry) {
  const std::vector<qaf::Index>& sizes = kernel.dimensions();
  const qaf::Index outputs = sizes[0], inputs = sizes[1];
  std::array<qaf::Index, 2> size{};
  for (std::size_t k = 0; k < 2; ++k) {
    const qaf::Index last = (k == 0 ? maps.rows : maps.columns) + geometry.padding[k];
    for (qaf::Index begin = -geometry.padding[k]; begin + geometry.dilation[k] * (sizes[k + 2] - 1) < last;
         begin += geometry.stride[k])
      ++size[k];
  }
  qaf::FeatureMaps<double> result{maps.images, size[0], size[1], {}};
  result.values.setZero(outputs, maps.images * size[0] * size[1]);
  for (qaf::Index image = 0; image < maps.images; ++image)
    for (qaf::Index row = 0; row < size[0]; ++row)
      for (qaf::Index column = 0; column < size[1]; ++column)
        for (qaf::Index output = 0; output < outputs; ++output) {
          const qaf::Index first_input = output / (outputs / geometry.groups) * inputs;
          double& sum = result.values(output, (image * size[0] + row) * size[1] + column);
          for (qaf::Index input = 0; input < inputs; ++input)
            for (qaf::Index y = 0; y < sizes[2]; ++y)
              for (qaf::Index x = 0; x < sizes[3]; ++x)
                sum += static_cast<double>(entry(kernel, {output, input, y, x})) *
                       static_cast<double>(pixel_value(
                           maps, image, row * geometry.stride[0] - geometry.padding[0] + y * geometry.dilation[0],
                           column * geometry.stride[1] - geometry.padding[1] + x * geometry.dilation[1],
                           first_input + input));
        }
  return result;
}

/// Strides, paddings and dilations, equal in rows and columns and not.
inline std::vector<qaf::ConvolutionGeometry> various_geometries() {
  std::vector<qaf::ConvolutionGeometry> geometries(7);
  geometries[1].padding = {1, 1};
  geometries[2].stride = {2, 2};
  geometries[2].padding = {1, 1};
  geometries[3].stride = {1, 3};
  geometries[3].padding = {2, 0};
  geometries[4].dilation = {2, 1};
  geometries[5].dilation = {2, 2};
  geometries[5].padding = {3, 2};
  geometries[5].stride = {2, 1};
  geometries[6].padding = {4, 5};  // some patches lie outside as a whole
  return geometries;
}

}  // namespace support
