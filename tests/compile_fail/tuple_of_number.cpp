// expects: qaf: a quantizer needs a public type Code
#include <tuple>

#include <qaf/quantized_model.hpp>
#include <qaf/quantizers/uniform.hpp>

void use(const qaf::CpModel<float>& model) { qaf::quantize(model, std::make_tuple(8, qaf::UniformQuantizer())); }
