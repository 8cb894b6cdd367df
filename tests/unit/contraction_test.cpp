// Sums of a tensor over some of its modes, and the panels that they are made of.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <vector>

#include <qaf/detail/contraction.hpp>
#include <qaf/detail/huge_pages.hpp>
#include <qaf/detail/packets.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/panel_products.hpp>
#include <qaf/detail/products.hpp>
#include <qaf/detail/random.hpp>
#include <qaf/detail/symmetric_panels.hpp>
#include <qaf/detail/transpose.hpp>

#include "support/catch.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::Index;
using qaf::Matrix;
using qaf::detail::Contraction;
using qaf::detail::NormalGenerator;
using qaf::detail::PanelLayout;
using qaf::detail::PanelMatrix;
using qaf::detail::PanelView;
using qaf::detail::SymmetricPanels;

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
      if (sizes.fast == 1) factors[0].setOnes();  // as if there were no such mode
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
Matrix<Scalar> contracted(const Example<Scalar>& example, const Contraction<Scalar>& contraction,
                          const PanelLayout<Scalar>& layout, int threads) {
  std::vector<PanelMatrix<Scalar>> panels(example.factors.size());
  std::vector<PanelView<Scalar>> views;
  for (std::size_t n = 0; n < panels.size(); ++n) {
    panels[n].assign(example.factors[n], layout);
    views.push_back(panels[n].view());
  }
  if (contraction.keeps_middle && contraction.fast == 1) views.erase(views.begin());
  PanelMatrix<Scalar> result;
  result.resize(contraction.cells(), layout);
  qaf::detail::contract(contraction, views, threads, result.view());
  return result.view().to_matrix(Scalar(1));
}

