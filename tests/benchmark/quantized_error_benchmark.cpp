// The error of quantized CP models of convolutions, method by method, at half the parameters:
//
//   quantized_error_benchmark [WEIGHTS.npy ...]     (default: the bundled network's 3x3 convolutions)
//
// Environment: QAF_BITS (default 4), QAF_SEEDS (default 3), QAF_EFFORT (0 quick, 1 normal, 2 thorough;
// default 1). The columns:
//
//   float      CP-ALS, 100 sweeps from a random start
//   ALS, PTQ   those factors, balanced, quantized with one scale per tensor
//   paper      the AO-ADMM of Cherniuk et al. 2023 from those factors: one scale per tensor, full code
//              range, the best of 200 scales, rho = tr(G)/R, 40 sweeps of at most 30 inner steps
//   qaf        cp_admm with the settings of that effort, one scale per component
//
// Errors are means over the seeds; seconds are sums over the seeds divided by their number.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <qaf/io/npy.hpp>
#include <qaf/qaf.hpp>

#include "support/table.hpp"
#include "support/weights.hpp"

namespace {

struct Figures {
  double float_error = 0, afterwards = 0, paper = 0, ours = 0;
  double paper_seconds = 0, our_seconds = 0;

  void add(const Figures& other, double share) {
    float_error += share * other.float_error;
    afterwards += share * other.afterwards;
    paper += share * other.paper;
    ours += share * other.ours;
    paper_seconds += share * other.paper_seconds;
    our_seconds += share * other.our_seconds;
  }

  std::vector<std::string> row(const std::string& name, const std::string& rank) const {
    return {name,
            rank,
            fixed(float_error, 4),
            fixed(afterwards, 4),
            fixed(paper, 4),
            fixed(ours, 4),
            fixed(paper_seconds, 2),
            fixed(our_seconds, 2)};
  }
};

Figures measure(const qaf::DenseTensor<float>& tensor, qaf::Index rank, int bits, std::uint64_t seed,
                qaf::Effort effort) {
  Figures figures;
  qaf::CpAlsOptions als_options;
  als_options.max_iterations = 100;
  als_options.tolerance = 0;
  als_options.seed = seed;
  const auto als = cp_als(tensor, rank, als_options);
  figures.float_error = als.relative_error;

  qaf::UniformQuantizer quantizer;
  quantizer.bits = bits;
  quantizer.granularity = qaf::Granularity::tensor;
  quantizer.scale_method = qaf::ScaleMethod::grid;
  figures.afterwards = relative_error(tensor, quantize(als.model, quantizer));

  qaf::CpAdmmOptions paper_options = qaf::paper_options();
  paper_options.tolerance = 0;
  paper_options.patience = paper_options.max_iterations;
  const auto paper = cp_admm(tensor, als.model, quantizer, paper_options);
  figures.paper = paper.relative_error;
  figures.paper_seconds = als.seconds + paper.seconds;

  quantizer = qaf::UniformQuantizer();
  quantizer.bits = bits;
  qaf::CpAdmmOptions options = qaf::cp_admm_options(effort);
  options.start.seed = seed;
  const auto ours = cp_admm(tensor, rank, quantizer, options);
  figures.ours = ours.relative_error;
  figures.our_seconds = ours.seconds;
  return figures;
}

int environment_number(const char* name, int otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::vector<std::string> files(argv + 1, argv + argc);
    if (files.empty())
      for (const char* layer : {"conv2", "conv3", "conv4", "conv5", "conv6"})
        files.push_back(std::string(QAF_EXAMPLE_DATA "/network/") + layer + ".weight.npy");
    const int bits = environment_number("QAF_BITS", 4);
    const int seeds = environment_number("QAF_SEEDS", 3);
    const qaf::Effort efforts[] = {qaf::Effort::quick, qaf::Effort::normal, qaf::Effort::thorough};
    const int effort = environment_number("QAF_EFFORT", 1);
    if (bits < 2 || bits > 8 || seeds < 1 || effort < 0 || effort > 2)
      throw std::invalid_argument("QAF_BITS must be 2 to 8, QAF_SEEDS 1 or more, QAF_EFFORT 0 to 2");

    Table table({"layer", "rank", "float", "ALS, PTQ", "paper", "qaf", "paper (s)", "qaf (s)"});
    Figures sum;
    for (const std::string& file : files) {
      const auto tensor = as_factored_tensor(qaf::read_npy<float>(file));
      const qaf::Index rank = rank_for_reduction(tensor.dimensions(), 2);
      Figures layer;
      for (int seed = 0; seed < seeds; ++seed)
        layer.add(measure(tensor, rank, bits, static_cast<std::uint64_t>(seed), efforts[effort]), 1.0 / seeds);
      table.add(layer.row(std::filesystem::path(file).filename().string(), std::to_string(rank)));
      sum.add(layer, 1);
    }
    Figures mean = sum;
    const double layers = static_cast<double>(files.size());
    mean.add(sum, 1 / layers - 1);
    mean.paper_seconds = sum.paper_seconds;
    mean.our_seconds = sum.our_seconds;
    table.add(mean.row("mean; seconds: sum", ""));
    std::printf("relative error at %d bits, mean of %d seeds\n\n", bits, seeds);
    table.print();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "quantized_error_benchmark: %s\n", error.what());
    return 1;
  }
}
