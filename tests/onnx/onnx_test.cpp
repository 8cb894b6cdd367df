// ONNX models: accepted by ONNX's own checker, and what their operators, evaluated as ONNX defines them, compute.

#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <onnx/checker.h>
#include <onnx/shape_inference/implementation.h>

#include <qaf/io/onnx.hpp>
#include <qaf/quantizers/affine.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "onnx/factored_layer.hpp"
#include "support/catch.hpp"
#include "support/error_text.hpp"

namespace {

using qaf::ConvolutionGeometry;
using qaf::FeatureMaps;
using qaf::Granularity;
using qaf::Index;
using support::FactoredLayer;

/// Reads the model back from a file of its own.
onnx::ModelProto written(const FactoredLayer& layer, const qaf::OnnxOptions& options = {}) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("qaf-" + std::to_string(std::random_device()()) + ".onnx")).string();
  qaf::write_onnx(path, layer.layers, options);
  std::ifstream file(path, std::ios::binary);
  onnx::ModelProto model;
  REQUIRE(model.ParseFromIstream(&file));
  std::filesystem::remove(path);
  return model;
}

const onnx::AttributeProto* attribute(const onnx::NodeProto& node, const std::string& name) {
  for (const onnx::AttributeProto& found : node.attribute())
    if (found.name() == name) return &found;
  return nullptr;
}

std::array<Index, 2> pair_of(const onnx::NodeProto& node, const std::string& name) {
  return {attribute(node, name)->ints(0), attribute(node, name)->ints(1)};
}

/// An evaluator of the three operators, in double: of ONNX's definitions, not of the library's code.
class Evaluator {
 public:
  explicit Evaluator(const onnx::GraphProto& graph) : graph_(graph) {
    for (const onnx::TensorProto& tensor : graph.initializer()) tensors_[tensor.name()] = entries_of(tensor);
  }

  FeatureMaps<double> operator()(const FeatureMaps<double>& input) {
    maps_[graph_.input(0).name()] = input;
    for (const onnx::NodeProto& node : graph_.node()) {
      if (node.op_type() == "DequantizeLinear")
        dequantize(node);
      else if (node.op_type() == "Conv")
        convolve(node);
      else
        relu(node);
    }
    return maps_.at(graph_.output(0).name());
  }

 private:
  using Tensor = qaf::DenseTensor<double>;

  template <typename Entry>
  static void copy_raw(const onnx::TensorProto& tensor, Tensor& target) {
    std::vector<Entry> entries(static_cast<std::size_t>(target.size()));
    REQUIRE(tensor.raw_data().size() == entries.size() * sizeof(Entry));
    std::memcpy(entries.data(), tensor.raw_data().data(), tensor.raw_data().size());
    std::copy(entries.begin(), entries.end(), target.data());
  }

  static Tensor entries_of(const onnx::TensorProto& tensor) {
    Tensor result(std::vector<Index>(tensor.dims().begin(), tensor.dims().end()), qaf::StorageOrder::row_major);
    if (tensor.data_type() == onnx::TensorProto_DataType_INT8)
      copy_raw<std::int8_t>(tensor, result);
    else if (tensor.data_type() == onnx::TensorProto_DataType_INT32)
      copy_raw<std::int32_t>(tensor, result);
    else
      copy_raw<float>(tensor, result);
    return result;
  }

  void dequantize(const onnx::NodeProto& node) {
    Tensor values = tensors_.at(node.input(0));
    const Tensor& scales = tensors_.at(node.input(1));
    if (scales.order() == 0) {
      for (Index k = 0; k < values.size(); ++k) values.data()[k] *= scales.data()[0];
    } else {
      REQUIRE(attribute(node, "axis")->i() == 0);
      REQUIRE(scales.dimensions() == std::vector<Index>{values.dimensions()[0]});
      for (Index k = 0; k < values.size(); ++k) values.data()[k] *= scales.data()[k / (values.size() / scales.size())];
    }
    tensors_[node.output(0)] = values;
  }

  void convolve(const onnx::NodeProto& node) {
    ConvolutionGeometry geometry{pair_of(node, "strides"), pair_of(node, "pads"), pair_of(node, "dilations"),
                                 attribute(node, "group")->i()};
    const Tensor& weights = tensors_.at(node.input(1));
    CHECK(attribute(node, "pads")->ints(2) == geometry.padding[0]);
    CHECK(attribute(node, "pads")->ints(3) == geometry.padding[1]);
    CHECK(pair_of(node, "kernel_shape") == std::array<Index, 2>{weights.dimensions()[2], weights.dimensions()[3]});
    FeatureMaps<double> result = support::direct_convolution(maps_.at(node.input(0)), weights, geometry);
    if (node.input_size() > 2) {
      const Tensor& bias = tensors_.at(node.input(2));
      result.values.colwise() += Eigen::Map<const qaf::Vector<double>>(bias.data(), bias.size());
    }
    maps_[node.output(0)] = result;
  }

