#pragma once

#include <type_traits>
#include <utility>

#include <qaf/types.hpp>

namespace qaf {

/// The quantizer that changes nothing, and the one to copy when writing your own.
///
/// A quantizer is any copyable struct with these five public members:
///
/// * `Code`, the arithmetic type of one code: an integer type for all that is to run on integers;
/// * `Parameters`, what decoding needs besides the codes, such as scales: copyable, default constructible;
/// * `fit(matrix)`, the best parameters for the values of a matrix;
/// * `encode(matrix, parameters)`, the codes of a matrix of the same size under given parameters;
/// * `decode(codes, parameters)`, the real matrix that the codes stand for.
///
/// The three functions are const and may be templates or take a `qaf::Matrix<float>`; they are called
/// with factors (`I_n x R`), a column being one component. They are separate because solvers refit
/// parameters in some steps and keep them in others, and whoever runs the codes only decodes. What the
/// solvers count on: `decode(encode(x, p), p)` is, entry by entry, a representable value nearest to `x`.
///
/// Optional, and an error where one is named but cannot be called like this:
///
/// * `validate()` throws where a field is out of range; solvers call it before any work.
/// * `column_parameters(parameters, r) -> Parameters`, what encodes and decodes column r as a matrix of its
///   own: `coordinate_descent` then need not encode a whole factor to change one column.
/// * `set_column_parameters(parameters, r, column) -> bool` makes `column`, fitted to column r alone, that
///   column's parameters, or returns false where columns share theirs: `coordinate_descent` then refits.
/// * `code_bits() -> int`, the bits of a packed code, and `parameter_bits(parameters) -> Index`, those of what has to
///   be kept besides the codes: for `model_size`. Scales of columns or of the whole factor need not be kept, since they
///   can be merged into the weights of a model.
/// * `lowest() -> int` and `highest() -> int`, the range of the codes: for the tests in qaf/testing/quantizer_laws.hpp.
/// * `integer_factor(codes, parameters) -> IntegerFactor`, the codes as integers times scales: for integer layers, see
///   qaf/convolution/integer_factor.hpp.
struct IdentityQuantizer {
  /// The value itself.
  using Code = double;
  /// Nothing.
  struct Parameters {};

  /// Nothing to fit.
  template <typename Derived>
  Parameters fit(const Eigen::MatrixBase<Derived>&) const {
    return {};
  }

  /// The values as double.
  template <typename Derived>
  Matrix<Code> encode(const Eigen::MatrixBase<Derived>& matrix, const Parameters&) const {
    return matrix.template cast<Code>();
  }

  /// The values, `rows x cols` of the codes.
  Matrix<double> decode(const Matrix<Code>& codes, const Parameters&) const { return codes; }

  /// Bits of a code.
  int code_bits() const { return 64; }

