#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <iterator>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <qaf/error.hpp>
#include <qaf/io/detail/file.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// The entry types of `.npy` files that are read and written, under numpy's names.
enum class NpyType { float32, float64, int8, int16, int32, int64, uint8, uint16, uint32, uint64 };

/// What a `.npy` file says about its entries.
struct NpyHeader {
  NpyType type = NpyType::float64;                       ///< of an entry
  std::vector<Index> dimensions;                         ///< none for a single number, numpy's shape ()
  StorageOrder storage_order = StorageOrder::row_major;  ///< column_major where numpy says fortran_order
  bool big_endian = false;                               ///< the most significant byte of an entry comes first
  long long data_offset = 0;                             ///< the byte at which the entries begin
};

namespace detail::npy {

// Code: as in a header, the kind and the bytes of an entry.
struct TypeText {
  const char* name;
  const char* code;
};

// In the order of `NpyType`.
inline constexpr TypeText type_texts[] = {{"float32", "f4"}, {"float64", "f8"}, {"int8", "i1"},  {"int16", "i2"},
                                          {"int32", "i4"},   {"int64", "i8"},   {"uint8", "u1"}, {"uint16", "u2"},
                                          {"uint32", "u4"},  {"uint64", "u8"}};
inline constexpr std::size_t type_count = std::size(type_texts);

inline constexpr char magic[] = "\x93NUMPY";
inline constexpr std::size_t magic_size = sizeof(magic) - 1;

constexpr const TypeText& type_text(NpyType type) { return type_texts[static_cast<std::size_t>(type)]; }

constexpr Index entry_bytes(NpyType type) { return type_text(type).code[1] - '0'; }

/// A name for the entries that `descr` ("<f2") stands for, which are none of ours.
inline std::string refused_type_text(const std::string& descr) {
  const char kind = descr.size() > 1 ? descr[1] : '?';
  int bytes = 0;
  if (descr.size() > 2 && descr.size() < 6) std::from_chars(&descr[2], descr.data() + descr.size(), bytes);
  if (kind == 'f') return "float" + std::to_string(8 * bytes);
  if (kind == 'c') return "complex" + std::to_string(8 * bytes);
  constexpr TypeText others[] = {
      {"bool", "b"},  {"python objects", "O"},   {"byte strings", "S"}, {"unicode strings", "U"},
      {"dates", "M"}, {"time differences", "m"}, {"raw bytes", "V"}};
  for (const TypeText& other : others)
    if (kind == other.code[0]) return other.name;
  return "an unknown type";
}

/// Reads the python dict in a header, as numpy writes it: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
class HeaderParser {
 public:
  /// `text` is found at byte `offset` of the file.
  HeaderParser(std::string path, std::string text, long long offset)
      : path_(std::move(path)), text_(std::move(text)), offset_(offset) {}

  NpyHeader parse() {
    if (!accept('{')) fail("the header is not a python dict");
    while (!accept('}')) {
      parse_item();
      if (!accept(',') && next() != '}') fail("',' or '}' expected after a value in the header");
    }
    next();
    if (position_ != text_.size()) fail("the header goes on after its dict");
    for (const char* key : {"descr", "fortran_order", "shape"})
      if (!has_seen(key)) fail("the header lacks the key '", key, "'");
    return header_;
  }

 private:
  void parse_item() {
    const std::string key = parse_string("a key");
    if (has_seen(key)) fail("the header has the key '", printable(key), "' twice");
    seen_.push_back(key);
    if (!accept(':')) fail("':' expected after the key '", printable(key), "'");
    if (key == "descr") return parse_type();
    if (key == "fortran_order") return parse_storage_order();
    if (key == "shape") return parse_shape();
    fail("the header has the unknown key '", printable(key), "'");
  }

  void parse_type() {
    if (next() == '[' || next() == '(') fail_type("structured");
    const std::string descr = parse_string("the value of descr");
    for (std::size_t k = 0; k < type_count; ++k) {
      const NpyType type = static_cast<NpyType>(k);
      const bool has_byte_order = descr[0] == '<' || descr[0] == '>' || (descr[0] == '|' && entry_bytes(type) == 1);
      if (!has_byte_order || descr.compare(1, std::string::npos, type_texts[k].code) != 0) continue;
      header_.type = type;
      header_.big_endian = descr[0] == '>';
      return;
    }
    fail_type(concatenate(refused_type_text(descr), " ('", printable(descr), "')"));
  }

  void parse_storage_order() {
    next();
    if (accept_word("False"))
      header_.storage_order = StorageOrder::row_major;
    else if (accept_word("True"))
      header_.storage_order = StorageOrder::column_major;
    else
      fail("the value of fortran_order is neither True nor False");
  }

