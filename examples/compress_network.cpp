// A network in; its layers as integer codes, scales and weights out, with a table and a report of what that does to its
// accuracy. `compress_network --help` lists the options.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <qaf/io/model_file.hpp>
#include <qaf/plan/plan_text.hpp>

#include "support/arguments.hpp"
#include "support/batch_norm_statistics.hpp"
#include "support/effort.hpp"
#include "support/finished_layers.hpp"
#include "support/inference.hpp"
#include "support/integer_activations.hpp"
#include "support/interruption.hpp"
#include "support/layer_compression.hpp"
#include "support/network_plan.hpp"
#include "support/network_report.hpp"
#include "support/parallel_jobs.hpp"
#include "support/program.hpp"
#include "support/second_moments.hpp"
#include "support/table.hpp"

namespace {

const char* const usage =
    "usage: compress_network [options]\n"
    "Factors the layers of a network into integer codes, scales and weights, and measures what that does to its\n"
    "accuracy. Without options: the bundled network. What is finished stays: the same command goes on from there.\n"
    "In the output folder: layer.NAME.safetensors (codes of a layer), plan.txt (rank and bits of each), report.html,\n"
    "and model.safetensors (all codes, and the parameters that were not replaced).\n";

using Images = qaf::DenseTensor<std::uint8_t>;

struct Settings {
  std::string network, description, layers, plan, output;
  std::string calibration, images, labels;  // paths; empty for none
  int bits = 0;
  double reduction = 2;
  std::optional<Budget> budget;
  LayerSettings layer;
  std::string effort;
  bool moves_batch_norms = true;
  std::size_t jobs = 1;
};

// What was read.
struct Input {
  Network network;
  std::optional<Images> calibration, images;
  std::vector<qaf::Index> labels;
};

void forbid_together(const Arguments& arguments, const std::vector<std::string>& options) {
  std::string given;
  for (const std::string& option : options) {
    if (!arguments.has(option)) continue;
    if (!given.empty()) throw UsageError(given + " and " + option + " exclude each other");
    given = option;
  }
}

void read_quantizer(const Arguments& arguments, Settings& settings) {
  settings.layer.quantizer = arguments.text("--quantizer", "uniform");
  const int bits = static_cast<int>(arguments.whole_number("--bits", 1, 16, 0));
  try {
    settings.bits = qaf::make_quantizer(settings.layer.quantizer, bits).code_bits();
  } catch (const std::invalid_argument& error) {
    throw UsageError("--quantizer or --bits is wrong: " + std::string(error.what()));
  }
}

Settings read_settings(const Arguments& arguments) {
  for (const char* option :
       {"--network", "--description", "--layers", "--plan", "--output", "--calibration", "--images", "--labels"})
    if (arguments.has(option) && arguments.text(option, "").empty())
      throw UsageError(std::string(option) + " must not be empty");
  Settings settings;
  const bool is_bundled = !arguments.has("--network");
  const auto bundled = [&](const char* file) { return is_bundled ? QAF_EXAMPLE_DATA + std::string(file) : ""; };
  settings.network = arguments.text("--network", bundled("/network"));
  settings.description = arguments.text("--description", "");
  settings.calibration = arguments.text("--calibration", bundled("/calibration_images.npy"));
  if (settings.calibration == "none") settings.calibration = "";
  if (arguments.has("--images") != arguments.has("--labels"))
    throw UsageError("--images and --labels belong together, got one of them");
  settings.images = arguments.text("--images", bundled("/test_images.npy"));
  settings.labels = arguments.text("--labels", bundled("/test_labels.npy"));
  settings.layers = arguments.text("--layers", "");
  settings.plan = arguments.text("--plan", "");
  forbid_together(arguments, {"--plan", "--layers"});
  forbid_together(arguments, {"--plan", "--budget", "--bops", "--bits"});
  forbid_together(arguments, {"--plan", "--budget", "--bops", "--reduction"});
  read_quantizer(arguments, settings);
  settings.reduction = arguments.number("--reduction", 0.01, 1000, 2);
  if (arguments.has("--budget")) settings.budget = {qaf::Measure::bits, arguments.number("--budget", 0.01, 32, 0)};
  if (arguments.has("--bops")) settings.budget = {qaf::Measure::bops, arguments.number("--bops", 1, 1e30, 0)};
  settings.layer.effort = read_effort(arguments);
  settings.effort = arguments.text("--effort", "normal");
  settings.layer.seed = static_cast<std::uint64_t>(arguments.whole_number("--seed", 0, 9223372036854775807LL, 0));
  settings.moves_batch_norms = arguments.choice("--batch-norms", {"move", "keep"}) == 0;
  const long long cores = std::max(1U, std::thread::hardware_concurrency());
  settings.jobs = static_cast<std::size_t>(arguments.whole_number("--jobs", 1, 1024, cores));
  settings.output = arguments.text("--output", "compressed_network");
  return settings;
}

// Throws for a label that is no class of the network, which has as many as one image's outputs.
void check_labels(const Settings& settings, const Input& input) {
  const std::vector<qaf::Index>& sizes = input.images->dimensions();
  Images image({1, sizes[1], sizes[2], sizes[3]}, qaf::StorageOrder::row_major);
  std::copy_n(input.images->data(), image.size(), image.data());
  const qaf::Index classes = logits(input.network, image).rows();
  const qaf::Index most = *std::max_element(input.labels.begin(), input.labels.end());
  if (most >= classes)
    throw std::runtime_error(settings.labels + ": labels must be from 0 to " + std::to_string(classes - 1) +
                             ", the classes of the network, got " + std::to_string(most));
}

Input read_input(const Settings& settings) {
  Input input{read_network(settings.network, settings.description), {}, {}, {}};
  // Everything that is written takes UTF-8.
  for (const auto& [name, tensor] : input.network.parameters)
    if (!qaf::detail::is_utf8(name))
      throw std::runtime_error(settings.network + ": the parameter '" + qaf::detail::printable(name) +
                               "' must have a name in UTF-8");
  if (!settings.calibration.empty()) input.calibration = read_images(settings.calibration);
  if (input.calibration && settings.moves_batch_norms) batch_norms::check_not_shared(input.network);
  if (!settings.images.empty()) {
    input.images = read_images(settings.images);
    input.labels = read_labels(settings.labels, input.images->dimensions()[0]);
  }
  return input;
}

// All convolutions but the first, whose few input channels leave hardly anything to factor, or those asked for.
std::vector<std::string> layer_names(const Settings& settings, const Arguments& arguments, const Network& network) {
  std::vector<std::string> names;
  if (settings.layers.empty()) {
    names = convolution_names(network);
    if (names.size() > 1) names.erase(names.begin());
  } else if (settings.layers == "all") {
    for (const Step& step : network.description.steps)
      if (is_factorable(step) && std::find(names.begin(), names.end(), step.name) == names.end())
        names.push_back(step.name);
  } else {
    names = arguments.list("--layers", "");
    for (const std::string& name : names) factorable_step(network, name);
  }
  if (names.empty()) throw std::runtime_error(network.description.path + ": the network has no layers to factor");
  return names;
}

// The images whose size tells what the layers compute; null for none.
const Images* plan_images(const Input& input) {
  return input.calibration ? &*input.calibration : input.images ? &*input.images : nullptr;
}

// All that the codes depend on.
FinishedLayers::Json settings_json(const Settings& settings, const Input& input,
                                   const std::vector<std::string>& names) {
  Fingerprint parameters, steps, calibration;
  for (const auto& [name, tensor] : input.network.parameters) {
    parameters.add(name);
    parameters.add(tensor);
  }
  for (const Step& step : input.network.description.steps) {
    steps.add(step.branch + " " + step.name);
    const qaf::Index numbers[] = {
        static_cast<qaf::Index>(step.kind), step.size, step.stride, step.padding, step.dilation, step.groups};
    steps.add(numbers, sizeof numbers);
    steps.add(&step.epsilon, sizeof step.epsilon);
  }
  for (const std::vector<float>* numbers : {&input.network.description.means, &input.network.description.deviations})
    steps.add(numbers->data(), numbers->size() * sizeof(float));
  if (input.calibration) calibration.add(*input.calibration);
  FinishedLayers::Json json = {{"network", parameters.text()},
                               {"description", steps.text()},
                               {"calibration", input.calibration ? calibration.text() : "none"},
                               {"layers", names},
                               {"quantizer", settings.layer.quantizer},
                               {"effort", settings.effort},
                               {"seed", settings.layer.seed}};
  if (settings.budget) {
    json[std::string("budget of ") + to_string(settings.budget->measure)] = settings.budget->amount;
    const Images* const images = plan_images(input);
    if (settings.budget->measure == qaf::Measure::bops && images != nullptr)
      json["pixels of an image"] = {images->dimensions()[2], images->dimensions()[3]};
  } else if (settings.plan.empty()) {
    json["bits"] = settings.bits;
    json["reduction"] = settings.reduction;
  }
  return json;
}

double work_of(const qaf::PlannedLayer& planned) {
  const double rank = static_cast<double>(planned.rank);
  return 1e4 + qaf::original_cost(planned.layer).parameters * rank + rank * rank * rank;
}

// Compresses the layers that are not finished yet, the longest first.
void run_layers(const Settings& settings, const Network& network, const std::map<std::string, SecondMoments>& moments,
                const qaf::Plan& plan, const FinishedLayers& finished) {
  std::vector<const qaf::PlannedLayer*> open;
  for (const qaf::PlannedLayer& planned : plan.layers)
    if (!finished.has_layer(planned.layer.name)) open.push_back(&planned);
  std::stable_sort(open.begin(), open.end(),
                   [](const auto* one, const auto* other) { return work_of(*one) > work_of(*other); });
  std::vector<double> work;
  for (const qaf::PlannedLayer* planned : open) work.push_back(work_of(*planned));
  try {
    JobsProgress progress("compressing", work);
    run_parallel(open.size(), settings.jobs, [&](std::size_t k) {
      layer_compression::Watch::check();
      const std::string& name = open[k]->layer.name;
      const qaf::DenseTensor<float> weights = factored_weights(network, name);
      const auto found = moments.find(name);
      const auto metrics =
          found == moments.end() ? std::vector<Eigen::MatrixXd>() : error_metrics(found->second, weights.order());
      finished.write(name,
                     compress_layer(*open[k], weights, metrics, settings.layer,
                                    [&](double part) { progress.update(k, std::min(part, 0.999)); }),
                     network.parameters.at(name + ".weight").dimensions());
      progress.update(k, 1);
    });
    layer_compression::Watch::check();
  } catch (const Interrupted&) {
    const auto count = std::count_if(plan.layers.begin(), plan.layers.end(), [&](const qaf::PlannedLayer& planned) {
      return finished.has_layer(planned.layer.name);
    });
    throw std::runtime_error("interrupted; " + std::to_string(count) + " of " + std::to_string(plan.layers.size()) +
                             " layers are finished in " + finished.path() + ", the same command goes on from there");
  }
}

std::vector<ReportedLayer> read_layers(const qaf::Plan& plan, const FinishedLayers& finished) {
  std::vector<ReportedLayer> layers;
  for (const qaf::PlannedLayer& planned : plan.layers) layers.push_back({planned, finished.read(planned)});
  return layers;
}

Network with_compressed_layers(const Network& network, const std::vector<ReportedLayer>& layers) {
  Network result = network;
  for (const ReportedLayer& layer : layers) {
    const std::string& name = layer.planned.layer.name;
    replace_weights(result, name, decoded_weights(layer.compressed.model, factored_weights(network, name)));
  }
  return result;
}

// Whether the codes are integers of 8 bits, with scales that integer arithmetic can carry.
bool runs_on_integers(const Settings& settings, const std::vector<ReportedLayer>& layers) {
  const std::string& quantizer = settings.layer.quantizer;
  const auto is_original = [](const ReportedLayer& layer) { return layer.planned.form == qaf::Form::original; };
  return !std::all_of(layers.begin(), layers.end(), is_original) &&
         (quantizer == "uniform" || quantizer == "affine" || quantizer == "ternary" || quantizer == "binary") &&
         std::all_of(layers.begin(), layers.end(),
                     [&](const ReportedLayer& layer) { return is_original(layer) || layer.planned.bits <= 8; });
}

// Measures the network as it was and compressed; moves the batch norms of the latter.
std::vector<AccuracyRow> measure(const Settings& settings, const Input& input, const std::vector<ReportedLayer>& layers,
                                 Network& compressed) {
  std::vector<AccuracyRow> rows;
  std::vector<qaf::Index> unchanged;
  const auto add = [&](const char* name, const Network& network, const InferenceHooks& hooks) {
    const std::vector<qaf::Index> classes = classes_of(logits(network, *input.images, hooks));
    if (unchanged.empty()) unchanged = classes;
    rows.push_back({name, percent_equal(classes, input.labels), percent_equal(classes, unchanged)});
  };
  if (input.images) add("as it was", input.network, {});
  if (input.images) add("compressed", compressed, {});
  if (settings.moves_batch_norms && input.calibration) {
    match_batch_norms(compressed, batch_norm_inputs(input.network, *input.calibration), *input.calibration);
    if (input.images) add("compressed, batch norms moved", compressed, {});
  }
  if (input.images && input.calibration && runs_on_integers(settings, layers)) {
    std::map<std::string, LayerModel> models;
    for (const ReportedLayer& layer : layers)
      if (!layer.compressed.model.factors.empty()) models[layer.planned.layer.name] = layer.compressed.model;
    add("the same on 8-bit activations", compressed, integer_inference(compressed, models, *input.calibration));
  }
  return rows;
}

// All models, under the names of their layers, and every parameter that was not replaced.
void write_network(const std::string& path, const Network& compressed, const std::vector<ReportedLayer>& layers) {
  qaf::ModelFile file;
  std::vector<std::string> replaced;
  for (const ReportedLayer& layer : layers) {
    if (layer.compressed.model.factors.empty()) continue;
    replaced.push_back(layer.planned.layer.name + ".weight");
    add_layer_model(file, layer.planned.layer.name + ".", layer.compressed.model,
                    compressed.parameters.at(replaced.back()).dimensions());
  }
  for (const auto& [name, tensor] : compressed.parameters)
    if (std::find(replaced.begin(), replaced.end(), name) == replaced.end()) file.tensors.emplace_back(name, tensor);
  write_model_file(path, file);
}

std::vector<std::pair<std::string, std::string>> settings_rows(const Settings& settings, const Input& input) {
  const auto or_none = [](const std::string& text) { return text.empty() ? "none" : text; };
  std::vector<std::pair<std::string, std::string>> rows = {{"network", settings.network},
                                                           {"description", input.network.description.path},
                                                           {"calibration images", or_none(settings.calibration)},
                                                           {"images", or_none(settings.images)},
                                                           {"quantizer", settings.layer.quantizer},
                                                           {"effort", settings.effort},
                                                           {"seed", std::to_string(settings.layer.seed)}};
  if (settings.budget)
    rows.emplace_back(std::string("budget of ") + to_string(settings.budget->measure),
                      svg::number(settings.budget->amount, "%g"));
  else if (!settings.plan.empty())
    rows.emplace_back("plan", settings.plan);
  else
    rows.insert(rows.end(),
                {{"bits", std::to_string(settings.bits)}, {"reduction", svg::number(settings.reduction, "%g")}});
  return rows;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text.empty() ? "none" : text;
}

void print_tables(const NetworkReport& report) {
  Table layers(
      {"layer", "form", "rank", "bits", "KiB before", "KiB", "error of weights", "error of outputs", "seconds"});
  double seconds = 0;
  for (const ReportedLayer& layer : report.layers) {
    const LayerFigures& figures = layer.compressed.figures;
    layers.add({layer.planned.layer.name, to_string(layer.planned.form),
                layer.planned.rank > 0 ? std::to_string(layer.planned.rank) : "-", std::to_string(layer.planned.bits),
                fixed(qaf::original_cost(layer.planned.layer).bits / 8192, 1), fixed(figures.bits / 8192, 1),
                fixed(figures.relative_error, 4), report.has_output_errors ? fixed(figures.output_error, 4) : "-",
                fixed(figures.seconds, 2)});
    seconds += figures.seconds;
  }
  layers.add({"all", "", "", "", fixed(report.weights() * 32 / 8192, 1), fixed(report.bits() / 8192, 1), "", "",
              fixed(seconds, 2)});
  layers.print();
  if (report.accuracies.empty()) return;
  Table accuracies({"network", "top-1 (%)", "agreement (%)"});
  for (const AccuracyRow& row : report.accuracies)
    accuracies.add({row.name, fixed(row.top_1, 2), fixed(row.agreement, 2)});
  std::printf("\n");
  accuracies.print();
}

// The plan of an earlier run, which must still be that of the layers that are finished.
qaf::Plan earlier_plan(const Settings& settings, const Input& input, const std::vector<std::string>& names,
                       const FinishedLayers& finished) {
  const std::string path = finished.in_folder("plan.txt");
  qaf::Plan plan = read_network_plan(path, input.network, settings.layer.quantizer);
  std::vector<std::string> planned_names;
  for (const qaf::PlannedLayer& planned : plan.layers) {
    planned_names.push_back(planned.layer.name);
    if (finished.has_layer(planned.layer.name)) finished.read(planned);
  }
  if (planned_names != names)
    throw std::runtime_error(path + ": must hold the layers " + joined(names) + ", got " + joined(planned_names) +
                             "; give an edited plan with --plan and another --output");
  return plan;
}

// The plan of an earlier run of the same settings, or a new one.
qaf::Plan plan_of(const Settings& settings, const Input& input, const std::vector<std::string>& names,
                  const std::map<std::string, SecondMoments>& moments, const FinishedLayers& finished) {
  if (finished.has("plan.txt")) return earlier_plan(settings, input, names, finished);
  if (!settings.plan.empty()) return read_network_plan(settings.plan, input.network, settings.layer.quantizer);
  const Images* const images = plan_images(input);
  const std::vector<qaf::Layer> layers = layers_of(input.network, names, images);
  if (!settings.budget) return uniform_plan(layers, settings.bits, settings.reduction, settings.layer.quantizer);
  if (settings.budget->measure == qaf::Measure::bops && images == nullptr)
    throw UsageError("--bops needs --calibration or --images: operations depend on the size of an image");
  return budget_plan(input.network, layers, moments, *settings.budget, settings.layer, settings.jobs);
}

// Chooses rank and bits of the layers and compresses those that are not finished yet.
qaf::Plan run_plan(const Settings& settings, const Input& input, const std::vector<std::string>& names,
                   const FinishedLayers& finished) {
  std::map<std::string, SecondMoments> moments;
  if (input.calibration) moments = second_moments(input.network, *input.calibration);
  const InterruptionWatch watch;
  qaf::Plan plan = plan_of(settings, input, names, moments, finished);
  finished.begin();
  if (!finished.has("plan.txt")) finished.write_text("plan.txt", plan_text(plan));
  run_layers(settings, input.network, moments, plan, finished);
  return plan;
}

// Measures what came of it and writes all that is not a layer's own.
NetworkReport finish(const Settings& settings, const Input& input, const qaf::Plan& plan,
                     const FinishedLayers& finished) {
  NetworkReport report;
  report.network = settings.network;
  report.settings = settings_rows(settings, input);
  report.layers = read_layers(plan, finished);
  report.has_output_errors = input.calibration.has_value();
  Network compressed = with_compressed_layers(input.network, report.layers);
  report.accuracies = measure(settings, input, report.layers, compressed);
  if (input.images) report.images = input.images->dimensions()[0];
  report.written_row = settings.moves_batch_norms && input.calibration ? 2 : 1;
  const InterruptionWatch watch;  // the files are written to their ends
  write_network(finished.in_folder("model.safetensors"), compressed, report.layers);
  finished.write_text("report.html", report_text(report));
  return report;
}

void compress(const Arguments& arguments) {
  const Settings settings = read_settings(arguments);
  const Input input = read_input(settings);
  std::vector<std::string> names;
  FinishedLayers::Json json;
  if (settings.plan.empty()) {
    names = layer_names(settings, arguments, input.network);
    json = settings_json(settings, input, names);
  } else {
    const qaf::Plan plan = read_network_plan(settings.plan, input.network, settings.layer.quantizer);
    for (const qaf::PlannedLayer& planned : plan.layers) names.push_back(planned.layer.name);
    json = settings_json(settings, input, names);
    json["plan"] = plan_text(plan);
  }
  if (input.images) check_labels(settings, input);
  const FinishedLayers finished(settings.output, json);
  for (const std::string& name : names) finished.file_of(name);  // throws where it can be none
  const qaf::Plan plan = run_plan(settings, input, names, finished);
  const NetworkReport report = finish(settings, input, plan, finished);
  std::printf("%s, written to %s; open %s in a browser\n\n", settings.network.c_str(), settings.output.c_str(),
              finished.in_folder("report.html").c_str());
  print_tables(report);
}

}  // namespace

