#pragma once

// What a compression of a network came to, as one page of HTML.

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <qaf/plan.hpp>

#include "compressed_layer.hpp"
#include "html.hpp"
#include "table.hpp"

/// How often a network is right, in percent.
struct AccuracyRow {
  std::string name;
  double top_1 = 0;
  double agreement = 0;  ///< with the network as it was
};

/// A layer in the report.
struct ReportedLayer {
  qaf::PlannedLayer planned;
  CompressedLayer compressed;
};

struct NetworkReport {
  std::string network;                                        ///< its file
  std::vector<std::pair<std::string, std::string>> settings;  ///< names and values
  std::vector<ReportedLayer> layers;
  std::vector<AccuracyRow> accuracies;  ///< the network as it was first; empty where there are no labelled images
  std::size_t written_row = 0;          ///< of these, the network that was written
  qaf::Index images = 0;                ///< over which they were measured
  bool has_output_errors = false;       ///< whether errors were weighed by the layers' inputs

  double bits() const {
    double sum = 0;
    for (const ReportedLayer& layer : layers) sum += layer.compressed.figures.bits;
    return sum;
  }
  double weights() const {
    double sum = 0;
    for (const ReportedLayer& layer : layers) sum += qaf::original_cost(layer.planned.layer).parameters;
    return sum;
  }
};

