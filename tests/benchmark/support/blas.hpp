#pragma once

// The few BLAS routines that the stand-in for other libraries calls, on Eigen's column-major matrices: a BLAS where
// CMake found one (QAF_HAS_BLAS), else Eigen's own products.

#include <Eigen/Core>

#include <qaf/types.hpp>

#ifdef QAF_HAS_BLAS

#ifndef EIGEN_USE_BLAS  // which declares them too
extern "C" {
void sgemm_(const char*, const char*, const int*, const int*, const int*, const float*, const float*, const int*,
            const float*, const int*, const float*, float*, const int*);
void dgemm_(const char*, const char*, const int*, const int*, const int*, const double*, const double*, const int*,
            const double*, const int*, const double*, double*, const int*);
void sgemv_(const char*, const int*, const int*, const float*, const float*, const int*, const float*, const int*,
            const float*, float*, const int*);
void dgemv_(const char*, const int*, const int*, const double*, const double*, const int*, const double*, const int*,
            const double*, double*, const int*);
void ssyrk_(const char*, const char*, const int*, const int*, const float*, const float*, const int*, const float*,
            float*, const int*);
void dsyrk_(const char*, const char*, const int*, const int*, const double*, const double*, const int*, const double*,
            double*, const int*);
void strsm_(const char*, const char*, const char*, const char*, const int*, const int*, const float*, const float*,
            const int*, float*, const int*);
void dtrsm_(const char*, const char*, const char*, const char*, const int*, const int*, const double*, const double*,
            const int*, double*, const int*);
}
#endif

#ifdef __GNUC__
extern "C" __attribute__((weak)) void openblas_set_num_threads(int);
#endif

namespace blas {

inline void set_threads(int threads) {
#ifdef __GNUC__
  if (openblas_set_num_threads != nullptr) openblas_set_num_threads(threads);
#else
  static_cast<void>(threads);
#endif
}

template <typename Scalar, typename Float, typename Double>
auto* of_type(Float* single, Double* twice) {
  if constexpr (std::is_same_v<Scalar, float>)
    return single;
  else
    return twice;
}

/// `C = A B` or `A^T B`; A is given by its leading dimension and, like C, its columns or rows.
template <typename Scalar>
void gemm(bool transposed, qaf::Index rows, qaf::Index inner, const Scalar* a, const qaf::Matrix<Scalar>& b,
          qaf::Matrix<Scalar>& c) {
  const int m = static_cast<int>(rows), k = static_cast<int>(inner), n = static_cast<int>(b.cols());
  const int lda = transposed ? k : m, ldb = static_cast<int>(b.rows());
  const Scalar one = 1, zero = 0;
  c.resize(rows, b.cols());
  of_type<Scalar>(sgemm_, dgemm_)(transposed ? "T" : "N", "N", &m, &n, &k, &one, a, &lda, b.data(), &ldb, &zero,
                                  c.data(), &m);
}

/// `y = A x` or `A^T x`.
template <typename Scalar>
void gemv(bool transposed, qaf::Index rows, qaf::Index cols, const Scalar* a, const Scalar* x, Scalar* y) {
  const int m = static_cast<int>(rows), n = static_cast<int>(cols), step = 1;
  const Scalar one = 1, zero = 0;
  of_type<Scalar>(sgemv_, dgemv_)(transposed ? "T" : "N", &m, &n, &one, a, &m, x, &step, &zero, y, &step);
}

/// `A^T A`.
template <typename Scalar>
qaf::Matrix<Scalar> gram(const qaf::Matrix<Scalar>& a) {
  const int n = static_cast<int>(a.cols()), k = static_cast<int>(a.rows());
  const Scalar one = 1, zero = 0;
  qaf::Matrix<Scalar> result(a.cols(), a.cols());
  of_type<Scalar>(ssyrk_, dsyrk_)("L", "T", &n, &k, &one, a.data(), &k, &zero, result.data(), &n);
  return result.template selfadjointView<Eigen::Lower>();
}

/// `F (L L^T)^-1` in the place of F.
template <typename Scalar>
void solve_on_the_right(const qaf::Matrix<Scalar>& lower, qaf::Matrix<Scalar>& f) {
  const int m = static_cast<int>(f.rows()), n = static_cast<int>(f.cols());
  const Scalar one = 1;
  for (const char* transposed : {"T", "N"})
    of_type<Scalar>(strsm_, dtrsm_)("R", "L", transposed, "N", &m, &n, &one, lower.data(), &n, f.data(), &m);
}

}  // namespace blas

#else

namespace blas {

inline void set_threads(int) {}

template <typename Scalar>
void gemm(bool transposed, qaf::Index rows, qaf::Index inner, const Scalar* a, const qaf::Matrix<Scalar>& b,
          qaf::Matrix<Scalar>& c) {
  using Map = Eigen::Map<const qaf::Matrix<Scalar> >;
  c.resize(rows, b.cols());
  if (transposed)
    c.noalias() = Map(a, inner, rows).transpose() * b;
  else
    c.noalias() = Map(a, rows, inner) * b;
}

template <typename Scalar>
void gemv(bool transposed, qaf::Index rows, qaf::Index cols, const Scalar* a, const Scalar* x, Scalar* y) {
  const Eigen::Map<const qaf::Matrix<Scalar> > matrix(a, rows, cols);
  if (transposed)
    Eigen::Map<qaf::Vector<Scalar> >(y, cols).noalias() =
        matrix.transpose() * Eigen::Map<const qaf::Vector<Scalar> >(x, rows);
  else
    Eigen::Map<qaf::Vector<Scalar> >(y, rows).noalias() = matrix * Eigen::Map<const qaf::Vector<Scalar> >(x, cols);
}

template <typename Scalar>
qaf::Matrix<Scalar> gram(const qaf::Matrix<Scalar>& a) {
  qaf::Matrix<Scalar> result = qaf::Matrix<Scalar>::Zero(a.cols(), a.cols());
  result.template selfadjointView<Eigen::Lower>().rankUpdate(a.transpose());
  return result.template selfadjointView<Eigen::Lower>();
}

template <typename Scalar>
void solve_on_the_right(const qaf::Matrix<Scalar>& lower, qaf::Matrix<Scalar>& f) {
  const auto triangle = lower.template triangularView<Eigen::Lower>();
  triangle.transpose().template solveInPlace<Eigen::OnTheRight>(f);
  triangle.template solveInPlace<Eigen::OnTheRight>(f);
}

}  // namespace blas

#endif
