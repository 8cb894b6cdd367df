#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <locale>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <qaf/dense_tensor.hpp>
#include <qaf/error.hpp>
#include <qaf/io/detail/file.hpp>
#include <qaf/plan/detail/number_text.hpp>
#include <qaf/plan/make_plan.hpp>

namespace qaf::detail {

/// The columns of a plan's table, in the order in which they are written.
inline const std::vector<std::string>& plan_columns() {
  static const std::vector<std::string> columns = {
      "layer",  "form",   "rank",  "bits",       "activation_bits", "dimensions", "input_pixels", "output_pixels",
      "groups", "weight", "error", "parameters", "size_bits",       "macs",       "bops"};
  return columns;
}

/// The largest number in a plan: what a double counts exactly and an index holds.
constexpr Index most_of_plan =
    static_cast<Index>(std::min<std::int64_t>((std::int64_t{1} << 53) - 1, std::numeric_limits<Index>::max()));

/// "64x64x9".
inline std::string dimensions_text(const std::vector<Index>& dimensions) {
  std::string text;
  for (const Index length : dimensions) text += (text.empty() ? "" : "x") + std::to_string(length);
  return text;
}

inline std::vector<std::string> plan_row(const PlannedLayer& one) {
  const Layer& layer = one.layer;
  return {layer.name,
          to_string(one.form),
          one.form == Form::factored ? std::to_string(one.rank) : "-",
          one.form == Form::original ? "32" : std::to_string(one.bits),  // whatever it was before an edit
          std::to_string(one.activation_bits),
          dimensions_text(layer.dimensions),
          std::to_string(layer.input_pixels),
          std::to_string(layer.output_pixels),
          std::to_string(layer.groups),
          number_text(one.weight),
          concatenate(one.relative_error),
          number_text(one.cost.parameters),
          number_text(one.cost.bits),
          number_text(one.cost.macs),
          number_text(one.cost.bops)};
}

/// Lines with columns two spaces apart, the first two columns to the left, the others to the right.
inline std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const std::vector<std::string>& row : rows)
    for (std::size_t k = 0; k < row.size(); ++k) widths[k] = std::max(widths[k], row[k].size());
  std::string text;
  for (const std::vector<std::string>& row : rows) {
    for (std::size_t k = 0; k < row.size(); ++k) {
      const std::string fill(widths[k] - row[k].size(), ' ');
      text += (k > 0 ? "  " : "") + (k < 2 ? row[k] + fill : fill + row[k]);
    }
    text += "\n";
  }
  return text;
}

/// Whether a name is one word of the table.
inline bool is_word(const std::string& name) {
  return !name.empty() && std::none_of(name.begin(), name.end(), [](char letter) {
    const auto code = static_cast<unsigned char>(letter);
    return code <= ' ' || code == 127 || letter == '#';
  });
}

/// Reads what `plan_text` writes, but for the costs.
class PlanReader {
 public:
  /// `path`: of the file that the text came from, if from one.
  PlanReader(const std::string& text, std::string path) : text_(text), path_(std::move(path)) {}

  Plan plan() {
    Plan plan;
    bool in_table = false;
    for (std::vector<std::string> words; next_line(words);) {
      if (in_table) {
        read_layer(words, plan);
      } else if (words[0] == "layer" || words.size() != 2) {
        read_columns(words);
        in_table = true;
      } else {
        read_setting(words, plan);
      }
    }
    ++line_;
    if (!in_table) refuse("a line that names the columns, such as 'layer form rank bits dimensions'", "the end");
    if (plan.layers.empty()) refuse("a line for at least one layer", "the end");
    return plan;
  }

 private:
  [[noreturn]] void refuse(const std::string& expected, const std::string& got) const {
    const std::string end = got == "the end" ? "the end" : "'" + printable(got) + "'";
    const std::string sentence = concatenate("line ", line_, ": expected ", expected, ", got ", end);
    if (path_.empty()) fail("parse_plan", sentence);
    fail_io(path_, static_cast<long long>(line_begin_), sentence);
  }

  // The words of the next line that has any; false at the end.
  bool next_line(std::vector<std::string>& words) {
    words.clear();
    while (words.empty() && next_ < text_.size()) {
      line_begin_ = next_;
      ++line_;
      const std::size_t end = std::min(text_.find('\n', next_), text_.size());
      const std::string line = text_.substr(next_, end - next_);
      next_ = end + 1;
      std::istringstream in(line.substr(0, line.find('#')));
      in.imbue(std::locale::classic());
      for (std::string word; in >> word;) words.push_back(word);
    }
    if (words.empty()) line_begin_ = text_.size();
    return !words.empty();
  }

  void read_setting(const std::vector<std::string>& words, Plan& plan) {
    if (settings_.count(words[0]) > 0) refuse(words[0] + " once", words[0] + " " + words[1]);
    settings_.insert(words[0]);
    if (words[0] == "budget") {
      plan.budget = number("a budget", words[1], std::numeric_limits<double>::infinity());
    } else if (words[0] == "bound") {
      plan.bound = number("a bound", words[1], std::numeric_limits<double>::max());
    } else if (words[0] == "measure") {
      plan.measure = one_of<Measure>(words[1], {Measure::parameters, Measure::bits, Measure::macs, Measure::bops});
    } else {
      refuse("measure, budget, bound or the names of the columns", words[0]);
    }
  }

