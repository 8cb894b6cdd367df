#pragma once

// The text form of a network: one step a line, in the order in which they run. examples/data/README.md explains it.

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <qaf/types.hpp>

/// What a step does. Those with a name take their parameters from the network's file.
enum class StepKind {
  convolution,     ///< NAME.weight, and NAME.bias where the file has one
  batch_norm,      ///< NAME.weight, NAME.bias, NAME.running_mean, NAME.running_var
  relu,            ///< zero in the place of what is negative
  max_pool,        ///< the largest of a window's pixels
  average_pool,    ///< their mean; where a window reaches over the border, zeros count
  save,            ///< keeps a copy of the maps under a name
  add,             ///< adds kept maps, every `stride`-th pixel of them, to the channels in the middle
  mean_of_pixels,  ///< one pixel: the mean of all
  flatten,         ///< one pixel, whose channels are all pixels of the first channel, then of the second ...
  linear           ///< NAME.weight, and NAME.bias where the file has one
};

/// One line of a description.
struct Step {
  StepKind kind = StepKind::relu;
  std::string name;     ///< of the parameters, or of what is saved and added
  std::string branch;   ///< runs on the maps saved under this name; on the network's own where empty
  qaf::Index size = 0;  ///< of a pool's window, both ways
  qaf::Index stride = 1, padding = 0, dilation = 1, groups = 1;  ///< both ways
  double epsilon = 1e-5;                                         ///< added to the variances of a batch norm
  int line = 0;                                                  ///< of the file
};

/// A network without its parameters.
struct NetworkDescription {
  std::string path;                      ///< where it was read, for messages
  std::vector<float> means, deviations;  ///< of every input channel, for pixels from 0 to 1
  std::vector<Step> steps;
};

/// "FILE:LINE".
inline std::string place_of(const NetworkDescription& description, int line) {
  return description.path + ":" + std::to_string(line);
}

namespace network_description {

/// What a kind of step takes.
struct Grammar {
  const char* word;
  StepKind kind;
  bool has_name;
  std::vector<std::string> numbers;  ///< names of numbers, in any order
};

inline const std::vector<Grammar>& grammars() {
  static const std::vector<Grammar> all = {
      {"convolution", StepKind::convolution, true, {"stride", "padding", "dilation", "groups"}},
      {"batch_norm", StepKind::batch_norm, true, {"epsilon"}},
      {"relu", StepKind::relu, false, {}},
      {"max_pool", StepKind::max_pool, false, {"size", "stride", "padding"}},
      {"average_pool", StepKind::average_pool, false, {"size", "stride", "padding"}},
      {"save", StepKind::save, true, {}},
      {"add", StepKind::add, true, {"stride"}},
      {"mean_of_pixels", StepKind::mean_of_pixels, false, {}},
      {"flatten", StepKind::flatten, false, {}},
      {"linear", StepKind::linear, true, {}}};
  return all;
}

/// "a, b or c".
inline std::string choice_text(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t k = 0; k < words.size(); ++k)
    text += (k == 0 ? "" : k + 1 == words.size() ? " or " : ", ") + words[k];
  return text;
}

/// The words of one line, taken one after the other.
class Line {
 public:
  Line(std::string place, const std::string& text) : place_(std::move(place)) {
    std::istringstream stream(text.substr(0, text.find('#')));
    for (std::string word; stream >> word;) words_.push_back(word);
  }

  bool has_word() const { return next_ < words_.size(); }

  /// What comes next, for a message: fit to be printed.
  std::string rest() const {
    if (!has_word()) return "the end of the line";
    std::string word = words_[next_];
    std::replace_if(
        word.begin(), word.end(), [](char letter) { return static_cast<unsigned char>(letter) < ' '; }, '?');
    return "'" + word + "'";
  }

  [[noreturn]] void fail(const std::string& expected) const { fail_with(expected + ", got " + rest()); }
  [[noreturn]] void fail_with(const std::string& sentence) const { throw std::runtime_error(place_ + ": " + sentence); }

  std::string word(const std::string& expected) {
    if (!has_word()) fail("expected " + expected);
    return words_[next_++];
  }

