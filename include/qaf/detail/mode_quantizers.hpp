#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <qaf/error.hpp>
#include <qaf/quantizer.hpp>
#include <qaf/quantizers/one_of.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

// What solvers take for `quantizers`: one quantizer for all modes, a std::vector of one a mode, or a std::tuple of one
// a mode, of different types.

template <typename Quantizers>
struct ModeQuantizers {
  using Quantizer = Quantizers;
  template <typename Scalar>
  static constexpr bool check() {
    return check_quantizer<Quantizer, Scalar>();
  }
  static std::vector<Quantizer> of(const Quantizers& quantizer, Index order) {
    return std::vector<Quantizer>(static_cast<std::size_t>(order), quantizer);
  }
};

template <typename Q>
struct ModeQuantizers<std::vector<Q>> {
  using Quantizer = Q;
  template <typename Scalar>
  static constexpr bool check() {
    return check_quantizer<Q, Scalar>();
  }
  static const std::vector<Q>& of(const std::vector<Q>& quantizers, Index) { return quantizers; }
};

template <typename... Q>
struct ModeQuantizers<std::tuple<Q...>> {
  template <typename Scalar>
  static constexpr bool check() {
    static_assert(sizeof...(Q) > 0, "qaf: a std::tuple of quantizers must hold one for each mode");
    return sizeof...(Q) > 0 && (check_quantizer<Q, Scalar>() && ...);
  }
  using Quantizer = OneOf<Q...>;
  static std::vector<Quantizer> of(const std::tuple<Q...>& quantizers, Index) {
    return of(quantizers, std::index_sequence_for<Q...>());
  }

 private:
  template <std::size_t... k>
  static std::vector<Quantizer> of(const std::tuple<Q...>& quantizers, std::index_sequence<k...>) {
    // Not default constructed first: that a quantizer need not be.
    return {Quantizer{{}, std::variant<Q...>(std::in_place_index<k>, std::get<k>(quantizers))}...};
  }
};

/// A quantizer for every mode, checked. Errors: another number than modes, those of their own checks.
template <typename Quantizers>
auto quantizers_of_modes(const char* function, const Quantizers& quantizers, Index order) {
  std::vector<typename ModeQuantizers<Quantizers>::Quantizer> result =
      ModeQuantizers<Quantizers>::of(quantizers, order);
  if (static_cast<Index>(result.size()) != order)
    fail(function, "expected one quantizer, or one for each of the ", order, " modes, got ", result.size());
  for (const auto& quantizer : result) validate_quantizer(quantizer);
  return result;
}

}  // namespace qaf::detail
