#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include <qaf/plan/plan_text.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"

namespace {

using qaf::Form;
using qaf::Plan;

Plan sample_plan() {
  Plan plan;
  plan.measure = qaf::Measure::bops;
  plan.budget = 123456789;
  plan.bound = 0.1 + 0.2;  // all 17 digits
  qaf::PlannedLayer one;
  one.layer.name = "features.0.conv";
  one.layer.dimensions = {64, 32, 9};
  one.layer.input_pixels = 1024;
  one.layer.output_pixels = 256;
  one.layer.groups = 2;
  one.form = Form::factored;
  one.rank = 71;
  one.bits = 3;
  one.activation_bits = 6;
  one.weight = 1.0 / 3;
  one.relative_error = 0.25;
  plan.layers.push_back(one);
  one = {};
  one.layer.name = "linear";
  one.layer.dimensions = {10, 64};
  one.form = Form::direct;
  one.bits = 5;
  one.relative_error = 0.0312345;
  plan.layers.push_back(one);
  one.layer.name = "last";
  one.form = Form::original;
  one.bits = 32;
  one.relative_error = 0;
  plan.layers.push_back(one);
  qaf::update_costs(plan);
  return plan;
}

/// What is wrong with a line in the middle of a plan that is good without it.
std::string refusal(const std::string& line, const std::string& columns = "layer form rank bits dimensions") {
  return support::error_text([&] { qaf::parse_plan("budget inf\n" + columns + "\n\n" + line + "\n"); });
}

/// A file of this test, gone afterwards.
struct TemporaryFile {
  explicit TemporaryFile(const std::string& name) : path((std::filesystem::temp_directory_path() / name).string()) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { std::remove(path.c_str()); }
  std::string path;
};

}  // namespace

TEST_CASE("A plan comes back from its text", "[plan_text]") {
  const Plan plan = sample_plan();
  const std::string text = qaf::plan_text(plan);
  const Plan back = qaf::parse_plan(text);
  CHECK(qaf::plan_text(back) == text);
  CHECK(back.measure == plan.measure);
  CHECK(back.budget == plan.budget);
  CHECK(back.bound == plan.bound);
  CHECK(back.loss == plan.loss);
  CHECK(back.total == plan.total);
  CHECK(back.original == plan.original);
  REQUIRE(back.layers.size() == plan.layers.size());
  for (std::size_t k = 0; k < plan.layers.size(); ++k) {
    const qaf::PlannedLayer &a = back.layers[k], &b = plan.layers[k];
    CHECK(a.layer.name == b.layer.name);
    CHECK(a.layer.dimensions == b.layer.dimensions);
    CHECK(a.layer.input_pixels == b.layer.input_pixels);
    CHECK(a.layer.output_pixels == b.layer.output_pixels);
    CHECK(a.layer.groups == b.layer.groups);
    CHECK(a.form == b.form);
    CHECK(a.rank == b.rank);
    CHECK(a.bits == b.bits);
    CHECK(a.activation_bits == b.activation_bits);
    CHECK(a.weight == b.weight);
    CHECK(a.relative_error == b.relative_error);
    CHECK(a.cost == b.cost);
  }
}

TEST_CASE("A layer that an edit leaves as it is comes back in float32", "[plan_text]") {
  Plan plan = sample_plan();
  plan.layers[1].form = Form::original;  // its bits are still 5
  CHECK(qaf::parse_plan(qaf::plan_text(plan)).layers[1].bits == 32);
}

TEST_CASE("A name that could not be written is not read", "[plan_text]") {
  const std::string begin = "budget inf\nlayer form rank bits dimensions\n";
  CHECK_ERROR(qaf::parse_plan(begin + "a\001b factored 6 4 8x89"),
              "qaf::parse_plan: line 3: expected a layer's name without control characters, got 'a?b'");
  CHECK_NOTHROW(qaf::plan_text(qaf::parse_plan(begin + "a.b factored 6 4 8x89")));
}

TEST_CASE("A plan comes back from its file", "[plan_text]") {
  const TemporaryFile file("qaf_plan_text_test.txt");
  qaf::write_plan(file.path, sample_plan());
  CHECK(qaf::plan_text(qaf::read_plan(file.path)) == qaf::plan_text(sample_plan()));
}

