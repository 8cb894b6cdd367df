// What is written: the format's own bytes, what the reader reads back, and what is refused.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <qaf/io/safetensors.hpp>

#include "safetensors/file.hpp"
#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"

namespace {

using qaf::Index;
using qaf::NamedTensor;
using qaf::StorageOrder;
using support::File;
using support::file_bytes;
using support::little_endian;

std::string written(const std::vector<NamedTensor>& tensors, const std::map<std::string, std::string>& metadata = {}) {
  const File file;
  qaf::write_safetensors(file.path(), tensors, metadata);
  CHECK(!std::filesystem::exists(file.path() + ".partial"));
  return file.bytes();
}

/// The entries in row-major order.
template <typename Scalar>
std::vector<Scalar> row_major(const qaf::DenseTensor<Scalar>& tensor) {
  const auto same = qaf::with_storage_order(tensor, StorageOrder::row_major);
  return {same.data(), same.data() + same.size()};
}

const float six[] = {0, 1, 2, 3, 4, 5};

std::string bytes_of_six() {
  std::string bytes;
  for (const std::uint32_t bits : {0U, 0x3f800000U, 0x40000000U, 0x40400000U, 0x40800000U, 0x40a00000U})
    bytes += little_endian(bits, 4);
  return bytes;
}

}  // namespace

// The cases of the format's own writer: test_serialization, test_serialization_forced_alignement and test_empty in
// safetensors/src/tensor.rs of github.com/huggingface/safetensors.
TEST_CASE("safetensors: files are byte for byte those of the format's own writer") {
  CHECK(written({{"attn.0", six, {1, 2, 3}}}) ==
        file_bytes(R"({"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}})", bytes_of_six()));
  CHECK(written({{"attn0", six, {1, 1, 2, 3}}}) ==
        file_bytes(R"({"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}}       )", bytes_of_six()));
  CHECK(written({}) == file_bytes("{}      ", ""));
  CHECK(written({}, {{"framework", "pt"}}) == file_bytes(R"({"__metadata__":{"framework":"pt"}}     )", ""));
}

TEST_CASE("safetensors: wider types come first, then names, and every tensor is aligned") {
  const std::uint8_t bytes[3] = {1, 2, 3};
  const std::int16_t shorts[3] = {};
  const std::uint64_t longs[3] = {};
  const double doubles[3] = {};
  const std::vector<NamedTensor> tensors = {
      {"b", bytes, {3}},   {"a", bytes, {3}},   {"half", qaf::Vector<Eigen::half>(3)},
      {"f", six, {3}},     {"s", shorts, {3}},  {"l", longs, {3}},
      {"d", doubles, {3}}, {"number", six, {}}, {"brain", qaf::Vector<Eigen::bfloat16>(3)}};
  const File file;
  qaf::write_safetensors(file.path(), tensors);
  std::string names;
  for (const qaf::SafetensorsEntry& entry : qaf::list_safetensors(file.path())) {
    names += entry.name + " ";
    CHECK(entry.begin % (qaf::detail::safetensors::bits_of(entry.dtype) / 8) == 0);
  }
  CHECK(names == "l d f number brain half s a b ");
  CHECK(row_major(qaf::read_safetensors<std::uint8_t>(file.path(), "b")) == std::vector<std::uint8_t>{1, 2, 3});
  CHECK(row_major(qaf::read_safetensors<float>(file.path(), "number")) == std::vector<float>{0});
}

TEMPLATE_TEST_CASE("safetensors: what is written is read back", "", float, double, std::int8_t, std::int16_t,
                   std::int32_t, std::int64_t, std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t) {
  using Limits = std::numeric_limits<TestType>;
  for (const StorageOrder order : support::both_orders) {
    for (const std::vector<Index>& shape : std::vector<std::vector<Index>>{
             {}, {0}, {3, 0, 2}, {5}, {1, 7}, {3, 4}, {2, 3, 4}, {20, 30, 40}, {2, 1, 3, 2, 2}}) {
      CAPTURE(order, shape);
      qaf::DenseTensor<TestType> tensor(shape, order);
      for (Index k = 0; k < tensor.size(); ++k) tensor.data()[k] = static_cast<TestType>(k % 126);
      if (tensor.size() > 0) tensor.data()[0] = Limits::max();
      if (tensor.size() > 1) tensor.data()[1] = Limits::lowest();
      const File file;
      qaf::write_safetensors(file.path(), {{"x", tensor}, {"y", six, {6}}});
      const auto read = qaf::read_safetensors<TestType>(file.path(), "x");
      CHECK(read.dimensions() == shape);
      CHECK(row_major(read) == row_major(tensor));
      CHECK(row_major(qaf::read_safetensors<float>(file.path(), "y")) == std::vector<float>(six, six + 6));
    }
  }
}

