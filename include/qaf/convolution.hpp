#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include <qaf/convolution_geometry.hpp>
#include <qaf/detail/kernel_positions.hpp>
#include <qaf/error.hpp>
#include <qaf/feature_maps.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>

namespace qaf {
namespace detail {

/// Fills `target` (`(count of positions) channels x pixels`) with what the kernel sees from output pixel `first` on, of
/// the input's channels from `channel` on: entry `position * channels + channel`, `outside` beyond the image.
template <typename Scalar>
void gather_patches(const FeatureMaps<Scalar>& maps, const KernelPositions& positions, Index first, Index channel,
                    Index channels, Scalar outside, Matrix<Scalar>& target) {
  target.setConstant(outside);
  for (Index k = 0; k < target.cols(); ++k) {
    Scalar* const patch = target.data() + k * target.rows();
    positions.visit(first + k, [&](Index position, Index source) {
      std::copy_n(maps.values.data() + source * maps.channels() + channel, channels, patch + position * channels);
    });
  }
}

/// A kernel `O x I/groups x kh x kw` (or a linear layer's weights `O x I`, kh = kw = 1), checked against its groups and
/// the channels of the maps.
template <typename Scalar>
struct KernelEntries {
  const Scalar* data;
  Index outputs, inputs;          ///< of all groups; of one group
  std::array<Index, 2> size;      ///< kh, kw
  std::array<Index, 4> distance;  ///< in memory, from one entry of a mode to the next

  KernelEntries(const char* function, const TensorView<Scalar>& kernel, Index groups) : data(kernel.data()) {
    std::vector<Index> sizes = kernel.dimensions();
    if (sizes.size() == 2) sizes.insert(sizes.end(), {1, 1});
    if (sizes.size() != 4)
      fail(function, "a kernel must be O x I x kh x kw or, of a linear layer, O x I, got ",
           shape_text(kernel.dimensions()));
    if (sizes[0] % groups != 0)
      fail(function, "the ", sizes[0], " output channels of the kernel must divide into ", groups, " groups");
    outputs = sizes[0];
    inputs = sizes[1];
    size = {sizes[2], sizes[3]};
    if (kernel.storage_order() == StorageOrder::row_major)
      distance = {sizes[1] * sizes[2] * sizes[3], sizes[2] * sizes[3], sizes[3], 1};
    else
      distance = {1, sizes[0], sizes[0] * sizes[1], sizes[0] * sizes[1] * sizes[2]};
  }

  Scalar entry(Index output, Index input, Index position) const {
    const Index row = position / size[1], column = position % size[1];
    return data[output * distance[0] + input * distance[1] + row * distance[2] + column * distance[3]];
  }

