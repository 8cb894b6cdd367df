#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <Eigen/Core>

#include "inference.hpp"

/// What a batch norm gets to see: mean and variance of every channel, over images and pixels.
struct ChannelStatistics {
  Eigen::ArrayXd mean, variance;
};

namespace batch_norms {

inline ChannelStatistics statistics_of(std::vector<BatchState>& batches, const Step& step) {
  Eigen::ArrayXd sum, squares;
  double pixels = 0;
  for (BatchState& batch : batches) {
    const Eigen::MatrixXd values = batch.target(step).values.cast<double>();
    if (pixels == 0) sum = squares = Eigen::ArrayXd::Zero(values.rows());
    sum += values.rowwise().sum().array();
    squares += values.rowwise().squaredNorm().array();
    pixels += static_cast<double>(values.cols());
  }
  return {sum / pixels, (squares / pixels - (sum / pixels).square()).max(0.0)};
}

/// Throws where two steps share a batch norm: it has one set of statistics and two inputs.
inline void check_not_shared(const Network& network) {
  std::set<std::string> names;
  for (const Step& step : network.description.steps)
    if (step.kind == StepKind::batch_norm && !names.insert(step.name).second)
      throw std::runtime_error(place_of(network.description, step.line) + ": the batch norm " + step.name +
                               " runs more than once; the statistics of a shared one cannot be moved, keep them "
                               "(--batch-norms keep)");
}

/// Runs all images through the network, all of them through a step before any through the next. `on_batch_norm` may
/// change the batch norm that is about to run.
inline void run(const Network& network, const qaf::DenseTensor<std::uint8_t>& images, const InferenceHooks& hooks,
                const std::function<void(const Step&, const ChannelStatistics&)>& on_batch_norm) {
  check_not_shared(network);
  std::vector<BatchState> batches;
  const qaf::Index total = images.dimensions()[0];
  for (qaf::Index first = 0; first < total; first += inference::batch_size)
    batches.push_back(
        {inference::network_input(network, images, first, std::min(inference::batch_size, total - first)), {}});
  for (const Step& step : network.description.steps) {
    if (step.kind == StepKind::batch_norm) on_batch_norm(step, statistics_of(batches, step));
    for (BatchState& batch : batches) run_step(network, step, batch, hooks);
  }
}

}  // namespace batch_norms

/// The inputs of all batch norms, over some images, by name. Throws where two steps share one. Memory: the maps of all
/// images at one step, and those saved.
inline std::map<std::string, ChannelStatistics> batch_norm_inputs(const Network& network,
                                                                  const qaf::DenseTensor<std::uint8_t>& images) {
  std::map<std::string, ChannelStatistics> statistics;
  batch_norms::run(network, images, {},
                   [&](const Step& step, const ChannelStatistics& found) { statistics[step.name] = found; });
  return statistics;
}

/// Takes back the shift and the loss of variance that replaced weights bring: the running mean of every batch norm
/// moves by as much as the mean of its input has moved from the `original` network's, its variance changes by the same
/// factor, both over the same images, with all batch norms before it corrected. No labels and no training are needed. A
/// network that is unchanged stays so; statistics that were estimated anew would lose what those of training owe to its
/// augmented images (docs/benchmarks.md). `hooks`: what stands in the place of layers. Throws and takes
/// memory as above.
inline void match_batch_norms(Network& network, const std::map<std::string, ChannelStatistics>& original,
                              const qaf::DenseTensor<std::uint8_t>& images, const InferenceHooks& hooks = {}) {
  batch_norms::run(network, images, hooks, [&](const Step& step, const ChannelStatistics& found) {
    const ChannelStatistics& before = original.at(step.name);
    const auto channels = [&](const char* what) {
      qaf::DenseTensor<float>& values = network.parameters.at(step.name + what);
      return Eigen::Map<Eigen::ArrayXf>(values.data(), values.size());
    };
    const Eigen::ArrayXd factor = (found.variance + step.epsilon) / (before.variance + step.epsilon);
    channels(".running_mean") += (found.mean - before.mean).cast<float>();
    channels(".running_var") *= factor.cast<float>();
  });
}
