// The top-1 of a network on labelled images, as it is and with its convolutions factored and quantized:
//
//   network_accuracy_benchmark [--network NETWORK] [--description FILE] [--images IMAGES.npy] [--labels LABELS.npy]
//                              [--calibration IMAGES.npy] [--bits LIST] [--reductions LIST] [--seeds N] [--effort E]
//                              [--replace DIR]
//
// All convolutions but the first are compressed by these methods:
//
//   CP-ALS, then quantized   one scale per tensor
//   paper                    the AO-ADMM of Cherniuk et al. 2023 from CP-ALS, one scale per tensor
//   weights quantized        not factored: rounded, one scale an output channel, in as many bits as the factors take
//   qaf                      cp_admm as it comes
//   qaf, weighted            the same, errors weighed by the second moments of the layers' inputs over the calibration
//                            images
//
// DIR holds files LAYER.weight.npy, O x I x kh x kw or O x I x (kh kw), of float32, that are measured too.
// Agreement: the part of the images to which the unchanged network gives the same class. "bn": with the statistics of
// batch norms moved as the calibration images say; "8 bits": and the compressed layers run on integers, with 8-bit
// activations. All else stays as it is.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <qaf/io/npy.hpp>

#include "support/arguments.hpp"
#include "support/batch_norm_statistics.hpp"
#include "support/effort.hpp"
#include "support/inference.hpp"
#include "support/integer_activations.hpp"
#include "support/network_methods.hpp"
#include "support/program.hpp"
#include "support/second_moments.hpp"
#include "support/table.hpp"

namespace {

using Images = qaf::DenseTensor<std::uint8_t>;
using Labels = std::vector<qaf::Index>;

/// How many layers were replaced by files of the folder.
int replace_layers(Network& network, const std::string& folder) {
  if (!std::filesystem::is_directory(folder)) throw std::runtime_error(folder + ": is no folder");
  const std::string ending = ".weight.npy";
  int replaced = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    const std::string name = file.path().filename().string();
    const std::size_t length = name.size() - std::min(name.size(), ending.size());
    if (name.substr(length) != ending) continue;
    replace_weights(network, name.substr(0, length), qaf::read_npy<float>(file.path().string()));
    ++replaced;
  }
  if (replaced == 0) throw std::runtime_error(folder + ": has no files LAYER.weight.npy");
  return replaced;
}

/// What is measured, and with what.
struct Experiment {
  Network network;
  Images images, calibration;
  Labels labels;
  Labels unchanged;  ///< the classes that the unchanged network gives
  std::map<std::string, SecondMoments> moments;
  std::map<std::string, ChannelStatistics> batch_norms;  ///< of the unchanged network
  int seeds;
  qaf::Effort effort;
};

/// Of one network, in percent; sums over some runs.
struct Accuracy {
  double top_1 = 0, agreement = 0;
};

/// As it is, with its batch norms moved, and then with 8-bit activations.
struct Accuracies {
  Accuracy plain, moved, integer;
  bool has_integer = false;
};

void add_accuracy(const Experiment& experiment, const Network& network, const InferenceHooks& hooks, Accuracy& sum) {
  const Labels classes = classes_of(logits(network, experiment.images, hooks));
  sum.top_1 += percent_equal(classes, experiment.labels);
  sum.agreement += percent_equal(classes, experiment.unchanged);
}

void add_accuracies(const Experiment& experiment, CompressedNetwork compressed, Accuracies& sums) {
  add_accuracy(experiment, compressed.network, {}, sums.plain);
  match_batch_norms(compressed.network, experiment.batch_norms, experiment.calibration);
  add_accuracy(experiment, compressed.network, {}, sums.moved);
  if (compressed.models.empty()) return;
  sums.has_integer = true;
  add_accuracy(experiment, compressed.network,
               integer_inference(compressed.network, compressed.models, experiment.calibration), sums.integer);
}

std::vector<std::string> row(const std::string& bits, const std::string& reduction, const std::string& name,
                             const std::string& bits_per_weight, const Accuracies& sums, int runs, double seconds) {
  const auto mean = [&](double sum) { return fixed(sum / runs, 2); };
  const auto integer = [&](double sum) { return sums.has_integer ? mean(sum) : "-"; };
  return {name,
          bits,
          reduction,
          bits_per_weight,
          mean(sums.plain.top_1),
          mean(sums.plain.agreement),
          mean(sums.moved.top_1),
          mean(sums.moved.agreement),
          integer(sums.integer.top_1),
          integer(sums.integer.agreement),
          fixed(seconds / runs, 1)};
}

