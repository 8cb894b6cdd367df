#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include <qaf/types.hpp>

namespace qaf::detail {

/// Which partial products may be made slab by slab (`PartialProducts::update`).
struct SlabsOfModes {
  std::vector<bool> modes;  ///< those of runs that begin with a mode marked here
  double held_entries = 0;  ///< and have more than twice the entries, for one component, that the caches hold
};

/// How the MTTKRPs of successive updates, mode after mode and sweep after sweep, share passes over the tensor. A pass
/// sums the tensor over some modes; the partial product that it leaves serves a run of updates, those of the modes it
/// keeps, until the factor of a mode that was summed over changes. A run may go past the last mode, into the next
/// sweep: runs of N - 1 modes need `N / (N - 1)` passes a sweep (the multi-sweep dimension tree of Ma and Solomonik
/// 2021), but their partial products are the largest. Runs of any length may follow each other; the plan is the
/// sequence of least cost whose partial products fit.
///
/// Where the rows of a factor change independently of each other, a partial product need not stand in memory: its
/// slabs, one for each index of the mode updated first, are used up one after the other (`PartialProducts::update`).
class ContractionPlan {
 public:
  /// `dimensions`: of the modes in the order of their updates. `across_sweeps`: whether a run may go into the next
  /// sweep; it may not where factors change otherwise than one after the other. `most_entries`: of the partial
  /// products, for one component; at least 0. `by_slabs`: where these may be made so; nowhere if left out.
  ContractionPlan(std::vector<Index> dimensions, bool across_sweeps, double most_entries, SlabsOfModes by_slabs = {})
      : dimensions_(std::move(dimensions)), most_entries_(most_entries), by_slabs_(std::move(by_slabs)) {
    by_slabs_.modes.resize(dimensions_.size(), false);
    size_ = 1;
    for (const Index length : dimensions_) size_ *= static_cast<double>(length);
    if (across_sweeps)
      plan_cycle();
    else
      plan_sweep();
  }

  /// How many modes the pass that starts with the update of `mode` keeps, that one included: 1 to N - 1.
  Index run(Index mode) const { return runs_[static_cast<std::size_t>(mode)]; }

  /// Slabs of a run's partial product that are made at a time; 0 where it is made as a whole. Every thread has caches
  /// of its own, and makes as many, if they fit.
  Index slabs(Index mode, Index run, int threads = 1) const {
    constexpr double enough_rows = 64;  // of a slab
    const double rows = kept(mode + 1, run - 1), held = by_slabs_.held_entries;
    if (run == 1 || !by_slabs_.modes[static_cast<std::size_t>(mode % order())]) return 0;
    if (kept(mode, run) <= 2 * held || rows < enough_rows || 2 * rows > held) return 0;
    const double of_thread = std::floor(held / rows) - 1;  // beside what they are summed to
    const double room = std::floor((most_entries_ - entries_of_rest(mode, run)) / rows);
    const double most = std::min({static_cast<double>(threads) * of_thread, kept(mode, 1), room});
    return static_cast<Index>(std::max(of_thread, most));
  }

  /// Entries of the partial products of a run, for one component: of the pass, or of its slabs, and of what is summed
  /// further of it.
  double entries(Index mode, Index run, int threads = 1) const {
    if (run == 1) return 0;
    const Index slabs = this->slabs(mode, run, threads);
    if (slabs > 0) return static_cast<double>(slabs) * kept(mode + 1, run - 1) + entries_of_rest(mode, run);
    return kept(mode, run) + (run > 2 ? entries_of_rest(mode, run) : 0);
  }

  /// Multiplications and memory traffic of a run, for one component, in the time of a multiply-add.
  double cost(Index mode, Index run) const {
    // Reading or writing an entry outside the inner caches takes the time of about this many multiply-adds, one of a
    // slab of these: measured, with huge pages.
    constexpr double access = 7, access_to_slab = 2;
    const bool by_slabs = slabs(mode, run) > 0, product_of_factors = run + 1 < order();
    const double cells = kept(mode, run), terms = size_ / cells;
    double sum = size_ + (by_slabs ? access_to_slab : access) * cells + (product_of_factors ? access * terms : 0);
    for (Index k = 0; k + 1 < run; ++k) {
      // Read for the MTTKRP of a mode, and again to sum over that mode, of which there may be a result to write.
      const double entries = kept(mode + k, run - k);
      sum += (by_slabs && k == 0 ? access_to_slab : access) * 2 * entries;
      sum += access * entries / static_cast<double>(dimension(mode + k));
    }
    return sum;
  }

 private:
  Index order() const { return static_cast<Index>(dimensions_.size()); }
  Index dimension(Index mode) const { return dimensions_[static_cast<std::size_t>(mode % order())]; }

  // The product of the sizes of `run` modes from `mode` on.
  double kept(Index mode, Index run) const {
    double product = 1;
    for (Index k = 0; k < run; ++k) product *= static_cast<double>(dimension(mode + k));
    return product;
  }

  // Of what is summed of the partial product of two modes or more, of that of one mode less, and so on.
  double entries_of_rest(Index mode, Index run) const {
    double sum = kept(mode + 1, run - 1);
    for (Index k = 2; k + 1 < run; ++k) sum += kept(mode + k, run - k);
    return sum;
  }

  bool fits(Index mode, Index run) const { return run == 1 || entries(mode, run) <= most_entries_; }

  /// The best runs from every mode to the end of the sweep.
  void plan_sweep() {
    std::vector<double> rest(static_cast<std::size_t>(order() + 1), 0);  // the cost from a mode on
    runs_.assign(static_cast<std::size_t>(order()), 1);
    for (Index mode = order() - 1; mode >= 0; --mode) {
      double& best = rest[static_cast<std::size_t>(mode)] = std::numeric_limits<double>::infinity();
      for (Index run = 1; run <= std::min(order() - mode, order() - 1); ++run) {
        const double total = cost(mode, run) + rest[static_cast<std::size_t>(mode + run)];
        if (!fits(mode, run) || !(total < best)) continue;
        best = total;
        runs_[static_cast<std::size_t>(mode)] = run;
      }
    }
  }

  /// The runs whose cost for an update is the least on average, in the long run: a decision process whose steps take as
  /// long as their runs, solved by value iteration (Tijms 2003, section 7.2). `ahead` converges, up to a constant, to
  /// what standing at a mode costs more than standing at another.
  void plan_cycle() {
    constexpr int turns = 500;
    constexpr double step = 0.5;
    std::vector<double> ahead(static_cast<std::size_t>(order()), 0);
    runs_.assign(static_cast<std::size_t>(order()), 1);
    for (int turn = 0; turn < turns; ++turn) {
      const std::vector<double> before = ahead;
      for (Index mode = 0; mode < order(); ++mode) {
        const std::size_t n = static_cast<std::size_t>(mode);
        double best = std::numeric_limits<double>::infinity();
        for (Index run = 1; run < order(); ++run) {
          if (!fits(mode, run)) continue;
          const double next = before[static_cast<std::size_t>((mode + run) % order())];
          const double total = (cost(mode, run) + step * (next - before[n])) / static_cast<double>(run);
          if (!(total < best)) continue;
          best = total;
          runs_[n] = run;
        }
        ahead[n] += best;
      }
      const double least = *std::min_element(ahead.begin(), ahead.end());
      for (double& value : ahead) value -= least;
    }
  }

  std::vector<Index> dimensions_;
  double most_entries_, size_;
  SlabsOfModes by_slabs_;
  std::vector<Index> runs_;
};

}  // namespace qaf::detail
