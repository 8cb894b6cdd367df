// Sums of a tensor over some of its modes, and the panels that they are made of.

#include <cstddef>
#include <vector>

#include <qaf/detail/contraction.hpp>
#include <qaf/detail/gram.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/random.hpp>

#include "support/catch.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::Index;
using qaf::Matrix;
using qaf::detail::Contraction;
using qaf::detail::KhatriRao;
using qaf::detail::NormalGenerator;
using qaf::detail::PanelLayout;
using qaf::detail::PanelMatrix;
using qaf::detail::PanelView;

struct Sizes {
  Index fast, middle, slow;
};

/// A random tensor, random factors of the indices summed over, and the sums in double.
template <typename Scalar>
struct Example {
  Matrix<Scalar> entries;
  std::vector<Matrix<Scalar>> factors;
  Matrix<double> sums;

  Example(const Sizes& sizes, bool keeps_middle, Index rank) {
    NormalGenerator normal(3);
    entries = normal.matrix<Scalar>(sizes.fast * sizes.middle, sizes.slow);
    if (keeps_middle) {
      factors = {normal.matrix<Scalar>(sizes.fast, rank), normal.matrix<Scalar>(sizes.slow, rank)};
    } else {
      factors = {normal.matrix<Scalar>(sizes.middle, rank)};
    }
    sums.setZero(keeps_middle ? sizes.middle : sizes.fast * sizes.slow, rank);
    for (Index s = 0; s < sizes.slow; ++s) {
      for (Index m = 0; m < sizes.middle; ++m) {
        for (Index f = 0; f < sizes.fast; ++f) {
          for (Index r = 0; r < rank; ++r) {
            const double product = keeps_middle
                                       ? static_cast<double>(factors[0](f, r)) * static_cast<double>(factors[1](s, r))
                                       : static_cast<double>(factors[0](m, r));
            sums(keeps_middle ? m : f + s * sizes.fast, r) +=
                product * static_cast<double>(entries(f + m * sizes.fast, s));
          }
        }
      }
    }
  }
};

template <typename Scalar>
Matrix<Scalar> contracted(const Example<Scalar>& example, const Sizes& sizes, bool keeps_middle,
                          const PanelLayout<Scalar>& layout, int threads) {
  const Contraction<Scalar> contraction{example.entries.data(), sizes.fast, sizes.middle, sizes.slow, keeps_middle};
  std::vector<PanelMatrix<Scalar>> panels(example.factors.size());
  std::vector<PanelView<Scalar>> views;
  for (std::size_t n = 0; n < panels.size(); ++n) {
    panels[n].assign(example.factors[n], layout);
    views.push_back(panels[n].view());
  }
  KhatriRao<Scalar> product(views);
  PanelMatrix<Scalar> result;
  result.resize(contraction.cells(), layout);
  qaf::detail::contract(contraction, product, threads, result.view());
  return result.view().to_matrix(Scalar(1));
}

}  // namespace

TEMPLATE_TEST_CASE("A contraction is the sum over the indices that are not kept", "[contraction]", float, double) {
  // Runs of cells and of terms that are shorter and longer than a tile, and more terms than a slab has.
  for (const Sizes& sizes : std::vector<Sizes>{{1, 1, 1},
                                               {1, 5, 3},
                                               {3, 5, 1},
                                               {2, 3, 4},
                                               {1, 50, 40},
                                               {40, 50, 1},
                                               {9, 7, 20},
                                               {40, 3, 5},
                                               {33, 9, 2},
                                               {20, 40, 3},
                                               {1, 7, 600},
                                               {600, 7, 1},
                                               {30, 5, 35},
                                               {21, 700, 2}}) {
    for (const bool keeps_middle : {false, true}) {
      for (const Index rank : {1, 4, 9, 16, 24, 40, 64, 100, 150}) {
        const Example<TestType> example(sizes, keeps_middle, rank);
        for (const bool single : {false, true}) {
          for (const int threads : {1, 3}) {
            CAPTURE(sizes.fast, sizes.middle, sizes.slow, keeps_middle, rank, single, threads);
            CHECK(support::matrix_distance(
                      contracted(example, sizes, keeps_middle, PanelLayout<TestType>(rank, single), threads),
                      example.sums) < support::Tolerance<TestType>::product);
          }
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("Panels hold a matrix and zeros", "[contraction]", float, double) {
  for (const Index rank : {1, 7, 8, 16, 17, 63, 64, 65, 134, 300}) {
    for (const Index rows : {1, 2, 31, 32, 33, 100}) {
      const Matrix<TestType> matrix = NormalGenerator(1).matrix<TestType>(rows, rank);
      for (const bool single : {false, true}) {
        CAPTURE(rank, rows, single);
        const PanelLayout<TestType> layout(rank, single);
        PanelMatrix<TestType> panels;
        panels.assign(matrix, layout);
        CHECK(panels.view().to_matrix(TestType(1)) == matrix);
        CHECK(panels.view().to_matrix(TestType(-2)) == TestType(-2) * matrix);
        Index components = 0;
        for (Index k = 0; k < layout.panels(); ++k) {
          CHECK(layout.begin(k) == components);
          components += layout.width(k);
          for (Index i = 0; i < rows; ++i)
            for (Index r = layout.count(k); r < layout.width(k); ++r)
              CHECK(panels.view().panel(k)[i * layout.width(k) + r] == 0);
        }
        CHECK(components == layout.padded_rank());
        CHECK(components - rank < qaf::detail::packet_size<TestType>);
      }
    }
  }
}

TEMPLATE_TEST_CASE("A Gram matrix is symmetric to the bit", "[contraction]", float, double) {
  for (const Index rank : {1, 5, 16, 40, 134, 200}) {
    for (const Index rows : {1, 9, 64, 700}) {
      const Matrix<TestType> matrix = NormalGenerator(1).matrix<TestType>(rows, rank);
      const Matrix<double> exact = matrix.template cast<double>().transpose() * matrix.template cast<double>();
      PanelMatrix<TestType> panels;
      panels.assign(matrix, PanelLayout<TestType>(rank));
      for (const int threads : {1, 2, 3}) {
        CAPTURE(rank, rows, threads);
        const Matrix<TestType> gram = qaf::detail::symmetric_product(matrix, panels.view(), threads);
        CHECK(support::matrix_distance(gram, exact) < support::Tolerance<TestType>::product);
        CHECK(gram == gram.transpose());
      }
    }
  }
}
