#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <qaf/cp_admm_options.hpp>
#include <qaf/cp_als.hpp>
#include <qaf/error_preserving_correction.hpp>
#include <qaf/resources.hpp>
#include <qaf/types.hpp>

#include "draw.hpp"

// Settings within their ranges, and now and then beyond.
namespace property {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

inline qaf::Resources draw_resources(Draw& draw) {
  qaf::Resources resources;
  resources.threads = draw.chance(0.9) ? 1 : draw.integer(2, 3);
  resources.memory = draw.one_of({8.0, 8.0, 0.0, 0.5, 1.0, 2.0, 1e18, 1e308});
  return resources;
}

/// Mostly none; one that stops after a few sweeps.
inline qaf::IterationCallback draw_callback(Draw& draw) {
  if (draw.chance(0.9)) return {};
  const qaf::Index last = draw.index(1, 4);
  draw.note("stopped after ", last);
  return [last](const qaf::Progress& progress) { return progress.iteration < last; };
}

inline qaf::Index draw_iterations(Draw& draw, qaf::Index most) {
  return draw.chance(0.01) ? most : draw.small_index(1, 12);
}

inline qaf::CpAlsOptions draw_als_options(Draw& draw, qaf::Index order) {
  qaf::CpAlsOptions options;
  options.max_iterations = draw_iterations(draw, 200);
  options.tolerance = draw.one_of({0.0, 1e-6, 1e-3, 1.0, 1e300});
  const auto power = [&] { return draw.one_of({0.0, 0.01, 0.1, 0.3, 1.0, 100.0, 1e4}); };
  if (draw.chance(0.2)) options.noise = {power()};
  if (draw.chance(0.2)) {
    options.noise.clear();
    for (qaf::Index mode = 0; mode < order; ++mode) options.noise.push_back(power());
  }
  options.first_noise = draw.one_of({0.0, 0.0, 0.26, 5.0, 1e4});
  options.extrapolate = draw.chance(0.5);
  options.seed = draw.chance(0.1) ? ~std::uint64_t{0} : draw.bits() % 100;
  options.resources = draw_resources(draw);
  options.on_iteration = draw_callback(draw);
  draw.note("als sweeps ", options.max_iterations, " tolerance ", options.tolerance, " noise");
  for (const double one : options.noise) draw.note(one);
  draw.note("first_noise ", options.first_noise, options.extrapolate ? " extrapolated" : "", " seed ", options.seed,
            " threads ", options.resources.threads, " memory ", options.resources.memory);
  if (draw.chance(0.02)) {
    draw.spoil("CpAlsOptions");
    const double bad = draw.one_of({-1.0, not_a_number, infinity, 1e300});
    switch (draw.integer(0, 5)) {
      case 0:
        options.max_iterations = draw.one_of<qaf::Index>({0, -5});
        break;
      case 1:
        options.tolerance = -1;
        break;
      case 2:
        options.noise = {bad};
        break;
      case 3:
        options.noise = std::vector<double>(static_cast<std::size_t>(order) + 1, 0.1);
        break;
      case 4:
        options.first_noise = bad;
        break;
      default:
        options.resources.memory = -1;
    }
  }
  return options;
}

inline void spoil_admm_options(Draw& draw, qaf::CpAdmmOptions& options) {
  draw.spoil("CpAdmmOptions");
  const double bad = draw.one_of({-1.0, not_a_number, infinity});
  switch (draw.integer(0, 11)) {
    case 0:
      options.max_iterations = 0;
      break;
    case 1:
      options.max_inner_iterations = -1;
      break;
    case 2:
      options.inner_tolerance = bad;
      break;
    case 3:
      options.first_penalty = draw.one_of({0.0, bad});
      break;
    case 4:
      options.last_penalty = draw.one_of({options.first_penalty / 2, bad});
      break;
    case 5:
      options.momentum = draw.one_of({1.1, bad});
      break;
    case 6:
      options.tolerance = bad;
      break;
    case 7:
      options.patience = 0;
      break;
    case 8:
      options.starts = -1;
      break;
    case 9:
      options.partial_restarts = -1;
      break;
    case 10:
      options.start_noise = bad;
      break;
    default:
      options.descent.tolerance = bad;
  }
}

inline qaf::CpAdmmOptions draw_admm_options(Draw& draw, qaf::Index order) {
  qaf::CpAdmmOptions options =
      draw.chance(0.3)
          ? qaf::paper_options()
          : qaf::cp_admm_options(draw.one_of({qaf::Effort::quick, qaf::Effort::normal, qaf::Effort::thorough}));
  options.max_iterations = draw_iterations(draw, 100);
  options.start.max_iterations = draw_iterations(draw, 100);
  options.partial_restarts = draw.chance(0.2) ? draw.index(1, 3) : 0;
  if (draw.chance(0.5)) options.max_inner_iterations = draw.small_index(1, 6);
  if (draw.chance(0.5)) options.starts = draw.index(0, 3);
  if (draw.chance(0.4)) {
    options.inner_tolerance = draw.one_of({0.0, 1e-8, 1.0, 1e300});
    options.first_penalty = draw.one_of({1e-3, 0.1, 1.0, 10.0, 1e-300, 1e300});
    options.last_penalty = options.first_penalty * draw.one_of({1.0, 1.0, 10.0, 1e5});
    options.penalty_shape = draw.one_of({qaf::PenaltyShape::diagonal, qaf::PenaltyShape::trace});
    options.momentum = draw.one_of({0.0, 0.6, 1.0});
    options.reflect = draw.chance(0.5);
    options.tolerance = draw.one_of({0.0, 1e-7, 1.0, 1e300});
    options.patience = draw.index(1, 5);
    options.refine = draw.chance(0.7);
    options.start_noise = draw.one_of({0.0, 0.35, 1.0, 100.0, 1e4});
    options.descent.tolerance = draw.one_of({0.0, 1e-6, 1.0});
  }
  options.descent.max_iterations = draw.index(1, 4);
  if (draw.chance(0.3)) options.start = draw_als_options(draw, order);
  options.start.seed = draw.bits() % 100;
  options.resources = draw_resources(draw);
  options.on_iteration = draw_callback(draw);
  draw.note("admm sweeps ", options.max_iterations, " after ", options.start.max_iterations, " inner ",
            options.max_inner_iterations, " starts ", options.starts, "+", options.partial_restarts, " penalty ",
            options.first_penalty, " to ", options.last_penalty,
            options.penalty_shape == qaf::PenaltyShape::trace ? " trace" : "", " momentum ", options.momentum,
            options.reflect ? " reflect" : "", options.refine ? " refine" : "", " start_noise ", options.start_noise,
            " threads ", options.resources.threads, " memory ", options.resources.memory);
  if (draw.chance(0.02)) spoil_admm_options(draw, options);
  return options;
}

inline qaf::ErrorPreservingCorrectionOptions draw_correction_options(Draw& draw) {
  qaf::ErrorPreservingCorrectionOptions options;
  options.max_iterations = draw_iterations(draw, 50);
  options.slack = draw.one_of({0.0, 0.0, 0.01, 1.0, 1e300});
  options.tolerance = draw.one_of({0.0, 1e-6, 1.0});
  options.resources = draw_resources(draw);
  options.on_iteration = draw_callback(draw);
  draw.note("correction sweeps ", options.max_iterations, " slack ", options.slack);
  if (draw.chance(0.02)) {
    draw.spoil("ErrorPreservingCorrectionOptions");
    const double bad = draw.one_of({-1.0, not_a_number, infinity});
    switch (draw.integer(0, 2)) {
      case 0:
        options.max_iterations = 0;
        break;
      case 1:
        options.slack = bad;
        break;
      default:
        options.tolerance = bad;
    }
  }
  return options;
}

}  // namespace property
