// What a sweep takes, next to the limit of the matrix products that it cannot do without, and how long solving takes:
//
//   sweep_benchmark [options]
//
// For every shape, all in one run, medians over turns: the limit, which is N / (N - 1) passes over the tensor that sum
// over one mode (the fastest of the longest modes), N Gram matrices, Cholesky factorizations and triangular solves,
// with the library's own products; a sweep of cp_als (without extrapolation) and of cp_admm (one inner step, 4 bits,
// one scale a component); and a sweep of CP-ALS from two products with explicit Khatri-Rao products, as the fastest
// other library does it (PLANC), on a BLAS where CMake found one. The entries are normal.
//
// With --solve also, for a tensor of a quarter of the rank with a tenth of noise: the time of cp_als from a random
// start to a relative error of 0.105, and of cp_admm, its start of 40 sweeps included, to 0.12 at 4 bits; and the most
// memory that a run of three sweeps took beside the tensor, in multiples of it.

#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/arguments.hpp"
#include "support/peak_memory.hpp"
#include "support/program.hpp"
#include "support/sweep_times.hpp"
#include "support/table.hpp"

namespace {

using qaf::Index;

struct Shape {
  std::string name;
  std::vector<Index> dimensions;
  Index rank;
};

const std::vector<Shape> shapes = {
    {"64", {64, 64, 9}, 134},        {"256", {256, 256, 9}, 499},      {"512", {512, 512, 9}, 1141},
    {"200-16", {200, 200, 200}, 16}, {"200-64", {200, 200, 200}, 64},  {"400", {400, 400, 400}, 32},
    {"60", {60, 60, 60, 60}, 32},    {"30", {30, 30, 30, 30, 30}, 16}, {"small", {8, 7, 6}, 5}};

struct Settings {
  std::vector<int> threads;
  int turns;
  bool solve;
};

struct Tables {
  Table sweeps{{"tensor, rank", "type", "threads", "limit (ms)", "its passes", "cp_als (ms)", "/ limit", "cp_admm (ms)",
                "/ limit", "two products (ms)", "/ cp_als"}};
  Table solving{{"tensor, rank", "type", "threads", "cp_als to 0.105 (s)", "cp_admm to 0.12 (s)", "cp_als memory",
                 "cp_admm memory"}};
};

qaf::UniformQuantizer four_bits() {
  qaf::UniformQuantizer quantizer;
  quantizer.bits = 4;
  return quantizer;
}

/// Seconds until `solve(callback)` told of an error of no more than `error`; "-" where it did not.
template <typename Solve>
std::string seconds_to(double error, const Solve& solve) {
  const double begin = now();
  double end = 0;
  solve([&](const qaf::Progress& progress) {
    if (progress.best_error <= error) end = now();
    return end == 0;
  });
  return end > 0 ? fixed(end - begin, 3) : "-";
}

template <typename Scalar>
void solve(const Shape& shape, const std::vector<std::string>& row, int threads, Table& table) {
  const auto tensor = planted_tensor<Scalar>(shape.dimensions, shape.rank, 1);
  qaf::CpAlsOptions als;
  als.resources.threads = threads;
  qaf::CpAdmmOptions admm;
  admm.start.max_iterations = 40;
  admm.max_iterations = 60;
  admm.resources.threads = threads;
  std::vector<std::string> cells = row;
  cells.push_back(seconds_to(0.105, [&](const qaf::IterationCallback& callback) {
    als.on_iteration = callback;
    qaf::cp_als(tensor, shape.rank, als);
  }));
  cells.push_back(seconds_to(0.12, [&](const qaf::IterationCallback& callback) {
    admm.on_iteration = callback;
    qaf::cp_admm(tensor, shape.rank, four_bits(), admm);
  }));
  const auto memory = [&](const auto& run) {
    const PeakMemory peak;
    run();
    return fixed(peak.bytes() / static_cast<double>(tensor.size()) / sizeof(Scalar), 2);
  };
  als.max_iterations = admm.max_iterations = admm.start.max_iterations = 3;
  als.on_iteration = admm.on_iteration = {};
  cells.push_back(memory([&] { qaf::cp_als(tensor, shape.rank, als); }));
  cells.push_back(memory([&] { qaf::cp_admm(tensor, shape.rank, four_bits(), admm); }));
  table.add(cells);
}

template <typename Scalar>
void measure(const Shape& shape, const char* type, const Settings& settings, Tables& tables) {
  for (const int threads : settings.threads) {
    const std::vector<std::string> row = {qaf::detail::shape_text(shape.dimensions) + ", " + std::to_string(shape.rank),
                                          type, std::to_string(threads)};
    if (settings.solve) solve<Scalar>(shape, row, threads, tables.solving);
    const auto tensor = noise_tensor<Scalar>(shape.dimensions, 1);
    const SweepTimes times = SweepTimer<Scalar>(tensor, shape.rank, threads).measure(settings.turns);
    std::vector<std::string> cells = row;
    for (const auto& [value, digits] : {std::pair{1e3 * times.limit(), 2},
                                        {1e3 * times.passes, 2},
                                        {1e3 * times.cp_als, 2},
                                        {times.cp_als / times.limit(), 2},
                                        {1e3 * times.cp_admm, 2},
                                        {times.cp_admm / times.limit(), 2},
                                        {1e3 * times.two_contractions, 2},
                                        {times.two_contractions / times.cp_als, 2}})
      cells.push_back(fixed(value, digits));
    tables.sweeps.add(cells);
    std::fprintf(stderr, ".");
  }
}

void run(const Arguments& arguments) {
  Settings settings;
  settings.turns = static_cast<int>(arguments.whole_number("--turns", 1, 1000, 5));
  settings.solve = arguments.has("--solve");
  settings.threads = {1};
  const int threads = static_cast<int>(arguments.whole_number("--threads", 1, 1024, 1));
  if (threads > 1) settings.threads.push_back(threads);
  const std::size_t type = arguments.choice("--type", {"float", "double", "both"});
  const std::string names = "," + arguments.text("--shapes", "64,256,512,200-16,200-64,400,60,30") + ",";
  Tables tables;
  std::size_t known = 0;
  for (const Shape& shape : shapes) {
    if (names.find("," + shape.name + ",") == std::string::npos) continue;
    known += shape.name.size() + 1;
    if (type != 1) measure<float>(shape, "float", settings, tables);
    if (type != 0) measure<double>(shape, "double", settings, tables);
  }
  if (known + 1 != names.size())
    throw UsageError("--shapes must be a list of 64, 256, 512, 200-16, 200-64, 400, 60, 30 or small, got '" +
                     names.substr(1, names.size() - 2) + "'");
  std::fprintf(stderr, "\n");
  tables.sweeps.print();
  if (settings.solve) {
    std::printf("\n");
    tables.solving.print();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Program program{"sweep_benchmark",
                        "usage: sweep_benchmark [options]\n",
                        {{"--shapes", "NAMES", "some of 64,256,512,200-16,200-64,400,60,30 (default all) or small"},
                         {"--type", "TYPE", "float, double or both (default float)"},
                         {"--threads", "N", "measure with this number of threads too (needs OpenMP)"},
                         {"--turns", "N", "measurements to take the median of (default 5)"},
                         {"--solve", "", "measure times to an error, and memory, too"}}};
  return run_program(program, argc, argv, run);
}
