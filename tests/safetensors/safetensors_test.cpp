// Files made by hand, byte by byte: what the reader must take, and what it must refuse with one sentence.

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include <qaf/io/safetensors.hpp>

#include "safetensors/file.hpp"
#include "support/catch.hpp"

namespace {

namespace fs = std::filesystem;
using qaf::Index;
using support::File;
using support::file_bytes;
using support::little_endian;

std::string tensor_text(const std::string& name, const std::string& dtype, const std::string& shape,
                        const std::string& offsets) {
  return "\"" + name + "\": {\"dtype\": \"" + dtype + "\", \"shape\": [" + shape + "], \"data_offsets\": [" + offsets +
         "]}";
}

/// A file with the one tensor "x".
std::string one_tensor(const std::string& dtype, const std::string& shape, const std::string& data) {
  return file_bytes("{" + tensor_text("x", dtype, shape, "0, " + std::to_string(data.size())) + "}", data);
}

template <typename Scalar>
std::vector<Scalar> entries(const qaf::DenseTensor<Scalar>& tensor) {
  return {tensor.data(), tensor.data() + tensor.size()};
}

template <typename Scalar>
std::vector<Scalar> entries_of_x(const std::string& bytes) {
  return entries(qaf::read_safetensors<Scalar>(File(bytes).path(), "x"));
}

/// The sentence, without the path, with which reading "x" fails; "" where it does not.
template <typename Scalar = float>
std::string error_of(const std::string& bytes, const std::string& name = "x") {
  const File file(bytes);
  try {
    qaf::read_safetensors<Scalar>(file.path(), name);
  } catch (const qaf::IoError& error) {
    const std::string start = file.path() + ": ";
    const std::string text = error.what();
    CHECK(text.compare(0, start.size(), start) == 0);
    CHECK(error.path() == file.path());
    const bool ends_with_offset = text.find("(at byte " + std::to_string(error.offset()) + ")") != std::string::npos;
    CHECK(ends_with_offset == (error.offset() >= 0));
    return text.substr(start.size());
  }
  return "";
}

/// As `error_of`, for a header and data of 8 bytes.
std::string header_error(const std::string& header) { return error_of(file_bytes(header, "01234567")); }

}  // namespace

TEST_CASE("safetensors: the tensors of a file are listed in the order of their data") {
  const std::string header = "{\"__metadata__\": {\"format\": \"pt\"}, " + tensor_text("b", "F32", "2, 1", "2, 10") +
                             ", " + tensor_text("empty", "I64", "3, 0", "2, 2") + ", " +
                             tensor_text("number", "F64", "", "10, 18") + ", " + tensor_text("a", "U8", "2", "0, 2") +
                             "}   ";
  const File file(file_bytes(header, std::string(18, '\0')));
  const std::vector<qaf::SafetensorsEntry> list = qaf::list_safetensors(file.path());
  REQUIRE(list.size() == 4);
  const long long data = 8 + static_cast<long long>(header.size());
  CHECK(list[0].name == "a");
  CHECK(list[0].dtype == "U8");
  CHECK(list[0].begin == data);
  CHECK(list[1].name == "empty");
  CHECK(list[1].begin == list[1].end);
  CHECK(list[2].name == "b");
  CHECK(list[2].dimensions == std::vector<qaf::Index>{2, 1});
  CHECK(list[2].begin == data + 2);
  CHECK(list[2].end == data + 10);
  CHECK(list[3].name == "number");
  CHECK(list[3].dimensions.empty());
  CHECK(qaf::read_safetensors<double>(file.path(), "number").size() == 1);
  CHECK(qaf::read_safetensors<std::int64_t>(file.path(), "empty").dimensions() == std::vector<qaf::Index>{3, 0});
}

TEST_CASE("safetensors: a file may have no tensors") {
  CHECK(qaf::list_safetensors(File(file_bytes("{}", "")).path()).empty());
}

