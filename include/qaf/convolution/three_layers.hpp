#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <qaf/convolution/geometry.hpp>
#include <qaf/convolution/integer_factor.hpp>
#include <qaf/convolution/layer.hpp>
#include <qaf/cp_model.hpp>
#include <qaf/dense_tensor.hpp>
#include <qaf/error.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/quantizers/granularity.hpp>
#include <qaf/types.hpp>

namespace qaf {
namespace detail {

/// The factors of all groups' models, of floats or of integers: of the output channels, the input channels and the
/// kernel's positions. No positions: the tensors have two modes, and the layers are two.
template <typename Entry>
struct LayerFactors {
  std::vector<Matrix<Entry>> outputs, inputs, positions;
};

template <typename Scalar>
std::vector<Index> dimensions_of_model(const CpModel<Scalar>& model) {
  return model_dimensions("three_layers", model);
}

template <typename Scalar, typename Quantizer>
std::vector<Index> dimensions_of_model(const QuantizedCpModel<Scalar, Quantizer>& model) {
  CpModel<std::int8_t> shape{{}, Vector<std::int8_t>(model.rank())};
  for (const QuantizedFactor<Quantizer>& factor : model.factors)
    shape.factors.emplace_back(factor.codes.rows(), factor.codes.cols());
  return model_dimensions("three_layers", shape);
}

/// Throws unless the models of all groups have the same sizes and rank, and these are of a kernel of that size.
template <typename Model>
void check_models(const std::vector<Model>& models, const std::array<Index, 2>& kernel_size,
                  const ConvolutionGeometry& geometry) {
  geometry.validate();
  if (static_cast<Index>(models.size()) != geometry.groups)
    fail("three_layers", "a convolution of ", geometry.groups, " groups needs so many models, got ", models.size());
  const std::vector<Index> sizes = dimensions_of_model(models.front());
  for (const Model& model : models)
    if (dimensions_of_model(model) != sizes || model.rank() != models.front().rank())
      fail("three_layers", "the models of all groups must have the same sizes and the same rank, got a model of ",
           shape_text(sizes), " of rank ", models.front().rank(), " and one of ",
           shape_text(dimensions_of_model(model)), " of rank ", model.rank());
  const Index rows = kernel_size[0], columns = kernel_size[1];
  const bool fits = (sizes.size() == 2 && rows == 1 && columns == 1) ||
                    (sizes.size() == 3 && rows >= 1 && sizes[2] % rows == 0 && sizes[2] / rows == columns) ||
                    (sizes.size() == 4 && sizes[2] == rows && sizes[3] == columns);
  if (!fits)
    fail("three_layers", "a kernel of ", rows, " x ", columns,
         " needs models of O x I x (kh kw), of O x I x kh x kw or, where both are 1, of O x I, got ",
         shape_text(sizes));
}

/// The positions' factor of modes kh and kw: row `y kw + x` is the product of row y and row x.
template <typename Entry>
Matrix<Entry> factor_of_positions(const Matrix<Entry>& rows, const Matrix<Entry>& columns) {
  Matrix<Entry> positions(rows.rows() * columns.rows(), rows.cols());
  for (Index k = 0; k < positions.size(); ++k) {
    const Index r = k / positions.rows(), position = k % positions.rows();
    const auto product = rows(position / columns.rows(), r) * columns(position % columns.rows(), r);
    positions(position, r) = static_cast<Entry>(product);
    if (std::numeric_limits<Entry>::is_integer && product != positions(position, r))
      fail("three_layers", "the product of the integers of modes kh and kw must fit into 16 bits, got ", +product);
  }
  return positions;
}

/// The layers' kernels. A factor in memory, column after column, is the kernel of a first or a middle layer, row-major.
template <typename Entry>
std::vector<DenseTensor<Entry>> layer_kernels(const LayerFactors<Entry>& factors,
                                              const std::array<Index, 2>& kernel_size) {
  const auto stacked = [&](const std::vector<Matrix<Entry>>& groups, const std::array<Index, 2>& size) {
    const Index channels = static_cast<Index>(groups.size()) * groups.front().cols();
    DenseTensor<Entry> kernel({channels, groups.front().rows() / (size[0] * size[1]), size[0], size[1]},
                              StorageOrder::row_major);
    Entry* target = kernel.data();
    for (const Matrix<Entry>& group : groups) target = std::copy_n(group.data(), group.size(), target);
    return kernel;
  };
  std::vector<DenseTensor<Entry>> kernels = {stacked(factors.inputs, {1, 1})};
  if (!factors.positions.empty()) kernels.push_back(stacked(factors.positions, kernel_size));
  std::vector<Matrix<Entry>> transposed;
  for (const Matrix<Entry>& group : factors.outputs) transposed.push_back(group.transpose());
  kernels.push_back(stacked(transposed, {1, 1}));
  return kernels;
}

/// The layers' geometries: strides, padding and dilation belong to the depthwise layer, or the first of two.
inline std::vector<ConvolutionGeometry> layer_geometries(const ConvolutionGeometry& geometry, Index rank,
                                                         std::size_t layers) {
  std::vector<ConvolutionGeometry> geometries(layers);
  geometries.front().groups = geometries.back().groups = geometry.groups;
  ConvolutionGeometry& spatial = geometries[layers - 2];
  spatial = geometry;
  if (layers == 3) spatial.groups = geometry.groups * rank;
  return geometries;
}

/// What integer arithmetic needs of a group's model.
struct IntegerModel {
  IntegerFactor outputs, inputs;
  std::vector<IntegerFactor> positions;  // none, one, or one of kh and one of kw
  Vector<double> weights;
};

template <typename Scalar, typename Quantizer>
IntegerModel integer_model(const QuantizedCpModel<Scalar, Quantizer>& model) {
  IntegerModel result{
      integer_factor(model.factors[0]), integer_factor(model.factors[1]), {}, model.weights.template cast<double>()};
  for (std::size_t n = 2; n < model.factors.size(); ++n) result.positions.push_back(integer_factor(model.factors[n]));
  const auto check = [](const IntegerFactor& factor, const char* rows) {
    if (factor.granularity == Granularity::row)
      fail("three_layers", "a scale for each ", rows,
           " changes within a sum of products, which integer arithmetic cannot do; the rows of the first factor alone, "
           "the output channels, may have scales of their own");
  };
  check(result.inputs, "input channel");
  for (const IntegerFactor& factor : result.positions) check(factor, "position of the kernel");
  return result;
}

/// Where each scale goes: the channel of a layer's output that has it. Components are the output channels of all layers
/// but the last, where only what all components share, or an output channel has to itself, can stay.
inline std::vector<Vector<double>> layer_scales(const std::vector<IntegerModel>& models) {
  const Index rank = models.front().weights.size(), outputs = models.front().outputs.integers.rows();
  const Index groups = static_cast<Index>(models.size());
  const bool has_depthwise = !models.front().positions.empty();
  std::vector<Vector<double>> scales(has_depthwise ? 3 : 2, Vector<double>::Ones(groups * rank));
  scales.back().setOnes(groups * outputs);
  for (Index group = 0; group < groups; ++group) {
    const IntegerModel& model = models[static_cast<std::size_t>(group)];
    const bool by_component = model.outputs.granularity == Granularity::component;
    for (Index r = 0; r < rank; ++r) {
      double moved = model.weights[r];
      if (by_component) moved *= static_cast<double>(model.outputs.scale(0, r));
      for (const IntegerFactor& factor : model.positions) moved *= static_cast<double>(factor.scale(0, r));
      const Index channel = group * rank + r;
      scales.front()[channel] = static_cast<double>(model.inputs.scale(0, r));
      scales[scales.size() - 2][channel] *= moved;
    }
    if (by_component) continue;
    for (Index o = 0; o < outputs; ++o)
      scales.back()[group * outputs + o] = static_cast<double>(model.outputs.scale(o, 0));
  }
  return scales;
}

/// A scale that float32 takes for 0 becomes 1, and the codes of its channel 0.
inline void leave_out_zero_scales(QuantizedConvolutionLayer& layer) {
  const Index entries = layer.codes.size() / layer.scales.size();
  for (Index o = 0; o < layer.scales.size(); ++o) {
    if (static_cast<float>(layer.scales[o]) != 0) continue;
    layer.scales[o] = 1;
    std::fill_n(layer.codes.data() + o * entries, entries, std::int16_t{0});
  }
}

}  // namespace detail

/// The layers that together are the convolution with the tensors of float models, one a group (see `kernel_tensors`):
///
/// * 1 x 1 from I channels to R a group;
/// * depthwise `kernel_size` on all of these, with the strides, padding and dilation of `geometry`;
/// * 1 x 1 to O channels, with the bias (O, or empty for none).
///
/// The models are of `O/groups x I/groups x (kh kw)` or, kh and kw being modes of their own, of order 4. Models of two
/// modes, for a kernel of 1 x 1 or a linear layer, give two layers: the first and the last, the first with the strides.
/// Weights are in the depthwise layer (the first of two). `CpModel`s of any quantizer are `decode(model)`.
/// Errors: another number of models than groups, models that differ in sizes or rank or are of another kernel, a bias
/// of another size.
template <typename Scalar>
std::vector<ConvolutionLayer<Scalar>> three_layers(const std::vector<CpModel<Scalar>>& models,
                                                   const std::array<Index, 2>& kernel_size,
                                                   const ConvolutionGeometry& geometry = {},
                                                   const Vector<Scalar>& bias = {}) {
  detail::check_models(models, kernel_size, geometry);
  detail::LayerFactors<Scalar> factors;
  for (const CpModel<Scalar>& model : models) {
    const std::vector<Matrix<Scalar>>& all = model.factors;
    factors.outputs.push_back(all[0]);
    factors.inputs.push_back(all[1]);
    if (all.size() > 2)
      factors.positions.push_back(all.size() == 3 ? all[2] : detail::factor_of_positions(all[2], all[3]));
    Matrix<Scalar>& weighted = all.size() > 2 ? factors.positions.back() : factors.inputs.back();
    weighted.array().rowwise() *= model.weights.transpose().array();
  }
  std::vector<DenseTensor<Scalar>> kernels = detail::layer_kernels(factors, kernel_size);
  const auto geometries = detail::layer_geometries(geometry, models.front().rank(), kernels.size());
  if (bias.size() != 0 && bias.size() != kernels.back().dimensions()[0])
    detail::fail("three_layers", "a bias must be of the ", kernels.back().dimensions()[0], " output channels, got ",
                 bias.size());
  std::vector<ConvolutionLayer<Scalar>> layers;
  for (std::size_t k = 0; k < kernels.size(); ++k) layers.push_back({std::move(kernels[k]), geometries[k], {}, false});
  layers.back().bias = bias;
  return layers;
}

/// The same of one model, of a convolution of one group.
template <typename Scalar>
std::vector<ConvolutionLayer<Scalar>> three_layers(const CpModel<Scalar>& model,
                                                   const std::array<Index, 2>& kernel_size,
                                                   const ConvolutionGeometry& geometry = {},
                                                   const Vector<Scalar>& bias = {}) {
  return three_layers(std::vector<CpModel<Scalar>>{model}, kernel_size, geometry, bias);
}

/// The same layers on the integers of quantized models, each layer with one scale for each of its output channels:
///
/// | scale | where it goes |
/// |---|---|
/// | the first layer's factor (input channels): a component's or the tensor's | the first layer |
/// | the depthwise layer's factor: a component's or the tensor's | the depthwise layer |
/// | weights, with their sign | the depthwise layer (the first of two) |
/// | the last layer's factor (output channels): a component's | the depthwise layer (the first of two) |
/// | the last layer's factor: a row's or the tensor's | the last layer, which otherwise has scales of 1 |
///
/// Scales of the rows of the other factors are refused, and those of blocks: they belong to no output channel.
/// A component of weight 0 has codes of 0 in the depthwise layer (the first of two), and 1 for a scale there.
/// Errors: as above, those of `integer_factor`, scales as above, weights that are not finite.
template <typename Scalar, typename Quantizer>
std::vector<QuantizedConvolutionLayer> three_layers(const std::vector<QuantizedCpModel<Scalar, Quantizer>>& models,
                                                    const std::array<Index, 2>& kernel_size,
                                                    const ConvolutionGeometry& geometry = {},
                                                    const Vector<double>& bias = {}) {
  detail::check_models(models, kernel_size, geometry);
  std::vector<detail::IntegerModel> integer_models;
  detail::LayerFactors<std::int16_t> factors;
  for (const QuantizedCpModel<Scalar, Quantizer>& model : models) {
    integer_models.push_back(detail::integer_model(model));
    const detail::IntegerModel& integer = integer_models.back();
    if (!integer.weights.allFinite()) detail::fail("three_layers", "every weight must be finite, got NaN or infinity");
    factors.outputs.push_back(integer.outputs.integers);
    factors.inputs.push_back(integer.inputs.integers);
    const std::vector<IntegerFactor>& positions = integer.positions;
    if (!positions.empty())
      factors.positions.push_back(positions.size() == 1
                                      ? positions[0].integers
                                      : detail::factor_of_positions(positions[0].integers, positions[1].integers));
  }
  std::vector<DenseTensor<std::int16_t>> kernels = detail::layer_kernels(factors, kernel_size);
  const auto geometries = detail::layer_geometries(geometry, models.front().rank(), kernels.size());
  std::vector<Vector<double>> scales = detail::layer_scales(integer_models);
  std::vector<QuantizedConvolutionLayer> layers;
  for (std::size_t k = 0; k < kernels.size(); ++k) {
    layers.push_back({std::move(kernels[k]), std::move(scales[k]), geometries[k], {}, false});
    detail::leave_out_zero_scales(layers.back());
  }
  layers.back().bias = bias;
  detail::check_layer("three_layers", layers.back());
  return layers;
}

/// The same of one model, of a convolution of one group.
template <typename Scalar, typename Quantizer>
std::vector<QuantizedConvolutionLayer> three_layers(const QuantizedCpModel<Scalar, Quantizer>& model,
                                                    const std::array<Index, 2>& kernel_size,
                                                    const ConvolutionGeometry& geometry = {},
                                                    const Vector<double>& bias = {}) {
  return three_layers(std::vector<QuantizedCpModel<Scalar, Quantizer>>{model}, kernel_size, geometry, bias);
}

}  // namespace qaf
