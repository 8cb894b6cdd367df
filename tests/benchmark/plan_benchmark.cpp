// What a plan of ranks and bits gains over the same bits for all layers, at equal storage:
//
//   plan_benchmark [WEIGHTS] [options]
//
// WEIGHTS: as for quantized_error_benchmark; without, conv2 to conv6 of the bundled network. `--help` lists the
// options. A budget of 2 is 2 bits for every weight of all layers together, scales and weights of components included.
// All factored layers are solved by cp_admm, one scale a component; candidates are measured at Effort::quick.
//
//   plan          make_plan of what candidates_of measured
//   ... factored  the same of the factored candidates alone
//   B bits        every layer factored with codes of B bits, at the rank with which it keeps the budget by itself
//   direct        every layer quantized without being factored, in as many bits as the budget allows it: each output
//                 channel has a scale and bits of its own, which go where they lower the squared error most
//
// Columns: the mean over the layers of the relative errors; the root of their mean square, which the plan minimizes;
// the same as predicted, and the least that any plan of these candidates could have; the bits in all, per weight.
// Seconds are those of the processor. With --output the weights that the factors stand for are written to
// FOLDER/BUDGET-ROW, where network_accuracy_benchmark --replace takes them from.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include <qaf/cp_admm.hpp>
#include <qaf/io/npy.hpp>
#include <qaf/model_size.hpp>
#include <qaf/plan.hpp>
#include <qaf/plan_text.hpp>

#include "support/arguments.hpp"
#include "support/direct_quantization.hpp"
#include "support/effort.hpp"
#include "support/layers.hpp"
#include "support/program.hpp"
#include "support/progress_bar.hpp"
#include "support/table.hpp"

namespace {

struct Settings {
  std::vector<Layer> layers;
  std::vector<double> budgets;  // bits for each weight
  qaf::Effort effort = qaf::Effort::normal;
  std::uint64_t seed = 0;
  std::string output;  // a folder, or none
};

/// What a choice for all layers came to.
struct Outcome {
  double mean = 0;         // of the relative errors
  double mean_square = 0;  // of their squares
  double bits = 0;
};

/// Predicted errors over those of the full solver.
struct Ratios {
  double sum = 0, least = 1e300, most = 0, count = 0;

  void add(double ratio) {
    sum += ratio;
    least = std::fmin(least, ratio);
    most = std::fmax(most, ratio);
    ++count;
  }
};

std::vector<double> budgets_of(const Arguments& arguments) {
  std::vector<double> budgets;
  std::string rest = arguments.text("--budgets", "1,2,3");
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const std::string word = rest.substr(0, comma);
    char* end = nullptr;
    const double budget = std::strtod(word.c_str(), &end);
    if (word.empty() || *end != '\0' || !(budget >= 0.5 && budget <= 8))
      throw UsageError("--budgets must be a list of numbers from 0.5 to 8, got '" + word + "'");
    budgets.push_back(budget);
    rest = comma < rest.size() ? rest.substr(comma + 1) : "";
  }
  if (budgets.empty()) throw UsageError("--budgets must not be empty");
  return budgets;
}

void show_progress(const std::string& text) {
  if (stderr_is_terminal()) std::fprintf(stderr, "\r%s\033[K", text.c_str());
}

/// Those of `all` whose names are in the list; all where there is no list.
std::vector<Layer> chosen_layers(const std::vector<Layer>& all, const std::string& list) {
  if (list.empty()) return all;
  std::vector<Layer> result;
  for (const Layer& layer : all)
    if (("," + list + ",").find("," + layer.name + ",") != std::string::npos) result.push_back(layer);
  if (result.empty()) throw UsageError("--layers must name layers of the weights, got '" + list + "'");
  return result;
}

/// The sizes, as if all convolutions saw as many pixels: a budget in bits does not depend on them.
qaf::Layer described(const Layer& layer) {
  qaf::Layer sizes;
  sizes.name = layer.name;
  sizes.dimensions = layer.tensor.dimensions();
  return sizes;
}

class Comparison {
 public:
  explicit Comparison(const Settings& settings) : settings_(settings) {
    for (const Layer& layer : settings.layers) weights_ += static_cast<double>(layer.tensor.size());
  }

