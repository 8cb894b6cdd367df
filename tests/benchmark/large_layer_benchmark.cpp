// How long the largest layer of a ResNet-18 takes, 512 x 512 x 3 x 3 at half the parameters and 4 bits:
//
//   large_layer_benchmark [options]
//
// cp_admm in float with its defaults and with 250 + 250 sweeps, against the error that these reach in double. The
// tensor stands for trained weights: random components whose weights fall like those of a convolution, `r^(-1/2)`, and
// no noise, so that the best float model of half the parameters has an error of about a quarter.

#include <cmath>
#include <cstdio>
#include <string>

#include <qaf/cp_admm.hpp>
#include <qaf/initialize.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "support/arguments.hpp"
#include "support/program.hpp"
#include "support/table.hpp"

namespace {

using qaf::Index;

template <typename Scalar>
void solve(const qaf::DenseTensor<float>& weights, Index rank, qaf::CpAdmmOptions options, const char* type,
           Table& table) {
  qaf::DenseTensor<Scalar> tensor(weights.dimensions());
  for (Index k = 0; k < tensor.size(); ++k) tensor.data()[k] = static_cast<Scalar>(weights.data()[k]);
  qaf::UniformQuantizer quantizer;
  quantizer.bits = 4;
  const auto result = qaf::cp_admm(tensor, rank, quantizer, options);
  table.add({type, std::to_string(options.start.max_iterations) + " + " + std::to_string(options.max_iterations),
             fixed(result.seconds, 1), fixed(result.start_relative_error, 4), fixed(result.relative_error, 4)});
}

void run(const Arguments& arguments) {
  const Index size = arguments.whole_number("--size", 2, 4096, 512);
  const Index half = size * size * 9 / (2 * (2 * size + 9));
  const Index rank = arguments.whole_number("--rank", 1, 100000, half > 0 ? half : 1);
  const int threads = static_cast<int>(arguments.whole_number("--threads", 1, 1024, 1));
  qaf::CpModel<float> model = qaf::initialize_random<float>({size, size, 9}, 4 * rank, 1);
  for (Index r = 0; r < model.rank(); ++r) model.weights[r] = 1 / std::sqrt(static_cast<float>(r + 1));
  const qaf::DenseTensor<float> weights = qaf::reconstruct(model);

  qaf::CpAdmmOptions options;
  options.resources.threads = threads;
  Table table({"type", "sweeps", "seconds", "error of the start", "quantized error"});
  solve<float>(weights, rank, options, "float", table);
  options.start.max_iterations = options.max_iterations = 250;
  solve<float>(weights, rank, options, "float", table);
  if (!arguments.has("--float")) solve<double>(weights, rank, options, "double", table);
  std::printf("%td x %td x 9 at rank %td, 4 bits, %d threads\n\n", size, size, rank, threads);
  table.print();
}

}  // namespace

int main(int argc, char** argv) {
  const Program program{"large_layer_benchmark",
                        "usage: large_layer_benchmark [options]\n",
                        {{"--size", "N", "of the channels (default 512)"},
                         {"--rank", "R", "of the model (default half the parameters)"},
                         {"--threads", "N", "OpenMP threads (default 1)"},
                         {"--float", "", "without the run in double"}}};
  return run_program(program, argc, argv, run);
}
