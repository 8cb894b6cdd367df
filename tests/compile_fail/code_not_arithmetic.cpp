// expects: qaf: the Code of a quantizer must be an arithmetic type
#include <qaf/cp_admm.hpp>

#include "good_quantizer.hpp"

struct Broken {
  struct Code {};
  using Parameters = GoodParameters;
  Parameters fit(const Values&) const { return {}; }
  qaf::Matrix<Code> encode(const Values&, const Parameters&) const { return {}; }
  Values decode(const qaf::Matrix<Code>&, const Parameters&) const { return {}; }
};

void use(const qaf::Matrix<float>& matrix) { qaf::cp_admm(matrix, 2, Broken()); }