  void run() {
    const std::clock_t start = std::clock();
    for (const Layer& layer : settings_.layers) {
      show_progress(layer.name + ": candidates");
      qaf::CandidateOptions options;
      options.solver.start.seed = settings_.seed;
      candidates_.push_back(candidates_of(described(layer), layer.tensor, options));
    }
    show_progress("");
    std::printf("Candidates of %zu layers: %.1f seconds\n", settings_.layers.size(),
                static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
    for (const double budget : settings_.budgets) compare(budget);
    std::printf("\nPredicted error over that of cp_admm, %g planned layers: mean %.4f, from %.4f to %.4f\n",
                ratios_.count, ratios_.sum / ratios_.count, ratios_.least, ratios_.most);
  }

 private:
  void compare(double budget) {
    row_ = fixed(budget, 2) + "-plan";
    std::printf("\n%g bits for each of %g weights:\n\n", budget, weights_);
    Table table({"", "mean error", "root mean square", "predicted", "bound", "bits a weight"});
    const qaf::Plan plan = make_plan(candidates_, qaf::Measure::bits, budget * weights_);
    add_plan(table, "plan", plan);
    row_ = fixed(budget, 2) + "-factored";
    add_plan(table, "plan, factored", make_plan(factored_only(), qaf::Measure::bits, budget * weights_));
    for (const int bits : {2, 3, 4, 6, 8}) {
      row_ = fixed(budget, 2) + "-" + std::to_string(bits) + "-bits";
      add(table, std::to_string(bits) + " bits", uniform(budget, bits), "", "");
    }
    add(table, "direct", direct(budget), "", "");
    table.print();
    std::printf("\n%s", plan_text(plan).c_str());
  }

  std::vector<qaf::LayerCandidates> factored_only() const {
    std::vector<qaf::LayerCandidates> result = candidates_;
    for (qaf::LayerCandidates& layer : result) {
      std::vector<qaf::Candidate> factored;
      for (const qaf::Candidate& one : layer.candidates)
        if (one.form == qaf::Form::factored) factored.push_back(one);
      layer.candidates = factored;
    }
    return result;
  }

  double root_mean_square(double sum) const { return std::sqrt(sum / static_cast<double>(settings_.layers.size())); }

  void add_plan(Table& table, const std::string& name, const qaf::Plan& plan) {
    Outcome outcome;
    for (std::size_t k = 0; k < plan.layers.size(); ++k) {
      const qaf::PlannedLayer& one = plan.layers[k];
      double error = one.relative_error;
      if (one.form == qaf::Form::factored) {
        error = solve(k, one.rank, one.bits, outcome);
        ratios_.add(one.relative_error / error);
      } else {
        outcome.bits += one.cost.bits;
      }
      count(error, outcome);
    }
    add(table, name, outcome, fixed(root_mean_square(plan.loss), 4), fixed(root_mean_square(plan.bound), 4));
  }

  Outcome uniform(double budget, int bits) {
    Outcome outcome;
    for (std::size_t k = 0; k < settings_.layers.size(); ++k) {
      const qaf::LayerCost component = factored_cost(described(settings_.layers[k]), 1, bits);
      const double allowed = budget * static_cast<double>(settings_.layers[k].tensor.size());
      count(solve(k, std::max(qaf::Index{1}, static_cast<qaf::Index>(allowed / component.bits)), bits, outcome),
            outcome);
    }
    return outcome;
  }

  Outcome direct(double budget) const {
    Outcome outcome;
    for (const Layer& layer : settings_.layers) {
      const double allowed = budget * static_cast<double>(layer.tensor.size());
      count(directly_quantized_error(layer.tensor, allowed), outcome);
      outcome.bits += allowed;
    }
    return outcome;
  }

  double solve(std::size_t layer, qaf::Index rank, int bits, Outcome& outcome) const {
    show_progress(settings_.layers[layer].name + ": rank " + std::to_string(rank) + ", " + std::to_string(bits) +
                  " bits");
    qaf::CpAdmmOptions options = qaf::cp_admm_options(settings_.effort);
    options.start.seed = settings_.seed;
    const auto result = cp_admm(settings_.layers[layer].tensor, rank, qaf::UniformOfBits()(bits), options);
    outcome.bits += static_cast<double>(model_size(result.model).bits());
    show_progress("");
    if (!settings_.output.empty()) {
      const std::filesystem::path folder = std::filesystem::path(settings_.output) / row_;
      std::filesystem::create_directories(folder);
      qaf::write_npy((folder / (settings_.layers[layer].name + ".weight.npy")).string(),
                     reconstruct(decode(result.model), qaf::StorageOrder::row_major));
    }
    return result.relative_error;
  }

  static void count(double error, Outcome& outcome) {
    outcome.mean += error;
    outcome.mean_square += error * error;
  }

  void add(Table& table, const std::string& name, const Outcome& outcome, const std::string& predicted,
           const std::string& bound) const {
    table.add({name, fixed(outcome.mean / static_cast<double>(settings_.layers.size()), 4),
               fixed(root_mean_square(outcome.mean_square), 4), predicted, bound, fixed(outcome.bits / weights_, 3)});
  }

  const Settings& settings_;
  double weights_ = 0;
  std::string row_;  // for the name of a folder
  std::vector<qaf::LayerCandidates> candidates_;
  Ratios ratios_;
};

void run(const Arguments& arguments) {
  Settings settings;
  settings.budgets = budgets_of(arguments);
  settings.effort = read_effort(arguments);
  settings.seed = static_cast<std::uint64_t>(arguments.whole_number("--seed", 0, 1000000, 0));
  settings.output = arguments.text("--output", "");
  settings.layers = chosen_layers(
      arguments.positional().empty() ? read_bundled_layers() : read_layers(arguments.positional().front()),
      arguments.text("--layers", ""));
  Comparison(settings).run();
}

}  // namespace

int main(int argc, char** argv) {
  const Program program{"plan_benchmark",
                        "usage: plan_benchmark [WEIGHTS] [options]\n",
                        {{"--budgets", "LIST", "bits for each weight, 0.5 to 8 (default: 1,2,3)"},
                         {"--effort", "EFFORT", "of the final cp_admm: quick, normal (default) or thorough"},
                         {"--layers", "LIST", "layers by name (default: all)"},
                         {"--output", "FOLDER", "where to write the weights that the factors stand for"},
                         {"--seed", "NUMBER", "of all random starts (default: 0)"}},
                        1};
  return run_program(program, argc, argv, run);
}
