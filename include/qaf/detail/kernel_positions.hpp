#pragma once

#include <array>

#include <qaf/convolution_geometry.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// Where a kernel's positions lie in the images, for each pixel of the output.
class KernelPositions {
 public:
  KernelPositions(const std::array<Index, 2>& input, const std::array<Index, 2>& kernel,
                  const ConvolutionGeometry& geometry)
      : input_(input), kernel_(kernel), geometry_(geometry), output_(output_size(input, kernel, geometry)) {}

  /// Rows and columns of an image of the output.
  const std::array<Index, 2>& output() const { return output_; }

  /// The kernel's positions, counted row by row.
  Index count() const { return kernel_[0] * kernel_[1]; }

  /// Calls `visit(position, source)` for the positions that lie within the image, in their order: `source` is the
  /// number of a pixel of the input, `pixel` that of one of the output, each counted over all images.
  template <typename Visit>
  void visit(Index pixel, const Visit& visit) const {
    const Index image = pixel / (output_[0] * output_[1]);
    const Index top = pixel / output_[1] % output_[0] * geometry_.stride[0] - geometry_.padding[0];
    const Index left = pixel % output_[1] * geometry_.stride[1] - geometry_.padding[1];
    for (Index y = 0; y < kernel_[0]; ++y) {
      const Index row = top + y * geometry_.dilation[0];
      if (row < 0 || row >= input_[0]) continue;
      for (Index x = 0; x < kernel_[1]; ++x) {
        const Index column = left + x * geometry_.dilation[1];
        if (column >= 0 && column < input_[1])
          visit(y * kernel_[1] + x, (image * input_[0] + row) * input_[1] + column);
      }
    }
  }

  /// Whether output pixel k sees input pixel k and nothing else.
  bool is_pointwise() const {
    return count() == 1 && geometry_.stride == std::array<Index, 2>{1, 1} &&
           geometry_.padding == std::array<Index, 2>{0, 0};
  }

 private:
  std::array<Index, 2> input_, kernel_;
  ConvolutionGeometry geometry_;
  std::array<Index, 2> output_;
};

}  // namespace qaf::detail
