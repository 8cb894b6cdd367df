// The report of a compression: a page that is whole, and tells what it was given.

#include "support/network_report.hpp"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/markup.hpp"

namespace {

using support::flaw_of_markup;

std::size_t count_of(const std::string& words, const std::string& text) {
  std::size_t count = 0;
  for (std::size_t k = text.find(words); k != std::string::npos; k = text.find(words, k + 1)) ++count;
  return count;
}

/// A layer of 6 x 4 x 9 weights at rank 3.
ReportedLayer layer_named(const std::string& name, qaf::Form form) {
  ReportedLayer layer;
  layer.planned.layer.name = name;
  layer.planned.layer.dimensions = {6, 4, 9};
  layer.planned.form = form;
  LayerFigures& figures = layer.compressed.figures;
  figures.relative_error = 0.1234;
  figures.bits = 1000;
  figures.status = "converged";
  if (form == qaf::Form::original) return layer;
  layer.planned.bits = 4;
  figures.history = {0.5, 0.25, 0.2};
  figures.errors_of_bits = {{2, 0.5}, {4, 0.2}};
  qaf::UniformQuantizer16 quantizer;
  quantizer.bits = 4;
  for (const qaf::Index size : {6, 4, 9}) {
    const qaf::Matrix<float> matrix = qaf::Matrix<float>::Random(size, 3);
    qaf::AnyQuantizer any;
    any.choice = quantizer;
    layer.compressed.model.factors.push_back(qaf::quantize(matrix, any));
  }
  layer.compressed.model.weights = qaf::Vector<float>::Ones(3);
  layer.planned.rank = 3;
  return layer;
}

NetworkReport small_report(const std::string& name) {
  NetworkReport report;
  report.network = name;
  report.settings = {{"a setting", name}};
  report.layers = {layer_named(name, qaf::Form::factored), layer_named("left", qaf::Form::original)};
  report.accuracies = {{"as it was", 90, 100}, {"compressed", 80.5, 85.25}};
  report.written_row = 1;
  report.images = 200;
  return report;
}

}  // namespace

TEST_CASE("The check of markup finds what is wrong", "[network_report]") {
  CHECK(flaw_of_markup("<!DOCTYPE html>\n<a b=\"1 > 0\"><c/>&amp;</a>").empty());
  for (const char* wrong :
       {"<a>", "</a>", "<a><b></a></b>", "<a b=1></a>", "a & b", "a < b", "a > b", "<a", "&nbsp;"}) {
    INFO(wrong);
    CHECK(!flaw_of_markup(wrong).empty());
  }
}

TEST_CASE("The report is one well-formed page without references, whatever names hold", "[network_report]") {
  const std::string nasty = "<script src=\"http://a\">&\"'\t</script>";
  for (const std::string& name : {std::string("plain"), nasty}) {
    const std::string text = report_text(small_report(name));
    CHECK(flaw_of_markup(text).empty());
    CHECK(text.find("<script") == std::string::npos);
    for (const char* reference : {" src=\"", " href=\"", "url(", "@import", "<link", "<img", "<iframe"})
      CHECK(text.find(reference) == std::string::npos);
  }
  const std::string text = report_text(small_report(nasty));
  CHECK(text.find("&lt;script src=&quot;http://a&quot;&gt;&amp;&quot;' &lt;/script&gt;") != std::string::npos);
}

TEST_CASE("The report has what it was given", "[network_report]") {
  const std::string text = report_text(small_report("conv7"));
  for (const char* words : {"0.1234", "90.00 %", "85.25 %", "80.5 %", "converged", "6 x 4 x 9", "on 200 labelled",
                            "Error against bits", "Convergence", "What was spent where", "a setting"})
    CHECK(text.find(words) != std::string::npos);
  CHECK(text.find("error of outputs") == std::string::npos);
  // Two plots, and a histogram for each factor.
  CHECK(count_of("<svg ", text) == 5);
  CHECK(count_of("class=\"histogram\"", text) == 3);
  NetworkReport report = small_report("conv7");
  report.has_output_errors = true;
  CHECK(report_text(report).find("error of outputs") != std::string::npos);
  report.accuracies.clear();
  report.layers = {layer_named("left", qaf::Form::original)};
  const std::string short_text = report_text(report);
  CHECK(flaw_of_markup(short_text).empty());
  CHECK(short_text.find("top-1") == std::string::npos);
  CHECK(count_of("<svg ", short_text) == 0);
}

TEST_CASE("A plot of many sweeps ends with the last one", "[network_report]") {
  for (const std::size_t sweeps : std::vector<std::size_t>{1, 399, 400, 401, 1000, 1201, 4000}) {
    NetworkReport report = small_report("conv");
    std::vector<double>& history = report.layers[0].compressed.figures.history;
    for (history.clear(); history.size() < sweeps;) history.push_back(1.0 / static_cast<double>(history.size() + 1));
    const Plot plot = network_report::convergence_plot(report);
    REQUIRE(plot.series.size() == 1);
    const auto& points = plot.series[0].points;
    CHECK(points.size() <= 400);
    CHECK(points.back() == std::pair<double, double>(static_cast<double>(sweeps), history.back()));
  }
}

TEST_CASE("A histogram counts every code once", "[network_report]") {
  qaf::UniformQuantizer16 quantizer;
  quantizer.bits = 12;
  qaf::QuantizedFactor<qaf::AnyQuantizer> factor;
  factor.codes.resize(200, 1);
  for (qaf::Index k = 0; k < 200; ++k) factor.codes(k, 0) = static_cast<std::int16_t>(k);
  const std::string text = network_report::factor_histogram(factor);
  // 200 codes in columns of 4, all as tall as can be.
  CHECK(count_of("<rect ", text) == 50);
  CHECK(count_of("height=\"56.00\"", text) == 50);
  CHECK(text.find(">0</text>") != std::string::npos);
  CHECK(text.find(">199</text>") != std::string::npos);
}
