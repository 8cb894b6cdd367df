// What a sweep takes, next to the limit of the matrix products that it cannot do without:
//
//   sweep_benchmark [options]
//
// For every shape, all in one run: the limit, N / (N - 1) passes over the tensor that sum over one mode, N Gram
// matrices, Cholesky factorizations and triangular solves, with the library's own products; a sweep of cp_als (without
// extrapolation) and of cp_admm (one inner step, 4 bits, one scale a component); and a sweep of CP-ALS from two
// products with explicit Khatri-Rao products, as the fastest other library does it (PLANC), on a BLAS where CMake found
// one. Times are medians over turns. Memory is the most that a run of cp_als took beside the tensor, in multiples of
// it.

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
  std::vector<Index> dimensions;
  Index rank;
};

const std::vector<Shape> shapes = {{{64, 64, 9}, 134},     {{256, 256, 9}, 499},      {{512, 512, 9}, 1141},
                                   {{200, 200, 200}, 16},  {{200, 200, 200}, 64},     {{400, 400, 400}, 32},
                                   {{60, 60, 60, 60}, 32}, {{30, 30, 30, 30, 30}, 16}};

struct Settings {
  std::vector<int> threads;
  int turns;
};

template <typename Scalar>
void measure(const Shape& shape, const char* type, const Settings& settings, Table& table) {
  const qaf::DenseTensor<Scalar> tensor = planted_tensor<Scalar>(shape.dimensions, shape.rank, 1);
  for (const int threads : settings.threads) {
    double memory = 0;
    {
      const PeakMemory peak;
      qaf::CpAlsOptions options;
      options.max_iterations = 3;
      options.resources.threads = threads;
      qaf::cp_als(tensor, shape.rank, options);
      memory = peak.bytes() / static_cast<double>(tensor.size()) / sizeof(Scalar);
    }
    const SweepTimes times = SweepTimer<Scalar>(tensor, shape.rank, threads).measure(settings.turns);
    table.add({qaf::detail::shape_text(shape.dimensions) + ", " + std::to_string(shape.rank), type,
               std::to_string(threads), fixed(1e3 * times.limit(), 2), fixed(1e3 * times.passes, 2),
               fixed(1e3 * times.cp_als, 2), fixed(times.cp_als / times.limit(), 2), fixed(1e3 * times.cp_admm, 2),
               fixed(times.cp_admm / times.limit(), 2), fixed(1e3 * times.two_contractions, 2),
               fixed(times.two_contractions / times.cp_als, 2), fixed(memory, 2)});
    std::fprintf(stderr, ".");
  }
}

void run(const Arguments& arguments) {
  const std::vector<std::string> names = {"64", "256", "512", "200-16", "200-64", "400", "60", "30"};
  Settings settings;
  settings.turns = static_cast<int>(arguments.whole_number("--turns", 1, 1000, 5));
  settings.threads = {1};
  const int threads = static_cast<int>(arguments.whole_number("--threads", 1, 1024, 1));
  if (threads > 1) settings.threads.push_back(threads);
  const std::size_t type = arguments.choice("--type", {"float", "double", "both"});
  const std::string only = arguments.text("--shapes", "");
  Table table({"tensor, rank", "type", "threads", "limit (ms)", "its passes", "cp_als (ms)", "/ limit", "cp_admm (ms)",
               "/ limit", "two products (ms)", "/ cp_als", "memory"});
  for (std::size_t k = 0; k < shapes.size(); ++k) {
    if (!only.empty() && ("," + only + ",").find("," + names[k] + ",") == std::string::npos) continue;
    if (type != 1) measure<float>(shapes[k], "float", settings, table);
    if (type != 0) measure<double>(shapes[k], "double", settings, table);
  }
  std::fprintf(stderr, "\n");
  table.print();
}

}  // namespace

int main(int argc, char** argv) {
  const Program program{"sweep_benchmark",
                        "usage: sweep_benchmark [options]\n",
                        {{"--shapes", "NAMES", "some of 64,256,512,200-16,200-64,400,60,30 (default all)"},
                         {"--type", "TYPE", "float, double or both (default float)"},
                         {"--threads", "N", "measure with this number of threads too (needs OpenMP)"},
                         {"--turns", "N", "measurements to take the median of (default 5)"}}};
  return run_program(program, argc, argv, run);
}
