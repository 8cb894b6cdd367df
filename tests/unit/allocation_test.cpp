#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <qaf/plan/allocation.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"

namespace {

using qaf::Allocation;
using qaf::Choice;
using Groups = std::vector<std::vector<Choice>>;

constexpr double infinity = std::numeric_limits<double>::infinity();

double least_cost(const Groups& groups) {
  double sum = 0;
  for (const auto& group : groups) {
    double least = infinity;
    for (const Choice& choice : group) least = std::min(least, choice.cost);
    sum += least;
  }
  return sum;
}

double most_cost(const Groups& groups) {
  double sum = 0;
  for (const auto& group : groups) {
    double most = 0;
    for (const Choice& choice : group) most = std::max(most, choice.cost);
    sum += most;
  }
  return sum;
}

/// The least loss of all combinations within the budget, each of them tried.
double best_loss(const Groups& groups, double budget, std::size_t g = 0, double cost = 0, double loss = 0) {
  if (cost > budget) return infinity;
  if (g == groups.size()) return loss;
  double best = infinity;
  for (const Choice& choice : groups[g])
    best = std::min(best, best_loss(groups, budget, g + 1, cost + choice.cost, loss + choice.loss));
  return best;
}

/// Costs are whole numbers; losses too where `coarse`, so that there are many ties.
Groups random_groups(std::mt19937_64& generator, std::size_t count, std::size_t choices, bool coarse) {
  Groups groups(count);
  const auto below = [&](std::uint64_t limit) { return static_cast<double>(generator() % limit); };
  for (auto& group : groups) {
    const std::size_t size = static_cast<std::size_t>(1 + generator() % choices);
    for (std::size_t k = 0; k < size; ++k)
      group.push_back({below(coarse ? 6 : 1000), coarse ? below(5) : below(1000000) / 1e4});
  }
  return groups;
}

/// Errors that fall with the rank as those of layers do.
Groups layer_like_groups(std::mt19937_64& generator, std::size_t count, std::size_t choices) {
  Groups groups(count);
  for (auto& group : groups) {
    const double size = static_cast<double>(100 + generator() % 1000);
    const double fall = 0.5 + static_cast<double>(generator() % 100) / 50;
    for (std::size_t k = 1; k <= choices; ++k) {
      const double noise = 1 + static_cast<double>(generator() % 100) / 2000;
      group.push_back({std::floor(size * static_cast<double>(k)),
                       noise * std::exp(-fall * static_cast<double>(k) / static_cast<double>(choices))});
    }
  }
  return groups;
}

/// What the result says of itself is so.
void check_consistent(const Groups& groups, double budget, const Allocation& result) {
  REQUIRE(result.choices.size() == groups.size());
  double cost = 0, loss = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    REQUIRE(result.choices[g] < groups[g].size());
    cost += groups[g][result.choices[g]].cost;
    loss += groups[g][result.choices[g]].loss;
  }
  CHECK(result.cost == cost);
  CHECK(result.loss == loss);
  CHECK(result.cost <= budget);
  CHECK(result.bound <= result.loss);
}

}  // namespace

TEST_CASE("No combination within the budget loses less than the one allocated", "[allocation]") {
  std::mt19937_64 generator(1);
  for (int instance = 0; instance < 600; ++instance) {
    const bool coarse = instance % 2 == 0;
    const Groups groups = random_groups(generator, static_cast<std::size_t>(1 + generator() % 5), 7, coarse);
    const double least = least_cost(groups), most = most_cost(groups);
    for (const double share : {0.0, 0.1, 0.37, 0.8, 1.0, 1.5}) {
      CAPTURE(instance, share);
      const double budget = std::floor(least + share * (most - least));
      const Allocation result = qaf::allocate(groups, budget);
      check_consistent(groups, budget, result);
      CHECK(result.loss == Approx(best_loss(groups, budget)).epsilon(1e-12));
      CHECK(result.bound == result.loss);
    }
  }
}

