// expects: qaf: decode(codes, parameters) of a quantizer must return an Eigen matrix of real numbers
#include <qaf/cp_admm.hpp>

#include "good_quantizer.hpp"

struct Broken {
  using Code = signed char;
  using Parameters = GoodParameters;
  Parameters fit(const Values&) const { return {}; }
  GoodCodes encode(const Values& values, const Parameters&) const { return values.cast<Code>(); }
  void decode(const GoodCodes&, const Parameters&) const {}
};

void use(const qaf::Matrix<float>& matrix) { qaf::cp_admm(matrix, 2, Broken()); }
