#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <qaf/coordinate_descent.hpp>
#include <qaf/cp_admm.hpp>
#include <qaf/cp_als.hpp>
#include <qaf/error_preserving_correction.hpp>
#include <qaf/fit_weights.hpp>
#include <qaf/initialize.hpp>
#include <qaf/model_size.hpp>
#include <qaf/quantization_aware_start.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/status.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>
#include <qaf/weighted.hpp>

#include "draw.hpp"
#include "drawn_options.hpp"
#include "drawn_quantizer.hpp"
#include "drawn_tensor.hpp"
#include "laws.hpp"
#include "property_case.hpp"

namespace property {

/// What the subjects share: a tensor, in some cases weighted, and a rank.
template <typename Scalar>
struct Problem {
  qaf::DenseTensor<Scalar> entries;
  qaf::WeightedTensor<Scalar> tensor;
  qaf::Index rank;

  qaf::Index order() const { return entries.order(); }

  static Problem drawn(Draw& draw, bool may_have_bad_rank = false) {
    qaf::DenseTensor<Scalar> entries = draw_tensor<Scalar>(draw);
    const qaf::TensorView<Scalar> view = qaf::tensor_view(entries);
    qaf::WeightedTensor<Scalar> tensor(view);
    qaf::Index rank = draw.small_index(1, draw.chance(0.1) ? 80 : 12);
    if (may_have_bad_rank && draw.chance(0.01)) {
      rank = draw.one_of<qaf::Index>({0, -1, std::numeric_limits<qaf::Index>::min()});
      draw.spoil("a rank");
    }
    draw.note("rank ", rank);
    if (draw.chance(0.25)) {
      const auto metrics = draw_metrics(draw, view.dimensions());
      show_line(draw.line());
      tensor = qaf::weighted(entries, metrics);
    }
    return {std::move(entries), std::move(tensor), rank};
  }
};

/// A float model to start from: random, of any scale, with components of zeros.
template <typename Scalar>
qaf::CpModel<Scalar> draw_start(Draw& draw, const qaf::DenseTensor<Scalar>& tensor, qaf::Index rank) {
  const qaf::Index columns = std::max<qaf::Index>(rank, 1);
  const bool is_from_tensor = draw.chance(0.2) && !draw.is_spoilt();
  qaf::CpModel<Scalar> model = is_from_tensor
                                   ? qaf::initialize_gram_eigenvectors(tensor, columns, draw.bits())
                                   : qaf::initialize_random<Scalar>(tensor.dimensions(), columns, draw.bits());
  draw.note(is_from_tensor ? "from eigenvectors" : "from random factors");
  if (draw.chance(0.3)) {
    const double scale = draw.magnitude(-12, 12);
    draw.note("times ", scale);
    const qaf::Vector<Scalar> scaled = model.weights * static_cast<Scalar>(scale);
    if (scaled.allFinite()) model.weights = scaled;
  }
  if (draw.chance(0.2)) {
    draw.note("with a component of zeros");
    model.factors.front().col(draw.index(0, columns - 1)).setZero();
  }
  if (draw.chance(0.1)) {
    draw.note("with equal components");
    for (qaf::Matrix<Scalar>& factor : model.factors)
      for (qaf::Index r = 1; r < columns; ++r) factor.col(r) = factor.col(0);
  }
  if (draw.chance(0.02)) {
    model.factors.back()(0, 0) = std::numeric_limits<Scalar>::quiet_NaN();
    draw.spoil("a start with NaN");
  } else if (draw.chance(0.02)) {
    model.factors.pop_back();
    draw.spoil("a start without its last factor");
  }
  return model;
}

/// The norm of a model over that of the tensor may not be so large that the scalar cannot hold its square.
template <typename Scalar>
void check_not_above(double error, double bound, const DefinedError& defined, const char* what) {
  // Rounding in what a solver compares is that of its fast formula: the square root of the scalar's precision.
  const double slack = 4 * std::sqrt(static_cast<double>(std::numeric_limits<Scalar>::epsilon()));
  require(error <= bound * (1 + slack) + slack + defined.tolerance, "the relative error ", error, " is above ", bound,
          ", that of ", what);
}

/// A quantized model of the problem, with the error that was told.
template <typename Scalar>
DefinedError check_quantized(Draw& draw, const Problem<Scalar>& problem,
                             const qaf::QuantizedCpModel<Scalar, Quantizer>& model, double told_error) {
  check_codes(model);
  require(qaf::model_size(model).bits() > 0, "the model has no bits");
  const DefinedError defined = check_model(problem.tensor, problem.rank, qaf::decode(model), told_error);
  if (draw.chance(0.1)) check_file(draw.chance(0.5), model);
  return defined;
}

template <typename Scalar>
std::string run_cp_admm(Draw& draw) {
  const Problem<Scalar> problem = Problem<Scalar>::drawn(draw, true);
  const std::vector<Quantizer> quantizers = draw_quantizers(draw, problem.order());
  const qaf::CpAdmmOptions options = draw_admm_options(draw, problem.order());
  // With a start given, the number of values in `options.start.noise` is no matter.
  const bool is_noise_of_modes = static_cast<qaf::Index>(options.start.noise.size()) <= problem.order();
  const bool has_start = draw.chance(0.3) && problem.rank > 0 && is_noise_of_modes;
  const qaf::CpModel<Scalar> start =
      has_start ? draw_start(draw, problem.entries, problem.rank) : qaf::CpModel<Scalar>();
  show_line(draw.line());
  const auto solve = [&] {
    return has_start ? qaf::cp_admm(problem.tensor, start, quantizers, options)
                     : qaf::cp_admm(problem.tensor, problem.rank, quantizers, options);
  };
  const auto result = solve();
  const DefinedError defined = check_quantized(draw, problem, result.model, result.relative_error);
  require(!std::isnan(result.start_relative_error), "start_relative_error is ", result.start_relative_error);
  require(result.iterations == static_cast<qaf::Index>(result.history.size()), "the history has another length");
  for (const double error : result.history) require(std::isfinite(error), "the history has ", error);
  if (options.refine) check_not_above<Scalar>(result.relative_error, 1, defined, "no model at all");
  if (draw.chance(0.1)) require(is_same(solve().model, result.model), "the same seed gives other bits");
  return to_string(result.status);
}

template <typename Scalar>
std::string run_cp_als(Draw& draw) {
  const Problem<Scalar> problem = Problem<Scalar>::drawn(draw, true);
  const qaf::CpAlsOptions options = draw_als_options(draw, problem.order());
  const bool has_start = draw.chance(0.4) && problem.rank > 0;
  const qaf::CpModel<Scalar> start =
      has_start ? draw_start(draw, problem.entries, problem.rank) : qaf::CpModel<Scalar>();
  show_line(draw.line());
  const auto result =
      has_start ? qaf::cp_als(problem.tensor, start, options) : qaf::cp_als(problem.tensor, problem.rank, options);
  const DefinedError defined = check_model(problem.tensor, problem.rank, result.model, result.relative_error);
  require(!std::isnan(result.expected_error), "expected_error is ", result.expected_error);
  if (result.status != qaf::Status::not_finite)
    check_not_above<Scalar>(result.relative_error, 1, defined, "no model at all");
  return to_string(result.status);
}

template <typename Scalar>
std::string run_start(Draw& draw) {
  const Problem<Scalar> problem = Problem<Scalar>::drawn(draw, true);
  const std::vector<Quantizer> quantizers = draw_quantizers(draw, problem.order());
  const qaf::CpAdmmOptions options = draw_admm_options(draw, problem.order());
  show_line(draw.line());
  const auto result = qaf::quantization_aware_start(problem.tensor, problem.rank, quantizers, options);
  const DefinedError defined = check_model(problem.tensor, problem.rank, result.model, result.relative_error);
  if (result.status != qaf::Status::not_finite)
    check_not_above<Scalar>(result.relative_error, 1, defined, "no model at all");
  return to_string(result.status);
}

template <typename Scalar>
std::string run_correction(Draw& draw) {
  const Problem<Scalar> problem = Problem<Scalar>::drawn(draw);
  const qaf::ErrorPreservingCorrectionOptions options = draw_correction_options(draw);
  qaf::CpModel<Scalar> start = draw_start(draw, problem.entries, problem.rank);
  const bool is_solved = draw.chance(0.7);
  show_line(draw.line());
  if (is_solved && !draw.is_spoilt()) {
    qaf::CpAlsOptions als;
    als.max_iterations = draw.index(1, 10);
    start = qaf::cp_als(problem.tensor, start, als).model;
  }
  const auto result = qaf::error_preserving_correction(problem.tensor, start, options);
  const DefinedError defined = check_model(problem.tensor, problem.rank, result.model, result.relative_error);
  const DefinedError before = defined_error(problem.tensor, start);
  check_not_above<Scalar>(result.relative_error, (1 + options.slack) * (before.error + before.tolerance), defined,
                          "the start with its slack");
  require(std::isfinite(result.weights_norm) && result.weights_norm <= result.start_weights_norm * (1 + 1e-9),
          "the norm of the weights rises from ", result.start_weights_norm, " to ", result.weights_norm);
  return to_string(result.status);
}

/// `quantize`, `fit_weights` and `coordinate_descent`, none of which may raise the error.
template <typename Scalar>
std::string run_descent(Draw& draw) {
  const Problem<Scalar> problem = Problem<Scalar>::drawn(draw);
  const std::vector<Quantizer> quantizers = draw_quantizers(draw, problem.order());
  qaf::CoordinateDescentOptions options;
  options.max_iterations = draw.index(1, 4);
  options.tolerance = draw.one_of({0.0, 1e-6, 1.0});
  options.resources = draw_resources(draw);
  const qaf::CpModel<Scalar> start = draw_start(draw, problem.entries, problem.rank);
  const int steps = draw.integer(0, 3);
  draw.note("steps ", steps);
  show_line(draw.line());
  auto model = qaf::quantize(start, quantizers);
  const auto error_of = [&] { return qaf::relative_error(problem.tensor, model, options.resources); };
  double before = error_of();
  if (qaf::detail::weighted_norm("sweep", problem.tensor, qaf::Resources()) > 0) {
    DefinedError defined = check_quantized(draw, problem, model, before);
    for (int step = 0; step < steps; ++step) {
      const bool fits = step % 2 == 0;
      const double told = fits ? qaf::fit_weights(problem.tensor, model, options.resources)
                               : qaf::coordinate_descent(problem.tensor, model, options);
      require(std::isfinite(told), fits ? "fit_weights" : "coordinate_descent", " tells of the error ", told);
      const double after = error_of();
      const DefinedError next = check_quantized(draw, problem, model, after);
      defined.tolerance += next.tolerance;
      check_not_above<Scalar>(after, before, defined, fits ? "what fit_weights began with" : "the codes before");
      before = after;
    }
  } else {
    qaf::fit_weights(problem.tensor, model, options.resources);
    require(error_of() == 0, "the error of a tensor of zeros is ", error_of());
  }
  return "as it must be";
}

/// A quantizer on its own, on data of any scale.
template <typename Scalar>
std::string run_quantizer(Draw& draw) {
  const qaf::DenseTensor<Scalar> tensor = draw_tensor<Scalar>(draw);
  Quantizer quantizer = draw_quantizer(draw);
  if (draw.chance(0.02)) spoil_quantizer(draw, quantizer);
  const qaf::Index rows = draw.chance(0.02) ? 0 : tensor.dimensions()[0];
  qaf::Matrix<Scalar> matrix =
      Eigen::Map<const qaf::Matrix<Scalar>>(tensor.data(), rows, tensor.size() / tensor.dimensions()[0]);
  draw.note("as ", rows, " x ", matrix.cols());
  // Beyond float there is no scale; a norm out of range, or an entry that is not in the matrix, is no matter here.
  draw.allow_refusal();
  const bool is_in_range =
      matrix.size() == 0 || (matrix.allFinite() && static_cast<double>(matrix.cwiseAbs().maxCoeff()) <=
                                                       static_cast<double>(std::numeric_limits<float>::max()));
  show_line(draw.line());
  qaf::QuantizedFactor<Quantizer> factor;
  try {
    factor = qaf::quantize(matrix, quantizer);
  } catch (const std::invalid_argument& error) {
    require(!is_in_range || draw.is_spoilt(), "refuses what is in range: ", error.what());
    throw;
  }
  require(matrix.allFinite(), "accepts what is not finite");
  require(factor.codes.rows() == matrix.rows() && factor.codes.cols() == matrix.cols(), "the codes have another size");
  const qaf::Matrix<Scalar> decoded = qaf::decode<Scalar>(factor);
  require(decoded.allFinite(), "decodes to what is not finite");
  qaf::QuantizedCpModel<Scalar, Quantizer> model;
  model.factors.push_back(factor);
  check_codes(model);
  require(quantizer.fit(matrix) == factor.parameters, "the same matrix gives other parameters");
  require(quantizer.encode(matrix, factor.parameters) == factor.codes, "the same matrix gives other codes");
  // What is representable is its own nearest value; underflow of products aside.
  const bool is_normal =
      decoded.size() == 0 || decoded.cwiseAbs()
                                     .unaryExpr([](Scalar value) {
                                       return value == 0 || value >= std::numeric_limits<float>::min() ? Scalar(1)
                                                                                                       : Scalar(0);
                                     })
                                     .minCoeff() == Scalar(1);
  if (is_normal) {
    const qaf::Matrix<Scalar> again = qaf::decode<Scalar>(
        qaf::QuantizedFactor<Quantizer>{quantizer.encode(decoded, factor.parameters), factor.parameters, quantizer});
    require((again - decoded).cwiseAbs().sum() <= Scalar(1e-5) * decoded.cwiseAbs().sum(),
            "what is decoded is encoded to something else");
  }
  return "as it must be";
}

/// One of the subjects.
template <typename Scalar>
std::string run_subject(int subject, Draw& draw) {
  switch (subject) {
    case 0:
      return run_cp_admm<Scalar>(draw);
    case 1:
      return run_cp_als<Scalar>(draw);
    case 2:
      return run_start<Scalar>(draw);
    case 3:
      return run_correction<Scalar>(draw);
    case 4:
      return run_descent<Scalar>(draw);
    default:
      return run_quantizer<Scalar>(draw);
  }
}

std::string run_float_subject(int subject, Draw& draw);
std::string run_double_subject(int subject, Draw& draw);

}  // namespace property
