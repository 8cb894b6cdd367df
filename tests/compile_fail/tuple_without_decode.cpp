// expects: qaf: a quantizer needs a member decode(codes, parameters) const
#include <tuple>

#include <qaf/cp_admm.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "good_quantizer.hpp"

struct Broken {
  using Code = signed char;
  using Parameters = GoodParameters;
  Parameters fit(const Values&) const { return {}; }
  GoodCodes encode(const Values& values, const Parameters&) const { return values.cast<Code>(); }
};

void use(const qaf::Matrix<float>& matrix) {
  qaf::cp_admm(matrix, 2, std::make_tuple(Broken(), qaf::UniformQuantizer()));
}
