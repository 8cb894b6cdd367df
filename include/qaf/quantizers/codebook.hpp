#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <qaf/error.hpp>
#include <qaf/quantizers/detail/column_chunks.hpp>
#include <qaf/quantizers/detail/group_values.hpp>
#include <qaf/quantizers/detail/least_error_cuts.hpp>
#include <qaf/quantizers/detail/level_codes.hpp>
#include <qaf/quantizers/detail/sorted_values.hpp>
#include <qaf/quantizers/granularity.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// A table of levels for every group of entries.
struct CodebookParameters {
  Matrix<float> levels;  ///< `2^bits` x groups, every column ascending

  /// Whether all levels are equal.
  friend bool operator==(const CodebookParameters& a, const CodebookParameters& b) {
    return a.levels.rows() == b.levels.rows() && a.levels.cols() == b.levels.cols() && a.levels == b.levels;
  }
  /// Whether any differs.
  friend bool operator!=(const CodebookParameters& a, const CodebookParameters& b) { return !(a == b); }
};

/// A learned codebook: `real = level[code]`, the levels of a group found by k-means.
///
/// * Codes: 0 .. 2^bits - 1, the number of the nearest level, exact ties to the lower one.
/// * Levels: the means of the entries they stand for. Those of least squared error in a group of up to 256 entries; in
///   a longer one the best from cuts at some 256 places, then entries are assigned anew until nothing changes or
///   `max_iterations` is reached (Lloyd 1982), which never raises the squared error.
/// * A group of zeros: all levels 0.
///
/// The levels are stored beside the codes: with 32 bits each they cost more than the codes of a short column.
/// Cost: `fit` one sort of every group, for every level some steps an entry, of 256 entries at the most, and for every
/// level and iteration the entries by which it grows or shrinks;
/// `encode` as `LevelQuantizer`.
struct CodebookQuantizer {
  /// The type of a code.
  using Code = std::uint8_t;
  /// What decoding needs besides the codes.
  using Parameters = CodebookParameters;

  int bits = 4;                                   ///< of a code, 1 to 8
  Granularity granularity = Granularity::tensor;  ///< tensor or component
  Index max_iterations = 100;                     ///< 1 or more

  /// The lowest code.
  int lowest() const { return 0; }
  /// The highest code.
  int highest() const { return (1 << bits) - 1; }
  /// Bits of a packed code.
  int code_bits() const { return bits; }
  /// Bits of the levels, 32 each.
  Index parameter_bits(const Parameters& parameters) const { return 32 * parameters.levels.size(); }

  /// Errors: a field out of its range.
  void validate() const {
    if (bits < 1 || bits > 8) detail::fail("CodebookQuantizer", "bits must be from 1 to 8, got ", bits);
    if (granularity != Granularity::tensor && granularity != Granularity::component)
      detail::fail("CodebookQuantizer", "granularity must be tensor or component, got ", to_string(granularity));
    if (max_iterations < 1)
      detail::fail("CodebookQuantizer", "max_iterations must be at least 1, got ", max_iterations);
  }

  /// Levels for the values of a matrix. Errors: a field out of its range, NaN or infinity, values out of float's range.
  template <typename Derived>
  Parameters fit(const Eigen::MatrixBase<Derived>& matrix) const {
    validate();
    using Scalar = typename Derived::Scalar;
    const detail::Groups groups = groups_of(matrix.rows(), matrix.cols());
    Parameters parameters{Matrix<float>(highest() + 1, groups.count())};
    detail::visit_groups<Scalar>(
        "CodebookQuantizer::fit", matrix.derived(), groups,
        [&](Index k, const detail::GroupValues<Scalar>& group) { parameters.levels.col(k) = fit_group(group); });
    return parameters;
  }

  /// The codes of a matrix. Errors: a field out of its range, NaN or infinity, another number of tables than the matrix
  /// has groups.
  template <typename Derived>
  Matrix<Code> encode(const Eigen::MatrixBase<Derived>& matrix, const Parameters& parameters) const {
    validate();
    using Scalar = typename Derived::Scalar;
    check("CodebookQuantizer::encode", matrix.rows(), matrix.cols(), parameters);
    const Eigen::Ref<const Matrix<Scalar>> values = matrix.derived();
    Matrix<Code> codes(matrix.rows(), matrix.cols());
    std::vector<Scalar> midpoints;
    for (Index r = 0; r < codes.cols(); ++r) {
      if (has_new_table(r)) midpoints = detail::midpoints_of<Scalar>(parameters.levels.col(r).data(), highest() + 1);
      detail::encode_column(
          "CodebookQuantizer::encode", values.col(r).data(), codes.rows(), codes.col(r).data(),
          [&](const auto& chunk, Index, auto& numbers) { detail::nearest_levels<Scalar>(chunk, midpoints, numbers); });
    }
    return codes;
  }

