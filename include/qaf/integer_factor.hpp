#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <qaf/error.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/quantizer.hpp>
#include <qaf/quantizers/affine.hpp>
#include <qaf/quantizers/compact_scales.hpp>
#include <qaf/quantizers/granularity.hpp>
#include <qaf/quantizers/levels.hpp>
#include <qaf/quantizers/one_of.hpp>
#include <qaf/quantizers/uniform.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// A factor as what integer arithmetic can use: entry (i, r) is `integers(i, r)` times the scale of its group.
struct IntegerFactor {
  Matrix<std::int16_t> integers;                     ///< `I_n x R`: codes less their zero points
  Granularity granularity = Granularity::component;  ///< `tensor`, `component` or `row`
  Vector<float> scales;                              ///< one a group: 1, R or `I_n`

  /// The scale of entry (i, r).
  float scale(Index i, Index r) const {
    return scales[granularity == Granularity::tensor ? 0 : granularity == Granularity::row ? i : r];
  }
};

namespace detail {

/// Integers that `entry(i, r)` gives, with the scales of a quantizer's groups.
template <typename Quantizer, typename Entry>
IntegerFactor integers_with_scales(const Quantizer& quantizer, Index rows, Index cols,
                                   const ScaleParameters& parameters, const Entry& entry) {
  // A block that fills its column is a component's.
  const bool is_component = quantizer.granularity == Granularity::block && parameters.per_column == 1;
  if (quantizer.granularity == Granularity::block && !is_component)
    fail("integer_factor",
         "scales of blocks change within a sum of products, which integer arithmetic cannot do; use a scale per "
         "component, row or tensor");
  IntegerFactor factor{Matrix<std::int16_t>(rows, cols), is_component ? Granularity::component : quantizer.granularity,
                       parameters.scales};
  for (Index r = 0; r < cols; ++r)
    for (Index i = 0; i < rows; ++i) {
      const std::int32_t integer = entry(i, r);
      if (integer != static_cast<std::int16_t>(integer))
        fail("integer_factor", "a code less its zero point must fit into 16 bits, got ", integer);
      factor.integers(i, r) = static_cast<std::int16_t>(integer);
    }
  return factor;
}

template <typename Q>
using NamesIntegerFactor = decltype(&Q::integer_factor);

/// How the codes of a quantizer become integers; `exists` is false where they stand for no such thing.
template <typename Quantizer>
struct IntegerForm {
  static constexpr bool exists = is_detected<NamesIntegerFactor, Quantizer>;
  static IntegerFactor of(const Quantizer& quantizer, const Matrix<typename Quantizer::Code>& codes,
                          const typename Quantizer::Parameters& parameters) {
    return quantizer.integer_factor(codes, parameters);
  }
};

template <typename Code>
struct IntegerForm<BasicUniformQuantizer<Code>> {
  static constexpr bool exists = true;
  static IntegerFactor of(const BasicUniformQuantizer<Code>& quantizer, const Matrix<Code>& codes,
                          const ScaleParameters& parameters) {
    return integers_with_scales(quantizer, codes.rows(), codes.cols(), parameters,
                                [&](Index i, Index r) { return static_cast<std::int32_t>(codes(i, r)); });
  }
};

template <typename Code>
struct IntegerForm<BasicAffineQuantizer<Code>> {
  static constexpr bool exists = true;
  static IntegerFactor of(const BasicAffineQuantizer<Code>& quantizer, const Matrix<Code>& codes,
                          const AffineParameters& parameters) {
    const Groups groups{quantizer.granularity, quantizer.block_size, codes.rows(), codes.cols()};
    return integers_with_scales(quantizer, codes.rows(), codes.cols(), parameters, [&](Index i, Index r) {
      return static_cast<std::int32_t>(codes(i, r)) - parameters.zero_points[groups.of(i, r)];
    });
  }
};

/// The power of two that makes all levels integers of 8 bits. Errors: there is none.
inline float unit_of_levels(const std::vector<float>& levels) {
  for (int shift = 0; shift <= 7; ++shift) {
    const float unit = std::ldexp(1.0F, -shift);
    bool are_integers = true;
    for (const float level : levels) are_integers = are_integers && std::floor(level / unit) == level / unit;
    if (are_integers) return unit;
  }
  fail("integer_factor",
       "the levels of this quantizer are no integers of 8 bits times a power of two, which integer arithmetic needs");
}

template <typename Table>
struct IntegerForm<LevelQuantizer<Table>> {
  static constexpr bool exists = true;
  static IntegerFactor of(const LevelQuantizer<Table>& quantizer, const Matrix<std::uint8_t>& codes,
                          const ScaleParameters& parameters) {
    const std::vector<float> levels = quantizer.table.levels();
    const float unit = unit_of_levels(levels);
    IntegerFactor factor =
        integers_with_scales(quantizer, codes.rows(), codes.cols(), parameters,
                             [&](Index i, Index r) { return static_cast<std::int32_t>(levels[codes(i, r)] / unit); });
    factor.scales *= unit;
    return factor;
  }
};

template <typename Base>
struct IntegerForm<CompactScales<Base>> {
  static constexpr bool exists = IntegerForm<Base>::exists;
  static IntegerFactor of(const CompactScales<Base>& quantizer, const Matrix<typename Base::Code>& codes,
                          const typename Base::Parameters& parameters) {
    return IntegerForm<Base>::of(quantizer.base, codes, parameters);
  }
};

template <typename... Quantizers>
struct IntegerForm<OneOf<Quantizers...>> {
  static constexpr bool exists = (IntegerForm<Quantizers>::exists || ...);
  using Codes = Matrix<typename OneOf<Quantizers...>::Code>;
  using Parameters = typename OneOf<Quantizers...>::Parameters;

