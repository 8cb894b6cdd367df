#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <qaf/io/detail/stored_factor.hpp>
#include <qaf/io/detail/stored_scales.hpp>
#include <qaf/quantizer.hpp>
#include <qaf/quantizers/affine.hpp>
#include <qaf/quantizers/any.hpp>
#include <qaf/quantizers/codebook.hpp>
#include <qaf/quantizers/compact_scales.hpp>
#include <qaf/quantizers/fixed_levels.hpp>
#include <qaf/quantizers/granularity.hpp>
#include <qaf/quantizers/levels.hpp>
#include <qaf/quantizers/one_of.hpp>
#include <qaf/quantizers/power_of_two.hpp>
#include <qaf/quantizers/uniform.hpp>
#include <qaf/types.hpp>

// What each quantizer of the library puts in a model file beside the codes, and takes out of it: that which decoding
// needs. How it fits scales is not stored.
namespace qaf::detail::model_file {

// --- Quantizers. `accepts`: whether the factor in a file is one of such a quantizer.

template <typename Quantizer>
struct StoredQuantizer {
  static constexpr bool is_known = false;
};

/// What quantizers of integers in a range have in common. `Stored`: the one for `Quantizer`, which has its `name`.
template <typename Stored, typename Quantizer>
struct StoredIntegers {
  static constexpr bool is_known = true;

  static bool accepts(const FactorReader& reader) {
    return reader.text("quantizer") == Stored::name && reader.integer("bits", 1, 16) <= most_bits &&
           Stored::has_sign_of(reader);
  }

  static Quantizer read(const FactorReader& reader) {
    Quantizer quantizer;
    quantizer.bits = static_cast<int>(reader.integer("bits", 1, most_bits));
    Stored::read_range(reader, quantizer);
    read_groups(reader, quantizer);
    return quantizer;
  }

 protected:
  static constexpr int most_bits = std::min(16, std::numeric_limits<typename Quantizer::Code>::digits +
                                                    (std::numeric_limits<typename Quantizer::Code>::is_signed ? 1 : 0));

  /// Adds all but zero points. Returns the groups.
  static Groups write_integers(FactorWriter& writer, const Quantizer& quantizer, const ScaleParameters& parameters,
                               const char* equation) {
    add_kind(writer, Stored::name, quantizer, equation);
    const Groups groups = groups_of(quantizer, writer.rows, writer.cols);
    add_scales(writer, groups, parameters);
    return groups;
  }
};

template <typename Code>
struct StoredQuantizer<BasicUniformQuantizer<Code>>
    : StoredIntegers<StoredQuantizer<BasicUniformQuantizer<Code>>, BasicUniformQuantizer<Code>> {
  using Quantizer = BasicUniformQuantizer<Code>;
  static constexpr const char* name = "uniform";

  static void write(FactorWriter& writer, const Quantizer& quantizer, const ScaleParameters& parameters) {
    StoredQuantizer::write_integers(writer, quantizer, parameters, "real = scale * code");
  }

  static bool has_sign_of(const FactorReader&) { return true; }

  static void read_range(const FactorReader& reader, Quantizer& quantizer) {
    if (!has_range_of(reader, quantizer) && quantizer.bits > 1) quantizer.range = CodeRange::narrow;
  }

  static ScaleParameters read_parameters(const FactorReader& reader, const Quantizer& quantizer) {
    return read_scales(reader, groups_of(quantizer, reader.rows(), reader.cols()));
  }
};

template <typename Code>
struct StoredQuantizer<BasicAffineQuantizer<Code>>
    : StoredIntegers<StoredQuantizer<BasicAffineQuantizer<Code>>, BasicAffineQuantizer<Code>> {
  using Quantizer = BasicAffineQuantizer<Code>;
  static constexpr const char* name = "affine";

  static void write(FactorWriter& writer, const Quantizer& quantizer, const AffineParameters& parameters) {
    const Groups groups =
        StoredQuantizer::write_integers(writer, quantizer, parameters, "real = scale * (code - zero_point)");
    check_count("add_quantized_model", groups, "zero points", parameters.zero_points.size());
    add_values<std::int32_t>(writer, "zero_points", groups, parameters.zero_points);
  }

  static bool has_sign_of(const FactorReader& reader) {
    constexpr Index far = Index{1} << 16;
    return (reader.integer("lowest_code", -far, far) < 0) == std::numeric_limits<Code>::is_signed;
  }

  static void read_range(const FactorReader&, Quantizer&) {}

  static AffineParameters read_parameters(const FactorReader& reader, const Quantizer& quantizer) {
    const Groups groups = groups_of(quantizer, reader.rows(), reader.cols());
    AffineParameters parameters;
    static_cast<ScaleParameters&>(parameters) = read_scales(reader, groups);
    parameters.zero_points = read_values<std::int32_t>(reader, "zero_points", groups);
    for (const std::int32_t zero_point : parameters.zero_points)
      if (zero_point < quantizer.lowest() || zero_point > quantizer.highest())
        reader.fail("has the zero point ", zero_point, ", which is no code");
    return parameters;
  }
};

inline const char* name_of(const PowerOfTwoLevels&) { return "power-of-two"; }
inline const char* name_of(const AdditivePowerOfTwoLevels&) { return "additive-power-of-two"; }
inline const char* name_of(const TernaryLevels&) { return "ternary"; }
inline const char* name_of(const BinaryLevels&) { return "binary"; }
inline const char* name_of(const NormalFloat4Levels&) { return "nf4"; }

template <typename Table>
using NameOfTable = decltype(name_of(std::declval<const Table&>()));
template <typename Table>
using BitsOfTable = decltype(std::declval<Table&>().bits = 1);

template <typename Table>
std::string table_name(const Table& table) {
  if constexpr (is_detected<NameOfTable, Table>)
    return name_of(table);
  else
    return "levels";
}
inline std::string table_name(const AnyLevels& table) {
  return std::visit([](const auto& chosen) { return table_name(chosen); }, table.choice);
}

/// Sets the table to the one that the file tells of; false where it is of another kind.
template <typename Table>
bool read_table(const FactorReader& reader, Table& table) {
  if (reader.text("quantizer") != table_name(table)) return false;
  constexpr int most_bits = std::is_same_v<Table, PowerOfTwoLevels> ? 7 : 8;
  if constexpr (is_detected<BitsOfTable, Table>) table.bits = static_cast<int>(reader.integer("bits", 2, most_bits));
  return true;
}

template <std::size_t k = 0>
bool read_table_from(const FactorReader& reader, AnyLevels& table) {
  if constexpr (k < std::variant_size_v<decltype(AnyLevels::choice)>) {
    std::variant_alternative_t<k, decltype(AnyLevels::choice)> chosen;
    if (!read_table(reader, chosen)) return read_table_from<k + 1>(reader, table);
    table.choice = chosen;
    return true;
  } else {
    return false;
  }
}
inline bool read_table(const FactorReader& reader, AnyLevels& table) { return read_table_from(reader, table); }

template <typename Table>
struct StoredQuantizer<LevelQuantizer<Table>> {
  using Quantizer = LevelQuantizer<Table>;
  static constexpr bool is_known = true;

