#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <qaf/dense_tensor.hpp>
#include <qaf/error.hpp>
#include <qaf/plan/allocation.hpp>
#include <qaf/plan/candidates.hpp>
#include <qaf/plan/detail/number_text.hpp>
#include <qaf/plan/layer_cost.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// What a budget counts.
enum class Measure { parameters, bits, macs, bops };

/// "parameters", "bits", "macs" or "bops".
inline const char* to_string(Measure measure) {
  switch (measure) {
    case Measure::parameters:
      return "parameters";
    case Measure::bits:
      return "bits";
    case Measure::macs:
      return "macs";
    case Measure::bops:
      return "bops";
  }
  return "unknown";
}

/// The part of a cost that a budget counts.
inline double measured(const LayerCost& cost, Measure measure) {
  switch (measure) {
    case Measure::parameters:
      return cost.parameters;
    case Measure::bits:
      return cost.bits;
    case Measure::macs:
      return cost.macs;
    case Measure::bops:
      return cost.bops;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

/// What becomes of a layer. After a change to `form`, `rank`, `bits` or `activation_bits` call `update_costs`, and
/// `update_errors` where the candidates are at hand.
struct PlannedLayer {
  Layer layer = {};            ///< its sizes
  Form form = Form::original;  ///< factored, quantized as it is, or neither
  Index rank = 0;              ///< where it is factored, else 0
  int bits = 32;               ///< 32 for the original, in float32
  int activation_bits = 8;     ///< 1 to 32, for BOPs
  double weight = 1;           ///< of the squared relative error in the plan's loss
  double relative_error = 0;   ///< predicted
  LayerCost cost = {};         ///< of that form
};

/// What becomes of the layers of a network.
struct Plan {
  std::vector<PlannedLayer> layers = {};  ///< in the order in which they were given
  Measure measure = Measure::bits;        ///< what the budget is of
  double budget = 0;                      ///< the most that `measured(total, measure)` was to be
  LayerCost total = {};                   ///< of all layers
  LayerCost original = {};                ///< of all layers as they were, in float32
  double loss = 0;                        ///< the sum of weight times squared relative error, predicted
  double bound = 0;                       ///< what the candidates' least loss within the budget cannot be below
};

/// The cost of all layers as they are, in float32. Errors: a field of a layer out of range.
inline LayerCost original_cost(const std::vector<LayerCandidates>& layers) {
  LayerCost total;
  for (const LayerCandidates& layer : layers) total += original_cost(layer.layer);
  return total;
}

namespace detail {

/// Sums over the layers.
inline void update_totals(Plan& plan) {
  plan.total = plan.original = {};
  plan.loss = 0;
  for (const PlannedLayer& one : plan.layers) {
    plan.total += one.cost;
    plan.original += original_cost(one.layer);
    plan.loss += one.weight * one.relative_error * one.relative_error;
  }
}

inline void check_candidates(const char* function, const LayerCandidates& layer) {
  validate(layer.layer);
  if (layer.candidates.empty()) fail(function, "layer '", layer.layer.name, "' has no candidates");
  if (!(layer.weight >= 0 && std::isfinite(layer.weight)))
    fail(function, "the weight of layer '", layer.layer.name, "' must be 0 or more and finite, got ", layer.weight);
  for (const Candidate& one : layer.candidates)
    for (const double cost : {one.cost.parameters, one.cost.bits, one.cost.macs, one.cost.bops})
      if (!(cost >= 0 && std::isfinite(cost)))
        fail(function, "the costs of layer '", layer.layer.name, "' must be 0 or more and finite, got ", cost);
  for (const Candidate& one : layer.candidates)
    if (!(one.relative_error >= 0 && std::isfinite(one.relative_error)))
      fail(function, "the errors of layer '", layer.layer.name, "' must be 0 or more and finite, got ",
           one.relative_error);
}

inline std::string candidate_text(Form form, Index rank, int bits) {
  if (form == Form::original) return "original";
  const std::string text = concatenate(to_string(form), " at ", bits, " bits");
  return form == Form::factored ? concatenate(text, " and rank ", rank) : text;
}

}  // namespace detail

/// Chooses for each layer one of its candidates so that the sum of weight times squared relative error is least and the
/// cost of all is no more than the budget; see `allocate`, from which also comes the bound. Equal weights count each
/// layer's error relative to its own norm; to count errors of the weights themselves give each layer the square of its
/// norm, to count what they do to the network's output give what you measured.
/// Errors: no layers, a layer without candidates, errors or weights out of range, a budget below the least that the
/// candidates cost, which the sentence names.
inline Plan make_plan(const std::vector<LayerCandidates>& layers, Measure measure, double budget) {
  constexpr const char* function = "make_plan";
  if (layers.empty()) detail::fail(function, "there must be at least one layer");
  std::vector<std::vector<Choice>> groups;
  for (const LayerCandidates& layer : layers) {
    detail::check_candidates(function, layer);
    groups.emplace_back();
    for (const Candidate& one : layer.candidates)
      groups.back().push_back({measured(one.cost, measure), layer.weight * one.relative_error * one.relative_error});
  }
  const double least = detail::least_cost(groups);
  if (!(budget >= least))
    detail::fail(function, "the budget must be at least ", detail::number_text(least), " ", to_string(measure),
                 ", which the cheapest candidates of all layers cost, got ", detail::number_text(budget));
  const Allocation allocation = allocate(groups, budget);
  Plan plan;
  plan.measure = measure;
  plan.budget = budget;
  plan.bound = std::max(allocation.bound, 0.0);  // below by rounding only
  for (std::size_t k = 0; k < layers.size(); ++k) {
    const Candidate& one = layers[k].candidates[allocation.choices[k]];
    plan.layers.push_back({layers[k].layer, one.form, one.rank, one.bits, layers[k].activation_bits, layers[k].weight,
                           one.relative_error, one.cost});
  }
  detail::update_totals(plan);
  return plan;
}

/// Computes the costs of an edited plan, its totals and its loss anew; the predicted errors stay. `quantizer_of_bits`:
/// as `candidates_of`. Errors: a field of a layer out of range; the plan is then as it was.
template <typename QuantizerOfBits = UniformOfBits>
void update_costs(Plan& plan, const QuantizerOfBits& quantizer_of_bits = {}) {
  Plan updated = plan;
  for (PlannedLayer& one : updated.layers)
    one.cost = detail::cost_of_form(one.layer, one.form, one.rank, one.bits, one.activation_bits, quantizer_of_bits);
  detail::update_totals(updated);
  plan = std::move(updated);
}

/// The relative error that candidates foretell: that of the candidate itself, or interpolated between the ranks of two.
/// Errors: no candidate of this form and these bits, or a rank outside of theirs.
inline double predicted_error(const LayerCandidates& layer, Form form, Index rank, int bits) {
  constexpr const char* function = "predicted_error";
  detail::check_candidates(function, layer);
  std::vector<std::pair<Index, double>> measured;
  for (const Candidate& one : layer.candidates) {
    if (one.form != form || (one.bits != bits && form != Form::original)) continue;
    if (form != Form::factored || one.rank == rank) return one.relative_error;
    if (one.measured) measured.emplace_back(one.rank, one.relative_error);
  }
  std::sort(measured.begin(), measured.end());
  const auto same_rank = [](const auto& a, const auto& b) { return a.first == b.first; };
  measured.erase(std::unique(measured.begin(), measured.end(), same_rank), measured.end());  // the least error stays
  if (measured.empty() || rank < measured.front().first || rank > measured.back().first)
    detail::fail(
        function, "layer '", layer.layer.name, "' has no candidates about ", detail::candidate_text(form, rank, bits),
        measured.empty()
            ? std::string()
            : detail::concatenate("; their ranks go from ", measured.front().first, " to ", measured.back().first));
  return detail::ErrorOfRank(measured)(rank);
}

/// Predicts the errors of an edited plan anew, and its loss. `layers`: the candidates, in the order of the plan.
/// Errors: another number of layers, or one of another name or other dimensions; those of `predicted_error`; a field of
/// a layer out of range. The plan is then as it was.
inline void update_errors(Plan& plan, const std::vector<LayerCandidates>& layers) {
  constexpr const char* function = "update_errors";
  if (layers.size() != plan.layers.size())
    detail::fail(function, "the plan has ", plan.layers.size(), " layers, got candidates of ", layers.size());
  Plan updated = plan;
  for (std::size_t k = 0; k < layers.size(); ++k) {
    PlannedLayer& one = updated.layers[k];
    if (layers[k].layer.name != one.layer.name)
      detail::fail(function, "layer ", k, " of the plan is '", one.layer.name, "', got candidates of '",
                   layers[k].layer.name, "'");
    if (layers[k].layer.dimensions != one.layer.dimensions)
      detail::fail(function, "layer '", one.layer.name, "' of the plan is ", detail::shape_text(one.layer.dimensions),
                   ", got candidates of ", detail::shape_text(layers[k].layer.dimensions));
    one.relative_error = predicted_error(layers[k], one.form, one.rank, one.bits);
  }
  detail::update_totals(updated);
  plan = std::move(updated);
}

}  // namespace qaf
