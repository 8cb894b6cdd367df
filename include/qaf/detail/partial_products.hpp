#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include <qaf/detail/blas.hpp>
#include <qaf/detail/contraction_plan.hpp>
#include <qaf/detail/huge_pages.hpp>
#include <qaf/detail/mode_view.hpp>
#include <qaf/detail/multiply_tile.hpp>
#include <qaf/detail/packets.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/parallel.hpp>
#include <qaf/detail/sum_over_mode.hpp>
#include <qaf/detail/sum_over_others.hpp>
#include <qaf/detail/tensor_pass.hpp>
#include <qaf/resources.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// A partial product: what summing the tensor over some modes left, a row for every combination of the indices of the
/// others, all of them in panels.
template <typename Scalar>
struct PartialProduct {
  std::vector<Index> modes;          // of its rows, the fastest first
  std::vector<Index> updates;        // the same in the order of their updates
  std::vector<std::size_t> version;  // of the factors of all modes when it was made
  PanelView<Scalar> rows;

  bool has(Index mode) const { return std::find(modes.begin(), modes.end(), mode) != modes.end(); }
};

/// The MTTKRPs of successive updates, from as few passes over the tensor as the plan allows. Each is exact for the
/// factors that it is asked with, whatever the order of the calls; the plan counts on updates mode after mode.
template <typename Scalar>
class PartialProducts {
 public:
  /// `across_sweeps`: as in `ContractionPlan`. `by_rows`: rows of factors change independently, by `update`. `cache`:
  /// bytes of partial products that the caches of a core hold; measured (docs/trials.md) with a second cache of half as
  /// many. The entries of the tensor must outlive this.
  PartialProducts(const TensorView<Scalar>& tensor, Index rank, bool across_sweeps, const Resources& resources,
                  bool by_rows = false, Index cache = Index{1} << 21)
      : tensor_(tensor),
        layout_(rank),
        threads_(thread_count(resources.threads)),
        version_(static_cast<std::size_t>(tensor.order()), 0),
        plan_(tensor.dimensions(), across_sweeps, resources.memory * static_cast<double>(tensor.size()) / padded_rank(),
              by_rows && !QAF_PRODUCTS_BY_BLAS ? slabs_of_modes(cache) : SlabsOfModes()) {}

  /// That factors have to have.
  const PanelLayout<Scalar>& layout() const { return layout_; }

  const ContractionPlan& plan() const { return plan_; }

  /// Scalars of the partial products that are kept from one call to the next.
  Index size() const { return memory_.size(); }

  /// To be told whenever the factor of a mode has changed.
  void factor_changed(Index mode) { ++version_[static_cast<std::size_t>(mode)]; }

  /// The MTTKRP of a mode, valid until the next call, and the caller's to change. `factors` must be those of the last
  /// call but for the changes told of.
  PanelView<Scalar> mttkrp(const std::vector<PanelView<Scalar>>& factors, Index mode) {
    result_.resize(tensor_.dimension(mode), layout_);
    drop_useless(mode);
    if (partials_.empty()) {
      pass_over_tensor(factors, mode);
    } else if (partials_.back().modes.size() == 1) {
      const PanelView<Scalar>& rows = partials_.back().rows;
      std::copy_n(rows.panel(0), rows.size(), result_.view().panel(0));
    } else {
      while (partials_.back().updates.size() > 2 && partials_.back().updates.front() != mode) leave_behind(factors);
      sum_.assign(mode, partials_.back().modes, factors, threads_);
      sum_.run(partials_.back().rows, threads_, result_.view());
    }
    return result_.view();
  }

  /// The same for a factor whose rows change as soon as their sums are known: `update(rows, first)` is told of rows of
  /// the MTTKRP, from row `first` on, and puts those of the new factor in their places in `changed`. The caller tells
  /// of the change as of any other.
  template <typename Update>
  PanelView<Scalar> update(const std::vector<PanelView<Scalar>>& factors, Index mode, const PanelView<Scalar>& changed,
                           const Update& update) {
    result_.resize(tensor_.dimension(mode), layout_);
    drop_useless(mode);
    if (partials_.empty() && goes_by_slabs(mode))
      pass_by_slabs(factors, mode, changed, update);
    else
      update(mttkrp(factors, mode), 0);
    return result_.view();
  }

 private:
  // Those whose slabs are read from memory as fast as the whole: their pieces must not be too short, the less so where
  // they are not fetched ahead, nor fall into the same sets of the caches (docs/trials.md).
  SlabsOfModes slabs_of_modes(Index cache) const {
    constexpr std::size_t page = 4096, some_lines = 192, size = sizeof(Scalar);  // bytes
    const std::size_t enough = fetches_rows_apart(layout_.widest_width() / packet_size<Scalar>) ? some_lines : page;
    SlabsOfModes slabs{std::vector<bool>(version_.size()), static_cast<double>(cache) / size / padded_rank()};
    std::size_t piece = size;
    for (const Index mode : modes_in_memory(tensor_)) {
      const std::size_t distance = piece * static_cast<std::size_t>(tensor_.dimension(mode));  // to the next piece
      slabs.modes[static_cast<std::size_t>(mode)] = piece >= enough && distance % page != 0;
      piece = distance;
    }
    return slabs;
  }

