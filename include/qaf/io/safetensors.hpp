#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include <Eigen/Core>
#include <nlohmann/json.hpp>

#include <qaf/dense_tensor.hpp>
#include <qaf/detail/file.hpp>
#include <qaf/error.hpp>
#include <qaf/io/npy.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// What a safetensors file says about one of its tensors.
struct SafetensorsEntry {
  std::string name;
  std::string dtype;              ///< the type of the entries as the file names it: "F32", "BF16", "I8" ...
  std::vector<Index> dimensions;  ///< none for a single number; the entries lie row-major
  long long begin = 0;            ///< the byte of the file at which the entries begin
  long long end = 0;              ///< the byte behind the last entry
};

namespace detail::safetensors {

inline constexpr long long length_bytes = 8;
inline constexpr unsigned long long longest_header = 100000000;  // the limit of the format's own reader

struct Dtype {
  const char* name;
  Index bits;
};

// All that the format has had so far: a file may hold tensors that are not read here beside others.
inline constexpr Dtype dtypes[] = {{"F64", 64}, {"F32", 32},    {"F16", 16},    {"BF16", 16},   {"I64", 64},
                                   {"I32", 32}, {"I16", 16},    {"I8", 8},      {"U64", 64},    {"U32", 32},
                                   {"U16", 16}, {"U8", 8},      {"BOOL", 8},    {"C64", 64},    {"F8_E4M3", 8},
                                   {"F4", 4},   {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}};

/// The bits of an entry, 0 for a type that is not known.
inline Index bits_of(const std::string& dtype) {
  for (const Dtype& known : dtypes)
    if (dtype == known.name) return known.bits;
  return 0;
}

/// What stands for the types that are not read.
struct Unreadable {};

/// Calls `function` with a zero of the C++ type that `dtype` stands for.
template <typename Function>
auto with_stored_type(const std::string& dtype, Function function) {
  if (dtype == "F32") return function(float{});
  if (dtype == "F64") return function(double{});
  if (dtype == "F16") return function(Eigen::half{});
  if (dtype == "BF16") return function(Eigen::bfloat16{});
  if (dtype == "I8") return function(std::int8_t{});
  if (dtype == "I16") return function(std::int16_t{});
  if (dtype == "I32") return function(std::int32_t{});
  if (dtype == "I64") return function(std::int64_t{});
  if (dtype == "U8") return function(std::uint8_t{});
  if (dtype == "U16") return function(std::uint16_t{});
  if (dtype == "U32") return function(std::uint32_t{});
  if (dtype == "U64") return function(std::uint64_t{});
  return function(Unreadable{});
}

/// Reads the JSON object in a header:
/// {"__metadata__": {...}, "name": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}, ...}.
class HeaderParser {
 public:
  /// The file stands behind the header, at the first byte of data.
  explicit HeaderParser(const InputFile& file)
      : path_(file.path()), data_begin_(file.position()), data_bytes_(file.remaining()) {}

  std::vector<SafetensorsEntry> parse(const std::string& text) {
    const Json header = parse_json(text);
    std::vector<SafetensorsEntry> entries;
    for (auto item = header.begin(); item != header.end(); ++item) {
      if (item.key() == "__metadata__")
        check_metadata(item.value());
      else
        entries.push_back(parse_entry(item.key(), item.value()));
    }
    check_places(entries);
    return entries;
  }

 private:
  using Json = nlohmann::json;
  using Event = Json::parse_event_t;

  Json parse_json(const std::string& text) {
    const auto see = [this](int depth, Event event, const Json& part) { return see_part(depth, event, part); };
    Json header = Json::parse(text, see, false);
    if (header.is_discarded()) fail("the header is not valid JSON");
    if (!header.is_object()) fail("the header is not a JSON object");
    if (has_deep_part_) fail("the header has lists or objects nested deeper than a tensor's shape");
    if (has_key_twice_) fail("the header has the key '", printable(key_twice_), "' twice in one object");
    return header;
  }

  /// Sees every part of the header as it is parsed: notes what the finished object does not tell, and
  /// drops what is nested too deep, which could take far more memory than its text.
  bool see_part(int depth, Event event, const Json& part) {
    constexpr int most_depth = 2;  // header, tensor, shape
    const std::size_t level = static_cast<std::size_t>(depth);
    if (event == Event::object_start || event == Event::array_start) {
      has_deep_part_ = has_deep_part_ || depth > most_depth;
      if (depth <= most_depth) keys_[level].clear();
      return depth <= most_depth;
    }
    if (event == Event::key && depth <= most_depth + 1) {
      const std::string& key = part.get_ref<const std::string&>();
      const bool is_new = keys_[level - 1].insert(key).second;
      if (!is_new) key_twice_ = key;
      has_key_twice_ = has_key_twice_ || !is_new;
    }
    return true;
  }

