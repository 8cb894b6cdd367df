// Codes against brute force over all of them.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <qaf/coordinate_descent.hpp>
#include <qaf/cp_admm.hpp>
#include <qaf/cp_als.hpp>
#include <qaf/fit_weights.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "support/catch.hpp"
#include "support/matrix_multiplication.hpp"
#include "support/random.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace {

using qaf::CpModel;
using qaf::DenseTensor;
using qaf::Index;
using qaf::Matrix;
using qaf::StorageOrder;
using qaf::Vector;
using support::Multiplication;
using support::strassen_codes;
using support::Tolerance;

using Model = qaf::QuantizedCpModel<double, qaf::UniformQuantizer>;

qaf::UniformQuantizer with_bits(int bits, qaf::Granularity granularity) {
  qaf::UniformQuantizer quantizer;
  quantizer.bits = bits;
  quantizer.granularity = granularity;
  return quantizer;
}

/// With all factors but one as they are, the squared error of row a of that one is `a K a^T - 2 a y^T` and what does
/// not depend on it. K and y are here those of the codes: scales and weights are multiplied in.
struct RowProblem {
  Matrix<double> k;  // R x R
  Vector<double> y;  // R

  double error(const Vector<double>& codes) const { return codes.dot(k * codes) - 2 * codes.dot(y); }
};

/// The problems of all rows of a factor, by the definitions.
std::vector<RowProblem> row_problems(const DenseTensor<double>& tensor, const Model& model, std::size_t mode) {
  const CpModel<double> decoded = qaf::decode(model);
  const Index rank = model.rank();
  Matrix<double> gram = Matrix<double>::Ones(rank, rank);
  for (std::size_t n = 0; n < decoded.factors.size(); ++n)
    if (n != mode) gram.array() *= (decoded.factors[n].transpose() * decoded.factors[n]).array();
  const Matrix<double> f = support::direct_mttkrp(tensor, decoded.factors, mode);
  std::vector<RowProblem> problems;
  for (Index i = 0; i < f.rows(); ++i) {
    const auto& [codes, parameters, quantizer] = model.factors[mode];
    // A row has a scale of its own, a column too, or all have the same.
    Vector<double> units = model.weights;
    for (Index r = 0; r < rank; ++r) {
      const bool is_of_row = quantizer.granularity == qaf::Granularity::row;
      const Index number = parameters.scales.size() == 1 ? 0 : is_of_row ? i : r;
      units[r] *= static_cast<double>(parameters.scales[number]);
    }
    problems.push_back({units.asDiagonal() * gram * units.asDiagonal(), units.cwiseProduct(f.row(i).transpose())});
  }
  return problems;
}

/// The least error of a row over all codes.
double least_error(const RowProblem& problem, int lowest, int highest) {
  const Index rank = problem.y.size();
  Vector<double> codes = Vector<double>::Constant(rank, lowest);
  double least = problem.error(codes);
  for (Index r = 0; r < rank;) {
    if (codes[r] < highest) {
      ++codes[r];
      least = std::min(least, problem.error(codes));
      r = 0;
    } else {
      codes[r++] = lowest;
    }
  }
  return least;
}

/// The least error of a row that differs in one code.
double least_error_nearby(const RowProblem& problem, Vector<double> codes, int lowest, int highest) {
  double least = problem.error(codes);
  for (Index r = 0; r < codes.size(); ++r) {
    const double own = codes[r];
    for (codes[r] = lowest; codes[r] <= highest; ++codes[r]) least = std::min(least, problem.error(codes));
    codes[r] = own;
  }
  return least;
}

/// The directions, without sign, that the codes of a column can point in, each as a column of norm 1.
Matrix<double> directions(Index length, int lowest, int highest) {
  std::vector<Vector<double>> found;
  Vector<double> codes = Vector<double>::Constant(length, lowest);
  for (Index r = 0; r < length;) {
    if (codes[r] < highest) {
      ++codes[r];
      r = 0;
      const double norm = codes.norm();
      const bool is_known = std::any_of(found.begin(), found.end(), [&](const Vector<double>& other) {
        return std::abs(std::abs(other.dot(codes)) - norm) < 1e-9;
      });
      if (norm > 0 && !is_known) found.emplace_back(codes / norm);
    } else {
      codes[r++] = lowest;
    }
  }
  Matrix<double> result(length, static_cast<Index>(found.size()));
  for (Index k = 0; k < result.cols(); ++k) result.col(k) = found[static_cast<std::size_t>(k)];
  return result;
}

