// Factorizing and solving, in panels.

#include <limits>

#include <Eigen/Cholesky>

#include <qaf/detail/cholesky.hpp>
#include <qaf/detail/random.hpp>

#include "support/catch.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::Index;
using qaf::Matrix;
using qaf::Vector;
using qaf::detail::Cholesky;
using qaf::detail::NormalGenerator;

/// Positive definite, its least eigenvalue about `least` times the mean one.
template <typename Scalar>
Matrix<Scalar> positive_definite(Index rank, double least) {
  const Matrix<double> a = NormalGenerator(1).matrix<double>(rank, rank);
  Matrix<double> k = a * a.transpose() / static_cast<double>(rank);
  k.diagonal().array() += least;
  return k.template cast<Scalar>();
}

}  // namespace

TEMPLATE_TEST_CASE("Solving with a factorization satisfies the equations", "[cholesky]", float, double) {
  for (const Index rank : {1, 2, 7, 8, 16, 17, 33, 48, 49, 64, 100, 134, 200}) {
    const Matrix<TestType> k = positive_definite<TestType>(rank, 0.1);
    const Vector<TestType> added = NormalGenerator(2).matrix<TestType>(rank, 1).cwiseAbs();
    const Matrix<double> system =
        k.template cast<double>() + Matrix<double>(added.template cast<double>().asDiagonal());
    for (const int threads : {1, 3}) {
      Cholesky<TestType> cholesky;
      cholesky.factorize(k, added, threads);
      CHECK(cholesky.is_well_conditioned());
      for (const Index rows : {1, 3, 8, 9, 40, 250}) {
        CAPTURE(rank, threads, rows);
        const Matrix<TestType> f = NormalGenerator(3).matrix<TestType>(rows, rank);
        Matrix<TestType> x = f;
        cholesky.solve_on_the_right(threads, x);
        CHECK(support::matrix_distance(Matrix<double>(x.template cast<double>() * system), f.template cast<double>()) <
              10 * support::Tolerance<TestType>::product);
      }
    }
  }
}

TEMPLATE_TEST_CASE("Threads share a factorization without a trace", "[cholesky]", float, double) {
  const Index rank = 300;
  const Matrix<TestType> k = positive_definite<TestType>(rank, 0.1);
  const Matrix<TestType> f = NormalGenerator(3).matrix<TestType>(200, rank);
  Matrix<TestType> one = f, three = f;
  Cholesky<TestType> cholesky;
  cholesky.factorize(k, Vector<TestType>::Zero(rank), 1);
  cholesky.solve_on_the_right(1, one);
  cholesky.factorize(k, Vector<TestType>::Zero(rank), 3);
  cholesky.solve_on_the_right(3, three);
  CHECK(one == three);
}

TEMPLATE_TEST_CASE("Solving leaves as little as Eigen's does", "[cholesky]", float, double) {
  for (const Index rank : {20, 134, 200}) {
    for (const double least : {1.0, 1e-2, 1e-4}) {
      CAPTURE(rank, least);
      const Matrix<TestType> k = positive_definite<TestType>(rank, least);
      const Matrix<TestType> f = NormalGenerator(3).matrix<TestType>(60, rank);
      const auto left = [&](const Matrix<TestType>& x) {
        return (x.template cast<double>() * k.template cast<double>() - f.template cast<double>()).norm();
      };
      Cholesky<TestType> cholesky;
      cholesky.factorize(k, Vector<TestType>::Zero(rank), 1);
      Matrix<TestType> x = f;
      cholesky.solve_on_the_right(1, x);
      CHECK(left(x) < 3 * left(k.llt().solve(f.transpose()).transpose()));
    }
  }
}

TEMPLATE_TEST_CASE("What is near to singular is told, and solved for a larger diagonal", "[cholesky]", float, double) {
  for (const Index rank : {1, 5, 40, 100}) {
    CAPTURE(rank);
    // Of half the rank; zero; and not even positive.
    const Matrix<TestType> a = NormalGenerator(1).matrix<TestType>(rank, (rank + 1) / 2);
    for (const Matrix<TestType>& k :
         {Matrix<TestType>(a * a.transpose()), Matrix<TestType>(Matrix<TestType>::Zero(rank, rank)),
          Matrix<TestType>(-Matrix<TestType>::Identity(rank, rank))}) {
      if (rank == 1 && k(0, 0) > 0) continue;
      Cholesky<TestType> cholesky;
      cholesky.factorize(k, Vector<TestType>::Zero(rank), 1);
      CHECK_FALSE(cholesky.is_well_conditioned());
      Matrix<TestType> x = NormalGenerator(3).matrix<TestType>(9, rank);
      cholesky.solve_on_the_right(1, x);
      CHECK(x.allFinite());
    }
  }
}

#if !QAF_PRODUCTS_BY_BLAS  // LAPACK takes any pivot above 0
TEMPLATE_TEST_CASE("A pivot that is rounding alone does not blow up a solution", "[cholesky]", float, double) {
  constexpr TestType epsilon = std::numeric_limits<TestType>::epsilon();
  Matrix<TestType> k = Matrix<TestType>::Ones(2, 2);
  k(1, 1) += epsilon;
  Cholesky<TestType> cholesky;
  cholesky.factorize(k, Vector<TestType>::Zero(2), 1);
  CHECK_FALSE(cholesky.is_well_conditioned());
  Matrix<TestType> x = Matrix<TestType>::Identity(2, 2);
  cholesky.solve_on_the_right(1, x);
  // Of 1, 1; 1, 2 in the place of what no digit tells from a matrix without an inverse.
  CHECK(x(0, 0) == Approx(2));
  CHECK(x(0, 1) == Approx(-1));
  CHECK(x(1, 1) == Approx(1));
}
#endif
