#pragma once

#include <qaf/types.hpp>

/// A quantizer in parts, for the programs here to break one at a time.
struct GoodParameters {
  float scale = 1;
};
using GoodCodes = qaf::Matrix<signed char>;
using Values = qaf::Matrix<float>;
