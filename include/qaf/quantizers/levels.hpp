#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include <qaf/quantizers/detail/column_chunks.hpp>
#include <qaf/quantizers/detail/fit_scales.hpp>
#include <qaf/quantizers/detail/level_codes.hpp>
#include <qaf/quantizers/detail/nearest_level.hpp>
#include <qaf/quantizers/granularity.hpp>
#include <qaf/quantizers/scale_method.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// The quantizer of a table of levels: `real = scale * level[code]`, the code the number of the nearest level, 0 for
/// the lowest, exact ties to the lower one.
///
/// * Codes: 0 .. count of levels - 1, in as few bits as hold them.
/// * Scale for a magnitude t: the one at which the level farthest from 0 is t. The methods of least error are those of
///   `ScaleMethod`.
/// * A group of zeros: scale 1, the code of level 0. A table without a level 0 (binary) gives such a group the
///   smallest normal float.
///
/// `Table` is a struct with `validate()` and `levels()`: 2 to 256 of them, ascending, on both sides of 0 or at it, the
/// farthest at magnitude 1. Cost: `fit` as the uniform quantizer, times a comparison for every level, but for least
/// squares of groups of more than 512 entries, which are sorted into bins: 3 such passes; `encode` a comparison for
/// every level, `log2` of them for tables of more than 33.
template <typename Table>
struct LevelQuantizer {
  /// The type of a code.
  using Code = std::uint8_t;
  /// What decoding needs besides the codes.
  using Parameters = ScaleParameters;

  Table table;                                            ///< the levels
  Granularity granularity = Granularity::component;       ///< which entries share a scale
  Index block_size = 32;                                  ///< entries of a block, where granularity is `block`
  ScaleMethod scale_method = ScaleMethod::least_squares;  ///< how scales are chosen
  double percentile = 99.9;  ///< above 0, at most 100, where `scale_method` is `percentile`

  /// The lowest code.
  int lowest() const { return 0; }
  /// The highest code.
  int highest() const { return static_cast<int>(table.levels().size()) - 1; }
  /// Bits of a packed code.
  int code_bits() const {
    int bits = 0;
    while ((1 << bits) <= highest()) ++bits;
    return bits;
  }
  /// Bits of the scales: 32 each, none where they merge into the weights of a model.
  Index parameter_bits(const Parameters& parameters) const {
    return 32 * detail::count_beside_weights(granularity, parameters.scales.size());
  }

  /// Errors: a field out of its range.
  void validate() const {
    table.validate();
    detail::check_levels(table.levels());
    detail::check_block_size("LevelQuantizer", granularity, block_size);
    detail::check_percentile("LevelQuantizer", scale_method, percentile);
  }

  /// Scales for the values of a matrix. Errors: a field out of its range, NaN or infinity, values whose scale no float
  /// can hold.
  template <typename Derived>
  Parameters fit(const Eigen::MatrixBase<Derived>& matrix) const {
    using Scalar = typename Derived::Scalar;
    validate();
    const detail::Groups groups = groups_of(matrix.rows(), matrix.cols());
    const detail::NearestLevel<Scalar> nearest(table.levels());
    const bool has_zero = std::find(nearest.levels.begin(), nearest.levels.end(), 0.0F) != nearest.levels.end();
    return {detail::fit_scales<Scalar>("LevelQuantizer::fit", matrix.derived(), groups, nearest, 1, scale_method,
                                       percentile,
                                       [&](double scale) {
                                         constexpr float smallest = std::numeric_limits<float>::min();
                                         return scale == 0 && has_zero ? 1 : detail::as_scale(scale, smallest, 1);
                                       }),
            groups.per_column()};
  }

  /// The codes of a matrix. Errors: a field out of its range, NaN or infinity, another number of scales than the matrix
  /// has groups, a scale that is not positive and finite.
  template <typename Derived>
  Matrix<Code> encode(const Eigen::MatrixBase<Derived>& matrix, const Parameters& parameters) const {
    using Scalar = typename Derived::Scalar;
    validate();
    const detail::Groups groups = groups_of(matrix.rows(), matrix.cols());
    detail::check_scales("LevelQuantizer::encode", groups, parameters);
    const std::vector<float> levels = table.levels();
    const std::vector<Scalar> midpoints = detail::midpoints_of<Scalar>(levels.data(), highest() + 1);
    detail::SpreadOverColumns<Scalar> scales(groups);
    const Eigen::Ref<const Matrix<Scalar>> values = matrix.derived();
    Matrix<Code> codes(matrix.rows(), matrix.cols());
    for (Index r = 0; r < codes.cols(); ++r) {
      scales.set_column(parameters.scales, r);
      detail::encode_column("LevelQuantizer::encode", values.col(r).data(), codes.rows(), codes.col(r).data(),
                            [&](const auto& chunk, Index begin, auto& numbers) {
                              const detail::Chunk<Scalar> quotients = chunk / scales.chunk(begin);
                              detail::nearest_levels(quotients, midpoints, numbers);
                            });
    }
    return codes;
  }

  /// What the codes stand for. Errors: another number of scales than the codes have groups, a scale that is not
  /// positive and finite, a code that has no level.
  Matrix<float> decode(const Matrix<Code>& codes, const Parameters& parameters) const {
    validate();
    const detail::Groups groups = groups_of(codes.rows(), codes.cols());
    detail::check_scales("LevelQuantizer::decode", groups, parameters);
    const std::vector<float> levels = table.levels();
    detail::check_level_codes("LevelQuantizer::decode", codes, levels.size());
    std::array<float, 256> padded{};
    std::copy(levels.begin(), levels.end(), padded.begin());
    detail::SpreadOverColumns<float> scales(groups);
    Matrix<float> values(codes.rows(), codes.cols());
    for (Index r = 0; r < codes.cols(); ++r) {
      scales.set_column(parameters.scales, r);
      detail::decode_levels(
          codes.col(r).data(), codes.rows(), padded, [&](Index begin) { return scales.chunk(begin); },
          values.col(r).data());
    }
    return values;
  }

  /// Optional part of the contract: the parameters of column r alone, of a factor of any size.
  Parameters column_parameters(const Parameters& parameters, Index r) const {
    return {detail::values_of_column(granularity, parameters.scales, parameters.per_column, r), parameters.per_column};
  }

  /// Optional part of the contract: gives column r parameters of its own. Returns false, and does nothing, where
  /// columns share scales.
  bool set_column_parameters(Parameters& parameters, Index r, const Parameters& column) const {
    return detail::set_values_of_column(granularity, parameters.scales, parameters.per_column, r, column.scales);
  }

 private:
  detail::Groups groups_of(Index rows, Index cols) const { return {granularity, block_size, rows, cols}; }
};

}  // namespace qaf
