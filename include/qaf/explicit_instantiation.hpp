#pragma once

/// @file
/// For large projects: the solvers for float and double are compiled once, not in every file that calls them. All files
/// that call solvers include this header; one source file of the project has besides, outside of any namespace,
///
///     QAF_INSTANTIATE
///
/// Without it the linker misses functions such as `qaf::detail::run_cp_als`. All these files need the same options of
/// the compiler for the processor, OpenMP and Eigen. Covered are `cp_als`, `cp_admm` and its steps with
/// `UniformQuantizer`, `mttkrp`, `relative_error`, and what works on float models; solvers with other quantizers are
/// compiled where they are called, as ever.

#include <qaf/qaf.hpp>

/// What is declared or instantiated for a scalar type: `QAF_TEMPLATE` is `template` or `extern template`.
#define QAF_TEMPLATES(QAF_TEMPLATE, Scalar)                                                                            \
  QAF_TEMPLATE qaf::Matrix<Scalar> qaf::detail::unchecked_mttkrp(                                                      \
      const qaf::TensorView<Scalar>&, const std::vector<qaf::Matrix<Scalar>>&, qaf::Index, int);                       \
  QAF_TEMPLATE double qaf::detail::frobenius_norm(const char*, const qaf::TensorView<Scalar>&);                        \
  QAF_TEMPLATE double qaf::detail::weighted_norm(const char*, const qaf::WeightedTensor<Scalar>&,                      \
                                                 const qaf::Resources&);                                               \
  QAF_TEMPLATE double qaf::detail::direct_relative_error(const qaf::WeightedTensor<Scalar>&,                           \
                                                         const qaf::CpModel<Scalar>&, double, int);                    \
  QAF_TEMPLATE void qaf::normalize(qaf::CpModel<Scalar>&);                                                             \
  QAF_TEMPLATE void qaf::balance(qaf::CpModel<Scalar>&);                                                               \
  QAF_TEMPLATE qaf::CpModel<Scalar> qaf::initialize_random<Scalar>(const std::vector<qaf::Index>&, qaf::Index,         \
                                                                   std::uint64_t);                                     \
  QAF_TEMPLATE qaf::CpAlsResult<Scalar> qaf::detail::run_cp_als(const qaf::WeightedTensor<Scalar>&, double,            \
                                                                qaf::CpModel<Scalar>, const qaf::CpAlsOptions&);       \
  QAF_TEMPLATE double qaf::detail::unchecked_fit_weights(qaf::detail::AlternatingProblem<Scalar>&,                     \
                                                         qaf::Vector<Scalar>&);                                        \
  QAF_TEMPLATE qaf::QuantizedFactor<qaf::UniformQuantizer> qaf::quantize(const qaf::Matrix<Scalar>&,                   \
                                                                         const qaf::UniformQuantizer&);                \
  QAF_TEMPLATE auto qaf::quantize(qaf::CpModel<Scalar>, const qaf::UniformQuantizer&);                                 \
  QAF_TEMPLATE qaf::CpModel<Scalar> qaf::decode(const qaf::QuantizedCpModel<Scalar, qaf::UniformQuantizer>&);          \
  QAF_TEMPLATE qaf::CpAlsResult<Scalar> qaf::detail::unchecked_start(const qaf::WeightedTensor<Scalar>&, qaf::Index,   \
                                                                     const std::vector<qaf::UniformQuantizer>&,        \
                                                                     const qaf::CpAdmmOptions&);                       \
  QAF_TEMPLATE double qaf::detail::unchecked_coordinate_descent(qaf::detail::AlternatingProblem<Scalar>&,              \
                                                                qaf::QuantizedCpModel<Scalar, qaf::UniformQuantizer>&, \
                                                                const qaf::CoordinateDescentOptions&);                 \
  QAF_TEMPLATE qaf::CpAdmmResult<Scalar, qaf::UniformQuantizer> qaf::detail::run_cp_admm(                              \
      const qaf::WeightedTensor<Scalar>&, double, qaf::CpModel<Scalar>, const std::vector<qaf::UniformQuantizer>&,     \
      const qaf::CpAdmmOptions&);

/// The instantiations, for one source file.
#define QAF_INSTANTIATE QAF_TEMPLATES(template, float) QAF_TEMPLATES(template, double)

QAF_TEMPLATES(extern template, float)
QAF_TEMPLATES(extern template, double)