  void relu(const onnx::NodeProto& node) {
    REQUIRE(node.op_type() == "Relu");
    FeatureMaps<double> maps = maps_.at(node.input(0));
    maps.values = maps.values.cwiseMax(0);
    maps_[node.output(0)] = maps;
  }

  const onnx::GraphProto& graph_;
  std::map<std::string, Tensor> tensors_;
  std::map<std::string, FeatureMaps<double>> maps_;
};

/// ONNX accepts the model, and it computes what the reconstructed kernel does.
void check_model(const FactoredLayer& layer, Index rows = 9, Index columns = 8) {
  const Index channels = layer.kernels.front().dimensions()[1] * layer.geometry.groups;
  const auto maps = support::random_maps<double>(2, rows, columns, channels);
  const auto expected = support::expected_output(layer, maps);
  for (const bool has_sizes : {false, true}) {
    qaf::OnnxOptions options;
    if (has_sizes) options.input_size = {2, rows, columns};
    onnx::ModelProto model = written(layer, options);
    onnx::checker::check_model(model);
    const auto found = Evaluator(model.graph())(maps);
    CHECK(found.rows == expected.rows);
    CHECK(found.columns == expected.columns);
    REQUIRE(found.values.rows() == expected.values.rows());
    // Scales and biases are float in the file.
    CHECK((found.values - expected.values).norm() <= 1e-6 * expected.values.norm());
    // ONNX comes to the shape that the file declares.
    onnx::ModelProto inferred = model;
    inferred.mutable_graph()->clear_output();
    inferred.mutable_graph()->add_output()->set_name("output");
    onnx::shape_inference::InferShapes(inferred);
    if (!has_sizes) continue;
    CHECK(inferred.graph().output(0).SerializeAsString() == model.graph().output(0).SerializeAsString());
  }
}

FactoredLayer random_layer(const ConvolutionGeometry& geometry, const qaf::UniformQuantizer& quantizer = {},
                           const qaf::Vector<double>& bias = {}) {
  std::vector<qaf::CpModel<float>> models;
  for (Index group = 0; group < geometry.groups; ++group)
    models.push_back(support::random_model<float>({4, 3, 6}, 5, static_cast<std::uint64_t>(2 + group)));
  return support::factored_layer(models, {3, 2}, quantizer, geometry, bias);
}

}  // namespace

TEST_CASE("onnx: strides, padding, dilation and groups") {
  for (ConvolutionGeometry geometry : support::various_geometries())
    for (const Index groups : {1, 2}) {
      CAPTURE(geometry.stride, geometry.padding, geometry.dilation, groups);
      geometry.groups = groups;
      check_model(random_layer(geometry, {}, qaf::Vector<double>::LinSpaced(4 * groups, -1, 1)));
    }
}

TEST_CASE("onnx: every place of a scale") {
  const auto model = support::random_model<float>({4, 3, 9}, 5);
  for (const int bits : {2, 4, 8}) {
    for (const Granularity outputs : {Granularity::tensor, Granularity::component, Granularity::row})
      for (const Granularity others : {Granularity::tensor, Granularity::component}) {
        CAPTURE(bits, outputs, others);
        std::vector<qaf::UniformQuantizer> quantizers(3);
        for (qaf::UniformQuantizer& quantizer : quantizers) {
          quantizer.bits = bits;
          quantizer.granularity = others;
        }
        quantizers[0].granularity = outputs;
        const auto layer = support::factored_layer(std::vector{model}, {3, 3}, quantizers);
        check_model(layer);
        const onnx::ModelProto file = written(layer);
        // One scale for the last layer unless its rows have their own.
        CHECK(file.graph().initializer(5).name() == "layer2.scales");
        CHECK(file.graph().initializer(5).dims_size() == (outputs == Granularity::row ? 1 : 0));
        CHECK(file.graph().initializer(2).name() == "layer1.codes");
        CHECK(file.graph().initializer(2).data_type() == onnx::TensorProto_DataType_INT8);
        if (bits == 8) continue;
        for (const int scales : {1, 3, 5}) {
          const std::string& bytes = file.graph().initializer(scales).raw_data();
          std::vector<float> values(bytes.size() / sizeof(float));
          std::memcpy(values.data(), bytes.data(), bytes.size());
          for (const float value : values) CHECK(value > 0);
        }
      }
  }
}

TEST_CASE("onnx: integers beyond 8 bits, models of two modes, a Relu") {
  // Zero points taken from codes of 8 bits leave integers of 9.
  check_model(
      support::factored_layer(std::vector{support::random_model<float>({4, 3, 9}, 5)}, {3, 3}, qaf::AffineQuantizer()));
  check_model(
      support::factored_layer(std::vector{support::random_model<float>({4, 3}, 2)}, {1, 1}, qaf::UniformQuantizer()));
  FactoredLayer layer = random_layer({});
  layer.layers.back().relu = true;
  onnx::ModelProto model = written(layer);
  onnx::checker::check_model(model);
  const auto maps = support::random_maps<double>(1, 5, 5, 3);
  const auto expected = support::expected_output(layer, maps);
  const auto found = Evaluator(model.graph())(maps);
  CHECK((found.values - expected.values.cwiseMax(0)).norm() <= 1e-6 * expected.values.norm());
}

