#include <cstdint>
#include <vector>

#include <qaf/quantizer.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "support/catch.hpp"

// Quantizers that must be accepted; those that must not are in tests/compile_fail.
namespace {

using qaf::Matrix;

template <typename Q>
constexpr bool accepted_for_both() {
  return qaf::detail::check_quantizer<Q, float>() && qaf::detail::check_quantizer<Q, double>();
}

static_assert(accepted_for_both<qaf::IdentityQuantizer>());
static_assert(accepted_for_both<qaf::UniformQuantizer>());
static_assert(accepted_for_both<qaf::UniformQuantizer16>());
static_assert(accepted_for_both<qaf::BasicUniformQuantizer<std::int32_t>>());

/// The least there can be: no templates, one scalar type.
struct Plain {
  using Code = int;
  using Parameters = float;
  Parameters fit(const Matrix<float>&) const { return 1; }
  Matrix<int> encode(const Matrix<float>& matrix, const Parameters&) const { return matrix.cast<int>(); }
  Matrix<float> decode(const Matrix<int>& codes, const Parameters&) const { return codes.cast<float>(); }
};
static_assert(qaf::detail::check_quantizer<Plain, float>());

/// Arguments by value, results that convert, overloads, a static member, `Code` and `Parameters` from a base.
struct Base {
  using Code = std::int16_t;
  using Parameters = std::vector<double>;
};
struct Loose : Base {
  struct Scales {
    operator std::vector<double>() const { return {1}; }
  };
  // NOLINTBEGIN(performance-unnecessary-value-param): the contract allows it
  Scales fit(Matrix<float>) const { return {}; }
  Scales fit(Matrix<double>) const { return {}; }
  template <typename Derived>
  auto encode(const Eigen::MatrixBase<Derived>& matrix, Parameters) const {
    return matrix.template cast<Code>().eval();
  }
  static Matrix<double> decode(Eigen::Ref<const Matrix<Code>> codes, const Parameters&) { return codes.cast<double>(); }
  // NOLINTEND(performance-unnecessary-value-param)
};
static_assert(accepted_for_both<Loose>());

/// `validate` returning something, and inherited.
struct WithValidate : Plain {
  bool validate() const { return true; }
};
struct InheritsValidate : WithValidate {};
static_assert(qaf::detail::check_quantizer<WithValidate, float>());
static_assert(qaf::detail::check_quantizer<InheritsValidate, float>());

/// Fixed sizes are matrices too.
struct FixedSize : Plain {
  Eigen::Array<int, 2, 2> encode(const Matrix<float>&, const Parameters&) const { return Eigen::Array22i::Zero(); }
};
static_assert(qaf::detail::check_quantizer<FixedSize, float>());

struct Throws : Plain {
  void validate() const { throw 3; }
};
struct CountsValidate : Plain {
  int* count = nullptr;
  void validate() const { ++*count; }
};

}  // namespace

TEST_CASE("A quantizer's own check runs where it has one", "[quantizer]") {
  CHECK_NOTHROW(qaf::detail::validate_quantizer(Plain()));
  CHECK_THROWS_AS(qaf::detail::validate_quantizer(Throws()), int);
  int count = 0;
  CountsValidate quantizer;
  quantizer.count = &count;
  qaf::detail::validate_quantizer(quantizer);
  CHECK(count == 1);
}
