#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include <qaf/convolution/convolve.hpp>
#include <qaf/dense_tensor.hpp>
#include <qaf/error.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// A convolution's kernel as what is factored: for each group a tensor `O/groups x I/groups x (kh kw)`, the kernel's
/// positions row by row; of a linear layer's weights `O x I` a tensor of these two modes. Made by `kernel_tensors`.
template <typename Scalar>
class KernelTensors {
 public:
  /// For `kernel_tensors`: the kernel with its positions as one mode, its entries where they had to be copied, the
  /// groups.
  KernelTensors(TensorView<Scalar> whole, std::vector<Scalar> copy, Index groups)
      : whole_(std::move(whole)), copy_(std::move(copy)), groups_(groups) {}

  /// How many tensors: the groups of the convolution.
  Index size() const { return groups_; }

  /// Whether the tensors view a copy that this object holds, and not the kernel's own entries.
  bool is_copy() const { return !copy_.empty(); }

  /// The tensor of a group, from 0. Its entries must outlive the view: the kernel's, or this object where `is_copy()`.
  TensorView<Scalar> operator[](Index group) const {
    std::vector<Index> sizes = whole_.dimensions();
    sizes[0] /= groups_;
    const Scalar* const entries = is_copy() ? copy_.data() : whole_.data();
    return {entries + group * (whole_.size() / groups_), std::move(sizes), whole_.storage_order()};
  }

 private:
  TensorView<Scalar> whole_;  // O x I/groups x (kh kw), row-major where there are several groups
  std::vector<Scalar> copy_;  // its entries, empty where they need not be copied
  Index groups_;
};

/// The tensors to factor of a kernel `O x I/groups x kh x kw` or of a linear layer's weights `O x I`, in either storage
/// order. Nothing is copied where the kernel is row-major, or where there is one group and the kernel has one row or
/// one column. Errors: a kernel of another order, groups that are not from 1 to O and do not divide it.
template <typename Kernel>
KernelTensors<detail::TensorScalar<Kernel>> kernel_tensors(const Kernel& kernel, Index groups = 1) {
  using Scalar = detail::TensorScalar<Kernel>;
  const TensorView<Scalar> view = detail::floating_point_view(kernel);
  ConvolutionGeometry geometry;
  geometry.groups = groups;
  geometry.validate();
  const detail::KernelEntries<Scalar> entries("kernel_tensors", view, groups);
  const Index positions = entries.size[0] * entries.size[1];
  std::vector<Index> sizes = {entries.outputs, entries.inputs};
  if (view.order() == 4) sizes.push_back(positions);
  const bool is_row_of_positions = entries.size[0] == 1 || entries.size[1] == 1;
  if (view.storage_order() == StorageOrder::row_major || (groups == 1 && is_row_of_positions))
    return {TensorView<Scalar>(view.data(), std::move(sizes), view.storage_order()), {}, groups};
  std::vector<Scalar> copy;
  copy.reserve(static_cast<std::size_t>(view.size()));
  for (Index output = 0; output < entries.outputs; ++output)
    for (Index input = 0; input < entries.inputs; ++input)
      for (Index position = 0; position < positions; ++position) copy.push_back(entries.entry(output, input, position));
  return {TensorView<Scalar>(view.data(), std::move(sizes), StorageOrder::row_major), std::move(copy), groups};
}

/// The kernel `O x I/groups x kh x kw`, row-major, whose groups' tensors are these (`kernel_size`: kh, kw), or that of
/// a linear layer, `O x I` with both 1, from tensors of two modes. The tensors are reconstructions, for example.
/// Errors: no tensor, tensors of different sizes or not of the kernel's.
template <typename Scalar>
DenseTensor<Scalar> kernel_from_tensors(const std::vector<DenseTensor<Scalar>>& tensors,
                                        const std::array<Index, 2>& kernel_size) {
  if (tensors.empty()) detail::fail("kernel_from_tensors", "there must be at least 1 tensor");
  const std::vector<Index> sizes = tensors.front().dimensions();
  const Index positions = detail::checked_size("kernel_from_tensors", {kernel_size[0], kernel_size[1]});
  const bool is_linear = sizes.size() == 2;
  if ((!is_linear && sizes.size() != 3) || positions != (is_linear ? 1 : sizes[2]))
    detail::fail("kernel_from_tensors", "a tensor must be O x I x ", positions, " for a kernel of ", kernel_size[0],
                 " x ", kernel_size[1], is_linear || positions == 1 ? ", or O x I for one of 1 x 1" : "", ", got ",
                 detail::shape_text(sizes));
  const Index groups = static_cast<Index>(tensors.size());
  std::vector<Index> kernel_sizes = {sizes[0] * groups, sizes[1]};
  if (!is_linear) kernel_sizes.insert(kernel_sizes.end(), kernel_size.begin(), kernel_size.end());
  DenseTensor<Scalar> kernel(std::move(kernel_sizes), StorageOrder::row_major);
  Scalar* target = kernel.data();
  for (const DenseTensor<Scalar>& tensor : tensors) {
    if (tensor.dimensions() != sizes)
      detail::fail("kernel_from_tensors", "the tensors of all groups must be ", detail::shape_text(sizes), ", got ",
                   detail::shape_text(tensor.dimensions()));
    const DenseTensor<Scalar> entries = with_storage_order(tensor, StorageOrder::row_major);
    target = std::copy_n(entries.data(), entries.size(), target);
  }
  return kernel;
}

/// The same from one tensor. Errors: as above.
template <typename Scalar>
DenseTensor<Scalar> kernel_from_tensor(const DenseTensor<Scalar>& tensor, const std::array<Index, 2>& kernel_size) {
  return kernel_from_tensors(std::vector<DenseTensor<Scalar>>{tensor}, kernel_size);
}

}  // namespace qaf
