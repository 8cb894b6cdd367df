#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <unsupported/Eigen/CXX11/Tensor>

#include <qaf/tensor.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::DenseTensor;
using qaf::Index;
using qaf::StorageOrder;
using qaf::TensorView;

using Sizes = std::vector<Index>;

/// Whether the view shows exactly that memory: no copy, the right sizes, the right order.
template <typename Scalar>
void check_view(const TensorView<Scalar>& view, const Scalar* data, const Sizes& dimensions,
                StorageOrder storage_order) {
  CHECK(view.data() == data);
  CHECK(view.dimensions() == dimensions);
  CHECK(view.storage_order() == storage_order);
  CHECK(view.order() == static_cast<Index>(dimensions.size()));
  Index size = 1;
  for (std::size_t mode = 0; mode < dimensions.size(); ++mode) {
    CHECK(view.dimension(static_cast<Index>(mode)) == dimensions[mode]);
    size *= dimensions[mode];
  }
  CHECK(view.size() == size);
}

}  // namespace

TEMPLATE_TEST_CASE("Eigen tensors are viewed in place", "[tensor]", float, double) {
  using Scalar = TestType;

  SECTION("Tensor, column-major") {
    Eigen::Tensor<Scalar, 3> tensor(2, 3, 4);
    tensor.setRandom();
    check_view(qaf::tensor_view(tensor), tensor.data(), {2, 3, 4}, StorageOrder::column_major);
    CHECK(support::entry(qaf::tensor_view(tensor), {1, 2, 3}) == tensor(1, 2, 3));
    CHECK(support::entry(qaf::tensor_view(tensor), {0, 2, 1}) == tensor(0, 2, 1));
  }
  SECTION("Tensor, row-major") {
    Eigen::Tensor<Scalar, 4, Eigen::RowMajor> tensor(2, 3, 4, 5);
    tensor.setRandom();
    check_view(qaf::tensor_view(tensor), tensor.data(), {2, 3, 4, 5}, StorageOrder::row_major);
    CHECK(support::entry(qaf::tensor_view(tensor), {1, 2, 3, 0}) == tensor(1, 2, 3, 0));
    CHECK(support::entry(qaf::tensor_view(tensor), {0, 2, 1, 4}) == tensor(0, 2, 1, 4));
  }
  SECTION("Tensor with another type of index") {
    Eigen::Tensor<Scalar, 2, Eigen::ColMajor, int> tensor(3, 2);
    check_view(qaf::tensor_view(tensor), tensor.data(), {3, 2}, StorageOrder::column_major);
  }
  SECTION("TensorMap, also of const") {
    std::vector<Scalar> entries(24);
    const Eigen::TensorMap<Eigen::Tensor<Scalar, 3>> map(entries.data(), 2, 3, 4);
    check_view(qaf::tensor_view(map), entries.data(), {2, 3, 4}, StorageOrder::column_major);
    const std::vector<Scalar>& constant = entries;
    const Eigen::TensorMap<const Eigen::Tensor<Scalar, 3, Eigen::RowMajor>> const_map(constant.data(), 4, 3, 2);
    check_view(qaf::tensor_view(const_map), constant.data(), {4, 3, 2}, StorageOrder::row_major);
  }
  SECTION("TensorFixedSize") {
    const Eigen::TensorFixedSize<Scalar, Eigen::Sizes<2, 5>> tensor;
    check_view(qaf::tensor_view(tensor), tensor.data(), {2, 5}, StorageOrder::column_major);
    const Eigen::TensorFixedSize<Scalar, Eigen::Sizes<2, 3, 2>, Eigen::RowMajor> row_major;
    check_view(qaf::tensor_view(row_major), row_major.data(), {2, 3, 2}, StorageOrder::row_major);
  }
}

