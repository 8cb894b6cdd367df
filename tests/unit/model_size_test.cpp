#include <vector>

#include <qaf/cp_als.hpp>
#include <qaf/model_size.hpp>
#include <qaf/packing.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/quantizers/affine.hpp>
#include <qaf/quantizers/codebook.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

namespace {

using qaf::Granularity;

const auto tensor = support::low_rank_tensor<float>({6, 5, 4}, 3, 0.1, 2, qaf::StorageOrder::row_major);
constexpr qaf::Index rank = 3, rows = 6 + 5 + 4, codes = rank * rows;

template <typename Quantizer>
qaf::ModelSize size_with(const Quantizer& quantizer) {
  return qaf::model_size(qaf::quantize(qaf::cp_als(tensor, rank).model, quantizer));
}

}  // namespace

TEST_CASE("The size of a model is that of its packed codes, of scales that stay and of its weights", "[model_size]") {
  qaf::UniformQuantizer uniform;
  uniform.bits = 3;
  CHECK(size_with(uniform).codes == 3 * codes);
  CHECK(size_with(uniform).parameters == 0);
  CHECK(size_with(uniform).weights == rank * 32);
  CHECK(size_with(uniform).bits() == 3 * codes + 96);
  CHECK(size_with(uniform).bytes() == (3 * codes + 96) / 8.0);
  uniform.granularity = Granularity::row;
  CHECK(size_with(uniform).parameters == 32 * rows);
  uniform.granularity = Granularity::block;
  uniform.block_size = 4;  // 2, 2 and 1 blocks a column
  CHECK(size_with(uniform).parameters == 32 * rank * (2 + 2 + 1));
  qaf::AffineQuantizer affine;
  affine.bits = 4;
  CHECK(size_with(affine).parameters == 4 * rank * 3);  // zero points do not merge
  affine.granularity = Granularity::row;
  CHECK(size_with(affine).parameters == (4 + 32) * rows);
  qaf::CodebookQuantizer codebook;
  codebook.bits = 2;
  CHECK(size_with(codebook).parameters == 3 * qaf::Index{4} * 32);
}

TEST_CASE("Packed codes take the bytes that the size tells", "[model_size]") {
  qaf::UniformQuantizer uniform;
  uniform.bits = 5;
  const auto model = qaf::quantize(qaf::cp_als(tensor, 8).model, uniform);
  std::size_t bytes = 0;
  for (const auto& factor : model.factors) bytes += qaf::pack_codes(factor.codes, factor.quantizer.code_bits()).size();
  CHECK(static_cast<qaf::Index>(bytes) * 8 == qaf::model_size(model).codes);  // 48, 40 and 32 codes: whole bytes
}

TEST_CASE("A float model takes the bits of its numbers", "[model_size]") {
  const auto model = qaf::cp_als(tensor, rank).model;
  CHECK(qaf::model_size(model).bits() == 32 * (codes + 3));
}
