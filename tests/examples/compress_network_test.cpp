// Runs the program compress_network as a user does: a network in, a folder and two tables out.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <qaf/io/model_file.hpp>
#include <qaf/model_size.hpp>
#include <qaf/quantizers/any.hpp>

#include "support/catch.hpp"
#include "support/inference.hpp"
#include "support/markup.hpp"
#include "support/program_run.hpp"

namespace {

namespace fs = std::filesystem;
using qaf::Index;

using support::Folder;
using support::names_in;
using support::Run;
using support::run_shell;

const std::string program = std::string("\"") + QAF_COMPRESS_NETWORK + "\" ";

Run run(const std::string& arguments) { return run_shell(program + arguments + " 2>&1"); }

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The cells of the table's row that begins with `name`.
std::vector<std::string> row_of(const std::string& out, const std::string& name) {
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("| " + name + " ", 0) != 0) continue;
    std::vector<std::string> cells;
    std::istringstream parts(line.substr(1));
    for (std::string cell; std::getline(parts, cell, '|');) {
      cell.erase(0, cell.find_first_not_of(' '));
      cell.erase(cell.find_last_not_of(' ') + 1);
      cells.push_back(cell);
    }
    return cells;
  }
  FAIL("no row " << name << " in\n" << out);
  return {};
}

qaf::DenseTensor<float> random_tensor(const std::vector<Index>& sizes) {
  qaf::DenseTensor<float> tensor(sizes, qaf::StorageOrder::row_major);
  std::mt19937_64 engine(static_cast<unsigned>(tensor.size()));
  for (Index k = 0; k < tensor.size(); ++k) tensor.data()[k] = static_cast<float>(engine() >> 40) * 0x1p-23F - 1;
  return tensor;
}

// A network of a user's own: all kinds of layers, 3 channels.
void write_own_network(const Folder& folder) {
  const std::pair<const char*, std::vector<Index>> tensors[] = {{"first.weight", {8, 3, 3, 3}},
                                                                {"first.bias", {8}},
                                                                {"side.weight", {12, 8, 1, 1}},
                                                                {"main.weight", {12, 8, 3, 3}},
                                                                {"group.weight", {12, 6, 3, 3}},
                                                                {"out.weight", {5, 12}},
                                                                {"out.bias", {5}}};
  std::vector<qaf::NamedTensor> named;
  for (const auto& [name, sizes] : tensors) named.emplace_back(name, random_tensor(sizes));
  qaf::write_safetensors(folder / "own.safetensors", named);
  std::ofstream(folder / "own.txt") << "input channels 3 means 0.5 0.5 0.5 deviations 1 1 1\n"
                                       "convolution first padding 1\nrelu\nmax_pool size 2\nsave block\n"
                                       "convolution main padding 1\non block convolution side\nadd block\nrelu\n"
                                       "convolution group padding 1 groups 2\nmean_of_pixels\nlinear out\n";
  qaf::DenseTensor<std::uint8_t> images({6, 3, 8, 8}, qaf::StorageOrder::row_major);
  std::mt19937_64 engine(5);
  for (Index k = 0; k < images.size(); ++k) images.data()[k] = static_cast<std::uint8_t>(engine() >> 56);
  qaf::write_npy(folder / "images.npy", images);
}

std::string own(const Folder& folder) {
  return "--network " + (folder / "own.safetensors") + " --description " + (folder / "own.txt") + " ";
}

}  // namespace

