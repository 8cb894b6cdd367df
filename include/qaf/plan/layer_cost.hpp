#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include <qaf/dense_tensor.hpp>
#include <qaf/error.hpp>
#include <qaf/plan/detail/merged_scales.hpp>
#include <qaf/quantizer.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// The sizes of a layer, from which all its costs follow.
struct Layer {
  /// In plans and in messages of errors.
  std::string name = {};

  /// Of the tensor of weights that is factored: `O x I x (kh kw)` of a convolution, `O x I` of a linear layer or a 1 x
  /// 1 convolution; each 1 or more.
  std::vector<Index> dimensions = {};

  /// Positions for which the layer computes outputs: height times width of a convolution's output; for a linear layer
  /// 1, or the number of its inputs at a time. 1 or more.
  Index output_pixels = 1;

  /// Height times width of the input: the first of the factored layers, 1 x 1, computes there, so with a stride more
  /// often than the others. 1 or more.
  Index input_pixels = 1;

  /// Of a grouped convolution, which O has to be a multiple of; I is then the inputs of one group. All groups are
  /// factored as the one tensor in which frameworks keep them, so they share the factors of the inputs and of the
  /// kernel. (To factor groups each on its own, describe each as a layer.)
  Index groups = 1;
};

/// What the weights of a layer become.
enum class Form {
  original,  ///< left as they are, in float32
  direct,    ///< quantized without being factored
  factored   ///< a quantized CP model: three layers of a convolution (1 x 1, depthwise, 1 x 1), two of a linear one
};

/// "original", "direct" or "factored".
inline const char* to_string(Form form) {
  switch (form) {
    case Form::original:
      return "original";
    case Form::direct:
      return "direct";
    case Form::factored:
      return "factored";
  }
  return "unknown";
}

/// What a layer, or a network, costs. As double, which counts exactly up to 2^53.
struct LayerCost {
  double parameters = 0;  ///< entries of the tensor or of its factors; scales and weights of components not counted
  double bits = 0;        ///< to store, packed: entries, and whatever scales and weights are kept with them
  double macs = 0;        ///< multiply-accumulate operations for one input
  double bops = 0;        ///< bit operations: MACs times the bits of a weight times those of an activation

  /// The costs of two layers together.
  LayerCost& operator+=(const LayerCost& other) {
    parameters += other.parameters;
    bits += other.bits;
    macs += other.macs;
    bops += other.bops;
    return *this;
  }
};

/// Whether all four costs are equal.
inline bool operator==(const LayerCost& a, const LayerCost& b) {
  return a.parameters == b.parameters && a.bits == b.bits && a.macs == b.macs && a.bops == b.bops;
}
/// Whether any differs.
inline bool operator!=(const LayerCost& a, const LayerCost& b) { return !(a == b); }

/// Throws `std::invalid_argument` that names the layer and the first field out of its range.
inline void validate(const Layer& layer) {
  const auto refuse = [&](const auto&... sentence) {
    detail::fail("Layer", layer.name.empty() ? "" : "'" + layer.name + "': ", sentence...);
  };
  if (layer.dimensions.size() != 2 && layer.dimensions.size() != 3)
    refuse("dimensions must be O x I x (kh kw) or O x I, got ", detail::shape_text(layer.dimensions));
  for (const Index length : layer.dimensions)
    if (length < 1) refuse("dimensions must be 1 or more, got ", detail::shape_text(layer.dimensions));
  detail::checked_size("Layer", layer.dimensions);
  if (layer.output_pixels < 1) refuse("output_pixels must be 1 or more, got ", layer.output_pixels);
  if (layer.input_pixels < 1) refuse("input_pixels must be 1 or more, got ", layer.input_pixels);
  if (layer.groups < 1 || layer.dimensions[0] % layer.groups != 0)
    refuse("groups must be 1 or more and divide the ", layer.dimensions[0], " outputs, got ", layer.groups);
}

namespace detail {

inline double product_of(const std::vector<Index>& dimensions) {
  double product = 1;
  for (const Index length : dimensions) product *= static_cast<double>(length);
  return product;
}

inline double sum_of(const std::vector<Index>& dimensions) {
  double sum = 0;
  for (const Index length : dimensions) sum += static_cast<double>(length);
  return sum;
}

/// A float32 scale or weight of a component.
constexpr double float_bits = 32;

inline void check_cost_arguments(const char* function, const Layer& layer, int bits, int activation_bits) {
  validate(layer);
  if (bits < 1 || bits > 32) fail(function, "bits must be from 1 to 32, got ", bits);
  if (activation_bits < 1 || activation_bits > 32)
    fail(function, "activation_bits must be from 1 to 32, got ", activation_bits);
}

/// MACs of one component.
inline double component_macs(const Layer& layer) {
  const double groups = static_cast<double>(layer.groups), outputs = static_cast<double>(layer.dimensions[0]),
               inputs = static_cast<double>(layer.dimensions[1]);
  const double input_pixels = static_cast<double>(layer.input_pixels);
  const double output_pixels = static_cast<double>(layer.output_pixels);
  // Of two layers the first has the stride.
  if (layer.dimensions.size() == 2) return (groups * inputs + outputs) * output_pixels;
  const double positions = groups * static_cast<double>(layer.dimensions[2]);
  return groups * inputs * input_pixels + (positions + outputs) * output_pixels;
}

inline LayerCost with_bops(LayerCost cost, int bits, int activation_bits) {
  cost.bops = cost.macs * bits * activation_bits;
  return cost;
}

/// Of a tensor that is not factored; `beside` are the bits of what is kept with its entries.
inline LayerCost unfactored_cost(const Layer& layer, int bits, double beside, int activation_bits) {
  const double size = product_of(layer.dimensions);
  return with_bops({size, size * bits + beside, size * static_cast<double>(layer.output_pixels), 0}, bits,
                   activation_bits);
}

/// What a quantizer keeps for a matrix of some size besides the codes.
struct ParameterSize {
  double bits = 0;    // as `parameter_bits` tells
  double merged = 0;  // scales that merge into weights of columns
};

template <typename Quantizer>
ParameterSize parameter_size(const Quantizer& quantizer, Index rows, Index cols) {
  constexpr bool tells_size = is_detected<CodeBitsResult, Quantizer> && is_detected<ParameterBitsResult, Quantizer>;
  static_assert(tells_size,
                "qaf: for the cost of a layer its quantizer needs the members code_bits() const and "
                "parameter_bits(parameters) const (see IdentityQuantizer in qaf/quantizer.hpp)");
  if constexpr (tells_size) {
    // How many parameters there are depends on the size alone.
    const auto parameters = quantizer.fit(Matrix<float>(Matrix<float>::Zero(rows, cols)));
    return {static_cast<double>(quantizer.parameter_bits(parameters)),
            static_cast<double>(MergedScales<Quantizer>::count(quantizer, parameters, cols))};
  } else {
    return {};
  }
}

}  // namespace detail