TEST_CASE("Lines of a plan's text are of one width, with names of the columns", "[plan_text]") {
  const std::string text = qaf::plan_text(sample_plan());
  CHECK(text.rfind("measure bops\nbudget 123456789\nbound 0.30000000000000004\n\nlayer ", 0) == 0);
  const std::size_t table = text.find("layer ");
  const std::size_t width = text.find('\n', table) - table + 1;
  for (int line = 1; line <= 3; ++line) CHECK(text[table + static_cast<std::size_t>(line + 1) * width - 1] == '\n');
  for (const char* word : {"features.0.conv", "factored", " 71 ", "64x32x9", "# total: ", "# original: "})
    CHECK(text.find(word) != std::string::npos);
}

TEST_CASE("An edited text gives an edited plan, its costs computed anew", "[plan_text]") {
  const Plan plan = qaf::parse_plan(
      "budget 1e3\r\nbits dimensions layer rank form size_bits\r\n"
      "4 16x8x9 a 5 factored 1  # the size is not believed\r\n");
  REQUIRE(plan.layers.size() == 1);
  CHECK(plan.layers[0].rank == 5);
  CHECK(plan.layers[0].activation_bits == 8);
  CHECK(plan.layers[0].weight == 1);
  CHECK(plan.total == qaf::factored_cost(plan.layers[0].layer, 5, 4));
  const auto by_row = [](int bits) {
    qaf::UniformQuantizer quantizer;
    quantizer.bits = bits;
    quantizer.granularity = qaf::Granularity::row;
    return quantizer;
  };
  CHECK(qaf::parse_plan(qaf::plan_text(plan), by_row).total.bits == plan.total.bits + 32 * (16 + 8 + 9));
  CHECK(std::isinf(qaf::parse_plan("budget inf\nlayer form rank bits dimensions\na direct - 4 5x5").budget));
}

TEST_CASE("Each line that cannot be understood is told by its number", "[plan_text]") {
  const std::string begin = "qaf::parse_plan: line 4: expected ";
  CHECK(refusal("a factored 5 4 16x8x9").empty());
  CHECK(refusal("a factored 5 4") == begin + "5 words, one a column, got '4 words'");
  CHECK(refusal("a folded 5 4 16x8x9") == begin + "original, direct or factored, got 'folded'");
  CHECK(refusal("a factored 0 4 16x8x9") ==
        begin + "for the rank of a factored layer a whole number from 1 to 1152, got '0'");
  CHECK(refusal("a factored - 4 16x8x9") ==
        begin + "for the rank of a factored layer a whole number from 1 to 1152, got '-'");
  CHECK(refusal("a factored 1153 4 16x8x9") ==
        begin + "for the rank of a factored layer a whole number from 1 to 1152, got '1153'");
  CHECK(refusal("a direct 5 4 16x8x9") == begin + "- for the rank of a layer that is not factored, got '5'");
  CHECK(refusal("a original - 8 16x8x9") == begin + "32 bits for a layer left as it is, got '8'");
  CHECK(refusal("a factored 5 4.5 16x8x9") == begin + "for bits a whole number from 1 to 32, got '4.5'");
  CHECK(refusal("a factored 5 99999999999999999999 16x8x9") ==
        begin + "for bits a whole number from 1 to 32, got '99999999999999999999'");
  CHECK(refusal("a factored 5 4 16x8x3x3") == begin + "dimensions such as 64x64x9 or 10x64, got '16x8x3x3'");
  const std::string most =
      std::to_string(std::min<std::int64_t>(9007199254740991, std::numeric_limits<qaf::Index>::max()));
  CHECK(refusal("a factored 5 4 16x") ==
        begin + "for each of the dimensions a whole number from 1 to " + most + ", got ''");
  CHECK(refusal("a factored 5 4 " + most + "x2") ==
        begin + "dimensions of at most " + most + " weights, got '" + most + "x2'");
  CHECK(refusal("a factored 5 4 2x2\na factored 5 4 2x2") ==
        begin + "for the rank of a factored layer a whole number from 1 to 4, got '5'");
  CHECK(refusal("a direct - 4 2x2\na direct - 4 2x2") == "qaf::parse_plan: line 5: expected every layer once, got 'a'");
  const std::string more = "layer form rank bits dimensions groups weight error activation_bits";
  CHECK(refusal("a direct - 4 9x6 3 0.5 0.25 8", more).empty());
  CHECK(refusal("a direct - 4 9x6 2 0.5 0.25 8", more) == begin + "groups that divide the 9 outputs, got '2'");
  CHECK(refusal("a direct - 4 9x6 3 -0.5 0.25 8", more) == begin + "a weight, 0 or more, got '-0.5'");
  CHECK(refusal("a direct - 4 9x6 3 0.5 0.25x 8", more) == begin + "an error, 0 or more, got '0.25x'");
  CHECK(refusal("a direct - 4 9x6 3 0.5 nan 8", more) == begin + "an error, 0 or more, got 'nan'");
  CHECK(refusal("a direct - 4 9x6 3 0.5 0.25 33", more) ==
        begin + "for activation_bits a whole number from 1 to 32, got '33'");
}