TEST_CASE("compress_network: what it prints of the bundled network is what its files hold", "[compress_network]") {
  const Folder folder("qaf-compress-network");
  const Run result = run("--effort quick --output " + (folder / "out"));
  INFO(result.out);
  REQUIRE(result.exit_code == 0);
  CHECK(result.out.find('\r') == std::string::npos);  // no progress where nobody looks
  CHECK(names_in(folder / "out") == std::vector<std::string>{"layer.conv2.safetensors", "layer.conv3.safetensors",
                                                             "layer.conv4.safetensors", "layer.conv5.safetensors",
                                                             "layer.conv6.safetensors", "model.safetensors", "plan.txt",
                                                             "report.html", "settings.json"});

  // A network from the one file alone.
  const std::string file = folder / "out/model.safetensors";
  Network original = read_network(QAF_EXAMPLE_DATA "/network"), network = original;
  for (const qaf::SafetensorsEntry& entry : qaf::list_safetensors(file))
    if (network.parameters.count(entry.name) > 0)
      network.parameters[entry.name] = qaf::read_safetensors<float>(file, entry.name);
  double bytes = 0;
  for (const char* name : {"conv2", "conv3", "conv4", "conv5", "conv6"}) {
    INFO(name);
    const auto model = qaf::read_quantized_model<float, qaf::AnyQuantizer>(file, std::string(name) + ".");
    const auto weights = factored_weights(original, name);
    const auto cells = row_of(result.out, name);
    CHECK(std::stod(cells[2]) == static_cast<double>(model.rank()));
    CHECK(std::stod(cells[5]) == Approx(model_size(model).bytes() / 1024).margin(0.051));
    CHECK(std::stod(cells[6]) == Approx(relative_error(weights, model)).margin(0.00011));
    CHECK(std::stod(cells[7]) < std::stod(cells[6]));  // the error of outputs is what was minimized
    bytes += model_size(model).bytes();
    replace_weights(network, name, reconstruct(decode(model), qaf::StorageOrder::row_major));
  }
  CHECK(std::stod(row_of(result.out, "all")[5]) == Approx(bytes / 1024).margin(0.051));

  const auto images = read_images(QAF_EXAMPLE_DATA "/test_images.npy");
  const auto labels = read_labels(QAF_EXAMPLE_DATA "/test_labels.npy", images.dimensions()[0]);
  const auto unchanged = classes_of(logits(original, images)), classes = classes_of(logits(network, images));
  const auto as_it_was = row_of(result.out, "as it was"), moved = row_of(result.out, "compressed, batch norms moved");
  CHECK(std::stod(as_it_was[1]) == Approx(percent_equal(unchanged, labels)).margin(0.006));
  CHECK(std::stod(moved[1]) == Approx(percent_equal(classes, labels)).margin(0.11));  // an image on the border
  CHECK(std::stod(moved[2]) == Approx(percent_equal(classes, unchanged)).margin(0.11));
  CHECK(std::stod(moved[2]) > 90);
  CHECK(std::stod(row_of(result.out, "the same on 8-bit activations")[2]) > 90);

  const std::string report = text_of(folder / "out/report.html");
  CHECK(support::flaw_of_markup(report).empty());
  for (const char* reference : {" src=\"", " href=\"", "url(", "@import", "<script", "<link"})
    CHECK(report.find(reference) == std::string::npos);
  CHECK(report.find(moved[2] + " %") != std::string::npos);
}

TEST_CASE("compress_network: an interrupted run leaves whole files, and the next one goes on", "[compress_network]") {
  const Folder folder("qaf-compress-network");
  const std::string output = folder / "out";
  // Without images: what is tested is the folder. The longest layer comes first.
  const std::string settings = "--network " QAF_EXAMPLE_DATA "/network --layers conv2,conv3,conv4 --jobs 1";
  const std::string arguments = settings + " --bits 3 --output ";
  // Interrupted as soon as a layer is there; shells ignore SIGINT for what runs in the background, the program does
  // not.
  const Run first =
      run_shell(program + arguments + output + " >" + (folder / "log") + " 2>&1 & pid=$!; n=0; while [ ! -e " + output +
                "/layer.conv4.safetensors ] && [ $n -lt 3000 ]; do sleep 0.01; n=$((n+1)); done; " +
                "kill -INT $pid; wait $pid; echo ended with $?");
  CHECK(first.out.find("ended with 1") != std::string::npos);
  const std::string log = text_of(folder / "log");
  INFO(log);
  CHECK(log.find("compress_network: interrupted; ") == 0);
  CHECK(log.find(" of 3 layers are finished in " + output + ", the same command goes on from there\n") !=
        std::string::npos);
  const std::vector<std::string> left = names_in(output);
  CHECK(left.size() >= 3);
  CHECK(left.size() < 5);
  for (const std::string& name : left) {
    INFO(name);
    CHECK(name.find(".partial") == std::string::npos);
    if (name.rfind("layer.", 0) == 0) CHECK(qaf::list_quantized_models(output + "/" + name).size() == 1);
  }
  const auto finished = fs::last_write_time(output + "/layer.conv4.safetensors");

  const Run other = run(settings + " --bits 4 --output " + output);
  CHECK(other.exit_code == 1);
  CHECK(other.out == "compress_network: " + output +
                         ": the folder holds the work of other settings: bits was 3, now it is 4; choose another "
                         "--output\n");

  REQUIRE(run(arguments + output).exit_code == 0);
  CHECK(fs::last_write_time(output + "/layer.conv4.safetensors") == finished);
  REQUIRE(run(arguments + (folder / "whole")).exit_code == 0);
  CHECK(names_in(output) == names_in(folder / "whole"));
  CHECK(text_of(output + "/model.safetensors") == text_of(folder / "whole/model.safetensors"));
}

