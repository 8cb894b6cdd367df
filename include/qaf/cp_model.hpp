#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include <qaf/dense_tensor.hpp>
#include <qaf/detail/blocks.hpp>
#include <qaf/detail/columns.hpp>
#include <qaf/detail/khatri_rao.hpp>
#include <qaf/detail/mode_view.hpp>
#include <qaf/detail/panel_matrix.hpp>
#include <qaf/detail/parallel.hpp>
#include <qaf/detail/products.hpp>
#include <qaf/resources.hpp>
#include <qaf/tensor.hpp>
#include <qaf/types.hpp>
#include <qaf/weighted_tensor.hpp>

namespace qaf {

/// A canonical polyadic (CP) model of rank R: the sum over r of
/// `weights[r] * factors[0].col(r) o factors[1].col(r) o ...`, with `o` the outer product.
///
/// Normalization: any columns and weights are a valid model. The library returns float models
/// *normalized* (see `normalize`) and quantizes them *balanced* (see `balance`).
template <typename Scalar>
struct CpModel {
  std::vector<Matrix<Scalar>> factors;  ///< one `I_n x R` matrix a mode
  Vector<Scalar> weights;               ///< lambda, R

  /// The number of components, R.
  Index rank() const { return weights.size(); }
};

namespace detail {

/// The sizes of the tensor that `model` describes. Errors: fewer than 2 factors, an empty one, or
/// columns that do not agree in number.
template <typename Scalar>
std::vector<Index> model_dimensions(const char* function, const CpModel<Scalar>& model) {
  if (model.factors.size() < 2) fail(function, "a model must have at least 2 factors, got ", model.factors.size());
  std::vector<Index> dimensions;
  for (const Matrix<Scalar>& factor : model.factors) {
    if (factor.cols() != model.rank() || factor.rows() < 1 || model.rank() < 1)
      fail(function, "factor ", dimensions.size(), " must be I x R with I >= 1 and R the ", model.rank(),
           " weights, got ", factor.rows(), " x ", factor.cols());
    dimensions.push_back(factor.rows());
  }
  return dimensions;
}

/// Throws unless `start` is a model of `tensor`'s sizes with finite entries.
template <typename Scalar>
void check_start(const char* function, const TensorView<Scalar>& tensor, const CpModel<Scalar>& start) {
  const std::vector<Index> dimensions = model_dimensions(function, start);
  if (dimensions != tensor.dimensions())
    fail(function, "the start must be a model of a tensor ", shape_text(tensor.dimensions()), ", got ",
         shape_text(dimensions));
  bool finite = start.weights.allFinite();
  for (const Matrix<Scalar>& factor : start.factors) finite = finite && factor.allFinite();
  if (!finite) fail(function, "every entry of the start must be finite, got NaN or infinity");
}

/// Calls `visit(begin, block)` for the whole reconstruction in memory order: `block` holds its entries
/// from number `begin` on. Only one block stands in memory. Cost: `2 prod(I) R` flops.
template <typename Scalar, typename Visit>
void for_each_reconstructed_block(const CpModel<Scalar>& model, StorageOrder storage_order, int threads,
                                  const Visit& visit) {
  // Enough of the fastest modes make up the rows for the products to be worth their call.
  constexpr Index enough_rows = 64;
  std::vector<Index> fast_modes, slow_modes;
  Index rows = 1;
  const std::vector<Index> modes = modes_in_memory(static_cast<Index>(model.factors.size()), storage_order);
  for (const Index mode : modes) {
    const bool take = fast_modes.empty() || (rows < enough_rows && mode != modes.back());
    if (take) rows *= model.factors[static_cast<std::size_t>(mode)].rows();
    (take && slow_modes.empty() ? fast_modes : slow_modes).push_back(mode);
  }
  // In a single panel, rows of a Khatri-Rao product are the columns of a matrix.
  const PanelLayout<Scalar> layout = PanelLayout<Scalar>::single(model.rank());
  std::vector<PanelMatrix<Scalar>> panels(model.factors.size());
  std::vector<PanelView<Scalar>> factors;
  for (std::size_t n = 0; n < panels.size(); ++n) {
    panels[n].assign(model.factors[n], layout);
    factors.push_back(panels[n].view());
  }
  const auto components = [&](KhatriRao<Scalar>& product, Index begin, Index count) -> Matrix<Scalar> {
    return Eigen::Map<const Matrix<Scalar>>(product.slab(begin, count, 1).panel(0), layout.padded_rank(), count)
        .topRows(model.rank());
  };
  KhatriRao<Scalar> fast(factors_of(fast_modes, factors)), slow(factors_of(slow_modes, factors));
  Matrix<Scalar> weighted_fast = components(fast, 0, fast.rows());
  for (Index r = 0; r < model.rank(); ++r) weighted_fast.row(r) *= model.weights[r];
  const Index block_columns = rows_per_block(slow.rows(), std::max(fast.rows(), model.rank()));
  for (Index column = 0; column < slow.rows(); column += block_columns) {
    const Index count = std::min(block_columns, slow.rows() - column);
    const Matrix<Scalar> block = transposed_product(weighted_fast, components(slow, column, count), threads);
    visit(column * fast.rows(), block);
  }
}

/// `|X / d - Xhat| / unit` in the tensor's metric, entry by entry, with the scalar d.
template <typename Scalar>
double residual_norm(const WeightedTensor<Scalar>& tensor, const CpModel<Scalar>& model, Scalar d, double unit,
                     int threads) {
  const TensorView<Scalar>& view = tensor.view();
  const bool plain = tensor.is_plain();
  Vector<Scalar> residual(plain ? 0 : view.size());
  double sum = 0;
  for_each_reconstructed_block(model, view.storage_order(), threads, [&](Index begin, const Matrix<Scalar>& block) {
    const Eigen::Map<const Matrix<Scalar>> entries(view.data() + begin, block.rows(), block.cols());
    if (plain)
      sum += ((entries / d - block).template cast<double>() / unit).squaredNorm();
    else
      Eigen::Map<Matrix<Scalar>>(residual.data() + begin, block.rows(), block.cols()) = entries / d - block;
  });
  if (plain) return std::sqrt(sum);
  // The squares of what is divided by so much stay within the scalar's range.
  constexpr double far = 1e6;
  const double largest = static_cast<double>(residual.cwiseAbs().maxCoeff());
  const double divisor = largest > far * unit ? largest : unit;
  residual /= static_cast<Scalar>(divisor);
  return weighted_norm(tensor, std::move(residual), threads) * (divisor / unit);
}

template <typename Scalar>
Vector<double> normalize_factors(CpModel<Scalar>& model);

/// `a b / c`, where only the result has to be within the range.
inline double product_over(double a, double b, double c) {
  int a_exponent = 0, b_exponent = 0, c_exponent = 0;
  a = std::frexp(a, &a_exponent);
  b = std::frexp(b, &b_exponent);
  c = std::frexp(c, &c_exponent);
  return std::ldexp(a * b / c, a_exponent + b_exponent - c_exponent);
}

/// `relative_error` with the (weighted) norm of the tensor already known, and the arguments already checked.
template <typename Scalar>
double direct_relative_error(const WeightedTensor<Scalar>& tensor, const CpModel<Scalar>& model, double norm,
                             int threads) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (norm == 0) return residual_norm(tensor, model, Scalar(1), 1, threads) == 0 ? 0 : infinity;
  double error = infinity;
  if (!is_extreme_norm<Scalar>(norm)) error = residual_norm(tensor, model, Scalar(1), norm, threads);
  if (std::isfinite(error)) return error;
  // Products that leave the scalar's range on their way: normalized and divided by the norm, a model is in its middle.
  CpModel<Scalar> scaled{model.factors, Vector<Scalar>::Ones(model.rank())};
  const Vector<double> sizes = normalize_factors(scaled);
  for (Index r = 0; r < model.rank(); ++r)
    scaled.weights[r] = static_cast<Scalar>(product_over(static_cast<double>(model.weights[r]), sizes[r], norm));
  error = residual_norm(tensor, scaled, static_cast<Scalar>(norm), 1, threads);
  if (std::isnan(error)) return infinity;  // entries of a finite model that no scalar holds
  return error;
}

}  // namespace detail

