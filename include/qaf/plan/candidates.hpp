#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include <qaf/cp_admm.hpp>
#include <qaf/cp_admm_options.hpp>
#include <qaf/error.hpp>
#include <qaf/plan/detail/monotone_cubic.hpp>
#include <qaf/plan/layer_cost.hpp>
#include <qaf/quantizers/uniform.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>
#include <qaf/weighted_tensor.hpp>

namespace qaf {

/// What could become of a layer.
struct Candidate {
  Form form = Form::original;  ///< factored, quantized as it is, or neither
  Index rank = 0;              ///< where it is factored, else 0
  int bits = 32;               ///< of a weight or of a factor's entry
  double relative_error = 0;   ///< of the tensor of weights
  LayerCost cost = {};         ///< in parameters, bits, MACs and BOPs
  bool measured = true;        ///< false where the error is interpolated between measured ranks
};

/// A layer with what could become of it.
struct LayerCandidates {
  Layer layer = {};                        ///< its sizes
  std::vector<Candidate> candidates = {};  ///< in any order, 1 or more
  int activation_bits = 8;                 ///< of the candidates but the original

  /// What the square of its relative error counts among those of other layers; 0 or more.
  double weight = 1;
};

/// The quantizer that is meant by a number of bits where no other is asked for: one scale a component.
struct UniformOfBits {
  /// Bits: 1 to 8.
  UniformQuantizer operator()(int bits) const {
    UniformQuantizer quantizer;
    quantizer.bits = bits;
    return quantizer;
  }
};

/// Settings of `candidates_of`.
struct CandidateOptions {
  /// Of the factors' entries; for each the layer is factored at several ranks.
  std::vector<int> bits = {2, 3, 4, 6, 8};

  /// Bits in which the weights are quantized without being factored; none for no such candidates.
  std::vector<int> direct_bits = {2, 3, 4, 5, 6, 7, 8};

  /// Whether the layer may stay as it is.
  bool original = true;

  /// The lowest rank is that at which the factored layer takes so many bits for each weight of the original; above 0.
  /// The plan can only choose what is here: the range should reach well to both sides of the budget.
  double least_bits_per_weight = 0.5;

  /// The same for the highest rank; from `least_bits_per_weight` to 64.
  double most_bits_per_weight = 4;

  /// Ranks at which the layer is factored, for each number of bits; 2 or more. They form a geometric sequence.
  Index measured_ranks = 6;

  /// Candidates for each number of bits, `measured_ranks` or more: between measured ranks the error is interpolated.
  Index ranks = 60;

  int activation_bits = 8;  ///< 1 to 32, for BOPs

