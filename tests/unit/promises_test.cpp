// What every solver and quantizer promises: the same bits for the same seed, the same answer in float and in double,
// and a valid model with its own error wherever a callback stops it.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <qaf/coordinate_descent.hpp>
#include <qaf/cp_admm.hpp>
#include <qaf/cp_als.hpp>
#include <qaf/error_preserving_correction.hpp>
#include <qaf/fit_weights.hpp>
#include <qaf/quantization_aware_start.hpp>
#include <qaf/quantizers/any.hpp>
#include <qaf/quantizers/uniform.hpp>
#include <qaf/weighted.hpp>

#include "support/catch.hpp"
#include "support/models.hpp"
#include "support/random.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::CpAdmmOptions;
using qaf::CpModel;
using qaf::DenseTensor;
using qaf::Index;
using qaf::Matrix;
using qaf::StorageOrder;
using qaf::UniformQuantizer;
using support::same_bits;
using support::Tolerance;

UniformQuantizer four_bits() {
  UniformQuantizer quantizer;
  quantizer.bits = 4;
  return quantizer;
}

template <typename Scalar>
DenseTensor<Scalar> layer() {
  return support::low_rank_tensor<Scalar>({9, 8, 6}, 5, 0.2, 3, StorageOrder::row_major);
}

/// Of 8 inputs, the last ones weigh hardly anything.
std::vector<Matrix<double>> metrics() {
  Matrix<double> inputs = Matrix<double>::Constant(8, 8, 0.1);
  for (Index k = 0; k < 8; ++k) inputs(k, k) = 1.0 / static_cast<double>(1 + k * k);
  inputs.diagonal().array() += 0.1;
  return {{}, inputs, Matrix<double>::Ones(6, 1)};
}

CpAdmmOptions short_run(std::uint64_t seed) {
  CpAdmmOptions options;
  options.start.max_iterations = 20;
  options.starts = 2;
  options.partial_restarts = 2;
  options.max_iterations = 12;
  options.start.seed = seed;
  return options;
}

template <typename Scalar, typename Quantizer>
bool same_bits(const qaf::QuantizedCpModel<Scalar, Quantizer>& a, const qaf::QuantizedCpModel<Scalar, Quantizer>& b) {
  for (std::size_t n = 0; n < a.factors.size(); ++n)
    if (a.factors[n].codes != b.factors[n].codes || a.factors[n].parameters != b.factors[n].parameters) return false;
  return a.weights == b.weights;
}

/// The model in another precision.
template <typename To, typename From>
CpModel<To> cast(const CpModel<From>& model) {
  CpModel<To> result;
  for (const Matrix<From>& factor : model.factors) result.factors.push_back(factor.template cast<To>());
  result.weights = model.weights.template cast<To>();
  return result;
}

qaf::CpAlsOptions sweeps(Index count, bool extrapolate = false) {
  qaf::CpAlsOptions options;
  options.max_iterations = count;
  options.tolerance = 0;
  options.extrapolate = extrapolate;
  return options;
}

}  // namespace

TEMPLATE_TEST_CASE("The same seed gives the same bits, another seed others", "[promises]", float, double) {
  const auto tensor = layer<TestType>();
  const auto weighted = qaf::weighted(tensor, metrics());
  const auto start = [&](std::uint64_t seed) {
    return qaf::quantization_aware_start(tensor, 4, four_bits(), short_run(seed)).model;
  };
  CHECK(same_bits(start(1), start(1)));
  CHECK_FALSE(same_bits(start(1), start(2)));
  const auto solved = [&](std::uint64_t seed) { return qaf::cp_admm(weighted, 4, four_bits(), short_run(seed)).model; };
  const auto model = solved(1);
  CHECK(same_bits(model, solved(1)));
  CHECK_FALSE(same_bits(model, solved(2)));
  // What has no seed has no chance in it.
  const auto rounded = qaf::quantize(support::random_model<TestType>({9, 8, 6}, 4), four_bits());
  const auto refined = [&] {
    auto copy = rounded;
    qaf::coordinate_descent(weighted, copy);
    qaf::fit_weights(weighted, copy);
    return copy;
  };
  CHECK(same_bits(refined(), refined()));
  CHECK_FALSE(same_bits(refined(), rounded));
}

TEST_CASE("Quantizers give the same bits again, and in float and double the same error", "[promises]") {
  for (const std::string& name : qaf::quantizer_names()) {
    CAPTURE(name);
    const qaf::AnyQuantizer quantizer = qaf::make_quantizer(name);
    for (const Index rows : {5, 70, 5000}) {
      const Matrix<float> single = qaf::detail::NormalGenerator(7).matrix<float>(rows, 3);
      const Matrix<double> values = single.cast<double>();
      const auto first = qaf::quantize(single, quantizer), again = qaf::quantize(single, quantizer);
      CHECK(first.codes == again.codes);
      CHECK(first.parameters == again.parameters);
      const double error = (qaf::decode<double>(first) - values).norm();
      const double error_of_doubles = (qaf::decode<double>(qaf::quantize(values, quantizer)) - values).norm();
      CHECK(error == Approx(error_of_doubles).epsilon(1e-3));
      // With the same parameters codes differ at ties alone, where either is as near.
      const Matrix<double> codes_of_doubles =
          quantizer.decode(quantizer.encode(values, first.parameters), first.parameters).cast<double>();
      const Matrix<double> distances = (qaf::decode<double>(first) - values).cwiseAbs();
      CHECK((distances - (codes_of_doubles - values).cwiseAbs()).cwiseAbs().maxCoeff() < 1e-5);
    }
  }
}

