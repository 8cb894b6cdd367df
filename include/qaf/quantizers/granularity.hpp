#pragma once

#include <algorithm>

#include <qaf/error.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// Which entries of a factor (`I_n x R`) form a group, which has a scale (or other parameters) of its own.
enum class Granularity {
  tensor,     ///< all: 1 group
  component,  ///< those of a column: R groups, whose scales merge into the model's weights
  row,        ///< those of a row: I_n groups
  block       ///< `block_size` successive ones of a column, fewer at its end: `R ceil(I_n / block_size)` groups
};

/// "tensor", "component", "row" or "block".
inline const char* to_string(Granularity granularity) {
  switch (granularity) {
    case Granularity::tensor:
      return "tensor";
    case Granularity::component:
      return "component";
    case Granularity::row:
      return "row";
    case Granularity::block:
      return "block";
  }
  return "unknown";
}

namespace detail {

/// The groups of a matrix. Blocks are numbered down the columns, column after column.
struct Groups {
  Granularity granularity;
  Index block_size;  // used for blocks only, at least 1
  Index rows, cols;

  Index blocks_of_column() const { return rows / block_size + (rows % block_size > 0 ? 1 : 0); }

  /// How many groups a column has to itself, 1 where it has not.
  Index per_column() const { return granularity == Granularity::block ? blocks_of_column() : 1; }

  Index count() const {
    switch (granularity) {
      case Granularity::tensor:
        return 1;
      case Granularity::component:
        return cols;
      case Granularity::row:
        return rows;
      case Granularity::block:
        return blocks_of_column() * cols;
    }
    return 1;
  }

  /// The group of entry (i, r).
  Index of(Index i, Index r) const {
    switch (granularity) {
      case Granularity::tensor:
        return 0;
      case Granularity::component:
        return r;
      case Granularity::row:
        return i;
      case Granularity::block:
        return r * blocks_of_column() + i / block_size;
    }
    return 0;
  }

  /// Whether all entries of a column are of the same.
  bool is_one_of_column() const { return granularity == Granularity::tensor || granularity == Granularity::component; }

  /// Whether columns have groups of their own.
  bool are_of_columns() const { return granularity == Granularity::component || granularity == Granularity::block; }
};

inline void check_block_size(const char* quantizer, Granularity granularity, Index block_size) {
  if (granularity == Granularity::block && block_size < 1)
    fail(quantizer, "block_size must be at least 1, got ", block_size);
}

/// Throws unless there are as many parameters as groups.
inline void check_count(const char* function, const Groups& groups, const char* parameters, Index count) {
  if (count != groups.count())
    fail(function, "a ", groups.rows, " x ", groups.cols, " matrix with granularity ", to_string(groups.granularity),
         " has ", groups.count(), " ", parameters, ", got ", count);
}

/// The parameters of column r's groups, of which each column has `per_column`; all where columns share them.
template <typename Values>
Values values_of_column(Granularity granularity, const Values& values, Index per_column, Index r) {
  const bool own = granularity == Granularity::component || granularity == Granularity::block;
  return own ? Values(values.segment(r * per_column, per_column)) : values;
}

/// Replaces them; false where columns share them. Throws where it is given another number of them.
template <typename Values>
bool set_values_of_column(Granularity granularity, Values& values, Index per_column, Index r, const Values& column) {
  if (granularity != Granularity::component && granularity != Granularity::block) return false;
  if (column.size() != per_column)
    fail("set_column_parameters", "a column has ", per_column, " groups, got parameters of ", column.size());
  values.segment(r * per_column, per_column) = column;
  return true;
}

/// How many of the parameters stay beside the codes: those of columns and of the whole factor merge into the weights of
/// a model.
inline Index count_beside_weights(Granularity granularity, Index count) {
  return granularity == Granularity::row || granularity == Granularity::block ? count : 0;
}

}  // namespace detail
}  // namespace qaf
