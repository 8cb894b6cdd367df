#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <qaf/dense_tensor.hpp>
#include <qaf/error.hpp>
#include <qaf/io/detail/file.hpp>
#include <qaf/io/detail/safetensors_entries.hpp>
#include <qaf/io/detail/safetensors_header.hpp>
#include <qaf/io/detail/strict_json.hpp>
#include <qaf/types.hpp>

namespace qaf {

/// The tensors of a safetensors file, in the order of their data.
/// Errors: `IoError` where the file cannot be read or is no well-formed safetensors file: also where
/// the data of two tensors overlap, or are not all there is behind the header.
/// Memory: up to 15 times the header, which has at most 100 MB.
inline std::vector<SafetensorsEntry> list_safetensors(const std::string& path) {
  detail::InputFile file(path);
  return detail::safetensors::read_header(file).entries;
}

/// The texts that a safetensors file has beside its tensors, by their names. Errors: as for `list_safetensors`.
inline std::map<std::string, std::string> read_safetensors_metadata(const std::string& path) {
  detail::InputFile file(path);
  return detail::safetensors::read_header(file).metadata;
}

/// Reads the tensor `name` of a safetensors file, row-major. `Scalar` is the type in the file or one that
/// holds every value of it: float or double for F16 and BF16, double for F32, a wider integer, float for
/// integers of up to 16 bits, double for those of up to 32.
/// Errors: `IoError`, as for `list_safetensors`, also where there is no tensor of this name or it holds
/// another type. Memory: the tensor and 128 KiB; nothing is allocated for entries that the file does not have.
template <typename Scalar>
DenseTensor<Scalar> read_safetensors(const std::string& path, const std::string& name) {
  detail::InputFile file(path);
  const detail::safetensors::Header header = detail::safetensors::read_header(file);
  return detail::safetensors::read_tensor<Scalar>(file, header, name);
}

/// A tensor that is to be written, and its name. Entries of a variable are not copied: it must live, and not change,
/// until they are written. A temporary is taken over.
///
/// The entries are float, double, Eigen::half, Eigen::bfloat16 or integers of 8 to 64 bits.
class NamedTensor {
 public:
  /// Entries anywhere in memory, in `storage_order`; in the file they lie row-major. Errors: a negative size, more
  /// entries than an index can count, no entries where there should be some.
  template <typename Scalar>
  NamedTensor(std::string name, const Scalar* entries, std::vector<Index> dimensions,
              StorageOrder storage_order = StorageOrder::row_major)
      : NamedTensor(stored_as<Scalar>(std::move(name), entries, std::move(dimensions), storage_order)) {}

  /// A tensor of this library, not copied.
  template <typename Scalar>
  NamedTensor(std::string name, const DenseTensor<Scalar>& tensor)
      : NamedTensor(std::move(name), tensor.data(), tensor.dimensions(), tensor.storage_order()) {}

  /// One that is taken over.
  template <typename Scalar>
  NamedTensor(std::string name, DenseTensor<Scalar>&& tensor)
      : NamedTensor(std::move(name), std::make_shared<const DenseTensor<Scalar>>(std::move(tensor))) {}

  /// An Eigen matrix or array: of one mode when it is a row or a column by its type, otherwise of two.
  template <typename Derived>
  NamedTensor(std::string name, const Eigen::PlainObjectBase<Derived>& matrix)
      : NamedTensor(std::move(name), matrix.data(), dimensions_of(matrix), storage_order_of<Derived>()) {}

  /// One that is taken over.
  template <typename Derived>
  NamedTensor(std::string name, Eigen::PlainObjectBase<Derived>&& matrix)
      : NamedTensor(std::move(name), std::make_shared<const Derived>(std::move(matrix.derived()))) {}

  /// The same, each entry stored as another type: real numbers rounded to the nearest, such as float to Eigen::half;
  /// integers must be ones of that type, which is seen to when they are written.
  template <typename Stored, typename Scalar>
  static NamedTensor stored_as(std::string name, const Scalar* entries, std::vector<Index> dimensions,
                               StorageOrder storage_order = StorageOrder::row_major) {
    const Index count = detail::checked_size("NamedTensor", dimensions);
    if (entries == nullptr && count > 0)
      detail::fail("NamedTensor", "the tensor '", detail::printable(name), "' of ", detail::shape_text(dimensions),
                   " has no entries to point to");
    const auto write = [entries, storage_order, count](detail::OutputFile& file, const NamedTensor& self) {
      detail::safetensors::write_entries<Stored>(file, self.name_, entries, self.dimensions_, storage_order, count);
    };
    return {std::move(name), detail::safetensors::dtype_of<Stored>(), std::move(dimensions), write};
  }

  /// Entries that are computed when they are written, so that only those of one tensor are in memory: `compute`
  /// returns as many as `dimensions` tell, row-major, in a container with `data()` and `size()`.
  template <typename Scalar, typename Compute>
  static NamedTensor computed(std::string name, std::vector<Index> dimensions, Compute compute) {
    const Index count = detail::checked_size("NamedTensor", dimensions);
    const auto write = [compute, count](detail::OutputFile& file, const NamedTensor& self) {
      const auto& entries = compute();
      if (static_cast<Index>(entries.size()) != count)
        detail::fail("NamedTensor", "the tensor '", detail::printable(self.name_), "' of ",
                     detail::shape_text(self.dimensions_), " was computed with ", entries.size(), " entries");
      detail::safetensors::write_entries<Scalar>(file, self.name_, entries.data(), self.dimensions_,
                                                 StorageOrder::row_major, count);
    };
    return {std::move(name), detail::safetensors::dtype_of<Scalar>(), std::move(dimensions), write};
  }