TEST_CASE("Costs that are no whole numbers are allocated as well", "[allocation]") {
  std::mt19937_64 generator(2);
  for (int instance = 0; instance < 200; ++instance) {
    Groups groups = random_groups(generator, 4, 6, false);
    for (auto& group : groups)
      for (Choice& choice : group) choice.cost /= 7.3;
    const double budget = least_cost(groups) + 0.4 * (most_cost(groups) - least_cost(groups));
    const Allocation result = qaf::allocate(groups, budget);
    CHECK(result.cost <= budget * (1 + 1e-12));
    CHECK(result.loss == Approx(best_loss(groups, budget)).epsilon(1e-12));
  }
}

TEST_CASE("More budget never loses more", "[allocation]") {
  std::mt19937_64 generator(3);
  for (int instance = 0; instance < 20; ++instance) {
    const Groups groups = layer_like_groups(generator, 12, 40);
    const double least = least_cost(groups), most = most_cost(groups);
    double before = infinity;
    for (int step = 0; step <= 20; ++step) {
      const double budget = std::floor(least + (most - least) * step / 20);
      const Allocation result = qaf::allocate(groups, budget);
      check_consistent(groups, budget, result);
      CHECK(result.bound == result.loss);
      CHECK(result.loss <= before * (1 + 1e-12));
      before = result.loss;
    }
  }
}

TEST_CASE("With few states allowed the bound holds all the same", "[allocation]") {
  std::mt19937_64 generator(4);
  bool some_missed = false;
  for (int instance = 0; instance < 100; ++instance) {
    const Groups groups = random_groups(generator, 6, 7, false);
    const double budget = std::floor((least_cost(groups) + most_cost(groups)) / 2);
    const double best = qaf::allocate(groups, budget).loss;
    for (const std::size_t states : {std::size_t{1}, std::size_t{2}, std::size_t{4}}) {
      const Allocation result = qaf::allocate(groups, budget, states);
      check_consistent(groups, budget, result);
      CHECK(result.loss >= best);
      CHECK(result.bound <= best * (1 + 1e-12));
      some_missed = some_missed || result.bound < result.loss;
    }
  }
  CHECK(some_missed);  // else nothing was tested
}

TEST_CASE("The costs of a network's size are allocated at best", "[allocation]") {
  std::mt19937_64 generator(5);
  const Groups groups = layer_like_groups(generator, 60, 300);
  const double budget = std::floor(0.3 * most_cost(groups));
  const Allocation result = qaf::allocate(groups, budget);
  check_consistent(groups, budget, result);
  CHECK(result.bound == result.loss);
}

TEST_CASE("Nothing to allocate, and an unlimited budget", "[allocation]") {
  const Allocation nothing = qaf::allocate({}, 0);
  CHECK(nothing.choices.empty());
  CHECK(nothing.loss == 0);
  const Groups groups = {{{1, 5}, {9, 2}, {4, 3}}, {{7, 1}}};
  const Allocation all = qaf::allocate(groups, infinity);
  CHECK(all.choices == std::vector<std::size_t>{1, 0});
  CHECK(all.bound == 3);
}

TEST_CASE("Budgets and choices that make no sense are told", "[allocation]") {
  const Groups groups = {{{30000001, 5}, {9e7, 2}}, {{7, 1}}};
  CHECK_ERROR(qaf::allocate(groups, 30000007),
              "qaf::allocate: the least possible cost is 30000008, more than the budget of 30000007");
  CHECK(qaf::allocate(groups, 30000008).choices == std::vector<std::size_t>{0, 0});
  CHECK_ERROR(qaf::allocate(groups, std::nan("")), "qaf::allocate: budget must be a number, got nan");
  CHECK_ERROR(qaf::allocate({{{1, 1}}, {}}, 5), "qaf::allocate: every group must have a choice, group 1 has none");
  CHECK_ERROR(qaf::allocate({{{-1, 1}}}, 5), "qaf::allocate: costs must be 0 or more and finite, got -1 in group 0");
  CHECK_ERROR(qaf::allocate({{{1, infinity}}}, 5), "qaf::allocate: losses must be finite, got inf in group 0");
  CHECK_ERROR(qaf::allocate(groups, 1e9, 0), "qaf::allocate: most_states must be from 1 to 268435456, got 0");
}
