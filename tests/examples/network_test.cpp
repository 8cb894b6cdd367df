// The inference that the examples and benchmarks share: its steps against direct loops, the bundled network against
// the figure in its README.

#include "support/network.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <qaf/io/npy.hpp>

#include "support/batch_norm_statistics.hpp"
#include "support/catch.hpp"
#include "support/inference.hpp"
#include "support/second_moments.hpp"

namespace {

using qaf::Index;

const std::string data = QAF_EXAMPLE_DATA;

/// Numbers from -1 to 1, the same ones every time.
class Numbers {
 public:
  float operator()() { return static_cast<float>(engine_() >> 40) * 0x1p-23F - 1; }

 private:
  std::mt19937_64 engine_{7};
};

Maps random_maps(Index images, Index channels, Index rows, Index columns) {
  Numbers numbers;
  return {images, rows, columns,
          Eigen::MatrixXf::NullaryExpr(channels, images * rows * columns, [&] { return numbers(); })};
}

qaf::DenseTensor<float> random_tensor(const std::vector<Index>& sizes) {
  Numbers numbers;
  qaf::DenseTensor<float> tensor(sizes, qaf::StorageOrder::row_major);
  for (Index k = 0; k < tensor.size(); ++k) tensor.data()[k] = numbers();
  return tensor;
}

qaf::DenseTensor<float> constant_tensor(const std::vector<Index>& sizes, float value) {
  qaf::DenseTensor<float> tensor(sizes, qaf::StorageOrder::row_major);
  std::fill_n(tensor.data(), tensor.size(), value);
  return tensor;
}

float value_at(const Maps& maps, Index image, Index channel, Index row, Index column) {
  if (row < 0 || row >= maps.rows || column < 0 || column >= maps.columns) return 0;
  return maps.values(channel, (image * maps.rows + row) * maps.columns + column);
}

/// The convolution's definition in examples/data/README.md.
float convolved_at(const Maps& input, const qaf::DenseTensor<float>& weights, Index stride, Index image, Index output,
                   Index row, Index column) {
  const Index inputs = weights.dimensions()[1];
  float sum = 0;
  for (Index c = 0; c < inputs; ++c)
    for (Index u = 0; u < 3; ++u)
      for (Index v = 0; v < 3; ++v)
        sum += weights.data()[((output * inputs + c) * 3 + u) * 3 + v] *
               value_at(input, image, c, stride * row + u - 1, stride * column + v - 1);
  return sum;
}

Network network_of(const std::string& description, const Parameters& parameters) {
  std::istringstream text(description);
  return make_network(parse_description(text, "steps.txt"), parameters, "weights");
}

/// The parameters of a convolution, 1 channel to `outputs`, a batch norm that changes nothing (but for its epsilon) and
/// a linear layer.
Parameters small_parameters(Index outputs, Index classes) {
  Parameters parameters;
  parameters["conv1.weight"] = random_tensor({outputs, 1, 3, 3});
  parameters["bn1.weight"] = constant_tensor({outputs}, 1);
  parameters["bn1.bias"] = constant_tensor({outputs}, 0);
  parameters["bn1.running_mean"] = constant_tensor({outputs}, 0);
  parameters["bn1.running_var"] = constant_tensor({outputs}, 1);
  parameters["linear.weight"] = random_tensor({classes, outputs});
  parameters["linear.bias"] = random_tensor({classes});
  return parameters;
}

const char* const small_description =
    "input channels 1 means 0.5 deviations 0.2\nconvolution conv1 padding 1\nbatch_norm bn1\nrelu\n"
    "mean_of_pixels\nlinear linear\n";

Network small_network(Index outputs, Index classes) {
  return network_of(small_description, small_parameters(outputs, classes));
}

/// What a network's steps make of maps.
Maps after_steps(const Network& network, const Maps& maps) {
  BatchState state{maps, {}};
  for (const Step& step : network.description.steps) run_step(network, step, state);
  return state.maps;
}

qaf::DenseTensor<std::uint8_t> random_images(const std::vector<Index>& sizes) {
  qaf::DenseTensor<std::uint8_t> images(sizes, qaf::StorageOrder::row_major);
  std::mt19937_64 engine(3);
  for (Index k = 0; k < images.size(); ++k) images.data()[k] = static_cast<std::uint8_t>(engine() >> 56);
  return images;
}

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("network: the logits are those of convolution, batch norm, ReLU, mean and linear", "[network]") {
  Network network = small_network(3, 5);
  network.parameters["bn1.weight"] = random_tensor({3});
  network.parameters["bn1.bias"] = constant_tensor({3}, 0.3F);
  network.parameters["bn1.running_mean"] = random_tensor({3});
  network.parameters["bn1.running_var"] = constant_tensor({3}, 2.5F);
  const auto images = random_images({40, 1, 4, 5});  // several batches
  const Eigen::MatrixXf result = logits(network, images);
  REQUIRE(result.rows() == 5);
  REQUIRE(result.cols() == 40);

  const auto of = [&](const char* name, Index k) { return network.parameters.at(name).data()[k]; };
  for (const Index image : {0, 7, 8, 39}) {
    Maps input{1, 4, 5, Eigen::MatrixXf(1, 20)};
    for (Index k = 0; k < 20; ++k)
      input.values(0, k) = (static_cast<float>(images.data()[image * 20 + k]) / 255 - 0.5F) / 0.2F;
    for (Index c = 0; c < 5; ++c) {
      float expected = of("linear.bias", c);
      for (Index o = 0; o < 3; ++o) {
        float mean = 0;
        for (Index row = 0; row < 4; ++row)
          for (Index column = 0; column < 5; ++column) {
            const float sum = convolved_at(input, network.parameters.at("conv1.weight"), 1, 0, o, row, column);
            const float normal = (sum - of("bn1.running_mean", o)) / std::sqrt(of("bn1.running_var", o) + 1e-5F);
            mean += std::max(0.0F, of("bn1.weight", o) * normal + of("bn1.bias", o)) / 20;
          }
        expected += of("linear.weight", c * 3 + o) * mean;
      }
      CHECK(result(c, image) == Approx(expected).epsilon(1e-4).margin(1e-4));
    }
  }
}

TEST_CASE("network: shortcuts add every second pixel to the channels in the middle", "[network]") {
  const Network network = network_of(
      "input channels 4 means 0 0 0 0 deviations 1 1 1 1\nsave block\nconvolution wide stride 2\nadd block stride 2\n",
      {{"wide.weight", constant_tensor({8, 4, 1, 1}, 0)}});
  const Maps input = random_maps(2, 4, 5, 6), output = after_steps(network, input);
  REQUIRE(output.channels() == 8);
  REQUIRE((output.rows == 3 && output.columns == 3));
  for (Index image = 0; image < 2; ++image)
    for (Index row = 0; row < 3; ++row)
      for (Index column = 0; column < 3; ++column)
        for (Index channel = 0; channel < 8; ++channel) {
          const bool is_new = channel < 2 || channel >= 6;
          const float expected = is_new ? 0 : value_at(input, image, channel - 2, 2 * row, 2 * column);
          CHECK(value_at(output, image, channel, row, column) == expected);
        }
}

TEST_CASE("network: a shortcut with a convolution of its own runs on the saved maps", "[network]") {
  const Parameters parameters = {{"main.weight", random_tensor({4, 2, 3, 3})},
                                 {"side.weight", random_tensor({4, 2, 1, 1})},
                                 {"side.bias", random_tensor({4})}};
  const Network network = network_of(
      "input channels 2 means 0 0 deviations 1 1\nsave block\nconvolution main stride 2 padding 1\n"
      "on block convolution side stride 2\nadd block\n",
      parameters);
  const Maps input = random_maps(2, 2, 5, 6), output = after_steps(network, input);
  for (Index image = 0; image < 2; ++image)
    for (Index row = 0; row < 3; ++row)
      for (Index column = 0; column < 3; ++column)
        for (Index channel = 0; channel < 4; ++channel) {
          float expected = convolved_at(input, parameters.at("main.weight"), 2, image, channel, row, column);
          expected += parameters.at("side.bias").data()[channel];
          for (Index c = 0; c < 2; ++c)
            expected +=
                parameters.at("side.weight").data()[2 * channel + c] * value_at(input, image, c, 2 * row, 2 * column);
          CHECK(value_at(output, image, channel, row, column) == Approx(expected).epsilon(1e-4).margin(1e-5));
        }
}

TEST_CASE("network: grouped and dilated convolutions see their own channels at their own distance", "[network]") {
  const qaf::DenseTensor<float> weights = random_tensor({4, 1, 2, 2});
  const Network network = network_of(
      "input channels 2 means 0 0 deviations 1 1\nconvolution conv dilation 2 groups 2\n", {{"conv.weight", weights}});
  const Maps input = random_maps(1, 2, 5, 4), output = after_steps(network, input);
  REQUIRE((output.rows == 3 && output.columns == 2));
  for (Index row = 0; row < 3; ++row)
    for (Index column = 0; column < 2; ++column)
      for (Index channel = 0; channel < 4; ++channel) {
        float expected = 0;
        for (Index k = 0; k < 4; ++k)
          expected += weights.data()[4 * channel + k] *
                      value_at(input, 0, channel / 2, row + 2 * (k / 2), column + 2 * (k % 2));
        CHECK(value_at(output, 0, channel, row, column) == Approx(expected).epsilon(1e-4).margin(1e-5));
      }
}

TEST_CASE("network: pools, flatten and linear do what PyTorch's do", "[network]") {
  const Maps input = random_maps(2, 3, 5, 4);
  const std::string begin = "input channels 3 means 0 0 0 deviations 1 1 1\n";
  const Maps largest = after_steps(network_of(begin + "max_pool size 3 stride 2 padding 1\n", {}), input);
  const Maps means = after_steps(network_of(begin + "average_pool size 2\n", {}), input);
  const Maps flat = after_steps(network_of(begin + "flatten\n", {}), input);
  REQUIRE((largest.rows == 3 && largest.columns == 2));
  REQUIRE((means.rows == 2 && means.columns == 2));
  REQUIRE((flat.rows == 1 && flat.columns == 1 && flat.channels() == 60));
  for (Index image = 0; image < 2; ++image)
    for (Index channel = 0; channel < 3; ++channel) {
      for (Index row = 0; row < 5; ++row)
        for (Index column = 0; column < 4; ++column)
          CHECK(flat.values((channel * 5 + row) * 4 + column, image) == value_at(input, image, channel, row, column));
      for (Index row = 0; row < 3; ++row)
        for (Index column = 0; column < 2; ++column) {
          float expected = -2;  // below all
          for (Index y = std::max<Index>(0, 2 * row - 1); y < std::min<Index>(5, 2 * row + 2); ++y)
            for (Index x = std::max<Index>(0, 2 * column - 1); x < std::min<Index>(4, 2 * column + 2); ++x)
              expected = std::max(expected, value_at(input, image, channel, y, x));
          CHECK(value_at(largest, image, channel, row, column) == expected);
          if (row == 2) continue;
          float sum = 0;
          for (Index k = 0; k < 4; ++k) sum += value_at(input, image, channel, 2 * row + k / 2, 2 * column + k % 2);
          CHECK(value_at(means, image, channel, row, column) == Approx(sum / 4).margin(1e-6));
        }
    }
}

TEST_CASE("network: batch norms follow their inputs, and stay where nothing has changed", "[network]") {
  Parameters parameters = small_parameters(3, 5);
  parameters["bn1.running_mean"] = random_tensor({3});
  parameters["bn1.running_var"] = constant_tensor({3}, 2.5F);
  const Network original = network_of(small_description, parameters);
  const auto images = random_images({20, 1, 6, 5});
  const auto before = batch_norm_inputs(original, images);

  Network same = original;
  match_batch_norms(same, before, images);
  for (const char* name : {"bn1.running_mean", "bn1.running_var"})
    for (Index k = 0; k < 3; ++k)
      CHECK(same.parameters.at(name).data()[k] == Approx(parameters.at(name).data()[k]).epsilon(1e-6));

  // Weights that are a multiple change nothing once the batch norms have followed.
  Network scaled = original;
  qaf::DenseTensor<float>& weights = scaled.parameters.at("conv1.weight");
  for (Index k = 0; k < weights.size(); ++k) weights.data()[k] *= 3;
  // Means that training gave are another multiple than the images': move both to those of the images.
  Network centered = original;
  for (Index k = 0; k < 3; ++k) {
    for (Network* network : {&scaled, &centered}) {
      network->parameters.at("bn1.running_mean").data()[k] = static_cast<float>(before.at("bn1").mean[k]);
      network->parameters.at("bn1.running_var").data()[k] = static_cast<float>(before.at("bn1").variance[k]);
    }
  }
  CHECK(!logits(scaled, images).isApprox(logits(centered, images), 1e-2F));
  match_batch_norms(scaled, before, images);
  CHECK(logits(scaled, images).isApprox(logits(centered, images), 1e-3F));
}

TEST_CASE("network: a substitute stands in the place of a layer's weights", "[network]") {
  const Network network = small_network(3, 5);
  Network expected = network;
  expected.parameters.at("conv1.weight") = constant_tensor({3, 1, 3, 3}, 0);
  InferenceHooks hooks;
  hooks.substitutes["conv1"] = [](const Maps& input) {
    return Maps{input.images, input.rows, input.columns, Eigen::MatrixXf::Zero(3, input.values.cols())};
  };
  const auto images = random_images({9, 1, 6, 6});
  CHECK(logits(network, images, hooks) == logits(expected, images));
  CHECK(logits(network, images) != logits(expected, images));
}

TEST_CASE("network: the second moments are the sums over images, pixels and positions", "[network]") {
  const Index channels = 3;
  const Maps input = random_maps(2, channels, 4, 3);
  SecondMoments moments;
  const qaf::ConvolutionGeometry geometry{{2, 2}, {1, 1}};
  for (const Eigen::MatrixXf& image : {input.values.leftCols(12).eval(), input.values.rightCols(12).eval()})
    add_patches(moments, qaf::patches(Maps{1, 4, 3, image}, {3, 3}, geometry), 9);

  Eigen::MatrixXd by_channel = Eigen::MatrixXd::Zero(channels, channels), by_position = Eigen::MatrixXd::Zero(9, 9);
  const auto at = [&](Index image, Index row, Index column, Index channel, Index position) {
    const Index y = 2 * row + position / 3 - 1, x = 2 * column + position % 3 - 1;
    return static_cast<double>(value_at(input, image, channel, y, x));
  };
  for (Index image = 0; image < 2; ++image)
    for (Index row = 0; row < 2; ++row)
      for (Index column = 0; column < 2; ++column)
        for (Index c = 0; c < channels; ++c)
          for (Index k = 0; k < 9; ++k) {
            const double entry = at(image, row, column, c, k);
            for (Index d = 0; d < channels; ++d) by_channel(c, d) += entry * at(image, row, column, d, k);
            for (Index l = 0; l < 9; ++l) by_position(k, l) += entry * at(image, row, column, c, l);
          }
  CHECK(moments.patches == 8);
  CHECK(moments.channels.isApprox(by_channel, 1e-5));
  CHECK(moments.positions.isApprox(by_position, 1e-5));
  CHECK(mean_square(moments) == Approx(by_channel.trace() / (8 * 9 * 3)).epsilon(1e-5));
  CHECK(with_mean_diagonal_1(moments.channels).isApprox(by_channel * 3 / by_channel.trace(), 1e-5));
  CHECK(with_mean_diagonal_1(moments.channels).trace() == Approx(3));
  CHECK(with_mean_diagonal_1(moments.positions) == with_mean_diagonal_1(moments.positions).transpose());
  CHECK(with_mean_diagonal_1(Eigen::MatrixXd::Zero(2, 2)) == Eigen::MatrixXd::Zero(2, 2));
}

TEST_CASE("network: the bundled one has the top-1 of its README, and shows every convolution's input", "[network]") {
  const Network network = read_network(data + "/network");
  CHECK(convolution_names(network) == std::vector<std::string>{"conv1", "conv2", "conv3", "conv4", "conv5", "conv6"});
  std::map<std::string, Index> patches_seen, channels_seen;
  InferenceHooks hooks;
  hooks.on_input = [&](const Step& step, const Maps& input) {
    if (step.kind != StepKind::convolution) return;
    patches_seen[step.name] += qaf::patches(input, {3, 3}, inference::geometry_of(step)).cols();
    channels_seen[step.name] = input.channels();
  };
  const std::vector<Index> classes = classes_of(logits(network, read_images(data + "/test_images.npy"), hooks));
  const auto labels = qaf::read_npy<std::uint8_t>(data + "/test_labels.npy");
  int right = 0;
  for (std::size_t k = 0; k < classes.size(); ++k) right += classes[k] == labels.data()[k] ? 1 : 0;
  // 906; another processor may round the odd image over the border.
  CHECK(std::abs(right - 906) <= 1);
  CHECK(patches_seen == std::map<std::string, Index>{{"conv1", 784000},
                                                     {"conv2", 196000},
                                                     {"conv3", 196000},
                                                     {"conv4", 49000},
                                                     {"conv5", 49000},
                                                     {"conv6", 49000}});
  CHECK(channels_seen == std::map<std::string, Index>{
                             {"conv1", 1}, {"conv2", 16}, {"conv3", 32}, {"conv4", 32}, {"conv5", 64}, {"conv6", 64}});
}

TEST_CASE("network: weights are replaced in either shape and storage order", "[network]") {
  const auto images = random_images({2, 1, 6, 6});
  Network expected = small_network(3, 5), network = expected;
  auto weights = constant_tensor({3, 1, 3, 3}, 0);
  for (Index k = 0; k < weights.size(); ++k) weights.data()[k] = static_cast<float>(k) / 27 - 0.5F;
  expected.parameters["conv1.weight"] = weights;
  CHECK(logits(network, images) != logits(expected, images));
  replace_weights(network, "conv1", with_storage_order(weights, qaf::StorageOrder::column_major));
  CHECK(logits(network, images) == logits(expected, images));
  network = small_network(3, 5);
  weights.reshape({3, 1, 9});
  replace_weights(network, "conv1", weights);
  CHECK(logits(network, images) == logits(expected, images));
}

TEST_CASE("network: what does not fit is refused with a sentence", "[network]") {
  Network network = small_network(3, 5);
  CHECK(error_of([&] {
          replace_weights(network, "conv2", random_tensor({3, 1, 3, 3}));
        }) == "the network has no convolution or linear layer 'conv2'; it has conv1, linear");
  CHECK(error_of([&] {
          replace_weights(network, "conv1", random_tensor({3, 9}));
        }) == "the weights of conv1 must be 3 x 1 x 3 x 3, its last two sizes may be one, got 3 x 9");
  CHECK(error_of([&] {
          replace_weights(network, "linear", random_tensor({3, 9}));
        }) == "the weights of linear must be 5 x 3, got 3 x 9");
  CHECK(error_of([&] {
          logits(network, random_images({2, 3, 6, 6}));
        }) == "the network needs images of 1 channels, got images of 2 x 3 x 6 x 6");
  const auto error_with = [&](const std::string& name, const qaf::DenseTensor<float>& tensor) {
    Parameters parameters = small_parameters(3, 5);
    parameters[name] = tensor;
    return error_of([&] { network_of(small_description, parameters); });
  };
  CHECK(error_with("bn1.bias", random_tensor({4})) == "steps.txt:3: bn1.bias must be 3, got 4 in weights");
  CHECK(error_with("conv1.weight", random_tensor({3, 2, 3, 3})) ==
        "steps.txt:2: conv1.weight must be any x 1 x any x any, got 3 x 2 x 3 x 3 in weights");
  CHECK(error_with("linear.bias", random_tensor({4})) == "steps.txt:6: linear.bias must be 5, got 4 in weights");
  CHECK(error_with("bn1.weight", constant_tensor({3}, std::numeric_limits<float>::infinity())) ==
        "steps.txt:3: bn1.weight must be finite, got NaN or infinity in weights");
  CHECK(error_with("bn1.running_var", constant_tensor({3}, -1)) ==
        "steps.txt:3: bn1.running_var must be 0 or more, got -1.000000 in weights");
  Parameters parameters = small_parameters(3, 5);
  parameters.erase("bn1.bias");
  CHECK(error_of([&] { network_of(small_description, parameters); }) ==
        "steps.txt:3: weights has no parameter bn1.bias");
  CHECK(error_of([&] { read_network(data + "/no such folder"); }).find("there is no such folder") != std::string::npos);
  CHECK(error_of([&] { read_images(data + "/test_labels.npy"); }).find("must hold images x channels") !=
        std::string::npos);
}

TEST_CASE("network: maps that do not fit a step are refused with its line", "[network]") {
  const std::string begin = "input channels 1 means 0 deviations 1\n";
  const Parameters parameters = {{"conv.weight", random_tensor({2, 1, 3, 3})},
                                 {"linear.weight", random_tensor({5, 2})}};
  const auto error_after = [&](const std::string& steps) {
    return error_of([&] { logits(network_of(begin + steps, parameters), random_images({1, 1, 4, 5})); });
  };
  CHECK(error_after("convolution conv\nlinear linear\n") ==
        "steps.txt:3: linear needs maps of 2 channels and 1 x 1 pixels, got 2 channels of 2 x 3 pixels");
  CHECK(
      error_after("max_pool size 2\nconvolution conv\n").find("steps.txt:3: qaf::output_size: a kernel over 3 rows") ==
      0);
  CHECK(error_after("flatten\nlinear linear\n") ==
        "steps.txt:3: linear needs maps of 2 channels and 1 x 1 pixels, got 20 channels of 1 x 1 pixels");
  CHECK(error_after("save a\nconvolution conv\nadd a\n") ==
        "steps.txt:4: add with stride 1 needs maps that fit, got 1 channels of 4 x 5 pixels for 2 channels of 2 x 3 "
        "pixels");
  CHECK(error_after("relu\n") == "steps.txt: the network must end in 1 x 1 pixels, got 1 channels of 4 x 5 pixels");
}
