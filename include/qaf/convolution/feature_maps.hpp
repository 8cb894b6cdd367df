#pragma once

#include <qaf/dense_tensor.hpp>
#include <qaf/error.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// A batch of images, or of what a layer made of them: a column of `values` for every pixel, image by image and row by
/// row, that holds the pixel's channels. In memory this is the row-major tensor images x rows x columns x channels
/// ("NHWC"). What a linear layer takes are maps of 1 x 1 pixels.
template <typename Scalar_>
struct FeatureMaps {
  /// The type of a value.
  using Scalar = Scalar_;

  Index images = 0;       ///< how many, 1 or more
  Index rows = 0;         ///< of an image, 1 or more
  Index columns = 0;      ///< of an image, 1 or more
  Matrix<Scalar> values;  ///< channels x (images rows columns)

  /// Values of a pixel.
  Index channels() const { return values.rows(); }

  /// Errors, in the name of `function`: an empty size, another number of pixels than the sizes say.
  void validate(const char* function) const {
    if (images < 1 || rows < 1 || columns < 1 || values.rows() < 1)
      detail::fail(function, "feature maps must have at least 1 image, row, column and channel, got ",
                   detail::shape_text({images, rows, columns, values.rows()}));
    const Index pixels = detail::checked_size(function, {images, rows, columns});
    if (values.cols() != pixels)
      detail::fail(function, "feature maps of ", detail::shape_text({images, rows, columns}),
                   " pixels must have so many columns of values, got ", values.cols());
  }
};

}  // namespace qaf
