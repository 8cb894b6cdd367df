#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <qaf/cp_model.hpp>
#include <qaf/dense_tensor.hpp>
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

/// The weights that a layer's codes stand for, row-major. `original`: the weights, as they are factored.
inline qaf::DenseTensor<float> decoded_weights(const LayerModel& model, const qaf::DenseTensor<float>& original) {
  if (model.factors.empty()) return original;
  if (model.factors.size() > 1) return reconstruct(decode(model), qaf::StorageOrder::row_major);
  const qaf::Matrix<float> matrix = qaf::decode<float>(model.factors.front());
  qaf::DenseTensor<float> weights(original.dimensions(), qaf::StorageOrder::row_major);
  std::copy_n(matrix.data(), matrix.size(), weights.data());
  return weights;
}
