// What of the machine solvers may use makes no difference to what they find.

#include <algorithm>
#include <cmath>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <qaf/coordinate_descent.hpp>
#include <qaf/cp_admm.hpp>
#include <qaf/cp_als.hpp>
#include <qaf/cp_model.hpp>
#include <qaf/detail/parallel.hpp>
#include <qaf/error_preserving_correction.hpp>
#include <qaf/fit_weights.hpp>
#include <qaf/mttkrp.hpp>
#include <qaf/quantizers/uniform.hpp>
#include <qaf/resources.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"

namespace {

using qaf::Index;
using qaf::Resources;
using Sizes = std::vector<Index>;

qaf::CpAlsOptions sweeps(Index count, const Resources& resources) {
  qaf::CpAlsOptions options;
  options.max_iterations = count;
  options.tolerance = 0;
  options.resources = resources;
  return options;
}

template <typename Scalar>
bool same_model(const qaf::CpModel<Scalar>& a, const qaf::CpModel<Scalar>& b) {
  return a.factors == b.factors && a.weights == b.weights;
}

}  // namespace

TEST_CASE("Sweeps with reuse have the iterates of sweeps without", "[resources]") {
  for (const Sizes& dimensions : std::vector<Sizes>{{9, 8, 7}, {12, 12, 3}, {6, 5, 4, 3}, {4, 4, 3, 4, 3}}) {
    for (const qaf::StorageOrder storage_order : support::both_orders) {
      const auto tensor = support::random_tensor<double>(dimensions, storage_order);
      // With 0 every MTTKRP is a pass of its own.
      const auto plain = qaf::cp_als(tensor, 4, sweeps(30, {1, 0}));
      for (const double memory : {0.2, 1.0, 8.0, 1000.0}) {
        CAPTURE(qaf::detail::shape_text(dimensions), static_cast<int>(storage_order), memory);
        const auto reused = qaf::cp_als(tensor, 4, sweeps(30, {1, memory}));
        REQUIRE(reused.history.size() == plain.history.size());
        for (std::size_t k = 0; k < plain.history.size(); ++k)
          CHECK(std::abs(reused.history[k] - plain.history[k]) < 1e-10);
      }
    }
  }
}

TEST_CASE("Sweeps whose partial products the caches do not hold have the same iterates", "[resources]") {
  const std::vector<std::pair<Sizes, Index>> examples{{{50, 24, 24, 24}, 48}, {{66, 68, 70}, 192}};
  for (const auto& [dimensions, rank] : examples) {
    qaf::CpModel<double> start = support::random_model<double>(dimensions, rank);
    for (const bool is_singular : {false, true}) {
      // Two equal components, between which no least-squares problem can tell.
      if (is_singular)
        for (qaf::Matrix<double>& factor : start.factors) factor.col(1) = factor.col(0);
      for (const qaf::StorageOrder storage_order : support::both_orders) {
        const auto tensor = support::random_tensor<double>(dimensions, storage_order);
        for (const bool extrapolate : {false, true}) {
          CAPTURE(rank, is_singular, static_cast<int>(storage_order), extrapolate);
          qaf::CpAlsOptions options = sweeps(4, {1, 0});
          options.extrapolate = extrapolate;
          const auto plain = qaf::cp_als(tensor, start, options);
          options.resources.memory = 8;
          const auto reused = qaf::cp_als(tensor, start, options);
          REQUIRE(reused.history.size() == plain.history.size());
          for (std::size_t k = 0; k < plain.history.size(); ++k)
            CHECK(std::abs(reused.history[k] - plain.history[k]) < (is_singular ? 1e-6 : 1e-10));
          for (std::size_t n = 0; !is_singular && n < start.factors.size(); ++n)
            CHECK((reused.model.factors[n] - plain.model.factors[n]).cwiseAbs().maxCoeff() < 1e-7);
        }
      }
    }
  }
}

TEST_CASE("Without extrapolation columns of all norms give the same iterates", "[resources]") {
  // Such factors are not balanced from sweep to sweep, only where they have drifted apart.
  const auto tensor = support::random_tensor<double>({9, 8, 7}, qaf::StorageOrder::column_major);
  qaf::CpModel<double> start = support::random_model<double>({9, 8, 7}, 4);
  const auto one = qaf::cp_als(tensor, start, sweeps(40, {}));
  for (Index r = 0; r < 4; ++r) {
    start.factors[0].col(r) *= std::pow(10.0, 3.0 * static_cast<double>(r));
    start.factors[1].col(r) /= std::pow(10.0, 3.0 * static_cast<double>(r));
  }
  const auto other = qaf::cp_als(tensor, start, sweeps(40, {}));
  REQUIRE(one.history.size() == other.history.size());
  for (std::size_t k = 0; k < one.history.size(); ++k) CHECK(std::abs(one.history[k] - other.history[k]) < 1e-9);
}

