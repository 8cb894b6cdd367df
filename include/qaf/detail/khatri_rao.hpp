#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include <qaf/types.hpp>

namespace qaf::detail {

/// The largest number of scalars in a temporary block: 2 MiB of float, about a core's own cache.
inline constexpr Index block_entries = Index{1} << 19;

/// How many rows of `row_size` scalars fit a temporary block: at least 1, at most `rows`.
inline Index rows_per_block(Index rows, Index row_size) {
  return std::clamp(block_entries / std::max<Index>(row_size, 1), Index{1}, std::max<Index>(rows, 1));
}

/// The Khatri-Rao (column-wise Kronecker) product of some factors, read slab by slab so that it never
/// stands in memory as a whole. The row index runs over the factors' rows, the first factor's fastest.
template <typename Scalar>
class KhatriRao {
 public:
  /// `factors` must outlive this; with none the product is one row of ones.
  KhatriRao(std::vector<const Matrix<Scalar>*> factors, Index rank) : factors_(std::move(factors)), rank_(rank) {
    for (const Matrix<Scalar>* factor : factors_) rows_ *= factor->rows();
  }

  Index rows() const { return rows_; }

  /// Rows `begin .. begin + count - 1` (`count x R`), valid until the next call. Cost: `count R (N - 1)`
  /// multiplications, none where the same slab is asked for again.
  const Matrix<Scalar>& slab(Index begin, Index count) {
    if (begin == begin_ && count == slab_.rows()) return slab_;
    begin_ = begin;
    slab_.resize(count, rank_);
    if (factors_.empty()) {
      slab_.setOnes();
      return slab_;
    }
    const Matrix<Scalar>& fast = *factors_.front();
    for (Index row = 0; row < count;) {
      const Index position = begin + row;
      const Index offset = position % fast.rows();
      const Index run = std::min(fast.rows() - offset, count - row);
      if (factors_.size() == 1) {
        slab_.middleRows(row, run) = fast.middleRows(offset, run);
      } else {
        slow_row(position / fast.rows());
        slab_.middleRows(row, run) = fast.middleRows(offset, run) * slow_.asDiagonal();
      }
      row += run;
    }
    return slab_;
  }

 private:
  // The product of the rows of all factors but the first, at the combined index `position`.
  void slow_row(Index position) {
    slow_.setOnes(rank_);
    for (std::size_t k = 1; k < factors_.size(); ++k) {
      const Matrix<Scalar>& factor = *factors_[k];
      slow_.array() *= factor.row(position % factor.rows()).transpose().array();
      position /= factor.rows();
    }
  }

  std::vector<const Matrix<Scalar>*> factors_;
  Index rank_;
  Index rows_ = 1;
  Index begin_ = -1;
  Matrix<Scalar> slab_;
  Vector<Scalar> slow_;
};

}  // namespace qaf::detail
