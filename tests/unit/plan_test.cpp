#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <qaf/plan/make_plan.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"

namespace {

using qaf::Candidate;
using qaf::Form;
using qaf::Index;
using qaf::LayerCandidates;
using qaf::Measure;
using qaf::Plan;

const std::vector<Measure> all_measures = {Measure::parameters, Measure::bits, Measure::macs, Measure::bops};

/// A layer whose factored errors fall with rank and bits by a formula.
LayerCandidates layer_with(const std::string& name, std::vector<Index> dimensions, double scale, bool original) {
  LayerCandidates result;
  result.layer.name = name;
  result.layer.dimensions = std::move(dimensions);
  result.layer.output_pixels = 16;
  result.layer.input_pixels = 64;
  if (original) result.candidates.push_back({Form::original, 0, 32, 0, qaf::original_cost(result.layer), true});
  for (const int bits : {3, 5})
    result.candidates.push_back(
        {Form::direct, 0, bits, std::pow(0.5, bits), qaf::direct_cost(result.layer, bits), true});
  for (const int bits : {2, 4})
    for (const Index rank : {2, 4, 8, 12}) {
      const double error = std::exp(-scale * static_cast<double>(rank)) + std::pow(0.4, bits);
      result.candidates.push_back(
          {Form::factored, rank, bits, error, qaf::factored_cost(result.layer, rank, bits), rank != 8});
    }
  return result;
}

std::vector<LayerCandidates> small_network() {
  return {layer_with("conv1", {8, 6, 9}, 0.2, true), layer_with("conv2", {12, 8, 9}, 0.1, false),
          layer_with("linear", {10, 12}, 0.3, true)};
}

/// The least loss within the budget, all combinations tried.
double best_loss(const std::vector<LayerCandidates>& layers, Measure measure, double budget) {
  double best = std::numeric_limits<double>::infinity();
  for (const Candidate& a : layers[0].candidates)
    for (const Candidate& b : layers[1].candidates)
      for (const Candidate& c : layers[2].candidates) {
        qaf::LayerCost cost = a.cost;
        cost += b.cost;
        cost += c.cost;
        if (qaf::measured(cost, measure) > budget) continue;
        best = std::min(best, layers[0].weight * a.relative_error * a.relative_error +
                                  layers[1].weight * b.relative_error * b.relative_error +
                                  layers[2].weight * c.relative_error * c.relative_error);
      }
  return best;
}

double original_of(Measure measure) { return qaf::measured(qaf::original_cost(small_network()), measure); }

}  // namespace

TEST_CASE("A plan loses least within its budget, whatever that counts", "[plan]") {
  std::vector<LayerCandidates> layers = small_network();
  layers[1].weight = 3;
  for (const Measure measure : all_measures)
    for (const double share : {0.05, 0.12, 0.3, 0.6, 1.0, 2.0}) {
      const double budget = share * original_of(measure);
      const double best = best_loss(layers, measure, budget);
      if (std::isinf(best)) continue;
      CAPTURE(qaf::to_string(measure), share);
      const Plan plan = qaf::make_plan(layers, measure, budget);
      CHECK(plan.loss == Approx(best).epsilon(1e-12).margin(1e-15));
      CHECK(plan.bound == Approx(plan.loss).epsilon(1e-12).margin(1e-15));
      CHECK(qaf::measured(plan.total, measure) <= budget);
      CHECK(plan.measure == measure);
      CHECK(plan.budget == budget);
    }
}

TEST_CASE("The totals of a plan are the sums over its layers", "[plan]") {
  const std::vector<LayerCandidates> layers = small_network();
  Plan plan = qaf::make_plan(layers, Measure::bits, 0.1 * original_of(Measure::bits));
  REQUIRE(plan.layers.size() == 3);
  qaf::LayerCost total;
  double loss = 0;
  for (std::size_t k = 0; k < 3; ++k) {
    CHECK(plan.layers[k].layer.name == layers[k].layer.name);
    total += plan.layers[k].cost;
    loss += plan.layers[k].relative_error * plan.layers[k].relative_error;
  }
  CHECK(plan.total == total);
  CHECK(plan.original == qaf::original_cost(layers));
  CHECK(plan.loss == Approx(loss));
  const Plan before = plan;
  qaf::update_costs(plan);
  qaf::update_errors(plan, layers);
  CHECK(plan.total == before.total);
  CHECK(plan.loss == before.loss);
}

