#pragma once

#include <type_traits>
#include <vector>

#include <qaf/quantizer.hpp>
#include <qaf/testing/broken_law.hpp>
#include <qaf/testing/detail/laws.hpp>

/// For unit tests of quantizers, with any test framework.
namespace qaf::testing {

/// The laws of quantizers that one does not keep, none for a good one: what the solvers count on (see
/// `IdentityQuantizer`), tried on matrices of `Scalar`, float or double, of many sizes and kinds. For each law the
/// first counter-example, small matrices coming first. All of these hold with parameters fitted to the matrix itself,
/// and where it says *also stretched* with such fitted to smaller values:
///
/// * "codes in range": codes are from `lowest()` to `highest()` where the quantizer has both, else within `code_bits()`
///   bits, of two's complement where `Code` is signed; floating-point codes are finite. Also stretched.
/// * "shape": `encode` and `decode` return matrices of the size they are given. Also stretched.
/// * "finite": finite values are encoded without an exception, and decoded as finite ones: zeros, equal values,
///   subnormal ones, magnitudes up to 0.9 times the largest float. Also stretched.
/// * "nearest": each entry is decoded as a representable value nearest to it, but for rounding. Compared with all
///   codes from `lowest()` to `highest()`, of more than 512 with the neighbours and some others, of an unknown range
///   with the codes that were seen. Also stretched.
/// * "idempotent": what was decoded is encoded and decoded as itself, but for rounding. Also stretched.
/// * "deterministic": further calls give the same codes and values. Also stretched.
/// * "NaN and infinity refused": `fit` and `encode` throw `std::invalid_argument` for them (`refuses_not_finite`); not
///   checked in programs compiled without exceptions.
/// * "permuted rows", "permuted columns": permuted values are decoded as the permuted decoded ones (`permute_rows`,
///   `permute_columns`), but for the rounding of sums. Broken where that holds for none of three matrices. These have 7
///   rows: a `fit` may take a sample of a long column, which depends on the order.
/// * "parameters survive a copy": copies of quantizer and parameters do not depend on the originals.
/// * "columns": `column_parameters` encode and decode a column as the whole does; `set_column_parameters` sets that
///   column's and no others, or returns false and changes nothing.
/// * "descent": `coordinate_descent` does not raise the relative error of a model, and returns what it is.
///
/// A law that throws is broken. Errors: those of the quantizer's `validate()`. Cost: some hundred calls of each
/// function on matrices of up to 300 entries, and a decoding of as many for every code; milliseconds for codes of few
/// bits.
template <typename Scalar = float, typename Quantizer>
std::vector<BrokenLaw> broken_quantizer_laws(const Quantizer& quantizer, const QuantizerLawOptions& options = {}) {
  using qaf::detail::is_detected;
  static_assert(std::is_same_v<Scalar, float> || std::is_same_v<Scalar, double>,
                "qaf: the laws of quantizers are checked for float or double");
  constexpr bool range_is_callable =
      (!is_detected<detail::NamesLowest, Quantizer> || is_detected<detail::LowestResult, Quantizer>)&&(
          !is_detected<detail::NamesHighest, Quantizer> || is_detected<detail::HighestResult, Quantizer>);
  static_assert(range_is_callable,
                "qaf: the optional members lowest() and highest() of a quantizer must be const, take no arguments and "
                "return int");
  if constexpr (qaf::detail::check_quantizer<Quantizer, Scalar>() && range_is_callable) {
    qaf::detail::validate_quantizer(quantizer);
    return detail::QuantizerLaws<Scalar, Quantizer>(quantizer, options).broken();
  } else {
    return {};
  }
}

}  // namespace qaf::testing
