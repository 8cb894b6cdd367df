#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include <qaf/dense_tensor.hpp>
#include <qaf/error.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// Which pixels a convolution's kernel meets, as PyTorch's Conv2d and ONNX's Conv have it (a cross-correlation: the
/// kernel is not flipped). Pairs are of rows and columns.
struct ConvolutionGeometry {
  std::array<Index, 2> stride{1, 1};    ///< pixels from one place of the kernel to the next, at least 1
  std::array<Index, 2> padding{0, 0};   ///< rows and columns of zeros on each side of the image, 0 or more
  std::array<Index, 2> dilation{1, 1};  ///< pixels from one entry of the kernel to the next, at least 1
  /// The channels are cut into so many equal parts, and each part of the outputs sees the same part of the inputs;
  /// as many as channels is a depthwise convolution.
  Index groups = 1;

  /// Errors: a field out of its range (at most 2^31 - 1, so that no sum of them overflows).
  void validate() const {
    for (std::size_t k = 0; k < 2; ++k) {
      check("stride", stride[k], 1);
      check("padding", padding[k], 0);
      check("dilation", dilation[k], 1);
    }
    check("groups", groups, 1);
  }

 private:
  static void check(const char* field, Index value, Index least) {
    if (value < least || value > 2147483647)
      detail::fail("ConvolutionGeometry", field, " must be from ", least, " to 2147483647, got ", value);
  }
};

/// The rows and columns of what a convolution makes of images of `input` rows and columns, for a kernel of `kernel`
/// rows and columns: `floor((input + 2 padding - dilation (kernel - 1) - 1) / stride) + 1`.
/// Errors: those of the geometry, an empty image or kernel, a kernel larger than the padded image.
inline std::array<Index, 2> output_size(const std::array<Index, 2>& input, const std::array<Index, 2>& kernel,
                                        const ConvolutionGeometry& geometry) {
  geometry.validate();
  const auto is_size = [](Index size) { return size >= 1 && size <= 2147483647; };
  if (!std::all_of(kernel.begin(), kernel.end(), is_size) || !std::all_of(input.begin(), input.end(), is_size))
    detail::fail("output_size", "kernel and image must have from 1 to 2147483647 rows and columns, got a kernel of ",
                 detail::shape_text({kernel[0], kernel[1]}), " and an image of ",
                 detail::shape_text({input[0], input[1]}));
  std::array<Index, 2> output{};
  for (std::size_t k = 0; k < 2; ++k) {
    const Index padded = input[k] + 2 * geometry.padding[k], extent = geometry.dilation[k] * (kernel[k] - 1) + 1;
    if (extent > padded)
      detail::fail("output_size", "a kernel over ", extent, k == 0 ? " rows" : " columns",
                   " must fit into the padded image, got ", padded);
    output[k] = (padded - extent) / geometry.stride[k] + 1;
  }
  return output;
}

}  // namespace qaf