  /// What patches are multiplied with: output channels `begin .. begin + count - 1`, `count x (positions inputs)`.
  Matrix<Scalar> matrix(Index begin, Index count) const {
    Matrix<Scalar> result(count, size[0] * size[1] * inputs);
    for (Index k = 0; k < result.cols(); ++k)
      for (Index output = 0; output < count; ++output)
        result(output, k) = entry(begin + output, k % inputs, k / inputs);
    return result;
  }
};

/// The maps that a convolution fills: their values are set, not initialized.
template <typename Scalar>
FeatureMaps<Scalar> empty_maps(const char* function, Index images, const std::array<Index, 2>& size, Index channels) {
  const Index pixels = checked_size(function, {images, size[0], size[1]});
  checked_size(function, {pixels, channels});
  return {images, size[0], size[1], Matrix<Scalar>(channels, pixels)};
}

/// A depthwise convolution: `weights` are channels x positions. Cost: `2 positions` flops an entry of the output.
template <typename Scalar>
FeatureMaps<Scalar> convolve_depthwise(const FeatureMaps<Scalar>& maps, const Matrix<Scalar>& weights,
                                       const KernelPositions& positions) {
  FeatureMaps<Scalar> result = empty_maps<Scalar>("convolve", maps.images, positions.output(), maps.channels());
  result.values.setZero();
  for (Index pixel = 0; pixel < result.values.cols(); ++pixel)
    positions.visit(pixel, [&](Index position, Index source) {
      result.values.col(pixel).array() += weights.col(position).array() * maps.values.col(source).array();
    });
  return result;
}

/// How many columns of so many entries stand in memory at a time: what stays in the cache, and is worth a product.
inline Index pixels_per_block(Index entries) { return std::clamp(Index{65536} / entries, Index{32}, Index{4096}); }

}  // namespace detail

/// What a kernel of `kernel_size` rows and columns sees, with zeros outside of the images: a column for every output
/// pixel, that holds the channels of the kernel's positions, row by row: entry `position * C + channel`. In memory this
/// is the column-major tensor C x (kh kw) x (output pixels). The geometry's groups play no part.
/// Errors: maps that are empty or do not fit together, those of `output_size`.
template <typename Scalar>
Matrix<Scalar> patches(const FeatureMaps<Scalar>& maps, const std::array<Index, 2>& kernel_size,
                       const ConvolutionGeometry& geometry = {}) {
  maps.validate("patches");
  const detail::KernelPositions positions({maps.rows, maps.columns}, kernel_size, geometry);
  const Index pixels = detail::checked_size("patches", {maps.images, positions.output()[0], positions.output()[1]});
  detail::checked_size("patches", {maps.channels(), positions.count(), pixels});
  Matrix<Scalar> result(positions.count() * maps.channels(), pixels);
  detail::gather_patches(maps, positions, 0, 0, maps.channels(), Scalar(0), result);
  return result;
}

/// The convolution of the maps with a kernel `O x I/groups x kh x kw`, in either storage order, of the maps' scalar
/// type (float or double); a linear layer's weights `O x I` are a kernel of one position. As PyTorch and ONNX define
/// it: `y(o, p) = sum over i, position of kernel(o, i, position) x(i, p * stride - padding + position * dilation)`, x
/// being 0 outside of the image, i over the input channels of o's group. Errors: maps that are empty or do not fit
/// together, a kernel of another order, channels that do not fit the kernel and the groups, those of `output_size`.
/// Cost: `2 O I/groups kh kw` flops an output pixel; memory for the patches of some output pixels, about 65536 entries.
template <typename Scalar, typename Kernel>
FeatureMaps<Scalar> convolve(const FeatureMaps<Scalar>& maps, const Kernel& kernel,
                             const ConvolutionGeometry& geometry = {}) {
  maps.validate("convolve");
  geometry.validate();
  const Index groups = geometry.groups;
  const detail::KernelEntries<Scalar> entries("convolve", detail::floating_point_view<Scalar>(kernel), groups);
  if (maps.channels() % groups != 0 || entries.inputs != maps.channels() / groups)
    detail::fail("convolve", "a kernel for ", entries.inputs, " input channels in each of ", groups,
                 " groups needs maps of ", entries.inputs * groups, " channels, got ", maps.channels());
  const detail::KernelPositions positions({maps.rows, maps.columns}, entries.size, geometry);
  const Index outputs = entries.outputs / groups, inputs = entries.inputs;
  if (inputs == 1 && outputs == 1) {
    Matrix<Scalar> weights(groups, positions.count());
    for (Index k = 0; k < weights.size(); ++k) weights.data()[k] = entries.entry(k % groups, 0, k / groups);
    return detail::convolve_depthwise(maps, weights, positions);
  }
  auto result = detail::empty_maps<Scalar>("convolve", maps.images, positions.output(), entries.outputs);
  const Index block = detail::pixels_per_block(positions.count() * inputs);
  Matrix<Scalar> gathered;
  for (Index group = 0; group < groups; ++group) {
    const Matrix<Scalar> weights = entries.matrix(group * outputs, outputs);
    if (positions.is_pointwise()) {
      result.values.middleRows(group * outputs, outputs).noalias() =
          weights * maps.values.middleRows(group * inputs, inputs);
      continue;
    }
    for (Index begin = 0; begin < result.values.cols(); begin += block) {
      const Index count = std::min(block, result.values.cols() - begin);
      gathered.resize(weights.cols(), count);
      detail::gather_patches(maps, positions, begin, group * inputs, inputs, Scalar(0), gathered);
      result.values.block(group * outputs, begin, outputs, count).noalias() = weights * gathered;
    }
  }
  return result;
}

}  // namespace qaf
