#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace qaf::detail {

/// A choice of a group, with its position there.
struct Offer {
  double cost, loss;
  std::size_t position;
};

/// Without those that cost no less than another and lose no less: costs rise, losses fall.
inline std::vector<Offer> undominated(std::vector<Offer> offers) {
  std::sort(offers.begin(), offers.end(), [](const Offer& a, const Offer& b) {
    if (a.cost != b.cost) return a.cost < b.cost;
    return a.loss != b.loss ? a.loss < b.loss : a.position < b.position;
  });
  std::vector<Offer> kept;
  for (const Offer& offer : offers)
    if (kept.empty() || offer.loss < kept.back().loss) kept.push_back(offer);
  return kept;
}

/// The positions, in a list of undominated offers, of those on its lower convex hull.
inline std::vector<std::size_t> convex_hull(const std::vector<Offer>& offers) {
  std::vector<std::size_t> hull;
  const auto gain = [&](std::size_t a, std::size_t b) {  // of loss, for each unit of cost
    return (offers[a].loss - offers[b].loss) / (offers[b].cost - offers[a].cost);
  };
  for (std::size_t k = 0; k < offers.size(); ++k) {
    while (hull.size() >= 2 && gain(hull[hull.size() - 2], hull.back()) <= gain(hull.back(), k)) hull.pop_back();
    hull.push_back(k);
  }
  return hull;
}

/// What a search for choices came to: the best that it met.
struct Found {
  std::vector<std::size_t> choices = {};  ///< positions
  double loss = 0;
  double bound = 0;  ///< on the loss of all others within the budget
  bool is_best = false;
};

/// Finds the choices of least loss within a budget, which the cheapest ones keep. Offers are undominated.
class ChoiceSearch {
 public:
  ChoiceSearch(std::vector<std::vector<Offer>> groups, double budget) : groups_(std::move(groups)), budget_(budget) {
    relax();
    find_rests();
  }

  /// See `allocate`.
  Found best(std::size_t most_states) const {
    Found found = relaxed_;
    const double gap = relaxed_.loss - relaxed_.bound;
    // The first targets are reached by few combinations, and one of them is nearly always enough.
    constexpr double first = 1.0 / 4096, growth = 4;
    for (double share = first; !found.is_best; share *= growth) {
      const bool is_last = share >= 1;
      const double target = relaxed_.bound + std::min(share, 1.0) * gap;
      Found next = combine(target, most_states);
      const bool is_complete = next.is_best;
      if (!next.choices.empty() && next.loss < found.loss) {
        found.choices = std::move(next.choices);
        found.loss = next.loss;
      }
      if (!is_complete) break;
      found.is_best = is_last || found.loss <= target;
      found.bound = target;
    }
    return found;
  }

 private:
  /// How a combination came from one of fewer groups.
  struct Link {
    std::uint32_t parent;  // its position among the states before
    std::uint32_t offer;
  };

  /// A combination of choices for the first groups.
  struct State {
    double cost, loss;
    double excess;  // of its bound over the relaxation's
    Link link;
  };

