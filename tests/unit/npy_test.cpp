#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <locale>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <Eigen/Core>

#include <qaf/io/npy.hpp>

#include "support/catch.hpp"

namespace {

namespace fs = std::filesystem;
using qaf::DenseTensor;
using qaf::Index;
using qaf::NpyType;
using qaf::StorageOrder;

const std::vector<StorageOrder> both_orders = {StorageOrder::row_major, StorageOrder::column_major};

std::string fixture(const std::string& name) { return std::string(QAF_TEST_DATA) + "/npy/" + name + ".npy"; }

std::string fixture(const std::string& name, StorageOrder order) {
  return fixture(name + (order == StorageOrder::row_major ? "_c" : "_fortran"));
}

/// A new empty folder, gone with its content at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::random_device random;
    do {
      path_ = fs::temp_directory_path() / ("qaf_npy_test_" + std::to_string(random()) + std::to_string(random()));
    } while (!fs::create_directory(path_));
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  bool is_empty() const { return fs::is_empty(path_); }

 private:
  fs::path path_;
};

std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_bytes(const std::string& path, const std::string& bytes) {
  fs::remove(path);  // truncating instead makes ext4 wait for the disk: a minute over all of these tests
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  REQUIRE(file.good());
}

/// A .npy file of version 1.0.
std::string npy_bytes(const std::string& header, const std::string& data) {
  std::string bytes = "\x93NUMPY";
  bytes += {'\1', '\0', static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  return bytes + header + data;
}

/// Entry `k`, counted in C order, of every fixture: see make_fixtures.py.
template <typename Scalar>
Scalar entry(Index k) {
  constexpr bool is_float = std::is_floating_point_v<Scalar>;
  constexpr int bits = is_float ? std::numeric_limits<Scalar>::digits : 8 * static_cast<int>(sizeof(Scalar));
  const std::uint64_t top = (static_cast<std::uint64_t>(k + 1) * 0x9E3779B97F4A7C15U) >> (64 - bits);
  if constexpr (is_float)
    return static_cast<Scalar>(static_cast<std::int64_t>(top) - (std::int64_t{1} << (bits - 1))) / Scalar(1024);
  else
    return static_cast<Scalar>(top);
}

template <typename Scalar>
DenseTensor<Scalar> expected_tensor(const std::vector<Index>& dimensions, StorageOrder order) {
  DenseTensor<Scalar> tensor(dimensions, StorageOrder::row_major);
  for (Index k = 0; k < tensor.size(); ++k) tensor.data()[k] = entry<Scalar>(k);
  return with_storage_order(tensor, order);
}

template <typename Scalar>
bool same_entries(const DenseTensor<Scalar>& a, const DenseTensor<Scalar>& b) {
  if (a.dimensions() != b.dimensions() || a.storage_order() != b.storage_order() || a.size() != b.size()) return false;
  return a.size() == 0 || std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(Scalar)) == 0;
}

/// What the IoError said that `action` ended with, nothing where it went well.
template <typename Action>
std::string io_error(const Action& action) {
  try {
    action();
  } catch (const qaf::IoError& error) {
    return error.what();
  }
  return "";
}

template <typename Scalar>
std::string read_error(const std::string& path) {
  return io_error([&] { qaf::read_npy<Scalar>(path); });
}

/// What reading a file with this header, and 48 bytes of data, ends with.
std::string header_error(const std::string& header) {
  const TemporaryFolder folder;
  write_bytes(folder / "file.npy", npy_bytes(header, std::string(48, '\0')));
  return read_error<double>(folder / "file.npy");
}

/// What reading a file with this shape, of 6 float64 entries, ends with.
std::string shape_error(const std::string& shape) {
  return header_error("{'descr': '<f8', 'fortran_order': False, 'shape': " + shape + "}");
}

bool mentions(const std::string& message, const std::string& part) { return message.find(part) != std::string::npos; }

}  // namespace

