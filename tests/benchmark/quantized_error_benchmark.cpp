// The errors of quantized CP models of 3 x 3 convolutions, and their seconds, method by method:
//
//   quantized_error_benchmark [WEIGHTS] [options]
//
// WEIGHTS: a .npy file (O x I x 3 x 3 or O x I x 9), a folder of them, or a safetensors file, of which it takes the
// convolutions with 16 input channels or more. Without: conv2 to conv6 of the bundled network. `--help` lists the
// options. At a reduction of 2 the rank is the one at which the factors have half of the layer's parameters.
//
// The methods; a start in brackets is what a method does before, and its seconds count:
//
//   float         CP-ALS, 100 plain sweeps from a random start
//   als-ptq       [float] balanced, quantized with one scale a factor
//   paper-random  the AO-ADMM of Cherniuk et al. 2023 (paper_options()) from a random start: one scale a factor, full
//                 code range, the best of 200 scales, 40 sweeps of at most 30 inner steps
//   paper-als     [float] the same from these factors
//   paper-epc     [float] the same from their error-preserving correction
//   start-ptq     cp_admm's start, which prepares for the noise of rounding, quantized with one scale a component
//   start-cd      [start-ptq] then fit_weights and coordinate_descent: cp_admm without the method of multipliers
//   admm          cp_admm without these refinements
//   qaf           cp_admm
//   direct        the weights themselves, not factored, in as many bits in total as the factored model has in its codes
//                 and one float32 weight a component. Each output channel has one least-squares scale (32 bits of the
//                 total). That is no whole number of bits a weight, so channels differ: starting from 0 bits for all,
//                 the channel whose squared error falls most gets one bit more, until the total is used up. A channel
//                 of 1 bit keeps signs and one magnitude, their mean; a channel of 0 bits is zero.
//   best-float    a limit: the best float CP model of that rank known, by 1500 extrapolated sweeps with falling noise
//   noise-law     a limit for plain rounding: the least expected error with rounding noise that does not depend on the
//                 factors, by 800 such sweeps
//
// Tables: means over the seeds; seconds: those of one seed, summed over the layers. Without arguments it runs for about
// a minute.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "support/arguments.hpp"
#include "support/effort.hpp"
#include "support/error_methods.hpp"
#include "support/layers.hpp"
#include "support/output_file.hpp"
#include "support/program.hpp"
#include "support/progress_bar.hpp"
#include "support/svg_plot.hpp"
#include "support/table.hpp"
#include "support/weights.hpp"

