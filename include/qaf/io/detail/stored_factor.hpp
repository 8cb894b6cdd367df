#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <qaf/dense_tensor.hpp>
#include <qaf/error.hpp>
#include <qaf/io/detail/file.hpp>
#include <qaf/io/detail/safetensors_entries.hpp>
#include <qaf/io/detail/safetensors_header.hpp>
#include <qaf/io/safetensors.hpp>
#include <qaf/packing.hpp>
#include <qaf/quantizers/compact_scales.hpp>
#include <qaf/types.hpp>

// A factor in a model file: its tensors, and the fields that tell what they mean.
namespace qaf::detail::model_file {

/// Takes what a factor consists of.
struct FactorWriter {
  std::vector<NamedTensor>& tensors;
  std::string name;  ///< what the names of its tensors begin with
  Index rows, cols;
  nlohmann::ordered_json fields;
  std::optional<ScaleFormat> scale_format;  ///< of scales that are kept in fewer than 32 bits
};

/// What a file says of a factor (`rows x cols`), and its tensors. All errors are `IoError`.
class FactorReader {
 public:
  FactorReader(InputFile& file, const safetensors::Header& header, std::string name, const nlohmann::json& fields,
               Index rows, Index cols)
      : file_(file), header_(header), name_(std::move(name)), fields_(fields), rows_(rows), cols_(cols) {
    if (!fields.is_object()) fail("must be described by an object, got ", fields.type_name());
  }

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }

  bool has(const char* key) const { return fields_.contains(key); }

  std::string text(const char* key) const {
    const auto found = fields_.find(key);
    if (found == fields_.end() || !found->is_string()) fail("must have a text as its ", key);
    return found->get<std::string>();
  }

  Index integer(const char* key, Index least, Index most) const {
    const auto found = fields_.find(key);
    const bool is_integer = found != fields_.end() && found->is_number_integer();
    const bool is_huge = is_integer && found->is_number_unsigned() &&
                         found->get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<Index>::max());
    if (!is_integer || is_huge || found->get<Index>() < least || found->get<Index>() > most)
      fail("must have an integer from ", least, " to ", most, " as its ", key);
    return found->get<Index>();
  }

  /// A tensor of the factor. Errors: another shape.
  template <typename Scalar>
  Matrix<Scalar> matrix(const char* part, Index rows, Index cols) const {
    const auto tensor = read<Scalar>(part, {rows, cols});
    using RowMajor = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    return Eigen::Map<const RowMajor>(tensor.data(), rows, cols);
  }

  /// The codes, packed or not. Errors: one that is not from `lowest` to `highest`.
  template <typename Code>
  Matrix<Code> codes(int lowest, int highest, int bits) const {
    Matrix<Code> codes = has("packed_bits") ? unpacked<Code>(lowest, bits) : matrix<Code>("codes", rows_, cols_);
    for (Index k = 0; k < codes.size(); ++k)
      if (codes.data()[k] < lowest || codes.data()[k] > highest)
        fail("has the code ", +codes.data()[k], ", which is not from ", lowest, " to ", highest);
    return codes;
  }

  template <typename... Parts>
  [[noreturn]] void fail(const Parts&... sentence) const {
    fail_io(file_.path(), -1, "the factor '", printable(name_), "' ", sentence...);
  }

 private:
  template <typename Scalar>
  DenseTensor<Scalar> read(const char* part, const std::vector<Index>& shape) const {
    const std::string name = name_ + part;
    const SafetensorsEntry& entry = safetensors::find_entry(file_.path(), header_.entries, name);
    if (entry.dimensions != shape)
      fail_io(file_.path(), entry.begin, "the tensor '", printable(name), "' must be ", shape_text(shape), ", got ",
              printable(shape_text(entry.dimensions)));
    return safetensors::read_tensor<Scalar>(file_, header_, name);
  }

  template <typename Code>
  Matrix<Code> unpacked(int lowest, int bits) const {
    if (integer("packed_bits", 1, 8) != bits) fail("must have ", bits, " packed bits, as its codes have");
    if (cols_ > 0 && rows_ > std::numeric_limits<Index>::max() / 8 / cols_) fail("has more codes than can be counted");
    const Index count = rows_ * cols_;
    const auto bytes = read<std::uint8_t>("packed_codes", {static_cast<Index>(packed_size(count, bits))});
    const std::vector<std::uint8_t> copy(bytes.data(), bytes.data() + bytes.size());
    const Index used = count * bits % 8;  // of the last byte
    if (used > 0 && copy.back() >> used != 0) fail("has bits behind its last packed code");
    if (lowest < 0) return unpack_codes<std::int8_t>(copy, rows_, cols_, bits).template cast<Code>();
    return unpack_codes<std::uint8_t>(copy, rows_, cols_, bits).template cast<Code>();
  }

  InputFile& file_;
  const safetensors::Header& header_;
  std::string name_;
  const nlohmann::json& fields_;
  Index rows_, cols_;
};

template <typename Stored, typename Code>
void add_codes_as(FactorWriter& writer, const Matrix<Code>& codes) {
  writer.tensors.push_back(NamedTensor::stored_as<Stored>(writer.name + "codes", codes.data(),
                                                          {codes.rows(), codes.cols()}, StorageOrder::column_major));
}

/// Adds the codes in the smallest integers that hold them, or packed.
template <typename Code>
void add_codes(FactorWriter& writer, const Matrix<Code>& codes, int lowest, int highest, int bits, bool packed) {
  for (Index k = 0; k < codes.size(); ++k)
    if (codes.data()[k] < lowest || codes.data()[k] > highest)
      fail("add_quantized_model", "codes must be from ", lowest, " to ", highest, ", got ", +codes.data()[k]);
  const bool is_signed = lowest < 0;
  if (packed && bits <= 8) {
    writer.fields["packed_bits"] = bits;
    const auto pack = [&codes, is_signed, bits] {
      return is_signed ? pack_codes(codes.template cast<std::int8_t>(), bits)
                       : pack_codes(codes.template cast<std::uint8_t>(), bits);
    };
    const Index size = static_cast<Index>(packed_size(codes.size(), bits));
    writer.tensors.push_back(NamedTensor::computed<std::uint8_t>(writer.name + "packed_codes", {size}, pack));
  } else if (bits <= 8 && is_signed) {
    add_codes_as<std::int8_t>(writer, codes);
  } else if (bits <= 8) {
    add_codes_as<std::uint8_t>(writer, codes);
  } else if (is_signed) {
    add_codes_as<std::int16_t>(writer, codes);
  } else {
    add_codes_as<std::uint16_t>(writer, codes);
  }
}

}  // namespace qaf::detail::model_file
