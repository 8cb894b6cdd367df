// One layer's weights in, integer codes, scales and weights of a CP model out, with a table of what
// quantization-aware factorization gained. `compress_layer --help` lists the options.

#include <cstdint>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <qaf/io/npy.hpp>
#include <qaf/qaf.hpp>
#include <qaf/quantizers/any.hpp>

#include "support/arguments.hpp"
#include "support/effort.hpp"
#include "support/metric.hpp"
#include "support/model_files.hpp"
#include "support/output_folder.hpp"
#include "support/program.hpp"
#include "support/progress_bar.hpp"
#include "support/table.hpp"
#include "support/weights.hpp"

namespace {

const char* const usage =
    "usage: compress_layer [INPUT.npy] [options]\n"
    "Factors the weights in INPUT.npy (float32 or float64; of order 4: a convolution O x I x kh x kw, of order 2:\n"
    "a linear layer O x I) into integer codes, scales and weights. Without INPUT.npy: a bundled convolution.\n";

struct Settings {
  std::string input;
  std::string output;       // nothing is written where empty
  std::string calibration;  // all errors weigh the same where empty
  qaf::Index rank = 0;
  bool quantization_aware = true;
  qaf::Effort effort = qaf::Effort::normal;
  bool json = false;
  std::uint64_t seed = 0;
  std::string quantizer_name;
  qaf::Granularity granularity = qaf::Granularity::component;
  qaf::AnyQuantizer quantizer;
};

// A row of the table.
struct Row {
  std::string method;
  int bits;
  qaf::Index parameters;
  double bytes;
  double relative_error;
  double seconds;
};

Settings read_settings(const Arguments& arguments) {
  Settings settings;
  settings.input =
      arguments.positional().empty() ? QAF_EXAMPLE_DATA "/network/conv5.weight.npy" : arguments.positional().front();
  settings.output = arguments.text("--output", "");
  if (arguments.has("--output") && settings.output.empty()) throw UsageError("--output must not be empty");
  settings.calibration = arguments.text("--calibration", "");
  if (arguments.has("--calibration") && settings.calibration.empty())
    throw UsageError("--calibration must not be empty");
  settings.effort = read_effort(arguments);
  settings.rank = static_cast<qaf::Index>(arguments.whole_number("--rank", 1, 1000000000, 0));
  settings.quantization_aware = arguments.choice("--method", {"admm", "als"}) == 0;
  settings.quantizer_name = arguments.text("--quantizer", "uniform");
  const qaf::Granularity granularities[] = {qaf::Granularity::component, qaf::Granularity::tensor,
                                            qaf::Granularity::row, qaf::Granularity::block};
  settings.granularity = granularities[arguments.choice("--granularity", {"component", "tensor", "row", "block"})];
  const int bits = static_cast<int>(arguments.whole_number("--bits", 1, 16, 0));
  try {
    settings.quantizer = qaf::make_quantizer(settings.quantizer_name, bits, settings.granularity);
  } catch (const std::invalid_argument& error) {
    throw UsageError("--quantizer, --bits or --granularity is wrong: " + std::string(error.what()));
  }
  settings.seed = static_cast<std::uint64_t>(arguments.whole_number("--seed", 0, 9223372036854775807LL, 0));
  settings.json = arguments.has("--json");
  return settings;
}

// `method` runs with a progress bar on a terminal.
template <typename Options, typename Method>
auto with_progress(const char* label, Options& options, const Method& method) {
  ProgressBar bar(label);
  options.on_iteration = [&bar](const qaf::Progress& progress) {
    bar.show(progress);
    return true;
  };
  return method();
}

void print_table(const Settings& settings, const std::vector<qaf::Index>& dimensions, const std::vector<Row>& rows) {
  std::printf("%s: %s, rank %td, %s quantizer by %s%s\n\n", settings.input.c_str(),
              qaf::detail::shape_text(dimensions).c_str(), settings.rank, settings.quantizer_name.c_str(),
              to_string(settings.granularity),
              settings.calibration.empty() ? "" : ", errors weighed by the layer's inputs");
  Table table({"method", "bits", "parameters", "size (KiB)", "relative error", "seconds"});
  for (const Row& row : rows)
    table.add({row.method, std::to_string(row.bits), std::to_string(row.parameters), fixed(row.bytes / 1024, 1),
               fixed(row.relative_error, 4), fixed(row.seconds, 2)});
  table.print();
}

// One line. Only numbers and words of this program's own: nothing that would need escaping.
template <typename Result>
void print_json(const Settings& settings, const std::vector<qaf::Index>& dimensions, const Row& row,
                double float_relative_error, const Result& result) {
  std::string shape;
  for (const qaf::Index size : dimensions) shape += (shape.empty() ? "" : ", ") + std::to_string(size);
  std::printf(
      "{\"method\": \"%s\", \"quantizer\": \"%s\", \"shape\": [%s], \"rank\": %td, \"bits\": %d, \"granularity\": "
      "\"%s\", "
      "\"weighted\": %s, \"seed\": %llu, \"relative_error\": %.9g, \"float_relative_error\": %.9g, \"parameters\": "
      "%td, "
      "\"bytes\": %.0f, \"seconds\": %.3f, \"iterations\": %td, \"status\": \"%s\"}\n",
      settings.quantization_aware ? "admm" : "als", settings.quantizer_name.c_str(), shape.c_str(), settings.rank,
      settings.quantizer.code_bits(), to_string(settings.granularity), settings.calibration.empty() ? "false" : "true",
      static_cast<unsigned long long>(settings.seed), row.relative_error, float_relative_error, row.parameters,
      row.bytes, row.seconds, result.iterations, to_string(result.status));
}

template <typename Scalar>
void compress(Settings settings) {
  const qaf::DenseTensor<Scalar> weights = as_factored_tensor(qaf::read_npy<Scalar>(settings.input));
  const std::vector<qaf::Index>& dimensions = weights.dimensions();
  if (settings.rank == 0) settings.rank = rank_for_reduction(dimensions, 2);
  const qaf::WeightedTensor<Scalar> tensor = settings.calibration.empty()
                                                 ? qaf::WeightedTensor<Scalar>(tensor_view(weights))
                                                 : qaf::weighted(weights, read_metrics(settings.calibration));
  std::optional<OutputFolder> folder;
  if (!settings.output.empty()) folder.emplace(settings.output);

  const qaf::Index parameters = settings.rank * component_size(dimensions);
  const double float_bits = 8 * sizeof(Scalar);
  std::vector<Row> rows;
  rows.push_back({"the weights as they are", static_cast<int>(float_bits), weights.size(),
                  static_cast<double>(weights.size()) * float_bits / 8, 0, 0});

  qaf::CpAlsOptions als_options;
  als_options.seed = settings.seed;
  const auto als = with_progress("CP-ALS", als_options, [&] { return cp_als(tensor, settings.rank, als_options); });
  rows.push_back({"float CP-ALS", static_cast<int>(float_bits), parameters + settings.rank,
                  model_size(als.model).bytes(), als.relative_error, als.seconds});

  const auto afterwards = quantize(als.model, settings.quantizer);
  rows.push_back({"CP-ALS, then quantized", settings.quantizer.code_bits(), parameters + settings.rank,
                  model_size(afterwards).bytes(), relative_error(tensor, afterwards), als.seconds});

  if (settings.quantization_aware) {
    qaf::CpAdmmOptions options = qaf::cp_admm_options(settings.effort);
    options.start.seed = settings.seed;
    const auto result = with_progress("quantization-aware", options,
                                      [&] { return cp_admm(tensor, settings.rank, settings.quantizer, options); });
    rows.push_back({"quantization-aware", settings.quantizer.code_bits(), parameters + settings.rank,
                    model_size(result.model).bytes(), result.relative_error, result.seconds});
    if (folder) write_model(*folder, result.model);
    if (settings.json) print_json(settings, dimensions, rows.back(), als.relative_error, result);
  } else {
    if (folder) write_model(*folder, afterwards);
    if (settings.json) print_json(settings, dimensions, rows.back(), als.relative_error, als);
  }
  if (settings.json) return;
  if (folder) std::printf("codes, scales and weights written to %s\n", settings.output.c_str());
  print_table(settings, dimensions, rows);
}

std::string quantizers() {
  std::string list;
  for (const std::string& name : qaf::quantizer_names()) list += (list.empty() ? "" : ", ") + name;
  return list + " (default uniform)";
}

}  // namespace