TEMPLATE_TEST_CASE("The same threads give the same bits, in every solver", "[resources]", float, double) {
  // Large enough for the work to be shared.
  const auto tensor = support::random_tensor<TestType>({70, 60, 30}, qaf::StorageOrder::row_major);
  const Index rank = 40;
  qaf::UniformQuantizer quantizer;
  quantizer.bits = 4;
  qaf::CpAdmmOptions admm;
  admm.starts = 1;
  admm.start.max_iterations = 5;
  admm.max_iterations = 5;
  for (const int threads : {1, 2, 3}) {
    CAPTURE(threads);
    const Resources resources{threads, 8};
    admm.resources = resources;
    const auto als = qaf::cp_als(tensor, rank, sweeps(5, resources));
    CHECK(same_model(als.model, qaf::cp_als(tensor, rank, sweeps(5, resources)).model));
    const auto result = qaf::cp_admm(tensor, rank, quantizer, admm);
    const auto again = qaf::cp_admm(tensor, rank, quantizer, admm);
    CHECK(result.relative_error == again.relative_error);
    CHECK(result.history == again.history);
    for (std::size_t n = 0; n < 3; ++n) CHECK(result.model.factors[n].codes == again.model.factors[n].codes);
    CHECK(result.model.weights == again.model.weights);
    CHECK(qaf::mttkrp(tensor, als.model.factors, 1, resources) == qaf::mttkrp(tensor, als.model.factors, 1, resources));
  }
}

TEST_CASE("Resources out of range are refused by every solver", "[resources]") {
  const auto tensor = support::random_tensor<float>({3, 4, 5}, qaf::StorageOrder::column_major);
  const qaf::CpModel<float> model = support::random_model<float>({3, 4, 5}, 2);
  const Resources no_threads{-1, 8}, no_memory{1, -0.5}, endless{1, INFINITY};
  CHECK_ERROR(qaf::validate(no_threads), "qaf::Resources: threads must be from 0 to 1024, got -1");
  CHECK_ERROR(qaf::validate(no_memory), "qaf::Resources: memory must be 0 or more and finite, got -0.5");
  CHECK_ERROR(qaf::validate(endless), "qaf::Resources: memory must be 0 or more and finite, got inf");
  CHECK_ERROR(qaf::validate(Resources{100000, 8}), "qaf::Resources: threads must be from 0 to 1024, got 100000");
  const std::string sentence = "qaf::Resources: threads must be from 0 to 1024, got -1";
  CHECK_ERROR(qaf::cp_als(tensor, 2, sweeps(1, no_threads)), sentence);
  CHECK_ERROR(qaf::mttkrp(tensor, model.factors, 0, no_threads), sentence);
  CHECK_ERROR(qaf::relative_error(tensor, model, no_threads), sentence);
  CHECK_ERROR(qaf::reconstruct(model, qaf::StorageOrder::column_major, no_threads), sentence);
  qaf::CpAdmmOptions admm;
  admm.resources = no_threads;
  CHECK_ERROR(qaf::cp_admm(tensor, 2, qaf::UniformQuantizer(), admm), sentence);
  qaf::ErrorPreservingCorrectionOptions correction;
  correction.resources = no_threads;
  CHECK_ERROR(qaf::error_preserving_correction(tensor, model, correction), sentence);
  auto quantized = qaf::quantize(model, qaf::UniformQuantizer());
  CHECK_ERROR(qaf::fit_weights(tensor, quantized, no_threads), sentence);
  qaf::CoordinateDescentOptions descent;
  descent.resources = no_threads;
  CHECK_ERROR(qaf::coordinate_descent(tensor, quantized, descent), sentence);
}

TEST_CASE("What a thread throws reaches the caller", "[resources]") {
  for (const int threads : {1, 2, 4}) {
    CAPTURE(threads);
    const auto throw_in_last_part = [](Index, Index end) {
      if (end == 100) throw std::bad_alloc();
    };
    CHECK_THROWS_AS(qaf::detail::parallel_ranges(threads, 100, throw_in_last_part), std::bad_alloc);
  }
}

TEMPLATE_TEST_CASE("Errors and reconstructions do not depend on the threads", "[resources]", float, double) {
  const auto tensor = support::random_tensor<TestType>({70, 60, 30}, qaf::StorageOrder::row_major);
  const auto model = support::random_model<TestType>({70, 60, 30}, 40);
  const Resources one{1, 8}, three{3, 8};
  CHECK(qaf::relative_error(tensor, model, one) == qaf::relative_error(tensor, model, three));
  const auto a = qaf::reconstruct(model, qaf::StorageOrder::row_major, one);
  const auto b = qaf::reconstruct(model, qaf::StorageOrder::row_major, three);
  CHECK(std::equal(a.data(), a.data() + a.size(), b.data()));
}
