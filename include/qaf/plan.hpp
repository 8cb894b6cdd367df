#pragma once

/// @file
/// What layers cost, and the form, rank and bits of each for a budget.

#include <qaf/plan/allocation.hpp>
#include <qaf/plan/candidates.hpp>
#include <qaf/plan/layer_cost.hpp>
#include <qaf/plan/make_plan.hpp>
#include <qaf/plan/plan_text.hpp>
