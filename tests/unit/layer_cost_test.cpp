#include <string>
#include <utility>
#include <vector>

#include <qaf/cp_als.hpp>
#include <qaf/model_size.hpp>
#include <qaf/plan/layer_cost.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/quantizer.hpp>
#include <qaf/quantizers/affine.hpp>
#include <qaf/quantizers/any.hpp>
#include <qaf/quantizers/codebook.hpp>
#include <qaf/quantizers/compact_scales.hpp>
#include <qaf/quantizers/fixed_levels.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"

namespace {

using qaf::Index;
using qaf::Layer;

Layer convolution() {
  Layer layer;
  layer.name = "conv";
  layer.dimensions = {6, 4, 9};
  layer.output_pixels = 25;
  layer.input_pixels = 100;
  return layer;
}

Layer linear() {
  Layer layer;
  layer.name = "linear";
  layer.dimensions = {10, 64};
  return layer;
}

template <typename Quantizer>
void check_size(const Quantizer& quantizer, const Layer& layer, Index rank) {
  const auto tensor = support::random_tensor<float>(layer.dimensions, qaf::StorageOrder::row_major);
  qaf::CpAlsOptions options;
  options.max_iterations = 2;
  const auto model = qaf::quantize(qaf::cp_als(tensor, rank, options).model, quantizer);
  CHECK(qaf::factored_cost(layer, rank, quantizer).bits == static_cast<double>(qaf::model_size(model).bits()));
}

/// A multiplication for every weight of every layer at every position where the layer computes, counted one by one.
double counted_macs(const Layer& layer, Index rank) {
  double count = 0;
  const Index outputs = layer.dimensions[0], inputs = layer.dimensions[1], taps = layer.dimensions[2];
  for (Index group = 0; group < layer.groups; ++group)
    for (Index r = 0; r < rank; ++r) {
      for (Index pixel = 0; pixel < layer.input_pixels; ++pixel)
        for (Index i = 0; i < inputs; ++i) ++count;
      for (Index pixel = 0; pixel < layer.output_pixels; ++pixel)
        for (Index k = 0; k < taps + outputs / layer.groups; ++k) ++count;
    }
  return count;
}

}  // namespace

TEST_CASE("The bits of a factored layer are the size of its model", "[layer_cost]") {
  for (const Layer& layer : {convolution(), linear()})
    for (const Index rank : {1, 5, 9}) {
      CAPTURE(layer.name, rank);
      for (const int bits : {1, 3, 8}) {
        qaf::UniformQuantizer uniform;
        uniform.bits = bits;
        check_size(uniform, layer, rank);
        CHECK(qaf::factored_cost(layer, rank, bits) == qaf::factored_cost(layer, rank, uniform));
      }
      for (const qaf::Granularity granularity :
           {qaf::Granularity::tensor, qaf::Granularity::row, qaf::Granularity::block}) {
        qaf::UniformQuantizer uniform;
        uniform.granularity = granularity;
        uniform.block_size = 4;
        check_size(uniform, layer, rank);
      }
      check_size(qaf::AffineQuantizer{}, layer, rank);
      qaf::CompactScales<qaf::UniformQuantizer> compact;
      compact.base.granularity = qaf::Granularity::row;
      compact.format = qaf::ScaleFormat::linear8;
      check_size(compact, layer, rank);
      check_size(qaf::CodebookQuantizer{}, layer, rank);
    }
}

TEST_CASE("A factored layer costs what its definition says", "[layer_cost]") {
  Layer layer = convolution();
  for (const Index groups : {1, 2, 3}) {
    layer.groups = groups;
    const qaf::LayerCost cost = qaf::factored_cost(layer, 7, 3, 5);
    CHECK(cost.parameters == 7 * (6 + 4 + 9));
    CHECK(cost.bits == 7 * (6 + 4 + 9) * 3 + 7 * 32);
    CHECK(cost.macs == counted_macs(layer, 7));
    CHECK(cost.bops == cost.macs * 15);
  }
  const qaf::LayerCost matrix = qaf::factored_cost(linear(), 3, 2);
  CHECK(matrix.macs == 3 * 74);
  CHECK(matrix.bops == 3 * 74 * 2 * 8);
}

