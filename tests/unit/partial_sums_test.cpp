// Sums of partial products: over one mode, and over all but one.

#include <algorithm>
#include <cstddef>
#include <vector>

#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/random.hpp>
#include <qaf/detail/sum_over_mode.hpp>
#include <qaf/detail/sum_over_others.hpp>
#include <qaf/detail/tensor_pass.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::Index;
using qaf::Matrix;
using qaf::detail::NormalGenerator;
using qaf::detail::PanelLayout;
using qaf::detail::PanelMatrix;
using qaf::detail::PanelView;

/// Random rows for all combinations of some indices, and random factors.
template <typename Scalar>
struct Example {
  std::vector<Index> lengths, modes;
  Matrix<Scalar> rows;
  std::vector<Matrix<Scalar>> factors;
  PanelLayout<Scalar> layout;
  PanelMatrix<Scalar> row_panels;
  std::vector<PanelMatrix<Scalar>> factor_panels;
  std::vector<PanelView<Scalar>> views;

  Example(const std::vector<Index>& lengths_, Index rank)
      : lengths(lengths_), layout(rank), factor_panels(lengths_.size()) {
    NormalGenerator normal(5);
    Index count = 1;
    for (std::size_t n = 0; n < lengths.size(); ++n) {
      modes.push_back(static_cast<Index>(n));
      factors.push_back(normal.matrix<Scalar>(lengths[n], rank));
      factor_panels[n].assign(factors[n], layout);
      views.push_back(factor_panels[n].view());
      count *= lengths[n];
    }
    rows = normal.matrix<Scalar>(count, rank);
    row_panels.assign(rows, layout);
  }

  /// A row's index in a mode.
  Index index(Index row, std::size_t mode) const {
    for (std::size_t n = 0; n < mode; ++n) row /= lengths[n];
    return row % lengths[mode];
  }

  /// The rows times the factors of all modes but one, or of one alone, those of the same `key(row)` added.
  template <typename Key>
  Matrix<double> sums(std::size_t mode, bool over_others, Index count, const Key& key) const {
    Matrix<double> result = Matrix<double>::Zero(count, rows.cols());
    for (Index row = 0; row < rows.rows(); ++row) {
      auto product = rows.row(row).template cast<double>().array().eval();
      for (std::size_t n = 0; n < lengths.size(); ++n)
        if ((n != mode) == over_others) product *= factors[n].row(index(row, n)).template cast<double>().array();
      result.row(key(row)) += product.matrix();
    }
    return result;
  }
};

// Few and many rows of every kind.
const std::vector<std::vector<Index>> shapes = {
    {4, 3},     {1, 5, 1},    {3, 40, 2},    {40, 2, 3},    {5, 7, 600},   {3000, 11},    {20000, 2},
    {2, 20000}, {50, 11, 60}, {2, 3, 20, 4}, {40, 2, 3, 4}, {30, 4, 5, 2}, {2, 3, 30, 70}};

}  // namespace