  /// What the codes stand for. Errors: another number of tables than the codes have groups, a code that has no level.
  Matrix<float> decode(const Matrix<Code>& codes, const Parameters& parameters) const {
    validate();
    check("CodebookQuantizer::decode", codes.rows(), codes.cols(), parameters);
    detail::check_level_codes("CodebookQuantizer::decode", codes, static_cast<std::size_t>(parameters.levels.rows()));
    std::array<float, 256> levels{};
    Matrix<float> values(codes.rows(), codes.cols());
    for (Index r = 0; r < codes.cols(); ++r) {
      if (has_new_table(r)) std::copy_n(parameters.levels.col(r).data(), highest() + 1, levels.data());
      detail::decode_levels(
          codes.col(r).data(), codes.rows(), levels, [](Index) { return 1.0F; }, values.col(r).data());
    }
    return values;
  }

  /// Optional part of the contract: the parameters of column r alone, of a factor of any size.
  Parameters column_parameters(const Parameters& parameters, Index r) const {
    return granularity == Granularity::component ? Parameters{parameters.levels.col(r)} : parameters;
  }

  /// Optional part of the contract: gives column r parameters of its own. Returns false, and does nothing, where
  /// columns share their levels.
  bool set_column_parameters(Parameters& parameters, Index r, const Parameters& column) const {
    if (granularity != Granularity::component) return false;
    parameters.levels.col(r) = column.levels;
    return true;
  }

 private:
  static constexpr int few_entries = 256;

  detail::Groups groups_of(Index rows, Index cols) const { return {granularity, 1, rows, cols}; }

  // Whether column r does not have that of the column before.
  bool has_new_table(Index r) const { return r == 0 || granularity == Granularity::component; }

  void check(const char* function, Index rows, Index cols, const Parameters& parameters) const {
    detail::check_count(function, groups_of(rows, cols), "tables of levels", parameters.levels.cols());
    if (parameters.levels.rows() != highest() + 1)
      detail::fail(function, "a table for ", bits, " bits has ", highest() + 1, " levels, got ",
                   parameters.levels.rows());
    if (!parameters.levels.allFinite()) detail::fail(function, "every level must be finite, got NaN or infinity");
  }

  template <typename Scalar>
  Vector<float> fit_group(const detail::GroupValues<Scalar>& group) const {
    const Index count = highest() + 1;
    Vector<double> levels = Vector<double>::Zero(count);
    if (group.size == 0) return levels.cast<float>();
    const detail::SortedValues<Scalar> values(group);
    // Of the entries of each level, and the end.
    std::vector<Index> begins =
        detail::LeastErrorCuts<Scalar>(values, detail::cut_positions(values, Index{few_entries})).cut(count);
    for (Index iteration = 0;; ++iteration) {
      for (Index k = 0; k < count; ++k) {
        const Index begin = begins[static_cast<std::size_t>(k)], end = begins[static_cast<std::size_t>(k) + 1];
        // A level without entries stays where entries are, so that the levels ascend.
        levels[k] = end > begin ? values.sum(begin, end) / static_cast<double>(end - begin)
                                : static_cast<double>(values[std::min(begin, group.size - 1)]);
      }
      if (iteration == max_iterations) break;
      bool is_same = true;
      for (Index k = 1; k < count; ++k) {
        const Scalar midpoint = static_cast<Scalar>((levels[k - 1] + levels[k]) / 2);
        const Index before = begins[static_cast<std::size_t>(k)];
        Index begin = std::max(before, begins[static_cast<std::size_t>(k) - 1]);
        while (begin < group.size && values[begin] <= midpoint) ++begin;
        while (begin > begins[static_cast<std::size_t>(k) - 1] && values[begin - 1] > midpoint) --begin;
        begins[static_cast<std::size_t>(k)] = begin;
        is_same = is_same && begin == before;
      }
      if (is_same) break;
    }
    std::sort(levels.data(), levels.data() + count);
    return levels.cast<float>();
  }
};

}  // namespace qaf
