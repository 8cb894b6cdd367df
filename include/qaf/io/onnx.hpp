#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

// Which of its two generated headers ONNX's own takes; Debian has this one.
#ifndef ONNX_ML
#define ONNX_ML 1
#endif
#include <onnx/onnx_pb.h>

#include <qaf/convolution/layer.hpp>
#include <qaf/error.hpp>
#include <qaf/io/detail/file.hpp>
#include <qaf/types.hpp>
#include <qaf/version.hpp>

// Needs ONNX's C++ library (Debian: libonnx-dev and libprotobuf-dev; link onnx_proto and protobuf).

namespace qaf {

/// Names and sizes in an ONNX model.
struct OnnxOptions {
  std::string name = "factored_convolution";  ///< of the graph; not empty
  std::string prefix;                         ///< before the names of nodes and of all values but input and output
  std::string input = "input";                ///< images x channels x rows x columns, float
  std::string output = "output";              ///< the same
  /// Images, rows and columns of the input; where it is 0 any number will do.
  std::array<Index, 3> input_size{0, 0, 0};

  /// Errors: an empty name, one name for input and output, a negative size.
  void validate() const {
    if (name.empty() || input.empty() || output.empty())
      detail::fail("OnnxOptions", "name, input and output must not be empty");
    if (input == output) detail::fail("OnnxOptions", "input and output must have different names, got '", input, "'");
    for (const Index size : input_size)
      if (size < 0) detail::fail("OnnxOptions", "input_size must be 0 or more, got ", size);
  }
};

namespace detail::onnx_format {

// DequantizeLinear has a scale for each channel from version 13 of the operators on (ONNX 1.8), which goes with version
// 7 of the format.
inline constexpr int operators = 13;
inline constexpr int format = 7;

/// Appends a tensor with its entries as bytes, the least significant first.
template <typename Entry>
void add_initializer(::onnx::GraphProto& graph, const std::string& name, ::onnx::TensorProto_DataType type,
                     const std::vector<Index>& dimensions, std::vector<Entry> entries) {
  ::onnx::TensorProto& tensor = *graph.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (const Index size : dimensions) tensor.add_dims(size);
  if (host_is_big_endian()) swap_bytes(entries);
  tensor.set_raw_data(entries.data(), entries.size() * sizeof(Entry));
}

inline ::onnx::NodeProto& add_node(::onnx::GraphProto& graph, const char* type, const std::string& name,
                                   const std::vector<std::string>& inputs, const std::string& output) {
  ::onnx::NodeProto& node = *graph.add_node();
  node.set_op_type(type);
  node.set_name(name);
  for (const std::string& input : inputs) node.add_input(input);
  node.add_output(output);
  return node;
}

inline void set_attribute(::onnx::NodeProto& node, const char* name, Index value) {
  ::onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(::onnx::AttributeProto_AttributeType_INT);
  attribute.set_i(value);
}

inline void set_attribute(::onnx::NodeProto& node, const char* name, const std::vector<Index>& values) {
  ::onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(::onnx::AttributeProto_AttributeType_INTS);
  for (const Index value : values) attribute.add_ints(value);
}

/// The codes and scales of a layer as ONNX has them.
struct LayerWeights {
  std::vector<std::int32_t> codes;
  std::vector<float> scales;  // one a channel of the output, or one where they are all the same
  bool fits_int8 = true;
};

inline LayerWeights layer_weights(const QuantizedConvolutionLayer& layer) {
  const Index outputs = layer.scales.size(), entries = layer.codes.size() / outputs;
  LayerWeights weights{{layer.codes.data(), layer.codes.data() + layer.codes.size()}, {}, true};
  const auto is_int8 = [](std::int32_t code) { return code >= -128 && code <= 127; };
  for (Index o = 0; o < outputs; ++o) {
    float scale = static_cast<float>(layer.scales[o]);
    if (!std::isfinite(scale) || std::abs(scale) < std::numeric_limits<float>::min())
      fail("onnx_model", "the scales of a layer must be normal numbers in float, got ", layer.scales[o]);
    const auto begin = weights.codes.begin() + o * entries, end = begin + entries;
    // Some runtimes take positive scales only. There is no code 128 for the opposite of -128.
    if (scale < 0 && std::find(begin, end, -128) == end) {
      scale = -scale;
      std::transform(begin, end, begin, [](std::int32_t code) { return -code; });
    }
    weights.scales.push_back(scale);
  }
  weights.fits_int8 = std::all_of(weights.codes.begin(), weights.codes.end(), is_int8);
  const auto& scales = weights.scales;
  if (std::count(scales.begin(), scales.end(), scales.front()) == static_cast<std::ptrdiff_t>(scales.size()))
    weights.scales.resize(1);
  return weights;
}

/// Appends codes, scales and bias as initializers, DequantizeLinear, Conv and, where the layer has it, Relu.
inline void add_layer(::onnx::GraphProto& graph, const QuantizedConvolutionLayer& layer, const std::string& name,
                      const std::string& input, const std::string& output) {
  LayerWeights weights = layer_weights(layer);
  const std::vector<Index>& sizes = layer.codes.dimensions();
  if (weights.fits_int8) {
    add_initializer(graph, name + "codes", ::onnx::TensorProto_DataType_INT8, sizes,
                    std::vector<std::int8_t>(weights.codes.begin(), weights.codes.end()));
  } else {  // the operator has no 16 bits
    add_initializer(graph, name + "codes", ::onnx::TensorProto_DataType_INT32, sizes, std::move(weights.codes));
  }
  const bool has_one_scale = weights.scales.size() == 1;
  add_initializer(graph, name + "scales", ::onnx::TensorProto_DataType_FLOAT,
                  has_one_scale ? std::vector<Index>{} : std::vector<Index>{sizes[0]}, std::move(weights.scales));
  ::onnx::NodeProto& decode =
      add_node(graph, "DequantizeLinear", name + "decode", {name + "codes", name + "scales"}, name + "weights");
  if (!has_one_scale) set_attribute(decode, "axis", 0);

  std::vector<std::string> inputs = {input, name + "weights"};
  if (layer.bias.size() != 0) {
    const Vector<float> bias = layer.bias.cast<float>();
    if (!bias.allFinite()) fail("onnx_model", "the biases of a layer must be finite in float");
    add_initializer(graph, name + "bias", ::onnx::TensorProto_DataType_FLOAT, {sizes[0]},
                    std::vector<float>(bias.data(), bias.data() + bias.size()));
    inputs.push_back(name + "bias");
  }
  const std::string convolved = layer.relu ? name + "convolved" : output;
  ::onnx::NodeProto& convolution = add_node(graph, "Conv", name + "convolution", inputs, convolved);
  const ConvolutionGeometry& geometry = layer.geometry;
  const std::array<Index, 2>& padding = geometry.padding;
  set_attribute(convolution, "kernel_shape", {sizes[2], sizes[3]});
  set_attribute(convolution, "strides", {geometry.stride[0], geometry.stride[1]});
  set_attribute(convolution, "pads", {padding[0], padding[1], padding[0], padding[1]});
  set_attribute(convolution, "dilations", {geometry.dilation[0], geometry.dilation[1]});
  set_attribute(convolution, "group", geometry.groups);
  if (layer.relu) add_node(graph, "Relu", name + "relu", {convolved}, output);
}

/// Declares an input or output of floats. Sizes of 0 are of any number, and have a name.
inline void declare(::onnx::ValueInfoProto& value, const std::string& name, const std::array<Index, 4>& sizes,
                    const std::array<const char*, 4>& size_names) {
  value.set_name(name);
  ::onnx::TypeProto_Tensor& type = *value.mutable_type()->mutable_tensor_type();
  type.set_elem_type(::onnx::TensorProto_DataType_FLOAT);
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    ::onnx::TensorShapeProto_Dimension& size = *type.mutable_shape()->add_dim();
    if (sizes[k] > 0)
      size.set_dim_value(sizes[k]);
    else
      size.set_dim_param(size_names[k]);
  }
}

/// What the names of a layer's own values begin with.
inline std::string layer_prefix(const OnnxOptions& options, std::size_t layer) {
  return concatenate(options.prefix, "layer", layer, ".");
}

/// Throws where the input or output has a name such as those of a layer's own values.
inline void check_names(const OnnxOptions& options, std::size_t layers) {
  for (std::size_t k = 0; k < layers; ++k) {
    const std::string prefix = layer_prefix(options, k);
    for (const std::string* name : {&options.input, &options.output})
      if (name->compare(0, prefix.size(), prefix) == 0)
        fail("onnx_model", "input and output must not begin with '", prefix, "' as the values of layer ", k,
             " do, got '", *name, "'");
  }
}

/// Throws unless the layers can follow each other.
inline void check_chain(const std::vector<QuantizedConvolutionLayer>& layers) {
  if (layers.empty()) fail("onnx_model", "there must be at least one layer");
  for (std::size_t k = 0; k < layers.size(); ++k) {
    check_layer("onnx_model", layers[k]);
    if (k == 0) continue;
    const Index inputs = layers[k].codes.dimensions()[1] * layers[k].geometry.groups;
    if (inputs != layers[k - 1].scales.size())
      fail("onnx_model", "layer ", k, " must have as many input channels as the layer before has output channels, ",
           layers[k - 1].scales.size(), ", got ", inputs);
  }
}

}  // namespace detail::onnx_format

