#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <unsupported/Eigen/CXX11/Tensor>

#include <qaf/model_size.hpp>
#include <qaf/plan/candidates.hpp>
#include <qaf/quantizers/affine.hpp>
#include <qaf/weighted.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::Candidate;
using qaf::CandidateOptions;
using qaf::Form;
using qaf::Index;

qaf::Layer small_layer() {
  qaf::Layer layer;
  layer.name = "small";
  layer.dimensions = {12, 10, 9};
  return layer;
}

/// Little work, and a range of ranks wide enough for this small a layer.
CandidateOptions small_options() {
  CandidateOptions options;
  options.bits = {2, 4};
  options.direct_bits = {2, 5};
  options.measured_ranks = 4;
  options.ranks = 12;
  options.solver.start.max_iterations = 30;
  options.solver.max_iterations = 20;
  options.solver.starts = 1;
  return options;
}

template <typename Scalar>
qaf::DenseTensor<Scalar> small_tensor(qaf::StorageOrder order = qaf::StorageOrder::row_major) {
  return support::low_rank_tensor<Scalar>({12, 10, 9}, 6, 0.2, 3, order);
}

std::vector<Candidate> of_form(const qaf::LayerCandidates& layer, Form form, int bits) {
  std::vector<Candidate> result;
  for (const Candidate& one : layer.candidates)
    if (one.form == form && one.bits == bits) result.push_back(one);
  return result;
}