/// Writes the tensor that `model` describes into `tensor`, an Eigen tensor or matrix of the right
/// sizes, a map of one, or a `DenseTensor`. Errors: another size, a model whose parts do not fit, a field of
/// `resources` out of range. Cost: `2 prod(I) R` flops.
template <typename Scalar, typename Tensor>
void reconstruct_into(const CpModel<Scalar>& model, Tensor&& tensor, const Resources& resources = {}) {
  validate(resources);
  const std::vector<Index> dimensions = detail::model_dimensions("reconstruct_into", model);
  const auto view = detail::floating_point_view<Scalar>(tensor);
  if (view.dimensions() != dimensions)
    detail::fail("reconstruct_into", "the tensor must be ", detail::shape_text(dimensions), ", got ",
                 detail::shape_text(view.dimensions()));
  Scalar* data = tensor.data();
  detail::for_each_reconstructed_block(model, view.storage_order(), detail::thread_count(resources.threads),
                                       [&](Index begin, const Matrix<Scalar>& block) {
                                         Eigen::Map<Matrix<Scalar>>(data + begin, block.rows(), block.cols()) = block;
                                       });
}

/// The tensor that `model` describes. Errors and cost: as `reconstruct_into`.
template <typename Scalar>
DenseTensor<Scalar> reconstruct(const CpModel<Scalar>& model, StorageOrder storage_order = StorageOrder::column_major,
                                const Resources& resources = {}) {
  DenseTensor<Scalar> tensor(detail::model_dimensions("reconstruct", model), storage_order);
  reconstruct_into(model, tensor, resources);
  return tensor;
}

