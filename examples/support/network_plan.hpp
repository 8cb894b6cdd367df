#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <qaf/plan.hpp>
#include <qaf/plan/plan_text.hpp>
#include <qaf/quantizers/any.hpp>

#include "layer_compression.hpp"
#include "parallel_jobs.hpp"
#include "second_moments.hpp"

/// The quantizer of that name for a number of bits.
struct QuantizerOfBits {
  std::string name;
  qaf::AnyQuantizer operator()(int bits) const { return qaf::make_quantizer(name, bits); }
};

/// The sizes of layers, with the pixels at which they compute where an image is at hand.
inline std::vector<qaf::Layer> layers_of(const Network& network, const std::vector<std::string>& names,
                                         const qaf::DenseTensor<std::uint8_t>* images) {
  std::map<std::string, qaf::Layer> sizes;
  if (images != nullptr) {
    InferenceHooks hooks;
    hooks.on_input = [&](const Step& step, const Maps& input) {
      const auto output = qaf::output_size({input.rows, input.columns}, inference::kernel_size(network, step),
                                           inference::geometry_of(step));
      // Where a step runs more than once, all its pixels count.
      qaf::Layer& layer = sizes[step.name];
      const bool is_first = layer.dimensions.empty();
      layer.dimensions = {1, 1};
      layer.output_pixels = (is_first ? 0 : layer.output_pixels) + output[0] * output[1];
      layer.input_pixels = (is_first ? 0 : layer.input_pixels) + input.rows * input.columns;
    };
    BatchState state{inference::network_input(network, *images, 0, 1), {}};
    for (const Step& step : network.description.steps) run_step(network, step, state, hooks);
  }
  std::vector<qaf::Layer> layers;
  for (const std::string& name : names) {
    layers.push_back(sizes[name]);
    layers.back().name = name;
    layers.back().dimensions = factored_weights(network, name).dimensions();
  }
  return layers;
}

/// All layers factored, with so many bits and a reduction of their parameters.
inline qaf::Plan uniform_plan(const std::vector<qaf::Layer>& layers, int bits, double reduction,
                              const std::string& quantizer) {
  qaf::Plan plan;
  for (const qaf::Layer& layer : layers) {
    qaf::PlannedLayer planned;
    planned.layer = layer;
    planned.form = qaf::Form::factored;
    planned.rank = qaf::rank_for_reduction(layer.dimensions, reduction);
    planned.bits = bits;
    plan.layers.push_back(planned);
  }
  update_costs(plan, QuantizerOfBits{quantizer});
  plan.budget = plan.total.bits;
  return plan;
}

/// What a plan may spend.
struct Budget {
  qaf::Measure measure = qaf::Measure::bits;
  double amount = 0;  ///< of bits: for each weight of the original; of bit operations: of one image
};

/// Rank and bits of every layer for the least sum of squared errors within a budget. The errors are measured by short
/// solves, of so many layers at a time.
inline qaf::Plan budget_plan(const Network& network, const std::vector<qaf::Layer>& layers,
                             const std::map<std::string, SecondMoments>& moments, const Budget& budget,
                             const LayerSettings& settings, std::size_t jobs) {
  const QuantizerOfBits quantizer{settings.quantizer};
  qaf::CandidateOptions options;
  const int usual_bits = qaf::make_quantizer(settings.quantizer).code_bits();
  for (std::vector<int>* bits : {&options.bits, &options.direct_bits}) {
    *bits = layer_compression::possible_bits(settings.quantizer, std::move(*bits));
    if (bits->empty()) *bits = {usual_bits};
  }
  options.solver.start.seed = settings.seed;
  options.solver.resources.threads = 1;
  options.solver.on_iteration =
      options.solver.start.on_iteration = [](const qaf::Progress&) { return !is_interrupted(); };
  std::vector<double> work;
  double weights = 0;
  for (const qaf::Layer& layer : layers) {
    work.push_back(qaf::original_cost(layer).parameters);
    weights += work.back();
  }
  JobsProgress progress("choosing rank and bits", work);
  std::vector<qaf::LayerCandidates> candidates(layers.size());
  run_parallel(layers.size(), jobs, [&](std::size_t k) {
    const qaf::DenseTensor<float> tensor = factored_weights(network, layers[k].name);
    const auto found = moments.find(layers[k].name);
    candidates[k] =
        found == moments.end()
            ? qaf::candidates_of(layers[k], tensor, options, quantizer)
            : qaf::candidates_of(layers[k], qaf::weighted(tensor, error_metrics(found->second, tensor.order())),
                                 options, quantizer);
    layer_compression::Watch::check();
    progress.update(k, 1);
  });
  const double amount = budget.measure == qaf::Measure::bits ? budget.amount * weights : budget.amount;
  return make_plan(candidates, budget.measure, amount);
}

/// Reads a plan that was edited. Throws where it does not fit the network.
inline qaf::Plan read_network_plan(const std::string& path, const Network& network, const std::string& quantizer) {
  qaf::Plan plan = qaf::read_plan(path, QuantizerOfBits{quantizer});
  for (const qaf::PlannedLayer& planned : plan.layers) {
    factorable_step(network, planned.layer.name);
    const std::vector<qaf::Index> sizes = factored_weights(network, planned.layer.name).dimensions();
    if (planned.layer.dimensions != sizes)
      throw std::runtime_error(path + ": the layer " + planned.layer.name + " must have dimensions " +
                               qaf::detail::shape_text(sizes) + ", got " +
                               qaf::detail::shape_text(planned.layer.dimensions));
  }
  return plan;
}
