#pragma once

#include <cstdint>
#include <vector>

#include <Eigen/Core>

#include "inference.hpp"

/// Estimates mean and variance of every batch norm anew, over some images: what its input has after the steps before
/// it, themselves with their new statistics. No labels and no training are needed; it takes back the shift and the loss
/// of variance that replaced weights bring. `hooks`: what stands in the place of layers.
/// Memory: the maps of all images at one step, and those saved.
inline void estimate_batch_norms(Network& network, const qaf::DenseTensor<std::uint8_t>& images,
                                 const InferenceHooks& hooks = {}) {
  std::vector<BatchState> batches;
  for (qaf::Index first = 0; first < images.dimensions()[0]; first += inference::batch_size) {
    const qaf::Index count = std::min(inference::batch_size, images.dimensions()[0] - first);
    batches.push_back({inference::network_input(network, images, first, count), {}});
  }
  for (const Step& step : network.description.steps) {
    if (step.kind == StepKind::batch_norm) {
      Eigen::ArrayXd sum, squares;
      double pixels = 0;
      for (BatchState& batch : batches) {
        const Eigen::MatrixXd values = batch.target(step).values.cast<double>();
        if (pixels == 0) sum = squares = Eigen::ArrayXd::Zero(values.rows());
        sum += values.rowwise().sum().array();
        squares += values.rowwise().squaredNorm().array();
        pixels += static_cast<double>(values.cols());
      }
      const Eigen::ArrayXd mean = sum / pixels, variance = (squares / pixels - mean.square()).max(0.0);
      for (qaf::Index channel = 0; channel < mean.size(); ++channel) {
        network.parameters.at(step.name + ".running_mean").data()[channel] = static_cast<float>(mean[channel]);
        network.parameters.at(step.name + ".running_var").data()[channel] = static_cast<float>(variance[channel]);
      }
    }
    for (BatchState& batch : batches) run_step(network, step, batch, hooks);
  }
}
