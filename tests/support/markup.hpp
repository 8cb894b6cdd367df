#pragma once

#include <cctype>
#include <cstddef>
#include <string>
#include <vector>

namespace support {

/// What is wrong with a page of HTML that is written as XML is: a tag that is not closed, or closed by another, an
/// attribute without quotes, `&` or `<` that begin nothing. Empty where nothing is.
inline std::string flaw_of_markup(const std::string& text) {
  std::vector<std::string> open;
  const std::string doctype = "<!DOCTYPE html>";
  for (std::size_t k = text.compare(0, doctype.size(), doctype) == 0 ? doctype.size() : 0; k < text.size(); ++k) {
    const std::string here = "at " + std::to_string(k) + ": '" + text.substr(k, 30) + "'";
    if (text[k] == '&') {
      const std::size_t end = text.find(';', k);
      const std::string name = text.substr(k + 1, end == std::string::npos ? 0 : end - k - 1);
      if (name != "amp" && name != "lt" && name != "gt" && name != "quot") return "no entity " + here;
    }
    if (text[k] == '>') return "no tag to end " + here;
    if (text[k] != '<') continue;
    const bool closes = k + 1 < text.size() && text[k + 1] == '/';
    std::size_t end = k + (closes ? 2 : 1);
    std::string name;
    while (end < text.size() && std::isalnum(static_cast<unsigned char>(text[end])) != 0) name += text[end++];
    if (name.empty()) return "no tag " + here;
    bool quoted = false;
    for (; end < text.size() && (quoted || text[end] != '>'); ++end) {
      if (text[end] == '<') return "'<' within a tag " + here;
      if (text[end] == '"') quoted = !quoted;
      if (!quoted && text[end] == '=' && (end + 1 >= text.size() || text[end + 1] != '"')) return "no quotes " + here;
    }
    if (end >= text.size()) return "a tag without an end " + here;
    if (closes) {
      if (open.empty() || open.back() != name) return "closes what is not open " + here;
      open.pop_back();
    } else if (text[end - 1] != '/') {
      open.push_back(name);
    }
    k = end;
  }
  return open.empty() ? "" : "never closed: " + open.back();
}

}  // namespace support
