// The float start that expects a quantizer's noise.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include <qaf/coordinate_descent.hpp>
#include <qaf/cp_admm.hpp>
#include <qaf/fit_weights.hpp>
#include <qaf/io/npy.hpp>
#include <qaf/quantization_aware_start.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::CpAdmmOptions;
using qaf::Index;
using qaf::StorageOrder;

qaf::UniformQuantizer with_bits(int bits) {
  qaf::UniformQuantizer quantizer;
  quantizer.bits = bits;
  return quantizer;
}

qaf::DenseTensor<float> layer(std::uint64_t seed) {
  return support::low_rank_tensor<float>({16, 12, 9}, 20, 0.3, seed, StorageOrder::row_major);
}

CpAdmmOptions sweeps(Index count) {
  CpAdmmOptions options;
  options.start.max_iterations = count;
  options.starts = 1;
  return options;
}

}  // namespace

TEST_CASE("The start rounds better than plain ALS, and the noise that falls makes it better",
          "[quantization_aware_start]") {
  // Trained weights: random ones have little that components could find.
  auto tensor = qaf::read_npy<float>(QAF_TEST_DATA "/../../examples/data/network/conv2.weight.npy");
  const Index outputs = tensor.dimensions()[0], inputs = tensor.dimensions()[1];
  tensor.reshape({outputs, inputs, 9});
  double constant = 0, falling = 0;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    const auto rounded = [&](const qaf::CpModel<float>& model) {
      return qaf::relative_error(tensor, qaf::quantize(model, with_bits(3)));
    };
    CpAdmmOptions options;
    options.starts = 1;
    options.start.seed = seed;
    const auto start = qaf::quantization_aware_start(tensor, 40, with_bits(3), options);
    CHECK(start.relative_error == Approx(qaf::relative_error(tensor, start.model)));
    CHECK(start.expected_error > start.relative_error);
    CHECK(rounded(start.model) < 0.8 * rounded(qaf::cp_als(tensor, 40).model));
    falling += start.expected_error;
    options.start.first_noise = 0;
    constant += qaf::quantization_aware_start(tensor, 40, with_bits(3), options).expected_error;
  }
  CHECK(falling < constant);
}

TEST_CASE("What is expected of the start is what rounding does", "[quantization_aware_start]") {
  // With all of the noise, and a quantizer whose rounding is near to independent errors.
  const auto tensor = layer(1);
  CpAdmmOptions options;
  options.start_noise = 1;
  for (const int bits : {4, 6}) {
    const auto start = qaf::quantization_aware_start(tensor, 16, with_bits(bits), options);
    CHECK(qaf::relative_error(tensor, qaf::quantize(start.model, with_bits(bits))) ==
          Approx(start.expected_error).epsilon(0.05));
  }
}

TEST_CASE("More starts and partial restarts expect less error, never more", "[quantization_aware_start]") {
  double one = 0, several = 0, restarted = 0;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    const auto tensor = layer(seed);
    CpAdmmOptions options = sweeps(60);
    options.start.seed = 10 * seed;
    const auto single = qaf::quantization_aware_start(tensor, 16, with_bits(4), options);
    options.starts = 4;
    const auto best = qaf::quantization_aware_start(tensor, 16, with_bits(4), options);
    CHECK(best.expected_error <= single.expected_error);
    CHECK(best.seed == 10 * seed);
    CHECK(best.iterations > single.iterations);
    options.starts = 1;
    options.partial_restarts = 6;
    const auto replaced = qaf::quantization_aware_start(tensor, 16, with_bits(4), options);
    CHECK(replaced.expected_error <= single.expected_error);
    // Deterministic.
    CHECK(qaf::quantization_aware_start(tensor, 16, with_bits(4), options).expected_error == replaced.expected_error);
    one += single.expected_error;
    several += best.expected_error;
    restarted += replaced.expected_error;

    // Of small models four starts are the default.
    options.partial_restarts = 0;
    options.starts = 0;
    CHECK(qaf::quantization_aware_start(tensor, 16, with_bits(4), options).expected_error == best.expected_error);
    options.starts = 1;

    // The best of the seeds is one of them.
    double least = single.expected_error;
    for (std::uint64_t k = 1; k < 4; ++k) {
      options.start.seed = 10 * seed + k * 0x9E3779B97F4A7C15U;
      least = std::min(least, qaf::quantization_aware_start(tensor, 16, with_bits(4), options).expected_error);
    }
    CHECK(best.expected_error == least);
  }
  CHECK(several < one);
  CHECK(restarted < one);
}