TEST_CASE("safetensors: Eigen's matrices, of both orders, and its vectors") {
  qaf::Matrix<float> matrix(2, 3);
  matrix << 0, 1, 2, 3, 4, 5;
  const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows = matrix;
  const qaf::Vector<float> vector = qaf::Vector<float>::LinSpaced(6, 0, 5);
  const std::string of_pointer = written({{"x", six, {2, 3}}});
  CHECK(written({{"x", matrix}}) == of_pointer);
  CHECK(written({{"x", rows}}) == of_pointer);
  CHECK(written({{"x", vector}}) == written({{"x", six, {6}}}));
}

TEST_CASE("safetensors: a variable is referred to, a temporary taken over") {
  qaf::Matrix<float> matrix = qaf::Matrix<float>::Zero(2, 3);
  qaf::DenseTensor<float> tensor({2, 3});
  std::vector<NamedTensor> tensors = {{"matrix", matrix},
                                      {"tensor", tensor},
                                      {"own matrix", qaf::Matrix<float>(matrix)},
                                      {"own tensor", qaf::DenseTensor<float>(tensor)}};
  const std::vector<NamedTensor> moved = std::move(tensors);
  matrix(0, 1) = 1;
  tensor.data()[2] = 1;
  const File file;
  qaf::write_safetensors(file.path(), moved);
  const std::vector<float> zeros(6), one = {0, 1, 0, 0, 0, 0};
  CHECK(row_major(qaf::read_safetensors<float>(file.path(), "matrix")) == one);
  CHECK(row_major(qaf::read_safetensors<float>(file.path(), "tensor")) == one);
  CHECK(row_major(qaf::read_safetensors<float>(file.path(), "own matrix")) == zeros);
  CHECK(row_major(qaf::read_safetensors<float>(file.path(), "own tensor")) == zeros);
}

TEST_CASE("safetensors: entries are stored as another type, and computed when they are written") {
  const float values[] = {1, -2, 65504, 1.0F + 0x1p-12F};
  const int codes[] = {-128, 127, 0, 5};
  int calls = 0;
  const auto compute = [&] {
    ++calls;
    return std::vector<double>{1, 2, 3, 4};
  };
  const std::vector<NamedTensor> tensors = {
      NamedTensor::stored_as<Eigen::half>("half", values, {4}),
      NamedTensor::stored_as<Eigen::bfloat16>("brain", values, {4}),
      NamedTensor::stored_as<std::int8_t>("codes", codes, {2, 2}, StorageOrder::column_major),
      NamedTensor::computed<double>("computed", {2, 2}, compute)};
  CHECK(calls == 0);
  const File file;
  qaf::write_safetensors(file.path(), tensors);
  CHECK(calls == 1);
  CHECK(row_major(qaf::read_safetensors<float>(file.path(), "half")) == std::vector<float>{1, -2, 65504, 1});
  CHECK(row_major(qaf::read_safetensors<float>(file.path(), "brain")) == std::vector<float>{1, -2, 65536, 1});
  CHECK(row_major(qaf::read_safetensors<std::int8_t>(file.path(), "codes")) ==
        std::vector<std::int8_t>{-128, 0, 127, 5});
  CHECK(row_major(qaf::read_safetensors<double>(file.path(), "computed")) == std::vector<double>{1, 2, 3, 4});
}

TEST_CASE("safetensors: names and metadata may be any UTF-8") {
  const std::string name = "layer \"1\"\\\n\t\x01\x7f \xc3\xa9 \xf0\x9f\x99\x82";
  const File file;
  qaf::write_safetensors(file.path(), {{name, six, {6}}}, {{name, name}, {"", ""}});
  CHECK(qaf::list_safetensors(file.path())[0].name == name);
  CHECK(qaf::read_safetensors_metadata(file.path()) == std::map<std::string, std::string>{{name, name}, {"", ""}});
}