int main(int argc, char** argv) {
  const Program program{
      "compress_network",
      usage,
      {{"--network", "NETWORK", "a folder of .npy or a safetensors file (default: bundled)"},
       {"--description", "FILE", "its steps (default: the bundled network's or the ResNet-20's)"},
       {"--layers", "NAMES", "such as conv2,conv3, or all (default: all convolutions but the first)"},
       {"--bits", "B", "bits of a code, 1 to 16 (default 4, or what the quantizer has)"},
       {"--reduction", "RATE", "parameters of a layer to those of its factors (default 2)"},
       {"--budget", "B", "choose rank and bits of each layer: B bits for each weight, in the mean"},
       {"--bops", "N", "the same with a budget of bit operations an image, activations of 8 bits"},
       {"--plan", "FILE", "rank and bits as in FILE: a plan.txt, edited"},
       {"--quantizer", "NAME", "of compress_layer's (default uniform)"},
       {"--effort", "E", "quick, normal or thorough (default normal)"},
       {"--calibration", "IMAGES.npy", "images whose inputs weigh errors and move batch norms, or none"},
       {"--batch-norms", "move|keep", "whether their statistics follow the weights (default move)"},
       {"--images", "IMAGES.npy", "to measure accuracy: uint8, images x channels x rows x columns"},
       {"--labels", "LABELS.npy", "their classes: integers"},
       {"--output", "DIR", "(default compressed_network)"},
       {"--jobs", "N", "layers at a time (default: as many as processors)"},
       {"--seed", "S", "of the random starts (default 0)"}}};
  return run_program(program, argc, argv, compress);
}