TEST_CASE("safetensors: entries are read row-major, from where they lie") {
  const std::string data = little_endian(0x3f800000, 4) + little_endian(0xc0000000, 4) + little_endian(0x3e800000, 4) +
                           little_endian(0x7f7fffff, 4) + little_endian(0x00000001, 4) + little_endian(0x80000000, 4);
  const std::string header =
      "{" + tensor_text("before", "U8", "3", "0, 3") + ", " + tensor_text("x", "F32", "2, 3", "3, 27") + "}";
  const File file(file_bytes(header, "abc" + data));
  const auto tensor = qaf::read_safetensors<float>(file.path(), "x");
  CHECK(tensor.storage_order() == qaf::StorageOrder::row_major);
  CHECK(tensor.dimensions() == std::vector<qaf::Index>{2, 3});
  using Limits = std::numeric_limits<float>;
  CHECK(entries(tensor) == std::vector<float>{1, -2, 0.25F, Limits::max(), Limits::denorm_min(), 0});
  CHECK(std::signbit(tensor.data()[5]));
  CHECK(entries(qaf::read_safetensors<std::uint8_t>(file.path(), "before")) ==
        std::vector<std::uint8_t>{'a', 'b', 'c'});
}

TEST_CASE("safetensors: a tensor of more entries than one block is read whole") {
  const std::uint64_t count = 20001;
  std::string data;
  for (std::uint64_t k = 0; k < count; ++k) data += little_endian(k, 4);
  const std::string offsets = ", " + std::to_string(4 * count);
  const std::string header =
      "{" + tensor_text("before", "U32", std::to_string(count), "0" + offsets) + ", " +
      tensor_text("x", "U32", std::to_string(count), std::to_string(4 * count) + ", " + std::to_string(8 * count)) +
      "}";
  const std::vector<std::uint32_t> read = entries_of_x<std::uint32_t>(file_bytes(header, data + data));
  REQUIRE(read.size() == count);
  for (std::uint32_t k = 0; k < count; ++k) REQUIRE(read[k] == k);
}

TEST_CASE("safetensors: numbers of 16 bits become float or double") {
  // 1, -2, the largest, the least normal, the least subnormal, infinity
  std::string half, brain;
  for (const unsigned bits : {0x3c00U, 0xc000U, 0x7bffU, 0x0400U, 0x0001U, 0x7c00U}) half += little_endian(bits, 2);
  const std::vector<float> expected = {1, -2, 65504, 0x1p-14F, 0x1p-24F, std::numeric_limits<float>::infinity()};
  CHECK(entries_of_x<float>(one_tensor("F16", "6", half)) == expected);
  CHECK(entries_of_x<double>(one_tensor("F16", "6", half)) == std::vector<double>(expected.begin(), expected.end()));
  for (const unsigned bits : {0x3f80U, 0xc000U, 0x3f81U, 0x0080U, 0xff80U}) brain += little_endian(bits, 2);
  CHECK(entries_of_x<float>(one_tensor("BF16", "5", brain)) ==
        std::vector<float>{1, -2, 1.0078125F, 0x1p-126F, -std::numeric_limits<float>::infinity()});
  CHECK(error_of<std::int32_t>(one_tensor("F16", "6", half)).find("F16 entries, which int32 cannot hold") !=
        std::string::npos);
}

TEMPLATE_TEST_CASE("safetensors: integers of every size are read", "", std::int8_t, std::int16_t, std::int32_t,
                   std::int64_t, std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t) {
  using Limits = std::numeric_limits<TestType>;
  constexpr int bytes = sizeof(TestType);
  const std::string dtype = (std::is_signed_v<TestType> ? "I" : "U") + std::to_string(8 * bytes);
  std::string data;
  for (const TestType value : {Limits::min(), Limits::max(), TestType{5}})
    data += little_endian(static_cast<std::uint64_t>(value), bytes);
  const std::string file = one_tensor(dtype, "3", data);
  CHECK(entries_of_x<TestType>(file) == std::vector<TestType>{Limits::min(), Limits::max(), 5});
  CHECK(error_of<float>(file).empty() == (bytes <= 2));
  CHECK(error_of<double>(file).empty() == (bytes <= 4));
}

TEST_CASE("safetensors: types are converted only where every value fits") {
  const std::string wide = one_tensor("F64", "1", little_endian(0x3ff8000000000000, 8));
  CHECK(entries_of_x<double>(wide) == std::vector<double>{1.5});
  CHECK(error_of<float>(wide).find("the tensor 'x' holds F64 entries, which float32 cannot hold without loss") == 0);
  const std::string narrow = one_tensor("U8", "1", "\xff");
  CHECK(entries_of_x<std::int16_t>(narrow) == std::vector<std::int16_t>{255});
  CHECK(error_of<std::int8_t>(narrow).find("U8 entries, which int8") != std::string::npos);
}

