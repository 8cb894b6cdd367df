#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <qaf/dense_tensor.hpp>
#include <qaf/error.hpp>
#include <qaf/io/detail/file.hpp>
#include <qaf/io/detail/strict_json.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// What a safetensors file says about one of its tensors.
struct SafetensorsEntry {
  std::string name;               ///< in the file
  std::string dtype;              ///< the type of the entries as the file names it: "F32", "BF16", "I8" ...
  std::vector<Index> dimensions;  ///< none for a single number; the entries lie row-major
  long long begin = 0;            ///< the byte of the file at which the entries begin
  long long end = 0;              ///< the byte behind the last entry
};

namespace detail::safetensors {

inline constexpr long long length_bytes = 8;
inline constexpr unsigned long long longest_header = 100000000;  // the limit of the format's own reader
inline constexpr char metadata_key[] = "__metadata__";

struct Dtype {
  const char* name;
  Index bits;
};

// All that the format has had so far, for a file may hold tensors that are not read here beside others. In the order
// of the format's own enumeration (safetensors/src/tensor.rs), by which its writer sorts tensors, the last first.
inline constexpr Dtype dtypes[] = {{"BOOL", 8}, {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
                                   {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16},
                                   {"U16", 16}, {"F16", 16},    {"BF16", 16},   {"I32", 32},    {"U32", 32},
                                   {"F32", 32}, {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}};

/// The number of a type, `std::size(dtypes)` for one that is not known.
inline std::size_t number_of(const std::string& dtype) {
  std::size_t k = 0;
  while (k < std::size(dtypes) && dtype != dtypes[k].name) ++k;
  return k;
}

/// The bits of an entry, 0 for a type that is not known.
inline Index bits_of(const std::string& dtype) {
  const std::size_t number = number_of(dtype);
  return number < std::size(dtypes) ? dtypes[number].bits : 0;
}

/// What stands before the data.
struct Header {
  std::vector<SafetensorsEntry> entries;  ///< in the order of their data
  std::map<std::string, std::string> metadata;
};

/// Reads the JSON object in a header:
/// {"__metadata__": {...}, "name": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}, ...}.
class HeaderParser {
 public:
  /// The file stands behind the header, at the first byte of data.
  explicit HeaderParser(const InputFile& file)
      : path_(file.path()), data_begin_(file.position()), data_bytes_(file.remaining()) {}

  Header parse(const std::string& text) const {
    const Json json = parse_json(text);
    Header header;
    for (auto item = json.begin(); item != json.end(); ++item) {
      if (item.key() == metadata_key)
        header.metadata = parse_metadata(item.value());
      else
        header.entries.push_back(parse_entry(item.key(), item.value()));
    }
    check_places(header.entries);
    return header;
  }

 private:
  using Json = nlohmann::json;

  Json parse_json(const std::string& text) const {
    constexpr int most_depth = 3;  // header, tensor, shape
    ParsedJson parsed = parse_json_object(text, most_depth);
    if (!parsed.flaw.empty()) fail("the header ", parsed.flaw);
    return std::move(parsed.object);
  }

  std::map<std::string, std::string> parse_metadata(const Json& metadata) const {
    const auto is_text = [](const Json& value) { return value.is_string(); };
    if (!metadata.is_object() || !std::all_of(metadata.begin(), metadata.end(), is_text))
      fail("__metadata__ must be an object of texts");
    return metadata.get<std::map<std::string, std::string>>();
  }

  SafetensorsEntry parse_entry(const std::string& name, const Json& fields) const {
    if (!fields.is_object()) fail_tensor(name, "must be an object, got ", fields.type_name());
    SafetensorsEntry entry;
    entry.name = name;
    const Json& dtype = field(name, fields, "dtype");
    if (!dtype.is_string()) fail_tensor(name, "must have a text as its dtype, got ", dtype.type_name());
    entry.dtype = dtype.get_ref<const std::string&>();
    entry.dimensions = numbers(name, fields, "shape");
    const std::vector<Index> offsets = numbers(name, fields, "data_offsets");
    if (offsets.size() != 2) fail_tensor(name, "must have two data_offsets, got ", offsets.size());
    if (offsets[0] > offsets[1])
      fail_tensor(name, "has data_offsets that end at ", offsets[1], ", before they begin at ", offsets[0]);
    if (offsets[1] > data_bytes_)
      fail_tensor(name, "has data_offsets up to ", offsets[1], ", the file has ", data_bytes_, " bytes of data");
    entry.begin = data_begin_ + offsets[0];
    entry.end = data_begin_ + offsets[1];
    check_size(entry);
    return entry;
  }

  const Json& field(const std::string& name, const Json& fields, const char* key) const {
    const auto found = fields.find(key);
    if (found == fields.end()) fail_tensor(name, "lacks its ", key);
    return *found;
  }

  std::vector<Index> numbers(const std::string& name, const Json& fields, const char* key) const {
    constexpr std::uint64_t most = static_cast<std::uint64_t>(std::numeric_limits<Index>::max());
    const Json& list = field(name, fields, key);
    if (!list.is_array()) fail_tensor(name, "must have a list as its ", key, ", got ", list.type_name());
    std::vector<Index> values;
    for (const Json& value : list) {
      if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most)
        fail_tensor(name, "must have integers from 0 to ", most, " in its ", key);
      values.push_back(static_cast<Index>(value.get<std::uint64_t>()));
    }
    return values;
  }

  void check_size(const SafetensorsEntry& entry) const {
    const long long entry_bits = bits_of(entry.dtype);
    long long bits = entry_bits;
    if (bits == 0) fail_tensor(entry.name, "has the unknown dtype '", printable(entry.dtype), "'");
    bool is_empty = false;
    for (const Index size : entry.dimensions) {
      is_empty = is_empty || size == 0;
      if (size == 0) continue;
      if (bits > std::numeric_limits<long long>::max() / size ||
          bits * size / entry_bits > std::numeric_limits<Index>::max())
        fail_tensor(entry.name, "has the shape ", printable(shape_text(entry.dimensions)),
                    ", with more entries than an index can count");
      bits *= size;
    }
    if (is_empty) bits = 0;
    if (bits % 8 != 0 || bits / 8 != entry.end - entry.begin)
      fail_tensor(entry.name, "has data_offsets over ", entry.end - entry.begin, " bytes, its ",
                  printable(shape_text(entry.dimensions)), " entries of type ", entry.dtype, " take ", bits / 8,
                  bits % 8 == 0 ? "" : " and a part");
  }

  /// Brings the tensors into the order of their data, which must lie one behind the other.
  void check_places(std::vector<SafetensorsEntry>& entries) const {
    std::sort(entries.begin(), entries.end(), [](const SafetensorsEntry& one, const SafetensorsEntry& other) {
      return one.begin != other.begin ? one.begin < other.begin : one.end < other.end;
    });
    long long place = data_begin_;
    for (const SafetensorsEntry& entry : entries) {
      const std::string tensor = "the tensor '" + printable(entry.name) + "'";
      if (entry.begin < place) fail_io(path_, entry.begin, tensor, " overlaps with the one before it");
      if (entry.begin > place)
        fail_io(path_, place, "has a hole of ", entry.begin - place, " bytes in its data before ", tensor);
      place = entry.end;
    }
    const long long end = data_begin_ + data_bytes_;
    if (place < end) fail_io(path_, place, "has ", end - place, " bytes of data behind the last tensor");
  }

  template <typename... Parts>
  [[noreturn]] void fail(const Parts&... sentence) const {
    fail_io(path_, length_bytes, sentence...);
  }

  template <typename... Parts>
  [[noreturn]] void fail_tensor(const std::string& name, const Parts&... sentence) const {
    fail("the tensor '", printable(name), "' ", sentence...);
  }

  std::string path_;
  long long data_begin_;
  long long data_bytes_;
};

/// Leaves the file at the first byte of data.
inline Header read_header(InputFile& file) {
  unsigned char bytes[length_bytes];
  file.read(bytes, sizeof(bytes), "the length of the header");
  std::uint64_t length = 0;
  for (int k = length_bytes - 1; k >= 0; --k) length = 256 * length + bytes[k];
  if (length > longest_header)
    fail_io(file.path(), 0, "is damaged or no safetensors file: its header would have ", length,
            " bytes, more than the ", longest_header, " that are allowed");
  file.require(static_cast<long long>(length), "the header");
  std::string text(static_cast<std::size_t>(length), ' ');
  file.read(text.data(), text.size(), "the header");
  return HeaderParser(file).parse(text);
}

/// What stands before the data of tensors that lie as `entries` says, from byte 0 of the data on: byte for byte as the
/// format's own writer has it, but that its texts of metadata come in any order. Spaces take the data to a multiple of
/// 8 bytes. All texts are UTF-8, no two names are the same. Cost: linear.
inline std::string header_bytes(const std::vector<SafetensorsEntry>& entries,
                                const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!metadata.empty()) json[metadata_key] = metadata;
  // Names differ: a search for each among those before would take quadratic time.
  auto& members = json.get_ref<nlohmann::ordered_json::object_t&>();
  members.reserve(entries.size() + 1);
  for (const SafetensorsEntry& entry : entries)
    members.push_back(
        {entry.name,
         {{"dtype", entry.dtype}, {"shape", entry.dimensions}, {"data_offsets", {entry.begin, entry.end}}}});
  std::string text = json.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string bytes;
  const std::uint64_t length = text.size();  // a size may have 32 bits
  for (int k = 0; k < length_bytes; ++k) bytes += static_cast<char>(length >> (8 * k) & 0xff);
  return bytes + text;
}

}  // namespace detail::safetensors
}  // namespace qaf