namespace {

struct Settings {
  std::vector<Layer> layers;
  std::vector<int> bits;
  double reduction = 2;
  int seeds = 1;
  qaf::Effort effort = qaf::Effort::normal;
  std::vector<Method> methods;
  std::string title;                // of the picture; what was measured where empty
  std::vector<std::string> labels;  // of the methods in the picture; their names where empty
};

/// One line of the CSV file.
struct Measurement {
  std::size_t layer;  // their positions in the settings
  int bits;
  int seed;
  std::size_t method;
  Outcome outcome;
};

using Measurements = std::vector<Measurement>;

std::vector<int> bits_of(const Arguments& arguments) {
  std::vector<int> bits;
  for (const std::string& word : arguments.list("--bits", "4")) {
    if (word.size() != 1 || word[0] < '2' || word[0] > '8')
      throw UsageError("--bits must be a list of whole numbers from 2 to 8, got '" + word + "'");
    bits.push_back(word[0] - '0');
  }
  std::sort(bits.begin(), bits.end());
  return bits;
}

/// Those of `all` that the option names, in the order of `all`; all without the option.
template <typename Named>
std::vector<Named> chosen(const Arguments& arguments, const std::string& option, std::vector<Named> all) {
  if (!arguments.has(option)) return all;
  std::vector<std::string> words = arguments.list(option, "");
  std::vector<Named> result;
  std::string known;
  for (const Named& one : all) {
    known += std::string(known.empty() ? "" : ", ") + one.name;
    const auto found = std::find(words.begin(), words.end(), one.name);
    if (found == words.end()) continue;
    result.push_back(one);
    words.erase(found);
  }
  if (!words.empty()) throw UsageError(option + " knows " + known + ", got '" + words.front() + "'");
  return result;
}

Settings settings_of(const Arguments& arguments) {
  Settings settings;
  settings.bits = bits_of(arguments);
  settings.reduction = arguments.number("--reduction", 0.5, 1000, 2);
  settings.seeds = static_cast<int>(arguments.whole_number("--seeds", 1, 1000, 1));
  settings.effort = read_effort(arguments);
  settings.methods = chosen(arguments, "--methods", all_methods());
  settings.title = arguments.text("--title", "");
  if (arguments.has("--labels")) settings.labels = arguments.list("--labels", "");
  if (!settings.labels.empty() && settings.labels.size() != settings.methods.size())
    throw UsageError("--labels must be " + std::to_string(settings.methods.size()) + ", one a method, got " +
                     std::to_string(settings.labels.size()));
  const bool bundled = arguments.positional().empty();
  settings.layers =
      chosen(arguments, "--layers", bundled ? read_bundled_layers() : read_layers(arguments.positional().front()));
  return settings;
}

void show_progress(const std::string& text) {
  if (stderr_is_terminal()) std::fprintf(stderr, "\r%s\033[K", text.c_str());
}

Measurements measure(const Settings& settings) {
  Measurements all;
  for (std::size_t layer = 0; layer < settings.layers.size(); ++layer) {
    const Layer& measured = settings.layers[layer];
    const qaf::Index rank = rank_for_reduction(measured.tensor.dimensions(), settings.reduction);
    for (int seed = 0; seed < settings.seeds; ++seed) {
      MethodRuns runs(measured.tensor, rank, static_cast<std::uint64_t>(seed), settings.effort);
      for (const int bits : settings.bits)
        for (std::size_t method = 0; method < settings.methods.size(); ++method) {
          show_progress(measured.name + ", seed " + std::to_string(seed) + ", " + std::to_string(bits) +
                        " bits: " + settings.methods[method].name);
          all.push_back({layer, bits, seed, method, (runs.*settings.methods[method].run)(bits)});
        }
    }
  }
  show_progress("");
  return all;
}

/// The mean over the seeds.
Outcome mean_of(const Measurements& all, std::size_t layer, int bits, std::size_t method) {
  Outcome sum;
  double count = 0;
  for (const Measurement& one : all) {
    if (one.layer != layer || one.bits != bits || one.method != method) continue;
    sum.relative_error += one.outcome.relative_error;
    sum.seconds += one.outcome.seconds;
    ++count;
  }
  return {sum.relative_error / count, sum.seconds / count};
}

/// Errors: the mean over the layers; seconds: the sum.
Outcome total_of(const Settings& settings, const Measurements& all, int bits, std::size_t method) {
  Outcome total;
  const double layers = static_cast<double>(settings.layers.size());
  for (std::size_t layer = 0; layer < settings.layers.size(); ++layer) {
    const Outcome mean = mean_of(all, layer, bits, method);
    total.relative_error += mean.relative_error / layers;
    total.seconds += mean.seconds;
  }
  return total;
}

/// The table of the methods `first` to `last - 1`.
void print_table(const Settings& settings, const Measurements& all, int bits, std::size_t first, std::size_t last) {
  std::vector<std::string> header = {"layer", "rank"}, mean = {"mean", ""}, seconds = {"seconds", ""};
  for (std::size_t method = first; method < last; ++method) {
    header.emplace_back(settings.methods[method].name);
    const Outcome total = total_of(settings, all, bits, method);
    mean.push_back(fixed(total.relative_error, 4));
    seconds.push_back(fixed(total.seconds, 2));
  }
  Table table(header);
  for (std::size_t layer = 0; layer < settings.layers.size(); ++layer) {
    const Layer& measured = settings.layers[layer];
    std::vector<std::string> row = {
        measured.name, std::to_string(rank_for_reduction(measured.tensor.dimensions(), settings.reduction))};
    for (std::size_t method = first; method < last; ++method)
      row.push_back(fixed(mean_of(all, layer, bits, method).relative_error, 4));
    table.add(row);
  }
  table.add(mean);
  table.add(seconds);
  table.print();
  std::printf("\n");
}

void print_tables(const Settings& settings, const Measurements& all) {
  constexpr std::size_t most_columns = 7;
  const std::size_t methods = settings.methods.size(), tables = (methods + most_columns - 1) / most_columns;
  for (const int bits : settings.bits) {
    std::printf("Relative error at %d bits, 1/%g of the parameters, mean of %d %s:\n\n", bits, settings.reduction,
                settings.seeds, settings.seeds == 1 ? "seed" : "seeds");
    for (std::size_t table = 0; table < tables; ++table)
      print_table(settings, all, bits, table * methods / tables, (table + 1) * methods / tables);
  }
}

/// A field of a CSV file: quoted where it has to be.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string csv_text(const Settings& settings, const Measurements& all) {
  std::string text = "layer,shape,rank,reduction,bits,seed,method,relative_error,seconds\n";
  for (const Measurement& one : all) {
    const Layer& layer = settings.layers[one.layer];
    const std::vector<qaf::Index>& dimensions = layer.tensor.dimensions();
    std::string shape;
    for (const qaf::Index size : dimensions) shape += (shape.empty() ? "" : "x") + std::to_string(size);
    char numbers[256];
    std::snprintf(numbers, sizeof numbers, ",%td,%g,%d,%d,%s,%.6g,%.4g\n",
                  rank_for_reduction(dimensions, settings.reduction), settings.reduction, one.bits, one.seed,
                  settings.methods[one.method].name, one.outcome.relative_error, one.outcome.seconds);
    text += csv_field(layer.name) + "," + shape + numbers;
  }
  return text;
}

