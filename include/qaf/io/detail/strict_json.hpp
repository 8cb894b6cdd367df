#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <qaf/error.hpp>
#include <qaf/io/detail/file.hpp>

namespace qaf::detail {

/// What `parse_json_object` found.
struct ParsedJson {
  nlohmann::json object;
  std::string flaw;  ///< what is wrong, as "is not valid JSON"; empty where nothing is
};

/// Goes over a text without building anything, and stops at the first flaw. (nlohmann's parser with a callback would
/// build the object at once, but looks at all members of an object after each of them.)
class JsonChecker : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit JsonChecker(int most_depth) : keys_(static_cast<std::size_t>(most_depth)) {}

  const std::string& flaw() const { return flaw_; }

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return value(); }
  bool number_unsigned(number_unsigned_t) override { return value(); }
  bool number_float(number_float_t, const string_t&) override { return value(); }
  bool string(string_t&) override { return value(); }
  bool binary(binary_t&) override { return value(); }
  bool start_object(std::size_t) override {
    if (!open()) return false;
    keys_[depth_ - 1].clear();
    return true;
  }
  bool key(string_t& key) override {
    if (keys_[depth_ - 1].insert(key).second) return true;
    flaw_ = "has the key '" + printable(key) + "' twice in one object";
    return false;
  }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return value() && open(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override {
    flaw_ = "is not valid JSON";
    return false;
  }

 private:
  // What is no object must not be the whole.
  bool value() {
    if (depth_ == 0) flaw_ = "is not a JSON object";
    return depth_ > 0;
  }

  bool open() {
    if (depth_ == keys_.size()) flaw_ = concatenate("has lists or objects nested deeper than ", keys_.size());
    ++depth_;
    return flaw_.empty();
  }

  bool close() {
    --depth_;
    return true;
  }

  std::vector<std::set<std::string>> keys_;  // of the object that is open at each depth
  std::size_t depth_ = 0;
  std::string flaw_;
};

/// Parses a JSON object that nobody vouches for: no key twice in an object, which readers would take in different
/// ways, and lists and objects nested at most so deep. Cost: two passes.
inline ParsedJson parse_json_object(const std::string& text, int most_depth) {
  JsonChecker checker(most_depth);
  // The parser takes a byte 0 for the end of the text.
  if (text.find('\0') != std::string::npos) return {{}, "is not valid JSON"};
  const bool is_good = nlohmann::json::sax_parse(text, &checker);
  if (!is_good) return {{}, checker.flaw()};
  if (text.front() != '{') return {{}, "does not begin with '{'"};
  return {nlohmann::json::parse(text, nullptr, false), ""};
}

/// Whether a text may stand in a JSON file.
inline bool is_utf8(const std::string& text) {
  using Json = nlohmann::json;
  const std::string without_flaws = Json(text).dump(-1, ' ', false, Json::error_handler_t::ignore);
  return Json::parse(without_flaws, nullptr, false) == Json(text);
}

}  // namespace qaf::detail
