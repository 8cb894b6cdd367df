// expects: qaf: the optional member set_column_parameters(parameters, r, column) of a quantizer must be const
#include <qaf/cp_admm.hpp>

#include "good_quantizer.hpp"

struct Broken {
  using Code = signed char;
  using Parameters = GoodParameters;
  Parameters fit(const Values&) const { return {}; }
  GoodCodes encode(const Values& values, const Parameters&) const { return values.cast<Code>(); }
  Values decode(const GoodCodes& codes, const Parameters&) const { return codes.cast<float>(); }
  void set_column_parameters(Parameters&, qaf::Index, const Parameters&) const {}
};

void use(const qaf::Matrix<float>& matrix) { qaf::cp_admm(matrix, 2, Broken()); }