/// The relative error `|X - Xhat| / |X|` from the entries themselves: what the library reports; of a weighted tensor in
/// its own norm. Of a tensor of zeros it is 0 where the model is zero too, else infinity; infinity also where residuals
/// over the norm, or their squares, leave the range.
/// Errors: NaN or infinity in the tensor, a model of another size, a field of `resources` out of range.
/// Cost: `2 prod(I) R` flops; the reconstruction never stands in memory as a whole, but with weights.
template <typename Tensor, typename Scalar = detail::TensorScalar<Tensor>>
double relative_error(const Tensor& tensor, const CpModel<Scalar>& model, const Resources& resources = {}) {
  validate(resources);
  const WeightedTensor<Scalar> weighted = detail::weighted_view<Scalar>(tensor);
  const std::vector<Index>& dimensions = weighted.view().dimensions();
  if (detail::model_dimensions("relative_error", model) != dimensions)
    detail::fail("relative_error", "the model must be of a tensor ", detail::shape_text(dimensions), ", got ",
                 detail::shape_text(detail::model_dimensions("relative_error", model)));
  const double norm = detail::weighted_norm("relative_error", weighted, resources);
  return detail::direct_relative_error(weighted, model, norm, detail::thread_count(resources.threads));
}

/// The relative error from what an update of mode n has at hand, without touching the tensor:
/// `|X - Xhat|^2 = |X|^2 - 2 <F, A> + <A^T A, G>` with `F` the MTTKRP of the mode, `G` the Hadamard
/// product of the other factors' Gram matrices, `A` the mode's factor with the weights in its columns.
/// Cost: `I_n R^2` multiplications. Good for iterations only: the terms cancel, so an error below the
/// square root of the scalar's precision is noise (a negative sum is taken for 0).
template <typename Scalar>
double fast_relative_error(double tensor_norm, const Matrix<Scalar>& mttkrp, const Matrix<Scalar>& factor,
                           const Matrix<Scalar>& gram) {
  const double inner = detail::inner_product(mttkrp, factor);
  const double model = detail::inner_product(detail::product(factor, gram, 1), factor);
  const double squared = tensor_norm * tensor_norm - 2 * inner + model;
  return detail::root_of_cancelled_sum(squared) / tensor_norm;
}

/// The Hadamard product of all Gram matrices but that of `mode`: `G` (`R x R`).
template <typename Scalar>
Matrix<Scalar> gram_of_others(const std::vector<Matrix<Scalar>>& grams, Index mode) {
  Matrix<Scalar> product = Matrix<Scalar>::Ones(grams.front().rows(), grams.front().cols());
  for (std::size_t n = 0; n < grams.size(); ++n)
    if (static_cast<Index>(n) != mode) product.array() *= grams[n].array();
  return product;
}