TEMPLATE_TEST_CASE("npy: entries of every type are read and written as numpy has them", "", float, double, std::int8_t,
                   std::int16_t, std::int32_t, std::int64_t, std::uint8_t, std::uint16_t, std::uint32_t,
                   std::uint64_t) {
  const TemporaryFolder folder;
  const std::string kind = std::is_floating_point_v<TestType> ? "float" : std::is_signed_v<TestType> ? "int" : "uint";
  const std::string name = kind + std::to_string(8 * sizeof(TestType));

  for (const StorageOrder order : both_orders) {
    const auto expected = expected_tensor<TestType>({2, 3, 4}, order);
    CHECK(same_entries(qaf::read_npy<TestType>(fixture(name, order)), expected));
    qaf::write_npy(folder / "written.npy", expected);
    CHECK(read_bytes(folder / "written.npy") == read_bytes(fixture(name, order)));

    const qaf::NpyHeader header = qaf::read_npy_header(fixture(name, order));
    CHECK(to_string(header.type) == name);
    CHECK(header.dimensions == std::vector<Index>{2, 3, 4});
    CHECK(header.storage_order == order);
    CHECK_FALSE(header.big_endian);
    CHECK(header.data_offset == 128);
  }

  const auto expected = expected_tensor<TestType>({2, 3, 4}, StorageOrder::row_major);
  CHECK(same_entries(qaf::read_npy<TestType>(fixture(name + "_big_endian")), expected));
  CHECK(qaf::read_npy_header(fixture(name + "_big_endian")).big_endian == (sizeof(TestType) > 1));
}

TEST_CASE("npy: shapes of every kind are read, and written as numpy writes them") {
  const TemporaryFolder folder;
  const auto [name, dimensions] = GENERATE(table<std::string, std::vector<Index>>({{"scalar", {}},
                                                                                   {"empty", {3, 0, 2}},
                                                                                   {"vector", {5}},
                                                                                   {"row", {1, 5}},
                                                                                   {"column", {5, 1}},
                                                                                   {"four_modes", {2, 3, 1, 2}},
                                                                                   {"many_by_none", {1200, 0}},
                                                                                   {"matrix", {3, 4}},
                                                                                   {"one_long_mode", {1, 7, 1}}}));
  for (const StorageOrder order : both_orders) {
    INFO(fixture(name, order));
    const bool has_two_orders = name == "four_modes" || name == "matrix";
    const auto read = qaf::read_npy<double>(fixture(name, order));
    CHECK(same_entries(read, expected_tensor<double>(dimensions, has_two_orders ? order : StorageOrder::row_major)));

    qaf::write_npy(folder / "written.npy", expected_tensor<double>(dimensions, order));
    CHECK(read_bytes(folder / "written.npy") == read_bytes(fixture(name, order)));
  }
}

TEST_CASE("npy: versions 2 and 3 are read") {
  const auto expected = expected_tensor<float>({2, 3, 4}, StorageOrder::row_major);
  CHECK(same_entries(qaf::read_npy<float>(fixture("version_2")), expected));
  CHECK(same_entries(qaf::read_npy<float>(fixture("version_3")), expected));
}

TEST_CASE("npy: a header too long for version 1 is written as version 2") {
  const TemporaryFolder folder;
  // numpy changes over from 21817 to 21818 modes of size 1.
  for (const std::size_t order : {21817U, 21818U, 30000U}) {
    const std::vector<Index> dimensions(order, 1);
    qaf::write_npy(folder / "long.npy", expected_tensor<float>(dimensions, StorageOrder::row_major));
    CHECK(same_entries(qaf::read_npy<float>(folder / "long.npy"),
                       expected_tensor<float>(dimensions, StorageOrder::row_major)));
    CHECK(qaf::read_npy_header(folder / "long.npy").data_offset % 64 == 0);
    CHECK(read_bytes(folder / "long.npy")[6] == (order == 21817U ? 1 : 2));
  }
}

