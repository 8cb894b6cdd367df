// Writes models, and what they decode to, for run_documentation.py: a folder as its only argument.

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <qaf/cp_model.hpp>
#include <qaf/io/model_file.hpp>
#include <qaf/io/npy.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/quantizers/any.hpp>

#include "../examples/support/model_files.hpp"
#include "support/random.hpp"

namespace {

namespace fs = std::filesystem;

template <typename Quantizer>
qaf::QuantizedCpModel<float, Quantizer> quantized(const Quantizer& quantizer) {
  return qaf::quantize(support::random_model<float>({7, 5, 9}, 4), quantizer);
}

/// `<name>/model.safetensors` with the model under the prefix "layer.", and the factors that its codes stand for.
template <typename Quantizer>
void write_any(const fs::path& folder, const std::string& name, const Quantizer& quantizer, bool packed) {
  const auto model = quantized(quantizer);
  const fs::path own = folder / "any" / name;
  fs::create_directories(own);
  qaf::ModelFile file;
  qaf::add_quantized_model(file, "layer.", model, {packed});
  qaf::write_model_file((own / "model.safetensors").string(), file);
  for (std::size_t n = 0; n < model.factors.size(); ++n)
    qaf::write_npy((own / ("factor" + std::to_string(n) + ".npy")).string(), qaf::decode<float>(model.factors[n]));
}

void write_all_quantizers(const fs::path& folder) {
  for (const bool packed : {false, true}) {
    const std::string end = packed ? "_packed" : "";
    for (const qaf::Granularity granularity :
         {qaf::Granularity::tensor, qaf::Granularity::component, qaf::Granularity::row, qaf::Granularity::block}) {
      for (const std::string& name : qaf::quantizer_names()) {
        if (name == "codebook" && granularity != qaf::Granularity::tensor && granularity != qaf::Granularity::component)
          continue;
        qaf::AnyQuantizer quantizer = qaf::make_quantizer(name, 0, granularity);
        if (auto* const uniform = std::get_if<qaf::UniformQuantizer16>(&quantizer.choice)) uniform->block_size = 2;
        if (auto* const affine = std::get_if<qaf::AffineQuantizer>(&quantizer.choice)) affine->block_size = 3;
        write_any(folder, name + "_" + to_string(granularity) + end, quantizer, packed);
      }
    }
    qaf::UniformQuantizer16 wide;
    wide.bits = 12;
    write_any(folder, "wide" + end, wide, packed);
    qaf::CompactScales<qaf::UniformQuantizer> halves;
    halves.format = qaf::ScaleFormat::float16;
    write_any(folder, "float16_scales" + end, halves, packed);
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "expected a folder\n");
    return 2;
  }
  const fs::path folder = arguments[1];
  fs::remove_all(folder);
  fs::create_directories(folder);
  const qaf::AnyQuantizer quantizer = qaf::make_quantizer("uniform", 4);
  const auto model = quantized(quantizer);
  qaf::write_quantized_model((folder / "model.safetensors").string(), model);
  OutputFolder output((folder / "compressed").string());
  write_model(output, model);
  qaf::write_npy((folder / "kernel.npy").string(), qaf::reconstruct(qaf::decode(model), qaf::StorageOrder::row_major));
  write_all_quantizers(folder);
  return 0;
}