  template <std::size_t k = 0>
  static IntegerFactor of(const OneOf<Quantizers...>& quantizer, const Codes& codes, const Parameters& parameters) {
    if constexpr (k + 1 < sizeof...(Quantizers)) {
      if (quantizer.choice.index() != k) return of<k + 1>(quantizer, codes, parameters);
    }
    using Own = std::variant_alternative_t<k, std::variant<Quantizers...>>;
    if constexpr (IntegerForm<Own>::exists)
      return IntegerForm<Own>::of(*std::get_if<k>(&quantizer.choice), codes.template cast<typename Own::Code>(),
                                  *std::get_if<k>(&parameters));
    else
      fail("integer_factor", "the codes of the quantizer chosen, number ", k,
           ", are not integers times scales, which integer arithmetic needs");
  }
};

}  // namespace detail

/// The integers and scales of a factor: of uniform and affine quantizers (the zero point taken from the codes), of
/// levels that are integers of 8 bits times a power of two (ternary, binary, few powers of two), of `CompactScales` and
/// `OneOf` of these, and of a quantizer of your own with a const member `integer_factor(codes, parameters)` that
/// returns an `IntegerFactor`. Not of codebooks and NF4, whose levels are no integers. Errors: those of the quantizer's
/// `decode`, scales of blocks, integers of more than 16 bits, levels as above.
template <typename Quantizer>
IntegerFactor integer_factor(const QuantizedFactor<Quantizer>& factor) {
  constexpr bool exists = detail::IntegerForm<Quantizer>::exists;
  static_assert(exists,
                "qaf: the codes of this quantizer are not integers times scales, which integer arithmetic needs; a "
                "quantizer of your own tells them by a member integer_factor(codes, parameters) const that returns a "
                "qaf::IntegerFactor");
  if constexpr (exists) {
    factor.quantizer.decode(factor.codes, factor.parameters);  // checks all that does not fit together
    return detail::IntegerForm<Quantizer>::of(factor.quantizer, factor.codes, factor.parameters);
  }
}

}  // namespace qaf