struct AffineOfBits {
  qaf::AffineQuantizer operator()(int bits) const {
    qaf::AffineQuantizer quantizer;
    quantizer.bits = bits;
    return quantizer;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("Measured candidates have the error of the solver and the size of its model", "[candidates]", float,
                   double) {
  const auto tensor = small_tensor<TestType>();
  const CandidateOptions options = small_options();
  const qaf::LayerCandidates layer = qaf::candidates_of(small_layer(), tensor, options);
  CHECK(layer.weight == 1);
  for (const int bits : options.bits) {
    Index measured = 0, before = 0;
    for (const Candidate& one : of_form(layer, Form::factored, bits)) {
      CAPTURE(bits, one.rank);
      CHECK(one.rank > before);
      before = one.rank;
      CHECK(one.cost == qaf::factored_cost(small_layer(), one.rank, bits));
      CHECK(one.cost.bits <= options.most_bits_per_weight * 12 * 10 * 9);
      if (!one.measured) continue;
      ++measured;
      const auto result = qaf::cp_admm(tensor, one.rank, qaf::UniformOfBits()(bits), options.solver);
      CHECK(one.relative_error == result.relative_error);
      if (std::is_same_v<TestType, float>)
        CHECK(one.cost.bits == static_cast<double>(qaf::model_size(result.model).bits()));
    }
    CHECK(measured == options.measured_ranks);
    CHECK(static_cast<Index>(of_form(layer, Form::factored, bits).size()) > measured);
  }
}

TEST_CASE("Interpolated errors lie between those of the measured neighbours", "[candidates]") {
  const qaf::LayerCandidates layer = qaf::candidates_of(small_layer(), small_tensor<float>(), small_options());
  for (const int bits : {2, 4}) {
    const std::vector<Candidate> all = of_form(layer, Form::factored, bits);
    REQUIRE(all.front().measured);
    REQUIRE(all.back().measured);
    std::size_t left = 0;
    for (std::size_t k = 0; k < all.size(); ++k) {
      if (all[k].measured) left = k;
      std::size_t right = k;
      while (!all[right].measured) ++right;
      const double a = all[left].relative_error, b = all[right].relative_error;
      CHECK(all[k].relative_error >= std::min(a, b) * (1 - 1e-12));
      CHECK(all[k].relative_error <= std::max(a, b) * (1 + 1e-12));
    }
  }
}

TEMPLATE_TEST_CASE("Direct candidates round every output channel by itself", "[candidates]", float, double) {
  for (const qaf::StorageOrder order : support::both_orders) {
    auto tensor = small_tensor<TestType>(order);
    const std::vector<Index>& dimensions = tensor.dimensions();
    support::for_each_index(dimensions, [&](const std::vector<Index>& index) {  // channels of very different sizes
      tensor.data()[support::position(dimensions, order, index)] *= static_cast<TestType>(std::pow(3.0, index[0]));
    });
    CandidateOptions options = small_options();
    options.bits = {};
    const qaf::LayerCandidates layer = qaf::candidates_of(small_layer(), tensor, options);
    for (const int bits : options.direct_bits) {
      double squared = 0, norm = 0;
      for (Index channel = 0; channel < 12; ++channel) {
        qaf::Matrix<TestType> column(90, 1);
        Index next = 0;
        support::for_each_index({10, 9}, [&](const std::vector<Index>& index) {
          column(next++, 0) = support::entry(tensor, {channel, index[0], index[1]});
        });
        const auto rounded = qaf::quantize(column, qaf::UniformOfBits()(bits));
        squared += static_cast<double>((qaf::decode<TestType>(rounded) - column).squaredNorm());
        norm += static_cast<double>(column.squaredNorm());
      }
      const std::vector<Candidate> direct = of_form(layer, Form::direct, bits);
      REQUIRE(direct.size() == 1);
      CHECK(direct[0].relative_error ==
            Approx(std::sqrt(squared / norm)).epsilon(support::Tolerance<TestType>::quantized));
      CHECK(direct[0].cost == qaf::direct_cost(small_layer(), bits));
    }
  }
}

TEST_CASE("The original is a candidate without error", "[candidates]") {
  CandidateOptions options;
  options.bits = options.direct_bits = {};
  const qaf::LayerCandidates layer = qaf::candidates_of(small_layer(), small_tensor<float>(), options);
  REQUIRE(layer.candidates.size() == 1);
  CHECK(layer.candidates[0].form == Form::original);
  CHECK(layer.candidates[0].relative_error == 0);
  CHECK(layer.candidates[0].cost == qaf::original_cost(small_layer()));
}

TEST_CASE("Candidates of weighted tensors, matrices, zeros and other quantizers", "[candidates]") {
  CandidateOptions options = small_options();
  options.bits = {3};
  options.direct_bits = {3};
  options.original = false;
  const auto tensor = small_tensor<float>();
  qaf::Matrix<double> channels = qaf::Matrix<double>::Identity(10, 10);
  for (Index k = 0; k < 10; ++k) channels(k, k) = k < 5 ? 10 : 0.1;
  const auto weighted = qaf::weighted(tensor, {{}, channels, {}});
  const qaf::LayerCandidates measured = qaf::candidates_of(small_layer(), weighted, options);
  for (const Candidate& one : of_form(measured, Form::factored, 3))
    if (one.measured)
      CHECK(one.relative_error ==
            qaf::cp_admm(weighted, one.rank, qaf::UniformOfBits()(3), options.solver).relative_error);
  // Of the rounded weights, by the definition.
  qaf::Matrix<float> columns = Eigen::Map<const qaf::Matrix<float>>(tensor.data(), 90, 12);
  const qaf::Matrix<float> error = qaf::decode<float>(qaf::quantize(columns, qaf::UniformOfBits()(3))) - columns;
  double squared = 0, norm = 0;
  for (Index k = 0; k < 90; ++k) {
    squared += channels(k / 9, k / 9) * static_cast<double>(error.row(k).squaredNorm());
    norm += channels(k / 9, k / 9) * static_cast<double>(columns.row(k).squaredNorm());
  }
  CHECK(of_form(measured, Form::direct, 3)[0].relative_error == Approx(std::sqrt(squared / norm)).epsilon(1e-4));

  qaf::Layer linear;
  linear.dimensions = {20, 15};
  const Eigen::MatrixXd matrix = Eigen::MatrixXd::Random(20, 15);
  CHECK(qaf::candidates_of(linear, matrix, options).candidates.size() > 3);

  const Eigen::Tensor<float, 3> zeros = Eigen::Tensor<float, 3>(12, 10, 9).setZero();
  for (const Candidate& one : qaf::candidates_of(small_layer(), zeros, options).candidates)
    CHECK(one.relative_error == 0);

  for (const Candidate& one : qaf::candidates_of(small_layer(), tensor, options, AffineOfBits()).candidates)
    if (one.form == Form::factored) CHECK(one.cost == qaf::factored_cost(small_layer(), one.rank, AffineOfBits()(3)));
}

TEST_CASE("A layer with room for one rank only has one candidate for each number of bits", "[candidates]") {
  qaf::Layer layer;
  layer.dimensions = {2, 3};
  CandidateOptions options = small_options();
  options.most_bits_per_weight = 1;
  const Eigen::MatrixXf matrix = Eigen::MatrixXf::Random(2, 3);
  CHECK(of_form(qaf::candidates_of(layer, matrix, options), Form::factored, 2).size() == 1);
}

TEST_CASE("No candidate has more components than the tensor has entries", "[candidates]") {
  qaf::Layer layer;
  layer.dimensions = {2, 2};
  CandidateOptions options = small_options();
  options.bits = {1};
  options.most_bits_per_weight = 64;
  const Eigen::MatrixXf matrix = Eigen::MatrixXf::Random(2, 2);
  for (const Candidate& one : of_form(qaf::candidates_of(layer, matrix, options), Form::factored, 1))
    CHECK(one.rank <= 4);
}

TEST_CASE("Tensors and options that do not fit are told", "[candidates]") {
  const auto tensor = small_tensor<float>();
  qaf::Layer layer = small_layer();
  layer.dimensions = {12, 9, 10};
  CHECK_ERROR(qaf::candidates_of(layer, tensor),
              "qaf::candidates_of: layer 'small' is 12 x 9 x 10, its tensor must be too, got 12 x 10 x 9");
  auto broken = tensor;
  broken.data()[5] = std::numeric_limits<float>::infinity();
  CHECK_ERROR(qaf::candidates_of(small_layer(), broken),
              "qaf::candidates_of: every entry of the tensor must be finite, got inf at position 5 in storage order");
  const auto refused = [&](const auto& change, const std::string& sentence) {
    CandidateOptions options;
    change(options);
    CHECK_ERROR(qaf::candidates_of(small_layer(), tensor, options), "qaf::CandidateOptions: " + sentence);
  };
  refused([](CandidateOptions& o) { o.bits = o.direct_bits = {}, o.original = false; },
          "bits, direct_bits and original must allow some candidate");
  refused([](CandidateOptions& o) { o.bits = {4, 0}; }, "bits must be from 1 to 32, got 0");
  refused([](CandidateOptions& o) { o.direct_bits = {33}; }, "direct_bits must be from 1 to 32, got 33");
  refused([](CandidateOptions& o) { o.bits = {4, 2, 4}; }, "bits must differ, got 4 twice");
  refused([](CandidateOptions& o) { o.direct_bits = {2, 2}; }, "direct_bits must differ, got 2 twice");
  refused([](CandidateOptions& o) { o.least_bits_per_weight = 0; },
          "least_bits_per_weight must be above 0 and finite, got 0");
  refused([](CandidateOptions& o) { o.most_bits_per_weight = 0.1; },
          "most_bits_per_weight must be from least_bits_per_weight to 64, got 0.1");
  refused([](CandidateOptions& o) { o.measured_ranks = 1; }, "measured_ranks must be at least 2, got 1");
  refused([](CandidateOptions& o) { o.ranks = 3; },
          "ranks must be measured_ranks or more, got 3 with measured_ranks 6");
  refused([](CandidateOptions& o) { o.activation_bits = 0; }, "activation_bits must be from 1 to 32, got 0");
  CandidateOptions options;
  options.solver.momentum = 2;
  CHECK_ERROR(qaf::candidates_of(small_layer(), tensor, options),
              "qaf::CpAdmmOptions: momentum must be from 0 to 1, got 2");
}