  static void write(FactorWriter& writer, const Quantizer& quantizer, const ScaleParameters& parameters) {
    add_kind(writer, table_name(quantizer.table).c_str(), quantizer, "real = scale * level[code]");
    add_scales(writer, groups_of(quantizer, writer.rows, writer.cols), parameters);
    const std::vector<float> levels = quantizer.table.levels();
    writer.tensors.emplace_back(writer.name + "levels", Matrix<float>(as_column(levels)));
  }

  static bool accepts(const FactorReader& reader) {
    Table table;
    return read_table(reader, table);
  }

  static Quantizer read(const FactorReader& reader) {
    Quantizer quantizer;
    read_table(reader, quantizer.table);
    read_groups(reader, quantizer);
    return quantizer;
  }

  static ScaleParameters read_parameters(const FactorReader& reader, const Quantizer& quantizer) {
    const std::vector<float> levels = quantizer.table.levels();
    if (reader.matrix<float>("levels", static_cast<Index>(levels.size()), 1) != as_column(levels))
      reader.fail("has other levels than those of '", table_name(quantizer.table), "'");
    return read_scales(reader, groups_of(quantizer, reader.rows(), reader.cols()));
  }

 private:
  static Eigen::Map<const Matrix<float>> as_column(const std::vector<float>& levels) {
    return {levels.data(), static_cast<Index>(levels.size()), 1};
  }
};

template <>
struct StoredQuantizer<CodebookQuantizer> {
  static constexpr bool is_known = true;

  static void write(FactorWriter& writer, const CodebookQuantizer& quantizer, const CodebookParameters& parameters) {
    add_kind(writer, "codebook", quantizer, "real = level[code]");
    writer.fields["granularity"] = to_string(quantizer.granularity);
    const Groups groups{quantizer.granularity, 1, writer.rows, writer.cols};
    check_count("add_quantized_model", groups, "tables of levels", parameters.levels.cols());
    writer.tensors.emplace_back(writer.name + "levels", parameters.levels);
  }

  static bool accepts(const FactorReader& reader) { return reader.text("quantizer") == "codebook"; }

