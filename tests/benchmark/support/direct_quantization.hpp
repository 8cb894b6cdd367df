#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <queue>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <qaf/dense_tensor.hpp>
#include <qaf/quantizers/uniform.hpp>

/// The squared errors of every row of a matrix at 0 to `most_bits` bits (rows x (most_bits + 1)), one scale a row: at 0
/// bits a row is zero, at 1 bit the signs times the mean magnitude, from 2 bits on on the least-squares grid.
inline Eigen::MatrixXd squared_errors_of_rows(const Eigen::MatrixXf& matrix, int most_bits) {
  Eigen::MatrixXd errors(matrix.rows(), most_bits + 1);
  errors.col(0) = matrix.rowwise().squaredNorm().cast<double>();
  if (most_bits >= 1) {
    const Eigen::VectorXf means = matrix.cwiseAbs().rowwise().mean();
    errors.col(1) = (matrix.cwiseAbs().colwise() - means).rowwise().squaredNorm().cast<double>();
  }
  qaf::UniformQuantizer16 quantizer;
  quantizer.granularity = qaf::Granularity::row;
  for (quantizer.bits = 2; quantizer.bits <= most_bits; ++quantizer.bits) {
    const auto parameters = quantizer.fit(matrix);
    const Eigen::MatrixXf rounded = quantizer.decode(quantizer.encode(matrix, parameters), parameters);
    errors.col(quantizer.bits) = (rounded - matrix).rowwise().squaredNorm().cast<double>();
  }
  return errors;
}

/// Weights quantized without being factored, one scale an output channel, in so many bits a channel.
struct DirectQuantization {
  using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Eigen::MatrixXf matrix;  ///< the weights as they were, outputs x all else
  std::vector<int> bits;   ///< of every row
  double relative_error = 0;

  /// Weights `O x I x ...` (row-major) in at most `total_bits` bits with the 32 of every scale: bit by bit goes to the
  /// row in which it lowers the squared error most.
  DirectQuantization(const qaf::DenseTensor<float>& weights, double total_bits) {
    const Eigen::Index rows = weights.dimensions()[0], columns = weights.size() / rows;
    matrix = Eigen::Map<const RowMajor>(weights.data(), rows, columns);
    constexpr double scale_bits = 32;
    const double row_bits = (total_bits - scale_bits * static_cast<double>(rows)) / static_cast<double>(columns);
    const double mean_bits = std::max(0.0, row_bits / static_cast<double>(rows));
    // Rows of very different norms differ by a few bits.
    constexpr double spread = 4;
    const int most_bits = static_cast<int>(std::min(16.0, std::ceil(mean_bits) + spread));
    const Eigen::MatrixXd errors = squared_errors_of_rows(matrix, most_bits);

    bits.assign(static_cast<std::size_t>(rows), 0);
    using Gain = std::pair<double, Eigen::Index>;  // of one bit more, and the row
    std::priority_queue<Gain> gains;
    for (Eigen::Index row = 0; row < rows; ++row) gains.push({errors(row, 0) - errors(row, 1), row});
    double left = row_bits;  // bits that a row's entries can still get, in rows
    double squared_error = errors.col(0).sum();
    const double squared_norm = squared_error;
    for (; left >= 1 && !gains.empty(); left -= 1) {
      const auto [gain, row] = gains.top();
      gains.pop();
      squared_error -= gain;
      const int now = ++bits[static_cast<std::size_t>(row)];
      if (now < most_bits) gains.push({errors(row, now) - errors(row, now + 1), row});
    }
    relative_error = std::sqrt(std::max(squared_error, 0.0) / squared_norm);
  }
};

/// The relative error of weights that are quantized so.
inline double directly_quantized_error(const qaf::DenseTensor<float>& weights, double total_bits) {
  return DirectQuantization(weights, total_bits).relative_error;
}

/// The weights that these codes stand for.
inline qaf::DenseTensor<float> directly_quantized(const qaf::DenseTensor<float>& weights, double total_bits) {
  DirectQuantization quantized(weights, total_bits);
  for (Eigen::Index row = 0; row < quantized.matrix.rows(); ++row) {
    auto values = quantized.matrix.row(row);
    const int bits = quantized.bits[static_cast<std::size_t>(row)];
    if (bits == 0) {
      values.setZero();
    } else if (bits == 1) {
      const float mean = values.cwiseAbs().mean();
      values = values.unaryExpr([mean](float value) { return value < 0 ? -mean : mean; }).eval();
    } else {
      qaf::UniformQuantizer16 quantizer;
      quantizer.granularity = qaf::Granularity::row;
      quantizer.bits = bits;
      const Eigen::MatrixXf one = values;
      const auto parameters = quantizer.fit(one);
      values = quantizer.decode(quantizer.encode(one, parameters), parameters);
    }
  }
  qaf::DenseTensor<float> result(weights.dimensions(), qaf::StorageOrder::row_major);
  Eigen::Map<DirectQuantization::RowMajor>(result.data(), quantized.matrix.rows(), quantized.matrix.cols()) =
      quantized.matrix;
  return result;
}