TEST_CASE("safetensors: what cannot be written is told, and leaves no file") {
  const File file;
  const auto error_of = [&](const std::vector<NamedTensor>& tensors, const std::map<std::string, std::string>& texts) {
    std::string error = support::error_text([&] { qaf::write_safetensors(file.path(), tensors, texts); });
    CHECK(!file.exists());
    CHECK(!std::filesystem::exists(file.path() + ".partial"));
    return error;
  };
  const std::string start = "qaf::write_safetensors: ";
  CHECK(error_of({{"", six, {6}}}, {}) == start + "every tensor must have a name, got an empty one");
  CHECK(error_of({{"__metadata__", six, {6}}}, {}) ==
        start + "no tensor can have the name '__metadata__', the format's own");
  CHECK(error_of({{"x", six, {6}}, {"y", six, {6}}, {"x", six, {1}}}, {}) == start + "two tensors have the name 'x'");
  // A byte alone, a sequence cut off, an overlong one, a surrogate, a number past the last.
  for (const char* bad : {"a\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
    CHECK(error_of({{bad, six, {6}}}, {}).find(start + "names must be UTF-8, got '") == 0);
    CHECK(error_of({}, {{"text", bad}}) == start + "metadata must be UTF-8, got other bytes in 'text'");
    CHECK(error_of({}, {{bad, ""}}).find(start + "metadata must be UTF-8") == 0);
  }
  const int codes[] = {1, 128};
  CHECK(error_of({NamedTensor::stored_as<std::int8_t>("x", codes, {2})}, {}) ==
        start + "the tensor 'x' has the entry 128, which I8 does not hold");
  const std::int8_t negative[] = {-1};
  CHECK(error_of({NamedTensor::stored_as<std::uint8_t>("x", negative, {1})}, {}) ==
        start + "the tensor 'x' has the entry -1, which U8 does not hold");
  CHECK(error_of({NamedTensor::stored_as<std::uint64_t>("x", negative, {1})}, {}) ==
        start + "the tensor 'x' has the entry -1, which U64 does not hold");
  CHECK(error_of({NamedTensor::computed<float>("x", {2, 2}, [] { return std::vector<float>(3); })}, {}) ==
        "qaf::NamedTensor: the tensor 'x' of 2 x 2 was computed with 3 entries");
  CHECK_ERROR(NamedTensor("x", six, {-1, 2}), "qaf::NamedTensor: sizes must not be negative, got -1 x 2");
  CHECK_ERROR(NamedTensor("x", static_cast<const float*>(nullptr), {2}),
              "qaf::NamedTensor: the tensor 'x' of 2 has no entries to point to");
}

TEST_CASE("safetensors: a file that cannot be written is left as it was") {
  const File file("before");
  CHECK(support::error_text([&] {
          qaf::write_safetensors(file.path(),
                                 {NamedTensor::computed<float>("x", {1}, [] { return std::vector<float>(); })});
        }) != "");
  CHECK(file.bytes() == "before");
  CHECK(!std::filesystem::exists(file.path() + ".partial"));
  qaf::write_safetensors(file.path(), {{"x", six, {6}}});
  CHECK(qaf::list_safetensors(file.path()).size() == 1);
  CHECK_THROWS_AS(qaf::write_safetensors(std::filesystem::temp_directory_path().string(), {}), qaf::IoError);
  CHECK_THROWS_AS(qaf::write_safetensors("no such folder/x.safetensors", {}), qaf::IoError);
  if (std::filesystem::exists("/dev/full")) CHECK_THROWS_AS(qaf::write_safetensors("/dev/full", {}), qaf::IoError);
}

TEST_CASE("safetensors: the entries of a header stand in the order of their data", "[safetensors]") {
  std::vector<qaf::SafetensorsEntry> entries;
  for (long long k = 0; k < 3000; ++k) entries.push_back({"tensor" + std::to_string(k), "F32", {1}, 4 * k, 4 * k + 4});
  const std::string bytes = qaf::detail::safetensors::header_bytes(entries, {{"a", "b"}});
  std::size_t place = 0;
  for (const qaf::SafetensorsEntry& entry : entries) {
    const std::size_t found = bytes.find("\"" + entry.name + "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[" +
                                             std::to_string(entry.begin) + "," + std::to_string(entry.end) + "]}",
                                         place);
    REQUIRE(found != std::string::npos);
    place = found;
  }
}
