// The MTTKRPs of many sweeps from shared partial products.

#include <algorithm>
#include <cstddef>
#include <vector>

#include <qaf/detail/partial_products.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::Index;
using qaf::Matrix;
using Sizes = std::vector<Index>;

/// Factors that change, and the partial products that are told.
template <typename Scalar>
struct Fixture {
  qaf::DenseTensor<Scalar> tensor;
  std::vector<Matrix<Scalar>> factors;
  qaf::detail::PartialProducts<Scalar> partials;

  Fixture(const Sizes& dimensions, Index rank, qaf::StorageOrder storage_order, bool across_sweeps,
          const qaf::Resources& resources)
      : tensor(support::random_tensor<Scalar>(dimensions, storage_order)),
        factors(support::random_model<Scalar>(dimensions, rank).factors),
        partials(qaf::tensor_view(tensor), rank, across_sweeps, resources) {}

  void change(Index mode) {
    Matrix<Scalar>& factor = factors[static_cast<std::size_t>(mode)];
    factor = factor.array() + Scalar(0.5);
    partials.factor_changed(mode);
  }

  Matrix<Scalar> mttkrp(Index mode) {
    std::vector<qaf::detail::PanelMatrix<Scalar>> panels(factors.size());
    std::vector<qaf::detail::PanelView<Scalar>> views;
    for (std::size_t n = 0; n < factors.size(); ++n) {
      panels[n].assign(factors[n], partials.layout());
      views.push_back(panels[n].view());
    }
    return partials.mttkrp(views, mode).to_matrix(Scalar(2));
  }

  double distance(Index mode) {
    return support::matrix_distance(
        mttkrp(mode), Matrix<double>(2 * support::direct_mttkrp(tensor, factors, static_cast<std::size_t>(mode))));
  }
};

const std::vector<Sizes> shapes = {{7, 5},          {1, 4},          {6, 5, 4},         {9, 2, 3},
                                   {1, 1, 5},       {40, 3, 20},     {5, 4, 2, 3},      {3, 17, 2, 5},
                                   {4, 3, 2, 3, 2}, {2, 2, 9, 2, 2}, {2, 3, 1, 2, 2, 3}};

}  // namespace

TEMPLATE_TEST_CASE("Partial products give every mode's MTTKRP, whatever changed last", "[partial_products]", float,
                   double) {
  for (const Sizes& dimensions : shapes) {
    const Index order = static_cast<Index>(dimensions.size());
    // Sweeps in both directions, modes twice, and modes left out: no order of calls may find a stale partial product.
    std::vector<Index> calls;
    for (Index mode = 0; mode < 4 * order; ++mode) calls.push_back(mode % order);
    for (Index mode = order; mode-- > 0;) calls.push_back(mode);
    for (const Index mode : {Index{0}, order - 1, order - 1, Index{1}, Index{0}, Index{0}}) calls.push_back(mode);
    for (const qaf::StorageOrder storage_order : support::both_orders) {
      for (const bool across_sweeps : {false, true}) {
        for (const double memory : {0.0, 0.5, 1000.0}) {
          Fixture<TestType> fixture(dimensions, 3, storage_order, across_sweeps, {1, memory});
          for (const Index mode : calls) {
            CAPTURE(qaf::detail::shape_text(dimensions), static_cast<int>(storage_order), across_sweeps, memory, mode);
            CHECK(fixture.distance(mode) < support::Tolerance<TestType>::product);
            fixture.change(mode);
          }
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("Sums over a slow mode that the first cache does not hold", "[partial_products]", float, double) {
  // The pass that sums over the mode of 60 leaves three, of which that of 7 is updated first and is the slowest.
  const auto check = [](const Sizes& dimensions, Index first, qaf::StorageOrder storage_order) {
    for (const int threads : {1, 3}) {
      Fixture<TestType> fixture(dimensions, 20, storage_order, true, {threads, 1000});
      REQUIRE(fixture.partials.plan().run(first) == 3);
      for (Index call = first; call < first + 8; ++call) {
        CAPTURE(threads, static_cast<int>(storage_order), call);
        CHECK(fixture.distance(call % 4) < support::Tolerance<TestType>::product);
        fixture.change(call % 4);
      }
    }
  };
  check({20, 30, 60, 7}, 3, qaf::StorageOrder::column_major);
  check({7, 30, 20, 60}, 0, qaf::StorageOrder::row_major);
}

TEST_CASE("A factor may change that was not asked for", "[partial_products]") {
  for (const Sizes& dimensions : std::vector<Sizes>{{6, 5, 4}, {5, 4, 2, 3}, {4, 3, 2, 3, 2}}) {
    const Index order = static_cast<Index>(dimensions.size());
    Fixture<double> fixture(dimensions, 2, qaf::StorageOrder::column_major, true, {});
    for (Index call = 0; call < 3 * order; ++call) {
      for (Index changed = 0; changed < order; ++changed) {
        CAPTURE(dimensions, call, changed);
        fixture.change(changed);
        CHECK(fixture.distance(call % order) < 1e-13);
      }
    }
  }
}

TEST_CASE("Partial products without a change in between are asked for again", "[partial_products]") {
  Fixture<double> fixture({6, 5, 4, 3}, 2, qaf::StorageOrder::column_major, true, {});
  for (const Index mode : {0, 1, 2, 3, 2, 1, 0, 3}) CHECK(fixture.distance(mode) < 1e-13);
}

TEST_CASE("The memory of partial products stays within what is allowed", "[partial_products]") {
  const Index rank = 40;
  for (const Sizes& dimensions : std::vector<Sizes>{{12, 12, 12}, {20, 3, 30}, {8, 7, 6, 5}, {5, 5, 5, 5, 5}}) {
    for (const double memory : {0.0, 0.3, 1.0, 2.5, 8.0}) {
      Fixture<float> fixture(dimensions, rank, qaf::StorageOrder::row_major, true, {1, memory});
      const double most = memory * static_cast<double>(fixture.tensor.size());
      for (int call = 0; call < 12; ++call) {
        CAPTURE(qaf::detail::shape_text(dimensions), memory, call);
        const Index mode = call % static_cast<Index>(dimensions.size());
        fixture.mttkrp(mode);
        fixture.change(mode);
        CHECK(static_cast<double>(fixture.partials.size()) <= most);
      }
      if (memory == 8) CHECK(fixture.partials.size() > 0);
    }
  }
}

TEMPLATE_TEST_CASE("Threads share the work without a trace", "[partial_products]", float, double) {
  for (const Sizes& dimensions : std::vector<Sizes>{{70, 60, 50}, {21, 20, 19, 18}, {300, 2, 200}, {10, 40, 20, 64}}) {
    for (const qaf::StorageOrder storage_order : support::both_orders) {
      Fixture<TestType> one(dimensions, 20, storage_order, true, {1, 8});
      Fixture<TestType> three(dimensions, 20, storage_order, true, {3, 8});
      const Index order = static_cast<Index>(dimensions.size());
      for (Index call = 0; call < 2 * order; ++call) {
        CAPTURE(qaf::detail::shape_text(dimensions), static_cast<int>(storage_order), call);
        CHECK(one.mttkrp(call % order) == three.mttkrp(call % order));
        one.change(call % order);
        three.change(call % order);
      }
    }
  }
}