  void check_metadata(const Json& metadata) const {
    const auto is_text = [](const Json& value) { return value.is_string(); };
    if (!metadata.is_object() || !std::all_of(metadata.begin(), metadata.end(), is_text))
      fail("__metadata__ must be an object of texts");
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
    Index bits = bits_of(entry.dtype);
    if (bits == 0) fail_tensor(entry.name, "has the unknown dtype '", printable(entry.dtype), "'");
    bool is_empty = false;
    for (const Index size : entry.dimensions) {
      is_empty = is_empty || size == 0;
      if (size == 0) continue;
      if (bits > std::numeric_limits<Index>::max() / size)
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
  std::set<std::string> keys_[3];  // of the object that is open at each depth
  std::string key_twice_;
  bool has_key_twice_ = false;
  bool has_deep_part_ = false;
};

/// Leaves the file at the first byte of data.
inline std::vector<SafetensorsEntry> read_header(InputFile& file) {
  unsigned char bytes[length_bytes];
  file.read(bytes, sizeof(bytes), "the length of the header");
  std::uint64_t length = 0;
  for (int k = length_bytes - 1; k >= 0; --k) length = 256 * length + bytes[k];
  if (length > longest_header)
    fail_io(file.path(), 0, "is damaged or no safetensors file: its header would have ", length,
            " bytes, more than the ", longest_header, " that are allowed");
  file.require(static_cast<long long>(length), "the header");
  std::string text(static_cast<std::size_t>(length), ' ');
  file.read(&text[0], text.size(), "the header");
  return HeaderParser(file).parse(text);
}

inline const SafetensorsEntry& find_entry(const std::string& path, const std::vector<SafetensorsEntry>& entries,
                                          const std::string& name) {
  constexpr std::size_t most_named = 4;
  std::string others;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.name == name) return entry;
    const std::size_t position = static_cast<std::size_t>(&entry - entries.data());
    if (position < most_named) others += (others.empty() ? "'" : ", '") + printable(entry.name) + "'";
  }
  if (entries.size() > most_named) others += concatenate(" and ", entries.size() - most_named, " more");
  fail_io(path, -1, "has no tensor '", printable(name), "'; it has ", others.empty() ? "none" : others);
}

/// Goes on to the byte `position` of the file.
inline void skip_to(InputFile& file, long long position) {
  constexpr long long block_size = 65536;
  std::vector<char> block;
  while (file.position() < position) {
    block.resize(static_cast<std::size_t>(std::min(block_size, position - file.position())));
    file.read(block.data(), block.size(), "the data");
  }
}

template <typename Scalar, typename Stored>
Scalar converted(Stored entry) {
  // Eigen's types of 16 bits convert to float and nothing else.
  if constexpr (std::is_arithmetic_v<Stored>)
    return static_cast<Scalar>(entry);
  else
    return static_cast<Scalar>(static_cast<float>(entry));
}

template <typename Stored, typename Scalar>
DenseTensor<Scalar> read_entries(InputFile& file, const SafetensorsEntry& entry) {
  DenseTensor<Scalar> tensor(entry.dimensions, StorageOrder::row_major);
  skip_to(file, entry.begin);
  constexpr Index block_size = 8192;
  std::vector<Stored> block;
  for (Index done = 0; done < tensor.size(); done += block_size) {
    block.resize(static_cast<std::size_t>(std::min(block_size, tensor.size() - done)));
    file.read(block.data(), block.size() * sizeof(Stored), "the data");
    if (host_is_big_endian()) swap_bytes(block);
    std::transform(block.begin(), block.end(), tensor.data() + done, converted<Scalar, Stored>);
  }
  return tensor;
}

}  // namespace detail::safetensors

/// The tensors of a safetensors file, in the order of their data.
/// Errors: `IoError` where the file cannot be read or is no well-formed safetensors file: also where
/// the data of two tensors overlap, or are not all there is behind the header.
/// Memory: a small multiple of the header's, which has at most 100 MB.
inline std::vector<SafetensorsEntry> list_safetensors(const std::string& path) {
  detail::InputFile file(path);
  return detail::safetensors::read_header(file);
}

/// Reads the tensor `name` of a safetensors file, row-major. `Scalar` is the type in the file or one that
/// holds every value of it: float or double for F16 and BF16, double for F32, a wider integer, float for
/// integers of up to 16 bits, double for those of up to 32.
/// Errors: `IoError`, as for `list_safetensors`, also where there is no tensor of this name or it holds
/// another type. Memory: the tensor and 128 KiB; nothing is allocated for entries that the file does not have.
template <typename Scalar>
DenseTensor<Scalar> read_safetensors(const std::string& path, const std::string& name) {
  constexpr NpyType wanted = detail::npy::type_of<Scalar>();
  detail::InputFile file(path);
  const std::vector<SafetensorsEntry> entries = detail::safetensors::read_header(file);
  const SafetensorsEntry& entry = detail::safetensors::find_entry(path, entries, name);
  return detail::safetensors::with_stored_type(entry.dtype, [&](auto zero) -> DenseTensor<Scalar> {
    using Stored = decltype(zero);
    const std::string tensor = "the tensor '" + detail::printable(name) + "'";
    if constexpr (std::is_same_v<Stored, detail::safetensors::Unreadable>)
      detail::fail_io(path, entry.begin, tensor, " holds ", entry.dtype,
                      " entries; supported are F16, BF16, F32, F64, I8 to I64 and U8 to U64");
    else if constexpr (detail::npy::holds_every_value<Stored, Scalar>())
      return detail::safetensors::read_entries<Stored, Scalar>(file, entry);
    else
      detail::fail_io(path, entry.begin, tensor, " holds ", entry.dtype, " entries, which ", to_string(wanted),
                      " cannot hold without loss");
  });
}

}  // namespace qaf
