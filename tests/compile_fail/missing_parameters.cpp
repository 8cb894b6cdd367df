// expects: qaf: a quantizer needs a public type Parameters
#include <qaf/cp_admm.hpp>

#include "good_quantizer.hpp"

struct Broken {
  using Code = signed char;
  GoodParameters fit(const Values&) const { return {}; }
  GoodCodes encode(const Values& values, const GoodParameters&) const { return values.cast<Code>(); }
  Values decode(const GoodCodes& codes, const GoodParameters&) const { return codes.cast<float>(); }
};

void use(const qaf::Matrix<float>& matrix) { qaf::cp_admm(matrix, 2, Broken()); }