TEST_CASE("Float and double agree: sweeps from the same start", "[promises]") {
  // In double the tensor is that of the floats.
  const auto single = layer<float>();
  DenseTensor<double> tensor(single.dimensions(), single.storage_order());
  std::copy_n(single.data(), single.size(), tensor.data());
  const auto start = support::random_model<double>({9, 8, 6}, 4);
  for (const bool extrapolate : {false, true}) {
    CAPTURE(extrapolate);
    auto options = sweeps(15, extrapolate);
    options.noise = std::vector<double>{0.01};
    const auto a = qaf::cp_als(tensor, start, options);
    const auto b = qaf::cp_als(single, cast<float>(start), options);
    CHECK(a.relative_error == Approx(b.relative_error).epsilon(Tolerance<float>::repeated));
    CHECK(a.expected_error == Approx(b.expected_error).epsilon(Tolerance<float>::repeated));
    const auto c = qaf::cp_als(qaf::weighted(tensor, metrics()), start, options);
    const auto d = qaf::cp_als(qaf::weighted(single, metrics()), cast<float>(start), options);
    CHECK(c.relative_error == Approx(d.relative_error).epsilon(Tolerance<float>::repeated));
  }
  const auto fit = qaf::cp_als(tensor, start, sweeps(30)).model;
  qaf::ErrorPreservingCorrectionOptions correction;
  correction.slack = 0.02;
  correction.max_iterations = 10;
  const auto a = qaf::error_preserving_correction(tensor, fit, correction);
  const auto b = qaf::error_preserving_correction(single, cast<float>(fit), correction);
  CHECK(a.relative_error == Approx(b.relative_error).epsilon(Tolerance<float>::repeated));
  CHECK(a.weights_norm == Approx(b.weights_norm).epsilon(Tolerance<float>::repeated));
}

TEST_CASE("Float and double agree: quantized models", "[promises]") {
  const auto single = layer<float>();
  DenseTensor<double> tensor(single.dimensions(), single.storage_order());
  std::copy_n(single.data(), single.size(), tensor.data());
  const auto start = qaf::cp_als(tensor, 5, sweeps(30)).model;
  auto a = qaf::quantize(start, four_bits());
  auto b = qaf::quantize(cast<float>(start), four_bits());
  CHECK(qaf::relative_error(tensor, a) == Approx(qaf::relative_error(single, b)).epsilon(1e-3));
  qaf::fit_weights(tensor, a);
  qaf::fit_weights(single, b);
  CHECK(qaf::relative_error(tensor, a) == Approx(qaf::relative_error(single, b)).epsilon(1e-3));
  // A code that rounding sends the other way changes those after it, so only the errors stay near each other.
  qaf::coordinate_descent(tensor, a);
  qaf::coordinate_descent(single, b);
  CHECK(qaf::relative_error(tensor, a) == Approx(qaf::relative_error(single, b)).epsilon(0.03));
  CpAdmmOptions options;
  options.max_iterations = 60;
  const auto c = qaf::cp_admm(tensor, start, four_bits(), options);
  const auto d = qaf::cp_admm(single, cast<float>(start), four_bits(), options);
  CHECK(c.start_relative_error == Approx(d.start_relative_error).epsilon(1e-4));
  CHECK(c.relative_error == Approx(d.relative_error).epsilon(0.03));
}

TEMPLATE_TEST_CASE("Wherever a callback stops a solver, its model is valid and its error right", "[promises]", float,
                   double) {
  const auto tensor = layer<TestType>();
  for (const Index last : {1, 2, 3, 5, 8, 13}) {
    CAPTURE(last);
    const auto stop = [&](const qaf::Progress& progress) { return progress.iteration < last; };
    for (const bool extrapolate : {false, true}) {
      auto options = sweeps(40, extrapolate);
      options.on_iteration = stop;
      const auto fit = qaf::cp_als(tensor, 6, options);
      CHECK(fit.status == qaf::Status::stopped_by_callback);
      CHECK(fit.iterations == last);
      CHECK(support::is_normalized(fit.model));
      CHECK(fit.relative_error == Approx(support::direct_error(tensor, fit.model)).epsilon(1e-4));
      CHECK(fit.relative_error < 1);
    }
    for (const bool refine : {false, true}) {
      CpAdmmOptions options = short_run(1);
      options.starts = 1;
      options.max_iterations = 30;
      options.refine = refine;
      options.on_iteration = stop;
      const auto result = qaf::cp_admm(tensor, 6, four_bits(), options);
      CHECK(result.status == qaf::Status::stopped_by_callback);
      CHECK(result.iterations == last);
      CHECK(result.relative_error == Approx(support::direct_error(tensor, qaf::decode(result.model))).epsilon(1e-4));
      CHECK(result.relative_error < 1);
      for (const auto& factor : result.model.factors) {
        CHECK(factor.codes.minCoeff() >= factor.quantizer.lowest());
        CHECK(factor.codes.maxCoeff() <= factor.quantizer.highest());
      }
      // And of the start, which is then what is quantized.
      options.on_iteration = {};
      options.start.on_iteration = stop;
      options.max_iterations = 1;
      const auto early = qaf::cp_admm(tensor, 6, four_bits(), options);
      CHECK(early.relative_error == Approx(support::direct_error(tensor, qaf::decode(early.model))).epsilon(1e-4));
    }
  }
}