TEST_CASE("Of a 1 x 1 convolution with a stride both layers compute at the output's pixels", "[layer_cost]") {
  Layer layer = convolution();
  layer.dimensions = {6, 4};
  CHECK(qaf::factored_cost(layer, 3, 4).macs == 3 * (4 + 6) * 25);
}

TEST_CASE("A layer that is not factored costs what its definition says", "[layer_cost]") {
  const Layer layer = convolution();
  const qaf::LayerCost original = qaf::original_cost(layer);
  CHECK(original.parameters == 216);
  CHECK(original.bits == 216 * 32);
  CHECK(original.macs == 216 * 25);
  CHECK(original.bops == 216 * 25 * 32 * 32);
  const qaf::LayerCost direct = qaf::direct_cost(layer, 4);
  CHECK(direct.parameters == 216);
  CHECK(direct.bits == 216 * 4 + 6 * 32);
  CHECK(direct.macs == original.macs);
  CHECK(direct.bops == direct.macs * 4 * 8);
  qaf::UniformQuantizer quantizer;
  quantizer.bits = 4;
  CHECK(qaf::direct_cost(layer, quantizer) == direct);
  quantizer.granularity = qaf::Granularity::block;
  quantizer.block_size = 12;  // 3 blocks for each of 6 channels
  CHECK(qaf::direct_cost(layer, quantizer).bits == 216 * 4 + 18 * 32);
  qaf::LayerCost sum = original;
  sum += direct;
  CHECK(sum.bits == original.bits + direct.bits);
  CHECK(sum.bops == original.bops + direct.bops);
  CHECK(sum.macs == 2 * original.macs);
  CHECK(sum.parameters == 432);
  CHECK(sum != original);
}

namespace {

/// Codes and parameters as `model_size` counts them of the layer's matrix in a model, without its weights.
template <typename Quantizer>
double bits_without_weights(const Quantizer& quantizer, const Layer& layer) {
  const Index outputs = layer.dimensions[0];
  qaf::QuantizedCpModel<float, Quantizer> model;
  const Index entries = static_cast<Index>(qaf::detail::product_of(layer.dimensions)) / outputs;
  model.factors.push_back(qaf::quantize(qaf::Matrix<float>(qaf::Matrix<float>::Random(entries, outputs)), quantizer));
  model.weights = qaf::Vector<float>::Ones(outputs);
  const qaf::ModelSize size = qaf::model_size(model);
  return static_cast<double>(size.codes + size.parameters);
}

template <typename Quantizer>
void check_direct_cost(const Quantizer& quantizer, double scales) {
  const Layer layer = convolution();
  CHECK(qaf::direct_cost(layer, quantizer).bits == bits_without_weights(quantizer, layer) + 32 * scales);
}

/// One scale a column, and no member that says so.
struct SignsOfColumns : qaf::IdentityQuantizer {
  int code_bits() const { return 1; }
};

}  // namespace

TEST_CASE("A direct layer keeps what its model does, and the scales that would merge into weights", "[layer_cost]") {
  const auto check_granularities = [](auto quantizer, const auto& granularity) {
    const std::vector<std::pair<qaf::Granularity, double>> merged = {{qaf::Granularity::tensor, 1},
                                                                     {qaf::Granularity::component, 6},
                                                                     {qaf::Granularity::row, 0},
                                                                     {qaf::Granularity::block, 0}};
    for (const auto& [one, scales] : merged) {
      CAPTURE(qaf::to_string(one));
      granularity(quantizer) = one;
      check_direct_cost(quantizer, scales);
    }
  };
  const auto own = [](auto& quantizer) -> qaf::Granularity& { return quantizer.granularity; };
  const auto of_base = [](auto& quantizer) -> qaf::Granularity& { return quantizer.base.granularity; };
  check_granularities(qaf::UniformQuantizer(), own);
  check_granularities(qaf::AffineQuantizer(), own);
  check_granularities(qaf::TernaryQuantizer(), own);
  check_granularities(qaf::CompactScales<qaf::UniformQuantizer>(), of_base);
  check_direct_cost(qaf::CodebookQuantizer(), 0);
  check_direct_cost(qaf::make_quantizer("uniform", 4), 6);
  check_direct_cost(qaf::make_quantizer("affine", 4), 6);
  check_direct_cost(qaf::make_quantizer("codebook", 4), 0);
  check_direct_cost(SignsOfColumns(), 6);
}

