#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include <Eigen/Core>

#include <qaf/io/detail/stored_factor.hpp>
#include <qaf/quantizers/compact_scales.hpp>
#include <qaf/quantizers/granularity.hpp>
#include <qaf/quantizers/uniform.hpp>
#include <qaf/types.hpp>

// What the quantizers of a model file have in common: their groups, scales and codes.
namespace qaf::detail::model_file {

// Scales are a matrix of which row `i / rows_per_scale` belongs to row i of the codes; one column for each of theirs,
// or one for all.

inline std::pair<Index, Index> shape_of_scales(const Groups& groups) {
  switch (groups.granularity) {
    case Granularity::tensor:
      return {1, 1};
    case Granularity::component:
      return {1, groups.cols};
    case Granularity::row:
      return {groups.rows, 1};
    case Granularity::block:
      return {groups.blocks_of_column(), groups.cols};
  }
  return {1, 1};
}

inline Index rows_per_scale(const Groups& groups) {
  if (groups.granularity == Granularity::row) return 1;
  return groups.granularity == Granularity::block ? groups.block_size : std::max(groups.rows, Index{1});
}

/// Adds values of groups, which are numbered as the matrix of them lies in memory.
template <typename Stored, typename Value>
void add_values(FactorWriter& writer, const char* part, const Groups& groups, const Vector<Value>& values) {
  const auto [rows, cols] = shape_of_scales(groups);
  writer.tensors.push_back(
      NamedTensor::stored_as<Stored>(writer.name + part, values.data(), {rows, cols}, StorageOrder::column_major));
}

template <typename Value>
Vector<Value> read_values(const FactorReader& reader, const char* part, const Groups& groups) {
  const auto [rows, cols] = shape_of_scales(groups);
  const Matrix<Value> values = reader.matrix<Value>(part, rows, cols);
  return Eigen::Map<const Vector<Value>>(values.data(), values.size());
}

template <typename Half>
bool holds_all(const Vector<float>& values) {
  return std::all_of(values.data(), values.data() + values.size(),
                     [](float value) { return static_cast<float>(static_cast<Half>(value)) == value; });
}

inline void add_scales(FactorWriter& writer, const Groups& groups, const ScaleParameters& parameters) {
  check_scales("add_quantized_model", groups, parameters);
  writer.fields["granularity"] = to_string(groups.granularity);
  writer.fields["rows_per_scale"] = rows_per_scale(groups);
  if (writer.scale_format == ScaleFormat::float16 && holds_all<Eigen::half>(parameters.scales))
    add_values<Eigen::half>(writer, "scales", groups, parameters.scales);
  else if (writer.scale_format == ScaleFormat::bfloat16 && holds_all<Eigen::bfloat16>(parameters.scales))
    add_values<Eigen::bfloat16>(writer, "scales", groups, parameters.scales);
  else
    add_values<float>(writer, "scales", groups, parameters.scales);
}

inline Granularity read_granularity(const FactorReader& reader) {
  const std::string text = reader.text("granularity");
  for (const Granularity granularity :
       {Granularity::tensor, Granularity::component, Granularity::row, Granularity::block})
    if (text == to_string(granularity)) return granularity;
  reader.fail("has the unknown granularity '", printable(text), "'");
}

/// Sets what tells the groups of a quantizer.
template <typename Quantizer>
void read_groups(const FactorReader& reader, Quantizer& quantizer) {
  quantizer.granularity = read_granularity(reader);
  if (quantizer.granularity == Granularity::block)
    quantizer.block_size = reader.integer("rows_per_scale", 1, std::numeric_limits<Index>::max());
}

template <typename Quantizer>
Groups groups_of(const Quantizer& quantizer, Index rows, Index cols) {
  return {quantizer.granularity, quantizer.block_size, rows, cols};
}

inline ScaleParameters read_scales(const FactorReader& reader, const Groups& groups) {
  ScaleParameters parameters{read_values<float>(reader, "scales", groups), groups.per_column()};
  for (const float scale : parameters.scales)
    if (!(scale >= std::numeric_limits<float>::min() && std::isfinite(scale)))
      reader.fail("must have positive, normal and finite scales, got ", scale);
  return parameters;
}

template <typename Quantizer>
void add_kind(FactorWriter& writer, const char* kind, const Quantizer& quantizer, const char* equation) {
  writer.fields["quantizer"] = kind;
  writer.fields["bits"] = quantizer.code_bits();
  writer.fields["lowest_code"] = quantizer.lowest();
  writer.fields["highest_code"] = quantizer.highest();
  writer.fields["equation"] = equation;
}

/// Whether the quantizer has the codes that the file tells of.
template <typename Quantizer>
bool has_range_of(const FactorReader& reader, const Quantizer& quantizer) {
  constexpr Index far = Index{1} << 16;
  return reader.integer("lowest_code", -far, far) == quantizer.lowest() &&
         reader.integer("highest_code", -far, far) == quantizer.highest();
}

}  // namespace qaf::detail::model_file