TEST_CASE("A layer of more weight loses no more", "[plan]") {
  std::vector<LayerCandidates> layers = small_network();
  const double budget = 0.1 * original_of(Measure::bops);
  double before = 1;
  for (const double weight : {0.0, 0.1, 1.0, 10.0, 1000.0}) {
    layers[1].weight = weight;
    const double error = qaf::make_plan(layers, Measure::bops, budget).layers[1].relative_error;
    CHECK(error <= before);
    before = error;
  }
}

TEST_CASE("An edited plan is evaluated anew", "[plan]") {
  const std::vector<LayerCandidates> layers = small_network();
  Plan plan = qaf::make_plan(layers, Measure::bits, 0.1 * original_of(Measure::bits));
  plan.layers[0].form = Form::factored;
  plan.layers[0].rank = 8;
  plan.layers[0].bits = 4;
  plan.layers[1].form = Form::direct;
  plan.layers[1].bits = 3;
  plan.layers[1].activation_bits = 4;
  plan.layers[2].form = Form::original;
  qaf::update_costs(plan);
  CHECK(plan.layers[0].cost == qaf::factored_cost(layers[0].layer, 8, 4));
  CHECK(plan.layers[1].cost == qaf::direct_cost(layers[1].layer, 3, 4));
  CHECK(plan.layers[2].cost == qaf::original_cost(layers[2].layer));
  qaf::update_errors(plan, layers);
  CHECK(plan.layers[0].relative_error == Approx(std::exp(-1.6) + std::pow(0.4, 4)));
  CHECK(plan.layers[1].relative_error == 0.125);
  CHECK(plan.layers[2].relative_error == 0);
  CHECK(plan.loss == Approx(std::pow(std::exp(-1.6) + std::pow(0.4, 4), 2) + 0.125 * 0.125));
  const auto by_row = [](int bits) {
    qaf::UniformQuantizer quantizer;
    quantizer.bits = bits;
    quantizer.granularity = qaf::Granularity::row;
    return quantizer;
  };
  qaf::update_costs(plan, by_row);
  CHECK(plan.layers[0].cost == qaf::factored_cost(layers[0].layer, 8, by_row(4)));
  CHECK(plan.layers[0].cost.bits == qaf::factored_cost(layers[0].layer, 8, 4).bits + 32 * (8 + 6 + 9));
}

TEST_CASE("Errors of ranks between the candidates are interpolated", "[plan]") {
  const LayerCandidates layer = small_network()[0];
  double before = qaf::predicted_error(layer, Form::factored, 2, 4);
  for (Index rank = 3; rank <= 12; ++rank) {
    const double error = qaf::predicted_error(layer, Form::factored, rank, 4);
    CHECK(error < before);
    CHECK(error == Approx(std::exp(-0.2 * static_cast<double>(rank)) + std::pow(0.4, 4)).epsilon(0.05));
    before = error;
  }
}

TEST_CASE("Candidates of the same rank do not disturb those between", "[plan]") {
  LayerCandidates layer = small_network()[0];
  const double error = qaf::predicted_error(layer, Form::factored, 7, 4);
  REQUIRE(error > 0);
  const std::vector<qaf::Candidate> once = layer.candidates;
  layer.candidates.insert(layer.candidates.end(), once.begin(), once.end());
  CHECK(qaf::predicted_error(layer, Form::factored, 7, 4) == error);
  layer.candidates[0].cost.macs = std::numeric_limits<double>::quiet_NaN();
  CHECK_ERROR(qaf::make_plan({layer}, Measure::bits, 1e6),
              "qaf::make_plan: the costs of layer 'conv1' must be 0 or more and finite, got nan");
}

