#pragma once

// Pieces of a page that needs nothing but itself: text, tables and bars, with their style in the page.

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "svg_plot.hpp"

namespace html {

inline std::string escaped(const std::string& text) { return svg::escaped(text); }

/// `<name attributes>content</name>`; `content` is not escaped.
inline std::string element(const std::string& name, const std::string& attributes, const std::string& content) {
  return "<" + name + (attributes.empty() ? "" : " " + attributes) + ">" + content + "</" + name + ">\n";
}

inline std::string paragraph(const std::string& text) { return element("p", "", escaped(text)); }

/// A section with its heading; `content` is not escaped.
inline std::string section(const std::string& title, const std::string& content) {
  return element("section", "", element("h2", "", escaped(title)) + content);
}

/// A bar of a part, from 0 to 1, of the cell's width, and the text after it. `kind`: "before" or "after".
inline std::string bar(double part, const std::string& kind, const std::string& text) {
  const std::string width = svg::number(100 * std::clamp(part, 0.0, 1.0), "%.2f");
  return "<div class=\"bar\"><span class=\"track\"><span class=\"" + kind + "\" style=\"width:" + width +
         "%\"></span></span><span class=\"value\">" + escaped(text) + "</span></div>";
}

/// A table that scrolls in its own box where the page is narrow. Cells are not escaped.
inline std::string table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::string cells, body;
  for (const std::string& name : header) cells += element("th", "", escaped(name));
  for (const auto& row : rows) {
    std::string line;
    for (const std::string& cell : row) line += element("td", "", cell);
    body += element("tr", "", line);
  }
  return element("div", "class=\"wide\"",
                 element("table", "", element("thead", "", element("tr", "", cells)) + element("tbody", "", body)));
}

/// A plot that scrolls in its own box where the page is narrow.
inline std::string figure(const Plot& plot) { return element("div", "class=\"wide plot\"", svg_text(plot)); }

/// Columns of counts, one beside the other, as a small picture.
inline std::string histogram(const std::vector<double>& counts, const std::string& first, const std::string& last) {
  constexpr double width = 200, height = 76, bottom = 60;
  const double most = std::max(1.0, *std::max_element(counts.begin(), counts.end()));
  const double step = width / static_cast<double>(counts.size());
  std::string text =
      "<svg viewBox=\"0 0 " + svg::number(width) + " " + svg::number(height) + "\" class=\"histogram\">\n";
  for (std::size_t k = 0; k < counts.size(); ++k) {
    const double tall = (bottom - 4) * counts[k] / most;
    text += "<rect x=\"" + svg::number(step * static_cast<double>(k) + 0.06 * step, "%.2f") + "\" y=\"" +
            svg::number(bottom - tall, "%.2f") + "\" width=\"" + svg::number(0.88 * step, "%.2f") + "\" height=\"" +
            svg::number(tall, "%.2f") + "\"/>\n";
  }
  text += svg::line(0, bottom, width, bottom, "stroke=\"#888888\"");
  text += svg::text_at(0, bottom + 13, "font-size=\"11\"", first);
  text += svg::text_at(width, bottom + 13, "font-size=\"11\" text-anchor=\"end\"", last);
  return text + "</svg>\n";
}

inline const char* style() {
  return "body{font:16px/1.5 system-ui,sans-serif;color:#1c2733;background:#f6f7f9;margin:0}\n"
         "main{max-width:1060px;margin:0 auto;padding:24px 16px 64px}\n"
         "h1{font-size:1.6rem;line-height:1.25;margin:.4em 0;overflow-wrap:anywhere}\n"
         "h2{font-size:1.15rem;margin:0 0 .5em}\n"
         "section,.tile{background:#fff;border:1px solid #dfe3e8;border-radius:8px;padding:16px 18px;margin:16px 0}\n"
         ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px}\n"
         ".tile{margin:0;padding:12px 16px}\n"
         ".tile b{display:block;font-size:1.5rem;line-height:1.3}\n"
         ".tile span,p{color:#4a5663}\n"
         "p{margin:.3em 0 .8em;max-width:75ch}\n"
         ".wide{overflow-x:auto}\n"
         ".plot svg{display:block;width:100%;min-width:640px;height:auto}\n"
         "table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}\n"
         "th,td{padding:5px 10px 5px 0;text-align:right;border-bottom:1px solid #e8ebef;white-space:nowrap}\n"
         "th{font-weight:600;color:#4a5663;vertical-align:bottom}\n"
         "th:first-child,td:first-child{text-align:left}\n"
         ".bar{display:flex;align-items:center;gap:8px;min-width:130px}\n"
         ".track{flex:1;height:10px;background:#eef1f4;border-radius:3px;overflow:hidden}\n"
         ".track span{display:block;height:100%}\n"
         ".before{background:#a9b4c0}.after{background:#0072b2}\n"
         ".value{min-width:5.5em;text-align:right}\n"
         ".grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(135px,1fr));gap:14px 20px}\n"
         ".grid h3{grid-column:1/-1;font-size:.95rem;margin:.6em 0 0;overflow-wrap:anywhere}\n"
         ".grid figure{margin:0}.grid figcaption{font-size:.8rem;color:#4a5663}\n"
         ".histogram{display:block;width:100%;fill:#0072b2}\n"
         ".histogram text{fill:#4a5663}\n"
         "dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 18px;font-size:.9rem}\n"
         "dt{color:#4a5663}dd{margin:0;overflow-wrap:anywhere}\n"
         "@media(max-width:560px){.bar{flex-direction:column;align-items:stretch;gap:1px;min-width:76px}"
         ".track{flex:none}.value{min-width:0}td:first-child{white-space:normal}}\n";
}

/// The whole page; `content` is not escaped.
inline std::string page(const std::string& title, const std::string& content) {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n" +
         element("title", "", escaped(title)) + element("style", "", style()) + "</head>\n<body>\n" +
         element("main", "", content) + "</body>\n</html>\n";
}

}  // namespace html