TEST_CASE("onnx: a scale below 0 stays where a code is -128, and nowhere else") {
  qaf::QuantizedConvolutionLayer layer{qaf::DenseTensor<std::int16_t>({2, 2, 1, 1}, qaf::StorageOrder::row_major),
                                       qaf::Vector<double>::Constant(2, -0.5),
                                       {},
                                       {},
                                       false};
  const std::int16_t codes[] = {-127, 3, -128, 3};
  std::copy(codes, codes + 4, layer.codes.data());
  const onnx::ModelProto model = qaf::onnx_model({layer});
  const std::string& bytes = model.graph().initializer(0).raw_data();
  CHECK(std::vector<char>(bytes.begin(), bytes.end()) == std::vector<char>{127, -3, -128, 3});
  float scales[2];
  REQUIRE(model.graph().initializer(1).raw_data().size() == sizeof scales);
  std::memcpy(scales, model.graph().initializer(1).raw_data().data(), sizeof scales);
  CHECK(scales[0] == 0.5F);
  CHECK(scales[1] == -0.5F);
}

TEST_CASE("onnx: names are those asked for") {
  qaf::OnnxOptions options;
  options.name = "conv1";
  options.prefix = "layer1.0.conv1.";
  options.input = "x";
  options.output = "y";
  const onnx::ModelProto model = written(random_layer({}), options);
  onnx::checker::check_model(model);
  CHECK(model.graph().name() == "conv1");
  CHECK(model.graph().input(0).name() == "x");
  CHECK(model.graph().output(0).name() == "y");
  for (const onnx::TensorProto& tensor : model.graph().initializer()) CHECK(tensor.name().find(options.prefix) == 0);
  for (const onnx::NodeProto& node : model.graph().node()) CHECK(node.name().find(options.prefix) == 0);
  CHECK(model.producer_name() == "qaf");
  CHECK(model.opset_import(0).version() == 13);
  CHECK(model.ir_version() == 7);
}

TEST_CASE("onnx: what cannot be a model is told") {
  const std::string start = "qaf::onnx_model: ";
  CHECK_ERROR(qaf::onnx_model({}), start + "there must be at least one layer");
  const FactoredLayer layer = random_layer({});
  const auto error_of = [&](const auto& change) {
    std::vector<qaf::QuantizedConvolutionLayer> layers = layer.layers;
    change(layers);
    return support::error_text([&] { qaf::onnx_model(layers); });
  };
  CHECK(error_of([](auto& layers) {
          layers.erase(layers.begin() + 1, layers.end() - 1);
          std::swap(layers[0], layers[1]);
        }) == start + "layer 1 must have as many input channels as the layer before has output channels, 4, got 3");
  for (const double bad : {1e-40, 1e39, -1e39}) {
    CHECK(error_of([&](auto& layers) {
            layers[0].scales[2] = bad;
          }).find(start + "the scales of a layer must be normal numbers in float, got ") == 0);
  }
  CHECK(error_of([](auto& layers) { layers[0].scales[2] = 0; }).find(start + "every scale of a layer must be") == 0);
  CHECK(error_of([](auto& layers) { layers[2].bias.setConstant(4, 1e39); }) ==
        start + "the biases of a layer must be finite in float");
  qaf::OnnxOptions options;
  options.output = "input";
  CHECK_ERROR(qaf::onnx_model(layer.layers, options),
              "qaf::OnnxOptions: input and output must have different names, got 'input'");
  options.output = "";
  CHECK_ERROR(qaf::onnx_model(layer.layers, options), "qaf::OnnxOptions: name, input and output must not be empty");
  // Names of a layer's own values, which ONNX has once.
  options = {};
  options.prefix = "net.";
  options.input = "net.layer1.codes";
  CHECK_ERROR(qaf::onnx_model(layer.layers, options),
              start +
                  "input and output must not begin with 'net.layer1.' as the values of layer 1 do, got "
                  "'net.layer1.codes'");
  options.input = "input";
  options.output = "net.layer0.output";
  CHECK_ERROR(qaf::onnx_model(layer.layers, options),
              start +
                  "input and output must not begin with 'net.layer0.' as the values of layer 0 do, got "
                  "'net.layer0.output'");
  options.output = "net.layer3.output";  // there are layers 0 to 2
  CHECK_NOTHROW(qaf::onnx_model(layer.layers, options));
  options.output = "layer0.output";  // without the prefix
  CHECK_NOTHROW(qaf::onnx_model(layer.layers, options));
  options = {};
  options.input_size = {1, -1, 5};
  CHECK_ERROR(qaf::onnx_model(layer.layers, options), "qaf::OnnxOptions: input_size must be 0 or more, got -1");
  CHECK_THROWS_AS(qaf::write_onnx("no such folder/x.onnx", layer.layers), qaf::IoError);
}
