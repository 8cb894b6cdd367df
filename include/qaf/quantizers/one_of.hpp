#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>
#include <variant>

#include <qaf/error.hpp>
#include <qaf/quantizer.hpp>
#include <qaf/types.hpp>

namespace qaf {
namespace detail {

/// The smallest of some arithmetic types, or of standard ones, that holds the codes of all exactly.
template <typename First, typename... Others>
struct WidestCode {
  using Rest = typename WidestCode<Others...>::type;
  template <typename T>
  using Limits = std::numeric_limits<T>;
  template <typename Wide, typename Narrow>
  static constexpr bool holds = Limits<Wide>::digits >= Limits<Narrow>::digits &&
                                (Limits<Wide>::is_signed || !Limits<Narrow>::is_signed) &&
                                (!Limits<Wide>::is_integer || Limits<Narrow>::is_integer);
  template <typename T>
  static constexpr bool holds_both = holds<T, First>&& holds<T, Rest>;
  // Signed and unsigned ones of the same size, a float and large integers.
  static constexpr bool is_integer = Limits<First>::is_integer && Limits<Rest>::is_integer;
  using Larger =
      std::conditional_t<!is_integer, double,
                         std::conditional_t<holds_both<std::int16_t>, std::int16_t,
                                            std::conditional_t<holds_both<std::int32_t>, std::int32_t, std::int64_t>>>;
  using type = std::conditional_t<holds<First, Rest>, First, std::conditional_t<holds<Rest, First>, Rest, Larger>>;
};
template <typename Only>
struct WidestCode<Only> {
  using type = Only;
};

template <typename Q>
using DecodedScalar = typename std::decay_t<DecodeResult<Q>>::Scalar;

/// The optional members about columns: there where all quantizers have the first of them.
template <typename Self, typename Parameters, bool exist>
struct OneOfColumns {};

template <typename Self, typename Parameters>
struct OneOfColumns<Self, Parameters, true> {
  Parameters column_parameters(const Parameters& parameters, Index r) const {
    return self().with_choice([&](const auto& quantizer, auto position) -> Parameters {
      constexpr std::size_t k = decltype(position)::value;
      return Parameters(std::in_place_index<k>,
                        quantizer.column_parameters(self().template own<k>("column_parameters", parameters), r));
    });
  }

  bool set_column_parameters(Parameters& parameters, Index r, const Parameters& column) const {
    return self().with_choice([&](const auto& quantizer, auto position) -> bool {
      constexpr std::size_t k = decltype(position)::value;
      if constexpr (is_detected<SetColumnParametersResult, std::decay_t<decltype(quantizer)>>) {
        self().template own<k>("set_column_parameters", parameters);
        return quantizer.set_column_parameters(*std::get_if<k>(&parameters), r,
                                               self().template own<k>("set_column_parameters", column));
      } else {
        return false;
      }
    });
  }

 private:
  const Self& self() const { return static_cast<const Self&>(*this); }
};

/// The optional members about sizes: there where all quantizers have both.
template <typename Self, typename Parameters, bool exist>
struct OneOfSizes {};

template <typename Self, typename Parameters>
struct OneOfSizes<Self, Parameters, true> {
  int code_bits() const {
    return self().with_choice([](const auto& quantizer, auto) { return quantizer.code_bits(); });
  }

  Index parameter_bits(const Parameters& parameters) const {
    return self().with_choice([&](const auto& quantizer, auto position) -> Index {
      return quantizer.parameter_bits(self().template own<decltype(position)::value>("parameter_bits", parameters));
    });
  }

 private:
  const Self& self() const { return static_cast<const Self&>(*this); }
};

/// The optional members about the range of codes: there where all quantizers have both.
template <typename Self, bool exist>
struct OneOfRange {};

template <typename Self>
struct OneOfRange<Self, true> {
  int lowest() const {
    return self().with_choice([](const auto& quantizer, auto) { return quantizer.lowest(); });
  }
  int highest() const {
    return self().with_choice([](const auto& quantizer, auto) { return quantizer.highest(); });
  }

