#pragma once

// Products of matrices of 16-bit integers with sums of 32 bits: the processor multiplies pairs of neighbours and adds
// the two products, in each lane of a register (pmaddwd of x86). So the terms of a sum are taken two at a time, and the
// rows of the left matrix lie in panels: of each pair of terms the pairs of as many rows as a register has lanes.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__AVX2__) || defined(__SSE2__)
#include <immintrin.h>
#endif

#include <qaf/detail/packets.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// A register of 32-bit sums, and what is done to it. `add_products`: adds, in each lane, the products of two pairs.
#if defined(__AVX512BW__)
struct SumRegister {
  static constexpr int lanes = 16;
  using Value = __m512i;
  static Value zero() { return _mm512_setzero_si512(); }
  static Value load(const void* source) { return _mm512_loadu_si512(source); }
  static Value broadcast(std::int32_t pair) { return _mm512_set1_epi32(pair); }
  static Value add_products(Value sum, Value a, Value b) {
#if defined(__AVX512VNNI__)
    return _mm512_dpwssd_epi32(sum, a, b);
#else
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
#endif
  }
  static void store(void* target, Value value) { _mm512_storeu_si512(target, value); }
};
#elif defined(__AVX2__)
struct SumRegister {
  static constexpr int lanes = 8;
  using Value = __m256i;
  static Value zero() { return _mm256_setzero_si256(); }
  static Value load(const void* source) { return _mm256_loadu_si256(static_cast<const __m256i*>(source)); }
  static Value broadcast(std::int32_t pair) { return _mm256_set1_epi32(pair); }
  static Value add_products(Value sum, Value a, Value b) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }
  static void store(void* target, Value value) { _mm256_storeu_si256(static_cast<__m256i*>(target), value); }
};
#elif defined(__SSE2__)
struct SumRegister {
  static constexpr int lanes = 4;
  using Value = __m128i;
  static Value zero() { return _mm_setzero_si128(); }
  static Value load(const void* source) { return _mm_loadu_si128(static_cast<const __m128i*>(source)); }
  static Value broadcast(std::int32_t pair) { return _mm_set1_epi32(pair); }
  static Value add_products(Value sum, Value a, Value b) { return _mm_add_epi32(sum, _mm_madd_epi16(a, b)); }
  static void store(void* target, Value value) { _mm_storeu_si128(static_cast<__m128i*>(target), value); }
};
#else
struct SumRegister {
  static constexpr int lanes = 4;
  using Value = std::array<std::int32_t, lanes>;
  static Value zero() { return {}; }
  static Value load(const void* source) {
    Value value;
    std::memcpy(value.data(), source, sizeof value);
    return value;
  }
  static Value broadcast(std::int32_t pair) {
    Value value;
    value.fill(pair);
    return value;
  }
  static Value add_products(Value sum, const Value& a, const Value& b) {
    std::array<std::int16_t, 2 * lanes> x, y;
    std::memcpy(x.data(), a.data(), sizeof x);
    std::memcpy(y.data(), b.data(), sizeof y);
    for (std::size_t k = 0; k < lanes; ++k) sum[k] += x[2 * k] * y[2 * k] + x[2 * k + 1] * y[2 * k + 1];
    return sum;
  }
  static void store(void* target, const Value& value) { std::memcpy(target, value.data(), sizeof value); }
};
#endif

/// The left matrix of a product, its rows in panels and its terms in pairs; both filled up with zeros.
class Int16Panels {
 public:
  Int16Panels() = default;

  explicit Int16Panels(const Matrix<std::int16_t>& matrix)
      : pairs_((matrix.cols() + 1) / 2), panels_((matrix.rows() + SumRegister::lanes - 1) / SumRegister::lanes) {
    entries_.assign(static_cast<std::size_t>(panels_ * panel_size()), 0);
    for (Index k = 0; k < matrix.cols(); ++k)
      for (Index row = 0; row < matrix.rows(); ++row) {
        const Index lane = row % SumRegister::lanes, panel = row / SumRegister::lanes;
        entries_[static_cast<std::size_t>(panel * panel_size() + (k / 2 * SumRegister::lanes + lane) * 2 + k % 2)] =
            matrix(row, k);
      }
  }

  /// The rows, with those of zeros at the end.
  Index padded_rows() const { return panels_ * SumRegister::lanes; }

  /// The terms, with one of zeros at the end if need be.
  Index padded_terms() const { return 2 * pairs_; }

  /// `sums` (`padded_rows x columns`, of this size already) becomes the product with a matrix whose columns are
  /// `padded_terms` integers each, `stride` apart.
  void multiply(const std::int16_t* columns, Index stride, Matrix<std::int32_t>& sums) const {
    constexpr int wide = 6;  // columns at a time: with two panels 12 sums, 2 left entries and 1 right one in registers
    for (Index panel = 0; panel < panels_; panel += 2) {
      Index k = 0;
      if (panel + 1 < panels_) {
        for (; k + wide <= sums.cols(); k += wide) multiply_tile<2, wide>(panel, columns + k * stride, stride, k, sums);
        for (; k < sums.cols(); ++k) multiply_tile<2, 1>(panel, columns + k * stride, stride, k, sums);
      } else {
        for (; k + wide <= sums.cols(); k += wide) multiply_tile<1, wide>(panel, columns + k * stride, stride, k, sums);
        for (; k < sums.cols(); ++k) multiply_tile<1, 1>(panel, columns + k * stride, stride, k, sums);
      }
    }
  }

 private:
  Index panel_size() const { return 2 * pairs_ * SumRegister::lanes; }

  template <int height, int width>
  void multiply_tile(Index panel, const std::int16_t* columns, Index stride, Index first,
                     Matrix<std::int32_t>& sums) const {
    typename SumRegister::Value sum[std::size_t{height}][std::size_t{width}];
    unroll<height * width>([&](auto k) { sum[k / width][k % width] = SumRegister::zero(); });
    const std::int16_t* const left = entries_.data() + panel * panel_size();
    for (Index pair = 0; pair < pairs_; ++pair) {
      typename SumRegister::Value rows[std::size_t{height}];
      unroll<height>(
          [&](auto p) { rows[p] = SumRegister::load(left + p * panel_size() + pair * 2 * SumRegister::lanes); });
      unroll<width>([&](auto c) {
        std::int32_t two = 0;
        std::memcpy(&two, columns + c * stride + 2 * pair, sizeof two);
        const auto right = SumRegister::broadcast(two);
        unroll<height>([&](auto p) { sum[p][c] = SumRegister::add_products(sum[p][c], rows[p], right); });
      });
    }
    unroll<height * width>([&](auto k) {
      SumRegister::store(&sums((panel + k / width) * SumRegister::lanes, first + k % width), sum[k / width][k % width]);
    });
  }

  Index pairs_ = 0, panels_ = 0;
  std::vector<std::int16_t> entries_;  // panel, pair, lane, which of the pair
};

}  // namespace qaf::detail
