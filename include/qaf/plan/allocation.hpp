#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include <qaf/error.hpp>
#include <qaf/plan/detail/choice_search.hpp>
#include <qaf/plan/detail/number_text.hpp>

namespace qaf {

/// One of the choices for a group, say a layer.
struct Choice {
  double cost = 0;  ///< 0 or more
  double loss = 0;  ///< what is to be small, such as a squared error
};

/// A choice for every group.
struct Allocation {
  std::vector<std::size_t> choices;  ///< for every group the position of its choice
  double cost = 0;                   ///< the sum, no more than the budget
  double loss = 0;                   ///< the sum
  double bound = 0;  ///< no choices within the budget have a lower loss; equal to `loss` where that is least
};

namespace detail {

/// The sum of the cheapest choices of all groups.
inline double least_cost(const std::vector<std::vector<Choice>>& groups) {
  double sum = 0;
  for (const std::vector<Choice>& group : groups) {
    double cheapest = std::numeric_limits<double>::infinity();
    for (const Choice& choice : group) cheapest = std::min(cheapest, choice.cost);
    sum += cheapest;
  }
  return sum;
}

inline void check_choices(const std::vector<std::vector<Choice>>& groups, double budget) {
  if (std::isnan(budget)) fail("allocate", "budget must be a number, got ", budget);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    if (groups[g].empty()) fail("allocate", "every group must have a choice, group ", g, " has none");
    for (const Choice& choice : groups[g]) {
      if (!(choice.cost >= 0 && std::isfinite(choice.cost)))
        fail("allocate", "costs must be 0 or more and finite, got ", choice.cost, " in group ", g);
      if (!std::isfinite(choice.loss)) fail("allocate", "losses must be finite, got ", choice.loss, " in group ", g);
    }
  }
  const double least = least_cost(groups);
  if (least > budget)
    fail("allocate", "the least possible cost is ", number_text(least), ", more than the budget of ",
         number_text(budget));
}

}  // namespace detail

/// Picks a choice for every group so that the sum of the losses is least and the sum of the costs is no more than
/// `budget`: the multiple-choice knapsack problem. Its linear relaxation gives a price of cost (Shoham and Gersho
/// 1988, who allocate bits by it) and the bound with which it is then solved exactly: choices are combined group after
/// group, and those are left out that cost and lose more than others, or whose bound at that price is above a target
/// (Dyer, Riha and Walker 1995; Pisinger 1995). The target rises from the relaxation's bound until choices are found.
///
/// `most_states`: how many combinations are kept at a time, 1 to 2^28. Where there are more the most promising are, the
/// result may not be the best, and its `bound` tells by how much it can miss. With costs and losses that are measured
/// and some hundred choices a group that was not seen. Sums are exact where costs are whole numbers below 2^53; with
/// others the budget and the loss are kept to rounding. Errors: a group without choices, a cost or loss out of range, a
/// budget below the least possible cost, which the sentence names. Cost: sorting all choices, and the combinations kept
/// times the choices of a group. Memory: 8 bytes for every combination kept, of all groups, and some hundred for each
/// that is kept at a time.
inline Allocation allocate(const std::vector<std::vector<Choice>>& groups, double budget,
                           std::size_t most_states = std::size_t{1} << 16) {
  detail::check_choices(groups, budget);
  constexpr std::size_t limit = std::size_t{1} << 28;
  if (most_states < 1 || most_states > limit)
    detail::fail("allocate", "most_states must be from 1 to ", limit, ", got ", most_states);
  std::vector<std::vector<detail::Offer>> offers;
  for (const std::vector<Choice>& group : groups) {
    std::vector<detail::Offer> all;
    for (std::size_t k = 0; k < group.size(); ++k) all.push_back({group[k].cost, group[k].loss, k});
    offers.push_back(detail::undominated(std::move(all)));
  }
  const detail::ChoiceSearch search(std::move(offers), budget);
  const detail::Found found = search.best(most_states);
  Allocation result{found.choices, 0, 0, 0};
  for (std::size_t g = 0; g < groups.size(); ++g) {
    result.cost += groups[g][found.choices[g]].cost;
    result.loss += groups[g][found.choices[g]].loss;
  }
  result.bound = found.is_best ? result.loss : std::min(found.bound, result.loss);
  return result;
}

}  // namespace qaf