  void read_columns(const std::vector<std::string>& words) {
    if (settings_.count("budget") == 0) refuse("a line with the budget before the columns", words[0]);
    for (const std::string& word : words) {
      if (std::find(plan_columns().begin(), plan_columns().end(), word) == plan_columns().end()) {
        std::string known;
        for (const std::string& column : plan_columns()) known += (known.empty() ? "" : ", ") + column;
        refuse("names of columns (" + known + ")", word);
      }
      if (std::count(words.begin(), words.end(), word) > 1) refuse("every column once", word);
    }
    for (const char* needed : {"layer", "form", "rank", "bits", "dimensions"})
      if (std::find(words.begin(), words.end(), needed) == words.end())
        refuse(std::string("a column '") + needed + "'", words.back());
    columns_ = words;
  }

  void read_layer(const std::vector<std::string>& words, Plan& plan) {
    if (words.size() != columns_.size())
      refuse(concatenate(columns_.size(), " words, one a column"), concatenate(words.size(), " words"));
    PlannedLayer one;
    std::string rank;
    for (std::size_t k = 0; k < words.size(); ++k) {
      const std::string &column = columns_[k], &word = words[k];
      if (column == "layer") one.layer.name = name(word);
      if (column == "form") one.form = one_of<Form>(word, {Form::original, Form::direct, Form::factored});
      if (column == "rank") rank = word;
      if (column == "bits") one.bits = static_cast<int>(whole("bits", word, 32));
      if (column == "activation_bits") one.activation_bits = static_cast<int>(whole("activation_bits", word, 32));
      if (column == "dimensions") one.layer.dimensions = dimensions(word);
      if (column == "input_pixels") one.layer.input_pixels = whole("input_pixels", word, most);
      if (column == "output_pixels") one.layer.output_pixels = whole("output_pixels", word, most);
      if (column == "groups") one.layer.groups = whole("groups", word, most);
      if (column == "weight") one.weight = number("a weight", word, std::numeric_limits<double>::max());
      if (column == "error") one.relative_error = number("an error", word, std::numeric_limits<double>::max());
    }
    if (one.layer.dimensions[0] % one.layer.groups != 0)
      refuse(concatenate("groups that divide the ", one.layer.dimensions[0], " outputs"),
             std::to_string(one.layer.groups));
    // No tensor needs more components than it has entries.
    const Index largest_rank = static_cast<Index>(product_of(one.layer.dimensions));
    if (one.form == Form::factored) one.rank = whole("the rank of a factored layer", rank, largest_rank);
    if (one.form != Form::factored && rank != "-") refuse("- for the rank of a layer that is not factored", rank);
    if (one.form == Form::original && one.bits != 32)
      refuse("32 bits for a layer left as it is", concatenate(one.bits));
    if (!names_.insert(one.layer.name).second) refuse("every layer once", one.layer.name);
    plan.layers.push_back(std::move(one));
  }

  template <typename Enum>
  Enum one_of(const std::string& word, const std::vector<Enum>& values) const {
    std::string known;
    for (const Enum value : values) {
      if (word == to_string(value)) return value;
      known += (known.empty() ? "" : value == values.back() ? " or " : ", ") + std::string(to_string(value));
    }
    refuse(known, word);
  }

  const std::string& name(const std::string& word) const {
    if (!is_word(word)) refuse("a layer's name without control characters", word);
    return word;
  }

  Index whole(const char* what, const std::string& word, Index largest) const {
    Index value = 0;
    const bool digits_only = word.find_first_not_of("0123456789") == std::string::npos;
    std::istringstream in(word);
    in.imbue(std::locale::classic());
    if (!digits_only || !(in >> value) || value < 1 || value > largest)
      refuse(concatenate("for ", what, " a whole number from 1 to ", largest), word);
    return value;
  }

  double number(const char* what, const std::string& word, double largest) const {
    double value = 0;
    std::istringstream in(word);
    in.imbue(std::locale::classic());
    if (word == "inf" && std::isinf(largest)) return largest;
    const bool is_read = (in >> value) && in.peek() == std::istringstream::traits_type::eof();
    if (!is_read || !(value >= 0 && value <= largest)) refuse(concatenate(what, ", 0 or more"), word);
    return value;
  }

  std::vector<Index> dimensions(const std::string& word) const {
    std::vector<Index> lengths;
    for (std::size_t begin = 0; begin <= word.size();) {
      const std::size_t end = std::min(word.find('x', begin), word.size());
      lengths.push_back(whole("each of the dimensions", word.substr(begin, end - begin), most));
      begin = end + 1;
    }
    if (lengths.size() != 2 && lengths.size() != 3) refuse("dimensions such as 64x64x9 or 10x64", word);
    if (product_of(lengths) > static_cast<double>(most))
      refuse(concatenate("dimensions of at most ", most, " weights"), word);
    return lengths;
  }

  static constexpr Index most = most_of_plan;

  const std::string& text_;
  std::string path_;
  std::size_t next_ = 0, line_begin_ = 0;
  Index line_ = 0;
  std::vector<std::string> columns_;
  std::set<std::string> names_, settings_;
};

}  // namespace qaf::detail
