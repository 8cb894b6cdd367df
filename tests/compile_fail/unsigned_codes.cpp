// expects: qaf: the codes of a uniform symmetric quantizer must be of a signed integer type
#include <qaf/quantizers/uniform.hpp>

const qaf::BasicUniformQuantizer<unsigned char> quantizer;