TEST_CASE("npy: an Eigen matrix has its own storage order, a vector one mode") {
  const TemporaryFolder folder;
  Eigen::MatrixXd matrix(3, 4);
  for (Index i = 0; i < 3; ++i)
    for (Index j = 0; j < 4; ++j) matrix(i, j) = entry<double>(4 * i + j);
  Eigen::VectorXd vector(5);
  for (Index i = 0; i < 5; ++i) vector(i) = entry<double>(i);
  const Eigen::Matrix<double, 3, 4, Eigen::RowMajor> row_major = matrix;

  const auto check = [&](const auto& values, const std::string& name) {
    INFO(name);
    qaf::write_npy(folder / "written.npy", values);
    CHECK(read_bytes(folder / "written.npy") == read_bytes(fixture(name)));
  };
  check(matrix, "matrix_fortran");
  check(row_major, "matrix_c");
  check(vector, "vector_c");
  check(vector.transpose(), "vector_c");
  check(Eigen::MatrixXd(vector), "column_fortran");
  check(Eigen::MatrixXd(vector.transpose()), "row_fortran");

  // Expressions, arrays, strides.
  check(0.5 * matrix + 0.5 * matrix, "matrix_fortran");
  check(matrix.array(), "matrix_fortran");
  check(row_major.block(0, 0, 3, 4), "matrix_c");
  Eigen::MatrixXd larger(5, 6);
  larger.block(1, 1, 3, 4) = matrix;
  check(larger.block(1, 1, 3, 4), "matrix_fortran");
  Eigen::VectorXd spaced = Eigen::VectorXd::Zero(10);
  const Eigen::Map<Eigen::VectorXd, 0, Eigen::InnerStride<2>> every_second(spaced.data(), 5);
  for (Index i = 0; i < 5; ++i) spaced(2 * i) = vector(i);
  check(every_second, "vector_c");
}

TEST_CASE("npy: types are converted only where every value fits") {
  CHECK(qaf::read_npy<double>(fixture("float32_c")).data()[23] == static_cast<double>(entry<float>(23)));
  CHECK(qaf::read_npy<double>(fixture("int32_c")).data()[23] == entry<std::int32_t>(23));
  CHECK(qaf::read_npy<double>(fixture("uint32_big_endian")).data()[23] == entry<std::uint32_t>(23));
  CHECK(qaf::read_npy<float>(fixture("int16_c")).data()[23] == entry<std::int16_t>(23));
  CHECK(qaf::read_npy<float>(fixture("uint16_c")).data()[23] == entry<std::uint16_t>(23));
  CHECK(qaf::read_npy<std::int64_t>(fixture("int8_c")).data()[23] == entry<std::int8_t>(23));
  CHECK(qaf::read_npy<std::int16_t>(fixture("uint8_c")).data()[23] == entry<std::uint8_t>(23));
  CHECK(qaf::read_npy<std::uint64_t>(fixture("uint32_c")).data()[23] == entry<std::uint32_t>(23));

  const std::string error = read_error<float>(fixture("int64_c"));
  CHECK(mentions(error, "int64"));
  CHECK(mentions(error, "float32"));
  CHECK(mentions(error, fixture("int64_c")));
  CHECK_FALSE(read_error<float>(fixture("float64_c")).empty());
  CHECK_FALSE(read_error<float>(fixture("int32_c")).empty());
  CHECK_FALSE(read_error<double>(fixture("int64_c")).empty());
  CHECK_FALSE(read_error<double>(fixture("uint64_c")).empty());
  CHECK_FALSE(read_error<std::int64_t>(fixture("uint64_c")).empty());
  CHECK_FALSE(read_error<std::int8_t>(fixture("uint8_c")).empty());
  CHECK_FALSE(read_error<std::uint64_t>(fixture("int8_c")).empty());
  CHECK_FALSE(read_error<std::int64_t>(fixture("float32_c")).empty());
}

