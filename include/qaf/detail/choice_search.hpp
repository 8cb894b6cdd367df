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
  /// A combination of choices for the first groups.
  struct State {
    double cost, loss;
    double excess;         // of its bound over the relaxation's
    std::uint32_t parent;  // its position among the states before
    std::uint32_t offer;
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
    std::vector<std::vector<State>> levels = {{State{0, 0, 0, 0, 0}}};
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      levels.push_back(successors(levels.back(), g, most_excess, most_states));
      std::vector<State>& states = levels.back();
      if (states.size() > most_states) {
        found.is_best = false;
        keep_most_promising(states, most_states);
      }
    }
    const std::vector<State>& last = levels.back();
    if (last.empty()) return found;
    std::size_t at = last.size() - 1;  // losses fall
    found.loss = last[at].loss;
    found.choices.resize(groups_.size());
    for (std::size_t g = groups_.size(); g-- > 0;) {
      const State& state = levels[g + 1][at];
      found.choices[g] = groups_[g][state.offer].position;
      at = state.parent;
    }
    return found;
  }

  std::vector<State> successors(const std::vector<State>& states, std::size_t g, double most_excess,
                                std::size_t most_states) const {
    std::vector<State> all;
    std::size_t crowded = 4 * most_states;
    const double least = least_priced(groups_[g]);
    for (std::size_t k = 0; k < groups_[g].size(); ++k) {
      const Offer& offer = groups_[g][k];
      const double excess = offer.loss + price_ * offer.cost - least;
      if (excess > most_excess) continue;
      for (std::size_t s = 0; s < states.size(); ++s) {
        const State next = {states[s].cost + offer.cost, states[s].loss + offer.loss, states[s].excess + excess,
                            static_cast<std::uint32_t>(s), static_cast<std::uint32_t>(k)};
        // The part of the budget that the rest cannot use is lost at its price.
        const double unused = std::max(0.0, budget_ - next.cost - most_rest_[g + 1]);
        if (next.cost + least_rest_[g + 1] <= budget_ && next.excess + price_ * unused <= most_excess)
          all.push_back(next);
      }
      if (all.size() < crowded) continue;
      leave_undominated(all);
      crowded = std::max(crowded, 2 * all.size());
    }
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