TEST_CASE("Columns and settings that cannot be understood are told", "[plan_text]") {
  const auto text = [](const std::string& plan) { return support::error_text([&] { qaf::parse_plan(plan); }); };
  CHECK(text("") ==
        "qaf::parse_plan: line 1: expected a line that names the columns, such as 'layer form rank bits dimensions', "
        "got the end");
  CHECK(text("budget 1\nlayer form rank bits dimensions\n") ==
        "qaf::parse_plan: line 3: expected a line for at least one layer, got the end");
  CHECK(text("budget 1\nlayer form rank bits\n") ==
        "qaf::parse_plan: line 2: expected a column 'dimensions', got 'bits'");
  CHECK(text("budget 1\nlayer form rank bits dimensions rank\n") ==
        "qaf::parse_plan: line 2: expected every column once, got 'rank'");
  CHECK(text("budget 1\nlayer form rang bits dimensions\n") ==
        "qaf::parse_plan: line 2: expected names of columns (layer, form, rank, bits, activation_bits, dimensions, "
        "input_pixels, output_pixels, groups, weight, error, parameters, size_bits, macs, bops), got 'rang'");
  CHECK(text("\nmeasure bytes\n") == "qaf::parse_plan: line 2: expected parameters, bits, macs or bops, got 'bytes'");
  CHECK(text("budget much\n") == "qaf::parse_plan: line 1: expected a budget, 0 or more, got 'much'");
  CHECK(text("bound inf\n") == "qaf::parse_plan: line 1: expected a bound, 0 or more, got 'inf'");
  CHECK(text("# a plan\nmeasure bits\nlayer form rank bits dimensions\na direct - 4 2x2\n") ==
        "qaf::parse_plan: line 3: expected a line with the budget before the columns, got 'layer'");
  CHECK(text("budget 1\nmeasure bits\nbudget 2\n") == "qaf::parse_plan: line 3: expected budget once, got 'budget 2'");
  CHECK(text("bound 1\nbound 1\n") == "qaf::parse_plan: line 2: expected bound once, got 'bound 1'");
  CHECK(text("measure bits\nmeasure macs\n") == "qaf::parse_plan: line 2: expected measure once, got 'measure macs'");
  CHECK(text("bount 1\n") ==
        "qaf::parse_plan: line 1: expected measure, budget, bound or the names of the columns, got 'bount'");
}

TEST_CASE("A bad line of a file is told with its path and byte", "[plan_text]") {
  const TemporaryFile file("qaf_plan_text_test_bad.txt");
  std::ofstream(file.path) << "budget 9\nlayer form rank bits dimensions\na direct - 4 2x2\nb direct - four 2x2\n";
  try {
    qaf::read_plan(file.path);
    FAIL("nothing was thrown");
  } catch (const qaf::IoError& error) {
    CHECK(error.offset() == 58);
    CHECK(error.what() ==
          file.path + ": line 4: expected for bits a whole number from 1 to 32, got 'four' (at byte 58)");
  }
  CHECK_THROWS_AS(qaf::read_plan(file.path + ".none"), qaf::IoError);
  CHECK_THROWS_AS(qaf::write_plan(file.path + "/none", sample_plan()), qaf::IoError);
}

