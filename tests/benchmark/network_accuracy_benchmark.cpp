// The top-1 of a network on labelled images, as it is and with convolutions replaced:
//
//   network_accuracy_benchmark [--network NETWORK] [--images IMAGES.npy] [--labels LABELS.npy] [--replace DIR]
//
// DIR holds files LAYER.weight.npy, O x I x 3 x 3 or O x I x 9, of float32; all else in the network stays.
// Agreement: the part of the images to which the unchanged network gives the same class.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <qaf/io/npy.hpp>

#include "support/arguments.hpp"
#include "support/network.hpp"
#include "support/table.hpp"

namespace {

using Labels = std::vector<qaf::Index>;

Labels read_labels(const std::string& path, qaf::Index images) {
  const auto labels = qaf::read_npy<std::int64_t>(path);
  if (labels.dimensions() != std::vector<qaf::Index>{images})
    throw std::runtime_error(path + ": must hold a label for each of the " + std::to_string(images) + " images, got " +
                             qaf::detail::shape_text(labels.dimensions()));
  return Labels(labels.data(), labels.data() + labels.size());
}

/// How many convolutions were replaced by files of the folder.
int replace_convolutions(Network& network, const std::string& folder) {
  if (!std::filesystem::is_directory(folder)) throw std::runtime_error(folder + ": is no folder");
  const std::string ending = ".weight.npy";
  int replaced = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    const std::string name = file.path().filename().string();
    const std::size_t length = name.size() - std::min(name.size(), ending.size());
    if (name.substr(length) != ending) continue;
    replace_convolution(network, name.substr(0, length), qaf::read_npy<float>(file.path().string()));
    ++replaced;
  }
  if (replaced == 0) throw std::runtime_error(folder + ": has no files LAYER.weight.npy");
  return replaced;
}

qaf::Index count_equal(const Labels& one, const Labels& other) {
  qaf::Index count = 0;
  for (std::size_t k = 0; k < one.size(); ++k) count += one[k] == other[k] ? 1 : 0;
  return count;
}

struct Run {
  Labels classes;
  double seconds;
};

Run classify(const Network& network, const qaf::DenseTensor<std::uint8_t>& images) {
  const auto start = std::chrono::steady_clock::now();
  const Labels classes = classes_of(logits(network, images));
  return {classes, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
}

std::vector<std::string> row(const std::string& name, const Run& run, const Labels& labels, const Labels& unchanged) {
  const auto percent = [&](qaf::Index count) {
    return fixed(100 * static_cast<double>(count) / static_cast<double>(labels.size()), 2);
  };
  const qaf::Index right = count_equal(run.classes, labels);
  return {name, std::to_string(right), percent(right), percent(count_equal(run.classes, unchanged)),
          fixed(run.seconds, 2)};
}

void measure(const Arguments& arguments) {
  const std::string network_path = arguments.text("--network", QAF_EXAMPLE_DATA "/network");
  Network network = read_network(network_path);
  const auto images = read_images(arguments.text("--images", QAF_EXAMPLE_DATA "/test_images.npy"));
  const Labels labels =
      read_labels(arguments.text("--labels", QAF_EXAMPLE_DATA "/test_labels.npy"), images.dimensions()[0]);

  Table table({"weights", "right", "top-1 (%)", "agreement (%)", "seconds"});
  const Run unchanged = classify(network, images);
  table.add(row("as they are", unchanged, labels, unchanged.classes));
  if (arguments.has("--replace")) {
    const int replaced = replace_convolutions(network, arguments.text("--replace", ""));
    const Run run = classify(network, images);
    table.add(row(std::to_string(replaced) + " replaced", run, labels, unchanged.classes));
  }
  std::printf("%s on %td images\n\n", network_path.c_str(), images.dimensions()[0]);
  table.print();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Arguments arguments(
        argc, argv,
        {{"--network", "NETWORK", "a folder of .npy or a safetensors file (default: bundled)"},
         {"--images", "IMAGES.npy", "uint8, images x channels x rows x columns (default: bundled)"},
         {"--labels", "LABELS.npy", "integers, one an image (default: bundled)"},
         {"--replace", "DIR", "convolutions that take the place of the network's"}},
        0);
    if (arguments.has("--help"))
      std::printf("usage: network_accuracy_benchmark [options]\n%s", arguments.help().c_str());
    else
      measure(arguments);
    return 0;
  } catch (const UsageError& error) {
    std::fprintf(stderr, "network_accuracy_benchmark: %s; --help lists the options\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "network_accuracy_benchmark: %s\n", error.what());
    return 1;
  }
}
