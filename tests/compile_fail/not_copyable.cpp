// expects: qaf: a quantizer must be copyable, and its Parameters copyable and default constructible
#include <qaf/cp_admm.hpp>

#include "good_quantizer.hpp"

struct Broken {
  Broken() = default;
  Broken(const Broken&) = delete;
  using Code = signed char;
  using Parameters = GoodParameters;
  Parameters fit(const Values&) const { return {}; }
  GoodCodes encode(const Values& values, const Parameters&) const { return values.cast<Code>(); }
  Values decode(const GoodCodes& codes, const Parameters&) const { return codes.cast<float>(); }
};

void use(const qaf::Matrix<float>& matrix) { qaf::cp_admm(matrix, 2, Broken()); }
