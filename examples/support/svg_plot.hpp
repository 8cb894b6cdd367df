#pragma once

// A picture of lines in SVG: a linear or logarithmic x axis, a logarithmic y axis, a legend beside the plot.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>
#include <string>
#include <utility>
#include <vector>

/// One line of a plot.
struct PlotSeries {
  std::string name;                               ///< in the legend; any text
  std::vector<std::pair<double, double>> points;  ///< x and y; those with y <= 0 or not finite are left out
  std::size_t style = 0;                          ///< 9 colours and 5 markers, all 45 pairs before one comes again
  bool dashed = false;
  bool thick = false;
  bool marked = true;  ///< at every point
};

struct Plot {
  std::string title, x_label, y_label;
  std::vector<PlotSeries> series;
  bool logarithmic_x = false;  ///< then all x must be above 0
};

namespace svg {

constexpr double width = 900, height = 560, left = 74, right = 690, top = 52, bottom = 496;

/// Okabe and Ito 2008, told apart by colour-blind readers, with grey and wine for their yellow, which is too pale for
/// lines on white.
constexpr std::array<const char*, 9> colours = {"#777777", "#e69f00", "#cc79a7", "#d55e00", "#882255",
                                                "#56b4e9", "#0072b2", "#009e73", "#000000"};

inline std::string number(double value, const char* format = "%.1f") {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

inline std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        // XML 1.0 has no place for other control characters.
        result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  return result;
}

/// `attributes` without the place.
inline std::string text_at(double x, double y, const std::string& attributes, const std::string& text) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" " + attributes + ">" + escaped(text) + "</text>\n";
}

inline std::string line(double x1, double y1, double x2, double y2, const std::string& attributes) {
  return "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) + "\" y2=\"" + number(y2) +
         "\" " + attributes + "/>\n";
}

inline bool is_drawn(const std::pair<double, double>& point) { return point.second > 0 && std::isfinite(point.second); }

/// Where values stand in the picture.
class Axes {
 public:
  explicit Axes(const std::vector<PlotSeries>& series, bool logarithmic_x = false) : logarithmic_x_(logarithmic_x) {
    for (const PlotSeries& one : series)
      for (const auto& point : one.points) {
        if (!is_drawn(point)) continue;
        if (std::find(x_values_.begin(), x_values_.end(), point.first) == x_values_.end())
          x_values_.push_back(point.first);
        least_y_ = std::min(least_y_, point.second);
        most_y_ = std::max(most_y_, point.second);
      }
    if (x_values_.empty()) {
      x_values_ = {0};
      least_y_ = most_y_ = 1;
    }
    std::sort(x_values_.begin(), x_values_.end());
    least_y_ /= 1.06;
    most_y_ *= 1.06;
  }

  double x(double value) const {
    const double range = along_x(x_values_.back()) - along_x(x_values_.front()), edge = 24;
    if (range == 0) return (left + right) / 2;
    return left + edge + (along_x(value) - along_x(x_values_.front())) / range * (right - left - 2 * edge);
  }
  double y(double value) const {
    return bottom - std::log(value / least_y_) / std::log(most_y_ / least_y_) * (bottom - top);
  }

  /// All values of x, or where there are many, round numbers between them.
  std::vector<double> x_ticks() const {
    constexpr std::size_t most = 12;
    if (x_values_.size() <= most) return x_values_;
    const double first = x_values_.front(), last = x_values_.back();
    double step = std::pow(10, std::floor(std::log10((last - first) / 5)));
    for (const double factor : {2.0, 2.5, 2.0})
      if ((last - first) / step > 8) step *= factor;
    std::vector<double> ticks;
    for (double tick = std::ceil(first / step) * step; tick <= last; tick += step) ticks.push_back(tick);
    return ticks;
  }

  /// Round numbers in the range, the more of them the shorter it is.
  std::vector<double> y_ticks() const {
    std::vector<double> ticks;
    for (const std::vector<double>& leading :
         {std::vector<double>{1, 2, 5}, {1, 1.5, 2, 3, 4, 5, 7}, {1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8}}) {
      ticks.clear();
      for (double decade = std::pow(10, std::floor(std::log10(least_y_))); decade <= most_y_; decade *= 10)
        for (const double digit : leading)
          if (digit * decade >= least_y_ && digit * decade <= most_y_) ticks.push_back(digit * decade);
      if (ticks.size() >= 6) break;
    }
    return ticks;
  }

 private:
  double along_x(double value) const { return logarithmic_x_ ? std::log(value) : value; }

  bool logarithmic_x_;
  std::vector<double> x_values_;
  double least_y_ = std::numeric_limits<double>::infinity(), most_y_ = 0;
};