TEST_CASE("npy: a file of more entries than one block is converted whole") {
  const TemporaryFolder folder;
  for (const Index size : {8191, 8192, 8193, 20000}) {
    const auto tensor = expected_tensor<std::int16_t>({size}, StorageOrder::row_major);
    qaf::write_npy(folder / "blocks.npy", tensor);
    const auto read = qaf::read_npy<float>(folder / "blocks.npy");
    REQUIRE(read.size() == size);
    CHECK(std::equal(read.data(), read.data() + size, tensor.data(),
                     [](float a, std::int16_t b) { return a == static_cast<float>(b); }));
  }
}

TEST_CASE("npy: the names and the C++ types of entries agree") {
  CHECK(to_string(NpyType::float32) == "float32");
  CHECK(to_string(NpyType::uint64) == "uint64");
  STATIC_REQUIRE(qaf::detail::npy::type_of<long long>() == NpyType::int64);
  STATIC_REQUIRE(qaf::detail::npy::type_of<unsigned char>() == NpyType::uint8);
}

TEST_CASE("npy: other kinds of entries are refused by name") {
  const auto [name, words] = GENERATE(table<std::string, std::string>({{"float16", "float16 ('<f2')"},
                                                                       {"longdouble", "float128 ('<f16')"},
                                                                       {"bool", "bool ('|b1')"},
                                                                       {"complex64", "complex64 ('<c8')"},
                                                                       {"object", "python objects ('|O')"},
                                                                       {"bytes", "byte strings ('|S3')"},
                                                                       {"unicode", "unicode strings ('<U3')"},
                                                                       {"date", "dates ('<M8[s]')"},
                                                                       {"duration", "time differences ('<m8[s]')"},
                                                                       {"void", "raw bytes ('|V3')"},
                                                                       {"structured", "structured"}}));
  const std::string error = read_error<double>(fixture("refused_" + name));
  CHECK(mentions(error, "the entries are " + words + "; supported are float32"));
}

TEST_CASE("npy: a header is read however python may write it") {
  CHECK(header_error("{'descr': '<f8', 'fortran_order': False, 'shape': (6,), }\n") == "");
  CHECK(header_error("{'shape': (2, 3), 'fortran_order': True, 'descr': '>f8'}") == "");
  CHECK(header_error("{\"descr\":\"<f8\",\"fortran_order\":False,\"shape\":(2,3,)}") == "");
  CHECK(header_error(" \t{ 'descr' :\n'<f8' , 'fortran_order' : True\r\n, 'shape' : ( 2 , 3 , ) , } \n") == "");
  CHECK(header_error("{'descr': '<f8', 'fortran_order': False, 'shape': (2L, 3L)}") == "");
  CHECK(header_error("{'descr': '|i1', 'fortran_order': False, 'shape': (48,)}") == "");
  CHECK(header_error("{'descr': '<u1', 'fortran_order': False, 'shape': (48,)}") == "");
}

