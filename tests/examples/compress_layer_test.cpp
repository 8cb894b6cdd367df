// Runs the program compress_layer as a user does: a file in, files and one line of JSON out.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <qaf/cp_model.hpp>
#include <qaf/io/npy.hpp>
#include <qaf/quantizers/granularity.hpp>

#include "support/catch.hpp"
#include "support/program_run.hpp"
#include "support/tolerance.hpp"

namespace {

namespace fs = std::filesystem;

using support::Folder;
using support::names_in;
using support::Run;
using support::run_shell;

Run run(const std::string& arguments) {
  return run_shell(std::string("\"") + QAF_COMPRESS_LAYER + "\" " + arguments + " 2>&1");
}

// The number or text behind a key of a flat JSON object.
std::string json_value(const std::string& json, const std::string& key) {
  const std::string start = "\"" + key + "\": ";
  const std::size_t begin = json.find(start);
  REQUIRE(begin != std::string::npos);
  const std::size_t value = begin + start.size();
  return json.substr(value, json.find_first_of(",}", value) - value);
}

double json_number(const std::string& json, const std::string& key) { return std::stod(json_value(json, key)); }

template <typename Scalar>
qaf::DenseTensor<Scalar> weights(std::vector<qaf::Index> dimensions, qaf::StorageOrder order) {
  qaf::DenseTensor<Scalar> tensor(std::move(dimensions), qaf::StorageOrder::row_major);
  std::mt19937_64 engine(1);
  for (qaf::Index k = 0; k < tensor.size(); ++k)
    tensor.data()[k] = static_cast<Scalar>(static_cast<double>(engine() >> 40) * 0x1p-24 - 0.5);
  return with_storage_order(tensor, order);
}

// A factor from its files alone, by the rules in the README.
qaf::Matrix<double> factor_of_files(const std::string& name, qaf::Granularity granularity) {
  const auto codes = qaf::read_npy<double>(name + ".codes.npy");
  REQUIRE(codes.storage_order() == qaf::StorageOrder::column_major);
  const qaf::detail::Groups groups{granularity, 32, codes.dimensions()[0], codes.dimensions()[1]};
  const auto file = [&](const char* what) {
    const std::string path = name + "." + what + ".npy";
    std::vector<double> values;
    if (!fs::exists(path)) return values;
    const auto tensor = qaf::read_npy<double>(path);
    values.assign(tensor.data(), tensor.data() + tensor.size());
    return values;
  };
  const std::vector<double> scales = file("scales"), zero_points = file("zero_points"), levels = file("levels");
  qaf::Matrix<double> factor(groups.rows, groups.cols);
  for (qaf::Index r = 0; r < groups.cols; ++r) {
    for (qaf::Index i = 0; i < groups.rows; ++i) {
      const std::size_t group = static_cast<std::size_t>(groups.of(i, r));
      double value = codes.data()[i + r * groups.rows];
      if (!zero_points.empty()) value -= zero_points[group];
      if (!levels.empty()) {
        const std::size_t tables = scales.empty() ? static_cast<std::size_t>(groups.count()) : 1;
        const std::size_t table = scales.empty() ? group : 0;
        value = levels[table * (levels.size() / tables) + static_cast<std::size_t>(value)];
      }
      factor(i, r) = scales.empty() ? value : value * scales[group];
    }
  }
  return factor;
}

// The error of the model in the files.
double error_of_files(const qaf::DenseTensor<float>& tensor, const std::string& folder, qaf::Granularity granularity) {
  qaf::CpModel<double> model;
  qaf::DenseTensor<double> original(tensor.dimensions(), tensor.storage_order());
  for (qaf::Index k = 0; k < tensor.size(); ++k) original.data()[k] = static_cast<double>(tensor.data()[k]);
  for (qaf::Index mode = 0; mode < tensor.order(); ++mode)
    model.factors.push_back(factor_of_files(folder + "/factor" + std::to_string(mode), granularity));
  const auto lambda = qaf::read_npy<double>(folder + "/weights.npy");
  model.weights = Eigen::Map<const Eigen::VectorXd>(lambda.data(), lambda.size());
  return relative_error(original, model);
}

}  // namespace

