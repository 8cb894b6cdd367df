#pragma once

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

/// A number with `digits` digits after the point.
inline std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

/// A table in Markdown: it reads well on a terminal and pastes into a document. The first column is
/// aligned to the left, all others to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}

  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  void print() const {
    std::vector<std::size_t> widths(rows_.front().size(), 3);
    for (const auto& row : rows_)
      for (std::size_t k = 0; k < row.size(); ++k) widths[k] = std::max(widths[k], row[k].size());
    for (std::size_t line = 0; line < rows_.size(); ++line) {
      for (std::size_t k = 0; k < widths.size(); ++k) {
        const int width = static_cast<int>(widths[k]);
        std::printf(k == 0 ? "| %-*s |" : " %*s |", width, rows_[line][k].c_str());
      }
      std::printf("\n");
      if (line > 0) continue;
      for (std::size_t k = 0; k < widths.size(); ++k) {
        const std::string dashes(widths[k], '-');
        std::printf(k == 0 ? "|-%s-|" : "-%s:|", dashes.c_str());
      }
      std::printf("\n");
    }
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};
