#pragma once

#include <cstddef>
#include <vector>

#include <qaf/detail/contracted_indices.hpp>
#include <qaf/detail/contraction.hpp>
#include <qaf/detail/khatri_rao.hpp>
#include <qaf/detail/mode_view.hpp>
#include <qaf/detail/panel_matrix.hpp>
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
    const bool keeps_middle = !is_kept(modes.front()) || !is_kept(modes.back());
    Index fast = 1, middle = 1, slow = 1;
    bool is_past_middle = false;
    for (const Index mode : modes) {
      const bool is_middle = is_kept(mode) == keeps_middle;
      if (mode == first) first_stride_ = fast * middle * slow;
      (is_middle ? middle : is_past_middle ? slow : fast) *= tensor.dimension(mode);
      is_past_middle = is_past_middle || is_middle;
      (is_kept(mode) ? kept_ : summed_).push_back(mode);
    }
    contraction_ = dense_contraction(tensor.data(), fast, middle, slow, keeps_middle);
    // Next to the other kept modes the first one stands at an end, where it can be left out.
    slab_ = contraction_;
    const Index length = tensor.dimension(first);
    if (keeps_middle) {
      slab_.middle /= length;
      if (first_stride_ == fast) slab_.middle_stride *= length;
    } else if (first_stride_ < fast) {
      slab_.fast /= length;
    } else {
      slab_.slow /= length;
      if (first_stride_ == fast * middle) slab_.slow_stride *= length;
    }
  }

  /// The modes of the partial product, the fastest first.
  const std::vector<Index>& kept() const { return kept_; }
  /// Rows of the partial product.
  Index cells() const { return contraction_.cells(); }

  /// `result` is `cells x R`. Cost: `2 prod(I) R` flops.
  void run(const std::vector<PanelView<Scalar>>& factors, int threads, const PanelView<Scalar>& result) const {
    contract(contraction_, factors_of(summed_, factors), threads, result);
  }

  /// The rows for one index of the first mode kept, which must not be the fastest in memory.
  void run_slab(Index index, const std::vector<PanelView<Scalar>>& factors, int threads,
                const PanelView<Scalar>& result) const {
    Contraction<Scalar> slab = slab_;
    slab.data += index * first_stride_;
    contract(slab, factors_of(summed_, factors), threads, result);
  }

 private:
  Contraction<Scalar> contraction_, slab_;
  Index first_stride_ = 1;  // from an index of the first mode kept to the next
  std::vector<Index> kept_, summed_;
};

}  // namespace qaf::detail