TEST_CASE("The steps of cp_admm taken one by one give what it gives, and those after ADMM only lower the error",
          "[quantization_aware_start]") {
  const auto tensor = layer(2);
  CpAdmmOptions options = sweeps(80);
  options.max_iterations = 60;
  const auto start = qaf::quantization_aware_start(tensor, 16, with_bits(3), options);
  options.refine = false;
  auto result = qaf::cp_admm(tensor, start.model, with_bits(3), options);
  std::vector<double> errors = {qaf::relative_error(tensor, qaf::quantize(start.model, with_bits(3))),
                                result.relative_error};
  qaf::fit_weights(tensor, result.model);
  errors.push_back(qaf::relative_error(tensor, result.model));
  qaf::CoordinateDescentOptions one_sweep;
  one_sweep.max_iterations = 1;
  for (int sweep = 0; sweep < 6; ++sweep) {
    qaf::coordinate_descent(tensor, result.model, one_sweep);
    errors.push_back(qaf::relative_error(tensor, result.model));
  }
  qaf::fit_weights(tensor, result.model);
  errors.push_back(qaf::relative_error(tensor, result.model));
  for (std::size_t k = 1; k < errors.size(); ++k) {
    CAPTURE(k);
    CHECK(errors[k] <= errors[k - 1] + 1e-6);
  }
  options.refine = true;
  CHECK(qaf::cp_admm(tensor, 16, with_bits(3), options).relative_error == Approx(errors.back()).epsilon(1e-3));
}

TEST_CASE("Every start and every partial restart is another", "[quantization_aware_start]") {
  CpAdmmOptions options = sweeps(20);
  options.starts = 3;
  options.partial_restarts = 6;
  std::set<double> after_first_sweep;
  options.start.on_iteration = [&](const qaf::Progress& progress) {
    if (progress.iteration == 1) after_first_sweep.insert(progress.relative_error);
    return true;
  };
  qaf::quantization_aware_start(layer(0), 8, with_bits(4), options);
  CHECK(after_first_sweep.size() == 9);
}

TEST_CASE("A callback stops the start and all that would follow in it", "[quantization_aware_start]") {
  CpAdmmOptions options = sweeps(20);
  options.starts = 3;
  options.partial_restarts = 3;
  Index calls = 0;
  options.start.on_iteration = [&](const qaf::Progress&) { return ++calls < 5; };
  const auto start = qaf::quantization_aware_start(layer(0), 4, with_bits(4), options);
  CHECK(start.status == qaf::Status::stopped_by_callback);
  CHECK(calls == 5);
  CHECK(start.iterations == 5);
}

TEST_CASE("Zeros have a start of zeros, and bad counts are refused", "[quantization_aware_start]") {
  CpAdmmOptions options;
  options.starts = 2;
  options.partial_restarts = 2;
  const qaf::DenseTensor<double> zeros({4, 3, 2});
  const auto start = qaf::quantization_aware_start(zeros, 3, with_bits(4), options);
  CHECK(start.relative_error == 0);
  CHECK(start.model.weights.isZero());
  options.starts = -1;
  CHECK_ERROR(qaf::quantization_aware_start(zeros, 3, with_bits(4), options),
              "qaf::CpAdmmOptions: starts must be 0 or more, got -1");
  options.starts = 1;
  options.partial_restarts = -1;
  CHECK_ERROR(qaf::quantization_aware_start(zeros, 3, with_bits(4), options),
              "qaf::CpAdmmOptions: partial_restarts must be 0 or more, got -1");
  options.partial_restarts = 0;
  options.start.noise = std::vector<double>{0.1, 0.1};
  CHECK_ERROR(qaf::quantization_aware_start(zeros, 3, with_bits(4), options),
              "qaf::quantization_aware_start: CpAlsOptions::noise must hold a value for each of the 3 modes, one for "
              "all, or none, got 2");
  CHECK_ERROR(qaf::quantization_aware_start(zeros, 0, with_bits(4)),
              "qaf::quantization_aware_start: rank must be at least 1, got 0");
}
