#pragma once

#include <cstddef>
#include <vector>

#include <qaf/detail/khatri_rao.hpp>
#include <qaf/detail/modes_about.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/panel_rows.hpp>
#include <qaf/detail/parallel.hpp>
#include <qaf/types.hpp>

namespace qaf::detail {

/// Sums a partial product over all its modes but one, which makes the MTTKRP of that mode. Memory stays from one to the
/// next.
template <typename Scalar>
class SumOverOthers {
 public:
  /// `rows`: one for every combination of the indices of `modes`, the first the fastest. `sums` is `I_n x R`. Cost: one
  /// pass over the rows.
  void run(const PanelView<Scalar>& rows, Index mode, const std::vector<Index>& modes,
           const std::vector<PanelView<Scalar>>& factors, int threads, const PanelView<Scalar>& sums) {
    const ModesAbout about = modes_about(mode, modes, factors);
    // Rows that follow each other are summed with those of a first product of factors, which stays in the first cache
    // where it can; these sums, each times a row of the second product.
    std::vector<Index> first_modes, second_modes;
    Index first = 1;
    for (const Index other : about.fast_modes) {
      (first < enough_rows ? first_modes : second_modes).push_back(other);
      if (first < enough_rows) first *= factors[static_cast<std::size_t>(other)].rows();
    }
    second_modes.insert(second_modes.end(), about.slow_modes.begin(), about.slow_modes.end());
    first_.assign(factors_of(first_modes, factors));
    second_.assign(factors_of(second_modes, factors));
    const PanelView<Scalar> first_rows = first_.all(threads), second_rows = second_.all(threads);
    const Index pieces = about.fast / first;
    const auto part = [&](Index panel, Index begin, Index end) {
      const Index width = sums.layout().width(panel), size = first * width;
      const Scalar* const source = rows.panel(panel);
      const Scalar* const second = second_modes.empty() ? nullptr : second_rows.panel(panel);
      Scalar* const target = sums.panel(panel);
      if (first_modes.empty())
        return sum_of_blocks(source + begin * width, about.length * width, second, about.slow, width, end - begin,
                             false, target + begin * width);
      for (Index s = 0; s < about.slow; ++s)
        for (Index i = begin; i < end; ++i)
          for (Index p = 0; p < pieces; ++p)
            sum_of_products(source + ((s * about.length + i) * pieces + p) * size, first_rows.panel(panel), width,
                            first, second == nullptr ? nullptr : second + (s * pieces + p) * width, s + p > 0,
                            target + i * width);
    };
    parallel_ranges(threads_worth(threads, rows.size()), about.length, [&](Index begin, Index end) {
      for (Index k = 0; k < sums.layout().panels(); ++k) part(k, begin, end);
    });
  }

 private:
  static constexpr Index enough_rows = 32;

  KhatriRao<Scalar> first_, second_;
};

}  // namespace qaf::detail
