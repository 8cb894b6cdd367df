#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <qaf/cp_model.hpp>
#include <qaf/dense_tensor.hpp>
#include <qaf/error.hpp>
#include <qaf/packing.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>
#include <qaf/weighted_tensor.hpp>

// What must hold of whatever comes back.
namespace property {

/// A law that does not hold, with what was found.
struct BrokenLaw {
  std::string text;
};

template <typename... Parts>
void require(bool holds, const Parts&... sentence) {
  if (!holds) throw BrokenLaw{qaf::detail::concatenate(sentence...)};
}

/// What the definition of the relative error gives, entry by entry in double.
struct DefinedError {
  double error;      ///< `|X - Xhat| / |X|` in the tensor's metric; 0 or infinity for a tensor of zeros
  double tolerance;  ///< by how much rounding may change it
};

namespace detail {

/// Multiplies the entries, column-major, by `matrix` in a mode.
inline void multiply_mode(const qaf::Matrix<double>& matrix, const std::vector<qaf::Index>& dimensions,
                          std::size_t mode, std::vector<long double>& entries) {
  std::size_t step = 1;
  for (std::size_t n = 0; n < mode; ++n) step *= static_cast<std::size_t>(dimensions[n]);
  const std::size_t length = static_cast<std::size_t>(dimensions[mode]);
  std::vector<long double> result(entries.size(), 0);
  for (std::size_t k = 0; k < entries.size(); ++k) {
    const std::size_t i = k / step % length, origin = k - i * step;
    for (std::size_t j = 0; j < length; ++j)
      result[k] += static_cast<long double>(matrix(static_cast<qaf::Index>(i), static_cast<qaf::Index>(j))) *
                   entries[origin + j * step];
  }
  entries = std::move(result);
}

template <typename Scalar>
long double norm_of(const qaf::WeightedTensor<Scalar>& tensor, const std::vector<long double>& entries) {
  std::vector<long double> seen = entries;
  for (qaf::Index mode = 0; mode < tensor.view().order(); ++mode) {
    const qaf::detail::ModeMetric<Scalar>& metric = tensor.metric(mode);
    if (metric.is_plain()) continue;
    // By the eigenvectors, of which the library takes the norm too: exact products would cancel where they are not
    // orthogonal to the last bit.
    qaf::Matrix<double> root = metric.eigenvalues.template cast<double>().cwiseSqrt().asDiagonal();
    if (!metric.is_diagonal()) root *= metric.eigenvectors.template cast<double>().transpose();
    multiply_mode(root, tensor.view().dimensions(), static_cast<std::size_t>(mode), seen);
  }
  long double sum = 0;
  for (const long double entry : seen) sum += entry * entry;
  return std::sqrt(sum);
}

}  // namespace detail

/// `tolerance`: each entry of the reconstruction is a sum of R products of N factors and a weight, all with the
/// rounding errors of the scalar, so 8 epsilon (R + N) of the model in which every product counts as positive.
template <typename Scalar>
DefinedError defined_error(const qaf::WeightedTensor<Scalar>& tensor, const qaf::CpModel<Scalar>& model) {
  const qaf::TensorView<Scalar>& view = tensor.view();
  const std::vector<qaf::Index>& dimensions = view.dimensions();
  const std::size_t size = static_cast<std::size_t>(view.size()), order = dimensions.size();
  double unit = 0;
  for (qaf::Index k = 0; k < view.size(); ++k) unit = std::max(unit, std::abs(static_cast<double>(view.data()[k])));
  const double scale = unit > 0 ? unit : 1;
  std::vector<long double> residual(size), magnitudes(size), entries(size);  // for their range
  const bool is_row_major = view.storage_order() == qaf::StorageOrder::row_major;
  for (std::size_t k = 0; k < size; ++k) {  // column-major
    std::vector<qaf::Index> index(order);
    for (std::size_t n = 0, rest = k; n < order; ++n) {
      index[n] = static_cast<qaf::Index>(rest % static_cast<std::size_t>(dimensions[n]));
      rest /= static_cast<std::size_t>(dimensions[n]);
    }
    qaf::Index place = 0;
    for (std::size_t n = 0; n < order; ++n) {
      const std::size_t mode = is_row_major ? n : order - 1 - n;
      place = place * dimensions[mode] + index[mode];
    }
    long double sum = 0, sum_of_magnitudes = 0;
    for (qaf::Index r = 0; r < model.rank(); ++r) {
      long double product = static_cast<long double>(model.weights[r]) / static_cast<long double>(scale);
      for (std::size_t n = 0; n < order; ++n) product *= static_cast<long double>(model.factors[n](index[n], r));
      sum += product;
      sum_of_magnitudes += std::abs(product);
    }
    entries[k] = static_cast<long double>(view.data()[place]) / static_cast<long double>(scale);
    residual[k] = entries[k] - sum;
    magnitudes[k] = sum_of_magnitudes;
  }
  const double norm = static_cast<double>(detail::norm_of(tensor, entries));
  const double error = static_cast<double>(detail::norm_of(tensor, residual));
  if (unit == 0) return {error > 0 ? std::numeric_limits<double>::infinity() : 0, 0};
  const double of_magnitudes = static_cast<double>(detail::norm_of(tensor, magnitudes));
  constexpr double epsilon = std::numeric_limits<Scalar>::epsilon();
  // What is below the smallest number goes lost whole.
  const double lost = static_cast<double>(std::numeric_limits<Scalar>::denorm_min()) / scale *
                      std::sqrt(static_cast<double>(size)) * static_cast<double>(model.rank() + 1);
  const double terms = static_cast<double>(model.rank()) + static_cast<double>(order);
  double tolerance = 8 * terms * (epsilon * (1 + of_magnitudes / norm) + lost / norm);
  tolerance += 1e-16 * static_cast<double>(size) * (1 + error / norm);  // of the sums of squares
  // Where the scalar keeps fewer digits, products may lose some on their way.
  if (scale < static_cast<double>(std::numeric_limits<Scalar>::min()) / epsilon) tolerance += 0.05 * (1 + error / norm);
  return {error / norm, tolerance};
}

/// A model of the tensor's sizes with finite entries and the error that was told.
template <typename Scalar>
DefinedError check_model(const qaf::WeightedTensor<Scalar>& tensor, qaf::Index rank, const qaf::CpModel<Scalar>& model,
                         double told_error) {
  require(model.rank() == rank, "the model has rank ", model.rank(), ", not ", rank);
  require(model.factors.size() == tensor.view().dimensions().size(), "the model has another number of factors");
  require(model.weights.allFinite(), "the weights are not finite");
  for (std::size_t n = 0; n < model.factors.size(); ++n) {
    const qaf::Matrix<Scalar>& factor = model.factors[n];
    require(factor.rows() == tensor.view().dimensions()[n] && factor.cols() == rank, "factor ", n, " is ",
            factor.rows(), " x ", factor.cols());
    require(factor.allFinite(), "factor ", n, " is not finite");
  }
  const DefinedError defined = defined_error(tensor, model);
  require(told_error >= 0, "the relative error told is ", told_error);
  // A random model may be farther from a tiny tensor than a number tells.
  const double most = std::min(static_cast<double>(std::numeric_limits<Scalar>::max()) / 1e6, 1e150);
  if (defined.error + defined.tolerance > most && told_error > most) return defined;
  require(std::abs(told_error - defined.error) <= defined.tolerance, "the relative error told is ", told_error,
          ", by its definition ", defined.error, " +- ", defined.tolerance);
  return defined;
}

/// Codes in the range of their quantizers, parameters that are those of the codes, codes that pack.
template <typename Scalar, typename Quantizer>
void check_codes(const qaf::QuantizedCpModel<Scalar, Quantizer>& model) {
  for (std::size_t n = 0; n < model.factors.size(); ++n) {
    const auto& factor = model.factors[n];
    const int lowest = factor.quantizer.lowest(), highest = factor.quantizer.highest();
    const int bits = factor.quantizer.code_bits();
    require(highest - lowest < 1 << bits, "factor ", n, " has more codes than ", bits, " bits hold");
    for (qaf::Index k = 0; k < factor.codes.size(); ++k)
      require(factor.codes.data()[k] >= lowest && factor.codes.data()[k] <= highest, "factor ", n, " has the code ",
              +factor.codes.data()[k], ", which is not from ", lowest, " to ", highest);
    require(factor.quantizer.parameter_bits(factor.parameters) >= 0, "factor ", n, " has a negative size");
    if (bits > 8) continue;
    if (lowest < 0) {
      const qaf::Matrix<std::int8_t> codes = factor.codes.template cast<std::int8_t>();
      const auto packed = qaf::pack_codes(codes, bits);
      require(qaf::unpack_codes<std::int8_t>(packed, codes.rows(), codes.cols(), bits) == codes, "factor ", n,
              " changes when it is packed");
    } else {
      const qaf::Matrix<std::uint8_t> codes = factor.codes.template cast<std::uint8_t>();
      const auto packed = qaf::pack_codes(codes, bits);
      require(qaf::unpack_codes<std::uint8_t>(packed, codes.rows(), codes.cols(), bits) == codes, "factor ", n,
              " changes when it is packed");
    }
  }
}

/// Whether all bits are the same.
template <typename Scalar, typename Quantizer>
bool is_same(const qaf::QuantizedCpModel<Scalar, Quantizer>& one,
             const qaf::QuantizedCpModel<Scalar, Quantizer>& other) {
  bool same = one.factors.size() == other.factors.size() && one.weights == other.weights;
  for (std::size_t n = 0; same && n < one.factors.size(); ++n)
    same = one.factors[n].codes == other.factors[n].codes && one.factors[n].parameters == other.factors[n].parameters;
  return same;
}

}  // namespace property