void measure_methods(const Experiment& experiment, int bits, double reduction, Table& table) {
  for (const NetworkMethod& method : network_methods()) {
    Accuracies sums;
    double seconds = 0, bits_per_weight = 0;
    for (int seed = 0; seed < experiment.seeds; ++seed) {
      const auto start = std::chrono::steady_clock::now();
      CompressedNetwork compressed =
          compress_network(experiment.network, method, experiment.moments,
                           {bits, reduction, static_cast<std::uint64_t>(seed), experiment.effort});
      seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      bits_per_weight = compressed.bits_per_weight;
      add_accuracies(experiment, std::move(compressed), sums);
    }
    table.add(row(std::to_string(bits), fixed(reduction, 1), method.name, fixed(bits_per_weight, 2), sums,
                  experiment.seeds, seconds));
  }
}

void measure(const Arguments& arguments) {
  Experiment experiment;
  experiment.network =
      read_network(arguments.text("--network", QAF_EXAMPLE_DATA "/network"), arguments.text("--description", ""));
  experiment.images = read_images(arguments.text("--images", QAF_EXAMPLE_DATA "/test_images.npy"));
  const qaf::Index count = experiment.images.dimensions()[0];
  experiment.labels = read_labels(arguments.text("--labels", QAF_EXAMPLE_DATA "/test_labels.npy"), count);
  experiment.calibration = read_images(arguments.text("--calibration", QAF_EXAMPLE_DATA "/calibration_images.npy"));
  const std::vector<double> all_bits = arguments.numbers("--bits", 2, 8, "4");
  const std::vector<double> reductions = arguments.numbers("--reductions", 1, 1000, "2");
  for (const double bits : all_bits)
    if (bits != std::floor(bits)) throw UsageError("--bits must be a list of whole numbers");
  experiment.seeds = static_cast<int>(arguments.whole_number("--seeds", 1, 1000, 1));
  experiment.effort = read_effort(arguments);

  Table table({"weights", "bits", "reduction", "bits a weight", "top-1 (%)", "agreement (%)", "bn: top-1", "agreement",
               "8 bits: top-1", "agreement", "seconds"});
  experiment.unchanged = classes_of(logits(experiment.network, experiment.images));
  experiment.moments = second_moments(experiment.network, experiment.calibration);
  experiment.batch_norms = batch_norm_inputs(experiment.network, experiment.calibration);
  Accuracies as_they_are;
  add_accuracies(experiment, {experiment.network, {}, 0}, as_they_are);
  table.add(row("32", "1", "as they are", "32", as_they_are, 1, 0));
  for (const double bits : all_bits)
    for (const double reduction : reductions) measure_methods(experiment, static_cast<int>(bits), reduction, table);
  if (arguments.has("--replace")) {
    CompressedNetwork other{experiment.network, {}, 0};
    const int replaced = replace_layers(other.network, arguments.text("--replace", ""));
    Accuracies sums;
    add_accuracies(experiment, std::move(other), sums);
    table.add(row("", "", std::to_string(replaced) + " replaced", "", sums, 1, 0));
  }
  std::printf("%s on %td images, %td calibration images, means of %d seeds\n\n", experiment.network.path.c_str(), count,
              experiment.calibration.dimensions()[0], experiment.seeds);
  table.print();
}

}  // namespace

int main(int argc, char** argv) {
  const Program program{
      "network_accuracy_benchmark",
      "usage: network_accuracy_benchmark [options]\n",
      {{"--network", "NETWORK", "a folder of .npy or a safetensors file (default: bundled)"},
       {"--description", "FILE", "its steps (default: the bundled network's or the ResNet-20's)"},
       {"--images", "IMAGES.npy", "uint8, images x channels x rows x columns (default: bundled)"},
       {"--labels", "LABELS.npy", "integers, one an image (default: bundled)"},
       {"--calibration", "IMAGES.npy", "as the images, for the weights of errors and batch norms (default: bundled)"},
       {"--bits", "LIST", "of a code, 2 to 8, such as 4,6,8 (default 4)"},
       {"--reductions", "LIST", "parameters of a layer to those of its factors (default 2)"},
       {"--seeds", "N", "random starts to average over (default 1)"},
       {"--effort", "E", "of qaf: quick, normal or thorough (default normal)"},
       {"--replace", "DIR", "layers to measure in the place of the network's"}}};
  return run_program(program, argc, argv, measure);
}