TEST_CASE("npy: a header that is no well-formed dict is refused") {
  CHECK(mentions(header_error(""), "not a python dict (at byte 10)"));
  CHECK(mentions(header_error("('descr', '<f8')"), "not a python dict"));
  CHECK(mentions(header_error("{'descr': '<f8', 'shape': (6,)}"), "lacks the key 'fortran_order'"));
  CHECK(mentions(header_error("{}"), "lacks the key 'descr'"));
  CHECK(mentions(header_error("{'descr': '<f8', 'fortran_order': False}"), "lacks the key 'shape'"));
  CHECK(mentions(header_error("{'descr': '<f8', 'descr': '<f8'}"), "the key 'descr' twice"));
  CHECK(mentions(header_error("{'order': 'C'}"), "unknown key 'order'"));
  CHECK(mentions(header_error("{'\xff': 1}"), "unknown key '?'"));
  CHECK(mentions(header_error("{,}"), "a key in quotes expected"));
  CHECK(mentions(header_error("{descr: '<f8'}"), "a key in quotes expected"));
  CHECK(mentions(header_error("{'descr'"), "':' expected"));
  CHECK(mentions(header_error("{'descr': "), "in quotes expected"));
  CHECK(mentions(header_error("{'descr': '<f8"), "string without an end"));
  CHECK(mentions(header_error("{'descr': '<f8\"}"), "string without an end"));
  CHECK(mentions(header_error("{'descr': '<f8'"), "',' or '}' expected"));
  CHECK(mentions(header_error("{'descr': '<f8' 'shape': ()}"), "',' or '}' expected"));
  CHECK(mentions(header_error("{'descr': '<f8',, 'shape': ()}"), "a key in quotes expected"));
  CHECK(mentions(header_error("{'fortran_order': 0}"), "neither True nor False"));
  CHECK(mentions(header_error("{'fortran_order': Falsehood}"), "',' or '}' expected"));
  CHECK(mentions(shape_error("(6,)} {"), "goes on after its dict"));
  CHECK(mentions(shape_error("(6,)}" + std::string(1, '\0')), "goes on after its dict"));
}

TEST_CASE("npy: a descr that names no type is refused") {
  const std::string descr = GENERATE("", "<", "f8", "=f8", "|f8", "|u2", "<f", "<f88", "<i16", "<u0", "< f8", "<f8 ",
                                     "<F8", "<f99999999999", "<\xff");
  INFO(descr);
  CHECK(mentions(header_error("{'descr': '" + descr + "', 'fortran_order': False, 'shape': (6,)}"), "supported are"));
}

TEST_CASE("npy: a shape that is no tuple of sizes is refused") {
  CHECK(mentions(shape_error("(6)"), "',' expected"));
  CHECK(mentions(shape_error("6"), "not a tuple"));
  CHECK(mentions(shape_error("[6]"), "not a tuple"));
  CHECK(mentions(shape_error("(-6,)"), "negative size"));
  CHECK(mentions(shape_error("(,)"), "integers only"));
  CHECK(mentions(shape_error("(6,,)"), "integers only"));
  CHECK(mentions(shape_error("('6',)"), "integers only"));
  CHECK(mentions(shape_error("(True, 6)"), "integers only"));
  CHECK(mentions(shape_error("(6.0,)"), "',' expected"));
  CHECK(mentions(shape_error("(2 3)"), "',' expected"));
  CHECK(mentions(shape_error("(6,"), "integers only"));
  CHECK(mentions(shape_error("(6"), "',' expected"));
  CHECK(mentions(shape_error("(6LL,)"), "',' expected"));
}

TEST_CASE("npy: a shape that the file has no bytes for is refused before anything is allocated") {
  CHECK(mentions(shape_error("(7,)"), "the data needs 56 bytes, 48 are left"));
  CHECK(mentions(shape_error("(5,)"), "8 bytes after the data"));
  CHECK(mentions(shape_error("(0,)"), "48 bytes after the data"));
  CHECK(mentions(shape_error("()"), "40 bytes after the data"));
  constexpr auto largest = static_cast<std::uint64_t>(std::numeric_limits<Index>::max());
  const std::string half = std::to_string(Index{1} << (4 * sizeof(Index)));
  CHECK(mentions(shape_error("(" + std::to_string(largest / 1000) + ",)"), "is truncated"));
  CHECK(mentions(shape_error("(" + std::to_string(largest) + ",)"), "more bytes than an index can count"));
  CHECK(mentions(shape_error("(" + std::to_string(largest + 1) + ",)"), "no index can hold"));
  CHECK(mentions(shape_error("(99999999999999999999999,)"), "no index can hold"));
  CHECK(mentions(shape_error("(" + half + ", " + half + ")"), "more bytes than an index can count"));
  CHECK(mentions(shape_error("(0, " + half + ", " + half + ")"), "more bytes than an index can count"));
}

