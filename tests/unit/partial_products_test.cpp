// The MTTKRPs of many sweeps from shared partial products.

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

#include <qaf/detail/packets.hpp>
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
          const qaf::Resources& resources, bool by_rows = false, Index cache = 0)
      : tensor(support::random_tensor<Scalar>(dimensions, storage_order)),
        factors(support::random_model<Scalar>(dimensions, rank).factors),
        partials(qaf::tensor_view(tensor), rank, across_sweeps, resources, by_rows, cache) {}

  void change(Index mode) {
    Matrix<Scalar>& factor = factors[static_cast<std::size_t>(mode)];
    factor = factor.array() + Scalar(0.5);
    partials.factor_changed(mode);
  }

  Matrix<Scalar> mttkrp(Index mode) {
    const Panels panels(factors, partials.layout());
    return partials.mttkrp(panels.views, mode).to_matrix(Scalar(2));
  }

  double distance(Index mode) {
    const Matrix<Scalar> twice = mttkrp(mode);
    return support::matrix_distance(twice, exact(mode));
  }

  /// Twice the MTTKRP of a mode.
  Matrix<double> exact(Index mode) const {
    return 2 * support::direct_mttkrp(tensor, factors, static_cast<std::size_t>(mode));
  }

  /// Changes a factor by rows. Returns its MTTKRP before, twice.
  Matrix<Scalar> update(Index mode) {
    const Panels panels(factors, partials.layout());
    Matrix<Scalar>& factor = factors[static_cast<std::size_t>(mode)];
    qaf::detail::PanelMatrix<Scalar> changed;
    changed.resize(factor.rows(), partials.layout());
    Index next = 0;
    const auto result =
        partials.update(panels.views, mode, changed.view(), [&](const qaf::detail::PanelView<Scalar>& f, Index first) {
          CHECK(first == next);
          next = first + f.rows();
          auto part = factor.middleRows(first, f.rows());
          part = (part / 2 + f.to_matrix(Scalar(1)).cwiseMin(Scalar(1)).cwiseMax(Scalar(-1))).eval();
          changed.view().middle_rows(first, f.rows()).assign(part);
        });
    CHECK(next == factor.rows());
    partials.factor_changed(mode);
    return result.to_matrix(Scalar(2));
  }

 private:
  struct Panels {
    std::vector<qaf::detail::PanelMatrix<Scalar>> matrices;
    std::vector<qaf::detail::PanelView<Scalar>> views;

    Panels(const std::vector<Matrix<Scalar>>& factors, const qaf::detail::PanelLayout<Scalar>& layout)
        : matrices(factors.size()) {
      for (std::size_t n = 0; n < factors.size(); ++n) {
        matrices[n].assign(factors[n], layout);
        views.push_back(matrices[n].view());
      }
    }
  };
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

TEMPLATE_TEST_CASE("Where rows change as soon as they may, every MTTKRP is right", "[partial_products]", float,
                   double) {
  // Runs begin with modes that are the fastest or the slowest of those kept, or alone about those summed over.
  bool makes_slabs = false;
  for (const Sizes& dimensions : std::vector<Sizes>{{50, 9, 66},
                                                    {66, 9, 50},
                                                    {50, 8, 9, 10},
                                                    {10, 9, 8, 50},
                                                    {9, 50, 8, 10},
                                                    {50, 4, 5, 4, 5},
                                                    {48, 5, 13, 1}}) {
    const Index order = static_cast<Index>(dimensions.size()), rank = 2 * qaf::detail::packet_size<TestType>;
    Sizes calls;
    for (Index call = 0; call < 3 * order; ++call) calls.push_back(call % order);
    for (const Index mode : {order - 1, Index{1}, Index{1}, Index{0}, order - 1, Index{0}}) calls.push_back(mode);
    for (const qaf::StorageOrder storage_order : support::both_orders) {
      for (const bool across_sweeps : {false, true}) {
        for (const double memory : {0.5, 1000.0}) {
          const Index cache = 500 * static_cast<Index>(sizeof(TestType)) * rank;
          Fixture<TestType> one(dimensions, rank, storage_order, across_sweeps, {1, memory}, true, cache);
          Fixture<TestType> three(dimensions, rank, storage_order, across_sweeps, {3, memory}, true, cache);
          for (std::size_t k = 0; k < calls.size(); ++k) {
            CAPTURE(qaf::detail::shape_text(dimensions), static_cast<int>(storage_order), across_sweeps, memory, k);
            const Index mode = calls[k];
            makes_slabs = makes_slabs || one.partials.plan().slabs(mode, one.partials.plan().run(mode)) > 0;
            const Matrix<double> exact = one.exact(mode);
            const Matrix<TestType> twice = one.update(mode);
            CHECK(support::matrix_distance(twice, exact) < support::Tolerance<TestType>::product);
            CHECK(three.update(mode) == twice);
            CHECK(three.factors == one.factors);
            const double most = memory * static_cast<double>(one.tensor.size());
            CHECK(static_cast<double>(one.partials.size()) <= most);
            CHECK(static_cast<double>(three.partials.size()) <= most);
            // Now and then asked for without an update, and a change of another kind.
            if (k % 5 == 3) {
              CHECK(one.distance((mode + 1) % order) < support::Tolerance<TestType>::product);
              CHECK(three.distance((mode + 1) % order) < support::Tolerance<TestType>::product);
            }
            if (k % 7 == 5) {
              one.change(order - 1);
              three.change(order - 1);
            }
          }
        }
      }
    }
  }
#if !QAF_PRODUCTS_BY_BLAS
  CHECK(makes_slabs);
#endif
}

#if !QAF_PRODUCTS_BY_BLAS
TEST_CASE("What is left of slabs serves all of a run", "[partial_products]") {
  const Index rank = 2 * qaf::detail::packet_size<double>;
  Fixture<double> fixture({48, 20, 21, 22}, rank, qaf::StorageOrder::column_major, true, {1, 8}, true, 3000 * 8 * rank);
  for (const Index first : {1, 2, 3}) {
    const qaf::DenseTensor<double> tensor = fixture.tensor;
    for (Index mode = 0; mode < 4; ++mode) fixture.change(mode);
    REQUIRE(fixture.partials.plan().run(first) == 3);
    REQUIRE(fixture.partials.plan().slabs(first, 3) > 0);
    fixture.update(first);
    // None of these goes over the tensor.
    std::fill_n(fixture.tensor.data(), fixture.tensor.size(), std::numeric_limits<double>::quiet_NaN());
    for (const Index mode : {(first + 1) % 4, (first + 2) % 4}) {
      const qaf::Matrix<double> exact =
          2 * support::direct_mttkrp(tensor, fixture.factors, static_cast<std::size_t>(mode));
      CHECK(support::matrix_distance(fixture.update(mode), exact) < 1e-13);
    }
    std::copy_n(tensor.data(), tensor.size(), fixture.tensor.data());
  }
}
#endif