TEMPLATE_TEST_CASE("Matrices are viewed in place", "[tensor]", float, double) {
  using Scalar = TestType;
  using RowMajorMatrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  qaf::Matrix<Scalar> matrix = qaf::Matrix<Scalar>::Random(4, 6);

  SECTION("Matrix") {
    check_view(qaf::tensor_view(matrix), matrix.data(), {4, 6}, StorageOrder::column_major);
    CHECK(support::entry(qaf::tensor_view(matrix), {3, 1}) == matrix(3, 1));
  }
  SECTION("row-major matrix") {
    const RowMajorMatrix row_major = matrix;
    check_view(qaf::tensor_view(row_major), row_major.data(), {4, 6}, StorageOrder::row_major);
    CHECK(support::entry(qaf::tensor_view(row_major), {3, 1}) == matrix(3, 1));
  }
  SECTION("array and vector") {
    const Eigen::Array<Scalar, 3, 2> array = Eigen::Array<Scalar, 3, 2>::Zero();
    check_view(qaf::tensor_view(array), array.data(), {3, 2}, StorageOrder::column_major);
    const qaf::Vector<Scalar> vector = qaf::Vector<Scalar>::Zero(5);
    check_view(qaf::tensor_view(vector), vector.data(), {5, 1}, StorageOrder::column_major);
  }
  SECTION("Map") {
    const Eigen::Map<const qaf::Matrix<Scalar>> map(matrix.data(), 8, 3);
    check_view(qaf::tensor_view(map), std::as_const(matrix).data(), {8, 3}, StorageOrder::column_major);
    const Eigen::Map<RowMajorMatrix> row_major(matrix.data(), 8, 3);
    check_view(qaf::tensor_view(row_major), std::as_const(matrix).data(), {8, 3}, StorageOrder::row_major);
  }
  SECTION("Ref") {
    const Eigen::Ref<const qaf::Matrix<Scalar>> ref(matrix);
    check_view(qaf::tensor_view(ref), std::as_const(matrix).data(), {4, 6}, StorageOrder::column_major);
  }
  SECTION("Block of whole columns") {
    check_view(qaf::tensor_view(matrix.middleCols(2, 3)), std::as_const(matrix).data() + 8, {4, 3},
               StorageOrder::column_major);
  }
  SECTION("Block of whole rows of a row-major matrix") {
    RowMajorMatrix row_major = matrix;
    check_view(qaf::tensor_view(row_major.middleRows(1, 2)), std::as_const(row_major).data() + 6, {2, 6},
               StorageOrder::row_major);
  }
  SECTION("part of one column") {
    check_view(qaf::tensor_view(matrix.block(1, 2, 3, 1)), std::as_const(matrix).data() + 9, {3, 1},
               StorageOrder::column_major);
  }
  SECTION("transposed matrix") {
    check_view(qaf::tensor_view(matrix.transpose()), std::as_const(matrix).data(), {6, 4}, StorageOrder::row_major);
  }
}

TEMPLATE_TEST_CASE("DenseTensor, pointers and views are viewed in place", "[tensor]", float, double) {
  using Scalar = TestType;
  for (const StorageOrder storage_order : support::both_orders) {
    const DenseTensor<Scalar> tensor({2, 3, 4}, storage_order);
    const TensorView<Scalar> view = qaf::tensor_view(tensor);
    check_view(view, tensor.data(), {2, 3, 4}, storage_order);
    check_view(qaf::tensor_view(view), tensor.data(), {2, 3, 4}, storage_order);
    check_view(TensorView<Scalar>(tensor.data(), {12, 2}, storage_order), tensor.data(), {12, 2}, storage_order);
  }
}

TEST_CASE("A view of integers is possible", "[tensor]") {
  const Eigen::Tensor<std::int8_t, 3> tensor(2, 1, 2);
  check_view(qaf::tensor_view(tensor), tensor.data(), {2, 1, 2}, StorageOrder::column_major);
}

TEST_CASE("A view refuses what is no tensor of order 2 or more", "[tensor]") {
  const float entries[6] = {};
  const auto view = [&](const Sizes& dimensions) {
    return TensorView<float>(entries, dimensions, StorageOrder::column_major);
  };
  CHECK_ERROR(view({6}), "qaf::TensorView: a tensor must have at least 2 modes, got 6");
  CHECK_ERROR(view({}), "qaf::TensorView: a tensor must have at least 2 modes, got no modes");
  CHECK_ERROR(view({3, 0, 2}), "qaf::TensorView: every mode must have at least 1 entry, got 3 x 0 x 2");
  CHECK_ERROR(view({3, -2}), "qaf::TensorView: sizes must not be negative, got 3 x -2");
  CHECK_ERROR(TensorView<float>(nullptr, {3, 2}, StorageOrder::column_major),
              "qaf::TensorView: data must not be a null pointer");
  CHECK_ERROR(qaf::tensor_view(DenseTensor<float>()),
              "qaf::TensorView: a tensor must have at least 2 modes, got no modes");
  CHECK_ERROR(qaf::tensor_view(Eigen::Tensor<float, 3>(2, 0, 3)),
              "qaf::TensorView: every mode must have at least 1 entry, got 2 x 0 x 3");
  CHECK_ERROR(qaf::tensor_view(Eigen::MatrixXf(0, 3)),
              "qaf::TensorView: every mode must have at least 1 entry, got 0 x 3");
}

TEST_CASE("More entries than an index can count are refused", "[tensor]") {
  const float entries[1] = {};
  const Index half = Index{1} << (4 * sizeof(Index));
  const std::string square = std::to_string(half) + " x " + std::to_string(half);
  CHECK_ERROR(TensorView<float>(entries, {half, half}, StorageOrder::row_major),
              "qaf::TensorView: a tensor of " + square + " has more entries than an index can count");
  CHECK_ERROR(DenseTensor<float>({half, half}),
              "qaf::DenseTensor: a tensor of " + square + " has more entries than an index can count");
  // The largest that can be counted is no overflow.
  const TensorView<float> view(entries, {std::numeric_limits<Index>::max(), 1}, StorageOrder::row_major);
  CHECK(view.size() == std::numeric_limits<Index>::max());
}