TEST_CASE("npy: what is no .npy file is refused, with the byte where that shows") {
  const TemporaryFolder folder;
  const std::string path = folder / "file.npy";
  const std::string good = read_bytes(fixture("float64_c"));
  const auto error_of = [&](std::size_t position, const std::string& bytes) {
    write_bytes(path, std::string(good).replace(position, bytes.size(), bytes));
    return read_error<double>(path);
  };
  CHECK(error_of(0, "\x93NUMPZ") == path + ": is not a .npy file (at byte 0)");
  CHECK(mentions(error_of(6, "\4"), "has the .npy version 4.0, supported are 1.0, 2.0 and 3.0 (at byte 6)"));
  CHECK(mentions(error_of(7, "\1"), "version 1.1"));
  CHECK(mentions(error_of(9, "\xff"), "the header needs 65398 bytes, 310 are left (at byte 10)"));
  CHECK(mentions(error_of(8, std::string(2, '\0')), "not a python dict"));

  // Version 2 with a header of 2 MB, all there.
  std::string huge = good.substr(0, 6) + std::string("\2\0\0\0\x20\0", 6);
  huge.resize(12 + (2 << 20), ' ');
  write_bytes(path, huge);
  CHECK(mentions(read_error<double>(path), "a header of 2097152 bytes, more than any shape needs (at byte 8)"));

  try {
    qaf::read_npy_header(path);
    FAIL("a header of 2 MB was read");
  } catch (const qaf::IoError& error) {
    CHECK(error.path() == path);
    CHECK(error.offset() == 8);
  }
}

TEST_CASE("npy: what is no regular file is not read") {
  const TemporaryFolder folder;
  CHECK(mentions(read_error<double>(folder / "missing.npy"), "cannot be opened: No such file"));
  CHECK(mentions(read_error<double>(folder / ""), "is a directory"));
  if (fs::exists("/dev/zero")) CHECK(mentions(read_error<double>("/dev/zero"), "not a regular file"));
}

TEST_CASE("npy: a file cut off anywhere is refused") {
  const TemporaryFolder folder;
  const std::string path = folder / "cut.npy";
  for (const char* name : {"float64_big_endian", "float64_fortran", "scalar_c", "version_2", "empty_c", "int16_c"}) {
    const std::string good = read_bytes(fixture(name));
    for (std::size_t length = 0; length < good.size(); ++length) {
      INFO(name << " cut to " << length << " bytes");
      write_bytes(path, good.substr(0, length));
      CHECK_FALSE(read_error<double>(path).empty());
    }
    write_bytes(path, good);
    CHECK(read_error<double>(path) == "");
    write_bytes(path, good + '\0');
    CHECK(mentions(read_error<double>(path), "1 bytes after the data"));
  }
}

TEST_CASE("npy: a header with any one byte changed is refused or read as what it says") {
  const TemporaryFolder folder;
  const std::string path = folder / "changed.npy";
  for (const char* name : {"float32_fortran", "version_3", "scalar_c", "int8_c"}) {
    const std::string good = read_bytes(fixture(name));
    const auto header_size = static_cast<std::size_t>(qaf::read_npy_header(fixture(name)).data_offset);
    for (std::size_t position = 0; position < header_size; ++position) {
      const char old = good[position];
      for (const char other :
           {'\0', '\1', '\x7f', '\x80', '\xff', ' ', '\n', '0', '1', '9', '-', '.', ',',
            ':',  '\'', '"',    '(',    ')',    '{', '}',  '[', 'L', 'u', '|', '>', static_cast<char>(old ^ 1)}) {
        std::string bytes = good;
        bytes[position] = other;
        INFO(name << ": byte " << position << " is " << static_cast<int>(other));
        write_bytes(path, bytes);
        const std::string error = io_error([&] {
          const auto tensor = qaf::read_npy<double>(path);
          const qaf::NpyHeader header = qaf::read_npy_header(path);
          REQUIRE(tensor.dimensions() == header.dimensions);
          REQUIRE(tensor.storage_order() == header.storage_order);
          REQUIRE(tensor.size() <= static_cast<Index>(bytes.size()));
        });
        if (!error.empty()) REQUIRE(mentions(error, path));
      }
    }
  }
}