TEST_CASE("The files that compress_layer writes hold the model whose error it prints", "[compress_layer]") {
  const Folder folder("qaf-compress-layer");
  const auto tensor = weights<float>({12, 8, 3, 3}, qaf::StorageOrder::row_major);
  qaf::write_npy(folder / "in.npy", tensor);
  auto factored = tensor;
  factored.reshape({12, 8, 9});
  struct Case {
    std::string arguments;
    qaf::Granularity granularity;
    qaf::NpyType codes;
    std::vector<std::string> parameters;
  };
  using qaf::Granularity;
  using qaf::NpyType;
  const std::vector<Case> cases = {
      {"--bits 4", Granularity::component, NpyType::int8, {"scales"}},
      {"--bits 3 --granularity tensor", Granularity::tensor, NpyType::int8, {"scales"}},
      {"--bits 8 --granularity row", Granularity::row, NpyType::int8, {"scales"}},
      {"--bits 8 --granularity block", Granularity::block, NpyType::int8, {"scales"}},
      {"--bits 12 --granularity component", Granularity::component, NpyType::int16, {"scales"}},
      {"--bits 4 --method als", Granularity::component, NpyType::int8, {"scales"}},
      {"--quantizer affine", Granularity::component, NpyType::uint8, {"scales", "zero_points"}},
      {"--quantizer power-of-two --bits 3", Granularity::component, NpyType::uint8, {"levels", "scales"}},
      {"--quantizer nf4 --granularity row", Granularity::row, NpyType::uint8, {"levels", "scales"}},
      {"--quantizer ternary", Granularity::component, NpyType::uint8, {"levels", "scales"}},
      {"--quantizer codebook --bits 2", Granularity::component, NpyType::uint8, {"levels"}}};
  for (const Case& c : cases) {
    INFO(c.arguments);
    const std::string output = folder / ("out" + std::to_string(&c - cases.data()));
    const Run result =
        run((folder / "in.npy") + " --rank 10 --effort quick --json --output " + output + " " + c.arguments);
    REQUIRE(result.exit_code == 0);
    CHECK(json_number(result.out, "relative_error") ==
          Approx(error_of_files(factored, output, c.granularity)).epsilon(1e-5));
    CHECK(qaf::read_npy_header(output + "/factor1.codes.npy").type == c.codes);
    std::vector<std::string> expected = {"weights.npy"};
    for (const char* factor : {"factor0", "factor1", "factor2"}) {
      expected.push_back(std::string(factor) + ".codes.npy");
      for (const std::string& parameter : c.parameters)
        expected.push_back(std::string(factor) + "." + parameter + ".npy");
    }
    std::sort(expected.begin(), expected.end());
    CHECK(names_in(output) == expected);
  }
}

TEST_CASE("A model replaces all files of an earlier one, and no others", "[compress_layer]") {
  const Folder folder("qaf-compress-layer");
  qaf::write_npy(folder / "in.npy", weights<float>({6, 5}, qaf::StorageOrder::row_major));
  const std::string output = folder / "out";
  const std::string arguments = (folder / "in.npy") + " --rank 3 --effort quick --json --output " + output;
  REQUIRE(run(arguments).exit_code == 0);
  qaf::write_npy(output + "/factors.npy", Eigen::MatrixXf::Ones(2, 2).eval());
  REQUIRE(run(arguments + " --quantizer codebook").exit_code == 0);
  CHECK(names_in(output) == std::vector<std::string>{"factor0.codes.npy", "factor0.levels.npy", "factor1.codes.npy",
                                                     "factor1.levels.npy", "factors.npy", "weights.npy"});
}

TEST_CASE("compress_layer --json prints one line with every promised key", "[compress_layer]") {
  const Folder folder("qaf-compress-layer");
  qaf::write_npy(folder / "in.npy", weights<float>({6, 5, 4}, qaf::StorageOrder::column_major));
  const Run result = run((folder / "in.npy") + " --rank 4 --bits 4 --json --seed 3");
  REQUIRE(result.exit_code == 0);
  CHECK(std::count(result.out.begin(), result.out.end(), '\n') == 1);
  CHECK(result.out.front() == '{');
  CHECK(result.out.substr(result.out.size() - 2) == "}\n");
  const double error = json_number(result.out, "relative_error");
  const double float_error = json_number(result.out, "float_relative_error");
  CHECK(float_error > 0);
  CHECK(float_error < error);
  CHECK(error < 1);
  CHECK(json_number(result.out, "seconds") >= 0);
  CHECK(json_number(result.out, "iterations") >= 1);
  CHECK(json_number(result.out, "seed") == 3);
  CHECK(json_value(result.out, "status").size() > 4);
  CHECK(json_value(result.out, "quantizer") == "\"uniform\"");
  CHECK(json_number(result.out, "bytes") == (4 * 4 * (6 + 5 + 4) + 4 * 32) / 8.0);
}