Plot plot_of(const Settings& settings, const Measurements& all) {
  Plot plot;
  const std::size_t layers = settings.layers.size();
  plot.title = layers == 1 ? settings.layers.front().name
                           : std::to_string(layers) + " layers, " + settings.layers.front().name + " to " +
                                 settings.layers.back().name;
  char reduction[64];
  std::snprintf(reduction, sizeof reduction, ", 1/%g of the parameters", settings.reduction);
  plot.title += reduction;
  if (!settings.title.empty()) plot.title = settings.title;
  plot.x_label = "bits of a code";
  plot.y_label = layers == 1 ? "relative error" : "relative error, mean over the layers";
  for (std::size_t method = 0; method < settings.methods.size(); ++method) {
    const Method& drawn = settings.methods[method];
    PlotSeries series;
    series.name = drawn.name;
    // A method looks the same whichever others are drawn.
    while (series.name != all_methods()[series.style].name) ++series.style;
    series.dashed = !drawn.is_quantized;
    series.thick = series.name == "qaf";
    if (!settings.labels.empty()) series.name = settings.labels[method];
    for (const int bits : settings.bits)
      series.points.emplace_back(bits, total_of(settings, all, bits, method).relative_error);
    plot.series.push_back(series);
  }
  return plot;
}

std::string usage() {
  std::string text = "usage: quantized_error_benchmark [WEIGHTS] [options]\nmethods:\n";
  for (const Method& method : all_methods()) {
    std::string line = std::string("  ") + method.name;
    line.resize(26, ' ');
    text += line + method.help + "\n";
  }
  return text + "options:\n";
}

void run(const Arguments& arguments) {
  const std::string csv_path = arguments.text("--csv", ""), svg_path = arguments.text("--svg", "");
  for (const char* option : {"--csv", "--svg"})
    if (arguments.has(option) && arguments.text(option, "").empty())
      throw UsageError(std::string(option) + " needs the name of a file");
  if (!csv_path.empty() && csv_path == svg_path) throw UsageError("--csv and --svg must be different files");
  const Settings settings = settings_of(arguments);
  OutputFile csv(csv_path), svg(svg_path);
  const Measurements all = measure(settings);
  print_tables(settings, all);
  csv.write(csv_text(settings, all));
  svg.write(svg_text(plot_of(settings, all)));
}

}  // namespace

int main(int argc, char** argv) {
  const Program program{"quantized_error_benchmark",
                        usage(),
                        {{"--bits", "LIST", "2 to 8, such as 2,3,4 (default: 4)"},
                         {"--reduction", "NUMBER", "parameters of the layer to those of the factors (default: 2)"},
                         {"--seeds", "NUMBER", "how many random starts (default: 1)"},
                         {"--effort", "EFFORT", "of cp_admm: quick, normal (default) or thorough"},
                         {"--layers", "LIST", "layers by name (default: all)"},
                         {"--methods", "LIST", "methods by name (default: all)"},
                         {"--csv", "FILE", "all measurements, line by line"},
                         {"--svg", "FILE", "a picture of the mean errors against the bits"},
                         {"--title", "TEXT", "of the picture"},
                         {"--labels", "LIST", "of the methods in the picture (default: their names)"}},
                        1};
  return run_program(program, argc, argv, run);
}
