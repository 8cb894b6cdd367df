// expects: qaf: a quantizer needs a public type Code
#include <qaf/cp_admm.hpp>

#include "good_quantizer.hpp"

struct Broken {
 private:
  using Code = signed char;

 public:
  using Parameters = GoodParameters;
  Parameters fit(const Values&) const { return {}; }
  GoodCodes encode(const Values& values, const Parameters&) const { return values.cast<Code>(); }
  Values decode(const GoodCodes& codes, const Parameters&) const { return codes.cast<float>(); }
};

void use(const qaf::Matrix<float>& matrix) { qaf::cp_admm(matrix, 2, Broken()); }