/// `paint`: attributes.
inline std::string marker(double x, double y, std::size_t shape, const std::string& paint) {
  const double r = 4;
  if (shape == 0)
    return "<circle cx=\"" + number(x) + "\" cy=\"" + number(y) + "\" r=\"" + number(r) + "\" " + paint + "/>\n";
  // Corners in units of the radius: a square, a diamond, triangles that point up and down.
  using Corners = std::vector<std::pair<double, double>>;
  const Corners corners = shape == 1   ? Corners{{-.9, -.9}, {.9, -.9}, {.9, .9}, {-.9, .9}}
                          : shape == 2 ? Corners{{0, -1.3}, {1.3, 0}, {0, 1.3}, {-1.3, 0}}
                          : shape == 3 ? Corners{{0, -1.2}, {1.2, .9}, {-1.2, .9}}
                                       : Corners{{0, 1.2}, {1.2, -.9}, {-1.2, -.9}};
  std::string points;
  for (const auto& [dx, dy] : corners) points += number(x + r * dx) + "," + number(y + r * dy) + " ";
  return "<polygon points=\"" + points + "\" " + paint + "/>\n";
}

inline std::string stroke(const PlotSeries& series) {
  return std::string("fill=\"none\" stroke=\"") + colours[series.style % colours.size()] + "\" stroke-width=\"" +
         (series.thick ? "3" : "1.6") + "\"" + (series.dashed ? " stroke-dasharray=\"7 4\"" : "");
}

/// Hollow where the line is dashed.
inline std::string marker_of(const PlotSeries& series, double x, double y) {
  const std::string colour = colours[series.style % colours.size()];
  return marker(x, y, series.style % 5,
                "stroke-width=\"1.6\" stroke=\"" + colour + "\" fill=\"" + (series.dashed ? "white" : colour) + "\"");
}

inline std::string grid(const Axes& axes) {
  const std::string pale = "stroke=\"#dddddd\"";
  std::string text;
  for (const double value : axes.y_ticks()) {
    text += line(left, axes.y(value), right, axes.y(value), pale);
    text += text_at(left - 8, axes.y(value) + 4, "text-anchor=\"end\"", number(value, "%.4g"));
  }
  for (const double value : axes.x_ticks()) {
    text += line(axes.x(value), top, axes.x(value), bottom, pale);
    text += text_at(axes.x(value), bottom + 20, "text-anchor=\"middle\"", number(value, "%.4g"));
  }
  return text + line(left, top, left, bottom, "stroke=\"black\"") +
         line(left, bottom, right, bottom, "stroke=\"black\"");
}

inline std::string drawn(const PlotSeries& series, const Axes& axes) {
  std::string path, markers;
  for (const auto& point : series.points) {
    if (!is_drawn(point)) continue;
    const double x = axes.x(point.first), y = axes.y(point.second);
    path += number(x) + "," + number(y) + " ";
    if (series.marked) markers += marker_of(series, x, y);
  }
  return "<polyline points=\"" + path + "\" " + stroke(series) + " stroke-linejoin=\"round\"/>\n" + markers;
}

/// Beside the plot, so that it covers no line; the names stand in the order of the lines' left ends.
inline std::string legend(std::vector<PlotSeries> series) {
  const auto height_of = [](const PlotSeries& one) {
    for (const auto& point : one.points)
      if (is_drawn(point)) return point.second;
    return 0.0;
  };
  std::stable_sort(series.begin(), series.end(),
                   [&](const PlotSeries& a, const PlotSeries& b) { return height_of(a) > height_of(b); });
  const double x = right + 24, step = std::min(24.0, (bottom - top) / static_cast<double>(series.size() + 1));
  double y = top + step / 2;
  std::string text;
  for (const PlotSeries& one : series) {
    text += line(x, y, x + 44, y, stroke(one)) + (one.marked ? marker_of(one, x + 22, y) : "");
    text += text_at(x + 54, y + 4, one.thick ? "font-weight=\"bold\"" : "", one.name);
    y += step;
  }
  return text;
}

}  // namespace svg

/// The picture as the text of an SVG file.
inline std::string svg_text(const Plot& plot) {
  const svg::Axes axes(plot.series, plot.logarithmic_x);
  std::string text = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + svg::number(svg::width) + " " +
                     svg::number(svg::height) + "\" width=\"" + svg::number(svg::width) + "\" height=\"" +
                     svg::number(svg::height) + "\" font-family=\"sans-serif\" font-size=\"13\">\n" +
                     "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  const double middle_x = (svg::left + svg::right) / 2, middle_y = (svg::top + svg::bottom) / 2;
  text += svg::text_at(middle_x, 30, "text-anchor=\"middle\" font-size=\"16\"", plot.title);
  text += svg::text_at(middle_x, svg::bottom + 46, "text-anchor=\"middle\"", plot.x_label);
  text +=
      svg::text_at(0, 0, "text-anchor=\"middle\" transform=\"translate(22 " + svg::number(middle_y) + ") rotate(-90)\"",
                   plot.y_label);
  text += svg::grid(axes);
  // Thick lines below, so that they hide no other.
  for (const bool thick : {true, false})
    for (const PlotSeries& series : plot.series)
      if (series.thick == thick) text += svg::drawn(series, axes);
  return text + svg::legend(plot.series) + "</svg>\n";
}
