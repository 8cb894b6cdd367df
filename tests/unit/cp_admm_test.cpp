#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <unsupported/Eigen/CXX11/Tensor>

#include <qaf/cp_admm.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::CpAdmmOptions;
using qaf::CpModel;
using qaf::DenseTensor;
using qaf::Granularity;
using qaf::IdentityQuantizer;
using qaf::Index;
using qaf::Status;
using qaf::StorageOrder;
using qaf::UniformQuantizer;
using qaf::UniformQuantizer16;
using support::Tolerance;

using Sizes = std::vector<Index>;

const std::vector<Granularity> granularities = {Granularity::tensor, Granularity::component, Granularity::row};

/// That many sweeps, and no other end.
CpAdmmOptions sweeps(Index count, std::uint64_t seed = 0) {
  CpAdmmOptions options;
  options.max_iterations = count;
  options.tolerance = 0;
  options.patience = count + 1;
  options.start.max_iterations = 50;
  options.starts = 1;
  options.start.seed = seed;
  return options;
}

template <typename Quantizer = UniformQuantizer>
Quantizer with_bits(int bits, Granularity granularity = Granularity::component) {
  Quantizer quantizer;
  quantizer.bits = bits;
  quantizer.granularity = granularity;
  return quantizer;
}

/// The error of what the codes stand for, by the definition of the quantizer and of the model.
template <typename Tensor, typename Scalar, typename Code>
double error_of_codes(const Tensor& tensor,
                      const qaf::QuantizedCpModel<Scalar, qaf::BasicUniformQuantizer<Code>>& model) {
  CpModel<double> decoded;
  decoded.weights = model.weights.template cast<double>();
  for (const auto& factor : model.factors) {
    const Granularity granularity = factor.quantizer.granularity;
    qaf::Matrix<float> values = factor.codes.template cast<float>();
    for (Index j = 0; j < values.cols(); ++j)
      for (Index i = 0; i < values.rows(); ++i)
        values(i, j) *= factor.parameters.scales[granularity == Granularity::tensor      ? 0
                                                 : granularity == Granularity::component ? j
                                                                                         : i];
    decoded.factors.emplace_back(values.cast<double>());
  }
  return support::direct_error(tensor, decoded);
}

/// Checks what holds for every result on a tensor that is not zero.
template <typename Tensor, typename Scalar, typename Code>
void check_result(const Tensor& tensor, const qaf::CpAdmmResult<Scalar, qaf::BasicUniformQuantizer<Code>>& result,
                  const qaf::BasicUniformQuantizer<Code>& quantizer, Index rank) {
  REQUIRE(result.model.factors.size() == tensor.dimensions().size());
  CHECK(result.model.rank() == rank);
  for (std::size_t n = 0; n < result.model.factors.size(); ++n) {
    const auto& codes = result.model.factors[n].codes;
    CHECK(codes.rows() == tensor.dimensions()[n]);
    CHECK(codes.cols() == rank);
    CHECK(static_cast<int>(codes.minCoeff()) >= quantizer.lowest());
    CHECK(static_cast<int>(codes.maxCoeff()) <= quantizer.highest());
    CHECK(result.model.factors[n].quantizer.bits == quantizer.bits);
  }
  const double error = error_of_codes(tensor, result.model);
  CHECK(result.relative_error == Approx(error).epsilon(10 * Tolerance<Scalar>::product).margin(1e-11));
  CHECK(qaf::relative_error(tensor, result.model) == result.relative_error);
  CHECK(result.history.size() == static_cast<std::size_t>(result.iterations));
  // The best iterate seen, and no worse than the start after quantization.
  const double least = *std::min_element(result.history.begin(), result.history.end());
  CHECK(result.relative_error <= least + Tolerance<Scalar>::fast_error);
}

template <typename Scalar, typename Quantizer>
bool same_bits(const qaf::QuantizedCpModel<Scalar, Quantizer>& a, const qaf::QuantizedCpModel<Scalar, Quantizer>& b) {
  if (a.weights != b.weights || a.factors.size() != b.factors.size()) return false;
  for (std::size_t n = 0; n < a.factors.size(); ++n)
    if (a.factors[n].codes != b.factors[n].codes || a.factors[n].parameters != b.factors[n].parameters) return false;
  return true;
}

