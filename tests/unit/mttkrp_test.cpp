#include <limits>
#include <string>
#include <vector>

#include <unsupported/Eigen/CXX11/Tensor>

#include <qaf/mttkrp.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::DenseTensor;
using qaf::Index;
using qaf::StorageOrder;
using support::Tolerance;

using Sizes = std::vector<Index>;

}  // namespace

TEMPLATE_TEST_CASE("The MTTKRP agrees with the direct sum", "[mttkrp]", float, double) {
  std::vector<Sizes> shapes = support::one_shape_an_order;
  // Modes of size 1 in every place, and shapes that lean to either side.
  for (const Sizes& dimensions : std::vector<Sizes>{{1, 1},
                                                    {1, 5},
                                                    {5, 1},
                                                    {1, 4, 3},
                                                    {4, 1, 3},
                                                    {4, 3, 1},
                                                    {1, 1, 5},
                                                    {3, 1, 1, 2},
                                                    {2, 1, 3, 1, 2},
                                                    {17, 3, 2},
                                                    {2, 3, 17},
                                                    {2, 19, 2},
                                                    {2, 3, 2, 11},
                                                    {11, 2, 3, 2}})
    shapes.push_back(dimensions);
  for (const Sizes& dimensions : shapes) {
    for (const StorageOrder storage_order : support::both_orders) {
      const DenseTensor<TestType> tensor = support::random_tensor<TestType>(dimensions, storage_order);
      for (const Index rank : {1, 3, 8}) {
        const auto factors = support::random_model<TestType>(dimensions, rank).factors;
        for (std::size_t mode = 0; mode < dimensions.size(); ++mode) {
          CAPTURE(qaf::detail::shape_text(dimensions), rank, mode, static_cast<int>(storage_order));
          CHECK(support::matrix_distance(qaf::mttkrp(tensor, factors, static_cast<Index>(mode)),
                                         support::direct_mttkrp(tensor, factors, mode)) < Tolerance<TestType>::product);
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("The MTTKRP is right where a block ends within a mode", "[mttkrp]", float, double) {
  const Index rank = 16;
  for (const Sizes& dimensions :
       std::vector<Sizes>{{181, 211, 2}, {2, 181, 211}, {40000, 3}, {3, 40000}, {2, 2, 35000}}) {
    const auto factors = support::random_model<TestType>(dimensions, rank).factors;
    for (const StorageOrder storage_order : support::both_orders) {
      const DenseTensor<TestType> tensor = support::random_tensor<TestType>(dimensions, storage_order);
      for (std::size_t mode = 0; mode < dimensions.size(); ++mode) {
        CAPTURE(qaf::detail::shape_text(dimensions), mode, static_cast<int>(storage_order));
        CHECK(support::matrix_distance(qaf::mttkrp(tensor, factors, static_cast<Index>(mode)),
                                       support::direct_mttkrp(tensor, factors, mode)) <
              10 * Tolerance<TestType>::product);
      }
    }
  }
}

TEST_CASE("The MTTKRP of a matrix is a product with the other factor", "[mttkrp]") {
  const Eigen::MatrixXd matrix = Eigen::MatrixXd::Random(6, 4);
  const std::vector<qaf::Matrix<double>> factors = {Eigen::MatrixXd::Random(6, 3), Eigen::MatrixXd::Random(4, 3)};
  CHECK(support::matrix_distance(qaf::mttkrp(matrix, factors, 0), matrix * factors[1]) < Tolerance<double>::product);
  CHECK(support::matrix_distance(qaf::mttkrp(matrix, factors, 1), matrix.transpose() * factors[0]) <
        Tolerance<double>::product);
}

TEST_CASE("The MTTKRP does not read the factor of its own mode", "[mttkrp]") {
  const DenseTensor<double> tensor = support::random_tensor<double>({3, 4, 5}, StorageOrder::column_major);
  auto factors = support::random_model<double>({3, 4, 5}, 2).factors;
  const qaf::Matrix<double> expected = qaf::mttkrp(tensor, factors, 1);
  factors[1].setConstant(std::numeric_limits<double>::quiet_NaN());
  CHECK(qaf::mttkrp(tensor, factors, 1) == expected);
}

TEST_CASE("The MTTKRP refuses factors that do not fit and modes that do not exist", "[mttkrp]") {
  Eigen::Tensor<float, 3> tensor(3, 4, 5);
  tensor.setZero();
  const auto factors = support::random_model<float>({3, 4, 5}, 2).factors;

  CHECK_ERROR(qaf::mttkrp(tensor, factors, 3), "qaf::mttkrp: mode must be from 0 to 2, got 3");
  CHECK_ERROR(qaf::mttkrp(tensor, factors, -1), "qaf::mttkrp: mode must be from 0 to 2, got -1");

  auto two = factors;
  two.pop_back();
  CHECK_ERROR(qaf::mttkrp(tensor, two, 0), "qaf::mttkrp: expected one factor for each of the 3 modes, got 2");
  CHECK_ERROR(qaf::mttkrp(tensor, std::vector<qaf::Matrix<float>>(), 0),
              "qaf::mttkrp: expected one factor for each of the 3 modes, got 0");

  auto short_one = factors;
  short_one[1].resize(3, 2);
  CHECK_ERROR(qaf::mttkrp(tensor, short_one, 0),
              "qaf::mttkrp: factor 1 must be 4 x R with the same R >= 1 in every mode, got 3 x 2");
  auto wide_one = factors;
  wide_one[2].resize(5, 3);
  CHECK_ERROR(qaf::mttkrp(tensor, wide_one, 0),
              "qaf::mttkrp: factor 2 must be 5 x R with the same R >= 1 in every mode, got 5 x 3");
  auto empty = factors;
  for (auto& factor : empty) factor.resize(factor.rows(), 0);
  CHECK_ERROR(qaf::mttkrp(tensor, empty, 0),
              "qaf::mttkrp: factor 0 must be 3 x R with the same R >= 1 in every mode, got 3 x 0");
}