TEST_CASE("A plan that cannot be updated stays as it was", "[plan]") {
  const std::vector<LayerCandidates> layers = small_network();
  Plan plan = qaf::make_plan(layers, Measure::bits, 0.1 * original_of(Measure::bits));
  plan.layers[0].form = Form::direct;
  plan.layers[0].bits = 3;
  plan.layers[2].form = Form::factored;
  plan.layers[2].rank = 0;
  const Plan before = plan;
  const auto check_unchanged = [&] {
    CHECK(plan.total == before.total);
    CHECK(plan.original == before.original);
    CHECK(plan.loss == before.loss);
    for (std::size_t k = 0; k < 3; ++k) {
      CHECK(plan.layers[k].cost == before.layers[k].cost);
      CHECK(plan.layers[k].relative_error == before.layers[k].relative_error);
    }
  };
  CHECK_ERROR(qaf::update_costs(plan), "qaf::factored_cost: rank must be at least 1, got 0");
  check_unchanged();
  CHECK_THROWS_AS(qaf::update_errors(plan, layers), std::invalid_argument);
  check_unchanged();
  plan.layers[2].form = Form::original;
  plan.layers[2].layer.output_pixels = 0;  // only the totals see it
  CHECK_ERROR(qaf::update_errors(plan, layers), "qaf::Layer: 'linear': output_pixels must be 1 or more, got 0");
  check_unchanged();
}

TEST_CASE("Networks, budgets and edits that make no sense are told", "[plan]") {
  std::vector<LayerCandidates> layers = small_network();
  CHECK_ERROR(qaf::make_plan({}, Measure::bits, 1), "qaf::make_plan: there must be at least one layer");
  // Rank 2 at 2 bits of all: 2 (2 (23 + 29 + 22) + 3 32).
  CHECK_ERROR(qaf::make_plan(layers, Measure::bits, 487),
              "qaf::make_plan: the budget must be at least 488 bits, which the cheapest candidates of all layers cost, "
              "got 487");
  CHECK(qaf::make_plan(layers, Measure::bits, 488).total.bits == 488);
  CHECK_ERROR(qaf::make_plan(layers, Measure::bits, std::nan("")),
              "qaf::make_plan: the budget must be at least 488 bits, which the cheapest candidates of all layers cost, "
              "got nan");
  Plan plan = qaf::make_plan(layers, Measure::bits, 1e9);
  plan.layers[0].form = Form::factored;
  plan.layers[0].bits = 4;
  plan.layers[0].rank = 0;
  CHECK_ERROR(qaf::update_costs(plan), "qaf::factored_cost: rank must be at least 1, got 0");
  CHECK_ERROR(qaf::update_errors(plan, layers),
              "qaf::predicted_error: layer 'conv1' has no candidates about factored at 4 bits and rank 0; their ranks "
              "go from 2 to 12");
  plan.layers[0].bits = 7;
  CHECK_ERROR(qaf::update_errors(plan, layers),
              "qaf::predicted_error: layer 'conv1' has no candidates about factored at 7 bits and rank 0");
  CHECK_ERROR(qaf::predicted_error(layers[1], Form::original, 0, 32),
              "qaf::predicted_error: layer 'conv2' has no candidates about original");
  plan.layers[0].form = Form::original;
  plan.layers[0].layer.dimensions = {8, 6};
  CHECK_ERROR(qaf::update_errors(plan, layers),
              "qaf::update_errors: layer 'conv1' of the plan is 8 x 6, got candidates of 8 x 6 x 9");
  std::swap(layers[0], layers[1]);
  CHECK_ERROR(qaf::update_errors(plan, layers),
              "qaf::update_errors: layer 0 of the plan is 'conv1', got candidates of 'conv2'");
  layers.pop_back();
  CHECK_ERROR(qaf::update_errors(plan, layers), "qaf::update_errors: the plan has 3 layers, got candidates of 2");
  layers[0].weight = -1;
  CHECK_ERROR(qaf::make_plan(layers, Measure::bits, 1e9),
              "qaf::make_plan: the weight of layer 'conv2' must be 0 or more and finite, got -1");
  layers[0].weight = 1;
  layers[0].candidates[0].relative_error = -2;
  CHECK_ERROR(qaf::make_plan(layers, Measure::bits, 1e9),
              "qaf::make_plan: the errors of layer 'conv2' must be 0 or more and finite, got -2");
  layers[0].candidates.clear();
  CHECK_ERROR(qaf::make_plan(layers, Measure::bits, 1e9), "qaf::make_plan: layer 'conv2' has no candidates");
}