  // The linear relaxation: steps along the convex hulls, the greatest gain for its cost first, until the budget is
  // used up; the gain of the step that does not fit is the price. Steps that fit after it make a first solution.
  void relax() {
    struct Step {
      double gain;
      std::size_t group, from, to;
    };
    std::vector<Step> steps;
    std::vector<std::size_t> at(groups_.size(), 0);
    double cost = 0;
    bool all_fit = true;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const std::vector<Offer>& offers = groups_[g];
      cost += offers.front().cost;
      const std::vector<std::size_t> hull = convex_hull(offers);
      for (std::size_t k = 1; k < hull.size(); ++k) {
        const Offer &a = offers[hull[k - 1]], &b = offers[hull[k]];
        steps.push_back({(a.loss - b.loss) / (b.cost - a.cost), g, hull[k - 1], hull[k]});
      }
    }
    std::stable_sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) { return a.gain > b.gain; });
    for (const Step& step : steps) {
      const std::vector<Offer>& offers = groups_[step.group];
      const double more = offers[step.to].cost - offers[at[step.group]].cost;
      if (cost + more <= budget_) {
        at[step.group] = step.to;
        cost += more;
      } else {
        if (all_fit) price_ = step.gain;
        all_fit = false;
      }
    }
    double bound = 0;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      relaxed_.choices.push_back(groups_[g][at[g]].position);
      relaxed_.loss += groups_[g][at[g]].loss;
      bound += least_priced(groups_[g]);
    }
    relaxed_.is_best = all_fit;
    relaxed_.bound = all_fit ? relaxed_.loss : std::min(bound - price_ * budget_, relaxed_.loss);
  }

  double least_priced(const std::vector<Offer>& offers) const {
    double least = std::numeric_limits<double>::infinity();
    for (const Offer& offer : offers) least = std::min(least, offer.loss + price_ * offer.cost);
    return least;
  }

  // What the groups from the g-th on cost at the least and at the most.
  void find_rests() {
    least_rest_.assign(groups_.size() + 1, 0);
    most_rest_ = least_rest_;
    for (std::size_t g = groups_.size(); g-- > 0;) {
      least_rest_[g] = least_rest_[g + 1] + groups_[g].front().cost;
      most_rest_[g] = most_rest_[g + 1] + groups_[g].back().cost;
    }
  }

  // The best combination whose loss is no more than the target, if there is one. All that are left out lose more,
  // unless there were too many states: then `is_best` is false.
  Found combine(double target, std::size_t most_states) const {
    Found found;
    found.is_best = true;
    double size = std::abs(target) + price_ * budget_;
    for (const std::vector<Offer>& offers : groups_) size += std::abs(offers.front().loss);
    constexpr double rounding = 1e-13;
    const double most_excess = target - relaxed_.bound + rounding * size;
    std::vector<State> states = {State{0, 0, 0, {0, 0}}};
    std::vector<std::vector<Link>> levels;  // all that is needed of the states of earlier groups
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      states = successors(states, g, most_excess, most_states);
      if (states.size() > most_states) {
        found.is_best = false;
        keep_most_promising(states, most_states);
      }
      levels.emplace_back();
      levels.back().reserve(states.size());
      for (const State& state : states) levels.back().push_back(state.link);
    }
    if (states.empty()) return found;
    std::size_t at = states.size() - 1;  // losses fall
    found.loss = states[at].loss;
    found.choices.resize(groups_.size());
    for (std::size_t g = groups_.size(); g-- > 0;) {
      const Link& link = levels[g][at];
      found.choices[g] = groups_[g][link.offer].position;
      at = link.parent;
    }
    return found;
  }

  // Calls `visit(state)` for the states that follow from others by the offers of a group, within the budget and an
  // excess; offer after offer, before each `begin_offer()`.
  template <typename Visit, typename BeginOffer>
  void visit_successors(const std::vector<State>& states, std::size_t g, double most_excess, const Visit& visit,
                        const BeginOffer& begin_offer) const {
    const double least = least_priced(groups_[g]);
    for (std::size_t k = 0; k < groups_[g].size(); ++k) {
      const Offer& offer = groups_[g][k];
      const double excess = offer.loss + price_ * offer.cost - least;
      if (excess > most_excess) continue;
      begin_offer();
      for (std::size_t s = 0; s < states.size(); ++s) {
        const State next = {states[s].cost + offer.cost,
                            states[s].loss + offer.loss,
                            states[s].excess + excess,
                            {static_cast<std::uint32_t>(s), static_cast<std::uint32_t>(k)}};
        // The part of the budget that the rest cannot use is lost at its price.
        const double unused = std::max(0.0, budget_ - next.cost - most_rest_[g + 1]);
        if (next.cost + least_rest_[g + 1] <= budget_ && next.excess + price_ * unused <= most_excess) visit(next);
      }
    }
  }

  // The undominated successors, or, where there are more of them than `most_states`, more than so many of least
  // excess. Those that dominate a state have no more excess than it, so that a limit of the excess does not change
  // which of the states below are undominated.
  std::vector<State> successors(const std::vector<State>& states, std::size_t g, double most_excess,
                                std::size_t most_states) const {
    if (states.size() * groups_[g].size() <= 4 * most_states)
      return undominated_successors(states, g, most_excess, most_excess, most_states);
    constexpr std::size_t bins = 4096;
    std::vector<std::size_t> counts(bins, 0);
    const double width = most_excess / static_cast<double>(bins);
    const auto no_offer = [] {};
    visit_successors(
        states, g, most_excess,
        [&](const State& state) {
          ++counts[std::min(bins - 1, static_cast<std::size_t>(std::max(state.excess, 0.0) / width))];
        },
        no_offer);
    std::size_t bin = 0, seen = 0;
    for (std::size_t wanted = 2 * most_states;; wanted *= 2) {
      for (; bin < bins && seen < wanted; ++bin) seen += counts[bin];
      const double limit = bin == bins ? most_excess : static_cast<double>(bin) * width;
      std::vector<State> found = undominated_successors(states, g, most_excess, limit, most_states);
      if (bin == bins || found.size() > most_states) return found;
    }
  }

  // Those with an excess of no more than `limit`.
  std::vector<State> undominated_successors(const std::vector<State>& states, std::size_t g, double most_excess,
                                            double limit, std::size_t most_states) const {
    std::vector<State> all;
    std::size_t crowded = 4 * most_states;
    visit_successors(
        states, g, most_excess,
        [&](const State& state) {
          if (state.excess <= limit) all.push_back(state);
        },
        [&] {
          if (all.size() < crowded) return;
          leave_undominated(all);
          crowded = std::max(crowded, 2 * all.size());
        });
    leave_undominated(all);
    return all;
  }

  static void leave_undominated(std::vector<State>& states) {
    std::sort(states.begin(), states.end(),
              [](const State& a, const State& b) { return a.cost != b.cost ? a.cost < b.cost : a.loss < b.loss; });
    std::vector<State> kept;
    for (const State& state : states)
      if (kept.empty() || state.loss < kept.back().loss) kept.push_back(state);
    states = std::move(kept);
  }

  static void keep_most_promising(std::vector<State>& states, std::size_t count) {
    const auto middle = states.begin() + static_cast<std::ptrdiff_t>(count);
    std::nth_element(states.begin(), middle, states.end(),
                     [](const State& a, const State& b) { return a.excess < b.excess; });
    states.erase(middle, states.end());
    std::sort(states.begin(), states.end(), [](const State& a, const State& b) { return a.cost < b.cost; });
  }

  std::vector<std::vector<Offer>> groups_;
  double budget_;
  double price_ = 0;  // of a unit of cost, in losses
  Found relaxed_;
  std::vector<double> least_rest_, most_rest_;
};

}  // namespace qaf::detail
