#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <qaf/detail/huge_pages.hpp>
#include <qaf/error.hpp>
#include <qaf/types.hpp>

namespace qaf {
namespace detail {

/// "64 x 64 x 9".
inline std::string shape_text(const std::vector<Index>& dimensions) {
  std::string text;
  for (const Index size : dimensions) {
    if (!text.empty()) text += " x ";
    text += std::to_string(size);
  }
  return text.empty() ? "no modes" : text;
}

/// The product of the sizes. Errors, in the name of `function`: a negative size, or a product that
/// no index can hold.
inline Index checked_size(const char* function, const std::vector<Index>& dimensions) {
  Index size = 1;
  bool empty = false;
  for (const Index length : dimensions) {
    if (length < 0) fail(function, "sizes must not be negative, got ", shape_text(dimensions));
    empty = empty || length == 0;
    if (length == 0) continue;
    if (size > std::numeric_limits<Index>::max() / length)
      fail(function, "a tensor of ", shape_text(dimensions), " has more entries than an index can count");
    size *= length;
  }
  return empty ? 0 : size;
}

}  // namespace detail

/// A tensor that owns its entries: what the library gives back (a reconstruction, a file's content).
/// Any order, the order being a run-time value. To go on with Eigen, map it:
/// `Eigen::TensorMap<Eigen::Tensor<float, 3>>(tensor.data(), 64, 64, 9)` for a column-major one.
template <typename Scalar_>
class DenseTensor {
 public:
  /// The type of an entry.
  using Scalar = Scalar_;

  /// No modes and no entries.
  DenseTensor() = default;

  /// All entries zero. Errors: a negative size, or more entries than an index can count.
  explicit DenseTensor(std::vector<Index> dimensions, StorageOrder storage_order = StorageOrder::column_major)
      : dimensions_(std::move(dimensions)), storage_order_(storage_order) {
    const Index size = detail::checked_size("DenseTensor", dimensions_);
    entries_.reserve(static_cast<std::size_t>(size));
    detail::advise_huge_pages(entries_.data(), size);
    entries_.resize(static_cast<std::size_t>(size));
  }

  /// The number of modes.
  Index order() const { return static_cast<Index>(dimensions_.size()); }

  /// The number of entries.
  Index size() const { return static_cast<Index>(entries_.size()); }

  /// The size of every mode.
  const std::vector<Index>& dimensions() const { return dimensions_; }

  /// Which index changes fastest in memory.
  StorageOrder storage_order() const { return storage_order_; }

  /// The entries in storage order.
  Scalar* data() { return entries_.data(); }
  /// The entries in storage order.
  const Scalar* data() const { return entries_.data(); }

  /// The same entries in the same places of memory under other sizes, as numpy's `reshape` of a
  /// contiguous array in its own order. Errors: another number of entries.
  void reshape(std::vector<Index> dimensions) {
    if (detail::checked_size("DenseTensor::reshape", dimensions) != size())
      detail::fail("DenseTensor::reshape", "the new sizes must hold the same ", size(), " entries, got ",
                   detail::shape_text(dimensions));
    dimensions_ = std::move(dimensions);
  }

 private:
  std::vector<Scalar> entries_;
  std::vector<Index> dimensions_;
  StorageOrder storage_order_ = StorageOrder::column_major;
};

/// The same tensor, its entries laid out in `storage_order`. Cost: one pass.
template <typename Scalar>
DenseTensor<Scalar> with_storage_order(const DenseTensor<Scalar>& tensor, StorageOrder storage_order) {
  if (tensor.storage_order() == storage_order) return tensor;
  DenseTensor<Scalar> result(tensor.dimensions(), storage_order);
  // Walk the target in its own order; `index` counts in that order, `strides` are the source's.
  const std::size_t order = tensor.dimensions().size();
  const bool to_row_major = storage_order == StorageOrder::row_major;
  const auto fastest_first = [&](std::size_t k) { return to_row_major ? order - 1 - k : k; };
  std::vector<Index> strides(order), index(order, 0);
  Index stride = 1;
  for (std::size_t k = 0; k < order; ++k) {
    const std::size_t mode = to_row_major ? k : order - 1 - k;
    strides[mode] = stride;
    stride *= tensor.dimensions()[mode];
  }
  Index source = 0;
  for (Index target = 0; target < tensor.size(); ++target) {
    result.data()[target] = tensor.data()[source];
    for (std::size_t k = 0; k < order; ++k) {
      const std::size_t mode = fastest_first(k);
      source += strides[mode];
      if (++index[mode] < tensor.dimensions()[mode]) break;
      source -= strides[mode] * tensor.dimensions()[mode];
      index[mode] = 0;
    }
  }
  return result;
}

}  // namespace qaf