TEST_CASE("npy: writing replaces the file that was there") {
  const TemporaryFolder folder;
  write_bytes(folder / "file.npy", std::string(1000, 'x'));
  write_bytes(folder / "file.npy.partial", std::string(1000, 'x'));
  qaf::write_npy(folder / "file.npy", expected_tensor<double>({3, 4}, StorageOrder::row_major));
  CHECK(read_bytes(folder / "file.npy") == read_bytes(fixture("matrix_c")));
  CHECK_FALSE(fs::exists(folder / "file.npy.partial"));
}

TEST_CASE("npy: a file that cannot be written leaves nothing behind") {
  const TemporaryFolder folder;
  const auto small = expected_tensor<double>({3, 4}, StorageOrder::row_major);
  const auto large = expected_tensor<double>({300, 400}, StorageOrder::row_major);
  const auto write_error = [](const std::string& path, const DenseTensor<double>& tensor) {
    return io_error([&] { qaf::write_npy(path, tensor); });
  };

  SECTION("the folder is missing") {
    CHECK(mentions(write_error(folder / "missing/file.npy", small), "cannot be written"));
    CHECK(folder.is_empty());
  }
  SECTION("the target is a directory") {
    fs::create_directory(folder / "directory");
    CHECK(mentions(write_error(folder / "directory", small), "not a regular file"));
    CHECK(fs::is_directory(folder / "directory"));
    CHECK_FALSE(fs::exists(folder / "directory.partial"));
  }
  SECTION("the temporary name is a directory") {
    fs::create_directory(folder / "file.npy.partial");
    CHECK(mentions(write_error(folder / "file.npy", small), "cannot be written"));
    CHECK(fs::is_directory(folder / "file.npy.partial"));
    CHECK_FALSE(fs::exists(folder / "file.npy"));
  }
  SECTION("the target is a device") {
    if (fs::exists("/dev/null")) CHECK(mentions(write_error("/dev/null", small), "not a regular file"));
  }
  SECTION("the disk is full") {
    if (!fs::exists("/dev/full")) return;
    write_bytes(folder / "file.npy", "old");
    for (const auto& tensor : {small, large}) {  // found out when the file is closed, and when it is written
      fs::create_symlink("/dev/full", folder / "file.npy.partial");
      CHECK(mentions(write_error(folder / "file.npy", tensor), "No space left"));
      CHECK(read_bytes(folder / "file.npy") == "old");
      CHECK_FALSE(fs::is_symlink(folder / "file.npy.partial"));
    }
  }
}

TEST_CASE("npy: a default tensor, without modes and entries, is not written") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS(qaf::write_npy(folder / "file.npy", DenseTensor<float>()), std::invalid_argument);
  CHECK(folder.is_empty());
}

TEST_CASE("npy: the locale of the program changes no byte") {
  struct Grouping : std::numpunct<char> {
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };
  const TemporaryFolder folder;
  const std::locale before = std::locale::global(std::locale(std::locale(), new Grouping));
  qaf::write_npy(folder / "file.npy", expected_tensor<double>({1200, 0}, StorageOrder::row_major));
  const auto read = qaf::read_npy<double>(folder / "file.npy");
  std::locale::global(before);
  CHECK(read_bytes(folder / "file.npy") == read_bytes(fixture("many_by_none_c")));
  CHECK(read.dimensions() == std::vector<Index>{1200, 0});
}