 private:
  const Self& self() const { return static_cast<const Self&>(*this); }
};

template <typename Q>
using RangeResult = decltype(int(std::declval<const Q&>().lowest()) + int(std::declval<const Q&>().highest()));
template <typename Q>
inline constexpr bool has_sizes = is_detected<CodeBitsResult, Q>&& is_detected<ParameterBitsResult, Q>;

/// All optional members that all quantizers have.
template <typename Self, typename... Quantizers>
struct OneOfOptional
    : OneOfColumns<Self, std::variant<typename Quantizers::Parameters...>,
                   (is_detected<ColumnParametersResult, Quantizers> && ...)>,
      OneOfSizes<Self, std::variant<typename Quantizers::Parameters...>, (has_sizes<Quantizers> && ...)>,
      OneOfRange<Self, (is_detected<RangeResult, Quantizers> && ...)> {};

}  // namespace detail

/// A quantizer that is one of several types, chosen at run time: factors of one model may then have quantizers of
/// different types. Its codes are of a type that holds those of all, mostly the widest `Code` among them. Everything
/// else is as with the chosen one.
template <typename... Quantizers>
struct OneOf : detail::OneOfOptional<OneOf<Quantizers...>, Quantizers...> {
  /// A type that holds the codes of all.
  using Code = typename detail::WidestCode<typename Quantizers::Code...>::type;
  /// Those of the quantizer that was chosen.
  using Parameters = std::variant<typename Quantizers::Parameters...>;

  std::variant<Quantizers...> choice;  ///< the quantizer in use

  /// Errors: those of the chosen quantizer.
  void validate() const {
    with_choice([](const auto& quantizer, auto) { detail::validate_quantizer(quantizer); });
  }

  /// Errors: those of the chosen quantizer.
  template <typename Derived>
  Parameters fit(const Eigen::MatrixBase<Derived>& matrix) const {
    return with_choice([&](const auto& quantizer, auto position) {
      return Parameters(std::in_place_index<decltype(position)::value>, quantizer.fit(matrix.derived()));
    });
  }

  /// Errors: those of the chosen quantizer, parameters of another one.
  template <typename Derived>
  Matrix<Code> encode(const Eigen::MatrixBase<Derived>& matrix, const Parameters& parameters) const {
    return with_choice([&](const auto& quantizer, auto position) -> Matrix<Code> {
      const auto& own_parameters = own<decltype(position)::value>("encode", parameters);
      return quantizer.encode(matrix.derived(), own_parameters).template cast<Code>();
    });
  }

  /// Errors: those of the chosen quantizer, parameters of another one.
  auto decode(const Matrix<Code>& codes, const Parameters& parameters) const {
    using Decoded = Matrix<std::common_type_t<detail::DecodedScalar<Quantizers>...>>;
    return with_choice([&](const auto& quantizer, auto position) -> Decoded {
      using OwnCode = typename std::decay_t<decltype(quantizer)>::Code;
      const Matrix<OwnCode>& own_codes = codes.template cast<OwnCode>();
      if (own_codes.template cast<Code>() != codes)
        detail::fail("OneOf", "decode needs codes of the quantizer chosen, number ", decltype(position)::value,
                     ", got some that its type of code does not hold");
      return quantizer.decode(own_codes, own<decltype(position)::value>("decode", parameters))
          .template cast<typename Decoded::Scalar>();
    });
  }

 private:
  template <typename, typename, bool>
  friend struct detail::OneOfColumns;
  template <typename, typename, bool>
  friend struct detail::OneOfSizes;
  template <typename, bool>
  friend struct detail::OneOfRange;

  // Calls `visit(quantizer, std::integral_constant<std::size_t, its position>)`.
  template <typename Visit, std::size_t k = 0>
  auto with_choice(const Visit& visit) const {
    if constexpr (k + 1 < sizeof...(Quantizers)) {
      if (choice.index() != k) return with_choice<Visit, k + 1>(visit);
    }
    return visit(*std::get_if<k>(&choice), std::integral_constant<std::size_t, k>());
  }

  // The parameters as those of quantizer k.
  template <std::size_t k>
  static const auto& own(const char* function, const Parameters& parameters) {
    if (parameters.index() != k)
      detail::fail("OneOf", function, " needs parameters of the quantizer chosen, number ", k, ", got some of number ",
                   parameters.index());
    return *std::get_if<k>(&parameters);
  }
};

}  // namespace qaf
