#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <qaf/detail/file.hpp>
#include <qaf/error.hpp>

namespace qaf::detail {

/// What `parse_json_object` found.
struct ParsedJson {
  nlohmann::json object;
  std::string flaw;  ///< what is wrong, as "is not valid JSON"; empty where nothing is
};

/// Parses a JSON object that nobody vouches for: no key twice in an object, which readers would take in different
/// ways, and lists and objects nested at most so deep, which could take far more memory than their text.
class StrictJsonParser {
 public:
  explicit StrictJsonParser(int most_depth) : most_depth_(most_depth), keys_(static_cast<std::size_t>(most_depth)) {}

  ParsedJson parse(const std::string& text) {
    const auto see = [this](int depth, Event event, const Json& part) { return see_part(depth, event, part); };
    ParsedJson parsed{Json::parse(text, see, false), ""};
    // The parser takes a byte 0 for the end of the text.
    if ((parsed.object.is_discarded() && flaw_.empty()) || text.find('\0') != std::string::npos)
      parsed.flaw = "is not valid JSON";
    else if (!parsed.object.is_object() && flaw_.empty())
      parsed.flaw = "is not a JSON object";
    else if (flaw_.empty() && text.front() != '{')
      parsed.flaw = "does not begin with '{'";
    else
      parsed.flaw = flaw_;
    return parsed;
  }

 private:
  using Json = nlohmann::json;
  using Event = Json::parse_event_t;

  /// Sees every part as it is parsed, and notes what the finished object does not tell. False: the part is dropped;
  /// so is all that comes after a flaw.
  bool see_part(int depth, Event event, const Json& part) {
    if (!flaw_.empty()) return false;
    if (event == Event::object_start || event == Event::array_start) {
      if (depth == 0 && event == Event::array_start) flaw_ = "is not a JSON object";
      if (depth >= most_depth_) flaw_ = concatenate("has lists or objects nested deeper than ", most_depth_);
      if (flaw_.empty()) keys_[static_cast<std::size_t>(depth)].clear();
    } else if (event == Event::key) {
      const std::string& key = part.get_ref<const std::string&>();
      if (!keys_[static_cast<std::size_t>(depth) - 1].insert(key).second)
        flaw_ = "has the key '" + printable(key) + "' twice in one object";
    }
    return flaw_.empty();
  }

  int most_depth_;
  std::vector<std::set<std::string>> keys_;  // of the object that is open at each depth
  std::string flaw_;
};

/// Whether a text may stand in a JSON file.
inline bool is_utf8(const std::string& text) {
  using Json = nlohmann::json;
  const std::string without_flaws = Json(text).dump(-1, ' ', false, Json::error_handler_t::ignore);
  return Json::parse(without_flaws, nullptr, false) == Json(text);
}

}  // namespace qaf::detail
