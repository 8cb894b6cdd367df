#pragma once

#include <cstddef>
#include <utility>
#include <variant>

#include <qaf/quantizer.hpp>
#include <qaf/quantizers/compact_scales.hpp>
#include <qaf/quantizers/granularity.hpp>
#include <qaf/quantizers/one_of.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

template <typename Q>
using OwnGranularity = decltype(Granularity(std::declval<const Q&>().granularity));
template <typename Q>
using CountOfScales = decltype(Index(std::declval<const typename Q::Parameters&>().scales.size()));

/// How many scales of a quantized matrix `parameter_bits` leaves out, since they merge into the weights of its columns.
/// Of quantizers that do not tell it is one a column.
template <typename Quantizer>
struct MergedScales {
  static Index count(const Quantizer& quantizer, const typename Quantizer::Parameters& parameters, Index cols) {
    if constexpr (!is_detected<OwnGranularity, Quantizer>)
      return cols;
    else if constexpr (is_detected<CountOfScales, Quantizer>)
      return parameters.scales.size() - count_beside_weights(quantizer.granularity, parameters.scales.size());
    else
      return 0;  // a codebook
  }
};

template <typename Base>
struct MergedScales<CompactScales<Base>> {
  static Index count(const CompactScales<Base>& quantizer, const typename Base::Parameters& parameters, Index cols) {
    return MergedScales<Base>::count(quantizer.base, parameters, cols);
  }
};

template <typename... Quantizers>
struct MergedScales<OneOf<Quantizers...>> {
  using Quantizer = OneOf<Quantizers...>;

  static Index count(const Quantizer& quantizer, const typename Quantizer::Parameters& parameters, Index cols) {
    return count_of<0, Quantizers...>(quantizer, parameters, cols);
  }

 private:
  template <std::size_t k, typename First, typename... Others>
  static Index count_of(const Quantizer& quantizer, const typename Quantizer::Parameters& parameters, Index cols) {
    if constexpr (sizeof...(Others) > 0)
      if (quantizer.choice.index() != k) return count_of<k + 1, Others...>(quantizer, parameters, cols);
    return MergedScales<First>::count(std::get<k>(quantizer.choice), std::get<k>(parameters), cols);
  }
};

}  // namespace qaf::detail
