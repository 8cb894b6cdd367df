#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include <qaf/dense_tensor.hpp>
#include <qaf/error.hpp>
#include <qaf/types.hpp>

namespace qaf {

template <typename Scalar>
class WeightedTensor;

/// What the solvers read: a tensor of order N >= 2 that lies in memory without gaps, owned by
/// somebody else. Copying a view copies no entry, and the entries must outlive it.
///
/// The order is a run-time value: one instantiation per scalar type serves tensors of any order, and
/// files whose order is only known when they are opened.
template <typename Scalar_>
class TensorView {
 public:
  /// The type of an entry.
  using Scalar = Scalar_;

  /// Views `prod(dimensions)` entries at `data`. Errors: fewer than 2 modes, an empty mode, a null
  /// pointer, more entries than an index can count.
  TensorView(const Scalar* data, std::vector<Index> dimensions, StorageOrder storage_order)
      : data_(data), dimensions_(std::move(dimensions)), storage_order_(storage_order) {
    if (dimensions_.size() < 2)
      detail::fail("TensorView", "a tensor must have at least 2 modes, got ", detail::shape_text(dimensions_));
    size_ = detail::checked_size("TensorView", dimensions_);
    if (size_ == 0)
      detail::fail("TensorView", "every mode must have at least 1 entry, got ", detail::shape_text(dimensions_));
    if (data_ == nullptr) detail::fail("TensorView", "data must not be a null pointer");
  }

  /// The number of modes, N.
  Index order() const { return static_cast<Index>(dimensions_.size()); }

  /// The number of entries, `I_1 I_2 ... I_N`.
  Index size() const { return size_; }

  /// The sizes `I_1 .. I_N`.
  const std::vector<Index>& dimensions() const { return dimensions_; }

  /// `I_n`, for `mode` from 0 to N - 1.
  Index dimension(Index mode) const { return dimensions_[static_cast<std::size_t>(mode)]; }

  /// Which index changes fastest in memory.
  StorageOrder storage_order() const { return storage_order_; }

  /// The entries in storage order.
  const Scalar* data() const { return data_; }