namespace detail {

/// Divides every column of `factor` by its Euclidean norm and returns the norms; a zero column stays.
template <typename Scalar>
Vector<double> normalize_columns(Matrix<Scalar>& factor) {
  Vector<double> norms(factor.cols());
  for (Index r = 0; r < factor.cols(); ++r) {
    const Scalar norm = static_cast<Scalar>(column_norm(factor, r));
    if (norm > 0) factor.col(r) /= norm;
    norms[r] = static_cast<double>(norm);
  }
  return norms;
}

/// Gives all columns norm 1 and returns the weights, in double: the product of a component's norms may
/// leave the scalar's range on the way.
template <typename Scalar>
Vector<double> normalize_factors(CpModel<Scalar>& model) {
  Vector<double> weights = model.weights.template cast<double>();
  for (Matrix<Scalar>& factor : model.factors) {
    const Vector<double> norms = normalize_columns(factor);
    for (Index r = 0; r < weights.size(); ++r) weights[r] *= norms[r];
  }
  return weights;
}

/// The norms of the components of a model, at most the largest double.
template <typename Scalar>
Vector<double> component_norms(const CpModel<Scalar>& model) {
  Vector<double> norms = model.weights.template cast<double>().cwiseAbs();
  for (Index r = 0; r < model.rank(); ++r) {
    for (const Matrix<Scalar>& factor : model.factors) norms[r] *= column_norm(factor, r);
    norms[r] = std::min(norms[r], std::numeric_limits<double>::max());
  }
  return norms;
}

/// The weights of a model for the tensor scaled to norm 1: `weights / norm`. Where a component is so many times larger
/// than the tensor that nothing would be left of it if others cancelled it, all are scaled down to that of the tensor:
/// the error falls with them, and Gram matrices do not overflow. Nor do they by a large weight of a component of zeros,
/// which becomes 1. Infinite only where columns are as tiny as weights are large.
template <typename Scalar>
Vector<Scalar> weights_over_norm(const CpModel<Scalar>& model, double norm) {
  constexpr double epsilon = std::numeric_limits<Scalar>::epsilon();
  const Vector<double> norms = component_norms(model);
  const double largest = norms.maxCoeff();
  const bool is_far = largest * epsilon > norm;
  Vector<Scalar> weights = is_far ? (model.weights.template cast<double>() / largest).template cast<Scalar>()
                                  : Vector<Scalar>(model.weights / static_cast<Scalar>(norm));
  for (Index r = 0; r < model.rank(); ++r)
    if (norms[r] == 0 && std::abs(static_cast<double>(weights[r])) * epsilon > 1) weights[r] = 1;
  return weights;
}

/// Makes weights for the tensor scaled to norm 1 such for one of that norm. With tiny columns a weight may be more than
/// the scalar holds: that component has to go, with weight 0. Returns whether any went.
template <typename Scalar>
bool scale_to_norm(double norm, Vector<Scalar>& weights) {
  weights *= static_cast<Scalar>(norm);
  bool any_went = false;
  for (Scalar& weight : weights) {
    if (std::isfinite(weight)) continue;
    weight = 0;
    any_went = true;
  }
  return any_went;
}

/// Makes of a start for a tensor of that norm, above 0, one for the tensor scaled to norm 1. A start that is worse than
/// none by far is scaled down, for a least-squares update would leave the rounding errors of its size.
template <typename Scalar>
void scale_to_norm_one(const WeightedTensor<Scalar>& tensor, double norm, int threads, CpModel<Scalar>& start) {
  constexpr double far = 1e3;  // in norms of the tensor
  if (component_norms(start).maxCoeff() > far * norm) {
    const double error = direct_relative_error(tensor, start, norm, threads);
    if (std::isfinite(error) && error > far)
      start.weights = (start.weights.template cast<double>() / (1 + error)).template cast<Scalar>();
  }
  Vector<Scalar> weights = weights_over_norm(start, norm);
  if (!weights.allFinite()) {
    start.weights = normalize_factors(start).template cast<Scalar>();
    weights = weights_over_norm(start, norm);
  }
  start.weights = std::move(weights);
}

}  // namespace detail

/// Normalizes: every column gets Euclidean norm 1, the weights are not negative and fall; a
/// component of weight 0 has columns of zeros. The tensor described stays the same.
template <typename Scalar>
void normalize(CpModel<Scalar>& model) {
  detail::model_dimensions("normalize", model);
  model.weights = detail::normalize_factors(model).template cast<Scalar>();
  for (Index r = 0; r < model.rank(); ++r) {
    if (model.weights[r] == 0) {
      for (Matrix<Scalar>& factor : model.factors) factor.col(r).setZero();
    } else if (model.weights[r] < 0) {
      model.weights[r] = -model.weights[r];
      model.factors.front().col(r) *= Scalar(-1);
    }
  }
  std::vector<Index> by_weight(static_cast<std::size_t>(model.rank()));
  std::iota(by_weight.begin(), by_weight.end(), Index{0});
  std::sort(by_weight.begin(), by_weight.end(), [&](Index a, Index b) {
    return model.weights[a] != model.weights[b] ? model.weights[a] > model.weights[b] : a < b;
  });
  const CpModel<Scalar> unsorted = model;
  for (Index r = 0; r < model.rank(); ++r) {
    const Index from = by_weight[static_cast<std::size_t>(r)];
    model.weights[r] = unsorted.weights[from];
    for (std::size_t n = 0; n < model.factors.size(); ++n) model.factors[n].col(r) = unsorted.factors[n].col(from);
  }
}

/// Balances: all weights become 1 and, within a component, all columns get the same norm; what a
/// factor's quantizer sees then has one scale in every mode. The order of the components and the
/// tensor described stay the same.
template <typename Scalar>
void balance(CpModel<Scalar>& model) {
  detail::model_dimensions("balance", model);
  const Vector<double> weights = detail::normalize_factors(model);
  const double root = 1.0 / static_cast<double>(model.factors.size());
  for (Index r = 0; r < model.rank(); ++r) {
    const double weight = weights[r];
    const Scalar norm = static_cast<Scalar>(std::pow(std::abs(weight), root));
    for (Matrix<Scalar>& factor : model.factors) factor.col(r) *= norm;
    if (weight < 0) model.factors.front().col(r) *= Scalar(-1);
    model.weights[r] = Scalar(1);
  }
}

}  // namespace qaf
