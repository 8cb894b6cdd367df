// expects: qaf: the codes of this quantizer are not integers times scales, which integer arithmetic needs
#include <qaf/convolution/three_layers.hpp>
#include <qaf/quantizers/codebook.hpp>

int main() {
  const qaf::QuantizedCpModel<float, qaf::CodebookQuantizer> model;
  return static_cast<int>(qaf::three_layers(model, {3, 3}).size());
}