TEMPLATE_TEST_CASE("A partial product is summed over one mode", "[partial_sums]", float, double) {
  for (const std::vector<Index>& lengths : shapes) {
    for (const Index rank : {3, 70}) {
      const Example<TestType> example(lengths, rank);
      Index stride = 1;
      for (std::size_t mode = 0; mode < lengths.size(); stride *= lengths[mode], ++mode) {
        const Index period = stride * lengths[mode];
        const auto key = [&](Index row) { return row % stride + row / period * stride; };
        const Matrix<double> exact = example.sums(mode, false, example.rows.rows() / lengths[mode], key);
        for (const int threads : {1, 3}) {
          CAPTURE(lengths, rank, mode, threads);
          PanelMatrix<TestType> sums;
          sums.resize(exact.rows(), example.layout);
          qaf::detail::sum_over_mode(example.row_panels.view(), static_cast<Index>(mode), example.modes, example.views,
                                     threads, sums.view());
          CHECK(support::matrix_distance(sums.view().to_matrix(TestType(1)), exact) <
                support::Tolerance<TestType>::product);
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("A partial product is summed over all modes but one", "[partial_sums]", float, double) {
  qaf::detail::SumOverOthers<TestType> sum;  // with memory of other sizes, too
  for (const std::vector<Index>& lengths : shapes) {
    for (const Index rank : {3, 70}) {
      const Example<TestType> example(lengths, rank);
      for (std::size_t mode = 0; mode < lengths.size(); ++mode) {
        const auto key = [&](Index row) { return example.index(row, mode); };
        const Matrix<double> exact = example.sums(mode, true, lengths[mode], key);
        for (const int threads : {1, 3}) {
          CAPTURE(lengths, rank, mode, threads);
          PanelMatrix<TestType> sums;
          sums.resize(exact.rows(), example.layout);
          sum.assign(static_cast<Index>(mode), example.modes, example.views, threads);
          CHECK(sum.terms() == example.rows.rows() / lengths[mode]);
          sum.run(example.row_panels.view(), threads, sums.view());
          CHECK(support::matrix_distance(sums.view().to_matrix(TestType(1)), exact) <
                support::Tolerance<TestType>::product);
          // The same in ranges, some rows at a time.
          sums.set_zero();
          sum.make_ranges(3);
          for (const Index range : {0, 1, 2}) sum.clear(range);
          const Index rows = example.rows.rows(), step = rows / 7 + 1;
          for (Index begin = 0; begin < rows; begin += step)
            sum.add(begin / step % 3, example.row_panels.view(), begin, std::min(begin + step, rows));
          sum.add_ranges(3, threads, sums.view());
          CHECK(support::matrix_distance(sums.view().to_matrix(TestType(1)), exact) <
                support::Tolerance<TestType>::product);
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("What goes past the caches is summed while it is made", "[partial_sums]", float, double) {
  const std::vector<Index> dimensions{45, 44, 48, 46};  // runs of whole tiles, and with short ones at their ends
  const auto tensor = support::random_tensor<TestType>(dimensions, qaf::StorageOrder::column_major);
  const PanelLayout<TestType> layout(50);
  std::vector<PanelMatrix<TestType>> factors(dimensions.size());
  std::vector<PanelView<TestType>> views;
  for (std::size_t n = 0; n < factors.size(); ++n) {
    factors[n].assign(NormalGenerator(n).matrix<TestType>(dimensions[n], layout.rank()), layout);
    views.push_back(factors[n].view());
  }
  PanelMatrix<TestType> plain, summed, sums, one_thread;
  qaf::detail::SumOverOthers<TestType> sum;
  qaf::Vector<TestType> memory(45 * 48 * 46 * layout.padded_rank() + 1);
  for (Index first = 0; first < 4; ++first) {
    const qaf::detail::TensorPass<TestType> pass(qaf::tensor_view(tensor), first, 3);
    REQUIRE(pass.cells() * layout.padded_rank() * static_cast<Index>(sizeof(TestType)) > Index{1} << 24);
    plain.resize(pass.cells(), layout);
    pass.run(views, 1, plain.view());
    for (Index mode = first; mode < first + 2; ++mode) {
      PanelMatrix<TestType> exact;
      exact.resize(dimensions[static_cast<std::size_t>(mode % 4)], layout);
      sum.assign(mode % 4, pass.kept(), views, 1);
      sum.run(plain.view(), 1, exact.view());
      for (const int threads : {1, 3}) {
        CAPTURE(first, mode, threads);
        summed.resize(pass.cells(), layout);
        summed.set_zero();
        sums.resize(exact.view().rows(), layout);
        pass.run(views, mode % 4, threads, summed.view(), sum, sums.view());
        CHECK(summed.view().to_matrix(TestType(1)) == plain.view().to_matrix(TestType(1)));
        CHECK(support::matrix_distance(sums.view().to_matrix(TestType(1)),
                                       exact.view().to_matrix(TestType(1)).template cast<double>()) <
              support::Tolerance<TestType>::product);
        if (threads == 1) one_thread.assign(sums.view().to_matrix(TestType(1)), layout);
        CHECK(sums.view().to_matrix(TestType(1)) == one_thread.view().to_matrix(TestType(1)));
      }
      // Where the rows do not lie on a boundary of registers, and cannot be stored past the caches.
      const PanelView<TestType> aside(memory.data() + 1, pass.cells(), layout);
      pass.run(views, mode % 4, 1, aside, sum, sums.view());
      CHECK(sums.view().to_matrix(TestType(1)) == one_thread.view().to_matrix(TestType(1)));
    }
  }
}
