#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include <qaf/coordinate_descent.hpp>
#include <qaf/cp_als.hpp>
#include <qaf/cp_model.hpp>
#include <qaf/dense_tensor.hpp>
#include <qaf/detail/random.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/testing/detail/findings.hpp>
#include <qaf/testing/detail/law_names.hpp>
#include <qaf/types.hpp>

namespace qaf::testing::detail {

/// The law about a solver: coordinate descent with the quantizer does not raise an error, and tells what it is.
template <typename Scalar, typename Quantizer>
void check_descent(const Quantizer& quantizer, std::uint64_t seed, Findings& findings) {
  const char* const on = "a 6 x 5 x 4 tensor of normally distributed values";
  findings.run(law_descent, on, [&] {
    constexpr Index rank = 4;
    DenseTensor<Scalar> tensor({6, 5, 4});
    qaf::detail::NormalGenerator normal(seed);
    for (Index k = 0; k < tensor.size(); ++k) tensor.data()[k] = static_cast<Scalar>(normal());
    CpAlsOptions start;
    start.max_iterations = 10;
    start.seed = seed;
    auto model = qaf::quantize(qaf::cp_als(tensor, rank, start).model, quantizer);
    const double before = qaf::relative_error(tensor, model);
    CoordinateDescentOptions descent;
    descent.max_iterations = 5;
    const double reported = qaf::coordinate_descent(tensor, model, descent);
    const double after = qaf::relative_error(tensor, model);
    constexpr double epsilon = std::numeric_limits<Scalar>::epsilon();
    if (!(after <= before + 100 * epsilon))
      findings.add(law_descent, "for ", on, " and rank ", rank, " the relative error is ", after,
                   " after coordinate descent, expected no more than ", before, " before it");
    // The fast formula sees nothing below the square root of the precision.
    if (!(std::abs(reported - after) <= 4 * std::sqrt(epsilon)))
      findings.add(law_descent, "for ", on, " and rank ", rank, " coordinate descent reports a relative error of ",
                   reported, ", expected ", after, " as of the decoded model");
  });
}

}  // namespace qaf::testing::detail
