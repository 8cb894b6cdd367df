// expects: qaf: a quantizer needs a member encode(matrix, parameters) const
#include <qaf/cp_admm.hpp>

#include "good_quantizer.hpp"

struct Broken {
  using Code = signed char;
  using Parameters = GoodParameters;
  Parameters fit(const Values&) const { return {}; }
  Values decode(const GoodCodes& codes, const Parameters&) const { return codes.cast<float>(); }
};

void use(const qaf::Matrix<float>& matrix) { qaf::cp_admm(matrix, 2, Broken()); }