TEST_CASE("compress_network: every kind of layer of a user's own network", "[compress_network]") {
  const Folder folder("qaf-compress-network");
  write_own_network(folder);
  const Run result = run(own(folder) + "--layers all --bits 8 --reduction 1 --effort quick --calibration " +
                         (folder / "images.npy") + " --output " + (folder / "out"));
  INFO(result.out);
  REQUIRE(result.exit_code == 0);
  for (const char* layer : {"first", "main", "side", "out"}) CHECK(row_of(result.out, layer)[1] == "factored");
  CHECK(result.out.find("| group") == std::string::npos);
  CHECK(result.out.find("top-1") == std::string::npos);  // there are no labels
  const std::string file = folder / "out/model.safetensors";
  CHECK(qaf::list_quantized_models(file) == std::vector<std::string>{"first.", "main.", "out.", "side."});
  std::vector<std::string> others;
  for (const qaf::SafetensorsEntry& entry : qaf::list_safetensors(file))
    if (entry.name.find("factor") == std::string::npos && entry.name.find("weights") == std::string::npos)
      others.push_back(entry.name);
  std::sort(others.begin(), others.end());
  CHECK(others == std::vector<std::string>{"first.bias", "group.weight", "out.bias"});
}

TEST_CASE("compress_network: a budget is kept, and its plan may be edited", "[compress_network]") {
  const Folder folder("qaf-compress-network");
  write_own_network(folder);
  const std::string calibration = "--calibration " + (folder / "images.npy") + " --output ";
  const Run result = run(own(folder) + "--layers main,out --budget 3 " + calibration + (folder / "out"));
  INFO(result.out);
  REQUIRE(result.exit_code == 0);
  const double weights = 12 * 8 * 9 + 5 * 12;
  CHECK(std::stod(row_of(result.out, "all")[5]) <= 3 * weights / 8192 + 0.05);

  const std::string text = text_of(folder / "out/plan.txt");
  std::string plan;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name, form, rank, bits, rest;
    words >> name >> form >> rank >> bits;
    std::getline(words, rest);
    if (name == "main") line = "main factored 7 5" + rest;
    if (name == "out") line = "out direct - 6" + rest;
    plan += line + "\n";
  }
  std::ofstream(folder / "plan.txt") << plan;
  const Run edited = run(own(folder) + "--plan " + (folder / "plan.txt") + " " + calibration + (folder / "edited"));
  INFO(edited.out);
  REQUIRE(edited.exit_code == 0);
  const auto main = row_of(edited.out, "main"), out = row_of(edited.out, "out");
  CHECK((main[1] == "factored" && main[2] == "7" && main[3] == "5"));
  CHECK((out[1] == "direct" && out[2] == "-" && out[3] == "6"));
  CHECK(std::stod(out[6]) < 0.05);
}

TEST_CASE("compress_network: every quantizer, with and without a budget", "[compress_network]") {
  const Folder folder("qaf-compress-network");
  write_own_network(folder);
  for (const std::string& name : qaf::quantizer_names()) {
    for (const char* amount : {"", " --budget 8"}) {
      const std::string output = folder / (name + amount);
      const Run result = run(own(folder) + "--layers main --effort quick --calibration none --quantizer " + name +
                             amount + " --output \"" + output + "\"");
      INFO(name << amount << "\n" << result.out);
      REQUIRE(result.exit_code == 0);
      CHECK(std::stod(row_of(result.out, "main")[6]) < 1);
    }
  }
}

