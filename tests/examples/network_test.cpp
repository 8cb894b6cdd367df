// The inference that the examples and benchmarks share: its layers against direct loops, the bundled
// network against the figure in its README.

#include "support/network.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <qaf/io/npy.hpp>

#include "support/catch.hpp"

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

FeatureMaps random_maps(Index images, Index channels, Index rows, Index columns) {
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

float value_at(const FeatureMaps& maps, Index image, Index channel, Index row, Index column) {
  if (row < 0 || row >= maps.rows || column < 0 || column >= maps.columns) return 0;
  return maps.values(channel, (image * maps.rows + row) * maps.columns + column);
}

/// The convolution's definition in examples/data/README.md.
float convolved_at(const FeatureMaps& input, const qaf::DenseTensor<float>& weights, Index stride, Index image,
                   Index output, Index row, Index column) {
  const Index inputs = weights.dimensions()[1];
  float sum = 0;
  for (Index c = 0; c < inputs; ++c)
    for (Index u = 0; u < 3; ++u)
      for (Index v = 0; v < 3; ++v)
        sum += weights.data()[((output * inputs + c) * 3 + u) * 3 + v] *
               value_at(input, image, c, stride * row + u - 1, stride * column + v - 1);
  return sum;
}

/// A chain of one convolution, 1 channel to `outputs`, whose batch norm changes nothing (but for its epsilon).
Network small_network(Index outputs, Index classes) {
  Network network;
  network.means = {0.5F};
  network.deviations = {0.2F};
  network.parameters["conv1.weight"] = random_tensor({outputs, 1, 3, 3});
  network.parameters["bn1.weight"] = constant_tensor({outputs}, 1);
  network.parameters["bn1.bias"] = constant_tensor({outputs}, 0);
  network.parameters["bn1.running_mean"] = constant_tensor({outputs}, 0);
  network.parameters["bn1.running_var"] = constant_tensor({outputs}, 1);
  network.parameters["linear.weight"] = random_tensor({classes, outputs});
  network.parameters["linear.bias"] = random_tensor({classes});
  return network;
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

TEST_CASE("network: patches times kernels are the convolution", "[network]") {
  for (const Index stride : {1, 2})
    for (const auto& [rows, columns] : {std::pair<Index, Index>{5, 7}, {6, 4}, {1, 1}}) {
      INFO("stride " << stride << ", " << rows << " x " << columns);
      const FeatureMaps input = random_maps(2, 3, rows, columns);
      const auto weights = random_tensor({4, 3, 3, 3});
      const Eigen::MatrixXf output = kernel_matrix(weights) * patches_of(input, stride);
      const Index output_rows = (rows + stride - 1) / stride, output_columns = (columns + stride - 1) / stride;
      REQUIRE(output.cols() == 2 * output_rows * output_columns);
      for (Index o = 0; o < 4; ++o)
        for (Index pixel = 0; pixel < output.cols(); ++pixel) {
          const Index image = pixel / (output_rows * output_columns), column = pixel % output_columns;
          const Index row = pixel / output_columns % output_rows;
          CHECK(output(o, pixel) ==
                Approx(convolved_at(input, weights, stride, image, o, row, column)).epsilon(1e-5).margin(1e-5));
        }
    }
}

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
    FeatureMaps input{1, 4, 5, Eigen::MatrixXf(1, 20)};
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

TEST_CASE("network: a residual block adds every second pixel to the channels in the middle", "[network]") {
  // Convolutions of zeros: what comes out of the block is its shortcut.
  Network network = small_network(4, 8);
  network.is_residual = true;
  network.parameters["linear.weight"] = constant_tensor({8, 8}, 0);
  for (Index k = 0; k < 8; ++k) network.parameters["linear.weight"].data()[9 * k] = 1;
  network.parameters["linear.bias"] = constant_tensor({8}, 0);
  network.parameters["layer1.0.conv1.weight"] = constant_tensor({8, 4, 3, 3}, 0);
  network.parameters["layer1.0.conv2.weight"] = constant_tensor({8, 8, 3, 3}, 0);
  for (const char* norm : {"layer1.0.bn1", "layer1.0.bn2"}) {
    const std::string name = norm;
    for (const char* zero : {".bias", ".running_mean"}) network.parameters[name + zero] = constant_tensor({8}, 0);
    for (const char* one : {".weight", ".running_var"}) network.parameters[name + one] = constant_tensor({8}, 1);
  }
  const auto images = random_images({1, 1, 5, 6});
  const Eigen::MatrixXf result = logits(network, images);

  const FeatureMaps input = network_input(network, images, 0, 1);
  for (Index channel = 0; channel < 4; ++channel) {
    float mean = 0;
    for (const Index row : {0, 2, 4})
      for (const Index column : {0, 2, 4})
        mean +=
            std::max(0.0F, convolved_at(input, network.parameters.at("conv1.weight"), 1, 0, channel, row, column)) / 9;
    CHECK(result(channel + 2, 0) == Approx(mean).epsilon(1e-4));
  }
  for (const Index channel : {0, 1, 6, 7}) CHECK(result(channel, 0) == 0);
}

TEST_CASE("network: the second moments are the sums over images, pixels and positions", "[network]") {
  const Index channels = 3;
  const FeatureMaps input = random_maps(2, channels, 4, 3);
  SecondMoments moments;
  add_patches(moments, patches_of({1, 4, 3, input.values.leftCols(12)}, 2));  // one image at a time
  add_patches(moments, patches_of({1, 4, 3, input.values.rightCols(12)}, 2));

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
  const std::vector<Index> classes = classes_of(logits(network, read_images(data + "/test_images.npy"),
                                                       [&](const std::string& name, const Eigen::MatrixXf& patches) {
                                                         patches_seen[name] += patches.cols();
                                                         channels_seen[name] = patches.rows() / 9;
                                                       }));
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
  replace_convolution(network, "conv1", with_storage_order(weights, qaf::StorageOrder::column_major));
  CHECK(logits(network, images) == logits(expected, images));
  network = small_network(3, 5);
  weights.reshape({3, 1, 9});
  replace_convolution(network, "conv1", weights);
  CHECK(logits(network, images) == logits(expected, images));
}

TEST_CASE("network: what does not fit is refused with a sentence", "[network]") {
  Network network = small_network(3, 5);
  const auto images = random_images({2, 1, 6, 6});
  CHECK(error_of([&] {
          replace_convolution(network, "conv2", random_tensor({3, 1, 3, 3}));
        }) == "the network has no 3 x 3 convolution conv2");
  CHECK(error_of([&] {
          replace_convolution(network, "linear", random_tensor({5, 3}));
        }) == "the network has no 3 x 3 convolution linear");
  CHECK(error_of([&] {
          replace_convolution(network, "conv1", random_tensor({3, 9}));
        }) == "the weights of conv1 must be 3 x 1 x 3 x 3, its last two sizes may be one, got 3 x 9");
  CHECK(error_of([&] {
          logits(network, random_images({2, 3, 6, 6}));
        }) == "the network needs images of 1 channels, got images of 2 x 3 x 6 x 6");
  network.parameters["bn1.bias"] = random_tensor({4});
  CHECK(error_of([&] { logits(network, images); }) == "the network's parameter bn1.bias must be 3 (-1: any), got 4");
  network.parameters.erase("bn1.bias");
  CHECK(error_of([&] { logits(network, images); }) == "the network has no parameter bn1.bias");
  CHECK(error_of([&] { read_network(data + "/no such folder"); }).find("there is no such folder") != std::string::npos);
  CHECK(error_of([&] { read_network(data); }).find("is none of the networks known here") != std::string::npos);
  CHECK(error_of([&] { read_images(data + "/test_labels.npy"); }).find("must hold images x channels") !=
        std::string::npos);
}
