// expects: qaf: a quantizer must be copyable, and its Parameters copyable and default constructible
#include <qaf/cp_admm.hpp>

#include "good_quantizer.hpp"

struct Broken {
  using Code = signed char;
  struct Parameters {
    explicit Parameters(float s) : scale(s) {}
    float scale;
  };
  Parameters fit(const Values&) const { return Parameters(1); }
  GoodCodes encode(const Values& values, const Parameters&) const { return values.cast<Code>(); }
  Values decode(const GoodCodes& codes, const Parameters&) const { return codes.cast<float>(); }
};

void use(const qaf::Matrix<float>& matrix) { qaf::cp_admm(matrix, 2, Broken()); }