/// Decodes some factors to what they are, and one to NaN.
struct LosingQuantizer {
  using Code = float;
  struct Parameters {};
  int* decoded;
  Parameters fit(const qaf::Matrix<float>&) const { return {}; }
  qaf::Matrix<float> encode(const qaf::Matrix<float>& matrix, const Parameters&) const { return matrix; }
  qaf::Matrix<float> decode(const qaf::Matrix<float>& codes, const Parameters&) const {
    constexpr int lost = 20;
    if (++*decoded != lost) return codes;
    return codes * std::numeric_limits<float>::quiet_NaN();
  }
};

/// A quantizer as a user may write it, without templates: multiples of a quarter of the largest magnitude.
struct QuarterQuantizer {
  using Code = int;
  struct Parameters {
    float step = 1;
  };
  Parameters fit(const qaf::Matrix<float>& matrix) const {
    const float largest = matrix.cwiseAbs().maxCoeff();
    return {largest > 0 ? largest / 4 : 1};
  }
  qaf::Matrix<int> encode(const qaf::Matrix<float>& matrix, const Parameters& parameters) const {
    return (matrix / parameters.step).array().round().cast<int>();
  }
  qaf::Matrix<float> decode(const qaf::Matrix<int>& codes, const Parameters& parameters) const {
    return codes.cast<float>() * parameters.step;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("With a quantizer that changes nothing ADMM goes where ALS goes", "[cp_admm]", float, double) {
  const std::vector<std::pair<Sizes, Index>> cases = {{{8, 7}, 2}, {{8, 7, 6}, 2}, {{5, 4, 3, 4}, 2}};
  for (const auto& [dimensions, rank] : cases) {
    CAPTURE(qaf::detail::shape_text(dimensions));
    const auto tensor = support::low_rank_tensor<TestType>(dimensions, rank, 0.2, 5, StorageOrder::row_major);
    qaf::CpAlsOptions als;
    als.tolerance = 0;
    als.max_iterations = 1;
    const CpModel<TestType> start = qaf::cp_als(tensor, rank, als).model;
    als.max_iterations = 2000;
    const double expected = qaf::cp_als(tensor, start, als).relative_error;
    const auto result = qaf::cp_admm(tensor, start, IdentityQuantizer(), sweeps(1000));
    CHECK(result.start_relative_error > 1.001 * expected);  // there is a way to go
    CHECK(result.relative_error == Approx(expected).epsilon(Tolerance<TestType>::solve));
    CHECK(result.relative_error == qaf::relative_error(tensor, qaf::decode(result.model)));
  }
}

TEMPLATE_TEST_CASE("ADMM returns codes in range with their own error, for every order and bits", "[cp_admm]", float,
                   double) {
  for (const Sizes& dimensions : support::one_shape_an_order) {
    for (const StorageOrder storage_order : support::both_orders) {
      const auto tensor = support::random_tensor<TestType>(dimensions, storage_order, 6);
      for (const Granularity granularity : granularities) {
        for (const int bits : {2, 3, 5, 8}) {
          CAPTURE(qaf::detail::shape_text(dimensions), static_cast<int>(storage_order), qaf::to_string(granularity),
                  bits);
          const auto quantizer = with_bits(bits, granularity);
          check_result(tensor, qaf::cp_admm(tensor, 3, quantizer, sweeps(5)), quantizer, 3);
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("More bits give no larger error, down to that of the float model", "[cp_admm]", float, double) {
  const auto tensor = support::low_rank_tensor<TestType>({8, 7, 6}, 3, 0.3, 5, StorageOrder::column_major);
  for (const Granularity granularity : granularities) {
    double previous = std::numeric_limits<double>::infinity();
    for (const int bits : {2, 4, 6, 8, 10, 12, 14, 16}) {
      CAPTURE(qaf::to_string(granularity), bits);
      const auto quantizer = with_bits<UniformQuantizer16>(bits, granularity);
      const auto result = qaf::cp_admm(tensor, 3, quantizer, sweeps(20));
      check_result(tensor, result, quantizer, 3);
      CHECK(result.relative_error < previous + 1e-3);
      previous = result.relative_error;
      if (bits == 16) CHECK(result.relative_error < result.start_relative_error + 1e-3);
    }
  }
}

TEMPLATE_TEST_CASE("ADMM is never worse than quantizing the start", "[cp_admm]", float, double) {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const auto tensor = support::random_tensor<TestType>({7, 6, 5}, StorageOrder::column_major, seed);
    const CpModel<TestType> start = qaf::cp_als(tensor, 4).model;
    for (const Granularity granularity : granularities) {
      for (const int bits : {2, 4, 8}) {
        CAPTURE(seed, qaf::to_string(granularity), bits);
        const auto quantizer = with_bits(bits, granularity);
        const double rounded = qaf::relative_error(tensor, qaf::quantize(start, quantizer));
        for (const Index count : {1, 6}) {
          const auto result = qaf::cp_admm(tensor, start, quantizer, sweeps(count));
          CHECK(result.relative_error <= rounded * (1 + Tolerance<TestType>::quantized));
          CHECK(result.start_relative_error ==
                Approx(support::direct_error(tensor, start)).epsilon(Tolerance<TestType>::product));
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("At 4 bits ADMM is clearly better than ALS and rounding", "[cp_admm]", float, double) {
  double rounded = 0;
  double solved = 0;
  double least = 0;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const auto tensor = support::low_rank_tensor<TestType>({16, 14, 9}, 8, 0.1, seed + 30, StorageOrder::row_major);
    const auto quantizer = with_bits(4);
    const auto als = qaf::cp_als(tensor, 16);
    const double error = qaf::relative_error(tensor, qaf::quantize(als.model, quantizer));
    const auto result = qaf::cp_admm(tensor, 16, quantizer);
    CHECK(result.relative_error < error);
    rounded += error;
    solved += result.relative_error;
    least += als.relative_error;
  }
  CAPTURE(rounded, solved, least);
  CHECK(solved - least < 0.6 * (rounded - least));  // what rounding costs, and what is left of it
}

TEMPLATE_TEST_CASE("ADMM takes Eigen tensors, matrices and pointers", "[cp_admm]", float, double) {
  const auto tensor = support::random_tensor<TestType>({6, 5, 4}, StorageOrder::column_major);
  Eigen::Tensor<TestType, 3> copy(6, 5, 4);
  std::copy(tensor.data(), tensor.data() + tensor.size(), copy.data());
  const auto quantizer = with_bits(4);
  const double expected = qaf::cp_admm(tensor, 3, quantizer, sweeps(5)).relative_error;
  CHECK(qaf::cp_admm(copy, 3, quantizer, sweeps(5)).relative_error == Approx(expected).epsilon(1e-6));
  const qaf::TensorView<TestType> view(tensor.data(), {6, 5, 4}, StorageOrder::column_major);
  CHECK(qaf::cp_admm(view, 3, quantizer, sweeps(5)).relative_error == Approx(expected).epsilon(1e-6));
  const qaf::Matrix<TestType> matrix = qaf::Matrix<TestType>::Random(6, 5);
  const auto result = qaf::cp_admm(matrix, 3, with_bits(8), sweeps(5));
  CHECK(result.relative_error == qaf::relative_error(matrix, result.model));
  CHECK(result.relative_error < 1);
}

TEST_CASE("ADMM works with a user's quantizer that is no template", "[cp_admm]") {
  const auto tensor = support::low_rank_tensor<float>({8, 7, 6}, 3, 0.1, 5, StorageOrder::column_major);
  const CpModel<float> start = qaf::cp_als(tensor, 3).model;
  const QuarterQuantizer quantizer;
  const double rounded = qaf::relative_error(tensor, qaf::quantize(start, quantizer));
  const auto result = qaf::cp_admm(tensor, start, quantizer, sweeps(20));
  CHECK(result.relative_error < rounded);
  CHECK(result.relative_error == qaf::relative_error(tensor, result.model));
  for (const auto& factor : result.model.factors) CHECK(factor.codes.cwiseAbs().maxCoeff() <= 4);
}

TEST_CASE("ADMM ends with the best model before a quantizer that loses its numbers", "[cp_admm]") {
  const auto tensor = support::low_rank_tensor<float>({6, 5, 4}, 2, 0.1, 3, StorageOrder::column_major);
  for (const bool refine : {false, true}) {
    CAPTURE(refine);
    int decoded = 0;
    CpAdmmOptions options = sweeps(20);
    options.refine = refine;
    options.reflect = false;
    const auto result =
        qaf::cp_admm(tensor, support::random_model<float>({6, 5, 4}, 2), LosingQuantizer{&decoded}, options);
    CHECK(result.status == Status::not_finite);
    CHECK(result.iterations < 20);
    CHECK(result.relative_error < 1);
    CHECK(qaf::relative_error(tensor, result.model) == Approx(result.relative_error));
  }
}

TEST_CASE("ADMM stops where the error no longer changes", "[cp_admm]") {
  const auto tensor = support::low_rank_tensor<double>({8, 7, 6}, 2, 0.2, 5, StorageOrder::column_major);
  CpAdmmOptions options = sweeps(500);
  options.start.max_iterations = 2;
  options.tolerance = 1e-5;
  options.first_penalty = options.last_penalty;
  const auto result = qaf::cp_admm(tensor, 2, IdentityQuantizer(), options);
  CHECK(result.status == Status::converged);
  REQUIRE(result.iterations >= 2);
  const std::size_t last = result.history.size() - 1;
  CHECK(std::abs(result.history[last] - result.history[last - 1]) <= options.tolerance);
  for (std::size_t k = 1; k < last; ++k) CHECK(std::abs(result.history[k] - result.history[k - 1]) > options.tolerance);

  // While the penalty rises, as many sweeps in a row as patience says.
  options.first_penalty = 0.3;
  options.patience = 4;
  const auto rising = qaf::cp_admm(tensor, 2, IdentityQuantizer(), options);
  CHECK(rising.status == Status::converged);
  REQUIRE(rising.iterations >= 5);
  for (std::size_t k = rising.history.size() - 4; k < rising.history.size(); ++k)
    CHECK(std::abs(rising.history[k] - rising.history[k - 1]) <= options.tolerance);
}

TEST_CASE("ADMM stops where the best error has not fallen for long", "[cp_admm]") {
  const auto tensor = support::random_tensor<double>({8, 7, 6}, StorageOrder::column_major);
  CpAdmmOptions options = qaf::paper_options();
  options.max_inner_iterations = 1;
  options.first_penalty = options.last_penalty = 0.1;  // too small for the codes to settle
  options.max_iterations = 1000;
  options.tolerance = 0;
  options.patience = 5;
  std::vector<double> best;
  options.on_iteration = [&](const qaf::Progress& progress) {
    best.push_back(progress.best_error);
    return true;
  };
  const auto result = qaf::cp_admm(tensor, 4, with_bits(2), options);
  CHECK(result.status == Status::stalled);
  REQUIRE(result.iterations >= 5);
  CHECK(result.iterations < 1000);
  // It fell no more in the last five sweeps, and before that never stood still as long.
  REQUIRE(best.size() == static_cast<std::size_t>(result.iterations));
  for (std::size_t k = best.size() - 5; k < best.size(); ++k) CHECK(best[k] == best.back());
  if (best.size() > 5) CHECK(best[best.size() - 6] == best.back());
  for (std::size_t k = 5; k + 1 < best.size(); ++k) CHECK(best[k] < best[k - 5]);
  options.patience = 20;
  CHECK(qaf::cp_admm(tensor, 4, with_bits(2), options).iterations > result.iterations);
}

TEST_CASE("ADMM stops at the number of sweeps allowed", "[cp_admm]") {
  const auto tensor = support::random_tensor<double>({8, 7, 6}, StorageOrder::column_major);
  for (const Index count : {1, 4}) {
    const auto result = qaf::cp_admm(tensor, 3, with_bits(4), sweeps(count));
    CHECK(result.status == Status::max_iterations);
    CHECK(result.iterations == count);
    CHECK(result.history.size() == static_cast<std::size_t>(count));
  }
}

TEST_CASE("ADMM tells its callbacks of every sweep and stops where that says so", "[cp_admm]") {
  const auto tensor = support::random_tensor<double>({8, 7, 6}, StorageOrder::column_major);
  std::vector<qaf::Progress> seen;
  Index start_sweeps = 0;
  CpAdmmOptions options = sweeps(50);
  options.refine = false;
  options.start.on_iteration = [&](const qaf::Progress&) {
    CHECK(seen.empty());
    return ++start_sweeps < 4;
  };
  options.on_iteration = [&](const qaf::Progress& progress) {
    seen.push_back(progress);
    return progress.iteration < 6;
  };
  const auto result = qaf::cp_admm(tensor, 3, with_bits(4), options);
  CHECK(start_sweeps == 4);
  CHECK(result.status == Status::stopped_by_callback);
  CHECK(result.iterations == 6);
  REQUIRE(seen.size() == 6);
  REQUIRE(result.history.size() == 6);
  for (std::size_t k = 0; k < seen.size(); ++k) {
    CHECK(seen[k].iteration == static_cast<Index>(k) + 1);
    CHECK(seen[k].max_iterations == 50);
    CHECK(seen[k].relative_error == result.history[k]);
    CHECK(seen[k].best_error <= seen[k].relative_error);
    if (k > 0) CHECK(seen[k].best_error <= seen[k - 1].best_error);
  }
  CHECK(result.relative_error == Approx(seen.back().best_error).epsilon(1e-9));
}

TEMPLATE_TEST_CASE("ADMM gives the same bits for the same seed", "[cp_admm]", float, double) {
  const auto tensor = support::random_tensor<TestType>({8, 7, 6}, StorageOrder::column_major);
  const auto first = qaf::cp_admm(tensor, 4, with_bits(4), sweeps(8, 3));
  const auto second = qaf::cp_admm(tensor, 4, with_bits(4), sweeps(8, 3));
  CHECK(same_bits(first.model, second.model));
  CHECK(first.history == second.history);
  CHECK(first.relative_error == second.relative_error);
  CHECK(first.seed == 3);
  CHECK_FALSE(same_bits(first.model, qaf::cp_admm(tensor, 4, with_bits(4), sweeps(8, 4)).model));
}

TEMPLATE_TEST_CASE("From its own start, or the same one given, ADMM goes the same way", "[cp_admm]", float, double) {
  const auto tensor = support::random_tensor<TestType>({8, 7, 6}, StorageOrder::column_major);
  const auto quantizer = with_bits(4);
  for (const double start_noise : {0.0, 0.7}) {
    CAPTURE(start_noise);
    CpAdmmOptions options = sweeps(8, 3);
    options.start_noise = start_noise;
    options.start.noise = std::vector<double>{0.001};
    qaf::CpAlsOptions als = options.start;
    als.noise.clear();
    for (const Index length : {8, 7, 6})
      als.noise.push_back(0.001 + start_noise * qaf::quantization_noise<TestType>(quantizer, length, 4));
    const CpModel<TestType> start = qaf::cp_als(tensor, 4, als).model;
    const CpModel<TestType> copy = start;
    const auto given = qaf::cp_admm(tensor, start, quantizer, options);
    const auto own = qaf::cp_admm(tensor, 4, quantizer, options);
    CHECK(given.start_relative_error == Approx(own.start_relative_error).epsilon(Tolerance<TestType>::rounding));
    CHECK(given.relative_error == Approx(own.relative_error).epsilon(Tolerance<TestType>::rounding));
    CHECK(same_bits(given.model, own.model));
    CHECK(start.weights == copy.weights);
    for (std::size_t n = 0; n < 3; ++n) CHECK(start.factors[n] == copy.factors[n]);
  }
}

TEMPLATE_TEST_CASE("ADMM gives a tensor of zeros weights 0, error 0 and codes 0", "[cp_admm]", float, double) {
  const DenseTensor<TestType> zeros({4, 3, 2});
  const CpModel<TestType> start = support::random_model<TestType>({4, 3, 2}, 2);
  const CpAdmmOptions options = sweeps(5, 7);
  for (const Granularity granularity : granularities) {
    const auto quantizer = with_bits(4, granularity);
    for (const auto& result :
         {qaf::cp_admm(zeros, 2, quantizer, options), qaf::cp_admm(zeros, start, quantizer, options)}) {
      CHECK(result.relative_error == 0);
      CHECK(result.status == Status::converged);
      CHECK(result.iterations == 0);
      CHECK(result.seed == 7);
      CHECK(result.model.rank() == 2);
      CHECK(result.model.weights.isZero(0));
      REQUIRE(result.model.factors.size() == 3);
      for (const auto& factor : result.model.factors) {
        CHECK(factor.codes.cwiseEqual(std::int8_t{0}).all());
        CHECK((factor.parameters.scales.array() == 1.0F).all());
      }
      CHECK(qaf::relative_error(zeros, result.model) == 0);
    }
  }
}

TEMPLATE_TEST_CASE("ADMM works the same at every scale of the data", "[cp_admm]", float, double) {
  const auto tensor = support::low_rank_tensor<TestType>({7, 6, 5}, 3, 0.2, 2, StorageOrder::column_major);
  const std::vector<double> scales = Tolerance<TestType>::is_float ? std::vector<double>{1e-30, 1e30}
                                                                   : std::vector<double>{1e-200, 1e-30, 1e30, 1e150};
  for (const Granularity granularity : granularities) {
    const double expected = qaf::cp_admm(tensor, 3, with_bits(8, granularity), sweeps(5)).relative_error;
    for (const double scale : scales) {
      CAPTURE(scale, qaf::to_string(granularity));
      const auto quantizer = with_bits(8, granularity);
      const auto scaled = support::scaled(tensor, scale);
      const auto result = qaf::cp_admm(scaled, 3, quantizer, sweeps(5));
      check_result(scaled, result, quantizer, 3);
      // A rounding error can turn a code over, so the way is not the same to the last digit.
      CHECK(result.relative_error == Approx(expected).epsilon(1e-2));
    }
  }
}

TEMPLATE_TEST_CASE("From a start far larger than the tensor ADMM still ends better than no model", "[cp_admm]", float,
                   double) {
  const auto tensor = support::scaled(support::random_tensor<TestType>({6, 5, 4}, StorageOrder::row_major), 1e-30);
  qaf::UniformQuantizer quantizer;
  quantizer.bits = 4;
  qaf::CpAdmmOptions options;
  options.max_iterations = 2;
  const auto result = qaf::cp_admm(tensor, support::random_model<TestType>({6, 5, 4}, 3), quantizer, options);
  CHECK(result.relative_error <= 1);
  CHECK(result.model.weights.allFinite());
}

TEMPLATE_TEST_CASE("ADMM works for more components than any mode has entries", "[cp_admm]", float, double) {
  const auto tensor = support::random_tensor<TestType>({5, 4, 3}, StorageOrder::column_major);
  const auto quantizer = with_bits(4);
  check_result(tensor, qaf::cp_admm(tensor, 9, quantizer, sweeps(10)), quantizer, 9);
  const auto thin = support::random_tensor<TestType>({1, 6, 1}, StorageOrder::row_major);
  check_result(thin, qaf::cp_admm(thin, 2, quantizer, sweeps(10)), quantizer, 2);
}

TEST_CASE("The default beats the paper's settings, and more effort is better still", "[cp_admm]") {
  double paper = 0, quick = 0, normal = 0, thorough = 0;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    const auto tensor = support::low_rank_tensor<float>({9, 8, 7}, 10, 0.3, seed, StorageOrder::column_major);
    const auto error = [&](CpAdmmOptions options) {
      options.start.seed = seed;
      return qaf::cp_admm(tensor, 8, with_bits(3, Granularity::tensor), options).relative_error;
    };
    paper += error(qaf::paper_options());
    quick += error(qaf::cp_admm_options(qaf::Effort::quick));
    normal += error(qaf::cp_admm_options(qaf::Effort::normal));
    thorough += error(qaf::cp_admm_options(qaf::Effort::thorough));
  }
  CHECK(quick < 0.95 * paper);
  CHECK(normal < quick);
  CHECK(thorough < normal);
}

TEST_CASE("Reflecting columns pays where the range reaches further on one side, and changes nothing else",
          "[cp_admm]") {
  double reflected = 0, plain = 0;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const auto tensor = support::low_rank_tensor<float>({12, 10, 9}, 14, 0.3, seed, StorageOrder::column_major);
    CpAdmmOptions options = sweeps(60, seed);
    options.refine = false;
    const auto with_reflection = qaf::cp_admm(tensor, 12, with_bits(2), options);
    check_result(tensor, with_reflection, with_bits(2), 12);
    CHECK((with_reflection.model.weights.array().abs() == with_reflection.model.weights.cwiseAbs().maxCoeff()).all());
    reflected += with_reflection.relative_error;
    options.reflect = false;
    const auto without = qaf::cp_admm(tensor, 12, with_bits(2), options);
    CHECK((without.model.weights.array() > 0).all());
    plain += without.relative_error;
    // The narrow range is symmetric: nothing to gain, and nothing is done.
    auto narrow = with_bits(2);
    narrow.range = qaf::CodeRange::narrow;
    const auto symmetric = qaf::cp_admm(tensor, 12, narrow, options);
    options.reflect = true;
    CHECK(same_bits(symmetric.model, qaf::cp_admm(tensor, 12, narrow, options).model));
  }
  CHECK(reflected < 0.98 * plain);
}

TEST_CASE("Refinement only lowers the error", "[cp_admm]") {
  for (const Granularity granularity : granularities) {
    CAPTURE(qaf::to_string(granularity));
    const auto tensor = support::low_rank_tensor<float>({12, 10, 9}, 14, 0.3, 1, StorageOrder::column_major);
    CpAdmmOptions options = sweeps(20);
    const double refined = qaf::cp_admm(tensor, 12, with_bits(3, granularity), options).relative_error;
    options.refine = false;
    CHECK(refined < qaf::cp_admm(tensor, 12, with_bits(3, granularity), options).relative_error);
  }
}

TEMPLATE_TEST_CASE("ADMM refuses what it cannot use before any work", "[cp_admm]", float, double) {
  DenseTensor<TestType> tensor = support::random_tensor<TestType>({4, 3, 2}, StorageOrder::column_major);
  const CpModel<TestType> start = support::random_model<TestType>({4, 3, 2}, 2);
  bool started = false;
  CpAdmmOptions good;
  good.start.on_iteration = [&](const qaf::Progress&) { return started = true; };
  const auto with = [&](auto&& change) {
    CpAdmmOptions options = good;
    change(options);
    return options;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();

  CHECK_ERROR(qaf::cp_admm(tensor, 0, UniformQuantizer(), good), "qaf::cp_admm: rank must be at least 1, got 0");
  CHECK_ERROR(qaf::cp_admm(tensor, -2, UniformQuantizer(), good), "qaf::cp_admm: rank must be at least 1, got -2");

  const std::string bits = "qaf::UniformQuantizer: bits must be from 1 to 8 for codes of 8 bits, got ";
  CHECK_ERROR(qaf::cp_admm(tensor, 2, with_bits(0), good), bits + "0");
  CHECK_ERROR(qaf::cp_admm(tensor, start, with_bits(0), good), bits + "0");
  // Where nothing is measured before the start, the quantizer's own check is still the first to run.
  const CpAdmmOptions without_noise = with([](auto& o) { o.start_noise = 0; });
  CHECK_ERROR(qaf::cp_admm(tensor, 2, with_bits(0), without_noise), bits + "0");
  CHECK_ERROR(qaf::cp_admm(tensor, 2, with_bits(9), good), bits + "9; UniformQuantizer16 goes to 16");

  const std::vector<std::pair<CpAdmmOptions, std::string>> bad_options = {
      {with([](auto& o) { o.max_iterations = 0; }), "qaf::CpAdmmOptions: max_iterations must be at least 1, got 0"},
      {with([](auto& o) { o.max_inner_iterations = -1; }),
       "qaf::CpAdmmOptions: max_inner_iterations must be at least 1, got -1"},
      {with([&](auto& o) { o.inner_tolerance = nan; }),
       "qaf::CpAdmmOptions: inner_tolerance must be 0 or more and finite, got nan"},
      {with([](auto& o) { o.inner_tolerance = -1; }),
       "qaf::CpAdmmOptions: inner_tolerance must be 0 or more and finite, got -1"},
      {with([&](auto& o) { o.tolerance = nan; }),
       "qaf::CpAdmmOptions: tolerance must be 0 or more and finite, got nan"},
      {with([](auto& o) { o.tolerance = -2; }), "qaf::CpAdmmOptions: tolerance must be 0 or more and finite, got -2"},
      {with([](auto& o) { o.start_noise = -1; }), "qaf::CpAdmmOptions: start_noise must be from 0 to 10000, got -1"},
      {with([&](auto& o) { o.start_noise = nan; }), "qaf::CpAdmmOptions: start_noise must be from 0 to 10000, got nan"},
      {with([](auto& o) { o.first_penalty = 0; }),
       "qaf::CpAdmmOptions: first_penalty must be above 0 and finite, got 0"},
      {with([](auto& o) { o.last_penalty = 0.01; }),
       "qaf::CpAdmmOptions: last_penalty must be first_penalty or more and finite, got 0.01"},
      {with([](auto& o) { o.momentum = 1.5; }), "qaf::CpAdmmOptions: momentum must be from 0 to 1, got 1.5"},
      {with([](auto& o) { o.descent.max_iterations = 0; }),
       "qaf::CoordinateDescentOptions: max_iterations must be at least 1, got 0"},
      {with([](auto& o) { o.patience = 0; }), "qaf::CpAdmmOptions: patience must be at least 1, got 0"},
      {with([](auto& o) { o.start.max_iterations = 0; }),
       "qaf::CpAlsOptions: max_iterations must be at least 1, got 0"},
      {with([](auto& o) { o.start.noise = std::vector<double>{-1}; }),
       "qaf::CpAlsOptions: noise must be from 0 to 10000, got -1"}};
  for (const auto& bad : bad_options) {
    const auto& options = bad.first;  // a structured binding cannot be captured in C++17
    const std::string& sentence = bad.second;
    CHECK_ERROR(qaf::validate(options), sentence);
    CHECK_ERROR(qaf::cp_admm(tensor, 2, UniformQuantizer(), options), sentence);
    CHECK_ERROR(qaf::cp_admm(tensor, start, UniformQuantizer(), options), sentence);
  }

  CHECK_ERROR(qaf::cp_admm(tensor, support::random_model<TestType>({4, 2, 3}, 2), UniformQuantizer(), good),
              "qaf::cp_admm: the start must be a model of a tensor 4 x 3 x 2, got 4 x 2 x 3");
  CpModel<TestType> broken = start;
  broken.factors[0](1, 1) = std::numeric_limits<TestType>::infinity();
  CHECK_ERROR(qaf::cp_admm(tensor, broken, UniformQuantizer(), good),
              "qaf::cp_admm: every entry of the start must be finite, got NaN or infinity");

  tensor.data()[3] = std::numeric_limits<TestType>::quiet_NaN();
  const std::string sentence =
      "qaf::cp_admm: every entry of the tensor must be finite, got nan at position 3 in storage order";
  CHECK_ERROR(qaf::cp_admm(tensor, 2, UniformQuantizer(), good), sentence);
  CHECK_ERROR(qaf::cp_admm(tensor, start, UniformQuantizer(), good), sentence);
  CHECK_FALSE(started);

  tensor.data()[3] = 1;
  qaf::cp_admm(tensor, 2, UniformQuantizer(), good);
  CHECK(started);
}
