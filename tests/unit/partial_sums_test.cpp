// Sums of partial products: over one mode, and over all but one.

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
                                     threads, false, sums.view());
          CHECK(support::matrix_distance(sums.view().to_matrix(TestType(1)), exact) <
                support::Tolerance<TestType>::product);
          qaf::detail::sum_over_mode(example.row_panels.view(), static_cast<Index>(mode), example.modes, example.views,
                                     threads, true, sums.view());
          CHECK(support::matrix_distance(sums.view().to_matrix(TestType(1)), Matrix<double>(2 * exact)) <
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
          sum.run(example.row_panels.view(), threads, sums.view());
          CHECK(support::matrix_distance(sums.view().to_matrix(TestType(1)), exact) <
                support::Tolerance<TestType>::product);
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("A slab of a pass is what the pass leaves for one index", "[partial_sums]", float, double) {
  for (const std::vector<Index>& lengths :
       std::vector<std::vector<Index>>{{5, 4, 3}, {9, 2, 40}, {1, 7, 5}, {7, 1, 5, 1}, {6, 5, 4, 3}, {3, 2, 4, 3, 5}}) {
    const Index order = static_cast<Index>(lengths.size());
    const Example<TestType> example(lengths, 20);
    for (const qaf::StorageOrder storage_order : support::both_orders) {
      const auto tensor = support::random_tensor<TestType>(lengths, storage_order);
      const Index fastest = qaf::detail::modes_in_memory(qaf::tensor_view(tensor)).front();
      for (Index first = 0; first < order; ++first) {
        for (Index count = 2; first != fastest && count < order; ++count) {
          CAPTURE(lengths, static_cast<int>(storage_order), first, count);
          const qaf::detail::TensorPass<TestType> pass(qaf::tensor_view(tensor), first, count);
          PanelMatrix<TestType> whole, slab;
          whole.resize(pass.cells(), example.layout);
          pass.run(example.views, 1, whole.view());
          const Matrix<TestType> rows = whole.view().to_matrix(TestType(1));
          Index stride = 1;
          for (auto mode = pass.kept().begin(); *mode != first; ++mode)
            stride *= lengths[static_cast<std::size_t>(*mode)];
          const Index length = lengths[static_cast<std::size_t>(first)];
          slab.resize(pass.cells() / length, example.layout);
          for (Index index = 0; index < length; ++index) {
            pass.run_slab(index, example.views, 1, slab.view());
            Matrix<double> wanted(pass.cells() / length, rows.cols());
            for (Index row = 0; row < wanted.rows(); ++row)
              wanted.row(row) =
                  rows.row(row % stride + (row / stride * length + index) * stride).template cast<double>();
            CHECK(support::matrix_distance(slab.view().to_matrix(TestType(1)), wanted) <
                  support::Tolerance<TestType>::product);
          }
        }
      }
    }
  }
}
