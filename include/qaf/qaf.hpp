#pragma once

/// @file
/// The solvers and what they work on, with Eigen's tensors. Not in it: `qaf/plan.hpp`, `qaf/convolution.hpp`, further
/// quantizers in `qaf/quantizers/`, and readers and writers of files in `qaf/io/`.

#include <unsupported/Eigen/CXX11/Tensor>

#include <qaf/coordinate_descent.hpp>
#include <qaf/cp_admm.hpp>
#include <qaf/cp_admm_options.hpp>
#include <qaf/cp_als.hpp>
#include <qaf/cp_model.hpp>
#include <qaf/dense_tensor.hpp>
#include <qaf/error.hpp>
#include <qaf/error_preserving_correction.hpp>
#include <qaf/fit_weights.hpp>
#include <qaf/initialize.hpp>
#include <qaf/model_size.hpp>
#include <qaf/mttkrp.hpp>
#include <qaf/packing.hpp>
#include <qaf/quantization_aware_start.hpp>
#include <qaf/quantization_noise.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/quantizer.hpp>
#include <qaf/quantizers/one_of.hpp>
#include <qaf/quantizers/uniform.hpp>
#include <qaf/resources.hpp>
#include <qaf/status.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>
#include <qaf/version.hpp>
#include <qaf/weighted.hpp>
#include <qaf/weighted_tensor.hpp>
