#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <qaf/cp_admm.hpp>
#include <qaf/dense_tensor.hpp>
#include <qaf/plan.hpp>
#include <qaf/quantizers/any.hpp>
#include <qaf/weighted.hpp>

#include "compressed_layer.hpp"
#include "interruption.hpp"

/// What is the same for all layers.
struct LayerSettings {
  std::string quantizer = "uniform";  ///< a name that `make_quantizer` knows
  qaf::Effort effort = qaf::Effort::normal;
  std::uint64_t seed = 0;
};

namespace layer_compression {

/// Tells how much is done and throws where the user wants an end.
class Watch {
 public:
  explicit Watch(std::function<void(double)> progress) : progress_(std::move(progress)) {}

  /// For a solver that takes the work from `begin` to `end`, parts of the whole.
  qaf::IterationCallback between(double begin, double end) const {
    return [this, begin, end](const qaf::Progress& progress) {
      const double sweeps = static_cast<double>(progress.iteration);
      progress_(begin + (end - begin) * sweeps / static_cast<double>(progress.max_iterations));
      return !is_interrupted();
    };
  }

  static void check() {
    if (is_interrupted()) throw Interrupted();
  }

 private:
  std::function<void(double)> progress_;
};

inline qaf::CpAdmmOptions solver_options(qaf::Effort effort, std::uint64_t seed, const Watch& watch, double begin,
                                         double end) {
  qaf::CpAdmmOptions options = qaf::cp_admm_options(effort);
  options.start.seed = seed;
  options.resources.threads = 1;  // layers are what runs in parallel
  const double middle = begin + 0.4 * (end - begin);
  options.start.on_iteration = watch.between(begin, middle);
  options.on_iteration = watch.between(middle, end);
  return options;
}

/// Whether codes of this quantizer may have so many bits.
inline bool can_have_bits(const std::string& quantizer, int bits) {
  try {
    qaf::make_quantizer(quantizer, bits);
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

/// Those of `bits` that codes of this quantizer may have.
inline std::vector<int> possible_bits(const std::string& quantizer, std::vector<int> bits) {
  bits.erase(std::remove_if(bits.begin(), bits.end(), [&](int number) { return !can_have_bits(quantizer, number); }),
             bits.end());
  return bits;
}

/// The norm of a tensor `O x I x K` or `O x I` (row-major) in the metrics of its modes but the first; `{}` for the
/// plain one.
inline double weighted_norm(const qaf::DenseTensor<float>& tensor, const std::vector<Eigen::MatrixXd>& metrics) {
  const std::vector<qaf::Index>& sizes = tensor.dimensions();
  const qaf::Index inputs = sizes[1], positions = sizes.size() > 2 ? sizes[2] : 1;
  double sum = 0;
  for (qaf::Index output = 0; output < sizes[0]; ++output) {
    const Eigen::MatrixXd part =
        Eigen::Map<const Eigen::MatrixXf>(tensor.data() + output * inputs * positions, positions, inputs)
            .cast<double>();
    Eigen::MatrixXd seen = part;
    if (!metrics.empty()) seen *= metrics[1];
    if (metrics.size() > 2) seen = metrics[2] * seen;
    sum += part.cwiseProduct(seen).sum();
  }
  return std::sqrt(sum);
}

/// The norm of an error by that of what it is an error of; 0 where both are 0.
inline double ratio(double error, double whole) { return error == 0 ? 0 : error / whole; }

/// The errors at other numbers of bits, at the same rank and little effort, beside the `error` at `bits`: for the
/// report.
inline std::vector<std::pair<int, double>> errors_of_bits(const qaf::WeightedTensor<float>& tensor, qaf::Index rank,
                                                          int bits, double error, const LayerSettings& settings,
                                                          const Watch& watch, double begin) {
  std::vector<std::pair<int, double>> errors;
  std::vector<int> all_bits = {2, 4, 8};
  if (settings.effort != qaf::Effort::quick) all_bits = {2, 3, 4, 6, 8};
  all_bits.push_back(bits);
  std::sort(all_bits.begin(), all_bits.end());
  all_bits.erase(std::unique(all_bits.begin(), all_bits.end()), all_bits.end());
  all_bits = possible_bits(settings.quantizer, std::move(all_bits));
  if (all_bits.size() < 2) return errors;
  const double step = (1 - begin) / static_cast<double>(all_bits.size());
  for (const int other : all_bits) {
    const auto options = solver_options(qaf::Effort::quick, settings.seed, watch, begin, begin + step);
    const auto quantizer = qaf::make_quantizer(settings.quantizer, other);
    errors.emplace_back(other, other == bits ? error : cp_admm(tensor, rank, quantizer, options).relative_error);
    begin += step;
    Watch::check();
  }
  return errors;
}

}  // namespace layer_compression

/// The layer quantized without being factored, an output channel a column.
inline CompressedLayer quantize_layer(const qaf::DenseTensor<float>& weights, int bits, const LayerSettings& settings) {
  const auto begin = std::chrono::steady_clock::now();
  CompressedLayer result;
  const qaf::Index outputs = weights.dimensions()[0];
  const qaf::Matrix<float> matrix =
      Eigen::Map<const qaf::Matrix<float>>(weights.data(), weights.size() / outputs, outputs);
  result.model.factors.push_back(qaf::quantize(matrix, qaf::make_quantizer(settings.quantizer, bits)));
  result.model.weights = qaf::Vector<float>::Ones(outputs);
  result.figures.status = "quantized directly";
  result.figures.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

/// The layer factored.
inline CompressedLayer factor_layer(const qaf::WeightedTensor<float>& tensor, qaf::Index rank, int bits,
                                    const LayerSettings& settings, const std::function<void(double)>& progress) {
  // What the errors at other bits take of the time.
  const double solving = settings.effort == qaf::Effort::thorough ? 0.95 : 0.6;
  const layer_compression::Watch watch(progress);
  const auto options = layer_compression::solver_options(settings.effort, settings.seed, watch, 0, solving);
  auto solved = cp_admm(tensor, rank, qaf::make_quantizer(settings.quantizer, bits), options);
  layer_compression::Watch::check();
  CompressedLayer result;
  result.model = std::move(solved.model);
  result.figures.float_error = solved.start_relative_error;
  result.figures.seconds = solved.seconds;
  result.figures.sweeps = solved.iterations;
  result.figures.status = to_string(solved.status);
  result.figures.history = std::move(solved.history);
  result.figures.errors_of_bits =
      layer_compression::errors_of_bits(tensor, rank, bits, solved.relative_error, settings, watch, solving);
  return result;
}

/// Does to a layer what the plan says. `weights`: as they are factored, row-major. `metrics`: what errors in each mode
/// weigh, none where all weigh the same. `progress` is told the part that is done. Throws `Interrupted`.
inline CompressedLayer compress_layer(const qaf::PlannedLayer& planned, const qaf::DenseTensor<float>& weights,
                                      const std::vector<Eigen::MatrixXd>& metrics, const LayerSettings& settings,
                                      const std::function<void(double)>& progress) {
  const qaf::WeightedTensor<float> tensor =
      metrics.empty() ? qaf::WeightedTensor<float>(tensor_view(weights)) : qaf::weighted(weights, metrics);
  CompressedLayer result;
  if (planned.form == qaf::Form::factored)
    result = factor_layer(tensor, planned.rank, planned.bits, settings, progress);
  else if (planned.form == qaf::Form::direct)
    result = quantize_layer(weights, planned.bits, settings);
  else
    result.figures.status = "left as it is";
  result.figures.bits = planned.cost.bits;
  if (planned.form != qaf::Form::original) {
    using layer_compression::ratio;
    using layer_compression::weighted_norm;
    const qaf::DenseTensor<float> decoded = decoded_weights(result.model, weights);
    qaf::DenseTensor<float> error(weights.dimensions(), qaf::StorageOrder::row_major);
    for (qaf::Index k = 0; k < error.size(); ++k) error.data()[k] = decoded.data()[k] - weights.data()[k];
    result.figures.relative_error = ratio(weighted_norm(error, {}), weighted_norm(weights, {}));
    result.figures.output_error = ratio(weighted_norm(error, metrics), weighted_norm(weights, metrics));
  }
  progress(1);
  return result;
}