  /// The name in the file.
  const std::string& name() const { return name_; }
  /// The type that entries have in the file: "F32", "I8" ...
  const std::string& dtype() const { return dtype_; }
  /// The size of every mode.
  const std::vector<Index>& dimensions() const { return dimensions_; }

  /// Appends the entries to a file; for `write_safetensors`.
  void write_to(detail::OutputFile& file) const { write_(file, *this); }

 private:
  using Write = std::function<void(detail::OutputFile&, const NamedTensor&)>;

  NamedTensor(std::string name, const char* dtype, std::vector<Index> dimensions, Write write)
      : name_(std::move(name)), dtype_(dtype), dimensions_(std::move(dimensions)), write_(std::move(write)) {}

  // Keeps what it is to write.
  template <typename Tensor>
  NamedTensor(std::string name, const std::shared_ptr<const Tensor>& tensor) : NamedTensor(std::move(name), *tensor) {
    write_ = [tensor, write = write_](detail::OutputFile& file, const NamedTensor& self) { write(file, self); };
  }

  template <typename Derived>
  static std::vector<Index> dimensions_of(const Eigen::PlainObjectBase<Derived>& matrix) {
    if (Derived::IsVectorAtCompileTime) return {matrix.size()};
    return {matrix.rows(), matrix.cols()};
  }

  template <typename Derived>
  static constexpr StorageOrder storage_order_of() {
    return Derived::IsRowMajor ? StorageOrder::row_major : StorageOrder::column_major;
  }

  std::string name_;
  std::string dtype_;
  std::vector<Index> dimensions_;
  Write write_;
};

namespace detail::safetensors {

inline void check_content(const std::vector<NamedTensor>& tensors, const std::map<std::string, std::string>& metadata) {
  constexpr char function[] = "write_safetensors";
  std::set<std::string> names;
  for (const NamedTensor& tensor : tensors) {
    const std::string& name = tensor.name();
    if (name.empty()) fail(function, "every tensor must have a name, got an empty one");
    if (name == metadata_key) fail(function, "no tensor can have the name '", metadata_key, "', the format's own");
    if (!is_utf8(name)) fail(function, "names must be UTF-8, got '", printable(name), "'");
    if (!names.insert(name).second) fail(function, "two tensors have the name '", printable(name), "'");
  }
  for (const auto& [name, text] : metadata)
    if (!is_utf8(name) || !is_utf8(text))
      fail(function, "metadata must be UTF-8, got other bytes in '", printable(name), "'");
}

/// Where the tensors lie behind the header, and the numbers of the tensors in that order: wider types first, so that
/// all entries are aligned, and by name.
inline std::pair<std::vector<SafetensorsEntry>, std::vector<std::size_t>> places_of(
    const std::vector<NamedTensor>& tensors) {
  std::vector<std::size_t> order(tensors.size());
  for (std::size_t k = 0; k < order.size(); ++k) order[k] = k;
  std::sort(order.begin(), order.end(), [&](std::size_t one, std::size_t other) {
    const NamedTensor &a = tensors[one], &b = tensors[other];
    const std::size_t number_a = number_of(a.dtype()), number_b = number_of(b.dtype());
    return number_a != number_b ? number_a > number_b : a.name() < b.name();
  });
  std::vector<SafetensorsEntry> entries;
  long long place = 0;
  for (const std::size_t k : order) {
    const NamedTensor& tensor = tensors[k];
    const Index count = checked_size("write_safetensors", tensor.dimensions());
    const long long bytes = bits_of(tensor.dtype()) / 8;
    if (count > (std::numeric_limits<long long>::max() - place) / bytes)
      fail("write_safetensors", "the tensors have more bytes than an index can count");
    entries.push_back({tensor.name(), tensor.dtype(), tensor.dimensions(), place, place + count * bytes});
    place += count * bytes;
  }
  return {std::move(entries), std::move(order)};
}

}  // namespace detail::safetensors

/// Writes a safetensors file with the tensors, sorted as the format's own writer sorts them, and the texts. The file is
/// whole or not there: it is written as `path + ".partial"`, then renamed, replacing what was.
/// Errors: `IoError` where it cannot be written; `std::invalid_argument` for a name that is empty, not UTF-8, there
/// twice or `__metadata__`, texts that are not UTF-8, and a header above the format's 100 MB.
/// Memory: the header and 128 KiB; nothing of the tensors is copied.
inline void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
  namespace st = detail::safetensors;
  st::check_content(tensors, metadata);
  const auto [entries, order] = st::places_of(tensors);
  const std::string header = st::header_bytes(entries, metadata);
  const std::uint64_t text_bytes = header.size() - st::length_bytes;
  if (text_bytes > st::longest_header)
    detail::fail("write_safetensors", "names, shapes and metadata take ", text_bytes, " bytes, more than the ",
                 st::longest_header, " that a header may have");
  detail::OutputFile file(path);
  file.write(header.data(), header.size());
  for (const std::size_t k : order) tensors[k].write_to(file);
  file.finish();
}

}  // namespace qaf