  static CodebookQuantizer read(const FactorReader& reader) {
    CodebookQuantizer quantizer;
    quantizer.bits = static_cast<int>(reader.integer("bits", 1, 8));
    quantizer.granularity = read_granularity(reader);
    if (quantizer.granularity != Granularity::tensor && quantizer.granularity != Granularity::component)
      reader.fail("must have codebooks of the tensor or of components, got granularity ",
                  to_string(quantizer.granularity));
    return quantizer;
  }

  static CodebookParameters read_parameters(const FactorReader& reader, const CodebookQuantizer& quantizer) {
    const Groups groups{quantizer.granularity, 1, reader.rows(), reader.cols()};
    CodebookParameters parameters{reader.matrix<float>("levels", quantizer.highest() + 1, groups.count())};
    if (!parameters.levels.allFinite()) reader.fail("must have finite levels");
    return parameters;
  }
};

inline const char* name_of(ScaleFormat format) {
  switch (format) {
    case ScaleFormat::float16:
      return "float16";
    case ScaleFormat::bfloat16:
      return "bfloat16";
    case ScaleFormat::power_of_two:
      return "power_of_two";
    case ScaleFormat::linear8:
      return "linear8";
  }
  return "unknown";
}

template <typename Base>
struct StoredQuantizer<CompactScales<Base>> {
  using Quantizer = CompactScales<Base>;
  using Parameters = typename Quantizer::Parameters;
  static constexpr bool is_known = StoredQuantizer<Base>::is_known;

  static void write(FactorWriter& writer, const Quantizer& quantizer, const Parameters& parameters) {
    writer.scale_format = quantizer.format;
    StoredQuantizer<Base>::write(writer, quantizer.base, parameters);
    writer.fields["scale_format"] = name_of(quantizer.format);
  }

  static bool accepts(const FactorReader& reader) {
    return reader.has("scale_format") && StoredQuantizer<Base>::accepts(reader);
  }

  static Quantizer read(const FactorReader& reader) {
    const std::string text = reader.text("scale_format");
    for (const ScaleFormat format :
         {ScaleFormat::float16, ScaleFormat::bfloat16, ScaleFormat::power_of_two, ScaleFormat::linear8})
      if (text == name_of(format)) return {StoredQuantizer<Base>::read(reader), format};
    reader.fail("has the unknown scale_format '", printable(text), "'");
  }

  static Parameters read_parameters(const FactorReader& reader, const Quantizer& quantizer) {
    return StoredQuantizer<Base>::read_parameters(reader, quantizer.base);
  }
};

template <typename... Quantizers>
struct StoredQuantizer<OneOf<Quantizers...>> {
  using Quantizer = OneOf<Quantizers...>;
  using Parameters = typename Quantizer::Parameters;
  static constexpr bool is_known = (StoredQuantizer<Quantizers>::is_known && ...);

  static void write(FactorWriter& writer, const Quantizer& quantizer, const Parameters& parameters) {
    std::visit(
        [&](const auto& chosen, const auto& own) {
          using Chosen = std::decay_t<decltype(chosen)>;
          if constexpr (std::is_same_v<std::decay_t<decltype(own)>, typename Chosen::Parameters>)
            StoredQuantizer<Chosen>::write(writer, chosen, own);
          else
            fail("add_quantized_model", "a factor has parameters of another quantizer than its own");
        },
        quantizer.choice, parameters);
  }

  static bool accepts(const FactorReader& reader) { return (StoredQuantizer<Quantizers>::accepts(reader) || ...); }

  static Quantizer read(const FactorReader& reader) {
    Quantizer quantizer;
    read_choice<Quantizers...>(reader, quantizer);
    return quantizer;
  }

  static Parameters read_parameters(const FactorReader& reader, const Quantizer& quantizer) {
    Parameters parameters;
    read_own<0, Quantizers...>(reader, quantizer, parameters);
    return parameters;
  }

 private:
  template <typename First, typename... Others>
  static void read_choice(const FactorReader& reader, Quantizer& quantizer) {
    if (StoredQuantizer<First>::accepts(reader))
      quantizer.choice = StoredQuantizer<First>::read(reader);
    else if constexpr (sizeof...(Others) > 0)
      read_choice<Others...>(reader, quantizer);
  }

  template <std::size_t k, typename First, typename... Others>
  static void read_own(const FactorReader& reader, const Quantizer& quantizer, Parameters& parameters) {
    if (const First* const chosen = std::get_if<k>(&quantizer.choice))
      parameters.template emplace<k>(StoredQuantizer<First>::read_parameters(reader, *chosen));
    else if constexpr (sizeof...(Others) > 0)
      read_own<k + 1, Others...>(reader, quantizer, parameters);
  }
};

}  // namespace qaf::detail::model_file
