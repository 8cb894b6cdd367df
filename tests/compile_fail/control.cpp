// expects: nothing
// The program the others break: it must compile, else they may fail for a reason of their own.
#include <unsupported/Eigen/CXX11/Tensor>

#include <qaf/cp_admm.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "good_quantizer.hpp"

struct Good {
  using Code = signed char;
  using Parameters = GoodParameters;
  Parameters fit(const Values&) const { return {}; }
  GoodCodes encode(const Values& values, const Parameters&) const { return values.cast<Code>(); }
  Values decode(const GoodCodes& codes, const Parameters&) const { return codes.cast<float>(); }
  void validate() const {}
};

void use(const qaf::Matrix<float>& matrix, const Eigen::Tensor<float, 2>& tensor) {
  qaf::cp_admm(matrix, 2, Good());
  qaf::cp_als(tensor, 2);
  qaf::cp_als((matrix + matrix).eval(), 2);
}
