// expects: qaf: fit(matrix) of a quantizer must return its Parameters
#include <qaf/cp_admm.hpp>

#include "good_quantizer.hpp"

struct Broken {
  using Code = signed char;
  using Parameters = GoodParameters;
  void fit(const Values&) const {}
  GoodCodes encode(const Values& values, const Parameters&) const { return values.cast<Code>(); }
  Values decode(const GoodCodes& codes, const Parameters&) const { return codes.cast<float>(); }
};

void use(const qaf::Matrix<float>& matrix) { qaf::cp_admm(matrix, 2, Broken()); }