TEST_CASE("compress_network: a folder whose plan or layers are no longer its own is refused", "[compress_network]") {
  const Folder folder("qaf-compress-network");
  write_own_network(folder);
  const std::string output = folder / "out", plan_path = output + "/plan.txt";
  const std::string command = own(folder) + "--layers main,out --effort quick --calibration none --output " + output;
  REQUIRE(run(command).exit_code == 0);
  const std::string plan = text_of(plan_path), model = text_of(output + "/model.safetensors");
  const auto refused = [&](const std::string& words) {
    const Run result = run(command);
    INFO(result.out);
    CHECK(result.exit_code == 1);
    CHECK(result.out.find(words) != std::string::npos);
    CHECK(std::count(result.out.begin(), result.out.end(), '\n') == 1);
    CHECK(text_of(output + "/model.safetensors") == model);
  };
  // The line of `main`, otherwise; nothing for none.
  const auto edit = [&](const std::string& begin) {
    std::ofstream file(plan_path);
    std::istringstream lines(plan);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string name, form, rank, bits, rest;
      words >> name >> form >> rank >> bits;
      std::getline(words, rest);
      if (name != "main")
        file << line << "\n";
      else if (!begin.empty())
        file << begin << rest << "\n";
    }
  };
  edit("main factored 3 4");
  refused("factored 12 x 8 x 9 of rank 3 with codes of 4 bits; give an edited plan with --plan and another --output");
  edit("main factored 14 5");
  refused("of rank 14 with codes of 5 bits; give");
  edit("main direct - 4");
  refused("says direct 12 x 72 with codes of 4 bits; give");
  edit("main original - 32");
  refused("says left as it is; give");
  edit("");
  refused(plan_path + ": must hold the layers main, out, got out; give an edited plan with --plan");
  std::ofstream(plan_path) << plan;
  CHECK(run(command).exit_code == 0);
  fs::copy_file(output + "/layer.main.safetensors", output + "/layer.out.safetensors",
                fs::copy_options::overwrite_existing);
  refused("layer.out.safetensors: holds a layer factored 12 x 8 x 9 of rank");
}

TEST_CASE("compress_network: a layer of zeros is compressed without an error", "[compress_network]") {
  const Folder folder("qaf-compress-network");
  write_own_network(folder);
  qaf::DenseTensor<float> zeros({5, 12}, qaf::StorageOrder::row_major);
  std::fill_n(zeros.data(), zeros.size(), 0.0F);
  const auto parameters = read_parameters(folder / "own.safetensors");  // the named tensors below are views
  std::vector<qaf::NamedTensor> tensors{{"out.weight", zeros}};
  for (const auto& [name, tensor] : parameters)
    if (name != "out.weight") tensors.emplace_back(name, tensor);
  qaf::write_safetensors(folder / "zeros.safetensors", tensors);
  const std::string network = "--network " + (folder / "zeros.safetensors") + " --description " + (folder / "own.txt");
  for (const std::string& calibration : {std::string("none"), folder / "images.npy"}) {
    const Run result = run(network + " --layers out --effort quick --calibration " + calibration + " --output " +
                           (folder / ("out" + std::to_string(calibration.size()))));
    INFO(result.out);
    REQUIRE(result.exit_code == 0);
    CHECK(std::stod(row_of(result.out, "out")[6]) == 0);
  }
}

