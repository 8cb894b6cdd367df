// The parts that sweeps are made of, with Google Benchmark: rates in flops a second. To compare builds, such as with
// and without -march=native, or processors; `sweep_benchmark` has the ratios.

#include <cstddef>
#include <vector>

#include <benchmark/benchmark.h>

#include <qaf/detail/cholesky.hpp>
#include <qaf/detail/panel_products.hpp>
#include <qaf/detail/random.hpp>
#include <qaf/detail/symmetric_panels.hpp>
#include <qaf/detail/tensor_pass.hpp>
#include <qaf/quantizers/uniform.hpp>

namespace {

using qaf::Index;
using qaf::detail::NormalGenerator;
using qaf::detail::PanelLayout;
using qaf::detail::PanelMatrix;
using qaf::detail::PanelView;

void set_flops(benchmark::State& state, double flops) {
  state.counters["flops"] = benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
}

/// Random factors in panels.
template <typename Scalar>
struct Factors {
  std::vector<PanelMatrix<Scalar>> panels;
  std::vector<PanelView<Scalar>> views;

  Factors(const std::vector<Index>& dimensions, Index rank) : panels(dimensions.size()) {
    for (std::size_t n = 0; n < panels.size(); ++n) {
      panels[n].assign(NormalGenerator(n).matrix<Scalar>(dimensions[n], rank), PanelLayout<Scalar>(rank));
      views.push_back(panels[n].view());
    }
  }
};

/// A pass over a cube of order 3 that sums over `range(2)` and keeps one mode or two.
template <typename Scalar>
void tensor_pass(benchmark::State& state) {
  const Index length = state.range(0), rank = state.range(1), first = state.range(2), kept = state.range(3);
  const std::vector<Index> dimensions(3, length);
  qaf::DenseTensor<Scalar> tensor(dimensions);
  NormalGenerator normal(9);
  for (Index k = 0; k < tensor.size(); ++k) tensor.data()[k] = static_cast<Scalar>(normal());
  const Factors<Scalar> factors(dimensions, rank);
  const qaf::detail::TensorPass<Scalar> pass(qaf::tensor_view(tensor), first, kept);
  PanelMatrix<Scalar> result;
  result.resize(pass.cells(), PanelLayout<Scalar>(rank));
  for (auto _ : state) pass.run(factors.views, 1, result.view());
  set_flops(state, 2.0 * static_cast<double>(tensor.size()) * static_cast<double>(rank));
}

template <typename Scalar>
void gram_matrix(benchmark::State& state) {
  const Factors<Scalar> factors({state.range(0)}, state.range(1));
  qaf::detail::SymmetricPanels<Scalar> gram;
  gram.resize(PanelLayout<Scalar>(state.range(1)));
  for (auto _ : state) qaf::detail::symmetric_product(factors.views[0], factors.views[0], 1, gram.view());
  set_flops(state, static_cast<double>(state.range(0)) * static_cast<double>(state.range(1) * state.range(1)));
}

template <typename Scalar>
void factorize(benchmark::State& state) {
  const Index rank = state.range(0);
  const qaf::Matrix<Scalar> a = NormalGenerator(1).matrix<Scalar>(rank, rank);
  qaf::detail::SymmetricPanels<Scalar> matrix;
  matrix.assign(a * a.transpose());
  qaf::detail::Cholesky<Scalar> cholesky;
  for (auto _ : state) cholesky.factorize(matrix, qaf::Vector<Scalar>::Ones(rank), 1);
  set_flops(state, static_cast<double>(rank * rank * rank) / 3);
}

template <typename Scalar>
void solve(benchmark::State& state) {
  const Index rows = state.range(0), rank = state.range(1);
  const Factors<Scalar> factors({rows}, rank);
  qaf::detail::SymmetricPanels<Scalar> matrix;
  matrix.assign(qaf::Matrix<Scalar>::Identity(rank, rank));
  qaf::detail::Cholesky<Scalar> cholesky;
  cholesky.factorize(matrix, qaf::Vector<Scalar>::Zero(rank), 1);
  for (auto _ : state) cholesky.solve_on_the_right(1, factors.views[0]);
  set_flops(state, 2.0 * static_cast<double>(rows) * static_cast<double>(rank * rank));
}

template <typename Scalar>
void quantize(benchmark::State& state) {
  const qaf::Matrix<Scalar> matrix = NormalGenerator(1).matrix<Scalar>(state.range(0), state.range(1));
  qaf::UniformQuantizer quantizer;
  quantizer.bits = 4;
  for (auto _ : state) {
    const auto parameters = quantizer.fit(matrix);
    benchmark::DoNotOptimize(quantizer.decode(quantizer.encode(matrix, parameters), parameters));
  }
  state.SetItemsProcessed(state.iterations() * matrix.size());
}

}  // namespace

#define QAF_BENCHMARK(name, ...)               \
  BENCHMARK_TEMPLATE(name, float) __VA_ARGS__; \
  BENCHMARK_TEMPLATE(name, double) __VA_ARGS__

QAF_BENCHMARK(tensor_pass, ->Args({200, 16, 0, 2})
                               ->Args({200, 16, 1, 2})
                               ->Args({200, 16, 2, 2})
                               ->Args({200, 16, 1, 1})
                               ->Args({200, 64, 0, 2})
                               ->Args({200, 200, 0, 2}));
QAF_BENCHMARK(gram_matrix, ->Args({64, 134})->Args({512, 1141})->Args({9, 1141}));
QAF_BENCHMARK(factorize, ->Arg(134)->Arg(499)->Arg(1141));
QAF_BENCHMARK(solve, ->Args({64, 134})->Args({512, 1141})->Args({9, 1141}));
QAF_BENCHMARK(quantize, ->Args({64, 134})->Args({4608, 1141}));

BENCHMARK_MAIN();
