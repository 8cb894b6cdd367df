#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <qaf/detail/contraction_plan.hpp>
#include <qaf/detail/huge_pages.hpp>
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
  /// `across_sweeps`: as in `ContractionPlan`. The entries of the tensor must outlive this.
  PartialProducts(const TensorView<Scalar>& tensor, Index rank, bool across_sweeps, const Resources& resources)
      : tensor_(tensor),
        layout_(rank),
        threads_(thread_count(resources.threads)),
        plan_(tensor.dimensions(), across_sweeps,
              resources.memory * static_cast<double>(tensor.size()) / static_cast<double>(layout_.padded_rank())),
        version_(static_cast<std::size_t>(tensor.order()), 0) {}

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
    while (!partials_.empty() && !serves(partials_.back(), mode)) partials_.pop_back();
    if (partials_.empty()) {
      pass_over_tensor(factors, mode);
    } else {
      while (partials_.back().updates.size() > 2 && partials_.back().updates.front() != mode) leave_behind(factors);
      sum_.assign(mode, partials_.back().modes, factors, threads_);
      sum_.run(partials_.back().rows, threads_, result_.view());
    }
    return result_.view();
  }

 private:
  bool serves(const PartialProduct<Scalar>& partial, Index mode) const {
    if (!partial.has(mode)) return false;
    for (Index other = 0; other < tensor_.order(); ++other) {
      const std::size_t n = static_cast<std::size_t>(other);
      if (!partial.has(other) && partial.version[n] != version_[n]) return false;
    }
    return true;
  }

  // Begins a run, with the MTTKRP of its first mode.
  void pass_over_tensor(const std::vector<PanelView<Scalar>>& factors, Index mode) {
    const Index run = plan_.run(mode);
    const TensorPass<Scalar> pass(tensor_, mode, run);
    if (run == 1) return pass.run(factors, threads_, result_.view());
    grow(memory_, static_cast<Index>(plan_.entries(mode, run)) * layout_.padded_rank());
    PartialProduct<Scalar> partial{pass.kept(), {}, version_, {memory_.data(), pass.cells(), layout_}};
    for (Index k = 0; k < run; ++k) partial.updates.push_back((mode + k) % tensor_.order());
    pass.run(factors, mode, threads_, partial.rows, sum_, result_.view());
    partials_.push_back(std::move(partial));
  }

  // Goes on from the last partial product to one without the mode updated first.
  void leave_behind(const std::vector<PanelView<Scalar>>& factors) {
    const PartialProduct<Scalar>& last = partials_.back();
    const Index mode = last.updates.front();
    PartialProduct<Scalar> next{last.modes, {last.updates.begin() + 1, last.updates.end()}, version_, {}};
    next.modes.erase(std::find(next.modes.begin(), next.modes.end(), mode));
    next.rows = {last.rows.panel(0) + last.rows.size(), last.rows.rows() / tensor_.dimension(mode), layout_};
    sum_over_mode(last.rows, mode, last.modes, factors, threads_, next.rows);
    partials_.push_back(std::move(next));
  }

  TensorView<Scalar> tensor_;
  PanelLayout<Scalar> layout_;
  int threads_;
  ContractionPlan plan_;
  std::vector<std::size_t> version_;              // of the factors
  std::vector<PartialProduct<Scalar>> partials_;  // each made from the one before
  Vector<Scalar> memory_;                         // of all of them
  SumOverOthers<Scalar> sum_;
  PanelMatrix<Scalar> result_;
};

}  // namespace qaf::detail
