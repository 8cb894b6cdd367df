#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <qaf/error.hpp>
#include <qaf/quantizers/affine.hpp>
#include <qaf/quantizers/codebook.hpp>
#include <qaf/quantizers/fixed_levels.hpp>
#include <qaf/quantizers/granularity.hpp>
#include <qaf/quantizers/levels.hpp>
#include <qaf/quantizers/one_of.hpp>
#include <qaf/quantizers/power_of_two.hpp>
#include <qaf/quantizers/uniform.hpp>

namespace qaf {

/// One of the tables of levels of this library, chosen at run time.
struct AnyLevels {
  std::variant<PowerOfTwoLevels, AdditivePowerOfTwoLevels, TernaryLevels, BinaryLevels, NormalFloat4Levels>
      choice;  ///< the table in use

  /// Errors: those of the chosen table.
  void validate() const {
    std::visit([](const auto& table) { table.validate(); }, choice);
  }
  /// The levels of the chosen table, ascending.
  std::vector<float> levels() const {
    return std::visit([](const auto& table) { return table.levels(); }, choice);
  }
};

/// A quantizer chosen at run time, by `make_quantizer`. No virtual functions: the solvers see one quantizer type, which
/// holds one of these.
using AnyQuantizer = OneOf<UniformQuantizer16, AffineQuantizer, LevelQuantizer<AnyLevels>, CodebookQuantizer>;

/// The names that `make_quantizer` knows.
inline const std::vector<std::string>& quantizer_names() {
  static const std::vector<std::string> names = {"uniform", "affine", "power-of-two", "additive-power-of-two",
                                                 "ternary", "binary", "nf4",          "codebook"};
  return names;
}

/// The quantizer of that name with codes of `bits` bits; 0 for as many as it has by itself (2 for ternary, 1 for
/// binary, 4 for all others). Least-squares scales, one a group of `granularity`. Errors: another name, bits it cannot
/// have, a granularity it cannot have.
inline AnyQuantizer make_quantizer(const std::string& name, int bits = 0,
                                   Granularity granularity = Granularity::component) {
  constexpr int usual_bits = 4;
  const int wanted = bits == 0 ? usual_bits : bits;
  AnyQuantizer quantizer;
  const auto levels = [&](auto table) {
    LevelQuantizer<AnyLevels> chosen{{std::move(table)}};
    chosen.granularity = granularity;
    if (bits != 0 && bits != chosen.code_bits())
      detail::fail("make_quantizer", "codes of '", name, "' have ", chosen.code_bits(), " bits, got ", bits);
    quantizer.choice = chosen;
  };
  const auto set = [&](auto chosen) {
    chosen.bits = wanted;
    chosen.granularity = granularity;
    chosen.validate();
    quantizer.choice = chosen;
  };
  const auto set_levels = [&](auto table) {
    table.bits = wanted;
    table.validate();
    levels(table);
  };
  if (name == "uniform") {
    set(UniformQuantizer16());
  } else if (name == "affine") {
    set(AffineQuantizer());
  } else if (name == "power-of-two") {
    set_levels(PowerOfTwoLevels());
  } else if (name == "additive-power-of-two") {
    set_levels(AdditivePowerOfTwoLevels());
  } else if (name == "ternary") {
    levels(TernaryLevels());
  } else if (name == "binary") {
    levels(BinaryLevels());
  } else if (name == "nf4") {
    levels(NormalFloat4Levels());
  } else if (name == "codebook") {
    set(CodebookQuantizer());
  } else {
    std::string known;
    for (const std::string& other : quantizer_names()) known += (known.empty() ? "" : ", ") + other;
    detail::fail("make_quantizer", "name must be one of ", known, ", got '", name, "'");
  }
  return quantizer;
}

}  // namespace qaf