TEST_CASE("Names that are no words are told", "[plan_text]") {
  const auto refused = [](const std::string& name, const std::string& sentence) {
    Plan plan = sample_plan();
    plan.layers[0].layer.name = name;
    CHECK_ERROR(qaf::plan_text(plan), "qaf::plan_text: " + sentence);
  };
  const std::string word = "the name of a layer must be a word without spaces and '#', got '";
  refused("", word + "'");
  refused("conv 1", word + "conv 1'");
  refused("conv#1", word + "conv#1'");
  refused("conv\n1", word + "conv?1'");
  refused("linear", "layers must have different names, got 'linear' twice");
}

TEST_CASE("What a text could not give back is not written", "[plan_text]") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  const auto refused = [](const auto& change, const std::string& sentence) {
    Plan plan = sample_plan();
    change(plan);
    CHECK_ERROR(qaf::plan_text(plan), "qaf::" + sentence);
  };
  refused([](Plan& p) { p.layers.clear(); }, "plan_text: a plan must have at least one layer");
  refused([](Plan& p) { p.budget = -1; }, "plan_text: the budget must be 0 or more, got -1");
  refused([](Plan& p) { p.budget = nan; }, "plan_text: the budget must be 0 or more, got nan");
  refused([](Plan& p) { p.bound = infinity; }, "plan_text: the bound must be 0 or more and finite, got inf");
  const std::string of_first = " of layer 'features.0.conv' must be ";
  refused([](Plan& p) { p.layers[0].rank = 0; }, "plan_text: the rank" + of_first + "from 1 to 18432, got 0");
  refused([](Plan& p) { p.layers[0].rank = 18433; }, "plan_text: the rank" + of_first + "from 1 to 18432, got 18433");
  refused([](Plan& p) { p.layers[0].bits = 33; }, "plan_text: bits" + of_first + "from 1 to 32, got 33");
  refused([](Plan& p) { p.layers[0].activation_bits = 0; },
          "plan_text: activation_bits" + of_first + "from 1 to 32, got 0");
  refused([](Plan& p) { p.layers[0].weight = -0.5; },
          "plan_text: the weight" + of_first + "0 or more and finite, got -0.5");
  refused([](Plan& p) { p.layers[0].weight = infinity; },
          "plan_text: the weight" + of_first + "0 or more and finite, got inf");
  refused([](Plan& p) { p.layers[0].relative_error = nan; },
          "plan_text: the error" + of_first + "0 or more and finite, got nan");
  refused([](Plan& p) { p.layers[0].layer.output_pixels = qaf::Index{1} << 53; },
          "plan_text: output_pixels" + of_first + "from 1 to 9007199254740991, got 9007199254740992");
  refused([](Plan& p) { p.layers[0].layer.groups = 3; },
          "Layer: 'features.0.conv': groups must be 1 or more and divide the 64 outputs, got 3");
  refused(
      [](Plan& p) {
        p.layers[0].layer.dimensions = {qaf::Index{1} << 30, qaf::Index{1} << 23};
      },
      "plan_text: layer 'features.0.conv' must have at most 9007199254740991 weights, got 9.0072e+15");
}

TEST_CASE("At the ends of its ranges a plan comes back", "[plan_text]") {
  const auto kept = [](const auto& change) {
    Plan plan = sample_plan();
    change(plan);
    const std::string text = qaf::plan_text(plan);
    CHECK(qaf::plan_text(qaf::parse_plan(text)) == text);
  };
  const auto with_costs = [&](const auto& change) {
    kept([&](Plan& plan) {
      change(plan);
      qaf::update_costs(plan);
    });
  };
  kept([](Plan& p) { p.budget = std::numeric_limits<double>::infinity(); });
  kept([](Plan& p) { p.budget = p.bound = 0; });
  with_costs([](Plan& p) { p.layers[0].rank = 18432; });
  with_costs([](Plan& p) { p.layers[0].weight = std::numeric_limits<double>::max(); });
  with_costs([](Plan& p) { p.layers[0].weight = std::numeric_limits<double>::denorm_min(); });
  with_costs([](Plan& p) { p.layers[0].layer.output_pixels = (qaf::Index{1} << 53) - 1; });
  with_costs([](Plan& p) { p.layers[0].layer.dimensions = {qaf::Index{1} << 30, qaf::Index{1} << 22}; });
}