  double padded_rank() const { return static_cast<double>(layout_.padded_rank()); }

  bool goes_by_slabs(Index mode) const { return plan_.slabs(mode, plan_.run(mode)) > 0; }

  void drop_useless(Index mode) {
    while (!partials_.empty() && !serves(partials_.back(), mode)) partials_.pop_back();
  }

  bool serves(const PartialProduct<Scalar>& partial, Index mode) const {
    if (!partial.has(mode)) return false;
    for (Index other = 0; other < tensor_.order(); ++other) {
      const std::size_t n = static_cast<std::size_t>(other);
      if (!partial.has(other) && partial.version[n] != version_[n]) return false;
    }
    return true;
  }

  std::vector<Index> updates(Index mode, Index run) const {
    std::vector<Index> result;
    for (Index k = 0; k < run; ++k) result.push_back((mode + k) % tensor_.order());
    return result;
  }

  // Of fewer modes; the rows remain to be made.
  static PartialProduct<Scalar> without(Index mode, PartialProduct<Scalar> partial) {
    for (std::vector<Index>* const modes : {&partial.modes, &partial.updates})
      modes->erase(std::find(modes->begin(), modes->end(), mode));
    return partial;
  }

  // Begins a run, with the MTTKRP of its first mode.
  void pass_over_tensor(const std::vector<PanelView<Scalar>>& factors, Index mode) {
    const Index run = goes_by_slabs(mode) ? 1 : plan_.run(mode);  // which may not fit as a whole
    const TensorPass<Scalar> pass(tensor_, mode, run);
    if (run == 1) return pass.run(factors, threads_, result_.view());
    grow(memory_, static_cast<Index>(plan_.entries(mode, run)) * layout_.padded_rank());
    PartialProduct<Scalar> partial{pass.kept(), updates(mode, run), version_, {memory_.data(), pass.cells(), layout_}};
    pass.run(factors, threads_, partial.rows);
    sum_.assign(mode, partial.modes, factors, threads_);
    sum_.run(partial.rows, threads_, result_.view());
    partials_.push_back(std::move(partial));
  }

  // Begins a run whose first factor changes by rows. A slab is all that the sums of its row are made of; once it is
  // summed with the new row it is of no more use, so caches hold what is made of the partial product at a time.
  template <typename Update>
  void pass_by_slabs(const std::vector<PanelView<Scalar>>& factors, Index mode, const PanelView<Scalar>& changed,
                     const Update& update) {
    const Index run = plan_.run(mode), length = tensor_.dimension(mode), most = plan_.slabs(mode, run, threads_);
    const TensorPass<Scalar> pass(tensor_, mode, run);
    grow(memory_, static_cast<Index>(plan_.entries(mode, run, threads_)) * layout_.padded_rank());
    const Index cells = pass.cells() / length;
    const PanelView<Scalar> slabs(memory_.data(), most * cells, layout_);  // one after the other
    PartialProduct<Scalar> rest = without(mode, {pass.kept(), updates(mode, run), version_, {}});
    ++rest.version[static_cast<std::size_t>(mode)];  // of the new factor
    rest.rows = {memory_.data() + slabs.size(), cells, layout_};
    sum_.assign(mode, rest.modes, factors, threads_);
    std::vector<Index> modes_of_slabs = rest.modes;
    modes_of_slabs.push_back(mode);
    std::vector<PanelView<Scalar>> changed_factors = factors;
    for (Index begin = 0; begin < length; begin += most) {
      const Index count = std::min(most, length - begin);
      const PanelView<Scalar> sums = result_.view().middle_rows(begin, count);
      parallel_ranges(threads_, count, [&](Index first, Index last) {
        for (Index k = first; k < last; ++k) {
          const PanelView<Scalar> slab = slabs.middle_rows(k * cells, cells);
          pass.run_slab(begin + k, factors, 1, slab);
          sum_.run(slab, 1, sums.middle_rows(k, 1));
        }
      });
      update(sums, begin);
      changed_factors[static_cast<std::size_t>(mode)] = changed.middle_rows(begin, count);
      sum_over_mode(slabs.middle_rows(0, count * cells), mode, modes_of_slabs, changed_factors, threads_, begin > 0,
                    rest.rows);
    }
    partials_.push_back(std::move(rest));
  }

  // Goes on from the last partial product to one without the mode updated first.
  void leave_behind(const std::vector<PanelView<Scalar>>& factors) {
    const PartialProduct<Scalar>& last = partials_.back();
    const Index mode = last.updates.front();
    PartialProduct<Scalar> next = without(mode, {last.modes, last.updates, version_, {}});
    next.rows = {last.rows.panel(0) + last.rows.size(), last.rows.rows() / tensor_.dimension(mode), layout_};
    sum_over_mode(last.rows, mode, last.modes, factors, threads_, false, next.rows);
    partials_.push_back(std::move(next));
  }

  TensorView<Scalar> tensor_;
  PanelLayout<Scalar> layout_;
  int threads_;
  std::vector<std::size_t> version_;  // of the factors
  ContractionPlan plan_;
  std::vector<PartialProduct<Scalar>> partials_;  // each made from the one before
  Vector<Scalar> memory_;                         // of all of them
  SumOverOthers<Scalar> sum_;
  PanelMatrix<Scalar> result_;
};

}  // namespace qaf::detail