/// The least relative errors of any models of one and of two components whose columns are codes, with the best real
/// weights: all rank-1 tensors and all pairs of them are tried.
std::array<double, 2> least_relative_errors(const DenseTensor<double>& tensor, int lowest, int highest) {
  struct Candidate {
    std::array<Index, 3> column;
    double inner;  // with the tensor
  };
  std::array<Matrix<double>, 3> columns, cosines;
  for (std::size_t n = 0; n < 3; ++n) {
    columns[n] = directions(tensor.dimensions()[n], lowest, highest);
    cosines[n] = columns[n].transpose() * columns[n];
  }
  std::vector<Candidate> candidates;
  for (Index a = 0; a < columns[0].cols(); ++a)
    for (Index b = 0; b < columns[1].cols(); ++b)
      for (Index c = 0; c < columns[2].cols(); ++c) {
        double inner = 0;
        support::for_each_index(tensor.dimensions(), [&](const std::vector<Index>& index) {
          inner += support::entry(tensor, index) * columns[0](index[0], a) * columns[1](index[1], b) *
                   columns[2](index[2], c);
        });
        candidates.push_back({{a, b, c}, inner});
      }
  double one = 0, two = 0;  // the most that they explain of the squared norm
  for (std::size_t p = 0; p < candidates.size(); ++p) {
    const Candidate& first = candidates[p];
    one = std::max(one, first.inner * first.inner);
    for (std::size_t q = 0; q < p; ++q) {
      const Candidate& second = candidates[q];
      const double cosine = cosines[0](first.column[0], second.column[0]) *
                            cosines[1](first.column[1], second.column[1]) *
                            cosines[2](first.column[2], second.column[2]);
      const double both =
          first.inner * first.inner + second.inner * second.inner - 2 * cosine * first.inner * second.inner;
      two = std::max(two, both / (1 - cosine * cosine));
    }
  }
  const double norm = support::direct_norm(tensor);
  return {std::sqrt(1 - one / (norm * norm)), std::sqrt(std::max(0.0, 1 - two / (norm * norm)))};
}

}  // namespace

TEST_CASE("Rows that coordinate descent ends with are locally the best, and most of them the best of all",
          "[integer_least_squares]") {
  qaf::CoordinateDescentOptions options;
  options.max_iterations = 500;
  options.tolerance = 0;
  for (const qaf::Granularity granularity :
       {qaf::Granularity::tensor, qaf::Granularity::component, qaf::Granularity::row}) {
    for (const int bits : {2, 3}) {
      for (Index rank = 1; rank <= 4; ++rank) {
        int best = 0, rows = 0;
        for (std::uint64_t seed = 0; seed < 10; ++seed) {
          CAPTURE(qaf::to_string(granularity), bits, rank, seed);
          const auto tensor = support::low_rank_tensor<double>({6, 5, 4}, 4, 0.3, seed, StorageOrder::column_major);
          const auto quantizer = with_bits(bits, granularity);
          Model model = qaf::quantize(qaf::cp_als(tensor, rank).model, quantizer);
          qaf::coordinate_descent(tensor, model, options);
          const double norm = support::direct_norm(tensor);
          for (std::size_t n = 0; n < 3; ++n) {
            const std::vector<RowProblem> problems = row_problems(tensor, model, n);
            for (std::size_t i = 0; i < problems.size(); ++i) {
              const Vector<double> codes = model.factors[n].codes.row(static_cast<Index>(i)).transpose().cast<double>();
              const double error = problems[i].error(codes);
              const double least = least_error(problems[i], quantizer.lowest(), quantizer.highest());
              const double rounding = 1e-9 * norm * norm;
              REQUIRE(error >= least - rounding);
              CHECK(error <=
                    least_error_nearby(problems[i], codes, quantizer.lowest(), quantizer.highest()) + rounding);
              best += error <= least + rounding ? 1 : 0;
              ++rows;
            }
          }
        }
        CAPTURE(qaf::to_string(granularity), bits, rank);
        if (rank == 1) CHECK(best == rows);  // with one code in a row local is global
        CHECK(best >= 0.85 * rows);          // measured: 0.89 or more
      }
    }
  }
}

