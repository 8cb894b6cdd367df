#pragma once

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <qaf/cp_model.hpp>
#include <qaf/dense_tensor.hpp>
#include <qaf/error.hpp>
#include <qaf/plan.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/quantizers/any.hpp>

/// A layer's codes. Factored: a factor a mode and a weight a component. Quantized directly: one factor, the matrix
/// `I (kh kw) x O`, and weights of 1. Left as it is: no factors.
using LayerModel = qaf::QuantizedCpModel<float, qaf::AnyQuantizer>;

/// How a layer's compression went.
struct LayerFigures {
  double relative_error = 0;  ///< of the weights
  double output_error = 0;    ///< the same as the layer's outputs see it, where inputs are known; else `relative_error`
  double float_error = 0;     ///< of the float model that the solver started from, as `output_error`
  double bits = 0;            ///< that the layer takes
  double seconds = 0;
  qaf::Index sweeps = 0;
  std::string status;
  std::vector<double> history;                         ///< after every sweep, as `output_error`
  std::vector<std::pair<int, double>> errors_of_bits;  ///< at the same rank, at little effort, as `output_error`
};

struct CompressedLayer {
  LayerModel model;
  LayerFigures figures;
};

namespace compressed_layer {

/// Direct layers are matrices, an output channel a row.
inline std::string text(qaf::Form form, std::vector<qaf::Index> sizes, qaf::Index rank, int bits) {
  if (form == qaf::Form::original) return "left as it is";
  if (form == qaf::Form::direct)
    sizes = {sizes[0], std::accumulate(sizes.begin() + 1, sizes.end(), qaf::Index{1}, std::multiplies<>())};
  return std::string(to_string(form)) + " " + qaf::detail::shape_text(sizes) +
         (form == qaf::Form::factored ? " of rank " + std::to_string(rank) : "") + " with codes of " +
         std::to_string(bits) + " bits";
}

}  // namespace compressed_layer

/// "factored 12 x 8 x 9 of rank 7 with codes of 5 bits": what a plan says of a layer.
inline std::string form_text(const qaf::PlannedLayer& planned) {
  return compressed_layer::text(planned.form, planned.layer.dimensions, planned.rank, planned.bits);
}

/// The same of what a layer has become. Where the codes of its factors differ in bits, it names others than `bits`.
inline std::string form_text(const LayerModel& model, const std::vector<qaf::Index>& dimensions, int bits) {
  if (model.factors.empty()) return compressed_layer::text(qaf::Form::original, dimensions, 0, bits);
  const bool is_direct = model.factors.size() == 1;
  std::vector<qaf::Index> sizes;
  for (const auto& factor : model.factors) {
    sizes.push_back(factor.codes.rows());
    if (factor.quantizer.code_bits() != bits) bits = factor.quantizer.code_bits();
  }
  if (is_direct) sizes = {model.rank(), sizes.front()};
  return compressed_layer::text(is_direct ? qaf::Form::direct : qaf::Form::factored, sizes, model.rank(), bits);
}

/// The weights that a layer's codes stand for, row-major. `original`: the weights, as they are factored.
inline qaf::DenseTensor<float> decoded_weights(const LayerModel& model, const qaf::DenseTensor<float>& original) {
  if (model.factors.empty()) return original;
  if (model.factors.size() > 1) return reconstruct(decode(model), qaf::StorageOrder::row_major);
  const qaf::Matrix<float> matrix = qaf::decode<float>(model.factors.front());
  qaf::DenseTensor<float> weights(original.dimensions(), qaf::StorageOrder::row_major);
  std::copy_n(matrix.data(), matrix.size(), weights.data());
  return weights;
}