  /// Of the solver that measures. The quarter of the usual effort gives errors some percent higher, at all ranks and
  /// bits much alike.
  CpAdmmOptions solver = cp_admm_options(Effort::quick);
};

/// Throws `std::invalid_argument` that names the first field out of its range.
inline void validate(const CandidateOptions& options) {
  const auto refuse = [](const auto&... sentence) { detail::fail("CandidateOptions", sentence...); };
  if (options.bits.empty() && options.direct_bits.empty() && !options.original)
    refuse("bits, direct_bits and original must allow some candidate");
  for (const int bits : options.bits)
    if (bits < 1 || bits > 32) refuse("bits must be from 1 to 32, got ", bits);
  for (const int bits : options.direct_bits)
    if (bits < 1 || bits > 32) refuse("direct_bits must be from 1 to 32, got ", bits);
  for (const std::vector<int>* list : {&options.bits, &options.direct_bits})
    for (auto bits = list->begin(); bits != list->end(); ++bits)
      if (std::find(list->begin(), bits, *bits) != bits)
        refuse(list == &options.bits ? "bits" : "direct_bits", " must differ, got ", *bits, " twice");
  if (!(options.least_bits_per_weight > 0 && std::isfinite(options.least_bits_per_weight)))
    refuse("least_bits_per_weight must be above 0 and finite, got ", options.least_bits_per_weight);
  if (!(options.most_bits_per_weight >= options.least_bits_per_weight && options.most_bits_per_weight <= 64))
    refuse("most_bits_per_weight must be from least_bits_per_weight to 64, got ", options.most_bits_per_weight);
  if (options.measured_ranks < 2) refuse("measured_ranks must be at least 2, got ", options.measured_ranks);
  if (options.ranks < options.measured_ranks)
    refuse("ranks must be measured_ranks or more, got ", options.ranks, " with measured_ranks ",
           options.measured_ranks);
  if (options.activation_bits < 1 || options.activation_bits > 32)
    refuse("activation_bits must be from 1 to 32, got ", options.activation_bits);
  validate(options.solver);
}

namespace detail {

/// A geometric sequence of so many ranks, those that are equal once.
inline std::vector<Index> geometric_ranks(double least, double most, Index count) {
  std::vector<Index> ranks;
  for (Index k = 0; k < count; ++k) {
    const double share = count > 1 ? static_cast<double>(k) / static_cast<double>(count - 1) : 0;
    const Index rank = std::max(Index{1}, static_cast<Index>(std::floor(least * std::pow(most / least, share) + 1e-9)));
    if (ranks.empty() || rank > ranks.back()) ranks.push_back(rank);
  }
  return ranks;
}

/// The ranks at which entries of `code_bits` bits take the bits that the options ask for.
inline std::vector<Index> ranks_of_bits(const Layer& layer, int code_bits, const CandidateOptions& options,
                                        Index count) {
  const double component = code_bits * sum_of(layer.dimensions) + float_bits, weights = product_of(layer.dimensions);
  // No tensor needs more components than it has entries.
  const auto rank_of = [&](double bits_per_weight) { return std::min(bits_per_weight * weights / component, weights); };
  return geometric_ranks(rank_of(options.least_bits_per_weight), rank_of(options.most_bits_per_weight), count);
}

/// Errors against ranks, from measurements at some, in order: the logarithm is interpolated.
class ErrorOfRank {
 public:
  explicit ErrorOfRank(const std::vector<std::pair<Index, double>>& measured)
      : curve_(column(measured, [](const auto& one) { return static_cast<double>(one.first); }),
               column(measured, [](const auto& one) { return std::log(std::max(one.second, least)); })) {}

  double operator()(Index rank) const {
    const double error = std::exp(curve_(static_cast<double>(rank)));
    return error <= 2 * least ? 0 : error;
  }

 private:
  static constexpr double least = 1e-15;  // of an error that has a logarithm

  template <typename Part>
  static std::vector<double> column(const std::vector<std::pair<Index, double>>& measured, const Part& part) {
    std::vector<double> values;
    for (const auto& one : measured) values.push_back(part(one));
    return values;
  }