TEST_CASE("compress_network: a signal ends a run whose layers are direct; a killed one leaves no obstacle",
          "[compress_network]") {
  const Folder folder("qaf-compress-network");
  write_own_network(folder);
  qaf::write_safetensors(folder / "large.safetensors", {{"first.weight", random_tensor({1000, 1})},
                                                        {"second.weight", random_tensor({2000, 1000})},
                                                        {"third.weight", random_tensor({1000, 2000})}});
  std::ofstream(folder / "large.txt") << "input channels 1 means 0 deviations 1\nmean_of_pixels\n"
                                         "linear first\nlinear second\nlinear third\n";
  const std::string columns = "layer form rank bits dimensions\n";
  std::ofstream(folder / "plan.txt") << "measure bits\nbudget 1\nbound 0\n\n" + columns +
                                            "second direct - 4 2000x1000\nthird direct - 4 1000x2000\n";
  const std::string command = program + "--network " + (folder / "large.safetensors") + " --description " +
                              (folder / "large.txt") + " --plan " + (folder / "plan.txt") +
                              " --calibration none --jobs 1 --output " + (folder / "out");
  REQUIRE(run_shell(command + " 2>&1").exit_code == 0);
  // Again, but that the first layer waits half written, in a pipe that no one reads, until the signal is there.
  for (const char* name : {"second", "third"}) fs::remove(folder / ("out/layer." + std::string(name) + ".safetensors"));
  const std::string pipe = folder / "out/layer.second.safetensors.partial";
  std::ofstream(folder / "run.sh") << "mkfifo " + pipe + "\n" + command + " >" + (folder / "log") +
                                          " 2>&1 &\npid=$!\nexec 3<" + pipe + "\nkill -INT $pid\n" +
                                          "cat <&3 >/dev/null\nwait $pid\necho ended with $?\n";
  const Run run_ended = run_shell("timeout 60 sh " + (folder / "run.sh") + " 2>&1");
  INFO(text_of(folder / "log"));
  CHECK(run_ended.out.find("ended with 1") != std::string::npos);
  CHECK(text_of(folder / "log").find("compress_network: interrupted; ") == 0);

  fs::create_directories(folder / "killed");
  std::ofstream(folder / "killed/settings.json.partial") << "{";
  const Run after = run(own(folder) + "--layers out --effort quick --calibration none --output " + (folder / "killed"));
  INFO(after.out);
  CHECK(after.exit_code == 0);
  CHECK(!fs::exists(folder / "killed/settings.json.partial"));
}

TEST_CASE("Parameters of all float types are read or refused, integers are left out", "[compress_network]") {
  const Folder folder("qaf-compress-network");
  const qaf::DenseTensor<float> single = random_tensor({2, 3});
  qaf::DenseTensor<double> wide({2, 3}, qaf::StorageOrder::row_major);
  std::copy_n(single.data(), 6, wide.data());
  qaf::DenseTensor<std::int64_t> counter({1}, qaf::StorageOrder::row_major);
  counter.data()[0] = 7;
  qaf::write_safetensors(folder / "file.safetensors",
                         {{"single", single}, {"wide", wide}, {"bn.num_batches_tracked", counter}});
  fs::create_directories(folder / "arrays");
  qaf::write_npy(folder / "arrays/single.npy", single);
  qaf::write_npy(folder / "arrays/wide.npy", with_storage_order(wide, qaf::StorageOrder::column_major));
  qaf::write_npy(folder / "arrays/bn.num_batches_tracked.npy", counter);
  for (const char* path : {"file.safetensors", "arrays"}) {
    const Parameters parameters = read_parameters(folder / path);
    REQUIRE(parameters.size() == 2);
    for (const char* name : {"single", "wide"})
      CHECK(std::equal(single.data(), single.data() + 6, parameters.at(name).data()));
  }
  std::string bytes = text_of(folder / "file.safetensors");
  const std::string i64 = "\"I64\",\"shape\":[1]", complex = "\"C64\",\"shape\":[1]";
  REQUIRE(bytes.find(i64) != std::string::npos);
  bytes.replace(bytes.find(i64), i64.size(), complex);
  std::ofstream(folder / "complex.safetensors", std::ios::binary) << bytes;
  CHECK_THROWS_WITH(read_parameters(folder / "complex.safetensors"),
                    (folder / "complex.safetensors") +
                        ": the parameter 'bn.num_batches_tracked' must be F64, F32, F16 or BF16, got C64");
}