  qaf::Index whole_number(const std::string& name, qaf::Index least) {
    constexpr long long most = 1000000;
    errno = 0;
    char* end = nullptr;
    const long long value = has_word() ? std::strtoll(words_[next_].c_str(), &end, 10) : 0;
    if (!has_word() || !is_end(end) || errno != 0 || value < least || value > most)
      fail(name + " must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    ++next_;
    return static_cast<qaf::Index>(value);
  }

  /// A number that float32 holds, and above 0 as such where it has to be.
  double number(const std::string& name, bool positive) {
    char* end = nullptr;
    const double value = has_word() ? std::strtod(words_[next_].c_str(), &end) : 0;
    const bool is_number = has_word() && is_end(end) && std::isfinite(value) && (!positive || value > 0);
    const bool is_held = is_number && std::abs(value) <= static_cast<double>(std::numeric_limits<float>::max()) &&
                         (!positive || static_cast<float>(value) > 0);
    if (!is_held) fail(name + " must be a number" + (positive ? " above 0" : "") + (is_number ? " in float32" : ""));
    ++next_;
    return value;
  }

 private:
  // Whether that is the end of the next word, which may hold bytes 0.
  bool is_end(const char* end) const { return end == words_[next_].c_str() + words_[next_].size(); }

  std::string place_;
  std::vector<std::string> words_;
  std::size_t next_ = 0;
};

/// "input channels 3 means 0.485 0.456 0.406 deviations 0.229 0.224 0.225".
inline void parse_input(Line& line, NetworkDescription& description) {
  if (line.rest() != "'input'") line.fail("expected 'input', which every description begins with");
  line.word("");
  if (line.rest() != "'channels'") line.fail("expected 'channels'");
  line.word("");
  const auto channels = static_cast<std::size_t>(line.whole_number("channels", 1));
  const auto numbers = [&](const std::string& name, bool positive) {
    if (line.rest() != "'" + name + "'") line.fail("expected '" + name + "'");
    line.word("");
    std::vector<float> values;
    for (std::size_t k = 0; k < channels; ++k)
      values.push_back(
          static_cast<float>(line.number("each of the " + std::to_string(channels) + " " + name, positive)));
    return values;
  };
  description.means = numbers("means", false);
  description.deviations = numbers("deviations", true);
}

inline void parse_number(Line& line, Step& step, const std::string& name) {
  if (name == "epsilon")
    step.epsilon = line.number(name, true);
  else if (name == "padding")
    step.padding = line.whole_number(name, 0);
  else
    (name == "size"       ? step.size
     : name == "stride"   ? step.stride
     : name == "dilation" ? step.dilation
                          : step.groups) = line.whole_number(name, 1);
}

inline Step parse_step(Line& line) {
  Step step;
  std::string word = line.word("a step");
  if (word == "on") {
    step.branch = line.word("the name of saved maps");
    word = line.word("a step");
  }
  std::vector<std::string> known;
  const Grammar* grammar = nullptr;
  for (const Grammar& one : grammars()) {
    known.emplace_back(one.word);
    if (word == one.word) grammar = &one;
  }
  if (grammar == nullptr) line.fail_with("unsupported layer kind '" + word + "'; supported are " + choice_text(known));
  step.kind = grammar->kind;
  if (grammar->has_name) step.name = line.word("the name of the " + word);
  std::set<std::string> seen;
  while (line.has_word()) {
    const std::vector<std::string>& numbers = grammar->numbers;
    if (numbers.empty()) line.fail("expected the end of the line");
    const std::string rest = line.rest(), name = line.word("");
    if (std::find(numbers.begin(), numbers.end(), name) == numbers.end())
      line.fail_with(word + " takes " + choice_text(numbers) + ", got " + rest);
    if (!seen.insert(name).second) line.fail_with(name + " is given twice");
    parse_number(line, step, name);
  }
  const bool is_pool = step.kind == StepKind::max_pool || step.kind == StepKind::average_pool;
  if (is_pool && step.size == 0) line.fail("expected the size of the window");
  if (is_pool && seen.count("stride") == 0) step.stride = step.size;
  if (is_pool && 2 * step.padding > step.size)
    line.fail_with("padding must be at most half the size of the window, got " + std::to_string(step.padding));
  return step;
}

/// Branches and sums name maps that were saved before.
inline void check_saved(const Line& line, const Step& step, std::set<std::string>& saved) {
  const std::string& wanted = step.kind == StepKind::add ? step.name : step.branch;
  if (!wanted.empty() && saved.count(wanted) == 0) line.fail_with("no step before has saved '" + wanted + "'");
  if (!step.branch.empty() && (step.kind == StepKind::add || step.kind == StepKind::save))
    line.fail_with("save and add run on the network's own maps, not on saved ones");
  if (step.kind == StepKind::save) saved.insert(step.name);
}

}  // namespace network_description

/// Parses a description. `path` is for messages: "FILE:LINE: what was expected and what came".
inline NetworkDescription parse_description(std::istream& text, const std::string& path) {
  NetworkDescription description;
  description.path = path;
  std::set<std::string> saved;
  int number = 0;
  for (std::string content; std::getline(text, content);) {
    network_description::Line line(place_of(description, ++number), content);
    if (!line.has_word()) continue;
    if (description.means.empty()) {
      network_description::parse_input(line, description);
      if (line.has_word()) line.fail("expected the end of the line");
      continue;
    }
    description.steps.push_back(network_description::parse_step(line));
    description.steps.back().line = number;
    network_description::check_saved(line, description.steps.back(), saved);
  }
  if (description.steps.empty())
    throw std::runtime_error(place_of(description, number + 1) + ": expected " +
                             (description.means.empty() ? "'input'" : "a step") + ", got the end of the file");
  return description;
}

/// Reads a description from a file.
inline NetworkDescription read_description(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + ": cannot be opened");
  return parse_description(file, path);
}
