#pragma once

#include <cmath>

#include <qaf/error.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// What of the machine a solver may use.
struct Resources {
  /// OpenMP threads, 1 to 1024; 0 takes as many as OpenMP offers (`OMP_NUM_THREADS`). Without OpenMP always 1. The
  /// same number gives the same bits. Products that a BLAS takes over have its own threads.
  int threads = 0;

  /// What the partial products that are kept from one update to the next may take, as a multiple of the tensor's own
  /// memory; 0 or more. The solver plans with what there is: with 0 nothing is kept, and a sweep needs a pass over the
  /// tensor for every mode. Not counted are blocks of bounded size, what is of the size of the factors or of `R x
  /// R`, and, beside a partial product, products of the factors that it is summed with.
  double memory = 8;
};

/// Throws `std::invalid_argument` that names the first field out of its range.
inline void validate(const Resources& resources) {
  if (resources.threads < 0 || resources.threads > 1024)
    detail::fail("Resources", "threads must be from 0 to 1024, got ", resources.threads);
  if (!(resources.memory >= 0 && std::isfinite(resources.memory)))
    detail::fail("Resources", "memory must be 0 or more and finite, got ", resources.memory);
}

}  // namespace qaf
