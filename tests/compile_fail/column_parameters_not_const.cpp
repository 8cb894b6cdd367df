// expects: qaf: the optional member column_parameters(parameters, r) of a quantizer must be const
#include <qaf/cp_admm.hpp>

#include "good_quantizer.hpp"

struct Broken {
  using Code = signed char;
  using Parameters = GoodParameters;
  Parameters fit(const Values&) const { return {}; }
  GoodCodes encode(const Values& values, const Parameters&) const { return values.cast<Code>(); }
  Values decode(const GoodCodes& codes, const Parameters&) const { return codes.cast<float>(); }
  Parameters column_parameters(const Parameters& parameters, qaf::Index) { return parameters; }
};

void use(const qaf::Matrix<float>& matrix) { qaf::cp_admm(matrix, 2, Broken()); }
