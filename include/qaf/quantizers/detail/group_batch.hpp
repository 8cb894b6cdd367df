#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>

#include <qaf/detail/packets.hpp>
#include <qaf/quantizers/detail/group_values.hpp>
#include <qaf/quantizers/detail/scale_candidate.hpp>
#include <qaf/quantizers/detail/scale_sums.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// Groups of so few entries are searched a register full at a time, one in each lane.
inline constexpr Index tiny_group = 32;

/// Tiny groups of the same size, for which scales are searched together.
template <typename Scalar>
class GroupBatch {
 public:
  Index count() const { return count_; }
  bool is_full() const { return count_ == capacity; }
  /// Of a group.
  Index size() const { return size_; }

  /// `unit` of the group, see `ScaleCandidate`; `least`: the least scale to try, in units.
  void add(const GroupValues<Scalar>& group, double unit, double least) {
    size_ = group.size;
    for (Index k = 0; k < size_; ++k) values_[static_cast<std::size_t>(k * capacity + count_)] = group.data[k];
    inverse_unit_[static_cast<std::size_t>(count_)] = static_cast<Scalar>(1 / unit);
    least_[static_cast<std::size_t>(count_)] = static_cast<Scalar>(least);
    ++count_;
  }

  void clear() { count_ = 0; }

  /// For each group, of the scales that `short_group_scale` tries, the best, in units.
  template <typename Nearest>
  std::array<Scalar, packet_size<Scalar>> scales(const Nearest& nearest) const {
    using namespace Eigen::internal;
    const Scalar most = static_cast<Scalar>(most_scale(nearest));
    const P least = ploadu<P>(least_.data());
    constexpr Scalar others = Scalar(1) / (tried - 1);
    const P step = pmul(psub(pset1<P>(most), least), pset1<P>(others));
    P scale = pset1<P>(Scalar(1)), error = pset1<P>(std::numeric_limits<Scalar>::max());
    try_scales(nearest, least, step, scale, error);
    const P reach = pmul(step, pset1<P>(Scalar(1.5)));
    const P first = pmax(psub(scale, reach), pmul(least, pset1<P>(Scalar(0.5))));
    try_scales(nearest, first, pmul(reach, pset1<P>(2 * others)), scale, error);
    std::array<Scalar, packet_size<Scalar>> result;
    pstoreu(result.data(), scale);
    return result;
  }

 private:
  using P = Packet<Scalar>;
  static constexpr Index capacity = packet_size<Scalar>;
  static constexpr int tried = 16;

  template <typename Nearest>
  void try_scales(const Nearest& nearest, const P& first, const P& step, P& best, P& least_error) const {
    using namespace Eigen::internal;
    const P inverse_unit = ploadu<P>(inverse_unit_.data());
    for (int k = 0; k < tried; k += 2) {
      const P scale = pmadd(step, pset1<P>(static_cast<Scalar>(k)), first), scale_2 = padd(scale, step);
      const P factor = pdiv(inverse_unit, scale), factor_2 = pdiv(inverse_unit, scale_2);
      P rest = pset1<P>(Scalar(0)), match = rest, squares = rest, rest_2 = rest, match_2 = rest, squares_2 = rest;
      for (Index i = 0; i < size_; ++i) {
        const P values = ploadu<P>(values_.data() + i * capacity);
        add_terms<true>(pmul(values, factor), nearest, rest, match, squares);
        add_terms<true>(pmul(values, factor_2), nearest, rest_2, match_2, squares_2);
      }
      keep_better(scale, rest, match, squares, best, least_error);
      keep_better(scale_2, rest_2, match_2, squares_2, best, least_error);
    }
  }

  static void keep_better(const P& scale, const P& rest, const P& match, const P& squares, P& best, P& least_error) {
    using namespace Eigen::internal;
    P gain = pdiv(match, padd(squares, pset1<P>(Scalar(std::numeric_limits<float>::min()))));
    gain = pand(gain, pcmp_lt(pset1<P>(Scalar(-1)), gain));  // as `ScaleSums::gain`
    const P error = pmul(psub(rest, pmul(match, gain)), pmul(scale, scale));
    const P is_better = pcmp_lt(error, least_error);
    best = pselect(is_better, pmadd(scale, gain, scale), best);
    least_error = pmin(error, least_error);
  }

  Index count_ = 0, size_ = 0;
  std::array<Scalar, static_cast<std::size_t>(tiny_group* packet_size<Scalar>)> values_{};
  std::array<Scalar, packet_size<Scalar>> inverse_unit_{}, least_{};
};

}  // namespace qaf::detail