namespace network_report {

inline std::string kib(double bits) { return fixed(bits / 8192, 1) + " KiB"; }

/// "1.23 M".
inline std::string large(double value) {
  const std::pair<double, const char*> units[] = {{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}};
  for (const auto& [unit, name] : units)
    if (value >= unit) return svg::number(value / unit, "%.3g") + name;
  return svg::number(value, "%.3g");
}

inline std::string tile(const std::string& value, const std::string& what) {
  return html::element("div", "class=\"tile\"",
                       html::element("b", "", html::escaped(value)) + html::element("span", "", html::escaped(what)));
}

inline std::string tiles(const NetworkReport& report) {
  const double before = 32 * report.weights(), after = report.bits();
  std::string content =
      tile(kib(after), "of " + kib(before) + " in " + std::to_string(report.layers.size()) + " layers");
  content += tile(fixed(before / after, 1) + " times", "smaller than float32, those layers");
  content += tile(fixed(after / report.weights(), 2), "bits for each of their weights");
  if (!report.accuracies.empty()) {
    const AccuracyRow& row = report.accuracies[report.written_row];
    content += tile(fixed(row.top_1, 1) + " %", "top-1, " + fixed(report.accuracies.front().top_1, 1) + " % before");
    content += tile(fixed(row.agreement, 1) + " %", "of the images get the same class as before");
  }
  return html::element("div", "class=\"tiles\"", content);
}

inline std::string accuracy_section(const NetworkReport& report) {
  if (report.accuracies.empty()) return "";
  std::vector<std::vector<std::string>> rows;
  for (const AccuracyRow& one : report.accuracies) {
    const std::string kind = rows.empty() ? "before" : "after";
    rows.push_back({html::escaped(one.name), html::bar(one.top_1 / 100, kind, fixed(one.top_1, 2) + " %"),
                    html::bar(one.agreement / 100, kind, fixed(one.agreement, 2) + " %")});
  }
  return html::section(
      "Accuracy and agreement",
      html::paragraph("Top-1 on " + std::to_string(report.images) +
                      " labelled images, and the part of them that get the same class as from the network as it was.") +
          html::table({"network", "top-1", "agreement"}, rows));
}

inline std::string layer_section(const NetworkReport& report) {
  std::vector<std::string> header = {"layer", "weights", "form", "rank", "bits", "bits a weight", "error of weights"};
  if (report.has_output_errors) header.emplace_back("error of outputs");
  header.insert(header.end(), {"sweeps", "ended", "seconds"});
  std::vector<std::vector<std::string>> rows;
  for (const ReportedLayer& layer : report.layers) {
    const qaf::PlannedLayer& planned = layer.planned;
    const LayerFigures& figures = layer.compressed.figures;
    const double weights = qaf::original_cost(planned.layer).parameters;
    rows.push_back({html::escaped(planned.layer.name), qaf::detail::shape_text(planned.layer.dimensions),
                    to_string(planned.form), planned.rank > 0 ? std::to_string(planned.rank) : "",
                    std::to_string(planned.bits), fixed(figures.bits / weights, 2), fixed(figures.relative_error, 4)});
    if (report.has_output_errors) rows.back().push_back(fixed(figures.output_error, 4));
    rows.back().insert(rows.back().end(), {figures.sweeps > 0 ? std::to_string(figures.sweeps) : "",
                                           html::escaped(figures.status), fixed(figures.seconds, 2)});
  }
  const std::string outputs =
      report.has_output_errors
          ? " That of outputs counts an error as the layer's output sees it, for inputs as the calibration images give "
            "them; it is the one that was minimized."
          : "";
  return html::section("Layers", html::paragraph("Errors are relative: the norm of the difference by the norm of what "
                                                 "it differs from." +
                                                 outputs) +
                                     html::table(header, rows));
}

inline std::string spending_section(const NetworkReport& report) {
  double most_bits = 1, most_macs = 1, most_seconds = 1e-9;
  for (const ReportedLayer& layer : report.layers) {
    const qaf::LayerCost original = qaf::original_cost(layer.planned.layer);
    most_bits = std::max({most_bits, original.bits, layer.compressed.figures.bits});
    most_macs = std::max({most_macs, original.macs, layer.planned.cost.macs});
    most_seconds = std::max(most_seconds, layer.compressed.figures.seconds);
  }
  std::vector<std::vector<std::string>> rows;
  for (const ReportedLayer& layer : report.layers) {
    const qaf::LayerCost original = qaf::original_cost(layer.planned.layer);
    const LayerFigures& figures = layer.compressed.figures;
    const auto pair = [](double before, double after, double most, const auto& text) {
      return html::bar(before / most, "before", text(before)) + html::bar(after / most, "after", text(after));
    };
    rows.push_back({html::escaped(layer.planned.layer.name), pair(original.bits, figures.bits, most_bits, kib),
                    pair(original.macs, layer.planned.cost.macs, most_macs, large),
                    html::bar(figures.seconds / most_seconds, "after", fixed(figures.seconds, 2) + " s")});
  }
  return html::section("What was spent where",
                       html::paragraph("Before in grey, after in blue: memory of the weights, multiply-accumulate "
                                       "operations an image, and the time that compressing took.") +
                           html::table({"layer", "memory", "operations", "time"}, rows));
}

inline Plot error_plot(const NetworkReport& report) {
  Plot plot;
  plot.x_label = "bits of a code";
  plot.y_label = report.has_output_errors ? "relative error of the outputs" : "relative error of the weights";
  for (std::size_t k = 0; k < report.layers.size(); ++k) {
    const ReportedLayer& layer = report.layers[k];
    PlotSeries series;
    series.name = layer.planned.layer.name;
    series.style = k;
    for (const auto& [bits, error] : layer.compressed.figures.errors_of_bits) series.points.emplace_back(bits, error);
    if (!series.points.empty()) plot.series.push_back(series);
  }
  return plot;
}

inline Plot convergence_plot(const NetworkReport& report) {
  Plot plot;
  plot.x_label = "sweep";
  plot.y_label = report.has_output_errors ? "relative error of the outputs" : "relative error of the weights";
  constexpr std::size_t most_points = 400;
  for (std::size_t k = 0; k < report.layers.size(); ++k) {
    const std::vector<double>& history = report.layers[k].compressed.figures.history;
    PlotSeries series;
    series.name = report.layers[k].planned.layer.name;
    series.style = k;
    series.dashed = k / svg::colours.size() % 2 == 1;  // there are no markers to tell equal colours apart
    series.marked = false;
    const std::size_t step = 1 + history.size() / most_points;
    // Counted from the end, since the last one is what the layer came to.
    for (std::size_t sweep = history.empty() ? 0 : (history.size() - 1) % step; sweep < history.size(); sweep += step)
      series.points.emplace_back(static_cast<double>(sweep + 1), history[sweep]);
    if (!series.points.empty()) plot.series.push_back(series);
  }
  return plot;
}

/// How often each code occurs, in at most 64 columns.
inline std::string factor_histogram(const qaf::QuantizedFactor<qaf::AnyQuantizer>& factor) {
  const int lowest = static_cast<int>(factor.codes.minCoeff()), highest = static_cast<int>(factor.codes.maxCoeff());
  constexpr int most_columns = 64;
  const int codes = highest - lowest + 1, width = (codes + most_columns - 1) / most_columns;
  std::vector<double> counts(static_cast<std::size_t>((codes + width - 1) / width), 0);
  for (qaf::Index k = 0; k < factor.codes.size(); ++k)
    counts[static_cast<std::size_t>((static_cast<int>(factor.codes.data()[k]) - lowest) / width)] += 1;
  return html::histogram(counts, std::to_string(lowest), std::to_string(highest));
}

inline std::string histogram_section(const NetworkReport& report) {
  std::string grid;
  const char* const names[] = {"outputs", "inputs", "positions"};
  for (const ReportedLayer& layer : report.layers) {
    const auto& factors = layer.compressed.model.factors;
    if (factors.empty()) continue;
    grid += html::element("h3", "", html::escaped(layer.planned.layer.name));
    for (std::size_t n = 0; n < factors.size(); ++n) {
      const std::string size = qaf::detail::shape_text({factors[n].codes.rows(), factors[n].codes.cols()});
      const std::string name = factors.size() == 1 ? "weights" : names[std::min<std::size_t>(n, 2)];
      grid += html::element(
          "figure", "",
          factor_histogram(factors[n]) + html::element("figcaption", "", html::escaped(name + ", " + size)));
    }
  }
  if (grid.empty()) return "";
  return html::section("Codes of the factors",
                       html::paragraph("How often each code occurs in each factor, from the lowest to the highest.") +
                           html::element("div", "class=\"grid\"", grid));
}

inline std::string plot_section(const std::string& title, const std::string& text, const Plot& plot) {
  return plot.series.empty() ? "" : html::section(title, html::paragraph(text) + html::figure(plot));
}

inline std::string settings_section(const NetworkReport& report) {
  std::string list;
  for (const auto& [name, value] : report.settings)
    list += html::element("dt", "", html::escaped(name)) + html::element("dd", "", html::escaped(value));
  return html::section("Settings", html::element("dl", "", list));
}

}  // namespace network_report

/// The page: it needs no other file and no script.
inline std::string report_text(const NetworkReport& report) {
  using namespace network_report;
  std::string content = html::element("h1", "", html::escaped("Compression of " + report.network));
  content += tiles(report) + accuracy_section(report) + layer_section(report) + spending_section(report);
  content +=
      plot_section("Error against bits", "What each layer would come to with other numbers of bits, by a short solve.",
                   error_plot(report));
  content += plot_section("Convergence", "The error of the integer model, sweep by sweep; the best one is kept.",
                          convergence_plot(report));
  content += histogram_section(report) + settings_section(report);
  return html::page("Compression of " + report.network, content);
}