/// The rank at which the factors have `1 / rate` of the tensor's parameters or just less (Cherniuk et al. 2023):
/// `floor(prod(I_n) / (rate sum(I_n)))`, at least 1. Errors: no dimensions or one below 1; a rate that is not above 0
/// and finite, or so small that no index holds the rank.
inline Index rank_for_reduction(const std::vector<Index>& dimensions, double rate) {
  constexpr const char* function = "rank_for_reduction";
  if (dimensions.empty()) detail::fail(function, "dimensions must not be empty");
  for (const Index length : dimensions)
    if (length < 1) detail::fail(function, "dimensions must be 1 or more, got ", detail::shape_text(dimensions));
  if (!(rate > 0 && std::isfinite(rate))) detail::fail(function, "rate must be above 0 and finite, got ", rate);
  const double rank = detail::product_of(dimensions) / (rate * detail::sum_of(dimensions));
  if (!(rank < static_cast<double>(std::numeric_limits<Index>::max())))
    detail::fail(function, "the rank must be one that an index can hold, got ", rank, " for rate ", rate);
  return rank < 1 ? 1 : static_cast<Index>(rank);
}

/// The layer as it is, weights and activations in float32. Errors: a field of the layer out of range.
inline LayerCost original_cost(const Layer& layer) {
  validate(layer);
  return detail::unfactored_cost(layer, 32, 0, 32);
}

/// The layer with its weights in `bits` bits (1 to 32) and a float32 scale for each output channel, activations in
/// `activation_bits` (1 to 32). Errors: a number or a field of the layer out of range.
inline LayerCost direct_cost(const Layer& layer, int bits, int activation_bits = 8) {
  detail::check_cost_arguments("direct_cost", layer, bits, activation_bits);
  return detail::unfactored_cost(layer, bits, detail::float_bits * static_cast<double>(layer.dimensions[0]),
                                 activation_bits);
}

/// The layer with its weights factored: `R sum(I_n)` entries in `bits` bits (1 to 32) and R float32 weights with which
/// scales of components and tensors merge, `model_size` of the model. MACs `R (I input_pixels + (kh kw + O)
/// output_pixels)`, where I and kh kw count once a group. Activations in `activation_bits` (1 to 32). Errors: a rank
/// below 1; a number or a field of the layer out of range.
inline LayerCost factored_cost(const Layer& layer, Index rank, int bits, int activation_bits = 8) {
  detail::check_cost_arguments("factored_cost", layer, bits, activation_bits);
  if (rank < 1) detail::fail("factored_cost", "rank must be at least 1, got ", rank);
  const double components = static_cast<double>(rank), entries = components * detail::sum_of(layer.dimensions);
  return detail::with_bops(
      {entries, entries * bits + detail::float_bits * components, components * detail::component_macs(layer), 0}, bits,
      activation_bits);
}

/// The same for any quantizer, with what it keeps besides: the bits that `model_size` tells of such a model of floats.
/// Errors: also those of the quantizer.
template <typename Quantizer, typename = typename Quantizer::Parameters>
LayerCost factored_cost(const Layer& layer, Index rank, const Quantizer& quantizer, int activation_bits = 8) {
  LayerCost cost = factored_cost(layer, rank, quantizer.code_bits(), activation_bits);
  for (const Index length : layer.dimensions) cost.bits += detail::parameter_size(quantizer, length, rank).bits;
  return cost;
}

/// The same for any quantizer of the matrix `I (kh kw) x O`, an output channel a column: codes, the bits that its
/// `parameter_bits` tells, and 32 for each scale that it leaves out, one for a column or one for all (of a quantizer
/// without a member `granularity`, for every column). Errors: also those of the quantizer.
template <typename Quantizer, typename = typename Quantizer::Parameters>
LayerCost direct_cost(const Layer& layer, const Quantizer& quantizer, int activation_bits = 8) {
  const int bits = quantizer.code_bits();
  detail::check_cost_arguments("direct_cost", layer, bits, activation_bits);
  const Index outputs = layer.dimensions[0], entries = static_cast<Index>(detail::product_of(layer.dimensions));
  const detail::ParameterSize size = detail::parameter_size(quantizer, entries / outputs, outputs);
  return detail::unfactored_cost(layer, bits, size.bits + detail::float_bits * size.merged, activation_bits);
}

}  // namespace qaf
