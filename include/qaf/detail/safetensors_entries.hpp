#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <Eigen/Core>

#include <qaf/dense_tensor.hpp>
#include <qaf/detail/file.hpp>
#include <qaf/detail/npy_header.hpp>
#include <qaf/detail/safetensors_header.hpp>
#include <qaf/error.hpp>
#include <qaf/io/npy.hpp>
#include <qaf/types.hpp>

// The entries of a tensor in a safetensors file: row-major, little-endian.
namespace qaf::detail::safetensors {

inline constexpr Index block_size = 8192;  // entries converted at a time

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

template <typename Scalar>
inline constexpr bool is_half = std::is_same_v<Scalar, Eigen::half> || std::is_same_v<Scalar, Eigen::bfloat16>;

/// The file's name of a C++ type.
template <typename Scalar>
constexpr const char* dtype_of() {
  constexpr bool is_integer = std::is_integral_v<Scalar> && !std::is_same_v<Scalar, bool> && sizeof(Scalar) <= 8;
  static_assert(is_integer || is_half<Scalar> || std::is_same_v<Scalar, float> || std::is_same_v<Scalar, double>,
                "qaf: the entries of a safetensors file are float, double, Eigen::half, Eigen::bfloat16 or integers of "
                "8 to 64 bits");
  if (std::is_same_v<Scalar, Eigen::half>) return "F16";
  if (std::is_same_v<Scalar, Eigen::bfloat16>) return "BF16";
  if (std::is_floating_point_v<Scalar>) return sizeof(Scalar) == 4 ? "F32" : "F64";
  constexpr bool is_signed = std::is_signed_v<Scalar>;
  if (sizeof(Scalar) == 1) return is_signed ? "I8" : "U8";
  if (sizeof(Scalar) == 2) return is_signed ? "I16" : "U16";
  if (sizeof(Scalar) == 4) return is_signed ? "I32" : "U32";
  return is_signed ? "I64" : "U64";
}

template <typename Target, typename Source>
Target converted(Source entry) {
  // Eigen's types of 16 bits convert from and to float and nothing else.
  if constexpr (std::is_arithmetic_v<Source> && std::is_arithmetic_v<Target>)
    return static_cast<Target>(entry);
  else
    return static_cast<Target>(static_cast<float>(entry));
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

template <typename Stored, typename Scalar>
DenseTensor<Scalar> read_entries(InputFile& file, const SafetensorsEntry& entry) {
  DenseTensor<Scalar> tensor(entry.dimensions, StorageOrder::row_major);
  file.move_to(entry.begin);
  std::vector<Stored> block;
  for (Index done = 0; done < tensor.size(); done += block_size) {
    block.resize(static_cast<std::size_t>(std::min(block_size, tensor.size() - done)));
    file.read(block.data(), block.size() * sizeof(Stored), "the data");
    if (host_is_big_endian()) swap_bytes(block);
    std::transform(block.begin(), block.end(), tensor.data() + done, converted<Scalar, Stored>);
  }
  return tensor;
}

/// Reads a tensor, converted to `Scalar` where that holds every value of the type in the file.
template <typename Scalar>
DenseTensor<Scalar> read_tensor(InputFile& file, const Header& header, const std::string& name) {
  constexpr NpyType wanted = npy::type_of<Scalar>();
  const SafetensorsEntry& entry = find_entry(file.path(), header.entries, name);
  return with_stored_type(entry.dtype, [&](auto zero) -> DenseTensor<Scalar> {
    using Stored = decltype(zero);
    const std::string tensor = "the tensor '" + printable(name) + "'";
    if constexpr (std::is_same_v<Stored, Unreadable>)
      fail_io(file.path(), entry.begin, tensor, " holds ", entry.dtype,
              " entries; supported are F16, BF16, F32, F64, I8 to I64 and U8 to U64");
    else if constexpr (npy::holds_every_value<Stored, Scalar>())
      return read_entries<Stored, Scalar>(file, entry);
    else
      fail_io(file.path(), entry.begin, tensor, " holds ", entry.dtype, " entries, which ", to_string(wanted),
              " cannot hold without loss");
  });
}

/// Walks over entries in row-major order, wherever they lie.
template <typename Scalar>
class RowMajorWalk {
 public:
  RowMajorWalk(const Scalar* entries, const std::vector<Index>& dimensions, StorageOrder storage_order)
      : entry_(entries), dimensions_(dimensions), steps_(dimensions.size(), 1), index_(dimensions.size(), 0) {
    if (storage_order == StorageOrder::row_major)
      for (std::size_t n = dimensions.size(); n > 1; --n) steps_[n - 2] = steps_[n - 1] * dimensions[n - 1];
    else
      for (std::size_t n = 1; n < dimensions.size(); ++n) steps_[n] = steps_[n - 1] * dimensions[n - 1];
  }

  /// The entry it stands at; goes on to the next. Not to be called behind the last.
  Scalar next() {
    const Scalar entry = entry_[place_];
    for (std::size_t n = dimensions_.size(); n > 0; --n) {
      place_ += steps_[n - 1];
      if (++index_[n - 1] < dimensions_[n - 1]) break;
      place_ -= steps_[n - 1] * dimensions_[n - 1];
      index_[n - 1] = 0;
    }
    return entry;
  }

 private:
  const Scalar* entry_;
  std::vector<Index> dimensions_;
  std::vector<Index> steps_;  // from an entry to the next in each mode
  std::vector<Index> index_;
  Index place_ = 0;
};

/// Whether `Stored` holds an integer; other types round.
template <typename Stored, typename Scalar>
bool fits(Scalar entry) {
  if constexpr (std::is_integral_v<Stored> && std::is_integral_v<Scalar>) {
    const Stored stored = static_cast<Stored>(entry);
    return static_cast<Scalar>(stored) == entry && (stored < Stored{0}) == (entry < Scalar{0});
  } else {
    return true;
  }
}

/// Writes `count` entries as `Stored`. Memory: a block. Errors: an integer that `Stored` does not hold.
template <typename Stored, typename Scalar>
void write_entries(OutputFile& file, const std::string& name, const Scalar* entries,
                   const std::vector<Index>& dimensions, StorageOrder storage_order, Index count) {
  static_assert(!std::is_integral_v<Stored> || std::is_integral_v<Scalar>,
                "qaf: real numbers cannot be stored as integers");
  RowMajorWalk<Scalar> walk(entries, dimensions, storage_order);
  std::vector<Stored> block;
  for (Index done = 0; done < count; done += block_size) {
    block.resize(static_cast<std::size_t>(std::min(block_size, count - done)));
    for (Stored& stored : block) {
      const Scalar entry = walk.next();
      if (!fits<Stored>(entry))
        fail("write_safetensors", "the tensor '", printable(name), "' has the entry ", +entry, ", which ",
             dtype_of<Stored>(), " does not hold");
      stored = converted<Stored>(entry);
    }
    if (host_is_big_endian()) swap_bytes(block);
    file.write(block.data(), block.size() * sizeof(Stored));
  }
}

}  // namespace qaf::detail::safetensors