TEST_CASE("safetensors: types that are not read are listed, and do not spoil the others") {
  const std::string header = "{" + tensor_text("flags", "BOOL", "2", "0, 2") + ", " +
                             tensor_text("small", "F8_E4M3", "1", "2, 3") + ", " +
                             tensor_text("tiny", "F4", "2", "3, 4") + ", " + tensor_text("x", "I8", "1", "4, 5") + "}";
  const std::string bytes = file_bytes(header, {1, 0, 0, 0, 7});
  CHECK(entries_of_x<std::int8_t>(bytes) == std::vector<std::int8_t>{7});
  for (const char* name : {"flags", "small", "tiny"})
    CHECK(error_of(bytes, name).find("entries; supported are F16, BF16, F32") != std::string::npos);
  CHECK(error_of(one_tensor("F4", "3", "01")).find("1 and a part") != std::string::npos);
}

TEST_CASE("safetensors: a name that the file does not have is refused with some that it has") {
  std::string header = "{";
  for (int k = 0; k < 6; ++k) {
    const std::string number = std::to_string(k);
    header += (k > 0 ? ", " : "") + tensor_text("t" + number, "U8", "1", number + ", " + std::to_string(k + 1));
  }
  CHECK(error_of(file_bytes(header + "}", "012345")) == "has no tensor 'x'; it has 't0', 't1', 't2', 't3' and 2 more");
  CHECK(error_of(file_bytes("{}", "")) == "has no tensor 'x'; it has none");
  // Metadata are no tensor.
  CHECK(error_of(file_bytes("{\"__metadata__\": {}}", ""), "__metadata__").find("has no tensor") == 0);
}

TEST_CASE("safetensors: a header that the file does not hold is refused before anything is allocated") {
  CHECK(error_of("").find("is truncated: the length of the header needs 8 bytes, 0 are left") == 0);
  CHECK(error_of("1234567").find("is truncated: the length of the header needs 8 bytes, 7 are left") == 0);
  CHECK(error_of(little_endian(3, 8) + "{}") == "is truncated: the header needs 3 bytes, 2 are left (at byte 8)");
  const std::string most = error_of(little_endian(100000001, 8) + "{}");
  CHECK(most.find("its header would have 100000001 bytes, more than the 100000000") != std::string::npos);
  CHECK(error_of(std::string(8, '\xff') + "{}").find("would have 18446744073709551615 bytes") != std::string::npos);
}