template <typename Scalar>
Matrix<Scalar> contracted(const Example<Scalar>& example, const Sizes& sizes, bool keeps_middle,
                          const PanelLayout<Scalar>& layout, int threads) {
  const Contraction<Scalar> contraction =
      qaf::detail::dense_contraction(example.entries.data(), sizes.fast, sizes.middle, sizes.slow, keeps_middle);
  return contracted(example, contraction, layout, threads);
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
        for (const int threads : {1, 3}) {
          CAPTURE(sizes.fast, sizes.middle, sizes.slow, keeps_middle, rank, threads);
          const PanelLayout<TestType> layout(rank);
          CHECK(support::matrix_distance(contracted(example, sizes, keeps_middle, layout, threads), example.sums) <
                support::Tolerance<TestType>::product);
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("A contraction of a part of a tensor does not touch the rest", "[contraction]", float, double) {
  for (const Sizes& sizes :
       std::vector<Sizes>{{1, 50, 40}, {40, 50, 1}, {9, 7, 20}, {33, 9, 2}, {20, 40, 3}, {60, 60, 9}}) {
    for (const bool keeps_middle : {false, true}) {
      for (const Index rank : {9, 40}) {
        const Example<TestType> example(sizes, keeps_middle, rank);
        for (const Index gap : {3, 100}) {
          CAPTURE(sizes.fast, sizes.middle, sizes.slow, keeps_middle, rank, gap);
          const Index middle_stride = sizes.fast + gap, slow_stride = sizes.middle * middle_stride + gap;
          qaf::Vector<TestType> memory(sizes.slow * slow_stride);
          memory.setConstant(std::numeric_limits<TestType>::quiet_NaN());
          for (Index s = 0; s < sizes.slow; ++s)
            for (Index m = 0; m < sizes.middle; ++m)
              memory.segment(s * slow_stride + m * middle_stride, sizes.fast) =
                  example.entries.col(s).segment(m * sizes.fast, sizes.fast);
          const Contraction<TestType> contraction{memory.data(), sizes.fast,  sizes.middle, sizes.slow,
                                                  middle_stride, slow_stride, keeps_middle};
          const PanelLayout<TestType> layout(rank);
          CHECK(support::matrix_distance(contracted(example, contraction, layout, 1), example.sums) <
                support::Tolerance<TestType>::product);
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("A contraction whose terms are a power of two apart", "[contraction]", float, double) {
  // Multiples of 64 KiB, over blocks of whole tiles and what is left of them.
  for (const Index cells : {16384, 49152}) {
    for (const Index rank : {3, 40, 70}) {
      for (const int threads : {1, 3}) {
        CAPTURE(cells, rank, threads);
        const Matrix<TestType> entries = NormalGenerator(3).matrix<TestType>(cells, 70),
                               factor = NormalGenerator(4).matrix<TestType>(70, rank);
        const Matrix<double> exact = entries.template cast<double>() * factor.template cast<double>();
        CHECK(support::matrix_distance(qaf::detail::product(entries, factor, threads), exact) <
              support::Tolerance<TestType>::product);
      }
    }
  }
}

TEMPLATE_TEST_CASE("The same in two parts, between which threads do not stop at whole tiles", "[contraction]", float,
                   double) {
  const Sizes sizes{16384, 70, 2};
  const PanelLayout<TestType> layout(2 * qaf::detail::packet_size<TestType>);  // tiles of 6 rows, on some machines
  const Example<TestType> example(sizes, false, layout.rank());
  for (const int threads : {1, 2, 3, 4}) {
    CAPTURE(threads);
    CHECK(support::matrix_distance(contracted(example, sizes, false, layout, threads), example.sums) <
          support::Tolerance<TestType>::product);
  }
}

TEMPLATE_TEST_CASE("Results that no cache holds, wherever they lie in memory", "[contraction]", float, double) {
  for (const Sizes& sizes : std::vector<Sizes>{{220003, 4, 1}, {221, 4, 1001}}) {
    const Example<TestType> example(sizes, false, 20);
    const PanelLayout<TestType> layout(20);
    const Contraction<TestType> contraction =
        qaf::detail::dense_contraction(example.entries.data(), sizes.fast, sizes.middle, sizes.slow, false);
    PanelMatrix<TestType> factor;
    factor.assign(example.factors[0], layout);
    const Index size = contraction.cells() * layout.padded_rank();
    REQUIRE(size * static_cast<Index>(sizeof(TestType)) > Index{1} << 24);
    constexpr Index line = 64 / static_cast<Index>(sizeof(TestType));
    qaf::Vector<TestType> memory(size + line + 3);
    Index boundary = 1;  // the first of a line, but for the first scalar of all
    while (reinterpret_cast<std::uintptr_t>(memory.data() + boundary) % 64 != 0) ++boundary;
    for (const int threads : {1, 3}) {
      for (const Index first : {boundary, boundary + 1}) {
        CAPTURE(sizes.fast, threads, first);
        REQUIRE(qaf::detail::is_on_boundary(memory.data() + first) ==
                (first == boundary || qaf::detail::packet_size<TestType> == 1));
        memory.setConstant(-1);
        const PanelView<TestType> result(memory.data() + first, contraction.cells(), layout);
        qaf::detail::contract(contraction, {factor.view()}, threads, result);
        CHECK(support::matrix_distance(result.to_matrix(TestType(1)), example.sums) <
              support::Tolerance<TestType>::product);
        CHECK((memory[first - 1] == -1 && memory[first + size] == -1));
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
        const auto layout = single ? PanelLayout<TestType>::single(rank) : PanelLayout<TestType>(rank);
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

TEMPLATE_TEST_CASE("Gram matrices and products of matrices", "[contraction]", float, double) {
  for (const Index rank : {1, 5, 16, 40, 134, 200}) {
    for (const Index rows : {1, 9, 64, 700}) {
      const Matrix<TestType> matrix = NormalGenerator(1).matrix<TestType>(rows, rank);
      const Matrix<double> exact = matrix.template cast<double>().transpose() * matrix.template cast<double>();
      PanelMatrix<TestType> panels;
      panels.assign(matrix, PanelLayout<TestType>(rank));
      for (const int threads : {1, 2, 3}) {
        CAPTURE(rank, rows, threads);
        SymmetricPanels<TestType> gram;
        gram.resize(PanelLayout<TestType>(rank));
        qaf::detail::symmetric_product(panels.view(), panels.view(), threads, gram.view());
        CHECK(support::matrix_distance(gram.to_matrix(), exact) < support::Tolerance<TestType>::product);
        CHECK(gram.to_matrix() == gram.to_matrix().transpose());
        CHECK(support::matrix_distance(qaf::detail::transposed_product(matrix, matrix, threads), exact) <
              support::Tolerance<TestType>::product);
        const Matrix<TestType> other = NormalGenerator(2).matrix<TestType>(rank, 7);
        CHECK(support::matrix_distance(qaf::detail::product(matrix, other, threads),
                                       Matrix<double>(matrix.template cast<double>() * other.template cast<double>())) <
              support::Tolerance<TestType>::product);
      }
    }
  }
}

TEMPLATE_TEST_CASE("Symmetric matrices in panels", "[contraction]", float, double) {
  for (const Index rank : {1, 3, 16, 50, 100}) {
    CAPTURE(rank);
    const Matrix<TestType> a = NormalGenerator(1).matrix<TestType>(rank, rank),
                           b = NormalGenerator(2).matrix<TestType>(rank, rank);
    const Matrix<TestType> one = a + a.transpose(), two = b + b.transpose();
    SymmetricPanels<TestType> panels, others;
    panels.assign(one);
    others.assign(two);
    CHECK(panels.to_matrix() == one);
    CHECK(panels.diagonal() == one.diagonal());
    CHECK(panels.inner_product(others) ==
          Approx(static_cast<double>(one.cwiseProduct(two).sum())).margin(1e-4 * static_cast<double>(rank)));
    panels.assign_product(panels, others);
    CHECK(panels.to_matrix() == one.cwiseProduct(two));
  }
}

TEMPLATE_TEST_CASE("Transposition in squares and what is left of them", "[contraction]", float, double) {
  for (const Index rows : {1, 7, 16, 31, 64, 70}) {
    for (const Index cols : {1, 5, 16, 33, 50}) {
      CAPTURE(rows, cols);
      const Matrix<TestType> from = NormalGenerator(1).matrix<TestType>(rows + 3, cols);
      Matrix<TestType> to = Matrix<TestType>::Zero(cols + 2, rows);
      qaf::detail::transpose(from.data(), rows + 3, rows, cols, to.data(), cols + 2, TestType(2));
      CHECK(to.topRows(cols) == TestType(2) * from.topRows(rows).transpose());
      CHECK(to.bottomRows(2).isZero(0));
    }
  }
}

// Sanitizers stop a program that asks for too much.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__) && INTPTR_MAX > INT32_MAX
TEST_CASE("Where there is not enough memory, nothing is freed twice", "[contraction]") {
  qaf::Vector<float> memory(10);
  CHECK_THROWS_AS(qaf::detail::grow(memory, Index{1} << 50), std::bad_alloc);
  CHECK(memory.size() == 0);
  qaf::detail::grow(memory, 20);
  CHECK(memory.size() == 20);
}
#endif

TEST_CASE("Of the Khatri-Rao product no more is made than a part of the terms needs", "[contraction]") {
  constexpr Index rank = 5, first = 40, others = 3000;
  const PanelLayout<float> layout(rank);
  std::vector<PanelMatrix<float>> panels(3);
  std::vector<PanelView<float>> factors;
  for (std::size_t n = 0; n < panels.size(); ++n) {
    panels[n].assign(NormalGenerator(n).matrix<float>(n == 0 ? first : n == 1 ? others : 2, rank), layout);
    factors.push_back(panels[n].view());
  }
  for (const Index cells : {2, 100000}) {  // by runs of the first factor, and by rows of the whole product
    qaf::detail::TermRowsOfParts<float> parts(factors, cells);
    for (const Index begin : {Index{0}, Index{39}, Index{40}, Index{120010}, 2 * first * others - 512}) {
      CAPTURE(cells, begin);
      const auto rows = parts.rows(begin, 512, 1);
      CHECK(rows.matrix.rows() + (rows.has_scales ? rows.scales.rows() : 0) <= 512 + first);
      for (const Index k : {begin, begin + 1, begin + 511}) {
        const Index a = k % first, b = k / first % others, c = k / first / others;
        const auto entry = [&](std::size_t n, Index i) { return factors[n].panel(0)[i * layout.width(0)]; };
        const float scale = rows.has_scales ? rows.scale(k, 0)[0] : 1.0F;
        CHECK(rows.row(k, 0)[0] * scale == Approx(entry(0, a) * entry(1, b) * entry(2, c)));
      }
    }
  }
}
