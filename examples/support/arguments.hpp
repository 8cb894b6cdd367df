#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

/// A command line that does not say what the program needs: the sentence names the option.
class UsageError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// One option of a program: `--name VALUE`, or `--name` alone where `value` is empty.
struct Option {
  std::string name;
  std::string value;
  std::string help;
};

/// The command line of an example: `--name VALUE`, `--name=VALUE`, flags and positional arguments.
class Arguments {
 public:
  /// Throws `UsageError` for an option that is not in `options`, given twice or without its value, and
  /// for more positional arguments than `most_positional`.
  Arguments(int argc, char** argv, std::vector<Option> options, std::size_t most_positional)
      : options_(std::move(options)) {
    options_.push_back({"--help", "", "print this text"});
    for (int k = 1; k < argc; ++k) {
      std::string word = argv[k];
      if (word.size() < 2 || word[0] != '-') {
        positional_.push_back(word);
        continue;
      }
      const std::size_t equals = word.find('=');
      const std::string name = word.substr(0, equals);
      const Option& option = find(name);
      if (values_.count(name) > 0) throw UsageError(name + " is given twice");
      if (option.value.empty()) {
        if (equals != std::string::npos) throw UsageError(name + " takes no value, got '" + word + "'");
        values_[name] = "";
      } else if (equals != std::string::npos) {
        values_[name] = word.substr(equals + 1);
      } else if (k + 1 < argc && std::string(argv[k + 1]).rfind("--", 0) != 0) {
        values_[name] = argv[++k];
      } else {
        throw UsageError(name + " needs a value: " + name + " " + option.value);
      }
    }
    if (most_positional == 0 && !positional_.empty())
      throw UsageError("expected options only, got '" + positional_.front() + "'");
    if (positional_.size() > most_positional)
      throw UsageError("expected at most " + std::to_string(most_positional) + " file, got '" +
                       positional_[most_positional] + "' too");
  }

  bool has(const std::string& name) const { return values_.count(name) > 0; }

  const std::vector<std::string>& positional() const { return positional_; }

  std::string text(const std::string& name, const std::string& otherwise) const {
    return has(name) ? values_.at(name) : otherwise;
  }

  long long whole_number(const std::string& name, long long least, long long most, long long otherwise) const {
    if (!has(name)) return otherwise;
    const std::string& word = values_.at(name);
    errno = 0;
    char* end = nullptr;
    const long long number = std::strtoll(word.c_str(), &end, 10);
    if (word.empty() || *end != '\0' || errno != 0 || number < least || number > most)
      throw UsageError(name + " must be a whole number from " + std::to_string(least) + " to " + std::to_string(most) +
                       ", got '" + word + "'");
    return number;
  }

  double number(const std::string& name, double least, double most, double otherwise) const {
    return has(name) ? number_of(name, values_.at(name), least, most) : otherwise;
  }

  /// The words of a list such as one,two: none empty, none twice.
  std::vector<std::string> list(const std::string& name, const std::string& otherwise) const {
    const std::string text = this->text(name, otherwise);
    std::vector<std::string> words(1);
    for (const char c : text)
      if (c == ',')
        words.emplace_back();
      else
        words.back() += c;
    for (std::size_t k = 0; k < words.size(); ++k) {
      if (words[k].empty()) throw UsageError(name + " must be a list such as one,two, got '" + text + "'");
      for (std::size_t other = 0; other < k; ++other)
        if (words[other] == words[k]) throw UsageError(name + " names " + words[k] + " twice");
    }
    return words;
  }

  /// The numbers of such a list.
  std::vector<double> numbers(const std::string& name, double least, double most, const std::string& otherwise) const {
    std::vector<double> numbers;
    for (const std::string& word : list(name, otherwise)) numbers.push_back(number_of(name, word, least, most));
    return numbers;
  }

  /// The position in `choices` of the word given, 0 where none is.
  std::size_t choice(const std::string& name, const std::vector<std::string>& choices) const {
    if (!has(name)) return 0;
    std::string list;
    for (std::size_t k = 0; k < choices.size(); ++k) {
      if (values_.at(name) == choices[k]) return k;
      list += (k == 0 ? "" : k + 1 == choices.size() ? " or " : ", ") + choices[k];
    }
    throw UsageError(name + " must be " + list + ", got '" + values_.at(name) + "'");
  }

  /// A line for every option.
  std::string help() const {
    std::string text;
    for (const Option& option : options_) {
      std::string line = "  " + option.name + (option.value.empty() ? "" : " " + option.value);
      line.resize(line.size() < 26 ? 26 : line.size() + 1, ' ');
      text += line + option.help + "\n";
    }
    return text;
  }

 private:
  const Option& find(const std::string& name) const {
    std::string known;
    for (const Option& option : options_) {
      if (option.name == name) return option;
      known += " " + option.name;
    }
    throw UsageError("unknown option '" + name + "'; known are" + known);
  }

  static double number_of(const std::string& name, const std::string& word, double least, double most) {
    char* end = nullptr;
    const double number = std::strtod(word.c_str(), &end);
    if (word.empty() || *end != '\0' || !(number >= least && number <= most)) {
      char range[64];
      std::snprintf(range, sizeof range, "%g to %g", least, most);
      throw UsageError(name + " must be a number from " + range + ", got '" + word + "'");
    }
    return number;
  }

  std::vector<Option> options_;
  std::vector<std::string> positional_;
  std::map<std::string, std::string> values_;
};