TEST_CASE("compress_network: a budget of bit operations is of one size of images", "[compress_network]") {
  const Folder folder("qaf-compress-network");
  write_own_network(folder);
  qaf::write_npy(folder / "larger.npy", qaf::DenseTensor<std::uint8_t>({6, 3, 12, 8}, qaf::StorageOrder::row_major));
  qaf::DenseTensor<std::int64_t> labels({6}, qaf::StorageOrder::row_major);
  std::fill_n(labels.data(), 6, 0);
  qaf::write_npy(folder / "labels.npy", labels);
  const auto run_of = [&](const std::string& images) {
    return run(own(folder) + "--layers main --bops 10000000 --effort quick --calibration none --images " +
               (folder / images) + " --labels " + (folder / "labels.npy") + " --output " + (folder / "out"));
  };
  const Run first = run_of("images.npy");
  INFO(first.out);
  REQUIRE(first.exit_code == 0);
  CHECK(run_of("images.npy").exit_code == 0);
  CHECK(run_of("larger.npy").out.find("pixels of an image was [8,8], now it is [12,8]") != std::string::npos);
}

TEST_CASE("compress_network: layers quantized directly are what their description says", "[compress_network]") {
  const Folder folder("qaf-compress-network");
  write_own_network(folder);
  std::ofstream(folder / "plan.txt") << "measure bits\nbudget 1\nbound 0\n\nlayer form rank bits dimensions\n"
                                        "main direct - 8 12x8x9\nside original - 32 12x8\nout factored 3 8 5x12\n";
  const std::string output = folder / "out", file = output + "/model.safetensors";
  const Run result =
      run(own(folder) + "--effort quick --calibration none --plan " + (folder / "plan.txt") + " --output " + output);
  INFO(result.out);
  REQUIRE(result.exit_code == 0);
  const auto metadata = qaf::read_safetensors_metadata(file);
  const auto main = nlohmann::json::parse(metadata.at("qaf:main.")),
             out = nlohmann::json::parse(metadata.at("qaf:out."));
  CHECK(main["form"] == "direct");
  CHECK(main["shape"] == nlohmann::json({12, 8, 3, 3}));
  CHECK(main["equation"] == "X[r, ...] = weights[r] * factor0[:, r], its entries row-major over the rest of shape");
  CHECK(out["form"] == "factored");
  CHECK(out["shape"] == nlohmann::json({5, 12}));
  const auto layer =
      nlohmann::json::parse(qaf::read_safetensors_metadata(output + "/layer.main.safetensors").at("qaf:"));
  CHECK(layer == main);
  // The equation itself.
  const auto model = qaf::read_quantized_model<float, qaf::AnyQuantizer>(file, "main.");
  const qaf::Matrix<float> factor = qaf::decode<float>(model.factors[0]);
  const auto weights = read_parameters(folder / "own.safetensors").at("main.weight");
  for (Index r = 0; r < 12; ++r)
    for (Index k = 0; k < 72; ++k)
      CHECK(std::abs(model.weights[r] * factor(k, r) - weights.data()[r * 72 + k]) < 0.01F);
}

TEST_CASE("compress_network: only layers of at most 8 bits are tried on 8-bit activations", "[compress_network]") {
  const Folder folder("qaf-compress-network");
  const auto has_row = [&](const std::string& form_and_bits, const std::string& output) {
    std::ofstream(folder / "plan.txt") << "budget inf\nlayer form rank bits dimensions\nconv2 " << form_and_bits
                                       << " 32x16x9\n";
    const Run result = run("--plan " + (folder / "plan.txt") + " --effort quick --output " + (folder / output));
    INFO(result.out);
    REQUIRE(result.exit_code == 0);
    CHECK(result.out.find("| compressed, batch norms moved ") != std::string::npos);
    return result.out.find("| the same on 8-bit activations ") != std::string::npos;
  };
  CHECK(has_row("direct - 8", "direct"));
  CHECK(!has_row("direct - 9", "wide"));
  CHECK(!has_row("original - 32", "original"));
}