TEST_CASE("safetensors: a header that is no JSON object of tensors is refused") {
  struct Case {
    std::string header, words;
  };
  const std::string x = "\"x\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]}";
  const std::vector<Case> cases = {
      {"", "the header is not valid JSON (at byte 8)"},
      {"{" + x, "the header is not valid JSON"},
      {"{" + x + "} x", "the header is not valid JSON"},
      {"{" + x + ",}", "the header is not valid JSON"},
      {"{\"\xff\": 1}", "the header is not valid JSON"},
      {" {" + x + "}", "the header does not begin with '{'"},
      {"\xef\xbb\xbf{" + x + "}", "the header does not begin with '{'"},
      {"{" + x + "}" + std::string(1, '\0') + "...", "the header is not valid JSON"},
      {"{" + x + ", // comment\n\"y\": 1}", "the header is not valid JSON"},
      {"[1]", "the header is not a JSON object"},
      {"null", "the header is not a JSON object"},
      {"{\"x\": 3}", "the tensor 'x' must be an object, got number"},
      {"{\"x\": []}", "the tensor 'x' must be an object, got array"},
      {"{\"x\": {\"shape\": [2], \"data_offsets\": [0, 8]}}", "the tensor 'x' lacks its dtype"},
      {"{\"x\": {\"dtype\": \"F32\", \"data_offsets\": [0, 8]}}", "the tensor 'x' lacks its shape"},
      {"{\"x\": {\"dtype\": \"F32\", \"shape\": [2]}}", "the tensor 'x' lacks its data_offsets"},
      {"{\"x\": {\"dtype\": 32, \"shape\": [2], \"data_offsets\": [0, 8]}}", "must have a text as its dtype"},
      {"{\"x\": {\"dtype\": \"F32\", \"shape\": 2, \"data_offsets\": [0, 8]}}", "must have a list as its shape"},
      {"{\"x\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": {}}}", "must have a list as its data_offsets"},
      {"{" + tensor_text("x", "F32", "-2", "0, 8") + "}",
       "must have integers from 0 to " + std::to_string(std::numeric_limits<Index>::max())},
      {"{" + tensor_text("x", "F32", "2.0", "0, 8") + "}", "in its shape"},
      {"{" + tensor_text("x", "F32", "\"2\"", "0, 8") + "}", "in its shape"},
      {"{" + tensor_text("x", "F32", "9223372036854775808", "0, 8") + "}", "in its shape"},
      {"{" + tensor_text("x", "F32", "99999999999999999999", "0, 8") + "}", "in its shape"},
      {"{" + tensor_text("x", "F32", "2", "0, -8") + "}", "in its data_offsets"},
      {"{" + tensor_text("x", "F32", "2", "8") + "}", "must have two data_offsets, got 1"},
      {"{" + tensor_text("x", "F32", "2", "0, 4, 8") + "}", "must have two data_offsets, got 3"},
      {"{" + tensor_text("x", "F33", "2", "0, 8") + "}", "has the unknown dtype 'F33'"},
      {"{\"__metadata__\": [], " + x + "}", "__metadata__ must be an object of texts"},
      {"{\"__metadata__\": {\"a\": 1}, " + x + "}", "__metadata__ must be an object of texts"},
      {"{" + x + ", " + x + "}", "the header has the key 'x' twice"},
      {"{" + x + ", \"\\u0078\": 1}", "the header has the key 'x' twice"},
      {"{\"__metadata__\": {}, " + x + ", \"__metadata__\": {}}", "the header has the key '__metadata__' twice"},
      {"{\"__metadata__\": {\"a\": \"\", \"a\": \"\"}, " + x + "}", "the header has the key 'a' twice"},
      {"{" + tensor_text("x", "F32", "1e0", "0, 8") + "}", "in its shape"},
      {"{" + tensor_text("x", "F32", "-0", "0, 8") + "}", "in its shape"},
      {"{" + tensor_text("x", "F32", "true", "0, 8") + "}", "in its shape"},
      {"{" + tensor_text("x", "F32", "2", "18446744073709551615, 18446744073709551615") + "}", "in its data_offsets"},
      {"{" + tensor_text("x", "", "2", "0, 8") + "}", "has the unknown dtype ''"},
      {"{" + tensor_text("x", "f32", "2", "0, 8") + "}", "has the unknown dtype 'f32'"},
      {"{\"__metadata__\": null, " + x + "}", "__metadata__ must be an object of texts"},
      {"{\"x\": {\"dtype\": \"F64\", \"shape\": [2], \"dtype\": \"F32\", \"data_offsets\": [0, 8]}}",
       "the header has the key 'dtype' twice"},
      {"{" + tensor_text("x", "F32", "[2]", "0, 8") + "}", "nested deeper than 3"},
      {"{\"__metadata__\": {\"a\": {\"b\": {}}}}", "nested deeper than 3"},
      {std::string(100000, '[') + std::string(100000, ']'), "the header is not a JSON object"},
  };
  for (const Case& c : cases) {
    const std::string error = header_error(c.header);
    INFO(c.header.substr(0, 200) << ": " << error);
    CHECK(error.find(c.words) != std::string::npos);
    CHECK(error.find("(at byte 8)") != std::string::npos);
  }
  CHECK(header_error("{" + x + "}").empty());
}

TEST_CASE("safetensors: objects of the same keys are no key twice") {
  const std::string header = "{" + tensor_text("dtype", "U8", "4", "0, 4") + ", " +
                             tensor_text("x", "U8", "4", "4, 8") +
                             ", \"__metadata__\": {\"x\": \"x\", \"dtype\": \"\"}}";
  CHECK(header_error(header).empty());
}

