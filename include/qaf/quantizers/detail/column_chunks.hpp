#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include <qaf/error.hpp>
#include <qaf/quantizers/granularity.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

// Columns are encoded and decoded in chunks, which stay in the fastest memory from step to step. All are of one size,
// known to the compiler, which then makes vector instructions of plain loops at any level of optimization; the last one
// of a column is filled up.

inline constexpr int chunk_size = 128;
template <typename Scalar>
using Chunk = Eigen::Array<Scalar, chunk_size, 1>;
template <typename Scalar>
using ChunkMap = Eigen::Map<const Chunk<Scalar>>;

/// The parameters of groups spread over the entries of a column, one column after the other.
template <typename Scalar>
class SpreadOverColumns {
 public:
  explicit SpreadOverColumns(const Groups& groups)
      : groups_(groups), entries_((groups.is_one_of_column() ? 1 : groups.rows / chunk_size + 1) * chunk_size) {
    entries_.setOnes();
  }

  /// Goes on to column r. With `inverse` to the inverses of the parameters, rounded to the scalar type.
  template <typename Values>
  void set_column(const Values& of_groups, Index r, bool inverse = false) {
    if (r > 0 && !groups_.are_of_columns()) return;
    const bool is_one = groups_.is_one_of_column();
    const Index used = is_one ? chunk_size : groups_.rows;
    const Index size = is_one ? chunk_size : groups_.granularity == Granularity::block ? groups_.block_size : 1;
    const auto* group = of_groups.data() + groups_.of(0, r);
    for (Index begin = 0; begin < used; begin += size, ++group) {
      const Scalar value = static_cast<Scalar>(*group);
      std::fill_n(entries_.data() + begin, std::min(size, used - begin), inverse ? 1 / value : value);
    }
  }

  /// Those of the chunk that begins at that row.
  ChunkMap<Scalar> chunk(Index begin) const {
    return ChunkMap<Scalar>(entries_.data() + (groups_.is_one_of_column() ? 0 : begin));
  }

 private:
  Groups groups_;
  Eigen::Array<Scalar, Eigen::Dynamic, 1> entries_;
};

/// Calls `convert(entries of the chunk, its first row, where to write)` for each chunk of a column.
template <typename From, typename To, typename Convert>
void convert_chunks(const From* column, Index size, To* result, const Convert& convert) {
  Index begin = 0;
  for (; begin + chunk_size <= size; begin += chunk_size) convert(column + begin, begin, result + begin);
  if (begin == size) return;
  std::array<From, chunk_size> rest{};
  std::array<To, chunk_size> converted;
  std::copy_n(column + begin, size - begin, rest.data());
  convert(rest.data(), begin, converted.data());
  std::copy_n(converted.data(), size - begin, result + begin);
}

/// Writes codes for a column. `convert(values, begin, codes)` finds those of a chunk, as scalars. Throws where an entry
/// is not finite.
template <typename Scalar, typename Code, typename Convert>
void encode_column(const char* function, const Scalar* column, Index size, Code* codes, const Convert& convert) {
  convert_chunks(column, size, codes, [&](const Scalar* from, Index begin, Code* to) {
    const ChunkMap<Scalar> values(from);
    // NOLINTNEXTLINE(misc-redundant-expression): NaN for NaN and infinity
    if (!((values - values).sum() == 0)) fail(function, "every entry must be finite, got NaN or infinity");
    Chunk<Scalar> converted;
    convert(values, begin, converted);
    std::array<Code, chunk_size> narrow;
    for (std::size_t k = 0; k < narrow.size(); ++k)
      narrow[k] = static_cast<Code>(static_cast<std::int32_t>(converted.data()[k]));
    std::copy_n(narrow.data(), chunk_size, to);
  });
}

/// Writes values for a column of codes. `convert(codes, begin)` are those of a chunk, of codes that are floats.
template <typename Code, typename Convert>
void decode_column(const Code* column, Index size, float* values, const Convert& convert) {
  convert_chunks(column, size, values, [&](const Code* from, Index begin, float* to) {
    std::array<Code, chunk_size> narrow;
    std::copy_n(from, chunk_size, narrow.data());
    Chunk<float> wide;
    for (std::size_t k = 0; k < narrow.size(); ++k) wide.data()[k] = static_cast<float>(narrow[k]);
    Eigen::Map<Chunk<float>>{to} = convert(wide, begin);
  });
}

}  // namespace qaf::detail
