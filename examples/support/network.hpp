#pragma once

// A network: the steps of its description and the parameters of its file, which fit together.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <qaf/dense_tensor.hpp>

#include "network_description.hpp"
#include "parameters.hpp"

/// A network that can be run: `run_step` and `logits` of inference.hpp.
struct Network {
  std::string path;  ///< of the parameters, for messages
  NetworkDescription description;
  Parameters parameters;
};

namespace network {

/// "any x 16 x 3 x 3": a size of -1 may be any.
inline std::string shape_text(const std::vector<qaf::Index>& shape) {
  std::string text;
  for (const qaf::Index size : shape)
    text += (text.empty() ? "" : " x ") + (size < 0 ? std::string("any") : std::to_string(size));
  return text;
}

/// The parameter `name` of a step, which must have this shape.
inline const qaf::DenseTensor<float>& parameter(const Network& network, const Step& step, const std::string& name,
                                                const std::vector<qaf::Index>& shape) {
  const std::string place = place_of(network.description, step.line) + ": ";
  const auto found = network.parameters.find(name);
  if (found == network.parameters.end()) throw std::runtime_error(place + network.path + " has no parameter " + name);
  const std::vector<qaf::Index>& sizes = found->second.dimensions();
  const auto fits = [](qaf::Index expected, qaf::Index size) { return size > 0 && (expected < 0 || expected == size); };
  if (!std::equal(shape.begin(), shape.end(), sizes.begin(), sizes.end(), fits))
    throw std::runtime_error(place + name + " must be " + shape_text(shape) + ", got " +
                             qaf::detail::shape_text(sizes) + " in " + network.path);
  for (qaf::Index k = 0; k < found->second.size(); ++k)
    if (!std::isfinite(found->second.data()[k]))
      throw std::runtime_error(place + name + " must be finite, got NaN or infinity in " + network.path);
  return found->second;
}

/// Follows the channels through the steps; -1 where only the images' size will tell.
class ChannelCheck {
 public:
  explicit ChannelCheck(const Network& network)
      : network_(network), channels_(static_cast<qaf::Index>(network.description.means.size())) {}

  void follow(const Step& step) {
    qaf::Index& channels = step.branch.empty() ? channels_ : saved_.at(step.branch);
    if (step.kind == StepKind::convolution) {
      if (channels >= 0 && channels % step.groups != 0)
        fail(step, "the " + std::to_string(channels) + " channels must divide into groups, got " +
                       std::to_string(step.groups));
      channels = layer_outputs(step, {-1, channels < 0 ? -1 : channels / step.groups, -1, -1});
      if (channels % step.groups != 0)
        fail(step, "the " + std::to_string(channels) + " outputs must divide into groups, got " +
                       std::to_string(step.groups));
    } else if (step.kind == StepKind::linear) {
      channels = layer_outputs(step, {-1, channels});
    } else if (step.kind == StepKind::batch_norm) {
      for (const char* what : {".weight", ".bias", ".running_mean", ".running_var"})
        channels = parameter(network_, step, step.name + what, {channels}).size();
      check_variances(step);
    } else if (step.kind == StepKind::flatten) {
      channels = -1;
    } else if (step.kind == StepKind::save) {
      saved_[step.name] = channels;
    } else if (step.kind == StepKind::add && channels >= 0 && saved_.at(step.name) > channels) {
      fail(step, "add needs saved maps of at most " + std::to_string(channels) + " channels, got " +
                     std::to_string(saved_.at(step.name)));
    }
  }

 private:
  qaf::Index layer_outputs(const Step& step, const std::vector<qaf::Index>& shape) {
    const qaf::Index outputs = parameter(network_, step, step.name + ".weight", shape).dimensions()[0];
    if (network_.parameters.count(step.name + ".bias") > 0) parameter(network_, step, step.name + ".bias", {outputs});
    return outputs;
  }

  void check_variances(const Step& step) const {
    const qaf::DenseTensor<float>& variances = network_.parameters.at(step.name + ".running_var");
    const float least = *std::min_element(variances.data(), variances.data() + variances.size());
    if (least < 0)
      fail(step, step.name + ".running_var must be 0 or more, got " + std::to_string(least) + " in " + network_.path);
  }