TEST_CASE("The rank for a reduction is the greatest that keeps it", "[layer_cost]") {
  CHECK(qaf::rank_for_reduction({64, 64, 9}, 2) == 134);
  CHECK(qaf::rank_for_reduction({512, 512, 9}, 2) == 1141);
  CHECK(qaf::rank_for_reduction({2, 2, 2}, 1000) == 1);
  for (const double rate : {0.7, 1.0, 1.7, 3.0})
    for (const std::vector<Index>& dimensions : {std::vector<Index>{16, 8, 9}, {30, 20}, {7, 6, 5, 4}}) {
      const Index rank = qaf::rank_for_reduction(dimensions, rate);
      const double size = qaf::detail::product_of(dimensions), component = qaf::detail::sum_of(dimensions);
      CHECK(static_cast<double>(rank) * component * rate <= size);
      CHECK(static_cast<double>(rank + 1) * component * rate > size);
    }
}

TEST_CASE("Layers, ranks and bits that make no sense are told", "[layer_cost]") {
  Layer layer = convolution();
  CHECK_ERROR(qaf::rank_for_reduction({}, 2), "qaf::rank_for_reduction: dimensions must not be empty");
  CHECK_ERROR(qaf::rank_for_reduction({4, 0}, 2), "qaf::rank_for_reduction: dimensions must be 1 or more, got 4 x 0");
  CHECK_ERROR(qaf::rank_for_reduction({4, 4}, 0), "qaf::rank_for_reduction: rate must be above 0 and finite, got 0");
  CHECK_ERROR(qaf::rank_for_reduction({4, 4}, 1e-30),
              "qaf::rank_for_reduction: the rank must be one that an index can hold, got 2e+30 for rate 1e-30");
  CHECK_ERROR(qaf::factored_cost(layer, 0, 4), "qaf::factored_cost: rank must be at least 1, got 0");
  CHECK_ERROR(qaf::factored_cost(layer, 1, 0), "qaf::factored_cost: bits must be from 1 to 32, got 0");
  CHECK_ERROR(qaf::factored_cost(layer, 1, 4, 33), "qaf::factored_cost: activation_bits must be from 1 to 32, got 33");
  CHECK_ERROR(qaf::direct_cost(layer, 33), "qaf::direct_cost: bits must be from 1 to 32, got 33");
  const auto refused = [](Layer changed, const std::string& sentence) {
    CHECK_ERROR(qaf::original_cost(changed), "qaf::Layer: 'conv': " + sentence);
  };
  layer.dimensions = {6, 4, 3, 3};
  refused(layer, "dimensions must be O x I x (kh kw) or O x I, got 6 x 4 x 3 x 3");
  layer.dimensions = {6, 0, 9};
  refused(layer, "dimensions must be 1 or more, got 6 x 0 x 9");
  layer = convolution();
  layer.output_pixels = 0;
  refused(layer, "output_pixels must be 1 or more, got 0");
  layer = convolution();
  layer.input_pixels = -1;
  refused(layer, "input_pixels must be 1 or more, got -1");
  layer = convolution();
  layer.groups = 4;
  refused(layer, "groups must be 1 or more and divide the 6 outputs, got 4");
  layer = convolution();
  layer.name.clear();
  layer.groups = 0;
  CHECK_ERROR(qaf::original_cost(layer), "qaf::Layer: groups must be 1 or more and divide the 6 outputs, got 0");
}
