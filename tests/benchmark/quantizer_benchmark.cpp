// What quantizing a factor costs, against a plain pass that copies it and rounds every entry:
//
//   quantizer_benchmark [--rows N] [--columns N] [--bits B] [--turns N]
//
// The default is the largest intermediate of a 512 x 512 x 9 layer at rank 1141, float32. The ratio is that of fitting,
// encoding and decoding to one pass, medians of turns in which all are measured one after the other. All return new
// matrices, as does the pass; some turns before make the allocator keep their memory, since asking the system for it is
// most of the time of either. The error is relative, of normal entries.
//
//   quantizer_benchmark --searches
//
// is about the search for a scale: what least squares and the grid of 200 scales leave over what the best scale leaves,
// for groups of many sizes and kinds of values.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <qaf/detail/random.hpp>
#include <qaf/quantizers/affine.hpp>
#include <qaf/quantizers/codebook.hpp>
#include <qaf/quantizers/compact_scales.hpp>
#include <qaf/quantizers/fixed_levels.hpp>
#include <qaf/quantizers/power_of_two.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "support/arguments.hpp"
#include "support/kinds_of_values.hpp"
#include "support/program.hpp"
#include "support/table.hpp"

namespace {

using Matrix = qaf::Matrix<float>;

template <typename Function>
double seconds_of(const Function& function) {
  const auto begin = std::chrono::steady_clock::now();
  function();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// Returns a new matrix, as encoding and decoding do.
Matrix copy_and_round(const Matrix& matrix) { return matrix.array().rint(); }

struct Benchmark {
  const Matrix& matrix;
  int turns;
  Table table;

  template <typename Quantizer>
  void add(const std::string& name, const Quantizer& quantizer) {
    constexpr int turns_before = 2;
    std::vector<double> pass, fit, encode, decode;
    double error = 0;
    for (int turn = -turns_before; turn < turns; ++turn) {
      if (turn == 0)
        for (auto* times : {&pass, &fit, &encode, &decode}) times->clear();
      pass.push_back(seconds_of([&] { static_cast<void>(copy_and_round(matrix)); }));
      Matrix decoded;
      typename Quantizer::Parameters parameters;
      qaf::Matrix<typename Quantizer::Code> codes;
      fit.push_back(seconds_of([&] { parameters = quantizer.fit(matrix); }));
      encode.push_back(seconds_of([&] { codes = quantizer.encode(matrix, parameters); }));
      decode.push_back(seconds_of([&] { decoded = quantizer.decode(codes, parameters); }));
      error = static_cast<double>((decoded - matrix).norm() / matrix.norm());
    }
    const double all = median(fit) + median(encode) + median(decode);
    table.add({name, std::to_string(quantizer.code_bits()), fixed(error, 4), fixed(1e3 * median(fit), 1),
               fixed(1e3 * median(encode), 1), fixed(1e3 * median(decode), 1), fixed(1e3 * median(pass), 1),
               fixed(all / median(pass), 1)});
  }
};

/// The squared error that scales by a method leave, one for each column.
double squared_error(const Matrix& matrix, int bits, qaf::ScaleMethod method) {
  qaf::UniformQuantizer quantizer;
  quantizer.bits = bits;
  quantizer.scale_method = method;
  const auto parameters = quantizer.fit(matrix);
  return (quantizer.decode(quantizer.encode(matrix, parameters), parameters) - matrix).cast<double>().squaredNorm();
}

/// The mean and the largest of some numbers.
std::string mean_and_most(const std::vector<double>& numbers) {
  double sum = 0;
  for (const double number : numbers) sum += number;
  return fixed(sum / static_cast<double>(numbers.size()), 4) + " (" +
         fixed(*std::max_element(numbers.begin(), numbers.end()), 4) + ")";
}

void compare_searches() {
  constexpr qaf::Index entries = 100000;  // of all groups of a kind
  Table table({"search", "entries", "2 bits", "3 bits", "4 bits", "6 bits", "8 bits"});
  for (const qaf::Index size : {9, 32, 64, 512, 4608, 4608 * 1141}) {
    std::vector<std::string> fast{"least squares", std::to_string(size)}, grid{"200 scales", std::to_string(size)};
    for (const int bits : {2, 3, 4, 6, 8}) {
      std::vector<double> of_fast, of_grid;
      for (const std::string& kind : kinds_of_values()) {
        Matrix matrix(size, std::max(entries / size, qaf::Index{1}));
        for (qaf::Index r = 0; r < matrix.cols(); ++r)
          matrix.col(r) = values_of_kind<float>(kind, size, static_cast<std::uint64_t>(r));
        const double least = squared_error(matrix, bits, qaf::ScaleMethod::exact);
        of_fast.push_back(squared_error(matrix, bits, qaf::ScaleMethod::least_squares) / least);
        of_grid.push_back(squared_error(matrix, bits, qaf::ScaleMethod::grid) / least);
      }
      fast.push_back(mean_and_most(of_fast));
      grid.push_back(mean_and_most(of_grid));
    }
    table.add(fast);
    table.add(grid);
  }
  std::printf("Squared error over that of the best scales: mean and largest of %zu kinds of values\n\n",
              kinds_of_values().size());
  table.print();
}

void run(const Arguments& arguments) {
  if (arguments.has("--searches")) return compare_searches();
  const qaf::Index rows = arguments.whole_number("--rows", 1, 1000000, 4608);
  const qaf::Index columns = arguments.whole_number("--columns", 1, 1000000, 1141);
  const int bits = static_cast<int>(arguments.whole_number("--bits", 2, 7, 4));
  const int turns = static_cast<int>(arguments.whole_number("--turns", 1, 1000, 15));
  const Matrix matrix = qaf::detail::NormalGenerator(0).matrix<float>(rows, columns);
  Benchmark benchmark{
      matrix, turns,
      Table({"quantizer", "bits", "error", "fit (ms)", "encode (ms)", "decode (ms)", "pass (ms)", "ratio"})};

  qaf::UniformQuantizer uniform;
  uniform.bits = bits;
  benchmark.add("uniform", uniform);
  for (const auto& [name, granularity] : {std::pair{"uniform, a scale per tensor", qaf::Granularity::tensor},
                                          std::pair{"uniform, a scale per row", qaf::Granularity::row},
                                          std::pair{"uniform, a scale per block of 32", qaf::Granularity::block}}) {
    qaf::UniformQuantizer other = uniform;
    other.granularity = granularity;
    benchmark.add(name, other);
  }
  for (const auto& [name, method] : {std::pair{"uniform, scale by the maximum", qaf::ScaleMethod::maximum},
                                     std::pair{"uniform, best of 200 scales", qaf::ScaleMethod::grid},
                                     std::pair{"uniform, best of all scales", qaf::ScaleMethod::exact}}) {
    qaf::UniformQuantizer other = uniform;
    other.scale_method = method;
    benchmark.add(name, other);
  }
  qaf::AffineQuantizer affine;
  affine.bits = bits;
  benchmark.add("affine", affine);
  benchmark.add("uniform, scales powers of two", qaf::CompactScales<qaf::UniformQuantizer>{uniform});
  qaf::PowerOfTwoQuantizer power_of_two;
  power_of_two.table.bits = bits;
  benchmark.add("power-of-two", power_of_two);
  qaf::AdditivePowerOfTwoQuantizer additive;
  additive.table.bits = bits;
  benchmark.add("additive power-of-two", additive);
  benchmark.add("ternary", qaf::TernaryQuantizer());
  benchmark.add("binary", qaf::BinaryQuantizer());
  benchmark.add("nf4", qaf::NormalFloat4Quantizer());
  qaf::CodebookQuantizer codebook;
  codebook.bits = bits;
  codebook.granularity = qaf::Granularity::component;
  benchmark.add("codebook", codebook);

  std::printf("%td x %td normal entries, float32, medians of %d turns\n\n", rows, columns, turns);
  benchmark.table.print();
}

}  // namespace

int main(int argc, char** argv) {
  const Program program{"quantizer_benchmark",
                        "usage: quantizer_benchmark [options]\n",
                        {{"--rows", "N", "of the matrix (default 4608)"},
                         {"--columns", "N", "of the matrix (default 1141)"},
                         {"--bits", "B", "of a code, where it can be chosen, 2 to 7 (default 4)"},
                         {"--turns", "N", "measurements to take the median of (default 15)"},
                         {"--searches", "", "compare searches for scales instead"}}};
  return run_program(program, argc, argv, run);
}
