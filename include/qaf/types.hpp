#pragma once

#include <Eigen/Core>

/// Quantization-aware factorization: all of the library.
namespace qaf {

/// Sizes, positions and counts: the signed integer Eigen indexes with.
using Index = Eigen::Index;

/// A dense column-major matrix, such as a factor (`I_n x R`).
template <typename Scalar>
using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;

/// A dense column vector, such as the weights of a model (`R`).
template <typename Scalar>
using Vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;

/// Which mode of a tensor lies next to itself in memory.
enum class StorageOrder {
  column_major,  ///< the first index changes fastest (Eigen's default, Fortran)
  row_major      ///< the last index changes fastest (C, the default of numpy and PyTorch)
};

}  // namespace qaf