TEST_CASE("ADMM is never better than brute force over all models, and often as good", "[integer_least_squares]") {
  struct Case {
    std::vector<Index> sizes;
    int bits;
    qaf::CodeRange range;
  };
  for (const auto& [sizes, bits, range] :
       {Case{{3, 3, 2}, 2, qaf::CodeRange::narrow}, Case{{3, 2, 2}, 2, qaf::CodeRange::full},
        Case{{2, 2, 2}, 3, qaf::CodeRange::full}}) {
    auto quantizer = with_bits(bits, qaf::Granularity::component);
    quantizer.range = range;
    std::array<int, 2> hits{};
    std::array<double, 2> excess{};
    constexpr int tensors = 20;
    for (std::uint64_t seed = 0; seed < tensors; ++seed) {
      CAPTURE(qaf::detail::shape_text(sizes), bits, seed);
      const auto tensor = support::random_tensor<double>(sizes, StorageOrder::column_major, seed);
      const std::array<double, 2> least = least_relative_errors(tensor, quantizer.lowest(), quantizer.highest());
      for (std::size_t k = 0; k < 2; ++k) {
        const double error = qaf::cp_admm(tensor, static_cast<Index>(k + 1), quantizer).relative_error;
        CHECK(error >= least[k] - 1e-6);
        if (error <= least[k] + 1e-6) ++hits[k];
        excess[k] += (error - least[k]) / tensors;
      }
    }
    CAPTURE(qaf::detail::shape_text(sizes), bits);
    CHECK(hits[0] >= 18);                    // measured: 19 or 20
    CHECK(hits[1] >= (bits == 3 ? 8 : 13));  // measured: 11, 16 and 18
    CHECK(excess[0] < 0.005);                // measured: 0.002 or less
    CHECK(excess[1] < 0.02);                 // measured: 0.010 or less
  }
}

TEST_CASE("Strassen's algorithm is a model of codes of 2 bits, without any error", "[integer_least_squares]") {
  const Multiplication product{2, 2, 2};
  const auto tensor = product.tensor<double>();
  qaf::UniformQuantizer quantizer;
  quantizer.bits = 2;
  quantizer.range = qaf::CodeRange::narrow;
  qaf::QuantizedCpModel<double, qaf::UniformQuantizer> model;
  for (const Matrix<std::int8_t>& codes : strassen_codes()) {
    model.factors.push_back({codes, {}, quantizer});
    model.factors.back().parameters.scales.setOnes(7);
    // A fit of the codes themselves finds the scales again.
    const Matrix<double> values = codes.cast<double>();
    CHECK(quantizer.fit(values).scales == model.factors.back().parameters.scales);
  }
  model.weights.setOnes(7);
  CHECK(qaf::relative_error(tensor, model) == 0);
  CHECK(product.error_of_algorithm(qaf::decode(model)) < Tolerance<double>::product);
  // From other weights the right ones are found, and there is nothing left to descend.
  model.weights *= 0.7;
  CHECK(qaf::fit_weights(tensor, model) < 1e-7);
  CHECK((model.weights.array() - 1).abs().maxCoeff() < 1e-12);
  qaf::coordinate_descent(tensor, model);
  CHECK(qaf::relative_error(tensor, model) < 1e-12);
  // One wrong code is found too.
  model.factors[1].codes(2, 3) = -1;
  CHECK(qaf::relative_error(tensor, model) > 0.5);
  qaf::coordinate_descent(tensor, model);
  CHECK(qaf::fit_weights(tensor, model) < 1e-7);
  CHECK(qaf::relative_error(tensor, model) < 1e-12);
}

TEST_CASE("ADMM finds ternary algorithms of seven products, and none of six", "[integer_least_squares]") {
  const Multiplication product{2, 2, 2};
  const auto tensor = product.tensor<double>();
  auto quantizer = with_bits(2, qaf::Granularity::component);
  quantizer.range = qaf::CodeRange::narrow;
  qaf::CpAdmmOptions options;
  // The tensor has no small components that noise might hide, and seven are only just enough.
  options.start.first_noise = 0.01;
  options.start_noise = 0.01;
  int exact = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    options.start.seed = 1000 * seed;
    CHECK(qaf::cp_admm(tensor, 6, quantizer, options).relative_error > 0.3);
    const auto found = qaf::cp_admm(tensor, 7, quantizer, options);
    if (found.relative_error >= 1e-5) continue;
    ++exact;
    CHECK(product.error_of_algorithm(qaf::decode(found.model)) < 1e-4);
  }
  CHECK(exact >= 3);  // measured: 10
}
