#pragma once

#include <vector>

#include <qaf/quantizers/levels.hpp>

namespace qaf {

/// -1, 0 and 1.
struct TernaryLevels {
  /// Nothing can be wrong.
  void validate() const {}
  /// The three levels.
  std::vector<float> levels() const { return {-1, 0, 1}; }
};

/// -1 and 1.
struct BinaryLevels {
  /// Nothing can be wrong.
  void validate() const {}
  /// The two levels.
  std::vector<float> levels() const { return {-1, 1}; }
};

/// The 16 levels of NF4, quantiles of the normal distribution with an exact 0 (Dettmers, Pagnoni, Holtzman and
/// Zettlemoyer 2023, appendix E).
struct NormalFloat4Levels {
  /// Nothing can be wrong.
  void validate() const {}
  /// The levels, ascending, from -1 to 1.
  std::vector<float> levels() const {
    return {-1.0F,
            -0.6961928009986877F,
            -0.5250730514526367F,
            -0.39491748809814453F,
            -0.28444138169288635F,
            -0.18477343022823334F,
            -0.09105003625154495F,
            0.0F,
            0.07958029955625534F,
            0.16093020141124725F,
            0.24611230194568634F,
            0.33791524171829224F,
            0.44070982933044434F,
            0.5626170039176941F,
            0.7229568362236023F,
            1.0F};
  }
};

/// Every value is a scale times -1, 0 or 1; with `ScaleMethod::exact` the ternary weights of least error (Li, Zhang and
/// Liu 2016 approximate them).
using TernaryQuantizer = LevelQuantizer<TernaryLevels>;

/// Every value is a scale times -1 or 1; the best scale is the mean magnitude (Rastegari et al. 2016).
using BinaryQuantizer = LevelQuantizer<BinaryLevels>;

/// Every value is a scale times one of 16 normal quantiles. QLoRA uses it with `ScaleMethod::maximum` and blocks of 64.
using NormalFloat4Quantizer = LevelQuantizer<NormalFloat4Levels>;

}  // namespace qaf
