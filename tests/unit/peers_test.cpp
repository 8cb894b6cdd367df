// Other programs on the same tensors from the same starts; tests/data/peers/README.md says which.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <qaf/cp_als.hpp>
#include <qaf/initialize.hpp>
#include <qaf/io/npy.hpp>

#include "support/catch.hpp"
#include "support/reference.hpp"

namespace {

using qaf::CpModel;
using qaf::DenseTensor;
using qaf::Index;
using qaf::Matrix;

std::string path_of(const std::string& name) { return std::string(QAF_TEST_DATA) + "/peers/" + name; }

/// One figure a line.
std::vector<double> read_figures(const std::string& name) {
  std::ifstream file(path_of(name));
  std::vector<double> figures;
  for (double figure = 0; file >> figure;) figures.push_back(figure);
  CAPTURE(name);
  REQUIRE(figures.size() >= 10);
  REQUIRE(file.eof());
  return figures;
}

DenseTensor<double> read_tensor(const std::string& name) {
  return qaf::read_npy<double>(path_of(name + "_tensor.npy"));
}

/// The factors are stored one under the other.
CpModel<double> read_start(const std::string& name, const std::vector<Index>& dimensions) {
  const DenseTensor<double> stored = qaf::read_npy<double>(path_of(name + "_start.npy"));
  const Index rank = stored.dimensions()[1];
  CpModel<double> start;
  Index begin = 0;
  for (const Index length : dimensions) {
    Matrix<double> factor(length, rank);
    for (Index r = 0; r < rank; ++r)
      for (Index i = 0; i < length; ++i) factor(i, r) = support::entry(stored, {begin + i, r});
    start.factors.push_back(std::move(factor));
    begin += length;
  }
  REQUIRE(begin == stored.dimensions()[0]);
  start.weights.setOnes(rank);
  return start;
}

/// The relative error after every sweep. Where it no longer changes at all ALS ends: it is then repeated.
std::vector<double> errors_of_sweeps(const DenseTensor<double>& tensor, const CpModel<double>& start,
                                     std::size_t count) {
  qaf::CpAlsOptions options;
  options.max_iterations = static_cast<Index>(count);
  options.tolerance = 0;
  std::vector<double> errors = qaf::cp_als(tensor, start, options).history;
  errors.resize(count, errors.back());
  return errors;
}

std::vector<double> errors_of_sweeps(const std::string& tensor_name, const std::string& start_name, std::size_t count) {
  const DenseTensor<double> tensor = read_tensor(tensor_name);
  return errors_of_sweeps(tensor, read_start(start_name, tensor.dimensions()), count);
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t k = 0; k < a.size(); ++k) largest = std::max(largest, std::abs(a[k] - b[k]));
  return largest;
}

/// The fit that pyttb prints, 1 less the relative error, after a sweep counted from 0.
void check_fit(const std::vector<double>& errors, std::size_t sweep, double printed) {
  CAPTURE(sweep);
  CHECK(1 - errors.at(sweep) == Approx(printed).margin(0.51e-7).epsilon(0));
}

}  // namespace

TEST_CASE("The error of every sweep is that of TensorLy", "[peers]") {
  for (const std::string name : {"matrix", "order4", "order5", "many_components", "multiplication", "border_rank"}) {
    CAPTURE(name);
    const std::vector<double> figures = read_figures(name + "_tensorly.txt");
    CHECK(largest_difference(errors_of_sweeps(name, name, figures.size()), figures) < 1e-11);
  }
  const std::vector<double> figures = read_figures("uniform_seed1_tensorly.txt");
  CHECK(largest_difference(errors_of_sweeps("uniform", "uniform_seed1", figures.size()), figures) < 1e-13);
}

TEST_CASE("The fit of every sweep is the one in pyttb's tutorial", "[peers]") {
  for (const std::string start : {"uniform_seed0", "uniform_seed1"}) {
    CAPTURE(start);
    const std::vector<double> fits = read_figures(start + "_pyttb.txt");
    const std::vector<double> errors = errors_of_sweeps("uniform", start, fits.size());
    for (std::size_t k = 0; k < fits.size(); ++k) check_fit(errors, k, fits[k]);
  }
  // Printed with all digits, after ten sweeps.
  CHECK(1 - errors_of_sweeps("uniform", "uniform_seed0", 10).back() ==
        Approx(0.5368456335608366).margin(1e-14).epsilon(0));
}

TEST_CASE("From the eigenvectors of Gram matrices too the fits are those in pyttb's tutorial", "[peers]") {
  const auto tensor = read_tensor("uniform");
  const std::vector<double> errors = errors_of_sweeps(tensor, qaf::initialize_gram_eigenvectors(tensor, 3), 247);
  check_fit(errors, 0, 5.380727e-01);
  check_fit(errors, 9, 5.533586e-01);
  check_fit(errors, 100, 5.535944e-01);
  check_fit(errors, 200, 5.535946e-01);
  check_fit(errors, 246, 5.535946e-01);
  // With the modes in the order 1, 2, 0.
  DenseTensor<double> turned({8, 10, 6}, qaf::StorageOrder::column_major);
  support::for_each_index(turned.dimensions(), [&](const std::vector<Index>& index) {
    turned.data()[support::position(turned.dimensions(), turned.storage_order(), index)] =
        support::entry(tensor, {index[2], index[0], index[1]});
  });
  const std::vector<double> others = errors_of_sweeps(turned, qaf::initialize_gram_eigenvectors(turned, 3), 11);
  check_fit(others, 0, 5.435056e-01);
  check_fit(others, 10, 5.562656e-01);
}

TEST_CASE("Of a matrix's many models two sweeps reach the one that pyttb prints", "[peers]") {
  Matrix<double> first(2, 2), second(2, 2);
  first << 1, 2, 3, 4;
  second << 5, 6, 7, 8;
  const Matrix<double> matrix = first * Eigen::Vector2d(1, 2).asDiagonal() * second.transpose();
  CpModel<double> start{{Matrix<double>(2, 2), Matrix<double>(2, 2)}, qaf::Vector<double>::Ones(2)};
  // numpy.random.seed(1), then two times numpy.random.uniform(0, 1, (2, 2)).
  start.factors[0] << 0.417022004702574, 0.7203244934421581, 0.00011437481734488664, 0.30233257263183977;
  start.factors[1] << 0.14675589081711304, 0.0923385947687978, 0.1862602113776709, 0.34556072704304774;
  qaf::CpAlsOptions options;
  options.max_iterations = 2;
  const CpModel<double> model = qaf::cp_als(matrix, start, options).model;
  // The digits that are printed, without those after them.
  const auto truncated = [](double value) { return std::floor(1e4 * value) / 1e4; };
  CHECK(truncated(model.weights[0]) == Approx(108.4715));
  CHECK(truncated(model.weights[1]) == Approx(8.6114));
  Matrix<double> printed(4, 2);
  printed << 0.4187, 0.3989, 0.9080, 0.9169, 0.6188, 0.2581, 0.7854, 0.9661;
  for (Index r = 0; r < 2; ++r) {
    const double sign = model.factors[0](0, r) < 0 ? -1 : 1;
    for (Index i = 0; i < 2; ++i) {
      CHECK(truncated(sign * model.factors[0](i, r)) == Approx(printed(i, r)));
      CHECK(truncated(sign * model.factors[1](i, r)) == Approx(printed(2 + i, r)));
    }
  }
}
