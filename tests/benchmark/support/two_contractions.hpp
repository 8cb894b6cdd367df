#pragma once

// CP-ALS as the fastest of the other libraries for dense tensors do it (PLANC, by Eswar et al. 2021): a dimension tree
// of two halves, each from one product of the unfolded tensor with an explicit Khatri-Rao product, the MTTKRPs of a
// half by products of matrices with vectors for every component, columns normalized after each update.

#include <cmath>
#include <cstddef>
#include <vector>

#include <Eigen/Cholesky>

#include <qaf/cp_model.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>

#include "support/blas.hpp"

template <typename Scalar>
class TwoContractions {
 public:
  using Matrix = qaf::Matrix<Scalar>;

  /// The tensor is column-major.
  TwoContractions(const qaf::TensorView<Scalar>& tensor, std::vector<Matrix> factors)
      : tensor_(tensor), factors_(std::move(factors)) {
    for (const Matrix& factor : factors_) grams_.push_back(blas::gram(factor));
    double norm = 0;
    for (qaf::Index k = 0; k < tensor.size(); ++k)
      norm += static_cast<double>(tensor.data()[k]) * static_cast<double>(tensor.data()[k]);
    squared_norm_ = norm;
    // The split whose halves are most alike.
    qaf::Index left = 1, least = tensor.size() + 1;
    for (std::size_t n = 0; n + 1 < factors_.size(); ++n) {
      left *= tensor.dimension(static_cast<qaf::Index>(n));
      if (left + tensor.size() / left >= least) continue;
      least = left + tensor.size() / left;
      split_ = n + 1;
    }
  }

  /// Returns the relative error.
  double sweep() {
    const std::size_t order = factors_.size();
    const Matrix right = khatri_rao(split_, order);
    blas::gemm(false, tensor_.size() / right.rows(), right.rows(), tensor_.data(), right, partial_);
    update(0, split_);
    const Matrix left = khatri_rao(0, split_);
    blas::gemm(true, tensor_.size() / left.rows(), left.rows(), tensor_.data(), left, partial_);
    return update(split_, order);
  }

 private:
  Matrix khatri_rao(std::size_t begin, std::size_t end) const {
    Matrix product = factors_[begin];
    for (std::size_t n = begin + 1; n < end; ++n) {
      const Matrix& factor = factors_[n];
      Matrix next(product.rows() * factor.rows(), product.cols());
      for (qaf::Index r = 0; r < product.cols(); ++r)
        for (qaf::Index i = 0; i < factor.rows(); ++i)
          next.col(r).segment(i * product.rows(), product.rows()) = factor(i, r) * product.col(r);
      product = std::move(next);
    }
    return product;
  }

  Matrix mttkrp(std::size_t begin, std::size_t mode, std::size_t end) const {
    if (end == begin + 1) return partial_;
    const qaf::Index length = factors_[mode].rows(), rank = partial_.cols();
    const Matrix fast = mode > begin ? khatri_rao(begin, mode) : Matrix(),
                 slow = mode + 1 < end ? khatri_rao(mode + 1, end) : Matrix();
    Matrix result(length, rank);
    qaf::Vector<Scalar> rest(partial_.rows() / std::max<qaf::Index>(fast.rows(), 1));
    for (qaf::Index r = 0; r < rank; ++r) {
      const Scalar* entries = partial_.col(r).data();
      if (fast.size() > 0) {
        blas::gemv(true, fast.rows(), rest.size(), entries, fast.col(r).data(),
                   slow.size() > 0 ? rest.data() : result.col(r).data());
        entries = rest.data();
      }
      if (slow.size() > 0) blas::gemv(false, length, slow.rows(), entries, slow.col(r).data(), result.col(r).data());
    }
    return result;
  }

  double update(std::size_t begin, std::size_t end) {
    double squared_error = 0;
    for (std::size_t n = begin; n < end; ++n) {
      Matrix& factor = factors_[n];
      const Matrix f = mttkrp(begin, n, end), g = qaf::gram_of_others(grams_, static_cast<qaf::Index>(n));
      factor = f;
      blas::solve_on_the_right<Scalar>(Eigen::LLT<Matrix>(g).matrixLLT(), factor);
      const double inner = static_cast<double>(f.cwiseProduct(factor).sum());
      const qaf::Vector<Scalar> norms = factor.colwise().norm();
      factor = factor * norms.cwiseInverse().asDiagonal();
      grams_[n] = blas::gram(factor);
      squared_error = squared_norm_ - 2 * inner + static_cast<double>(norms.dot(grams_[n].cwiseProduct(g) * norms));
    }
    return std::sqrt(std::max(squared_error, 0.0) / squared_norm_);
  }

  qaf::TensorView<Scalar> tensor_;
  std::vector<Matrix> factors_, grams_;
  Matrix partial_;
  std::size_t split_ = 1;
  double squared_norm_ = 0;
};
