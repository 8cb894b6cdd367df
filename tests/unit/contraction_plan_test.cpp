// Which passes over a tensor serve which updates.

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <vector>

#include <qaf/detail/contraction_plan.hpp>

#include "support/catch.hpp"

namespace {

using qaf::Index;
using qaf::detail::ContractionPlan;
using Sizes = std::vector<Index>;

constexpr double unlimited = 1e18;

/// What an update costs on average, and passes a sweep, over many sweeps.
struct Average {
  double cost = 0, passes = 0;
};

Average average(const ContractionPlan& plan, const Sizes& dimensions) {
  const Index order = static_cast<Index>(dimensions.size());
  double cost = 0, passes = 0, updates = 0;
  for (Index mode = 0; updates < 100000; ++passes) {
    const Index run = plan.run(mode);
    cost += plan.cost(mode, run);
    updates += static_cast<double>(run);
    mode = (mode + run) % order;
  }
  return {cost / updates, passes / updates * static_cast<double>(order)};
}

/// The least average cost of all ways to choose a run for every mode.
double least_average(const ContractionPlan& plan, const Sizes& dimensions, double most_entries) {
  const Index order = static_cast<Index>(dimensions.size());
  double least = std::numeric_limits<double>::infinity();
  Sizes runs(dimensions.size(), 1);
  const std::function<void(Index)> choose = [&](Index from) {
    if (from == order) {
      for (Index start = 0; start < order; ++start) {
        // The modes that come up again after some steps are on a cycle.
        Index mode = start;
        for (Index step = 0; step < order; ++step) mode = (mode + runs[static_cast<std::size_t>(mode)]) % order;
        double cost = 0, updates = 0;
        const Index first = mode;
        do {
          const Index run = runs[static_cast<std::size_t>(mode)];
          cost += plan.cost(mode, run);
          updates += static_cast<double>(run);
          mode = (mode + run) % order;
        } while (mode != first);
        least = std::min(least, cost / updates);
      }
      return;
    }
    for (Index run = 1; run < order; ++run) {
      if (run > 1 && plan.entries(from, run) > most_entries) continue;
      runs[static_cast<std::size_t>(from)] = run;
      choose(from + 1);
    }
  };
  choose(0);
  return least;
}

}  // namespace

TEST_CASE("No cycle of runs costs less than the plan's", "[contraction_plan]") {
  for (const Sizes& dimensions : std::vector<Sizes>{{7, 5},
                                                    {200, 200, 200},
                                                    {64, 64, 9},
                                                    {9, 64, 64},
                                                    {100, 20, 300},
                                                    {3, 1000, 3},
                                                    {60, 60, 60, 60},
                                                    {2, 50, 3, 70},
                                                    {1000, 2, 2, 2},
                                                    {30, 30, 30, 30, 30},
                                                    {9, 8, 7, 6, 5}}) {
    for (const double most_entries : {0.0, 20.0, 1000.0, 50000.0, unlimited}) {
      CAPTURE(dimensions, most_entries);
      for (const double held_entries : {0.0, 300.0, 10000.0}) {
        CAPTURE(held_entries);
        const ContractionPlan plan(dimensions, true, most_entries, {{false, true, true}, held_entries});
        CHECK(average(plan, dimensions).cost <= least_average(plan, dimensions, most_entries) * (1 + 1e-3));
        for (Index mode = 0; mode < static_cast<Index>(dimensions.size()); ++mode)
          for (const int threads : {1, 2, 50})
            CHECK((plan.run(mode) == 1 || plan.entries(mode, plan.run(mode), threads) <= most_entries));
      }
    }
  }
}

TEST_CASE("A cube needs N passes for N - 1 sweeps, a convolution two a sweep", "[contraction_plan]") {
  CHECK(average(ContractionPlan({200, 200, 200}, true, unlimited), {200, 200, 200}).passes == Approx(1.5));
  CHECK(average(ContractionPlan({512, 512, 9}, true, unlimited), {512, 512, 9}).passes == Approx(2).epsilon(0.01));
  CHECK(average(ContractionPlan({60, 60, 60, 60}, true, unlimited), {60, 60, 60, 60}).passes == Approx(4.0 / 3));
  CHECK(average(ContractionPlan({30, 30, 30, 30, 30}, true, unlimited), {30, 30, 30, 30, 30}).passes < 1.7);
  // Matrices have nothing to share, and without memory nobody has.
  CHECK(average(ContractionPlan({30, 40}, true, unlimited), {30, 40}).passes == Approx(2));
  CHECK(average(ContractionPlan({200, 200, 200}, true, 0), {200, 200, 200}).passes == Approx(3));
}

TEST_CASE("Within a sweep runs end with it, and two passes are enough", "[contraction_plan]") {
  for (const Sizes& dimensions : std::vector<Sizes>{{7, 5}, {64, 64, 9}, {9, 64, 64}, {200, 200, 200}, {8, 8, 8, 8}}) {
    CAPTURE(dimensions);
    const Index order = static_cast<Index>(dimensions.size());
    const ContractionPlan plan(dimensions, false, unlimited);
    Index passes = 0, mode = 0;
    for (; mode < order; mode += plan.run(mode)) ++passes;
    CHECK(mode == order);
    CHECK(passes == 2);
  }
}

TEST_CASE("Partial products go by slabs where caches hold these, and by far not all of them", "[contraction_plan]") {
  const Sizes dimensions{70, 50, 40, 30};
  const auto plan = [&](double held_entries, double most_entries) {
    return ContractionPlan(dimensions, true, most_entries, {{true, true, false, true}, held_entries});
  };
  // From mode 1 on there are 50 slabs of 40 x 30 entries; these, and what they are summed to, are held.
  CHECK(plan(30000, unlimited).slabs(1, 3) == 0);
  CHECK(plan(29999, unlimited).slabs(1, 3) == 23);
  CHECK(plan(6000, unlimited).slabs(1, 3) == 4);
  CHECK(plan(2400, unlimited).slabs(1, 3) == 1);
  CHECK(plan(2399, unlimited).slabs(1, 3) == 0);
  CHECK(plan(6000, unlimited).entries(1, 3) == 4 * 1200 + 1200);
  CHECK(plan(1000, unlimited).slabs(1, 2) == 0);  // 40 rows are too few
  CHECK(plan(1000, unlimited).slabs(3, 2) == 13);
  CHECK(plan(1000, unlimited).entries(3, 2) == 13 * 70 + 70);
  CHECK(plan(6000, unlimited).slabs(2, 3) == 0);  // not marked
  CHECK(plan(6000, unlimited).slabs(1, 1) == 0);
  // A thread makes as many as another one, if there is room.
  CHECK(plan(6000, unlimited).slabs(1, 3, 3) == 12);
  CHECK(plan(6000, unlimited).slabs(1, 3, 1000) == 50);
  CHECK(plan(6000, 10000).slabs(1, 3, 3) == 7);
  CHECK(plan(10500, 30000).slabs(3, 3, 3) == 6);
  CHECK(plan(10500, 30000).slabs(3, 3, 4) == 7);
  CHECK(ContractionPlan(dimensions, true, unlimited).slabs(1, 3) == 0);
}