TEST_CASE("compress_layer gives the same answer for either storage order and the same seed", "[compress_layer]") {
  const Folder folder("qaf-compress-layer");
  qaf::write_npy(folder / "c.npy", weights<double>({6, 5, 3, 2}, qaf::StorageOrder::row_major));
  qaf::write_npy(folder / "f.npy", weights<double>({6, 5, 3, 2}, qaf::StorageOrder::column_major));
  const std::string options = " --rank 12 --bits 4 --json";
  const std::string c = run((folder / "c.npy") + options).out;
  CHECK(json_value(c, "relative_error") == json_value(run((folder / "f.npy") + options).out, "relative_error"));
  CHECK(json_value(c, "relative_error") == json_value(run((folder / "c.npy") + options).out, "relative_error"));
  CHECK(json_value(c, "relative_error") !=
        json_value(run((folder / "c.npy") + options + " --seed 1").out, "relative_error"));
}

TEST_CASE("compress_layer without arguments prints a table of the bundled input, and no progress in a pipe",
          "[compress_layer]") {
  const Run result = run("");
  REQUIRE(result.exit_code == 0);
  for (const char* words : {"conv5", "float CP-ALS", "CP-ALS, then quantized", "quantization-aware"})
    CHECK(result.out.find(words) != std::string::npos);
  CHECK(result.out.find('\r') == std::string::npos);
  CHECK(result.out.find('\033') == std::string::npos);
}

TEST_CASE("compress_layer refuses what it cannot do with one sentence and leaves no file", "[compress_layer]") {
  const Folder folder("qaf-compress-layer");
  const std::string good = folder / "in.npy";
  qaf::write_npy(good, weights<float>({6, 5, 4}, qaf::StorageOrder::row_major));
  qaf::write_npy(folder / "integers.npy", Eigen::MatrixXi::Ones(3, 4).eval());
  qaf::write_npy(folder / "vector.npy", Eigen::VectorXf::Ones(3).eval());
  qaf::write_npy(folder / "empty.npy", Eigen::MatrixXf(3, 0));
  Eigen::MatrixXf broken = Eigen::MatrixXf::Ones(3, 4);
  broken(1, 2) = std::numeric_limits<float>::quiet_NaN();
  qaf::write_npy(folder / "nan.npy", broken);
  broken(1, 2) = std::numeric_limits<float>::infinity();
  qaf::write_npy(folder / "infinity.npy", broken);
  fs::copy_file(good, folder / "short.npy");
  fs::resize_file(folder / "short.npy", fs::file_size(good) - 1);
  std::ofstream(folder / "file") << "in the way";

  const std::string output = " --json --output " + (folder / "out");
  struct Case {
    std::string arguments, words;
  };
  const std::vector<Case> cases = {
      {good + " --rank 0", "--rank must be a whole number from 1"},
      {good + " --rank 2.5", "got '2.5'"},
      {good + " --bits 0", "--bits must be a whole number from 1 to 16, got '0'"},
      {good + " --quantizer foo",
       "name must be one of uniform, affine, power-of-two, additive-power-of-two, ternary, "
       "binary, nf4, codebook, got 'foo'"},
      {good + " --quantizer ternary --bits 4", "codes of 'ternary' have 2 bits, got 4"},
      {good + " --quantizer codebook --granularity row", "granularity must be tensor or component, got row"},
      {good + " --bits 17", "got '17'"},
      {good + " --method foo", "--method must be admm or als, got 'foo'"},
      {good + " --granularity foo", "--granularity must be component, tensor, row or block, got 'foo'"},
      {good + " --seed -1", "--seed must be"},
      {good + " --colour", "unknown option '--colour'"},
      {good + " --bits 4 --bits 4", "--bits is given twice"},
      {good + " --rank", "--rank needs a value"},
      {good + " " + good, "at most 1 file"},
      {folder / "missing.npy", "cannot be opened"},
      {folder / "short.npy", "is truncated"},
      {folder / "file", "is not a .npy file"},
      {folder / "integers.npy", "must be float32 or float64, got int32"},
      {folder / "vector.npy", "at least 2 modes"},
      {folder / "empty.npy", "dimensions must be 1 or more, got 3 x 0"},
      {folder / "nan.npy", "must be finite, got nan"},
      {folder / "infinity.npy", "must be finite, got inf"},
  };
  for (const Case& c : cases) {
    INFO(c.arguments);
    const Run result = run(c.arguments + output);
    INFO(result.out);
    CHECK(result.exit_code != 0);
    CHECK(result.out.find("compress_layer: ") == 0);
    CHECK(result.out.find(c.words) != std::string::npos);
    CHECK(std::count(result.out.begin(), result.out.end(), '\n') == 1);
    CHECK((!fs::exists(folder / "out") || names_in(folder / "out").empty()));
  }
  for (const std::string& target : {folder / "file", std::string("/proc/qaf"), std::string("\"\"")}) {
    INFO(target);
    const Run result = run(good + " --rank 2 --output " + target);
    CHECK(result.exit_code != 0);
    CHECK(result.out.find("output") != std::string::npos);
    CHECK(std::count(result.out.begin(), result.out.end(), '\n') == 1);
  }
}