TEST_CASE("A matrix with gaps in memory is refused", "[tensor]") {
  Eigen::MatrixXf matrix = Eigen::MatrixXf::Zero(4, 6);
  CHECK_ERROR(qaf::tensor_view(matrix.topRows(3)),
              "qaf::tensor_view: a matrix must lie in memory without gaps, got 3 x 6 with inner stride 1 and outer "
              "stride 4; pass a copy");
  CHECK_ERROR(qaf::tensor_view(matrix.row(1)),
              "qaf::tensor_view: a matrix must lie in memory without gaps, got 1 x 6 with inner stride 4 and outer "
              "stride 1; pass a copy");
  const Eigen::Map<Eigen::MatrixXf, 0, Eigen::InnerStride<2>> strided(matrix.data(), 3, 4);
  CHECK(support::error_text([&] { qaf::tensor_view(strided); }).find("with inner stride 2") != std::string::npos);
  const Eigen::Ref<Eigen::MatrixXf> ref(matrix.bottomRows(2));
  CHECK(support::error_text([&] { qaf::tensor_view(ref); }).find("got 2 x 6") != std::string::npos);
}

TEMPLATE_TEST_CASE("A DenseTensor starts with zeros and knows its sizes", "[tensor]", float, double) {
  const DenseTensor<TestType> tensor({3, 0, 2});
  CHECK(tensor.size() == 0);
  CHECK(tensor.order() == 3);
  CHECK(DenseTensor<TestType>().size() == 0);
  CHECK(DenseTensor<TestType>().order() == 0);
  const DenseTensor<TestType> zeros({3, 4});
  CHECK(zeros.storage_order() == StorageOrder::column_major);
  REQUIRE(zeros.size() == 12);
  for (Index k = 0; k < zeros.size(); ++k) CHECK(zeros.data()[k] == 0);
  CHECK_ERROR(DenseTensor<TestType>({2, -1, 0}), "qaf::DenseTensor: sizes must not be negative, got 2 x -1 x 0");
}

TEMPLATE_TEST_CASE("reshape keeps every entry in its place of memory", "[tensor]", float, double) {
  for (const StorageOrder storage_order : support::both_orders) {
    DenseTensor<TestType> tensor = support::random_tensor<TestType>({4, 6}, storage_order);
    const DenseTensor<TestType> before = tensor;
    tensor.reshape({2, 3, 4});
    CHECK(tensor.dimensions() == Sizes{2, 3, 4});
    CHECK(tensor.storage_order() == storage_order);
    for (Index k = 0; k < before.size(); ++k) CHECK(tensor.data()[k] == before.data()[k]);
    CHECK_ERROR(tensor.reshape({5, 5}),
                "qaf::DenseTensor::reshape: the new sizes must hold the same 24 entries, got 5 x 5");
    CHECK_ERROR(tensor.reshape({-4, -6}), "qaf::DenseTensor::reshape: sizes must not be negative, got -4 x -6");
    CHECK(tensor.dimensions() == Sizes{2, 3, 4});
  }
}

TEMPLATE_TEST_CASE("with_storage_order keeps every entry at its index", "[tensor]", float, double) {
  const std::vector<Sizes> shapes = {{5}, {4, 3}, {2, 3, 4}, {3, 1, 2, 4}, {2, 3, 1, 2, 3}, {3, 0, 2}};
  for (const Sizes& dimensions : shapes) {
    for (const StorageOrder from : support::both_orders) {
      for (const StorageOrder to : support::both_orders) {
        CAPTURE(dimensions.size());
        const DenseTensor<TestType> source = support::random_tensor<TestType>(dimensions, from);
        const DenseTensor<TestType> target = qaf::with_storage_order(source, to);
        CHECK(target.dimensions() == dimensions);
        CHECK(target.storage_order() == to);
        REQUIRE(target.size() == source.size());
        support::for_each_index(dimensions, [&](const Sizes& index) {
          CHECK(support::entry(target, index) == support::entry(source, index));
        });
      }
    }
  }
}

TEMPLATE_TEST_CASE("The norm of a tensor neither overflows nor vanishes", "[tensor]", float, double) {
  // More entries than one block of the summation.
  const DenseTensor<TestType> tensor = support::random_tensor<TestType>({70, 71, 3}, StorageOrder::row_major);
  const double norm = support::direct_norm(tensor);
  const std::vector<double> scales = sizeof(TestType) == 4 ? std::vector<double>{1, 1e-30, 1e30, 1e-36, 1e35}
                                                           : std::vector<double>{1, 1e-200, 1e150, 1e-290, 1e300};
  for (const double scale : scales) {
    CAPTURE(scale);
    const DenseTensor<TestType> other = support::scaled(tensor, scale);
    CHECK(qaf::detail::frobenius_norm("test", qaf::tensor_view(other)) / scale ==
          Approx(norm).epsilon(support::Tolerance<TestType>::rounding));
  }
}
