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

/// Sums partial products over all their modes but one, which makes the MTTKRP of that mode: `I_n x R`. Memory stays
/// from one to the next.
template <typename Scalar>
class SumOverOthers {
 public:
  SumOverOthers() = default;
  SumOverOthers(const SumOverOthers&) = delete;
  SumOverOthers& operator=(const SumOverOthers&) = delete;

  /// What is to be summed: rows for every combination of the indices of `modes`, the first the fastest. `factors` view
  /// memory that must stay as it is until the sums are done.
  void assign(Index mode, const std::vector<Index>& modes, const std::vector<PanelView<Scalar>>& factors, int threads) {
    about_ = modes_about(mode, modes, factors);
    layout_ = factors[static_cast<std::size_t>(mode)].layout();
    // Rows that follow each other are summed with those of a first product of factors, which stays in the first cache
    // where it can; these sums, each times a row of the second product.
    constexpr Index enough_rows = 32;
    std::vector<Index> first_modes, second_modes;
    first_length_ = 1;
    for (const Index other : about_.fast_modes) {
      (first_length_ < enough_rows ? first_modes : second_modes).push_back(other);
      if (first_length_ < enough_rows) first_length_ *= factors[static_cast<std::size_t>(other)].rows();
    }
    second_modes.insert(second_modes.end(), about_.slow_modes.begin(), about_.slow_modes.end());
    first_.assign(factors_of(first_modes, factors));
    second_.assign(factors_of(second_modes, factors));
    first_rows_ = first_.all(threads);
    second_rows_ = second_.all(threads);
  }

  /// Of all rows. Cost: one pass over them.
  void run(const PanelView<Scalar>& rows, int threads, const PanelView<Scalar>& sums) const {
    parallel_ranges(threads_worth(threads, rows.size()), about_.length, [&](Index begin, Index end) {
      for (Index k = 0; k < layout_.panels(); ++k) sum_panel(rows.panel(k), k, begin, end, sums.panel(k));
    });
  }

 private:
  // Of rows of the first product, for an index of the mode and one of the slow modes.
  Index runs() const { return about_.fast / first_length_; }

  const Scalar* second_row(Index row, Index panel) const {
    return second_rows_.rows() > 0 ? second_rows_.panel(panel) + row * layout_.width(panel) : nullptr;
  }

  // Sums begin .. end - 1 of a panel.
  void sum_panel(const Scalar* rows, Index panel, Index begin, Index end, Scalar* sums) const {
    const Index width = layout_.width(panel);
    if (about_.fast_modes.empty())
      return sum_of_blocks(rows + begin * width, about_.length * width, second_row(0, panel), about_.slow, width,
                           end - begin, false, sums + begin * width);
    for (Index s = 0; s < about_.slow; ++s)
      for (Index i = begin; i < end; ++i)
        for (Index p = 0; p < runs(); ++p)
          sum_of_products(rows + ((s * about_.length + i) * runs() + p) * first_length_ * width,
                          first_rows_.panel(panel), width, first_length_, second_row(s * runs() + p, panel), s + p > 0,
                          sums + i * width);
  }

  ModesAbout about_;
  PanelLayout<Scalar> layout_;
  Index first_length_ = 1;
  KhatriRao<Scalar> first_, second_;
  PanelView<Scalar> first_rows_, second_rows_;  // without rows where there are no modes
};

}  // namespace qaf::detail