/// The layers of a factored convolution, as `three_layers` gives them, as an ONNX model: for each layer integer codes
/// as an initializer, a DequantizeLinear with a scale for each output channel (axis 0; one number where they are all
/// the same), a Conv and, where the layer has it, a Relu. Codes are int8, or int32 in a layer that needs more. A
/// negative scale becomes positive and its codes change their signs, but where one of these is -128.
///
/// Operator set 13, format version 7. Input and output are float, images x channels x rows x columns.
/// Errors: layers that do not fit together, scales and biases that float does not hold, an input or output with a name
/// such as a layer's values have (`<prefix>layer<k>.`), those of the options.
/// Memory: the codes in 32 bits.
inline ::onnx::ModelProto onnx_model(const std::vector<QuantizedConvolutionLayer>& layers,
                                     const OnnxOptions& options = {}) {
  namespace format = detail::onnx_format;
  options.validate();
  format::check_chain(layers);
  format::check_names(options, layers.size());
  ::onnx::ModelProto model;
  model.set_ir_version(format::format);
  model.set_producer_name("qaf");
  model.set_producer_version(QAF_VERSION);
  ::onnx::OperatorSetIdProto& operators = *model.add_opset_import();
  operators.set_domain("");
  operators.set_version(format::operators);

  ::onnx::GraphProto& graph = *model.mutable_graph();
  graph.set_name(options.name);
  const auto [images, rows, columns] = options.input_size;
  const QuantizedConvolutionLayer& first = layers.front();
  std::array<Index, 2> size{rows, columns};
  std::string value = options.input;
  format::declare(*graph.add_input(), options.input,
                  {images, first.codes.dimensions()[1] * first.geometry.groups, rows, columns},
                  {"images", "", "rows", "columns"});
  for (std::size_t k = 0; k < layers.size(); ++k) {
    const std::string name = format::layer_prefix(options, k);
    const std::string next = k + 1 == layers.size() ? options.output : name + "output";
    format::add_layer(graph, layers[k], name, value, next);
    value = next;
    const std::vector<Index>& sizes = layers[k].codes.dimensions();
    if (rows > 0 && columns > 0) size = output_size(size, {sizes[2], sizes[3]}, layers[k].geometry);
  }
  if (rows == 0 || columns == 0) size = {0, 0};
  format::declare(*graph.add_output(), options.output, {images, layers.back().scales.size(), size[0], size[1]},
                  {"images", "", "output_rows", "output_columns"});
  return model;
}

/// Writes `onnx_model` to a file, whole or not at all. Errors: as there, a model of 2 GiB or more, which the format
/// cannot hold, `IoError` where it cannot be written. Memory: the file and the model.
inline void write_onnx(const std::string& path, const std::vector<QuantizedConvolutionLayer>& layers,
                       const OnnxOptions& options = {}) {
  const ::onnx::ModelProto model = onnx_model(layers, options);
  const std::size_t most = std::numeric_limits<std::int32_t>::max();
  if (model.ByteSizeLong() > most)
    detail::fail("write_onnx", "a model must have at most ", most, " bytes, got ", model.ByteSizeLong());
  std::string bytes;
  if (!model.SerializeToString(&bytes)) detail::fail("write_onnx", "the model cannot be turned into bytes");
  detail::write_file(path, bytes, nullptr, 0);
}

}  // namespace qaf