int main(int argc, char** argv) {
  const Program program{
      "compress_layer",
      usage,
      {{"--rank", "R", "components (default: half the parameters)"},
       {"--quantizer", "NAME", quantizers()},
       {"--bits", "B", "bits of a code, 1 to 16 (default 4, or what the quantizer has)"},
       {"--output", "DIR", "write codes, scales and weights there (default: write nothing)"},
       {"--method", "admm|als", "quantization-aware, or quantize afterwards (default admm)"},
       {"--seed", "S", "of the random start (default 0)"},
       {"--granularity", "G", "a scale per component, tensor, row or block of 32 (default component)"},
       {"--effort", "E", "quick, normal or thorough (default normal)"},
       {"--calibration", "PREFIX", "weigh errors by PREFIX.channels.npy and PREFIX.positions.npy"},
       {"--json", "", "print one line of JSON instead of the table"}},
      1};
  return run_program(program, argc, argv, [](const Arguments& arguments) {
    const Settings settings = read_settings(arguments);
    const qaf::NpyType type = qaf::read_npy_header(settings.input).type;
    if (type == qaf::NpyType::float32)
      compress<float>(settings);
    else if (type == qaf::NpyType::float64)
      compress<double>(settings);
    else
      throw std::runtime_error(settings.input + ": weights must be float32 or float64, got " + to_string(type));
  });
}
