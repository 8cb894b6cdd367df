// The weights of a quantized model in closed form.

#include <cmath>
#include <limits>
#include <vector>

#include <qaf/cp_als.hpp>
#include <qaf/fit_weights.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::Index;
using qaf::StorageOrder;

template <typename Scalar>
auto quantized(const qaf::DenseTensor<Scalar>& tensor, Index rank) {
  qaf::UniformQuantizer quantizer;
  quantizer.bits = 3;
  return qaf::quantize(qaf::cp_als(tensor, rank).model, quantizer);
}

}  // namespace

TEMPLATE_TEST_CASE("Fitted weights leave a residual orthogonal to every component", "[fit_weights]", float, double) {
  for (const StorageOrder storage_order : {StorageOrder::column_major, StorageOrder::row_major}) {
    const auto tensor = support::low_rank_tensor<TestType>({8, 7, 6}, 4, 0.3, 2, storage_order);
    auto model = quantized(tensor, 4);
    const double before = qaf::relative_error(tensor, model);
    const double told = qaf::fit_weights(tensor, model);
    const double after = qaf::relative_error(tensor, model);
    CHECK(after < before);
    CHECK(told == Approx(after).epsilon(support::Tolerance<TestType>::solve));
    // <residual, component r> = 0, with the inner products from the MTTKRP and the Gram matrices.
    const auto decoded = qaf::decode(model);
    qaf::Matrix<TestType> gram = qaf::Matrix<TestType>::Ones(4, 4);
    for (const auto& factor : decoded.factors) gram.array() *= (factor.transpose() * factor).array();
    const qaf::Vector<TestType> y =
        qaf::mttkrp(tensor, decoded.factors, 1).cwiseProduct(decoded.factors[1]).colwise().sum().transpose();
    const double residual = static_cast<double>((gram * decoded.weights - y).norm());
    CHECK(residual < 1e-3 * static_cast<double>(y.norm()));
    CHECK(qaf::fit_weights(tensor, model) <= told * (1 + 1e-6));
  }
}

TEMPLATE_TEST_CASE("Fitted weights do not depend on the ones before, nor on the scale of the data", "[fit_weights]",
                   float, double) {
  const auto tensor = support::low_rank_tensor<TestType>({8, 7, 6}, 4, 0.3, 2, StorageOrder::column_major);
  auto model = quantized(tensor, 3);
  auto other = model;
  other.weights *= TestType(-3);
  qaf::fit_weights(tensor, model);
  qaf::fit_weights(tensor, other);
  const double distance = static_cast<double>((other.weights - model.weights).norm());
  CHECK(distance < 1e-2 * static_cast<double>(model.weights.norm()));
  auto large = model;
  large.weights *= TestType(1e25);
  CHECK(qaf::fit_weights(support::scaled(tensor, 1e25), large) ==
        Approx(qaf::relative_error(tensor, model)).epsilon(1e-3));
}

TEST_CASE("Fitting weights to zeros gives zeros, and bad input is named", "[fit_weights]") {
  const auto tensor = support::random_tensor<float>({4, 3, 2}, StorageOrder::column_major);
  auto model = quantized(tensor, 2);
  CHECK_ERROR(qaf::fit_weights(support::random_tensor<float>({4, 2, 3}, StorageOrder::column_major), model),
              "qaf::fit_weights: the start must be a model of a tensor 4 x 2 x 3, got 4 x 3 x 2");
  auto broken = tensor;
  broken.data()[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK_ERROR(qaf::fit_weights(broken, model),
              "qaf::fit_weights: every entry of the tensor must be finite, got nan at position 5 in storage order");
  CHECK(qaf::fit_weights(qaf::DenseTensor<float>({4, 3, 2}), model) == 0);
  CHECK((model.weights.array() == 0).all());
}

TEMPLATE_TEST_CASE("Weights worse than none leave nothing of themselves", "[fit_weights]", float, double) {
  const auto tensor = support::low_rank_tensor<TestType>({8, 7, 6}, 4, 0.3, 2, StorageOrder::column_major);
  auto model = quantized(tensor, 3);
  const double expected = qaf::fit_weights(tensor, model);
  for (const double scale : {1e12, 1e30}) {
    auto far = model;
    far.weights *= static_cast<TestType>(scale);
    CHECK(qaf::fit_weights(tensor, far) == Approx(expected).epsilon(1e-3));
    CHECK(qaf::relative_error(tensor, far) == Approx(expected).epsilon(1e-2));
  }
  const double tiny = 1e4 * static_cast<double>(std::numeric_limits<TestType>::denorm_min());
  const auto tiny_tensor = support::scaled(tensor, tiny);  // 1 over its norm is infinite
  auto far = model;
  CHECK(qaf::fit_weights(tiny_tensor, far) == Approx(expected).epsilon(1e-2));
  CHECK(far.weights.allFinite());
}

TEMPLATE_TEST_CASE("Weights are fitted to columns of any norm", "[fit_weights]", float, double) {
  const auto tensor = support::low_rank_tensor<TestType>({8, 7, 6}, 4, 0.3, 2, StorageOrder::column_major);
  auto model = quantized(tensor, 3);
  const double expected = qaf::fit_weights(tensor, model);
  for (const float scale : {1e-11F, 1e11F}) {  // squares of the products leave float's range
    auto other = model;
    for (auto& factor : other.factors) factor.parameters.scales *= scale;
    other.weights.setZero();
    CHECK(qaf::fit_weights(tensor, other) == Approx(expected).epsilon(1e-3));
    CHECK(qaf::relative_error(tensor, other) == Approx(expected).epsilon(1e-2));
  }
}

TEMPLATE_TEST_CASE("Systems are damped by the size of their rounding errors, and nowhere by 0", "[fit_weights]", float,
                   double) {
  constexpr TestType epsilon = std::numeric_limits<TestType>::epsilon();
  qaf::Vector<TestType> diagonal(3);
  diagonal << 4, TestType(0.01), 0;
  const qaf::Vector<TestType> damping = qaf::detail::rounding_damping<TestType>(diagonal);
  for (qaf::Index r = 0; r < 3; ++r) {
    CHECK(damping[r] > 0);
    CHECK(damping[r] >= epsilon * diagonal[r]);
    CHECK(damping[r] <= 100 * epsilon * (diagonal[r] + epsilon));
  }
}

TEMPLATE_TEST_CASE("Components too small for any weight raise no error", "[fit_weights]", float, double) {
  const auto tensor = support::low_rank_tensor<TestType>({8, 7, 6}, 4, 0.3, 2, StorageOrder::column_major);
  auto model = quantized(tensor, 3);
  const double expected = qaf::fit_weights(tensor, model);
  for (auto& factor : model.factors) factor.parameters.scales[1] *= 1e-30F;
  model.weights[1] *= TestType(0.001);
  const double before = qaf::relative_error(tensor, model);
  auto fitted = model;
  const double error = qaf::fit_weights(tensor, fitted);
  CHECK(fitted.weights.allFinite());
  CHECK(error <= before * (1 + 1e-4));
  CHECK(error >= expected * (1 - 1e-4));
  CHECK(qaf::relative_error(tensor, fitted) == Approx(error).epsilon(1e-3));
}
