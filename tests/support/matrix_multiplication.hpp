#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <qaf/cp_model.hpp>
#include <qaf/dense_tensor.hpp>
#include <qaf/detail/random.hpp>
#include <qaf/types.hpp>

#include "support/reference.hpp"

// The product of two matrices as a tensor, of which every exact model is an algorithm.
namespace support {

/// The product of an m x p and a p x n matrix.
struct Multiplication {
  qaf::Index m, p, n;

  std::vector<qaf::Index> sizes() const { return {m * p, p * n, m * n}; }

  /// 1 where the entries (i, j) of the first, (j, k) of the second and (i, k) of the product meet, rows after rows.
  template <typename Scalar>
  qaf::DenseTensor<Scalar> tensor() const {
    qaf::DenseTensor<Scalar> result(sizes(), qaf::StorageOrder::row_major);
    std::fill_n(result.data(), result.size(), Scalar(0));
    for (qaf::Index i = 0; i < m; ++i)
      for (qaf::Index j = 0; j < p; ++j)
        for (qaf::Index k = 0; k < n; ++k)
          result.data()[position(sizes(), qaf::StorageOrder::row_major, {i * p + j, j * n + k, i * n + k})] = 1;
    return result;
  }

  /// How far off the product of two random matrices is where a model does it, with one multiplication a component.
  template <typename Scalar>
  double error_of_algorithm(const qaf::CpModel<Scalar>& model) const {
    qaf::detail::NormalGenerator normal(11);
    const qaf::Matrix<double> a = normal.matrix<double>(m, p), b = normal.matrix<double>(p, n);
    qaf::Matrix<double> product = qaf::Matrix<double>::Zero(m, n);
    for (qaf::Index r = 0; r < model.rank(); ++r) {
      double left = 0, right = 0;
      for (qaf::Index i = 0; i < m * p; ++i) left += static_cast<double>(model.factors[0](i, r)) * a(i / p, i % p);
      for (qaf::Index j = 0; j < p * n; ++j) right += static_cast<double>(model.factors[1](j, r)) * b(j / n, j % n);
      for (qaf::Index k = 0; k < m * n; ++k)
        product(k / n, k % n) +=
            static_cast<double>(model.weights[r]) * left * right * static_cast<double>(model.factors[2](k, r));
    }
    return matrix_distance(product, a * b);
  }
};

/// Strassen's seven products (1969), as codes of -1, 0 and 1: of the first matrix, the second and the result.
inline std::vector<qaf::Matrix<std::int8_t>> strassen_codes() {
  std::vector<qaf::Matrix<std::int8_t>> codes(3, qaf::Matrix<std::int8_t>(4, 7));
  codes[0] << 1, 0, 1, 0, 1, -1, 0,  //
      0, 0, 0, 0, 1, 0, 1,           //
      0, 1, 0, 0, 0, 1, 0,           //
      1, 1, 0, 1, 0, 0, -1;
  codes[1] << 1, 1, 0, -1, 0, 1, 0,  //
      0, 0, 1, 0, 0, 1, 0,           //
      0, 0, 0, 1, 0, 0, 1,           //
      1, 0, -1, 0, 1, 0, 1;
  codes[2] << 1, 0, 0, 1, -1, 0, 1,  //
      0, 0, 1, 0, 1, 0, 0,           //
      0, 1, 0, 1, 0, 0, 0,           //
      1, -1, 1, 0, 0, 1, 0;
  return codes;
}

}  // namespace support
