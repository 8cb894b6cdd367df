#pragma once

#include <cmath>
#include <limits>
#include <set>
#include <string>

#include <qaf/error.hpp>
#include <qaf/io/detail/file.hpp>
#include <qaf/plan/detail/plan_table.hpp>
#include <qaf/plan/layer_cost.hpp>
#include <qaf/plan/make_plan.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

inline void check_names(const Plan& plan) {
  std::set<std::string> names;
  for (const PlannedLayer& one : plan.layers) {
    if (!is_word(one.layer.name))
      fail("plan_text", "the name of a layer must be a word without spaces and '#', got '", printable(one.layer.name),
           "'");
    if (!names.insert(one.layer.name).second)
      fail("plan_text", "layers must have different names, got '", printable(one.layer.name), "' twice");
  }
}

/// Whether it is 0 or more and no more than `largest`.
inline bool is_from_zero(double value, double largest) { return value >= 0 && value <= largest; }

/// Throws for what `parse_plan` would not take back of a layer.
inline void check_planned_layer(const PlannedLayer& one) {
  const Layer& layer = one.layer;
  validate(layer);
  const auto check = [&](const char* what, Index value, Index largest) {
    if (value < 1 || value > largest)
      fail("plan_text", what, " of layer '", layer.name, "' must be from 1 to ", largest, ", got ", value);
  };
  const auto check_number = [&](const char* what, double value) {
    if (!is_from_zero(value, std::numeric_limits<double>::max()))
      fail("plan_text", what, " of layer '", layer.name, "' must be 0 or more and finite, got ", value);
  };
  const double size = product_of(layer.dimensions);
  if (size > static_cast<double>(most_of_plan))
    fail("plan_text", "layer '", layer.name, "' must have at most ", most_of_plan, " weights, got ", size);
  check("input_pixels", layer.input_pixels, most_of_plan);
  check("output_pixels", layer.output_pixels, most_of_plan);
  if (one.form == Form::factored) check("the rank", one.rank, static_cast<Index>(size));
  if (one.form != Form::original) check("bits", one.bits, 32);
  check("activation_bits", one.activation_bits, 32);
  check_number("the weight", one.weight);
  check_number("the error", one.relative_error);
}

/// Throws for what `parse_plan` would not take back.
inline void check_plan(const Plan& plan) {
  if (plan.layers.empty()) fail("plan_text", "a plan must have at least one layer");
  if (!is_from_zero(plan.budget, std::numeric_limits<double>::infinity()))
    fail("plan_text", "the budget must be 0 or more, got ", plan.budget);
  if (!is_from_zero(plan.bound, std::numeric_limits<double>::max()))
    fail("plan_text", "the bound must be 0 or more and finite, got ", plan.bound);
  check_names(plan);
  for (const PlannedLayer& one : plan.layers) check_planned_layer(one);
}

}  // namespace qaf::detail
