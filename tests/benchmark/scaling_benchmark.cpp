// How the time of a sweep grows with the size, the rank and the order of a tensor, next to the limit of the products
// that it cannot do without (sweep_benchmark tells what that is), as tables and, with --svg FOLDER, as three pictures.
//
//   scaling_benchmark [options]

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/arguments.hpp"
#include "support/output_file.hpp"
#include "support/program.hpp"
#include "support/svg_plot.hpp"
#include "support/sweep_times.hpp"
#include "support/table.hpp"

namespace {

using qaf::Index;

struct Point {
  double x;
  std::vector<Index> dimensions;
  Index rank;
};

struct Scaling {
  std::string file, title, x_label;
  std::vector<Point> points;
};

/// `order` modes of about the same size, with about `entries` entries.
std::vector<Index> cube(double entries, int order) {
  const Index length = static_cast<Index>(std::lround(std::pow(entries, 1.0 / order)));
  return std::vector<Index>(static_cast<std::size_t>(order), length);
}

/// Of tensors of `entries` entries at the most.
std::vector<Scaling> scalings(double entries) {
  std::vector<Scaling> all = {
      {"sweep-against-size", "A sweep of a cube, rank 32, float32, one thread", "length of the three modes", {}},
      {"sweep-against-rank", "A sweep of a cube, float32, one thread", "rank", {}},
      {"sweep-against-order",
       "A sweep of about the same number of entries, rank 32, float32, one thread",
       "order",
       {}}};
  for (double size = entries; size > entries / 2000; size /= 4)
    all[0].points.push_back({static_cast<double>(cube(size, 3).front()), cube(size, 3), 32});
  for (const Index rank : {4, 8, 16, 32, 64, 128, 256})
    all[1].points.push_back({static_cast<double>(rank), cube(entries / 8, 3), rank});
  for (int order = 2; order <= 6; ++order)
    all[2].points.push_back({static_cast<double>(order), cube(entries / 4, order), 32});
  return all;
}

void measure(const Scaling& scaling, int turns, OutputFile& svg) {
  Plot plot{scaling.title, scaling.x_label, "milliseconds", {}, true};
  plot.series = {{"two products", {}, 0, false, false},
                 {"cp_admm", {}, 3, false, false},
                 {"cp_als", {}, 6, false, true},
                 {"the limit", {}, 8, true, false}};
  Table table({"tensor, rank", "limit (ms)", "cp_als (ms)", "cp_admm (ms)", "two products (ms)"});
  for (const Point& point : scaling.points) {
    const auto tensor = noise_tensor<float>(point.dimensions, 1);
    const SweepTimes times = SweepTimer<float>(tensor, point.rank, 1).measure(turns);
    const std::vector<double> values = {times.two_contractions, times.cp_admm, times.cp_als, times.limit()};
    for (std::size_t k = 0; k < values.size(); ++k) plot.series[k].points.emplace_back(point.x, 1e3 * values[k]);
    table.add({qaf::detail::shape_text(point.dimensions) + ", " + std::to_string(point.rank), fixed(1e3 * values[3], 3),
               fixed(1e3 * values[2], 3), fixed(1e3 * values[1], 3), fixed(1e3 * values[0], 3)});
    std::fprintf(stderr, ".");
  }
  std::fprintf(stderr, "\n");
  table.print();
  std::printf("\n");
  svg.write(svg_text(plot));
}

void run(const Arguments& arguments) {
  const int turns = static_cast<int>(arguments.whole_number("--turns", 1, 1000, 3));
  const long long entries = arguments.whole_number("--entries", 4096, 1LL << 32, 1LL << 26);
  const std::string folder = arguments.text("--svg", "");
  if (!folder.empty() && !std::filesystem::is_directory(folder)) throw std::runtime_error(folder + ": is no folder");
  for (const Scaling& scaling : scalings(static_cast<double>(entries))) {
    OutputFile svg(folder.empty() ? "" : folder + "/" + scaling.file + ".svg");
    measure(scaling, turns, svg);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Program program{"scaling_benchmark",
                        "usage: scaling_benchmark [options]\n",
                        {{"--svg", "FOLDER", "pictures of the three tables"},
                         {"--entries", "N", "of the largest tensor (default 2^26)"},
                         {"--turns", "N", "measurements to take the median of (default 3)"}}};
  return run_program(program, argc, argv, run);
}