  [[noreturn]] void fail(const Step& step, const std::string& sentence) const {
    throw std::runtime_error(place_of(network_.description, step.line) + ": " + sentence);
  }

  const Network& network_;
  qaf::Index channels_;
  std::map<std::string, qaf::Index> saved_;
};

}  // namespace network

/// Puts the two together. Throws where a parameter is missing or does not fit: the sentence begins with file and line
/// of the description.
inline Network make_network(NetworkDescription description, Parameters parameters, const std::string& path) {
  Network network{path, std::move(description), std::move(parameters)};
  network::ChannelCheck check(network);
  for (const Step& step : network.description.steps) check.follow(step);
  return network;
}

/// Reads a network: its parameters from a folder of `.npy` files or a safetensors file, its steps from a description.
/// Without one it is taken for the bundled network or, where the names are such, for the ResNet-20.
inline Network read_network(const std::string& path, std::string description_path = "") {
  Parameters parameters = read_parameters(path);
  if (description_path.empty())
    description_path = parameters.count("layer1.0.conv1.weight") > 0 ? QAF_EXAMPLE_DATA "/resnet20.txt"
                                                                     : QAF_EXAMPLE_DATA "/network.txt";
  return make_network(read_description(description_path), std::move(parameters), path);
}

/// Whether a step has weights that a CP model can take the place of: a linear layer, or a convolution of one group.
inline bool is_factorable(const Step& step) {
  return step.kind == StepKind::linear || (step.kind == StepKind::convolution && step.groups == 1);
}

/// The names of the convolutions of one group, in the order in which they run first.
inline std::vector<std::string> convolution_names(const Network& network) {
  std::vector<std::string> names;
  for (const Step& step : network.description.steps)
    if (step.kind == StepKind::convolution && is_factorable(step) &&
        std::find(names.begin(), names.end(), step.name) == names.end())
      names.push_back(step.name);
  return names;
}

/// The step of this name that can be factored. Throws with the names that can.
inline const Step& factorable_step(const Network& network, const std::string& name) {
  std::string known;
  std::set<std::string> named;
  for (const Step& step : network.description.steps) {
    if (step.name == name && step.kind == StepKind::convolution && step.groups > 1)
      throw std::runtime_error("the convolution " + name + " has " + std::to_string(step.groups) +
                               " groups; only those of one group can be factored");
    if (!is_factorable(step)) continue;
    if (step.name == name) return step;
    if (named.insert(step.name).second) known += (known.empty() ? "" : ", ") + step.name;
  }
  throw std::runtime_error("the network has no convolution or linear layer '" + name + "'; it has " +
                           (known.empty() ? "none" : known));
}

/// A layer's weights as the tensor that is factored: `O x I x (kh kw)`, or `O x I` of a linear layer and of a kernel of
/// 1 x 1.
inline qaf::DenseTensor<float> factored_weights(const Network& network, const std::string& name) {
  qaf::DenseTensor<float> weights = network.parameters.at(name + ".weight");
  const std::vector<qaf::Index> sizes = weights.dimensions();
  if (sizes.size() == 4 && sizes[2] * sizes[3] == 1)
    weights.reshape({sizes[0], sizes[1]});
  else if (sizes.size() == 4)
    weights.reshape({sizes[0], sizes[1], sizes[2] * sizes[3]});
  return weights;
}

/// Replaces the weights of a convolution or linear layer by others of its size; the last two sizes of a convolution's
/// may be one.
inline void replace_weights(Network& network, const std::string& name, const qaf::DenseTensor<float>& weights) {
  factorable_step(network, name);
  qaf::DenseTensor<float>& replaced = network.parameters.at(name + ".weight");
  const std::vector<qaf::Index> sizes = replaced.dimensions();
  if (weights.dimensions() != sizes && weights.dimensions() != factored_weights(network, name).dimensions())
    throw std::runtime_error("the weights of " + name + " must be " + qaf::detail::shape_text(sizes) +
                             (sizes.size() == 4 ? ", its last two sizes may be one" : "") + ", got " +
                             qaf::detail::shape_text(weights.dimensions()));
  replaced = with_storage_order(weights, qaf::StorageOrder::row_major);
  replaced.reshape(sizes);
}
