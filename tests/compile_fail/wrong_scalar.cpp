// expects: qaf: a quantizer needs a member fit(matrix) const that takes a qaf::Matrix of the tensor's scalar type
#include <qaf/cp_admm.hpp>

#include "good_quantizer.hpp"

// Right for float, but the tensor is of double.
struct Broken {
  using Code = signed char;
  using Parameters = GoodParameters;
  Parameters fit(const Values&) const { return {}; }
  GoodCodes encode(const Values& values, const Parameters&) const { return values.cast<Code>(); }
  Values decode(const GoodCodes& codes, const Parameters&) const { return codes.cast<float>(); }
};

void use(const qaf::Matrix<double>& matrix) { qaf::cp_admm(matrix, 2, Broken()); }
