#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <unsupported/Eigen/CXX11/Tensor>

#include <qaf/cp_model.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::CpModel;
using qaf::DenseTensor;
using qaf::Index;
using qaf::StorageOrder;
using support::Tolerance;

using Sizes = std::vector<Index>;

template <typename Scalar>
double tensor_distance(const DenseTensor<Scalar>& a, const DenseTensor<Scalar>& b) {
  if (a.dimensions() != b.dimensions() || a.storage_order() != b.storage_order()) return 1e300;
  const Eigen::Map<const qaf::Matrix<Scalar>> a_entries(a.data(), a.size(), 1);
  return support::matrix_distance(a_entries, Eigen::Map<const qaf::Matrix<Scalar>>(b.data(), b.size(), 1));
}

/// Shapes of every order, and some with so many entries in the fast or the slow modes that the
/// reconstruction goes by more than one block.
std::vector<Sizes> shapes() {
  std::vector<Sizes> result = support::one_shape_an_order;
  for (const Sizes& dimensions : std::vector<Sizes>{
           {1, 1}, {1, 5}, {5, 1}, {1, 1, 4}, {70, 3, 2}, {2, 3, 70}, {8, 9, 10}, {70, 9000}, {9000, 70}})
    result.push_back(dimensions);
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("A reconstruction agrees with the direct sum", "[cp_model]", float, double) {
  for (const Sizes& dimensions : shapes()) {
    for (const StorageOrder storage_order : support::both_orders) {
      for (const Index rank : {1, 4}) {
        CAPTURE(qaf::detail::shape_text(dimensions), rank, static_cast<int>(storage_order));
        const CpModel<TestType> model = support::random_model<TestType>(dimensions, rank);
        const DenseTensor<TestType> tensor = qaf::reconstruct(model, storage_order);
        CHECK(tensor_distance(tensor, support::direct_tensor(model, storage_order)) < Tolerance<TestType>::product);
      }
    }
  }
}

TEMPLATE_TEST_CASE("A reconstruction is written into any kind of tensor", "[cp_model]", float, double) {
  using Scalar = TestType;
  const CpModel<Scalar> model = support::random_model<Scalar>({3, 4, 5}, 2);
  const CpModel<Scalar> flat = support::random_model<Scalar>({3, 4}, 2);
  const double small = 10 * Tolerance<Scalar>::rounding;

  SECTION("Eigen tensor, column-major") {
    Eigen::Tensor<Scalar, 3> tensor(3, 4, 5);
    qaf::reconstruct_into(model, tensor);
    support::for_each_index({3, 4, 5}, [&](const Sizes& i) {
      CHECK(std::abs(static_cast<double>(tensor(i[0], i[1], i[2])) - support::direct_entry(model, i)) < small);
    });
  }
  SECTION("Eigen tensor, row-major") {
    Eigen::Tensor<Scalar, 3, Eigen::RowMajor> tensor(3, 4, 5);
    qaf::reconstruct_into(model, tensor);
    support::for_each_index({3, 4, 5}, [&](const Sizes& i) {
      CHECK(std::abs(static_cast<double>(tensor(i[0], i[1], i[2])) - support::direct_entry(model, i)) < small);
    });
  }
  SECTION("TensorMap, also a temporary one") {
    Eigen::Tensor<Scalar, 3> tensor(3, 4, 5);
    qaf::reconstruct_into(model, Eigen::TensorMap<Eigen::Tensor<Scalar, 3>>(tensor.data(), 3, 4, 5));
    CHECK(std::abs(static_cast<double>(tensor(2, 3, 4)) - support::direct_entry(model, {2, 3, 4})) < small);
  }
  SECTION("matrices and maps") {
    qaf::Matrix<Scalar> matrix(3, 4);
    qaf::reconstruct_into(flat, matrix);
    CHECK(support::matrix_distance(matrix, qaf::Matrix<Scalar>(flat.factors[0] * flat.weights.asDiagonal() *
                                                               flat.factors[1].transpose())) < small);
    Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> row_major(3, 4);
    qaf::reconstruct_into(flat, row_major);
    CHECK(support::matrix_distance(row_major, matrix) < small);
    qaf::Matrix<Scalar> wide = qaf::Matrix<Scalar>::Zero(3, 6);
    qaf::reconstruct_into(flat, wide.middleCols(1, 4));
    CHECK(support::matrix_distance(wide.middleCols(1, 4), matrix) < small);
    CHECK(wide.col(0).isZero(0));
    CHECK(wide.col(5).isZero(0));
  }
  SECTION("DenseTensor") {
    DenseTensor<Scalar> tensor({3, 4, 5}, StorageOrder::row_major);
    qaf::reconstruct_into(model, tensor);
    CHECK(tensor_distance(tensor, support::direct_tensor(model, StorageOrder::row_major)) < small);
  }
}

TEST_CASE("A reconstruction refuses tensors and models that do not fit", "[cp_model]") {
  const CpModel<float> model = support::random_model<float>({3, 4, 5}, 2);
  Eigen::Tensor<float, 3> tensor(3, 5, 4);
  CHECK_ERROR(qaf::reconstruct_into(model, tensor),
              "qaf::reconstruct_into: the tensor must be 3 x 4 x 5, got 3 x 5 x 4");
  Eigen::MatrixXf matrix(3, 20);
  CHECK_ERROR(qaf::reconstruct_into(model, matrix), "qaf::reconstruct_into: the tensor must be 3 x 4 x 5, got 3 x 20");

  CpModel<float> one_factor = model;
  one_factor.factors.resize(1);
  CHECK_ERROR(qaf::reconstruct(one_factor), "qaf::reconstruct: a model must have at least 2 factors, got 1");
  CpModel<float> ragged = model;
  ragged.factors[1].resize(4, 3);
  CHECK_ERROR(qaf::reconstruct(ragged),
              "qaf::reconstruct: factor 1 must be I x R with I >= 1 and R the 2 weights, got 4 x 3");
  CpModel<float> empty_factor = model;
  empty_factor.factors[2].resize(0, 2);
  CHECK_ERROR(qaf::reconstruct_into(empty_factor, tensor),
              "qaf::reconstruct_into: factor 2 must be I x R with I >= 1 and R the 2 weights, got 0 x 2");
  CpModel<float> no_weights = model;
  no_weights.weights.resize(0);
  CHECK_ERROR(qaf::normalize(no_weights),
              "qaf::normalize: factor 0 must be I x R with I >= 1 and R the 0 weights, got 3 x 2");
  CHECK_ERROR(qaf::balance(one_factor), "qaf::balance: a model must have at least 2 factors, got 1");
}

TEMPLATE_TEST_CASE("The relative error agrees with the direct sum", "[cp_model]", float, double) {
  for (const Sizes& dimensions : shapes()) {
    const CpModel<TestType> model = support::random_model<TestType>(dimensions, 3);
    for (const StorageOrder storage_order : support::both_orders) {
      CAPTURE(qaf::detail::shape_text(dimensions), static_cast<int>(storage_order));
      const DenseTensor<TestType> tensor = support::random_tensor<TestType>(dimensions, storage_order);
      CHECK(qaf::relative_error(tensor, model) ==
            Approx(support::direct_error(tensor, model)).epsilon(Tolerance<TestType>::product));
      // Of the model's own tensor the error is no more than rounding.
      CHECK(qaf::relative_error(support::direct_tensor(model, storage_order), model) < Tolerance<TestType>::product);
    }
  }
}

TEMPLATE_TEST_CASE("The relative error is the same at every scale of the data", "[cp_model]", float, double) {
  const DenseTensor<TestType> tensor = support::random_tensor<TestType>({5, 4, 3}, StorageOrder::column_major);
  const CpModel<TestType> model = support::random_model<TestType>({5, 4, 3}, 2);
  const double expected = support::direct_error(tensor, model);
  const std::vector<double> scales = Tolerance<TestType>::is_float ? std::vector<double>{1e-30, 1e-20, 1e20, 1e30}
                                                                   : std::vector<double>{1e-200, 1e-100, 1e100, 1e150};
  for (const double scale : scales) {
    CAPTURE(scale);
    CpModel<TestType> scaled_model = model;
    scaled_model.weights *= static_cast<TestType>(scale);
    CHECK(qaf::relative_error(support::scaled(tensor, scale), scaled_model) ==
          Approx(expected).epsilon(Tolerance<TestType>::product));
  }
}

TEMPLATE_TEST_CASE("The relative error near the ends of the scalar's range is that of the middle", "[cp_model]", float,
                   double) {
  CpModel<TestType> model = support::random_model<TestType>({5, 4, 3}, 1);
  const auto tensor = support::random_tensor<TestType>({5, 4, 3}, StorageOrder::column_major);
  const double expected = qaf::relative_error(tensor, model);
  // Weight and first column together are beyond the range, the model is not.
  const auto large = static_cast<TestType>(static_cast<double>(std::numeric_limits<TestType>::max()) / 1e4);
  CpModel<TestType> of_large = model;
  of_large.weights *= large;
  of_large.factors[0] *= TestType(1e6);
  of_large.factors[1] *= TestType(1e-3);
  of_large.factors[2] *= TestType(1e-3);
  CHECK(qaf::relative_error(support::scaled(tensor, static_cast<double>(large)), of_large) ==
        Approx(expected).epsilon(1e-5));
  const double small = 1e3 * static_cast<double>(std::numeric_limits<TestType>::denorm_min());
  CpModel<TestType> of_small = model;
  of_small.weights *= static_cast<TestType>(small);
  for (qaf::Matrix<TestType>& factor : of_small.factors) factor *= TestType(0.5);
  of_small.factors[0] *= TestType(8);
  CHECK(qaf::relative_error(support::scaled(tensor, small), of_small) == Approx(expected).epsilon(0.02));
}

TEMPLATE_TEST_CASE("The relative error of a zero tensor is 0 or infinite", "[cp_model]", float, double) {
  const DenseTensor<TestType> zeros({4, 3, 2});
  CpModel<TestType> model = support::random_model<TestType>({4, 3, 2}, 2);
  CHECK(qaf::relative_error(zeros, model) == std::numeric_limits<double>::infinity());
  model.weights.setZero();
  CHECK(qaf::relative_error(zeros, model) == 0);
}

TEMPLATE_TEST_CASE("The relative error names the place of NaN and infinity", "[cp_model]", float, double) {
  const CpModel<TestType> model = support::random_model<TestType>({50, 50, 3}, 2);
  DenseTensor<TestType> tensor = support::random_tensor<TestType>({50, 50, 3}, StorageOrder::row_major);
  tensor.data()[7000] = std::numeric_limits<TestType>::infinity();
  CHECK_ERROR(
      qaf::relative_error(tensor, model),
      "qaf::relative_error: every entry of the tensor must be finite, got inf at position 7000 in storage order");
  tensor.data()[4096] = -std::numeric_limits<TestType>::infinity();
  CHECK_ERROR(qaf::relative_error(tensor, model),
              "qaf::relative_error: every entry of the tensor must be finite, got -inf at position 4096 in storage "
              "order");
  tensor.data()[0] = std::numeric_limits<TestType>::quiet_NaN();
  CHECK_ERROR(qaf::relative_error(tensor, model),
              "qaf::relative_error: every entry of the tensor must be finite, got nan at position 0 in storage order");
}

TEMPLATE_TEST_CASE("A norm beyond the scalar's range is told", "[cp_model]", float, double) {
  DenseTensor<TestType> tensor({2, 2});
  tensor.data()[0] = tensor.data()[3] = std::numeric_limits<TestType>::max();
  CHECK(support::error_text([&] {
          qaf::relative_error(tensor, support::random_model<TestType>({2, 2}, 1));
        }).rfind("qaf::relative_error: the norm of the tensor must be within the range of its scalar type, got ", 0) ==
        0);
}

TEST_CASE("The relative error refuses a model of another size", "[cp_model]") {
  const DenseTensor<double> tensor({3, 4, 5});
  CHECK_ERROR(qaf::relative_error(tensor, support::random_model<double>({3, 5, 4}, 2)),
              "qaf::relative_error: the model must be of a tensor 3 x 4 x 5, got 3 x 5 x 4");
  CHECK_ERROR(qaf::relative_error(tensor, support::random_model<double>({3, 4}, 2)),
              "qaf::relative_error: the model must be of a tensor 3 x 4 x 5, got 3 x 4");
}

TEMPLATE_TEST_CASE("The fast formula of the relative error agrees with the direct one", "[cp_model]", float, double) {
  for (const Sizes& dimensions : support::one_shape_an_order) {
    const CpModel<TestType> model = support::random_model<TestType>(dimensions, 3);
    const DenseTensor<TestType> tensor = support::random_tensor<TestType>(dimensions, StorageOrder::row_major);
    std::vector<qaf::Matrix<TestType>> grams;
    for (const auto& factor : model.factors) grams.push_back(factor.transpose() * factor);
    for (std::size_t mode = 0; mode < dimensions.size(); ++mode) {
      CAPTURE(qaf::detail::shape_text(dimensions), mode);
      const qaf::Matrix<TestType> factor = model.factors[mode] * model.weights.asDiagonal();
      const qaf::Matrix<TestType> f = support::direct_mttkrp(tensor, model.factors, mode).template cast<TestType>();
      CHECK(qaf::fast_relative_error(support::direct_norm(tensor), f, factor,
                                     qaf::gram_of_others(grams, static_cast<Index>(mode))) ==
            Approx(support::direct_error(tensor, model)).epsilon(Tolerance<TestType>::fast_error));
    }
  }
}

TEST_CASE("The fast formula takes a negative square for 0 and keeps NaN", "[cp_model]") {
  const qaf::Matrix<double> one = qaf::Matrix<double>::Ones(1, 1);
  CHECK(qaf::fast_relative_error(1.0, one, one, one) == 0);
  CHECK(qaf::fast_relative_error(0.9999, one, one, one) == 0);  // 1 - 2 + 1 falls below 0
  CHECK(qaf::fast_relative_error(2.0, one, one, one) == Approx(std::sqrt(3.0) / 2));
  const qaf::Matrix<double> nan = qaf::Matrix<double>::Constant(1, 1, std::numeric_limits<double>::quiet_NaN());
  CHECK(std::isnan(qaf::fast_relative_error(1.0, nan, one, one)));
}

TEMPLATE_TEST_CASE("normalize gives unit columns and falling weights of the same tensor", "[cp_model]", float, double) {
  for (const Sizes& dimensions : support::one_shape_an_order) {
    CAPTURE(qaf::detail::shape_text(dimensions));
    const CpModel<TestType> before = support::random_model<TestType>(dimensions, 5);
    REQUIRE(before.weights.minCoeff() < 0);
    CpModel<TestType> model = before;
    qaf::normalize(model);
    for (const auto& factor : model.factors)
      for (Index r = 0; r < model.rank(); ++r)
        CHECK(factor.col(r).norm() == Approx(1).epsilon(Tolerance<TestType>::rounding));
    CHECK(model.weights.minCoeff() >= 0);
    for (Index r = 1; r < model.rank(); ++r) CHECK(model.weights[r] <= model.weights[r - 1]);
    CHECK(support::model_distance(before, model) < Tolerance<TestType>::product);
  }
}

TEMPLATE_TEST_CASE("normalize gives unit columns for tiny and for large ones", "[cp_model]", float, double) {
  CpModel<TestType> model = support::random_model<TestType>({5, 4, 3}, 3);
  model.factors[0].col(0) *= TestType(1e-20);
  model.factors[1].col(0) *= TestType(1e15);
  model.factors[2].col(1) *= TestType(1e-9);
  const CpModel<TestType> before = model;
  qaf::normalize(model);
  for (const auto& factor : model.factors)
    for (Index r = 0; r < 3; ++r) CHECK(factor.col(r).norm() == Approx(1));
  CHECK(support::model_distance(before, model) < Tolerance<TestType>::product);
}

TEMPLATE_TEST_CASE("normalize moves zero components to the end", "[cp_model]", float, double) {
  CpModel<TestType> before = support::random_model<TestType>({4, 3, 2}, 4);
  before.factors[1].col(0).setZero();  // one by a column,
  before.weights[2] = 0;               // one by its weight
  CpModel<TestType> model = before;
  qaf::normalize(model);
  CHECK(model.weights[1] > 0);
  for (const Index r : {2, 3}) {
    CHECK(model.weights[r] == 0);
    for (const auto& factor : model.factors) CHECK(factor.col(r).isZero(0));
  }
  CHECK(support::model_distance(before, model) < Tolerance<TestType>::product);
}

TEMPLATE_TEST_CASE("balance gives weights 1 and columns of equal norm of the same tensor", "[cp_model]", float,
                   double) {
  for (const Sizes& dimensions : support::one_shape_an_order) {
    CAPTURE(qaf::detail::shape_text(dimensions));
    CpModel<TestType> before = support::random_model<TestType>(dimensions, 5);
    before.factors[0].col(3).setZero();
    REQUIRE(before.weights.minCoeff() < 0);
    CpModel<TestType> model = before;
    qaf::balance(model);
    for (Index r = 0; r < model.rank(); ++r) {
      CHECK(model.weights[r] == 1);
      for (const auto& factor : model.factors) {
        CHECK(factor.col(r).norm() ==
              Approx(model.factors[0].col(r).norm()).epsilon(10 * Tolerance<TestType>::rounding));
        // The components keep their places: column r is still a multiple of what it was.
        if (r != 3) CHECK(factor.col(r).norm() > 0);
      }
      const auto& last = model.factors.back();
      const double cosine = static_cast<double>(last.col(r).dot(before.factors.back().col(r))) /
                            static_cast<double>(before.factors.back().col(r).norm());
      CHECK(cosine == Approx(last.col(r).norm()).epsilon(10 * Tolerance<TestType>::rounding));
    }
    CHECK(support::model_distance(before, model) < Tolerance<TestType>::product);
  }
}

TEMPLATE_TEST_CASE("normalize and balance work at every scale of the weights", "[cp_model]", float, double) {
  const CpModel<TestType> before = support::random_model<TestType>({4, 3, 2}, 3);
  const std::vector<double> scales =
      Tolerance<TestType>::is_float ? std::vector<double>{1e-30, 1e30} : std::vector<double>{1e-200, 1e150};
  for (const double scale : scales) {
    CAPTURE(scale);
    CpModel<TestType> model = before;
    model.weights *= static_cast<TestType>(scale);
    const CpModel<TestType> scaled = model;
    qaf::normalize(model);
    CHECK(support::model_distance(scaled, model) < Tolerance<TestType>::product);
    model = scaled;
    qaf::balance(model);
    CHECK(support::model_distance(scaled, model) < 10 * Tolerance<TestType>::product);
  }
}
