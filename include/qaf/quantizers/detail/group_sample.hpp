#pragma once

#include <qaf/detail/packets.hpp>
#include <qaf/quantizers/detail/group_values.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// Some entries of a long group that stand for all of it: those that decide on what is clipped, the lowest and the
/// highest of each of many sets, for themselves, and an even choice of the others for `weight` entries each.
template <typename Scalar>
struct GroupSample {
  Eigen::Array<Scalar, Eigen::Dynamic, 1> extremes, others;
  Scalar weight;
};

/// Of groups with more entries samples are taken.
inline constexpr Index short_group = 2048;

/// Every 64th entry is of one set. Cost: 2 operations for every entry.
template <typename Scalar>
GroupSample<Scalar> sample_group(const GroupValues<Scalar>& group) {
  using namespace Eigen::internal;
  using P = Packet<Scalar>;
  constexpr Index sets = 64;
  const Index columns = group.size / sets;  // of one entry from each set
  const Index chosen = 4 + columns / sets, stride = columns / chosen;
  const Index left = group.size % sets;  // in no set
  GroupSample<Scalar> sample;
  sample.extremes.resize(2 * sets + left);
  sample.extremes.tail(left) = group.array().tail(left);
  sample.others.resize(chosen * sets);
  P again = pset1<P>(Scalar(0));  // how many are chosen that are extreme; 0 in their place has no error
  for (Index set = 0; set < sets; set += packet_size<Scalar>) {
    P lowest = ploadu<P>(group.data + set), highest = lowest;
    for (Index k = columns % 2; k < columns; k += 2) {
      const P values = ploadu<P>(group.data + k * sets + set), values_2 = ploadu<P>(group.data + (k + 1) * sets + set);
      lowest = pmin(lowest, pmin(values, values_2));
      highest = pmax(highest, pmax(values, values_2));
    }
    pstoreu(sample.extremes.data() + set, lowest);
    pstoreu(sample.extremes.data() + sets + set, highest);
    for (Index k = 0; k < chosen; ++k) {
      const P values = ploadu<P>(group.data + (k * stride + set * stride / sets) * sets + set);
      const P is_extreme = por(pcmp_eq(values, lowest), pcmp_eq(values, highest));
      pstoreu(sample.others.data() + k * sets + set, pandnot(values, is_extreme));
      again = padd(again, pand(is_extreme, pset1<P>(Scalar(1))));
    }
  }
  const Scalar different = static_cast<Scalar>(chosen * sets) - predux(again);  // none where there are two values only
  sample.weight = different > 0 ? static_cast<Scalar>((columns - 2) * sets) / different : Scalar(0);
  return sample;
}

}  // namespace qaf::detail