TEST_CASE("compress_network: what it cannot do it refuses with one sentence, and writes nothing",
          "[compress_network]") {
  const Folder folder("qaf-compress-network");
  write_own_network(folder);
  const auto write = [&](const char* name, const std::string& text) { std::ofstream(folder / name) << text; };
  const std::string description = text_of(folder / "own.txt");
  write("kind.txt", description + "dropout\n");
  write("name.txt", description + "linear missing\n");
  write("shape.txt", description + "linear out\n");
  write("pixels.txt", "input channels 3 means 0 0 0 deviations 1 1 1\nmax_pool size 8\nconvolution first\n");
  std::string bytes = text_of(folder / "own.safetensors");
  write("short.safetensors", bytes.substr(0, bytes.size() - 3));
  bytes[9] = 'x';  // behind the brace of the header
  write("corrupt.safetensors", bytes);
  write("plan.txt", "measure bits\nbudget 1\nbound 0\n\nlayer form rank bits dimensions\nconv2 factored 3 4 32x16x8\n");
  write("shared.txt",
        "input channels 1 means 0 deviations 1\nconvolution conv1 padding 1\nbatch_norm bn1\n"
        "batch_norm bn1\nmean_of_pixels\n");
  qaf::DenseTensor<std::int64_t> labels({6}, qaf::StorageOrder::row_major);
  std::iota(labels.data(), labels.data() + 6, 0);
  qaf::write_npy(folder / "labels.npy", labels);
  labels.data()[5] = -1;
  qaf::write_npy(folder / "below.npy", labels);
  fs::create_directories(folder / "latin");
  qaf::write_npy(folder / "latin/gr\xf6sse.npy", random_tensor({4}));
  for (const auto& [name, tensor] : read_parameters(QAF_EXAMPLE_DATA "/network"))
    qaf::write_npy(folder / ("latin/" + name + ".npy"), tensor);
  write("flat.txt", "input channels 3 means 0 0 0 deviations 1 1e-60 1\nconvolution first\n");
  write("loud.txt", "input channels 3 means 0 0 0 deviations 1 1e-30 1\nconvolution first padding 1\nmean_of_pixels\n");
  const std::string long_name(300, 'n');
  qaf::write_safetensors(folder / "long.safetensors",
                         std::vector<qaf::NamedTensor>{{long_name + ".weight", random_tensor({5, 12})}});
  write("long.txt", "input channels 12 means 0 0 0 0 0 0 0 0 0 0 0 0 deviations 1 1 1 1 1 1 1 1 1 1 1 1\nlinear " +
                        long_name + "\n");
  write("layerless.txt", "input channels 1 means 0 deviations 1\nrelu\n");
  fs::create_directories(folder / "full");
  write("full/letter.txt", "Dear");
  const std::string output = " --output " + (folder / "out");
  const std::string network = "--network " + (folder / "own.safetensors");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"--layers conv9" + output, "the network has no convolution or linear layer 'conv9'; it has conv1, conv2"},
      {"--layers conv2,conv2" + output, "--layers names conv2 twice"},
      {own(folder) + "--layers group" + output, "the convolution group has 2 groups"},
      {network + " --description " + (folder / "kind.txt") + output, "kind.txt:13: unsupported layer kind 'dropout'"},
      {network + " --description " + (folder / "name.txt") + output,
       "name.txt:13: " + (folder / "own.safetensors") + " has no parameter missing.weight"},
      {network + " --description " + (folder / "shape.txt") + output,
       "shape.txt:13: out.weight must be any x 5, got 5 x 12"},
      {network + output, "network.txt:4: " + (folder / "own.safetensors") + " has no parameter conv1.weight"},
      {network + " --description " + (folder / "pixels.txt") + " --calibration " + (folder / "images.npy") + output,
       "pixels.txt:3: qaf::output_size: a kernel over 3 rows"},
      {"--network " + (folder / "corrupt.safetensors") + output, "corrupt.safetensors: the header is not valid JSON"},
      {"--network " + (folder / "short.safetensors") + output, "the file has"},
      {"--network " + (folder / "missing") + output, "there is no such folder or file"},
      {"--network " + (folder / "full") + output, "has no float parameters"},
      {"--description " + (folder / "missing") + output, "missing: cannot be opened"},
      {"--description " + (folder / "layerless.txt") + output, "the network has no layers to factor"},
      {"--calibration " + (folder / "images.npy") + output,
       "the network needs images of 1 channels, got images of 6 x 3"},
      {"--calibration " QAF_EXAMPLE_DATA "/test_labels.npy" + output, "must hold images x channels x rows x columns"},
      {"--images " + (folder / "images.npy") + output, "--images and --labels belong together"},
      {"--images " + (folder / "images.npy") + " --labels " QAF_EXAMPLE_DATA "/test_labels.npy" + output,
       "must hold a label for each of the 6 images, got 1000"},
      {"--bits 0" + output, "--bits must be a whole number from 1 to 16"},
      {"--quantizer foo" + output, "name must be one of uniform"},
      {"--quantizer ternary --bits 4" + output, "codes of 'ternary' have 2 bits, got 4"},
      {"--reduction x" + output, "--reduction must be a number from 0.01 to 1000, got 'x'"},
      {"--budget 0.001" + output, "--budget must be a number from 0.01 to 32, got '0.001'"},
      {"--budget 2 --bops 5" + output, "--budget and --bops exclude each other"},
      {"--plan a --layers b" + output, "--plan and --layers exclude each other"},
      {"--plan " + (folder / "plan.txt") + output, "the layer conv2 must have dimensions 32 x 16 x 9, got 32 x 16 x 8"},
      {"--plan " + (folder / "missing") + output, "missing: cannot be opened"},
      {"foo" + output, "expected options only, got 'foo'"},
      {"--description " + (folder / "shared.txt") + output, "shared.txt:4: the batch norm bn1 runs more than once"},
      {own(folder) + "--images " + (folder / "images.npy") + " --labels " + (folder / "labels.npy") + output,
       "labels.npy: labels must be from 0 to 4, the classes of the network, got 5"},
      {own(folder) + "--images " + (folder / "images.npy") + " --labels " + (folder / "below.npy") + output,
       "below.npy: labels must be 0 or more, got -1"},
      {"--network " + (folder / "latin") + " --calibration none" + output,
       "the parameter 'gr?sse' must have a name in UTF-8"},
      {network + " --description " + (folder / "flat.txt") + output,
       "flat.txt:1: each of the 3 deviations must be a number above 0 in float32, got '1e-60'"},
      {network + " --description " + (folder / "loud.txt") + " --calibration " + (folder / "images.npy") + output,
       "loud.txt: the inputs of the layer first are too large: their squares overflow float32"},
      {"--network " + (folder / "long.safetensors") + " --description " + (folder / "long.txt") + " --layers all" +
           output,
       "cannot be stored in a file of its name, which is too long: 300 bytes"},
      {"--output " + (folder / std::string(300, 'x')), "cannot write to the output folder"},
      {"--jobs 0" + output, "--jobs must be a whole number from 1"},
      {"--batch-norms foo" + output, "--batch-norms must be move or keep"},
      {own(folder) + "--bops 100000" + output, "--bops needs --calibration or --images"},
      {"--calibration none --output " + (folder / "full"), "the folder holds something else"},
      {"--calibration none --output " + (folder / "own.txt"), "the output must be a folder, and is a file"},
      {"--calibration none --output /proc/qaf", "cannot write to the output folder /proc/qaf"},
      {"--output \"\"", "--output must not be empty"}};
  for (const auto& [arguments, words] : cases) {
    INFO(arguments);
    const Run result = run(arguments);
    INFO(result.out);
    CHECK(result.exit_code != 0);
    CHECK(result.out.find("compress_network: ") == 0);
    CHECK(result.out.find(words) != std::string::npos);
    CHECK(std::count(result.out.begin(), result.out.end(), '\n') == 1);
    CHECK(!fs::exists(folder / "out"));
  }
  CHECK(names_in(folder / "full") == std::vector<std::string>{"letter.txt"});
}

#ifdef __linux__
TEST_CASE("compress_network: a table that cannot be printed is told", "[compress_network]") {
  for (const char* arguments : {"--help", "--network missing --help"}) {
    const Run result = run_shell(program + arguments + " 2>&1 >/dev/full");
    CHECK(result.exit_code == 1);
    CHECK(result.out.find("compress_network: cannot write to the standard output: ") == 0);
  }
}
#endif
