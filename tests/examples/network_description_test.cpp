// The text form of a network: what it says, and every way in which it can be wrong.

#include "support/network_description.hpp"

#include <exception>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace {

NetworkDescription parsed(const std::string& text) {
  std::istringstream stream(text);
  return parse_description(stream, "net.txt");
}

std::string error_of(const std::string& text) {
  try {
    parsed(text);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

const std::string input = "input channels 2 means 0.5 0.25 deviations 1 2\n";

}  // namespace

TEST_CASE("description: every step says what it says", "[network_description]") {
  const NetworkDescription description =
      parsed("# a network\n\n" + input +
             "convolution a.b stride 2 padding 3 dilation 4 groups 5  # and a comment\n"
             "batch_norm bn epsilon 1e-3\nrelu\nmax_pool size 3 padding 1\naverage_pool size 2 stride 1\nsave x\n"
             "on x convolution side\nadd x stride 2\nmean_of_pixels\nflatten\nlinear out\n");
  CHECK(description.means == std::vector<float>{0.5F, 0.25F});
  CHECK(description.deviations == std::vector<float>{1, 2});
  const std::vector<Step>& steps = description.steps;
  const std::vector<StepKind> kinds = {StepKind::convolution, StepKind::batch_norm,   StepKind::relu,
                                       StepKind::max_pool,    StepKind::average_pool, StepKind::save,
                                       StepKind::convolution, StepKind::add,          StepKind::mean_of_pixels,
                                       StepKind::flatten,     StepKind::linear};
  REQUIRE(steps.size() == kinds.size());
  for (std::size_t k = 0; k < steps.size(); ++k) {
    CHECK(steps[k].kind == kinds[k]);
    CHECK(steps[k].line == static_cast<int>(k) + 4);
  }
  CHECK(steps[0].name == "a.b");
  CHECK((steps[0].stride == 2 && steps[0].padding == 3 && steps[0].dilation == 4 && steps[0].groups == 5));
  CHECK(steps[1].epsilon == 1e-3);
  CHECK((steps[3].size == 3 && steps[3].stride == 3 && steps[3].padding == 1));
  CHECK((steps[4].size == 2 && steps[4].stride == 1));
  CHECK((steps[6].name == "side" && steps[6].branch == "x" && steps[6].stride == 1 && steps[6].groups == 1));
  CHECK((steps[7].name == "x" && steps[7].branch.empty() && steps[7].stride == 2));
}

TEST_CASE("description: the bundled ones have the layers of their networks", "[network_description]") {
  const auto convolutions = [](const char* file) {
    std::vector<std::string> names;
    for (const Step& step : read_description(std::string(QAF_EXAMPLE_DATA "/") + file).steps)
      if (step.kind == StepKind::convolution) names.push_back(step.name + "/" + std::to_string(step.stride));
    return names;
  };
  CHECK(convolutions("network.txt") ==
        std::vector<std::string>{"conv1/1", "conv2/2", "conv3/1", "conv4/2", "conv5/1", "conv6/1"});
  std::vector<std::string> resnet = {"conv1/1"};
  for (const char* stage : {"1", "2", "3"})
    for (const char* block : {"0", "1", "2"}) {
      const std::string name = std::string("layer") + stage + "." + block;
      resnet.push_back(name + ".conv1/" + (*stage > '1' && *block == '0' ? "2" : "1"));
      resnet.push_back(name + ".conv2/1");
    }
  CHECK(convolutions("resnet20.txt") == resnet);
}

TEST_CASE("description: every refusal is one sentence with file and line", "[network_description]") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "net.txt:1: expected 'input', got the end of the file"},
      {"relu\n", "net.txt:1: expected 'input', which every description begins with, got 'relu'"},
      {"input\n", "net.txt:1: expected 'channels', got the end of the line"},
      {"input channels 0\n", "net.txt:1: channels must be a whole number from 1 to 1000000, got '0'"},
      {"input channels 2 means 0.5 deviations 1 1\n",
       "net.txt:1: each of the 2 means must be a number, got 'deviations'"},
      {"input channels 1 means 0.5 1\n", "net.txt:1: expected 'deviations', got '1'"},
      {"input channels 1 means nan deviations 1\n", "net.txt:1: each of the 1 means must be a number, got 'nan'"},
      {"input channels 1 means 0 deviations 0\n",
       "net.txt:1: each of the 1 deviations must be a number above 0, got '0'"},
      {"input channels 1 means 0 deviations 1e-60\n",
       "net.txt:1: each of the 1 deviations must be a number above 0 in float32, got '1e-60'"},
      {"input channels 1 means 1e39 deviations 1\n",
       "net.txt:1: each of the 1 means must be a number in float32, got '1e39'"},
      {"input channels 1 means 0 deviations 1 2\n", "net.txt:1: expected the end of the line, got '2'"},
      {input, "net.txt:2: expected a step, got the end of the file"},
      {input + "\ndropout\n",
       "net.txt:3: unsupported layer kind 'dropout'; supported are convolution, batch_norm, relu, max_pool, "
       "average_pool, save, add, mean_of_pixels, flatten or linear"},
      {input + "convolution\n", "net.txt:2: expected the name of the convolution, got the end of the line"},
      {input + "convolution a strides 2\n",
       "net.txt:2: convolution takes stride, padding, dilation or groups, got 'strides'"},
      {input + "convolution a stride\n",
       "net.txt:2: stride must be a whole number from 1 to 1000000, got the end of the line"},
      {input + "convolution a stride 0\n", "net.txt:2: stride must be a whole number from 1 to 1000000, got '0'"},
      {input + "convolution a stride 1.5\n", "net.txt:2: stride must be a whole number from 1 to 1000000, got '1.5'"},
      {input + "convolution a padding -1\n", "net.txt:2: padding must be a whole number from 0 to 1000000, got '-1'"},
      {input + "convolution a stride 2 stride 2\n", "net.txt:2: stride is given twice"},
      {input + "batch_norm a epsilon 0\n", "net.txt:2: epsilon must be a number above 0, got '0'"},
      {input + "batch_norm a epsilon 1e-300\n", "net.txt:2: epsilon must be a number above 0 in float32, got '1e-300'"},
      {"input channels 1 means 1e300 deviations 1\n",
       "net.txt:1: each of the 1 means must be a number in float32, got '1e300'"},
      {input + "convolution a stride 2" + std::string(1, '\0') + "3\n",
       "net.txt:2: stride must be a whole number from 1 to 1000000, got '2?3'"},
      {input + "batch_norm a epsilon 1" + std::string(1, '\0') + "\n",
       "net.txt:2: epsilon must be a number above 0, got '1?'"},
      {input + "relu a\n", "net.txt:2: expected the end of the line, got 'a'"},
      {input + "max_pool\n", "net.txt:2: expected the size of the window, got the end of the line"},
      {input + "max_pool size 3 padding 2\n", "net.txt:2: padding must be at most half the size of the window, got 2"},
      {input + "add a\n", "net.txt:2: no step before has saved 'a'"},
      {input + "on a relu\n", "net.txt:2: no step before has saved 'a'"},
      {input + "save a\non a add a\n", "net.txt:3: save and add run on the network's own maps, not on saved ones"},
      {input + "save a\non a\n", "net.txt:3: expected a step, got the end of the line"},
      {input + "on\n", "net.txt:2: expected the name of saved maps, got the end of the line"}};
  for (const auto& [text, sentence] : cases) {
    INFO(text);
    CHECK(error_of(text) == sentence);
  }
  CHECK_THROWS_WITH(read_description("/no/such/file"), "/no/such/file: cannot be opened");
}
