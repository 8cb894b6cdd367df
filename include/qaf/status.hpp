#pragma once

#include <functional>

#include <qaf/types.hpp>

namespace qaf {

/// How a solver ended. Whatever the status, the model in the result is whole: the best one seen.
enum class Status {
  converged,           ///< `|e_k - e_(k-1)| <= tolerance`, with `e_k` the (expected) relative error after sweep k
  max_iterations,      ///< the sweeps allowed were done; more would still change the error
  stalled,             ///< the best error did not fall by more than `tolerance` in the last `patience` sweeps
  not_finite,          ///< a sweep gave NaN or infinity; the model is the best one before it
  stopped_by_callback  ///< `on_iteration` returned false
};

/// "converged", "max_iterations", ...
inline const char* to_string(Status status) {
  switch (status) {
    case Status::converged:
      return "converged";
    case Status::max_iterations:
      return "max_iterations";
    case Status::stalled:
      return "stalled";
    case Status::not_finite:
      return "not_finite";
    case Status::stopped_by_callback:
      return "stopped_by_callback";
  }
  return "unknown";
}

/// What a solver tells after every sweep.
struct Progress {
  Index iteration;        ///< sweeps done, from 1
  Index max_iterations;   ///< sweeps allowed
  double relative_error;  ///< after this sweep, by the fast formula (`fast_relative_error`)
  double best_error;      ///< the lowest so far
};

/// Called after every sweep; returns false to stop.
using IterationCallback = std::function<bool(const Progress&)>;

}  // namespace qaf
