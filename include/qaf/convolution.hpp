#pragma once

/// @file
/// Convolutions: their kernels as tensors to factor, models as three layers, and these on 8-bit activations.

#include <qaf/convolution/activation_scale.hpp>
#include <qaf/convolution/convolve.hpp>
#include <qaf/convolution/feature_maps.hpp>
#include <qaf/convolution/fixed_point.hpp>
#include <qaf/convolution/geometry.hpp>
#include <qaf/convolution/integer_convolution.hpp>
#include <qaf/convolution/integer_factor.hpp>
#include <qaf/convolution/kernel_tensors.hpp>
#include <qaf/convolution/layer.hpp>
#include <qaf/convolution/rescale_layers.hpp>
#include <qaf/convolution/three_layers.hpp>
