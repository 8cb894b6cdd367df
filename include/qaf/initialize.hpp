#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <Eigen/Eigenvalues>

#include <qaf/cp_model.hpp>
#include <qaf/detail/blocks.hpp>
#include <qaf/detail/mode_view.hpp>
#include <qaf/detail/random.hpp>
#include <qaf/error.hpp>
#include <qaf/mttkrp.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>

namespace qaf {
namespace detail {

/// `X_(n) X_(n)^T / |X|^2` (`I_n x I_n`), from blocks of the tensor of bounded size.
template <typename Scalar>
Matrix<Scalar> unfolding_gram(const TensorView<Scalar>& tensor, Index mode, double norm) {
  const ModeView<Scalar> view(tensor, mode);
  Matrix<Scalar> gram = Matrix<Scalar>::Zero(view.length, view.length);
  // The scaled copy keeps the squares of very large or small entries within the scalar's range.
  const auto add = [&](const auto& columns_of_mode) {
    const Matrix<Scalar> scaled = columns_of_mode / static_cast<Scalar>(norm);
    gram.template selfadjointView<Eigen::Lower>().rankUpdate(scaled);
  };
  if (view.fast == 1) {
    const Index block = rows_per_block(view.slow, view.length);
    for (Index s = 0; s < view.slow; s += block)
      add(Eigen::Map<const Matrix<Scalar>>(view.data + s * view.length, view.length, std::min(block, view.slow - s)));
  } else {
    const Index block = rows_per_block(view.fast, view.length);
    for (Index s = 0; s < view.slow; ++s) {
      const Eigen::Map<const Matrix<Scalar>> slab(view.data + s * view.fast * view.length, view.fast, view.length);
      for (Index f = 0; f < view.fast; f += block) add(slab.middleRows(f, std::min(block, view.fast - f)).transpose());
    }
  }
  return gram.template selfadjointView<Eigen::Lower>();
}

}  // namespace detail

/// A random model for a tensor of these sizes: normal entries, columns of norm 1, weights 1.
/// Errors: a size or a rank below 1.
template <typename Scalar>
CpModel<Scalar> initialize_random(const std::vector<Index>& dimensions, Index rank, std::uint64_t seed) {
  if (rank < 1) detail::fail("initialize_random", "rank must be at least 1, got ", rank);
  detail::NormalGenerator normal(seed);
  CpModel<Scalar> model;
  model.weights = Vector<Scalar>::Ones(rank);
  for (const Index length : dimensions) {
    if (length < 1)
      detail::fail("initialize_random", "every size must be at least 1, got ", detail::shape_text(dimensions));
    model.factors.push_back(normal.matrix<Scalar>(length, rank));
    detail::normalize_columns(model.factors.back());
  }
  return model;
}

/// A model whose columns are the leading eigenvectors of `X_(n) X_(n)^T`, which are the leading left
/// singular vectors of the unfolding (the start by HOSVD); columns past the size of a mode are random,
/// all weights `|X|_F / R`. A mode longer than all the others together, whose Gram matrix would be larger
/// than the tensor, gets random combinations of its unfolding's columns instead.
/// Errors: a rank below 1, NaN or infinity in the tensor. Cost: `prod(I) I_n + 9 I_n^3` flops a mode.
template <typename Tensor, typename Scalar = detail::TensorScalar<Tensor>>
CpModel<Scalar> initialize_gram_eigenvectors(const Tensor& tensor, Index rank, std::uint64_t seed = 0) {
  const TensorView<Scalar> view = detail::floating_point_view(tensor);
  if (rank < 1) detail::fail("initialize_gram_eigenvectors", "rank must be at least 1, got ", rank);
  const double norm = detail::frobenius_norm("initialize_gram_eigenvectors", view);
  const CpModel<Scalar> random = initialize_random<Scalar>(view.dimensions(), rank, seed);
  CpModel<Scalar> model = random;
  model.weights.setConstant(static_cast<Scalar>(norm / static_cast<double>(rank)));
  if (norm == 0) return model;
  for (Index mode = 0; mode < view.order(); ++mode) {
    Matrix<Scalar>& factor = model.factors[static_cast<std::size_t>(mode)];
    const Index length = view.dimension(mode);
    if (length > view.size() / length) {
      factor = detail::unchecked_mttkrp(view, random.factors, mode, 1) / static_cast<Scalar>(norm);
      detail::normalize_columns(factor);
    } else {
      const Eigen::SelfAdjointEigenSolver<Matrix<Scalar>> solver(detail::unfolding_gram(view, mode, norm));
      const Index count = std::min(rank, length);  // eigenvalues rise: the leading vectors stand last
      factor.leftCols(count) = solver.eigenvectors().rightCols(count).rowwise().reverse();
    }
  }
  return model;
}

}  // namespace qaf
