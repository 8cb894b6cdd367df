#include <limits>

#include <qaf/detail/random.hpp>
#include <qaf/quantization_noise.hpp>
#include <qaf/quantizers/uniform.hpp>

#include "support/catch.hpp"
#include "support/error_text.hpp"

TEMPLATE_TEST_CASE("The noise of a quantizer is what rounding normal numbers costs", "[quantization_noise]", float,
                   double) {
  CHECK(qaf::quantization_noise<TestType>(qaf::IdentityQuantizer(), 20, 5) == 0);

  qaf::UniformQuantizer quantizer;
  double previous = 1;
  for (int bits = 2; bits <= 8; ++bits) {
    CAPTURE(bits);
    quantizer.bits = bits;
    const double noise = qaf::quantization_noise<TestType>(quantizer, 2000, 8);
    CHECK(noise > 0);
    CHECK(noise < 0.45 * previous);
    previous = noise;
    // Of another sample, measured here, it is the same.
    const qaf::Matrix<TestType> matrix = qaf::detail::NormalGenerator(77).matrix<TestType>(2000, 8);
    const auto parameters = quantizer.fit(matrix);
    const qaf::Matrix<double> rounded =
        quantizer.decode(quantizer.encode(matrix, parameters), parameters).template cast<double>();
    const qaf::Matrix<double> exact = matrix.template cast<double>();
    CHECK(noise == Approx((rounded - exact).squaredNorm() / exact.squaredNorm()).epsilon(0.1));
  }

  // The best uniform steps for normal numbers at 2 and 4 bits (Max 1960) have 0.1188 and 0.01154.
  quantizer.bits = 4;
  CHECK(qaf::quantization_noise<TestType>(quantizer, 2000, 8) == Approx(0.0119).epsilon(0.05));
}

TEST_CASE("The noise of a quantizer is measured alike every time, on 64 columns at the most", "[quantization_noise]") {
  qaf::UniformQuantizer quantizer;
  quantizer.bits = 3;
  const double noise = qaf::quantization_noise<float>(quantizer, 50, 64);
  CHECK(qaf::quantization_noise<float>(quantizer, 50, 64) == noise);
  CHECK(qaf::quantization_noise<float>(quantizer, 50, 100000) == noise);
  CHECK(qaf::quantization_noise<float>(quantizer, 50, 63) != noise);
  CHECK(qaf::quantization_noise<float>(quantizer, 1, 1) >= 0);
}

TEST_CASE("The noise of a quantizer refuses empty matrices and bad quantizers", "[quantization_noise]") {
  qaf::UniformQuantizer quantizer;
  CHECK_ERROR(qaf::quantization_noise<float>(quantizer, 0, 3),
              "qaf::quantization_noise: the matrix must have at least 1 x 1 entries, got 0 x 3");
  CHECK_ERROR(qaf::quantization_noise<float>(quantizer, 3, 0),
              "qaf::quantization_noise: the matrix must have at least 1 x 1 entries, got 3 x 0");
  quantizer.bits = 0;
  CHECK_ERROR(qaf::quantization_noise<float>(quantizer, 3, 3),
              "qaf::UniformQuantizer: bits must be from 1 to 8 for codes of 8 bits, got 0");
}