  /// Bits of the parameters.
  Index parameter_bits(const Parameters&) const { return 0; }
};

namespace detail {

template <typename Q>
using QuantizerCode = typename Q::Code;
template <typename Q>
using QuantizerParameters = typename Q::Parameters;
template <typename Q, typename Scalar>
using FitResult = decltype(std::declval<const Q&>().fit(std::declval<const Matrix<Scalar>&>()));
template <typename Q, typename Scalar>
using EncodeResult = decltype(std::declval<const Q&>().encode(std::declval<const Matrix<Scalar>&>(),
                                                              std::declval<const typename Q::Parameters&>()));
template <typename Q>
using DecodeResult = decltype(std::declval<const Q&>().decode(std::declval<const Matrix<typename Q::Code>&>(),
                                                              std::declval<const typename Q::Parameters&>()));
template <typename Q>
using NamesValidate = decltype(&Q::validate);
template <typename Q>
using NamesColumnParameters = decltype(&Q::column_parameters);
template <typename Q>
using NamesSetColumnParameters = decltype(&Q::set_column_parameters);
template <typename Q>
using ColumnParametersResult = decltype(typename Q::Parameters(
    std::declval<const Q&>().column_parameters(std::declval<const typename Q::Parameters&>(), Index{0})));
template <typename Q>
using SetColumnParametersResult = decltype(bool(std::declval<const Q&>().set_column_parameters(
    std::declval<typename Q::Parameters&>(), Index{0}, std::declval<const typename Q::Parameters&>())));
template <typename Q>
using NamesCodeBits = decltype(&Q::code_bits);
template <typename Q>
using NamesParameterBits = decltype(&Q::parameter_bits);
template <typename Q>
using CodeBitsResult = decltype(int(std::declval<const Q&>().code_bits()));
template <typename Q>
using ParameterBitsResult =
    decltype(Index(std::declval<const Q&>().parameter_bits(std::declval<const typename Q::Parameters&>())));
template <typename Q>
using ValidateResult = decltype(std::declval<const Q&>().validate());

template <typename AlwaysVoid, template <typename...> class Operation, typename... Arguments>
struct Detector : std::false_type {};
template <template <typename...> class Operation, typename... Arguments>
struct Detector<std::void_t<Operation<Arguments...>>, Operation, Arguments...> : std::true_type {};
/// Whether `Operation<Arguments...>` is well formed.
template <template <typename...> class Operation, typename... Arguments>
inline constexpr bool is_detected = Detector<void, Operation, Arguments...>::value;

/// Whether `R` is an Eigen matrix expression with entries of a type that `T` can be made from.
template <typename R, typename T, typename = void>
struct IsMatrixOf : std::false_type {};
template <typename R, typename T>
struct IsMatrixOf<R, T, std::void_t<typename std::decay_t<R>::Scalar>>
    : std::bool_constant<std::is_base_of_v<Eigen::EigenBase<std::decay_t<R>>, std::decay_t<R>> &&
                         std::is_convertible_v<typename std::decay_t<R>::Scalar, T>> {};

/// Converts to a matrix of `T` and to nothing else.
template <typename T>
struct ConvertsTo {
  operator const Matrix<T>&() const;
};
template <typename Q, typename T>
using FitOfMatrixOnly = decltype(std::declval<const Q&>().fit(std::declval<const ConvertsTo<T>&>()));

/// Fails to compile with one sentence about the first optional member that `Q` names but that cannot be called, and
/// returns whether there was none.
template <typename Q>
constexpr bool check_optional_members() {
  constexpr bool validate_is_callable = !is_detected<NamesValidate, Q> || is_detected<ValidateResult, Q>;
  static_assert(validate_is_callable,
                "qaf: the optional member validate() of a quantizer must be const and take "
                "no arguments");
  constexpr bool column_is_callable = !is_detected<NamesColumnParameters, Q> || is_detected<ColumnParametersResult, Q>;
  static_assert(column_is_callable,
                "qaf: the optional member column_parameters(parameters, r) of a quantizer must be "
                "const, take its Parameters and a qaf::Index, and return its Parameters");
  constexpr bool set_column_is_callable =
      !is_detected<NamesSetColumnParameters, Q> || is_detected<SetColumnParametersResult, Q>;
  static_assert(set_column_is_callable,
                "qaf: the optional member set_column_parameters(parameters, r, column) of a "
                "quantizer must be const, take its Parameters by reference, a qaf::Index and "
                "its Parameters, and return bool");
  constexpr bool sizes_are_callable = (!is_detected<NamesCodeBits, Q> || is_detected<CodeBitsResult, Q>)&&(
      !is_detected<NamesParameterBits, Q> || is_detected<ParameterBitsResult, Q>);
  static_assert(sizes_are_callable,
                "qaf: the optional members code_bits() and parameter_bits(parameters) of a quantizer must be const, "
                "take nothing and its Parameters, and return numbers");
  return validate_is_callable && column_is_callable && set_column_is_callable && sizes_are_callable;
}

/// Fails to compile with one sentence about the first member of the contract that `Q` breaks, and
/// returns whether there was none, so that nothing else is instantiated for a broken quantizer.
template <typename Q, typename Scalar>
constexpr bool check_quantizer() {
  constexpr bool has_code = is_detected<QuantizerCode, Q>;
  static_assert(has_code,
                "qaf: a quantizer needs a public type Code, the integer type of its codes "
                "(see IdentityQuantizer in qaf/quantizer.hpp)");
  constexpr bool has_parameters = is_detected<QuantizerParameters, Q>;
  static_assert(!has_code || has_parameters,
                "qaf: a quantizer needs a public type Parameters, what decoding needs "
                "besides the codes (see IdentityQuantizer in qaf/quantizer.hpp)");
  if constexpr (has_code && has_parameters) {
    constexpr bool code_is_number = std::is_arithmetic_v<typename Q::Code>;
    static_assert(code_is_number, "qaf: the Code of a quantizer must be an arithmetic type such as std::int8_t");
    constexpr bool is_copyable = std::is_copy_constructible_v<Q> && std::is_copy_assignable_v<Q> &&
                                 std::is_copy_constructible_v<typename Q::Parameters> &&
                                 std::is_copy_assignable_v<typename Q::Parameters> &&
                                 std::is_default_constructible_v<typename Q::Parameters>;
    static_assert(is_copyable,
                  "qaf: a quantizer must be copyable, and its Parameters copyable and default "
                  "constructible");
    // A fit for the other scalar type seems callable, since Eigen's constructors take any matrix.
    using Other = std::conditional_t<std::is_same_v<Scalar, float>, double, float>;
    constexpr bool is_of_other_scalar =
        is_detected<FitOfMatrixOnly, Q, Other> && !is_detected<FitOfMatrixOnly, Q, Scalar>;
    constexpr bool has_fit = is_detected<FitResult, Q, Scalar> && !is_of_other_scalar;
    static_assert(has_fit,
                  "qaf: a quantizer needs a member fit(matrix) const that takes a qaf::Matrix of the "
                  "tensor's scalar type");
    constexpr bool has_encode = is_detected<EncodeResult, Q, Scalar>;
    static_assert(!has_fit || has_encode,
                  "qaf: a quantizer needs a member encode(matrix, parameters) const that takes "
                  "a qaf::Matrix of the tensor's scalar type and its Parameters");
    constexpr bool has_decode = is_detected<DecodeResult, Q>;
    static_assert(!has_fit || !has_encode || has_decode,
                  "qaf: a quantizer needs a member decode(codes, parameters) const that takes a qaf::Matrix of its "
                  "Code and its Parameters");
    constexpr bool options_are_callable = check_optional_members<Q>();
    if constexpr (has_fit && has_encode && has_decode) {
      constexpr bool fit_returns = std::is_convertible_v<FitResult<Q, Scalar>, typename Q::Parameters>;
      static_assert(fit_returns, "qaf: fit(matrix) of a quantizer must return its Parameters");
      constexpr bool encode_returns = IsMatrixOf<EncodeResult<Q, Scalar>, typename Q::Code>::value;
      static_assert(encode_returns,
                    "qaf: encode(matrix, parameters) of a quantizer must return an Eigen matrix of its "
                    "Code");
      constexpr bool decode_returns = IsMatrixOf<DecodeResult<Q>, Scalar>::value;
      static_assert(decode_returns,
                    "qaf: decode(codes, parameters) of a quantizer must return an Eigen matrix of real "
                    "numbers");
      return code_is_number && is_copyable && options_are_callable && fit_returns && encode_returns && decode_returns;
    }
  }
  return false;
}

/// Runs the quantizer's own check of its fields, where it has one.
template <typename Q>
void validate_quantizer(const Q& quantizer) {
  if constexpr (is_detected<ValidateResult, Q>) quantizer.validate();
}

}  // namespace detail
}  // namespace qaf
