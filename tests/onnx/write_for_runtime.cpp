// Writes ONNX models, inputs and the outputs they must have, for run_onnxruntime.mjs: write_for_runtime FOLDER
// [WEIGHTS.npy]. The weights of a real convolution, O x I x kh x kw, are factored at half the parameters.

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <qaf/cp_admm.hpp>
#include <qaf/io/npy.hpp>
#include <qaf/io/onnx.hpp>
#include <qaf/kernel_tensors.hpp>
#include <qaf/quantizers/affine.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "onnx/factored_layer.hpp"

namespace {

namespace fs = std::filesystem;

/// Images x channels x rows x columns, as ONNX has them.
template <typename Scalar>
qaf::DenseTensor<float> as_tensor(const qaf::FeatureMaps<Scalar>& maps) {
  qaf::DenseTensor<float> tensor({maps.images, maps.channels(), maps.rows, maps.columns}, qaf::StorageOrder::row_major);
  const qaf::Index pixels = maps.rows * maps.columns;
  for (qaf::Index k = 0; k < tensor.size(); ++k) {
    const qaf::Index image = k / (maps.channels() * pixels), channel = k / pixels % maps.channels();
    tensor.data()[k] = static_cast<float>(maps.values(channel, image * pixels + k % pixels));
  }
  return tensor;
}

void write_case(const fs::path& folder, const std::string& name, const support::FactoredLayer& layer, qaf::Index rows,
                qaf::Index columns) {
  const fs::path own = folder / name;
  fs::create_directories(own);
  const qaf::Index channels = layer.kernels.front().dimensions()[1] * layer.geometry.groups;
  const auto input = support::random_maps<float>(2, rows, columns, channels);
  qaf::write_onnx((own / "model.onnx").string(), layer.layers);
  qaf::write_npy((own / "input.npy").string(), as_tensor(input));
  qaf::write_npy((own / "output.npy").string(), as_tensor(support::expected_output(layer, input)));
}

void write_small_cases(const fs::path& folder) {
  int number = 0;
  for (qaf::ConvolutionGeometry geometry : support::various_geometries())
    for (const qaf::Index groups : {1, 2}) {
      geometry.groups = groups;
      std::vector<qaf::CpModel<float>> models;
      for (qaf::Index group = 0; group < groups; ++group)
        models.push_back(support::random_model<float>({4, 3, 6}, 5, static_cast<std::uint64_t>(2 + group)));
      const qaf::Vector<double> bias = qaf::Vector<double>::LinSpaced(4 * groups, -1, 1);
      const std::string name = "geometry" + std::to_string(number++);
      write_case(folder, name, support::factored_layer(models, {3, 2}, qaf::UniformQuantizer(), geometry, bias), 9, 8);
    }
  const std::vector model{support::random_model<float>({4, 3, 9}, 5)};
  write_case(folder, "affine", support::factored_layer(model, {3, 3}, qaf::AffineQuantizer()), 9, 8);
  std::vector<qaf::UniformQuantizer> quantizers(3);
  quantizers[0].granularity = qaf::Granularity::row;
  for (qaf::UniformQuantizer& quantizer : quantizers) quantizer.bits = 4;
  write_case(folder, "rows", support::factored_layer(model, {3, 3}, quantizers), 9, 8);
}

void write_real_case(const fs::path& folder, const std::string& path) {
  const auto weights = qaf::read_npy<float>(path);
  const auto tensors = qaf::kernel_tensors(weights);
  const std::vector<qaf::Index>& sizes = weights.dimensions();
  const std::array<qaf::Index, 2> size{sizes[2], sizes[3]};
  qaf::UniformQuantizer quantizer;
  quantizer.bits = 4;
  const qaf::Index rank = weights.size() / (2 * (sizes[0] + sizes[1] + size[0] * size[1]));
  const auto result = qaf::cp_admm(tensors[0], rank, quantizer);
  support::FactoredLayer layer;
  layer.geometry.padding = {size[0] / 2, size[1] / 2};
  layer.layers = qaf::three_layers(result.model, size, layer.geometry);
  auto kernel = qaf::reconstruct(qaf::decode(result.model), qaf::StorageOrder::row_major);
  kernel.reshape(sizes);
  qaf::DenseTensor<double> exact(sizes, qaf::StorageOrder::row_major);
  std::copy_n(kernel.data(), kernel.size(), exact.data());
  layer.kernels = {exact};
  write_case(folder, "real", layer, 16, 16);
  std::printf("real: rank %td, relative error of the weights %.4f\n", static_cast<std::ptrdiff_t>(rank),
              result.relative_error);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2 && count != 3) {
    std::fprintf(stderr, "expected a folder, and the weights of a convolution (.npy) if you have some\n");
    return 2;
  }
  fs::remove_all(arguments[1]);
  write_small_cases(arguments[1]);
  if (count == 3) write_real_case(arguments[1], arguments[2]);
  return 0;
}