  void parse_shape() {
    if (!accept('(')) fail("the shape is not a tuple");
    while (!accept(')')) {
      header_.dimensions.push_back(parse_size());
      const bool comma = accept(',');
      // To python (3) is a number, (3,) a tuple.
      if (!comma && (next() != ')' || header_.dimensions.size() == 1)) fail("',' expected after a size in the shape");
    }
  }

  Index parse_size() {
    if (next() == '-') fail("the shape has a negative size");
    if (!next_is_digit()) fail("the shape must hold integers only");
    Index size = 0;
    for (; next_is_digit(); ++position_) {
      const Index digit = text_[position_] - '0';
      if (size > (std::numeric_limits<Index>::max() - digit) / 10) fail("the shape has a size that no index can hold");
      size = 10 * size + digit;
    }
    accept_word("L");  // a long of python 2
    return size;
  }

  std::string parse_string(const char* what) {
    const char quote = next();
    if (quote != '\'' && quote != '"') fail(what, " in quotes expected in the header");
    const std::size_t end = text_.find(quote, position_ + 1);
    if (end == std::string::npos) fail("the header has a string without an end");
    std::string content = text_.substr(position_ + 1, end - position_ - 1);
    position_ = end + 1;
    return content;
  }

  /// The next character that is not white space, 0 at the end.
  char next() {
    position_ = std::min(text_.find_first_not_of(" \t\r\n", position_), text_.size());
    return position_ < text_.size() ? text_[position_] : '\0';
  }

  bool next_is_digit() const { return position_ < text_.size() && text_[position_] >= '0' && text_[position_] <= '9'; }

  bool accept(char expected) {
    if (next() != expected) return false;
    ++position_;
    return true;
  }

  bool accept_word(const std::string& word) {
    if (text_.compare(position_, word.size(), word) != 0) return false;
    position_ += word.size();
    return true;
  }

  bool has_seen(const std::string& key) const { return std::find(seen_.begin(), seen_.end(), key) != seen_.end(); }

  template <typename... Parts>
  [[noreturn]] void fail(const Parts&... sentence) const {
    fail_io(path_, offset_ + static_cast<long long>(position_), sentence...);
  }

  [[noreturn]] void fail_type(const std::string& type) const {
    fail("the entries are ", type, "; supported are float32, float64, int8 to int64 and uint8 to uint64");
  }

  std::string path_;
  std::string text_;
  long long offset_;
  std::size_t position_ = 0;
  std::vector<std::string> seen_;
  NpyHeader header_;
};

/// What numpy writes as fortran_order: not for an array whose entries lie the same way in either order.
inline bool is_fortran_order(const std::vector<Index>& dimensions, StorageOrder storage_order) {
  const auto takes_steps = [](Index size) { return size != 1; };
  const bool is_empty = std::find(dimensions.begin(), dimensions.end(), 0) != dimensions.end();
  return storage_order == StorageOrder::column_major && !is_empty &&
         std::count_if(dimensions.begin(), dimensions.end(), takes_steps) > 1;
}

/// What stands before the entries in a file, as numpy 1.24 writes it.
inline std::string header_bytes(NpyType type, const std::vector<Index>& dimensions, StorageOrder storage_order) {
  const bool fortran_order = is_fortran_order(dimensions, storage_order);
  std::string shape;
  for (const Index size : dimensions) shape += (shape.empty() ? "" : ", ") + std::to_string(size);
  if (dimensions.size() == 1) shape += ",";

  std::string dict =
      concatenate("{'descr': '", entry_bytes(type) == 1 ? "|" : "<", type_text(type).code,
                  "', 'fortran_order': ", fortran_order ? "True" : "False", ", 'shape': (", shape, "), }");
  // Room for the slowest mode to grow to any size of 64 bits, should rows be appended to the file.
  constexpr std::size_t most_digits = 21;
  if (!dimensions.empty())
    dict.append(most_digits - std::to_string(fortran_order ? dimensions.back() : dimensions.front()).size(), ' ');

  // One to 64 spaces and a line end take the entries to a multiple of 64 bytes.
  const auto padded_length = [&](std::size_t prefix) { return (prefix + dict.size() + 1) / 64 * 64 + 64 - prefix; };
  const bool fits_version_1 = padded_length(magic_size + 4) <= 0xffff;
  const std::size_t length_bytes = fits_version_1 ? 2 : 4;
  const std::size_t length = padded_length(magic_size + 2 + length_bytes);
  dict.resize(length - 1, ' ');

  std::string bytes = magic;
  bytes += {fits_version_1 ? '\1' : '\2', '\0'};
  for (std::size_t k = 0; k < length_bytes; ++k) bytes += static_cast<char>(length >> (8 * k) & 0xff);
  return bytes + dict + "\n";
}

}  // namespace detail::npy
}  // namespace qaf
