#pragma once

#include <cmath>
#include <limits>

#include <qaf/coordinate_descent.hpp>
#include <qaf/cp_als.hpp>
#include <qaf/error.hpp>
#include <qaf/resources.hpp>
#include <qaf/status.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// What the penalty of the method of multipliers is a multiple of.
enum class PenaltyShape {
  diagonal,  ///< of the diagonal of G: every component gets its own, the iterates do not depend on their scales
  trace      ///< of tr(G) / R, the same for all components, as in the paper
};

/// How much work `cp_admm_options` plans.
enum class Effort {
  quick,    ///< a quarter of the sweeps of `normal`
  normal,   ///< the defaults
  thorough  ///< some ten times the work of `normal`, most of it in a longer method of multipliers
};

/// Settings of `cp_admm`.
struct CpAdmmOptions {
  /// Sweeps of the method of multipliers over all modes at the most, 1 or more.
  Index max_iterations = 400;

  /// Steps on one factor in one sweep at the most, 1 or more. With a rising penalty one is best: they go on
  /// from the sweep before.
  Index max_inner_iterations = 1;

  /// Ends the steps on a factor once `|H - T|^2 / |H|^2` and `|H - H_previous|^2 / |U|^2` are both below
  /// this (H the decoded factor, T the real-valued one, U the scaled dual); 0 or more. Integer codes
  /// rarely get there.
  double inner_tolerance = 1e-8;

  /// The penalty rho rises from this to `last_penalty` by the same factor every sweep; above 0. A small one
  /// lets the factors move as if they were not quantized, a large one freezes the codes.
  double first_penalty = 0.3;

  /// The penalty of the last sweep; above 0.
  double last_penalty = 1;

  /// What penalties are multiples of.
  PenaltyShape penalty_shape = PenaltyShape::diagonal;

  /// Goes on from `H + U` by this part of its last change, 0 to 1; 0 for the plain method.
  double momentum = 0.6;

  /// Reflects columns (their signs go to the weights) so that their largest entries lie where the
  /// quantizer's range reaches further: in two's complement, below zero.
  bool reflect = true;

  /// Ends where a sweep, with a rising penalty `patience` sweeps in a row, change the relative error by no more than
  /// this; 0 or more.
  double tolerance = 1e-7;

  /// With a constant penalty: ends where the best error has not fallen by more than `tolerance` in this
  /// many sweeps, 1 or more.
  Index patience = 20;

  /// Refines the result by `fit_weights` and `coordinate_descent`, neither of which can raise the error.
  bool refine = true;

  /// Of that refinement. (`descent.resources` is not used: `resources` is for all steps.)
  CoordinateDescentOptions descent = {};

  /// The float solver whose result is the start. (`start.resources` is not used either.)
  CpAlsOptions start = extrapolated();

  /// How much of the noise that rounding the factors will add the start prepares for, 0 to 1e4:
  /// `start_noise` times the `quantization_noise` of a factor of mode n is added to `start.noise[n]`. 0 starts from
  /// plain CP-ALS, as the paper does.
  double start_noise = 0.35;

  /// Random starts, the first from `start.seed`, of which the one with the least expected error goes on; 0 or more.
  /// Which start is best foretells well which result is. 0 chooses: 4 below rank 32, where starts differ most and cost
  /// least, else 1.
  Index starts = 0;

  /// How often a part of the best start's components is replaced by random ones and the start solved again, half as
  /// many sweeps as it had; kept where the expected error falls. 0 or more. Ten of them gain more than ten starts.
  Index partial_restarts = 0;

  /// Of all steps, the start included.
  Resources resources = {};

  /// Told of every sweep; returns false to stop. (The sweeps of the start go to `start.on_iteration`.)
  IterationCallback on_iteration = {};

  /// Those of `cp_als`, with extrapolation and more patience: what the start gains, the codes gain.
  static CpAlsOptions extrapolated() {
    CpAlsOptions options;
    options.extrapolate = true;
    options.max_iterations = 350;
    options.tolerance = 1e-7;
    options.first_noise = 0.26;
    return options;
  }
};

/// The settings for an effort.
inline CpAdmmOptions cp_admm_options(Effort effort) {
  CpAdmmOptions options;
  if (effort == Effort::quick) {
    options.start.max_iterations = 90;
    options.max_iterations = 100;
  } else if (effort == Effort::thorough) {
    options.start.max_iterations = 400;
    options.partial_restarts = 15;
    options.max_iterations = 5000;
  }
  return options;
}

/// The settings of Cherniuk et al. 2023, as far as they are the solver's: plain CP-ALS as the start, a
/// constant penalty `tr(G)/R`, many inner steps, nothing after them. (Theirs of the quantizer: one scale per
/// tensor, the full range, `ScaleMethod::grid`.)
inline CpAdmmOptions paper_options() {
  CpAdmmOptions options;
  options.start = {};
  options.start_noise = 0;
  options.starts = 1;
  options.max_iterations = 40;
  options.max_inner_iterations = 30;
  options.first_penalty = options.last_penalty = 1;
  options.penalty_shape = PenaltyShape::trace;
  options.momentum = 0;
  options.reflect = false;
  options.refine = false;
  return options;
}

/// Throws `std::invalid_argument` that names the first field out of its range.
inline void validate(const CpAdmmOptions& options) {
  const auto in_range = [](const char* name, double value, double least, const char* range, double most) {
    if (!(value >= least && value <= most && std::isfinite(value)))
      detail::fail("CpAdmmOptions", name, " must be ", range, ", got ", value);
  };
  constexpr double any = std::numeric_limits<double>::max();
  constexpr double positive = std::numeric_limits<double>::min();
  if (options.max_iterations < 1)
    detail::fail("CpAdmmOptions", "max_iterations must be at least 1, got ", options.max_iterations);
  if (options.max_inner_iterations < 1)
    detail::fail("CpAdmmOptions", "max_inner_iterations must be at least 1, got ", options.max_inner_iterations);
  in_range("inner_tolerance", options.inner_tolerance, 0, "0 or more and finite", any);
  in_range("first_penalty", options.first_penalty, positive, "above 0 and finite", any);
  in_range("last_penalty", options.last_penalty, options.first_penalty, "first_penalty or more and finite", any);
  in_range("momentum", options.momentum, 0, "from 0 to 1", 1);
  in_range("tolerance", options.tolerance, 0, "0 or more and finite", any);
  if (options.patience < 1) detail::fail("CpAdmmOptions", "patience must be at least 1, got ", options.patience);
  if (options.starts < 0) detail::fail("CpAdmmOptions", "starts must be 0 or more, got ", options.starts);
  if (options.partial_restarts < 0)
    detail::fail("CpAdmmOptions", "partial_restarts must be 0 or more, got ", options.partial_restarts);
  in_range("start_noise", options.start_noise, 0, "from 0 to 10000", detail::most_noise);
  validate(options.resources);
  validate(options.descent);
  validate(options.start);
}

}  // namespace qaf
