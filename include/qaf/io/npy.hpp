#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <qaf/dense_tensor.hpp>
#include <qaf/error.hpp>
#include <qaf/io/detail/file.hpp>
#include <qaf/io/detail/npy_header.hpp>
#include <qaf/types.hpp>

namespace qaf {

namespace detail::npy {

template <typename Scalar>
constexpr NpyType type_of() {
  static_assert(std::is_same_v<Scalar, float> || std::is_same_v<Scalar, double> ||
                    (std::is_integral_v<Scalar> && !std::is_same_v<Scalar, bool> && sizeof(Scalar) <= 8),
                "qaf: the entries of a .npy file are float, double or integers of 8 to 64 bits");
  constexpr char kind = std::is_floating_point_v<Scalar> ? 'f' : std::is_signed_v<Scalar> ? 'i' : 'u';
  std::size_t k = 0;
  while (type_texts[k].code[0] != kind || type_texts[k].code[1] != '0' + static_cast<int>(sizeof(Scalar))) ++k;
  return static_cast<NpyType>(k);
}

/// Calls `function` with a zero of the C++ type that `type` stands for.
template <typename Function>
auto with_scalar_of(NpyType type, Function function) {
  if (type == NpyType::float32) return function(float{});
  if (type == NpyType::float64) return function(double{});
  if (type == NpyType::int8) return function(std::int8_t{});
  if (type == NpyType::int16) return function(std::int16_t{});
  if (type == NpyType::int32) return function(std::int32_t{});
  if (type == NpyType::int64) return function(std::int64_t{});
  if (type == NpyType::uint8) return function(std::uint8_t{});
  if (type == NpyType::uint16) return function(std::uint16_t{});
  if (type == NpyType::uint32) return function(std::uint32_t{});
  return function(std::uint64_t{});
}

/// Whether every value of `From` is also one of `To`, as far as the types tell.
template <typename From, typename To>
constexpr bool holds_every_value() {
  using Source = std::numeric_limits<From>;
  using Target = std::numeric_limits<To>;
  return Source::digits <= Target::digits && (Target::is_signed || !Source::is_signed) &&
         (Source::is_integer || !Target::is_integer);
}

inline void check_data_size(const InputFile& file, const NpyHeader& header) {
  Index bytes = entry_bytes(header.type);
  bool empty = false;
  for (const Index size : header.dimensions) {
    empty = empty || size == 0;
    if (size == 0) continue;
    if (bytes > std::numeric_limits<Index>::max() / size)
      fail_io(file.path(), file.position(), "the shape ", printable(shape_text(header.dimensions)),
              " has more bytes than an index can count");
    bytes *= size;
  }
  if (empty) bytes = 0;
  file.require(bytes, "the data");
  if (file.remaining() > bytes)
    fail_io(file.path(), file.position() + bytes, "has ", file.remaining() - bytes, " bytes after the data");
}

/// Leaves the file at its first entry. The data are all there: their size is checked against the file's.
inline NpyHeader read_header(InputFile& file) {
  constexpr long long longest_header = 1 << 20;  // a length beyond is a damaged one
  unsigned char start[magic_size + 2];
  file.read(start, sizeof(start), "the beginning of a .npy file");
  if (std::memcmp(start, magic, magic_size) != 0) fail_io(file.path(), 0, "is not a .npy file");
  const int major = start[magic_size];
  const int minor = start[magic_size + 1];
  if (major < 1 || major > 3 || minor != 0)
    fail_io(file.path(), magic_size, "has the .npy version ", major, ".", minor, ", supported are 1.0, 2.0 and 3.0");

  unsigned char length_bytes[4] = {};
  file.read(length_bytes, major == 1 ? 2 : 4, "the length of the header");
  long long length = 0;
  for (int k = 3; k >= 0; --k) length = 256 * length + length_bytes[k];
  file.require(length, "the header");
  if (length > longest_header)
    fail_io(file.path(), magic_size + 2, "has a header of ", length, " bytes, more than any shape needs");
  const long long header_offset = file.position();
  std::string text(static_cast<std::size_t>(length), ' ');
  file.read(text.data(), text.size(), "the header");

  NpyHeader header = HeaderParser(file.path(), text, header_offset).parse();
  header.data_offset = file.position();
  check_data_size(file, header);
  return header;
}

template <typename Stored, typename Scalar>
DenseTensor<Scalar> read_entries(InputFile& file, const NpyHeader& header) {
  DenseTensor<Scalar> tensor(header.dimensions, header.storage_order);
  constexpr Index block_size = 8192;
  std::vector<Stored> block;
  for (Index done = 0; done < tensor.size(); done += block_size) {
    block.resize(static_cast<std::size_t>(std::min(block_size, tensor.size() - done)));
    file.read(block.data(), block.size() * sizeof(Stored), "the data");
    if (header.big_endian != host_is_big_endian()) swap_bytes(block);
    std::transform(block.begin(), block.end(), tensor.data() + done,
                   [](Stored entry) { return static_cast<Scalar>(entry); });
  }
  return tensor;
}

template <typename Scalar>
void write_array(const std::string& path, const std::vector<Index>& dimensions, StorageOrder storage_order,
                 const Scalar* entries, Index count) {
  const std::string header = header_bytes(type_of<Scalar>(), dimensions, storage_order);
  std::vector<Scalar> swapped;
  if (host_is_big_endian()) {
    swapped.assign(entries, entries + count);
    swap_bytes(swapped);
    entries = swapped.data();
  }
  write_file(path, header, entries, static_cast<std::size_t>(count) * sizeof(Scalar));
}

}  // namespace detail::npy

/// numpy's name of the type, such as "float32".
inline std::string to_string(NpyType type) { return detail::npy::type_text(type).name; }

/// Reads what a `.npy` file (version 1.0, 2.0 or 3.0) says about its entries, not the entries.
/// Errors: `IoError` where the file cannot be read or is damaged, as for `read_npy`, also where its
/// size is not that of its entries.
inline NpyHeader read_npy_header(const std::string& path) {
  detail::InputFile file(path);
  return detail::npy::read_header(file);
}

/// Reads a `.npy` file (version 1.0, 2.0 or 3.0, either byte order) in the storage order it has.
/// `Scalar` is the type in the file or one that holds every value of it: double for float32, a wider
/// integer, float for integers of up to 16 bits, double for those of up to 32.
/// Errors: `IoError`, when the file is no regular file, is not a well-formed `.npy` file, is shorter or
/// longer than its header says, or holds another type. Memory: the tensor and 64 KiB; nothing is
/// allocated for entries that the file does not have.
template <typename Scalar>
DenseTensor<Scalar> read_npy(const std::string& path) {
  constexpr NpyType wanted = detail::npy::type_of<Scalar>();
  detail::InputFile file(path);
  const NpyHeader header = detail::npy::read_header(file);
  return detail::npy::with_scalar_of(header.type, [&](auto zero) -> DenseTensor<Scalar> {
    using Stored = decltype(zero);
    if constexpr (detail::npy::holds_every_value<Stored, Scalar>())
      return detail::npy::read_entries<Stored, Scalar>(file, header);
    else
      detail::fail_io(path, -1, "holds ", to_string(header.type), " entries, which ", to_string(wanted),
                      " cannot hold without loss");
  });
}

/// Writes the tensor in its storage order: little-endian, byte for byte the file that numpy 1.24 writes.
/// The file is whole or not there: it is written as `path + ".partial"`, then renamed, replacing what was.
/// Errors: `IoError` where it cannot be written; `std::invalid_argument` for a tensor without modes
/// and entries, which numpy does not have.
template <typename Scalar>
void write_npy(const std::string& path, const DenseTensor<Scalar>& tensor) {
  if (tensor.order() == 0 && tensor.size() == 0) detail::fail("write_npy", "the tensor has no modes and no entries");
  detail::npy::write_array(path, tensor.dimensions(), tensor.storage_order(), tensor.data(), tensor.size());
}

/// Writes an Eigen matrix or array: with one mode when it is a row or a column by its type, otherwise
/// with two, in its storage order. An expression (a block or a map too) is evaluated into a copy first.
/// Errors: `IoError`, as for a tensor.
template <typename Derived>
void write_npy(const std::string& path, const Eigen::DenseBase<Derived>& matrix) {
  const auto& values = matrix.eval();
  std::vector<Index> dimensions = {values.rows(), values.cols()};
  if (Derived::IsVectorAtCompileTime) dimensions = {values.size()};
  const StorageOrder storage_order = values.IsRowMajor ? StorageOrder::row_major : StorageOrder::column_major;
  detail::npy::write_array(path, dimensions, storage_order, values.data(), values.size());
}

}  // namespace qaf
