#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include <qaf/quantizers/detail/sorted_values.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// Cuts sorted values into successive parts, so that the sum of squared distances from the parts' means is the least:
/// k-means on a line, exactly, by dynamic programming. The best last cut moves up with the end of what is cut, so that
/// each half of a row needs to look at a part of the row before only (Gronlund et al. 2017). Cuts are at given
/// positions only.
template <typename Scalar>
class LeastErrorCuts {
 public:
  /// `positions`: ascending, from 0 to the number of values; all of them for the least error there is.
  LeastErrorCuts(const SortedValues<Scalar>& values, std::vector<Index> positions) : positions_(std::move(positions)) {
    // Sums from 0 outwards, so that small values do not drown in large ones.
    Index zero = 0;
    while (zero < values.size() && values[zero] < Scalar(0)) ++zero;
    std::vector<double> squares(static_cast<std::size_t>(values.size()) + 1, 0);
    const auto square = [&](Index k) { return static_cast<double>(values[k]) * static_cast<double>(values[k]); };
    for (Index k = zero; k < values.size(); ++k)
      squares[static_cast<std::size_t>(k) + 1] = squares[static_cast<std::size_t>(k)] + square(k);
    for (Index k = zero; k > 0; --k)
      squares[static_cast<std::size_t>(k) - 1] = squares[static_cast<std::size_t>(k)] - square(k - 1);
    for (const Index position : positions_) {
      counts_.push_back(static_cast<double>(position));
      sums_.push_back(values.sum(zero, position));
      squares_.push_back(squares[static_cast<std::size_t>(position)]);
    }
  }

  /// Where each of `parts` parts begins, and the end of the last one. Parts beyond the number of positions are empty.
  /// Cost: `parts P log P` means, for P positions.
  std::vector<Index> cut(Index parts) {
    const std::size_t ends = positions_.size(), rows = static_cast<std::size_t>(parts);
    std::vector<Index> begins(rows + 1, positions_.back());
    if (rows >= ends - 1) {
      std::copy(positions_.begin(), positions_.end(), begins.begin());
      return begins;
    }
    error_.assign(ends, 0);
    for (std::size_t end = 1; end < ends; ++end) error_[end] = error_of(0, end);
    last_cuts_.assign(rows, std::vector<std::size_t>(ends, 0));
    for (std::size_t row = 1; row < rows; ++row) {
      before_ = error_;
      fill(row, row + 1, ends - 1, row, ends - 2);
    }
    std::size_t end = ends - 1;
    for (std::size_t row = rows; row-- > 0;) {
      end = last_cuts_[row][end];
      begins[row] = positions_[end];
    }
    return begins;
  }

 private:
  // Of the values between two positions, about their mean.
  double error_of(std::size_t begin, std::size_t end) const {
    const double sum = sums_[end] - sums_[begin];
    return std::max(squares_[end] - squares_[begin] - sum * sum / (counts_[end] - counts_[begin]), 0.0);
  }

  // The best last cuts of `row + 1` parts that end at positions first .. last; they are among least .. most.
  void fill(std::size_t row, std::size_t first, std::size_t last, std::size_t least, std::size_t most) {
    if (first > last) return;
    const std::size_t end = (first + last) / 2;
    std::size_t best = least;
    double best_error = before_[least] + error_of(least, end);
    for (std::size_t cut = least + 1; cut <= std::min(most, end - 1); ++cut) {
      const double error = before_[cut] + error_of(cut, end);
      if (error < best_error) {
        best = cut;
        best_error = error;
      }
    }
    error_[end] = best_error;
    last_cuts_[row][end] = best;
    fill(row, first, end - 1, least, best);
    fill(row, end + 1, last, best, most);
  }

  std::vector<Index> positions_;
  std::vector<double> counts_, sums_, squares_;      // of the values before each position
  std::vector<double> error_, before_;               // of so many parts that end at each position, and of one less
  std::vector<std::vector<std::size_t>> last_cuts_;  // of each number of parts
};

/// Positions for `LeastErrorCuts`: all, where they are few; else those that cut the values into pieces of about the
/// same number, and of about the same width, so that outliers stand apart.
template <typename Scalar>
std::vector<Index> cut_positions(const SortedValues<Scalar>& values, Index few) {
  const Index size = values.size();
  std::vector<Index> positions;
  if (size <= few) {
    for (Index k = 0; k <= size; ++k) positions.push_back(k);
    return positions;
  }
  const Index pieces = few / 2;
  const double lowest = static_cast<double>(values[0]), highest = static_cast<double>(values[size - 1]);
  const double width = (highest - lowest) / static_cast<double>(pieces);
  Index position = 0;
  for (Index k = 0; k <= pieces; ++k) {
    positions.push_back(size * k / pieces);
    const double edge = lowest + width * static_cast<double>(k);
    while (position < size && static_cast<double>(values[position]) <= edge) ++position;
    positions.push_back(position);
  }
  std::sort(positions.begin(), positions.end());
  positions.erase(std::unique(positions.begin(), positions.end()), positions.end());
  return positions;
}

}  // namespace qaf::detail
