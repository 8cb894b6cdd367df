#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <qaf/dense_tensor.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>
#include <qaf/weighted.hpp>

#include "draw.hpp"

namespace property {

/// Order 2 to 6, modes of size 1 among them; mostly at most 2000 entries.
inline std::vector<qaf::Index> draw_dimensions(Draw& draw) {
  const bool is_large = draw.chance(0.002);
  const qaf::Index order = draw.one_of<qaf::Index>({2, 2, 3, 3, 3, 3, 4, 4, 5, 6});
  const qaf::Index most_entries = is_large ? 30000 : draw.one_of<qaf::Index>({30, 300, 2000});
  std::vector<qaf::Index> dimensions;
  qaf::Index size = 1;
  for (qaf::Index mode = 0; mode < order; ++mode) {
    const qaf::Index most = std::max<qaf::Index>(1, std::min<qaf::Index>(is_large ? 64 : 40, most_entries / size));
    dimensions.push_back(draw.chance(0.15) ? 1 : draw.small_index(1, most));
    size *= dimensions.back();
  }
  std::swap(dimensions[0], dimensions[static_cast<std::size_t>(draw.index(0, order - 1))]);
  return dimensions;
}

/// Entries of some kind, in double.
inline std::vector<double> draw_entries(Draw& draw, const std::vector<qaf::Index>& dimensions, std::size_t size,
                                        double smallest) {
  std::vector<double> entries(size);
  const int kind = draw.integer(0, 15);
  const auto fill = [&](const char* name, const auto& entry) {
    draw.note(name);
    for (double& value : entries) value = entry();
  };
  // Sums of `rank` outer products, with noise.
  const auto add_components = [&](qaf::Index rank, double noise) {
    for (qaf::Index r = 0; r < rank; ++r) {
      std::vector<double> product(size, 1);
      std::size_t step = 1;
      for (const qaf::Index length : dimensions) {
        std::vector<double> column(static_cast<std::size_t>(length));
        for (double& value : column) value = draw.normal();
        for (std::size_t k = 0; k < size; ++k) product[k] *= column[k / step % column.size()];
        step *= column.size();
      }
      for (std::size_t k = 0; k < size; ++k) entries[k] += product[k];
    }
    for (double& value : entries) value += noise * draw.normal();
  };
  const double spread = draw.uniform(1, 20), density = draw.uniform(0, 0.3);
  switch (kind) {
    case 0:
      fill("zeros", [] { return 0.0; });
      break;
    case 1:
      fill("constant", [] { return 1.0; });
      break;
    case 2:
      fill("sparse", [&] { return draw.chance(density) ? draw.normal() : 0; });
      break;
    case 3:
      fill("zeros", [] { return 0.0; });
      draw.note("but one");
      entries[static_cast<std::size_t>(draw.index(0, static_cast<qaf::Index>(size) - 1))] = -1;
      break;
    case 4:
      fill("normal", [&] { return draw.normal(); });
      draw.note("repeated");
      for (std::size_t k = 0; k < size; ++k) entries[k] = entries[k % static_cast<std::size_t>(dimensions[0])];
      break;
    case 5:
      fill("mixed magnitudes", [&] { return draw.normal() * draw.magnitude(-spread, spread); });
      break;
    case 6:
      fill("subnormal", [&] { return static_cast<double>(draw.index(-100, 100)) * smallest; });
      break;
    case 7:
      fill("signs", [&] { return draw.chance(0.5) ? 1.0 : -1.0; });
      break;
    case 8:
      fill("normal", [&] { return draw.normal(); });
      draw.note("with an outlier");
      entries[static_cast<std::size_t>(draw.index(0, static_cast<qaf::Index>(size) - 1))] *= draw.magnitude(2, 9);
      break;
    case 9:
    case 10:
    case 11:
      draw.note("low rank");
      add_components(draw.index(1, 3), 0);
      break;
    case 12:
      draw.note("low rank and noise");
      add_components(draw.index(1, 5), 0.1);
      break;
    case 13:
      fill("integers", [&] { return static_cast<double>(draw.index(-3, 3)); });
      break;
    default:
      fill("normal", [&] { return draw.normal(); });
  }
  return entries;
}

/// Entries of any kind and scale. Spoilt where one of them is not finite, or where the norm is not.
template <typename Scalar>
qaf::DenseTensor<Scalar> draw_tensor(Draw& draw) {
  const std::vector<qaf::Index> dimensions = draw_dimensions(draw);
  const auto order = draw.chance(0.5) ? qaf::StorageOrder::column_major : qaf::StorageOrder::row_major;
  qaf::DenseTensor<Scalar> tensor(dimensions, order);
  draw.note(qaf::detail::shape_text(dimensions), order == qaf::StorageOrder::row_major ? ", row-major," : ",");
  const double smallest = static_cast<double>(std::numeric_limits<Scalar>::denorm_min());
  const std::vector<double> entries = draw_entries(draw, dimensions, static_cast<std::size_t>(tensor.size()), smallest);
  const double scale = draw.chance(0.5) ? 1 : draw.magnitude(-30, 30);
  draw.note("times", scale);
  double largest = 0;
  for (qaf::Index k = 0; k < tensor.size(); ++k) {
    tensor.data()[k] = static_cast<Scalar>(entries[static_cast<std::size_t>(k)] * scale);
    largest = std::max(largest, std::abs(static_cast<double>(tensor.data()[k])));
  }
  if (draw.chance(0.02)) {
    constexpr Scalar beyond = std::numeric_limits<Scalar>::infinity();
    const Scalar bad = draw.one_of({beyond, -beyond, std::numeric_limits<Scalar>::quiet_NaN()});
    tensor.data()[draw.index(0, tensor.size() - 1)] = bad;
    draw.spoil("an entry of", bad);
  } else if (!std::isfinite(largest)) {
    draw.spoil("an infinite entry");
  } else if (largest > 0) {
    double sum = 0;
    for (qaf::Index k = 0; k < tensor.size(); ++k) sum += std::pow(static_cast<double>(tensor.data()[k]) / largest, 2);
    const double excess = largest / static_cast<double>(std::numeric_limits<Scalar>::max()) * std::sqrt(sum);
    if (excess > 1) draw.spoil("a norm out of range");
  }
  return tensor;
}

/// Importances, matrices and nothing for the modes of a tensor.
inline std::vector<qaf::Matrix<double>> draw_metrics(Draw& draw, const std::vector<qaf::Index>& dimensions) {
  std::vector<qaf::Matrix<double>> metrics;
  for (const qaf::Index length : dimensions) {
    metrics.emplace_back();
    qaf::Matrix<double>& metric = metrics.back();
    const double scale = draw.chance(0.5) ? 1 : draw.magnitude(-30, 30), spread = draw.uniform(0, 8);
    switch (draw.integer(0, 3)) {
      case 0:
        draw.note("importances");
        metric.resize(length, 1);
        for (qaf::Index k = 0; k < length; ++k) metric(k, 0) = scale * draw.magnitude(-spread, 0);
        break;
      case 1: {
        draw.note("a metric");
        const qaf::Index count = draw.index(1, length + 2);
        qaf::Matrix<double> samples(length, count);
        for (qaf::Index k = 0; k < samples.size(); ++k) samples.data()[k] = draw.normal() * draw.magnitude(-spread, 0);
        metric = scale * samples * samples.transpose();
        if (!(metric.maxCoeff() > 0)) metric.resize(0, 0);
        break;
      }
      default:
        draw.note("-");
    }
  }
  if (draw.chance(0.03)) {
    draw.spoil("metrics");
    const std::size_t mode = static_cast<std::size_t>(draw.index(0, static_cast<qaf::Index>(dimensions.size()) - 1));
    qaf::Matrix<double>& metric = metrics[mode];
    const qaf::Index length = dimensions[mode];
    switch (draw.integer(0, 4)) {
      case 0:
        metric = qaf::Matrix<double>::Constant(length, 1, std::numeric_limits<double>::quiet_NaN());
        break;
      case 1:
        metric = qaf::Matrix<double>::Zero(length, 1);
        break;
      case 2:
        metric = -qaf::Matrix<double>::Identity(length, length);
        break;
      case 3:
        metric = qaf::Matrix<double>::Identity(length + 1, length + 1);
        break;
      default:
        metrics.pop_back();
    }
  }
  return metrics;
}

}  // namespace property