  MonotoneCubic curve_;
};

/// The relative error of the weights quantized as they are, an output channel (mode 0) a column of the matrix that the
/// quantizer sees.
template <typename Scalar, typename Quantizer>
double direct_quantization_error(const WeightedTensor<Scalar>& tensor, double norm, int threads,
                                 const Quantizer& quantizer) {
  if (norm == 0) return 0;
  const TensorView<Scalar>& view = tensor.view();
  const Index outputs = view.dimension(0), entries = view.size() / outputs;
  const bool channels_are_columns = view.storage_order() == StorageOrder::row_major;
  Matrix<Scalar> matrix(entries, outputs);
  if (channels_are_columns)
    matrix = Eigen::Map<const Matrix<Scalar>>(view.data(), entries, outputs);
  else
    matrix = Eigen::Map<const Matrix<Scalar>>(view.data(), outputs, entries).transpose();
  matrix /= static_cast<Scalar>(norm);
  const auto parameters = quantizer.fit(matrix);
  matrix -= quantizer.decode(quantizer.encode(matrix, parameters), parameters).template cast<Scalar>();
  if (!channels_are_columns) matrix = Matrix<Scalar>(matrix.transpose());
  return weighted_norm(tensor, Vector<Scalar>(Eigen::Map<const Vector<Scalar>>(matrix.data(), matrix.size())), threads);
}

/// Without a quantizer where its scales merge into the weights anyway: of large layers it would need matrices.
template <typename QuantizerOfBits>
LayerCost cost_of_form(const Layer& layer, Form form, Index rank, int bits, int activation_bits,
                       const QuantizerOfBits& quantizer_of_bits) {
  if (form == Form::original) return original_cost(layer);
  if constexpr (std::is_same_v<QuantizerOfBits, UniformOfBits>) {
    return form == Form::direct ? direct_cost(layer, bits, activation_bits)
                                : factored_cost(layer, rank, bits, activation_bits);
  } else {
    const auto quantizer = quantizer_of_bits(bits);
    return form == Form::direct ? direct_cost(layer, quantizer, activation_bits)
                                : factored_cost(layer, rank, quantizer, activation_bits);
  }
}

/// The candidates of a layer that is factored with one quantizer.
template <typename Scalar, typename QuantizerOfBits>
void add_factored_candidates(LayerCandidates& result, const WeightedTensor<Scalar>& tensor, int bits,
                             const QuantizerOfBits& quantizer_of_bits, const CandidateOptions& options) {
  const auto quantizer = quantizer_of_bits(bits);
  std::vector<std::pair<Index, double>> measured;
  for (const Index rank : ranks_of_bits(result.layer, quantizer.code_bits(), options, options.measured_ranks))
    measured.emplace_back(rank, cp_admm(tensor, rank, quantizer, options.solver).relative_error);
  const ErrorOfRank error(measured);
  std::vector<Index> ranks = ranks_of_bits(result.layer, quantizer.code_bits(), options, options.ranks);
  for (const auto& one : measured) ranks.push_back(one.first);
  std::sort(ranks.begin(), ranks.end());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  std::size_t next = 0;  // of those measured
  for (const Index rank : ranks) {
    Candidate candidate{Form::factored, rank, bits};
    candidate.cost = cost_of_form(result.layer, Form::factored, rank, bits, options.activation_bits, quantizer_of_bits);
    candidate.measured = next < measured.size() && measured[next].first == rank;
    candidate.relative_error = candidate.measured ? measured[next++].second : error(rank);
    result.candidates.push_back(candidate);
  }
}

}  // namespace detail

/// What could become of a layer, with errors and costs: left as it is, quantized directly, and factored at several
/// ranks and bits. Factored errors are measured at `options.measured_ranks` ranks by a short `cp_admm` and interpolated
/// between them: the logarithm of the error over the rank, by a monotone cubic. docs/choosing-rank-and-bits.md tells
/// how near they come.
///
/// `tensor`: the weights, of the layer's dimensions; a `weighted` tensor or anything `tensor_view` takes, of float or
/// double. Of a weighted tensor the errors are in its own norm. `quantizer_of_bits(bits)` returns the quantizer that
/// is meant by a number of bits, which has to tell its size as for `model_size`.
/// Errors: a tensor of other dimensions; a field of the layer, the options or a quantizer out of range; NaN or infinity
/// in the tensor. Cost: for each of the bits `measured_ranks` times that of `cp_admm`.
template <typename Tensor, typename QuantizerOfBits = UniformOfBits>
LayerCandidates candidates_of(const Layer& layer, const Tensor& tensor, const CandidateOptions& options = {},
                              const QuantizerOfBits& quantizer_of_bits = {}) {
  const auto weighted = detail::weighted_view(tensor);
  validate(layer);
  validate(options);
  if (weighted.view().dimensions() != layer.dimensions)
    detail::fail("candidates_of", "layer '", layer.name, "' is ", detail::shape_text(layer.dimensions),
                 ", its tensor must be too, got ", detail::shape_text(weighted.view().dimensions()));
  const int threads = detail::thread_count(options.solver.resources.threads);
  const double norm = detail::weighted_norm("candidates_of", weighted, options.solver.resources);
  LayerCandidates result;
  result.layer = layer;
  result.activation_bits = options.activation_bits;
  if (options.original) result.candidates.push_back({Form::original, 0, 32, 0, original_cost(layer), true});
  for (const int bits : options.direct_bits) {
    const double error = detail::direct_quantization_error(weighted, norm, threads, quantizer_of_bits(bits));
    result.candidates.push_back(
        {Form::direct, 0, bits, error,
         detail::cost_of_form(layer, Form::direct, 0, bits, options.activation_bits, quantizer_of_bits), true});
  }
  for (const int bits : options.bits)
    detail::add_factored_candidates(result, weighted, bits, quantizer_of_bits, options);
  return result;
}

}  // namespace qaf
