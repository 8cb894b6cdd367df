#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <Eigen/Core>

#include <qaf/convolution.hpp>

#include "inference.hpp"
#include "metric.hpp"

/// The second moments of a layer's inputs, summed over the patches added so far.
struct SecondMoments {
  Eigen::MatrixXd channels;   ///< C x C, summed over the pixels of all patches too
  Eigen::MatrixXd positions;  ///< of the kernel, (kh kw) x (kh kw), summed over the channels too
  qaf::Index patches = 0;     ///< how many
};

/// Adds patches as `qaf::patches` makes them, of so many positions.
inline void add_patches(SecondMoments& moments, const Eigen::MatrixXf& patches, qaf::Index positions) {
  const qaf::Index channels = patches.rows() / positions;
  if (moments.patches == 0) {
    moments.channels.setZero(channels, channels);
    moments.positions.setZero(positions, positions);
  }
  const Eigen::Map<const Eigen::MatrixXf> pixels(patches.data(), channels, positions * patches.cols());
  moments.channels += (pixels * pixels.transpose()).cast<double>();
  Eigen::MatrixXf by_position(positions, channels * patches.cols());
  for (qaf::Index k = 0; k < patches.cols(); ++k)
    by_position.middleCols(k * channels, channels) = pixels.middleCols(k * positions, positions).transpose();
  moments.positions += (by_position * by_position.transpose()).cast<double>();
  moments.patches += patches.cols();
}

/// The second moments of the inputs of all layers that can be factored, over some images, by the layers' names. Throws
/// where one is not finite.
inline std::map<std::string, SecondMoments> second_moments(const Network& network,
                                                           const qaf::DenseTensor<std::uint8_t>& images) {
  std::map<std::string, SecondMoments> moments;
  InferenceHooks hooks;
  hooks.on_input = [&](const Step& step, const Maps& input) {
    if (!is_factorable(step)) return;
    const auto kernel = inference::kernel_size(network, step);
    add_patches(moments[step.name], qaf::patches(input, kernel, inference::geometry_of(step)), kernel[0] * kernel[1]);
  };
  logits(network, images, hooks);
  for (const auto& [name, moment] : moments)
    if (!moment.channels.allFinite() || !moment.positions.allFinite())
      throw std::runtime_error(network.description.path + ": the inputs of the layer " + name +
                               " are too large: their squares overflow float32");
  return moments;
}

/// The mean square of all entries of the patches.
inline double mean_square(const SecondMoments& moments) {
  return moments.positions.trace() /
         static_cast<double>(moments.positions.rows() * moments.channels.rows() * moments.patches);
}

/// The matrix divided by the mean of its diagonal, and exactly symmetric; zeros stay zeros.
inline Eigen::MatrixXd with_mean_diagonal_1(const Eigen::MatrixXd& moments) {
  const double mean = moments.diagonal().mean();
  return (moments + moments.transpose()) / (mean > 0 ? 2 * mean : 2);
}

/// What errors in weights of so many modes cost in the layer's output: outputs weigh the same, inputs and positions as
/// the moments say.
inline std::vector<Eigen::MatrixXd> error_metrics(const SecondMoments& moments, qaf::Index order) {
  std::vector<Eigen::MatrixXd> metrics(static_cast<std::size_t>(order));
  metrics[1] = error_metric(with_mean_diagonal_1(moments.channels));
  if (order > 2) metrics[2] = error_metric(with_mean_diagonal_1(moments.positions));
  return metrics;
}