 private:
  const Scalar* data_;
  std::vector<Index> dimensions_;
  StorageOrder storage_order_;
  Index size_ = 0;
};

namespace detail {

template <typename T, typename = void>
struct IsEigenTensor : std::false_type {};

// Eigen's Tensor, TensorMap and TensorFixedSize are told by their members, so that this header
// needs no more than Eigen/Core; expressions of tensors have no data() and stay outside.
template <typename T>
struct IsEigenTensor<
    T, std::void_t<typename T::Scalar, decltype(T::NumDimensions), decltype(T::Layout),
                   decltype(std::declval<const T&>().data()), decltype(std::declval<const T&>().dimensions())>>
    : std::true_type {};

template <typename T>
struct IsEigenMatrix : std::is_base_of<Eigen::EigenBase<T>, T> {};

template <typename T>
struct IsWeightedTensor : std::false_type {};
template <typename Scalar>
struct IsWeightedTensor<WeightedTensor<Scalar>> : std::true_type {};

template <typename T>
struct IsTensorView : std::false_type {};
template <typename Scalar>
struct IsTensorView<TensorView<Scalar>> : std::true_type {};

template <typename T>
struct IsDenseTensor : std::false_type {};
template <typename Scalar>
struct IsDenseTensor<DenseTensor<Scalar>> : std::true_type {};

template <typename T>
inline constexpr bool dependent_false = false;

template <typename T>
StorageOrder eigen_tensor_storage_order() {
  return static_cast<int>(T::Layout) == static_cast<int>(Eigen::RowMajor) ? StorageOrder::row_major
                                                                          : StorageOrder::column_major;
}

/// A mode's number as whatever integer type is asked for: Eigen's tensors do not agree on one.
struct ModeNumber {
  int value;
  template <typename Integer>
  operator Integer() const {
    return static_cast<Integer>(value);
  }
};

template <typename T>
std::vector<Index> eigen_tensor_dimensions(const T& tensor) {
  std::vector<Index> dimensions;
  for (int mode = 0; mode < static_cast<int>(T::NumDimensions); ++mode)
    dimensions.push_back(static_cast<Index>(tensor.dimension(ModeNumber{mode})));
  return dimensions;
}

}  // namespace detail

/// A view of anything the library takes for a tensor: an `Eigen::Tensor`, `TensorMap` or
/// `TensorFixedSize` of order 2 or more, an Eigen matrix, `Map`, `Ref` or `Block` without gaps between
/// its columns (rows, where it is row-major), a `DenseTensor`, or a view. Nothing is copied.
/// Errors: those of `TensorView`, and a matrix with gaps.
template <typename Tensor>
auto tensor_view(const Tensor& tensor) {
  if constexpr (detail::IsTensorView<Tensor>::value) {
    return tensor;
  } else if constexpr (detail::IsDenseTensor<Tensor>::value) {
    return TensorView<typename Tensor::Scalar>(tensor.data(), tensor.dimensions(), tensor.storage_order());
  } else if constexpr (detail::IsEigenTensor<Tensor>::value) {
    static_assert(static_cast<int>(Tensor::NumDimensions) >= 2, "qaf: a tensor must have at least 2 modes");
    return TensorView<std::remove_cv_t<typename Tensor::Scalar>>(tensor.data(), detail::eigen_tensor_dimensions(tensor),
                                                                 detail::eigen_tensor_storage_order<Tensor>());
  } else if constexpr (detail::IsEigenMatrix<Tensor>::value) {
    constexpr bool in_memory = (static_cast<unsigned>(Eigen::internal::traits<Tensor>::Flags) &
                                static_cast<unsigned>(Eigen::DirectAccessBit)) != 0;
    static_assert(in_memory, "qaf: a matrix expression has no entries in memory yet; pass expression.eval()");
    const auto& matrix = tensor.derived();
    if (matrix.innerStride() != 1 || (matrix.outerSize() > 1 && matrix.outerStride() != matrix.innerSize()))
      detail::fail("tensor_view", "a matrix must lie in memory without gaps, got ", matrix.rows(), " x ", matrix.cols(),
                   " with inner stride ", matrix.innerStride(), " and outer stride ", matrix.outerStride(),
                   "; pass a copy");
    return TensorView<typename Tensor::Scalar>(
        matrix.data(), {matrix.rows(), matrix.cols()},
        Tensor::IsRowMajor ? StorageOrder::row_major : StorageOrder::column_major);
  } else if constexpr (detail::IsWeightedTensor<Tensor>::value) {
    static_assert(detail::dependent_false<Tensor>, "qaf: this function takes no weighted tensor, only what it views");
  } else {
    static_assert(detail::dependent_false<Tensor>,
                  "qaf: a tensor must be an Eigen::Tensor, TensorMap, an Eigen matrix, a qaf::DenseTensor or a "
                  "qaf::TensorView; evaluate an expression first, and wrap a pointer in qaf::TensorView");
  }
}

namespace detail {

template <typename Tensor>
struct TensorScalarOf {
  using type = typename decltype(tensor_view(std::declval<const Tensor&>()))::Scalar;
};
template <typename Scalar>
struct TensorScalarOf<WeightedTensor<Scalar>> {
  using type = Scalar;
};

/// The scalar type of a weighted tensor, or of anything `tensor_view` takes.
template <typename Tensor>
using TensorScalar = typename TensorScalarOf<Tensor>::type;

/// The view that a function works on, its scalar type checked at compile time: float or double, and
/// that of the model or factors where they come along.
template <typename Expected = void, typename Tensor>
auto floating_point_view(const Tensor& tensor) {
  using Scalar = TensorScalar<Tensor>;
  static_assert(std::is_same_v<Scalar, float> || std::is_same_v<Scalar, double>,
                "qaf: the entries of a tensor must be float or double");
  static_assert(std::is_void_v<Expected> || std::is_same_v<Scalar, Expected>,
                "qaf: a tensor and its model or factors must have the same scalar type");
  return tensor_view(tensor);
}

/// Whether a tensor of that norm lies so near to an end of the scalar's range that products with its entries may leave
/// it.
template <typename Scalar>
bool is_extreme_norm(double norm) {
  constexpr double far = 1e6;
  constexpr double least = std::numeric_limits<Scalar>::min(), most = std::numeric_limits<Scalar>::max();
  return norm < least * far || norm > most / far;
}

/// `|X|_F`, without overflow or underflow on the way. Errors, in the name of `function`: NaN or
/// infinity among the entries, with the position of the first; a norm that `Scalar` cannot hold.
template <typename Scalar>
double frobenius_norm(const char* function, const TensorView<Scalar>& tensor) {
  using Entries = Eigen::Map<const Eigen::Array<Scalar, Eigen::Dynamic, 1>>;
  // Blocks keep the sum in double without a copy of the tensor in double.
  constexpr Index block_size = 4096;
  const auto for_each_block = [&](const auto& visit) {
    for (Index begin = 0; begin < tensor.size(); begin += block_size)
      visit(begin, Entries(tensor.data() + begin, std::min(block_size, tensor.size() - begin)));
  };
  double largest = 0;
  for_each_block([&](Index begin, const Entries& entries) {
    if (!entries.allFinite()) {
      Index first = 0;
      while (std::isfinite(entries[first])) ++first;
      fail(function, "every entry of the tensor must be finite, got ", entries[first], " at position ", begin + first,
           " in storage order");
    }
    largest = std::max(largest, static_cast<double>(entries.abs().maxCoeff()));
  });
  if (largest == 0) return 0;
  double sum = 0;
  for_each_block(
      [&](Index, const Entries& entries) { sum += (entries.template cast<double>() / largest).square().sum(); });
  const double norm = largest * std::sqrt(sum);
  if (!(norm <= static_cast<double>(std::numeric_limits<Scalar>::max())))
    fail(function, "the norm of the tensor must be within the range of its scalar type, got ", norm);
  return norm;
}

}  // namespace detail
}  // namespace qaf