TEST_CASE("safetensors: tensors whose data are not where they must be are refused") {
  struct Case {
    std::string tensors, words;
  };
  const std::string first = tensor_text("a", "U8", "3", "0, 3");
  constexpr Index largest = std::numeric_limits<Index>::max();
  const std::string huge = std::to_string(Index{1} << (4 * sizeof(Index)));
  const std::vector<Case> cases = {
      {tensor_text("x", "F32", "2", "8, 0"), "end at 0, before they begin at 8"},
      {tensor_text("x", "F32", "2", "0, 12"), "has data_offsets up to 12, the file has 8 bytes of data"},
      {tensor_text("x", "F32", "2", std::to_string(largest - 8) + ", " + std::to_string(largest)),
       "the file has 8 bytes of data"},
      {tensor_text("x", "F32", "3", "0, 8"), "over 8 bytes, its 3 entries of type F32 take 12"},
      {tensor_text("x", "F32", "", "0, 8"), "take 4"},
      {tensor_text("x", "F32", "0, 2", "0, 8"), "its 0 x 2 entries of type F32 take 0"},
      {tensor_text("x", "F32", huge + ", " + huge, "0, 8"), "more entries than an index can count"},
      {tensor_text("x", "F32", huge + ", " + huge + ", 0", "0, 0"), "more entries than an index can count"},
      // With 32-bit indices the bits of a tensor can be counted, whatever its size.
      {tensor_text("x", "F32", std::to_string(largest / 2 + 3), "0, 8"),
       sizeof(Index) > 4 ? "more entries than an index can count" : "entries of type F32 take"},
      {first + ", " + tensor_text("x", "U8", "6", "2, 8"), "the tensor 'x' overlaps with the one before it"},
      {first + ", " + tensor_text("x", "U8", "3", "0, 3"), "overlaps with the one before it"},
      {first + ", " + tensor_text("x", "U8", "4", "4, 8"), "has a hole of 1 bytes in its data before the tensor 'x'"},
      {tensor_text("x", "U8", "5", "3, 8"), "has a hole of 3 bytes in its data before the tensor 'x'"},
      {first + ", " + tensor_text("x", "U8", "4", "3, 7"), "has 1 bytes of data behind the last tensor"},
      {"", "has 8 bytes of data behind the last tensor"},
  };
  for (const Case& c : cases) {
    const std::string error = header_error("{" + c.tensors + "}");
    INFO(c.tensors << ": " << error);
    CHECK(error.find(c.words) != std::string::npos);
  }
  CHECK(header_error("{" + first + ", " + tensor_text("x", "U8", "5", "3, 8") + "}").empty());
}

TEST_CASE("safetensors: time grows with a header's length, not with its square") {
  // With a scan of all tensors after each, these would take minutes.
  std::string flaws = "{", tensors = "{";
  for (int k = 0; k < 200000; ++k) {
    const std::string name = std::to_string(k);
    flaws += "\"" + name + "\": {},";
    tensors += (k > 0 ? "," : "") + tensor_text(name, "U8", "0", "0, 0");
  }
  CHECK(error_of(file_bytes(flaws + "\"x\": {}}", "")).find("lacks its dtype") != std::string::npos);
  CHECK(qaf::list_safetensors(File(file_bytes(tensors + "}", "")).path()).size() == 200000);
  CHECK(header_error(flaws + "\"x\": [[[]]]}").find("nested deeper than 3") != std::string::npos);
}

TEST_CASE("safetensors: a tensor may have many modes") {
  std::string ones = "1";
  for (int k = 1; k < 1000; ++k) ones += ", 1";
  const std::string bytes = one_tensor("U8", ones, "a");
  CHECK(qaf::read_safetensors<std::uint8_t>(File(bytes).path(), "x").order() == 1000);
  CHECK(error_of(one_tensor("U8", ones + ", 2", "a")).find("entries of type U8 take 2") != std::string::npos);
}

TEST_CASE("safetensors: metadata are read") {
  const File file(file_bytes("{\"__metadata__\": {\"format\": \"pt\", \"\": \"\\u00e9\"}}", ""));
  CHECK(qaf::read_safetensors_metadata(file.path()) ==
        std::map<std::string, std::string>{{"", "\xc3\xa9"}, {"format", "pt"}});
  CHECK(qaf::read_safetensors_metadata(File(file_bytes("{}", "")).path()).empty());
}

TEST_CASE("safetensors: of a file cut off anywhere nothing is read") {
  const std::string bytes = one_tensor("F32", "2", std::string(8, '\0'));
  for (std::size_t length = 0; length < bytes.size(); ++length) CHECK(!error_of(bytes.substr(0, length)).empty());
  CHECK(error_of(bytes).empty());
}

TEST_CASE("safetensors: what is no regular file is not read") {
  CHECK_THROWS_AS(qaf::list_safetensors(fs::temp_directory_path().string()), qaf::IoError);
  CHECK_THROWS_AS(qaf::list_safetensors("no such file"), qaf::IoError);
}
