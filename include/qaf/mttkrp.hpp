#pragma once

#include <cstddef>
#include <vector>

#include <qaf/detail/contraction.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/parallel.hpp>
#include <qaf/detail/tensor_pass.hpp>
#include <qaf/error.hpp>
#include <qaf/resources.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>

namespace qaf {
namespace detail {

/// `mttkrp` without its checks.
template <typename Scalar>
Matrix<Scalar> unchecked_mttkrp(const TensorView<Scalar>& tensor, const std::vector<Matrix<Scalar>>& factors,
                                Index mode, int threads) {
  const PanelLayout<Scalar> layout(factors.front().cols());
  std::vector<PanelMatrix<Scalar>> panels(factors.size());
  std::vector<PanelView<Scalar>> views(factors.size());
  for (std::size_t n = 0; n < factors.size(); ++n) {
    if (static_cast<Index>(n) == mode) continue;
    panels[n].assign(factors[n], layout);
    views[n] = panels[n].view();
  }
  PanelMatrix<Scalar> result;
  result.resize(tensor.dimension(mode), layout);
  TensorPass<Scalar>(tensor, mode, 1).run(views, threads, result.view());
  return result.view().to_matrix(Scalar(1));
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
/// Errors: a factor of another size, a mode that is not from 0 to N - 1, a field of `resources` out of range.
/// Cost: `2 prod(I) R` flops on the entries where they lie: the tensor is never unfolded into a copy, and the
/// Khatri-Rao product never made as a whole. Temporary memory: copies of the factors and of the result, 512 rows of the
/// Khatri-Rao product, and a block of entries.
template <typename Tensor, typename Scalar = detail::TensorScalar<Tensor>>
Matrix<Scalar> mttkrp(const Tensor& tensor, const std::vector<Matrix<Scalar>>& factors, Index mode,
                      const Resources& resources = {}) {
  const auto view = detail::floating_point_view<Scalar>(tensor);
  validate(resources);
  detail::check_factors("mttkrp", view, factors);
  if (mode < 0 || mode >= view.order())
    detail::fail("mttkrp", "mode must be from 0 to ", view.order() - 1, ", got ", mode);
  return detail::unchecked_mttkrp(view, factors, mode, detail::thread_count(resources.threads));
}

}  // namespace qaf
