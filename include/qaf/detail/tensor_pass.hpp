#pragma once

#include <cstddef>
#include <vector>

#include <qaf/detail/contract_and_sum.hpp>
#include <qaf/detail/contracted_indices.hpp>
#include <qaf/detail/contraction.hpp>
#include <qaf/detail/khatri_rao.hpp>
#include <qaf/detail/mode_view.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/sum_over_others.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// Sums a tensor over all modes but some that follow each other, the last mode being followed by the first: what is
/// left is a partial product, one row for every combination of the indices kept.
template <typename Scalar>
class TensorPass {
 public:
  /// Keeps `count` modes from `first` on, 1 to N - 1.
  TensorPass(const TensorView<Scalar>& tensor, Index first, Index count) {
    const auto is_kept = [&](Index mode) { return (mode - first + tensor.order()) % tensor.order() < count; };
    const std::vector<Index> modes = modes_in_memory(tensor);
    // Of kept modes and others one kind stands together, the other about it.
    contraction_ = {tensor.data(), 1, 1, 1, !is_kept(modes.front()) || !is_kept(modes.back())};
    bool is_past_middle = false;
    for (const Index mode : modes) {
      const bool is_middle = is_kept(mode) == contraction_.keeps_middle;
      (is_middle        ? contraction_.middle
       : is_past_middle ? contraction_.slow
                        : contraction_.fast) *= tensor.dimension(mode);
      is_past_middle = is_past_middle || is_middle;
      (is_kept(mode) ? kept_ : summed_).push_back(mode);
    }
  }

  /// The modes of the partial product, the fastest first.
  const std::vector<Index>& kept() const { return kept_; }
  /// The modes summed over.
  const std::vector<Index>& summed() const { return summed_; }
  /// Rows of the partial product.
  Index cells() const { return contraction_.cells(); }

  /// `result` is `cells x R`. Cost: `2 prod(I) R` flops.
  void run(const std::vector<PanelView<Scalar>>& factors, int threads, const PanelView<Scalar>& result) const {
    contract(contraction_, factors_of(summed_, factors), threads, result);
  }

  /// The same, and from the result the MTTKRP of a mode, which must be kept, with another one: `sums` is `I_n x R`.
  void run(const std::vector<PanelView<Scalar>>& factors, Index mode, int threads, const PanelView<Scalar>& result,
           SumOverOthers<Scalar>& sum, const PanelView<Scalar>& sums) const {
    sum.assign(mode, kept_, factors, threads);
    contract_and_sum(contraction_, factors_of(summed_, factors), threads, result, sum, sums);
  }

 private:
  Contraction<Scalar> contraction_;
  std::vector<Index> kept_, summed_;
};

}  // namespace qaf::detail
