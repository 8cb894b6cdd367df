// The MTTKRPs of a sweep from shared partial products.

#include <cstddef>
#include <vector>

#include <qaf/detail/shared_contractions.hpp>
#include <qaf/mttkrp.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"
#include "support/tolerance.hpp"

using qaf::Index;
using Sizes = std::vector<Index>;

TEMPLATE_TEST_CASE("Shared contractions give every mode's MTTKRP, whatever changed last", "[shared_contractions]",
                   float, double) {
  for (const Sizes& dimensions : std::vector<Sizes>{
           {7, 5}, {1, 4}, {6, 5, 4}, {9, 2, 3}, {1, 1, 5}, {5, 4, 2, 3}, {4, 3, 2, 3, 2}, {2, 3, 1, 2, 2, 3}}) {
    for (const qaf::StorageOrder storage_order : support::both_orders) {
      const auto tensor = support::random_tensor<TestType>(dimensions, storage_order);
      auto factors = support::random_model<TestType>(dimensions, 3).factors;
      qaf::detail::SharedContractions<TestType> contractions(qaf::tensor_view(tensor));
      const Index order = static_cast<Index>(dimensions.size());
      // Sweeps in both directions, then a mode twice: no order of calls may find a stale partial product.
      std::vector<Index> calls;
      for (Index mode = 0; mode < 2 * order; ++mode) calls.push_back(mode % order);
      for (Index mode = order; mode-- > 0;) calls.push_back(mode);
      calls.push_back(0);
      for (const Index mode : calls) {
        CAPTURE(qaf::detail::shape_text(dimensions), static_cast<int>(storage_order), mode);
        const std::size_t n = static_cast<std::size_t>(mode);
        CHECK(support::matrix_distance(contractions.mttkrp(factors, mode), support::direct_mttkrp(tensor, factors, n)) <
              support::Tolerance<TestType>::product);
        factors[n] = factors[n].array() + TestType(0.5);
        contractions.factor_changed(mode);
      }
    }
  }
}
