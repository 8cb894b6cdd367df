#pragma once

#include <algorithm>
#include <vector>

#include <qaf/detail/khatri_rao.hpp>
#include <qaf/detail/mode_view.hpp>
#include <qaf/detail/products.hpp>
#include <qaf/error.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>

namespace qaf {
namespace detail {

/// `mttkrp` without its checks. The larger group of modes, before or after `mode` in memory, goes by
/// matrix products of views of the tensor with slabs of its Khatri-Rao product; the partial result
/// (a bounded block of it at a time) is then contracted with the smaller group column by column.
template <typename Scalar>
Matrix<Scalar> unchecked_mttkrp(const TensorView<Scalar>& tensor, const std::vector<Matrix<Scalar>>& factors,
                                Index mode) {
  using Entries = Eigen::Map<const Matrix<Scalar>>;
  const ModeView<Scalar> view(tensor, mode);
  KhatriRao<Scalar> fast = khatri_rao(factors, view.fast_modes);
  KhatriRao<Scalar> slow = khatri_rao(factors, view.slow_modes);
  const Index rank = factors.front().cols();
  const Index length = view.length;
  Matrix<Scalar> result = Matrix<Scalar>::Zero(length, rank);
  Matrix<Scalar> partial;

  if (fast.rows() >= slow.rows()) {
    const Entries entries(view.data, fast.rows(), length * slow.rows());
    const Index slow_block = rows_per_block(slow.rows(), length * rank);
    const Index fast_block = rows_per_block(fast.rows(), rank);
    for (Index s = 0; s < slow.rows(); s += slow_block) {
      const Index slow_count = std::min(slow_block, slow.rows() - s);
      partial.setZero(length * slow_count, rank);
      for (Index f = 0; f < fast.rows(); f += fast_block) {
        const Index fast_count = std::min(fast_block, fast.rows() - f);
        add_transposed_product<Scalar>(entries.block(f, s * length, fast_count, slow_count * length),
                                       fast.slab(f, fast_count), partial);
      }
      const Matrix<Scalar>& slow_rows = slow.slab(s, slow_count);
      for (Index r = 0; r < rank; ++r)
        result.col(r).noalias() += Entries(partial.col(r).data(), length, slow_count) * slow_rows.col(r);
    }
  } else {
    const Entries entries(view.data, fast.rows() * length, slow.rows());
    const Matrix<Scalar>& fast_rows = fast.slab(0, fast.rows());  // the smaller group: at most sqrt(size / I_n) rows
    const Index length_block = rows_per_block(length, fast.rows() * rank);
    const Index slow_block = rows_per_block(slow.rows(), rank);
    for (Index i = 0; i < length; i += length_block) {
      const Index length_count = std::min(length_block, length - i);
      partial.setZero(fast.rows() * length_count, rank);
      for (Index s = 0; s < slow.rows(); s += slow_block) {
        const Index slow_count = std::min(slow_block, slow.rows() - s);
        add_product<Scalar>(entries.block(i * fast.rows(), s, length_count * fast.rows(), slow_count),
                            slow.slab(s, slow_count), partial);
      }
      for (Index r = 0; r < rank; ++r)
        result.col(r).segment(i, length_count).noalias() =
            Entries(partial.col(r).data(), fast.rows(), length_count).transpose() * fast_rows.col(r);
    }
  }
  return result;
}

/// Throws unless `factors` has one `I_n x R` matrix a mode, with the same R >= 1.
template <typename Scalar>
void check_factors(const char* function, const TensorView<Scalar>& tensor, const std::vector<Matrix<Scalar>>& factors) {
  if (static_cast<Index>(factors.size()) != tensor.order())
    fail(function, "expected one factor for each of the ", tensor.order(), " modes, got ", factors.size());
  for (Index mode = 0; mode < tensor.order(); ++mode) {
    const Matrix<Scalar>& factor = factors[static_cast<std::size_t>(mode)];
    if (factor.rows() != tensor.dimension(mode) || factor.cols() != factors.front().cols() || factor.cols() < 1)
      fail(function, "factor ", mode, " must be ", tensor.dimension(mode),
           " x R with the same R >= 1 in every mode, got ", factor.rows(), " x ", factor.cols());
  }
}

}  // namespace detail

/// The matricized tensor times Khatri-Rao product `F = X_(n) KhatriRao_{m != n} A_m` (`I_n x R`):
/// entry (i, r) is the sum, over all entries of X whose index in mode n is i, of the entry times the
/// product of the other factors' entries in column r. The factor of `mode` itself is not read.
///
/// Errors: a factor of another size, a mode that is not from 0 to N - 1.
/// Cost: `2 prod(I) R` flops in matrix products on views of the tensor, which is never unfolded into
/// a copy; temporary memory of a few blocks of 2^19 scalars, or of one `I_n x R` matrix if that is more.
template <typename Tensor, typename Scalar = detail::TensorScalar<Tensor>>
Matrix<Scalar> mttkrp(const Tensor& tensor, const std::vector<Matrix<Scalar>>& factors, Index mode) {
  const auto view = detail::floating_point_view<Scalar>(tensor);
  detail::check_factors("mttkrp", view, factors);
  if (mode < 0 || mode >= view.order())
    detail::fail("mttkrp", "mode must be from 0 to ", view.order() - 1, ", got ", mode);
  return detail::unchecked_mttkrp(view, factors, mode);
}

}  // namespace qaf