TEST_CASE("compress_layer --calibration minimizes the error that the given inputs see", "[compress_layer]") {
  const Folder folder("qaf-compress-layer");
  qaf::write_npy(folder / "layer.npy", weights<float>({8, 6, 9}, qaf::StorageOrder::row_major));
  // Inputs that are nearly all the same in every channel.
  qaf::Matrix<double> channels = qaf::Matrix<double>::Ones(6, 6) + 0.01 * qaf::Matrix<double>::Identity(6, 6);
  qaf::write_npy(folder / "input.channels.npy", channels);
  qaf::write_npy(folder / "input.positions.npy", qaf::Matrix<double>::Identity(9, 9).eval());
  const std::string layer = "\"" + (folder / "layer.npy") + "\" --rank 6 --json";
  const Run plain = run(layer);
  const Run weighted = run(layer + " --calibration \"" + (folder / "input") + "\"");
  REQUIRE(weighted.exit_code == 0);
  CHECK(json_value(plain.out, "weighted") == "false");
  CHECK(json_value(weighted.out, "weighted") == "true");
  // Most of the weights cannot be seen: what can is fitted far better.
  CHECK(json_number(weighted.out, "relative_error") < 0.7 * json_number(plain.out, "relative_error"));

  const Run missing = run(layer + " --calibration \"" + (folder / "other") + "\"");
  CHECK(missing.exit_code == 1);
  CHECK(missing.out.find("other.channels.npy: cannot be opened") != std::string::npos);
  qaf::write_npy(folder / "input.positions.npy", qaf::Matrix<double>::Identity(4, 4).eval());
  const Run other_size = run(layer + " --calibration \"" + (folder / "input") + "\"");
  CHECK(other_size.exit_code == 1);
  CHECK(other_size.out ==
        "compress_layer: qaf::weighted: metric 2 must be 9 x 1 importances, a 9 x 9 matrix or empty, "
        "got 4 x 4\n");
  CHECK(run(layer + " --effort slow").exit_code == 2);
}

#ifdef __linux__
TEST_CASE("compress_layer: results that cannot be printed are told", "[compress_layer]") {
  const Folder folder("qaf-compress-layer");
  qaf::write_npy(folder / "in.npy", weights<float>({6, 5, 4}, qaf::StorageOrder::row_major));
  const Run result =
      run_shell("\"" QAF_COMPRESS_LAYER "\" " + (folder / "in.npy") + " --json --rank 2 2>&1 >/dev/full");
  CHECK(result.exit_code == 1);
  CHECK(result.out.find("compress_layer: cannot write to the standard output: ") == 0);
  CHECK(std::count(result.out.begin(), result.out.end(), '\n') == 1);
}
#endif

TEST_CASE("compress_layer of zeros has error 0", "[compress_layer]") {
  const Folder folder("qaf-compress-layer");
  qaf::write_npy(folder / "zeros.npy", Eigen::MatrixXf::Zero(5, 4).eval());
  const Run result = run((folder / "zeros.npy") + " --rank 2 --json");
  REQUIRE(result.exit_code == 0);
  CHECK(json_number(result.out, "relative_error") == 0);
  CHECK(json_value(result.out, "status") == "\"converged\"");
}
