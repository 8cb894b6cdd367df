#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include <Eigen/Core>

#include <qaf/dense_tensor.hpp>
#include <qaf/io/npy.hpp>

/// What an error in the weights costs in the layer's output, from a second moment of its inputs whose diagonal has
/// the mean 1: that moment, with a tenth added to the diagonal. The inputs will not be quite those seen in
/// calibration, if only because the layers before are compressed too; docs/benchmarks.md shows what the tenth gains.
inline Eigen::MatrixXd error_metric(const Eigen::MatrixXd& second_moment) {
  constexpr double added = 0.1;
  return second_moment + added * Eigen::MatrixXd::Identity(second_moment.rows(), second_moment.cols());
}

/// The metrics of a convolution's weights `O x I x (kh kw)` from the files PREFIX.channels.npy and PREFIX.positions.npy
/// that `calibrate_network` writes. Throws `qaf::IoError` where one is missing or is no matrix.
inline std::vector<Eigen::MatrixXd> read_metrics(const std::string& prefix) {
  std::vector<Eigen::MatrixXd> metrics(1);  // all outputs weigh the same
  for (const char* name : {".channels.npy", ".positions.npy"}) {
    const auto moment = with_storage_order(qaf::read_npy<double>(prefix + name), qaf::StorageOrder::column_major);
    if (moment.order() != 2)
      throw std::runtime_error(prefix + name + ": must hold a matrix, got " +
                               qaf::detail::shape_text(moment.dimensions()));
    metrics.push_back(
        error_metric(Eigen::Map<const Eigen::MatrixXd>(moment.data(), moment.dimensions()[0], moment.dimensions()[1])));
  }
  return metrics;
}
