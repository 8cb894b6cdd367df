#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <qaf/detail/random.hpp>
#include <qaf/error.hpp>
#include <qaf/quantized_model.hpp>
#include <qaf/quantizer.hpp>
#include <qaf/testing/broken_law.hpp>
#include <qaf/testing/detail/descent_law.hpp>
#include <qaf/testing/detail/findings.hpp>
#include <qaf/testing/detail/law_names.hpp>
#include <qaf/testing/detail/samples.hpp>
#include <qaf/types.hpp>

namespace qaf::testing::detail {

template <typename Q>
using NamesLowest = decltype(&Q::lowest);
template <typename Q>
using NamesHighest = decltype(&Q::highest);
template <typename Q>
using LowestResult = decltype(int(std::declval<const Q&>().lowest()));
template <typename Q>
using HighestResult = decltype(int(std::declval<const Q&>().highest()));

/// Calls `visit(i, r)` for the entries of a matrix, down the columns, until it returns false.
template <typename Visit>
void for_each_entry(Index rows, Index cols, const Visit& visit) {
  for (Index r = 0; r < cols; ++r)
    for (Index i = 0; i < rows; ++i)
      if (!visit(i, r)) return;
}

/// The codes that a quantizer says it has, within those that its `Code` has.
struct CodeInterval {
  double lowest, highest;
  bool all_are_codes;  // every integer between them
};

template <typename Quantizer>
CodeInterval code_interval(const Quantizer& quantizer) {
  using Limits = std::numeric_limits<typename Quantizer::Code>;
  CodeInterval interval{static_cast<double>(Limits::lowest()), static_cast<double>(Limits::max()), false};
  const auto narrow = [&](double lowest, double highest) {
    interval.lowest = std::max(interval.lowest, lowest);
    interval.highest = std::min(interval.highest, highest);
  };
  if constexpr (qaf::detail::is_detected<LowestResult, Quantizer> &&
                qaf::detail::is_detected<HighestResult, Quantizer>) {
    narrow(int(quantizer.lowest()), int(quantizer.highest()));
    interval.all_are_codes = Limits::is_integer;
  } else if constexpr (qaf::detail::is_detected<qaf::detail::CodeBitsResult, Quantizer> && Limits::is_integer) {
    const int bits = quantizer.code_bits();
    narrow(Limits::is_signed ? -std::ldexp(1.0, bits - 1) : 0.0,
           std::ldexp(1.0, Limits::is_signed ? bits - 1 : bits) - 1);
  }
  return interval;
}

/// Checks one quantizer on matrices of one scalar type.
template <typename Scalar, typename Quantizer>
class QuantizerLaws {
  using Code = typename Quantizer::Code;
  using Parameters = typename Quantizer::Parameters;
  using CodeMatrix = Matrix<Code>;
  using RealMatrix = Matrix<Scalar>;
  using Decoded = typename std::decay_t<qaf::detail::DecodeResult<Quantizer>>::Scalar;
  // The type of the larger rounding errors.
  using Coarse =
      std::conditional_t<(std::numeric_limits<Decoded>::digits < std::numeric_limits<Scalar>::digits), Decoded, Scalar>;

 public:
  QuantizerLaws(const Quantizer& quantizer, const QuantizerLawOptions& options)
      : quantizer_(quantizer),
        options_(options),
        findings_(std::numeric_limits<Scalar>::max_digits10),
        samples_(make_samples<Scalar>(options.seed)),
        interval_(code_interval(quantizer)) {}

  std::vector<BrokenLaw> broken() {
    for (const Sample<Scalar>& sample : samples_) try_sample(sample);
    for (const Trial& trial : trials_) check_trial(trial);
    choose_candidates();
    for (const Trial& trial : trials_) findings_.run(law_nearest, trial.sample.text(), [&] { check_nearest(trial); });
    for (auto trial = trials_.rbegin(); trial != trials_.rend(); ++trial)
      findings_.run(law_deterministic, trial->sample.text(), [&] { check_deterministic(*trial); });
    if (options_.refuses_not_finite && has_exceptions) check_refusal();
    check_permutations();
    check_copies();
    for (const Trial& trial : trials_)
      if (!trial.is_stretched) findings_.run(law_columns, trial.sample.text(), [&] { check_columns(trial); });
    // A solver trusts sizes, and that parameters outlive the quantizer that fitted them.
    if (!findings_.has(law_shape) && !findings_.has(law_copy))
      check_descent<Scalar>(quantizer_, options_.seed, findings_);
    return findings_.broken();
  }

 private:
  /// A sample with its codes.
  struct Trial {
    Sample<Scalar> sample;
    bool is_stretched;
    RealMatrix fitted;  // what the parameters were fitted to
    Parameters parameters;
    CodeMatrix codes;
    RealMatrix decoded;
  };

  // What a few operations may change in a value.
  static double rounding(double magnitude) {
    return 8.0 * (static_cast<double>(std::numeric_limits<Coarse>::epsilon()) * magnitude +
                  static_cast<double>(std::numeric_limits<Coarse>::denorm_min()));
  }

  template <typename Value>
  static double real(Value value) {
    return static_cast<double>(value);
  }

  /// Whether a matrix has the size it should have.
  template <typename Derived>
  bool has_size(const Eigen::EigenBase<Derived>& matrix, Index rows, Index cols, const char* function,
                const std::string& on) {
    if (matrix.rows() == rows && matrix.cols() == cols) return true;
    findings_.add(law_shape, "for ", on, " ", function, " returned ", matrix.rows(), " x ", matrix.cols(),
                  " where it was given ", rows, " x ", cols);
    return false;
  }

  /// The codes of a matrix; nothing where they have another size.
  std::optional<CodeMatrix> encode(const Quantizer& quantizer, const RealMatrix& values, const Parameters& parameters,
                                   const std::string& on) {
    CodeMatrix codes = quantizer.encode(values, parameters);
    if (!has_size(codes, values.rows(), values.cols(), "encode", on)) return std::nullopt;
    return codes;
  }

  std::optional<RealMatrix> decode(const Quantizer& quantizer, const CodeMatrix& codes, const Parameters& parameters,
                                   const std::string& on) {
    RealMatrix values = quantizer.decode(codes, parameters).template cast<Scalar>();
    if (!has_size(values, codes.rows(), codes.cols(), "decode", on)) return std::nullopt;
    return values;
  }

  /// The representable values that a matrix becomes.
  std::optional<RealMatrix> represent(const Quantizer& quantizer, const RealMatrix& values,
                                      const Parameters& parameters, const std::string& on) {
    const auto codes = encode(quantizer, values, parameters, on);
    return codes ? decode(quantizer, *codes, parameters, on) : std::nullopt;
  }

  /// Reports the first entry at which two matrices of the same size are not the same: by more than
  /// `slack(i, r)`, in double. "for a 4 x 3 matrix of zeros entry (0, 1) is <came> <when>, expected ...".
  template <typename Came, typename Expected, typename Slack>
  void expect(const char* law, const std::string& on, const std::string& when, const Came& came,
              const Expected& expected, const Slack& slack) {
    for_each_entry(came.rows(), came.cols(), [&](Index i, Index r) {
      const double a = real(came(i, r)), b = real(expected(i, r));
      if (a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= slack(i, r)) return true;
      findings_.add(law, "for ", on, " entry (", i, ", ", r, ") is ", a, " ", when, ", expected ", b);
      return false;
    });
  }

  template <typename Came, typename Expected>
  void expect_same(const char* law, const std::string& on, const std::string& when, const Came& came,
                   const Expected& expected) {
    expect(law, on, when, came, expected, [](Index, Index) { return 0.0; });
  }

  template <typename Expected>
  void expect_near(const char* law, const std::string& on, const std::string& when, const RealMatrix& came,
                   const Expected& expected) {
    expect(law, on, when, came, expected, [&](Index i, Index r) { return rounding(std::abs(real(expected(i, r)))); });
  }

  /// The same for representable values of `values` found in two ways: at a tie they may be on either side, which a
  /// share `noise` of the largest magnitude decides.
  template <typename Expected>
  void expect_as_near(const char* law, const std::string& on, const std::string& when, const RealMatrix& came,
                      const Expected& expected, const RealMatrix& values, double noise) {
    const double slack = noise * std::max(real(values.cwiseAbs().maxCoeff()), real(expected.cwiseAbs().maxCoeff()));
    expect(law, on, when, came, expected, [&](Index i, Index r) {
      const double value = real(values(i, r));
      const double closer = std::abs(real(came(i, r)) - value) - std::abs(real(expected(i, r)) - value);
      return std::abs(closer) <= slack ? std::numeric_limits<double>::infinity() : slack;
    });
  }

  /// Fits and encodes a sample, and what it becomes when stretched, for the laws to look at.
  void try_sample(const Sample<Scalar>& sample) {
    const char* step = "fit";
    std::string on = sample.text();
    const auto thrown = thrown_by([&] {
      const Parameters parameters = quantizer_.fit(sample.values);
      for (const bool is_stretched : {false, true}) {
        const Sample<Scalar> input = is_stretched ? stretched(sample) : sample;
        on = input.text();
        step = "encode";
        auto codes = encode(quantizer_, input.values, parameters, on);
        if (!codes) return;
        step = "decode";
        auto decoded = decode(quantizer_, *codes, parameters, on);
        if (!decoded) return;
        trials_.push_back({input, is_stretched, sample.values, parameters, std::move(*codes), std::move(*decoded)});
      }
    });
    if (thrown) findings_.add(law_finite, "for ", on, " ", step, " threw ", thrown->text);
  }

  /// The laws about each entry on its own.
  void check_trial(const Trial& trial) {
    const std::string on = trial.sample.text();
    const Matrix<Scalar>& values = trial.sample.values;
    for_each_entry(values.rows(), values.cols(), [&](Index i, Index r) {
      const double code = real(trial.codes(i, r));
      if (code >= interval_.lowest && code <= interval_.highest) return true;
      findings_.add(law_range, "for ", on, " entry (", i, ", ", r, "), ", values(i, r), ", has code ", code,
                    ", expected one from ", interval_.lowest, " to ", interval_.highest);
      return false;
    });
    for_each_entry(values.rows(), values.cols(), [&](Index i, Index r) {
      if (std::isfinite(trial.decoded(i, r))) return true;
      findings_.add(law_finite, "for ", on, " entry (", i, ", ", r, "), ", values(i, r), ", is decoded as ",
                    trial.decoded(i, r), ", expected a finite value");
      return false;
    });
    // Where values are not finite, encode may well throw.
    if (!trial.decoded.allFinite()) return;
    findings_.run(law_idempotent, on, [&] {
      if (const auto again = represent(quantizer_, trial.decoded, trial.parameters, on))
        expect_near(law_idempotent, on, "when decoded, encoded and decoded once more", *again, trial.decoded);
    });
  }

  /// The codes whose values are compared with those chosen: all where there are few, else some.
  void choose_candidates() {
    constexpr double few = 512;
    const double lowest = interval_.lowest, highest = interval_.highest;
    std::set<Code> chosen;
    if (!interval_.all_are_codes) {
      std::set<Code> seen;
      for (const Trial& trial : trials_)
        for (const Code code : trial.codes.reshaped())
          if (!std::isnan(static_cast<double>(code))) seen.insert(code);  // which has no place in an order
      const std::size_t stride = seen.size() / static_cast<std::size_t>(few) + 1;
      std::size_t position = 0;
      for (const Code code : seen)
        if (position++ % stride == 0) chosen.insert(code);
    } else if (highest - lowest < few) {
      for (double code = lowest; code <= highest; ++code) chosen.insert(static_cast<Code>(code));
    } else {
      qaf::detail::NormalGenerator normal(options_.seed);
      chosen = {static_cast<Code>(lowest), static_cast<Code>(highest)};
      for (int k = 0; k < 16; ++k) {
        const double code = std::round((lowest + highest) / 2 + normal() * (highest - lowest) / 4);
        chosen.insert(static_cast<Code>(std::clamp(code, lowest, highest)));
      }
      with_neighbours_ = true;
    }
    candidates_.assign(chosen.begin(), chosen.end());
  }

  void check_nearest(const Trial& trial) {
    const std::string on = trial.sample.text();
    const Matrix<double> values = trial.sample.values.template cast<double>();
    const Matrix<double> distances = (trial.decoded.template cast<double>() - values).cwiseAbs();
    Matrix<double> least = distances, largest = trial.decoded.template cast<double>().cwiseAbs();
    Matrix<double> nearest_values = trial.decoded.template cast<double>();
    CodeMatrix nearest = trial.codes;
    // Nothing is nearer than the value itself.
    if ((distances.array() == 0).all()) return;
    const auto offer = [&](const CodeMatrix& codes) {
      const auto decoded = decode(quantizer_, codes, trial.parameters, on);
      if (!decoded) return;
      for_each_entry(values.rows(), values.cols(), [&](Index i, Index r) {
        const double value = real((*decoded)(i, r));
        if (!std::isfinite(value)) return true;
        largest(i, r) = std::max(largest(i, r), std::abs(value));
        const double distance = std::abs(value - values(i, r));
        if (distance < least(i, r)) {
          least(i, r) = distance;
          nearest_values(i, r) = value;
          nearest(i, r) = codes(i, r);
        }
        return true;
      });
    };
    for (const Code code : candidates_) offer(CodeMatrix::Constant(values.rows(), values.cols(), code));
    if (with_neighbours_)
      for (const double step : {-2.0, -1.0, 1.0, 2.0})
        offer(trial.codes.unaryExpr([&](Code code) {
          return static_cast<Code>(std::clamp(real(code) + step, interval_.lowest, interval_.highest));
        }));
    for_each_entry(values.rows(), values.cols(), [&](Index i, Index r) {
      if (!(distances(i, r) - least(i, r) > rounding(std::abs(values(i, r)) + largest(i, r)))) return true;
      findings_.add(law_nearest, "for ", on, " entry (", i, ", ", r, "), ", values(i, r), ", has code ",
                    real(trial.codes(i, r)), ", which stands for ", trial.decoded(i, r), ", expected code ",
                    real(nearest(i, r)), ", which stands for ", nearest_values(i, r));
      return false;
    });
  }

  void check_deterministic(const Trial& trial) {
    const std::string on = trial.sample.text();
    const char* const when = "in a second call";
    const auto again = encode(quantizer_, trial.sample.values, trial.parameters, on);
    const Parameters parameters = quantizer_.fit(trial.fitted);
    const auto codes = encode(quantizer_, trial.sample.values, parameters, on);
    if (!again || !codes) return;
    expect_same(law_deterministic, on, "as a code with the same parameters in a second call", *again, trial.codes);
    expect_same(law_deterministic, on, "as a code in a second call", *codes, trial.codes);
    if (const auto decoded = decode(quantizer_, trial.codes, trial.parameters, on))
      expect_same(law_deterministic, on, when, *decoded, trial.decoded);
    if (const auto decoded = decode(quantizer_, *codes, parameters, on))
      expect_same(law_deterministic, on, when, *decoded, trial.decoded);
  }

  void check_refusal() {
    RealMatrix good(3, 2);
    good << Scalar(0.5), -1, 2, Scalar(-0.25), 1, Scalar(1.5);
    findings_.run(law_refusal, "a 3 x 2 matrix of finite values", [&] {
      const Parameters parameters = quantizer_.fit(good);
      constexpr Scalar infinity = std::numeric_limits<Scalar>::infinity();
      for (const Scalar bad : {std::numeric_limits<Scalar>::quiet_NaN(), infinity, -infinity}) {
        for_each_entry(good.rows(), good.cols(), [&](Index i, Index r) {
          RealMatrix values = good;
          values(i, r) = bad;
          expect_refused("fit", i, r, bad, [&] { static_cast<void>(quantizer_.fit(values)); });
          expect_refused("encode", i, r, bad,
                         [&] { static_cast<void>(CodeMatrix(quantizer_.encode(values, parameters))); });
          return !findings_.has(law_refusal);
        });
      }
    });
  }

  template <typename Call>
  void expect_refused(const char* function, Index i, Index r, Scalar bad, const Call& call) {
    const auto thrown = thrown_by(call);
    if (thrown && thrown->is_invalid_argument) return;
    findings_.add(law_refusal, "for a 3 x 2 matrix of values with ", bad, " at entry (", i, ", ", r, ") ", function,
                  thrown ? " threw " + thrown->text : " returned", ", expected std::invalid_argument");
  }

  void check_permutations() {
    if (options_.permute_rows)
      check_permutation(law_permuted_rows, "after the first row became the last", rotated_rows<Scalar>);
    if (options_.permute_columns)
      check_permutation(law_permuted_columns, "after the first column became the last", rotated_columns<Scalar>);
  }

  /// Sums in another order move all values by a little, and may lead a search for the best parameters elsewhere. So a
  /// law is broken only where it is for each of some matrices.
  template <typename Permuted>
  void check_permutation(const char* law, const char* when, const Permuted& permuted) {
    constexpr int matrices = 3;
    const double noise = std::sqrt(real(std::numeric_limits<Coarse>::epsilon()));
    qaf::detail::NormalGenerator normal(options_.seed);
    const Findings before = findings_;
    for (int k = 0; k < matrices; ++k) {
      const Sample<Scalar> sample{ordinary, normal.matrix<Scalar>(7, 5)};
      const std::string on = sample.text();
      findings_ = before;
      findings_.run(law, on, [&] {
        const RealMatrix values = permuted(sample.values);
        const auto expected = represent(quantizer_, sample.values, quantizer_.fit(sample.values), on);
        const auto came = represent(quantizer_, values, quantizer_.fit(values), on);
        if (expected && came) expect_as_near(law, on, when, *came, permuted(*expected), values, noise);
      });
      if (!findings_.has(law)) return;
    }
  }

  void check_copies() {
    const Sample<Scalar> sample{ordinary, qaf::detail::NormalGenerator(options_.seed).matrix<Scalar>(6, 4)};
    const std::string on = sample.text();
    findings_.run(law_copy, on, [&] {
      auto original = std::make_unique<Quantizer>(quantizer_);
      auto fitted = std::make_unique<Parameters>(original->fit(sample.values));
      const auto codes = encode(*original, sample.values, *fitted, on);
      if (!codes) return;
      const auto decoded = decode(*original, *codes, *fitted, on);
      if (!decoded) return;
      const Quantizer copy = *original;
      const Parameters copied = *fitted;
      const auto check = [&](const std::string& when) {
        if (const auto again = encode(copy, sample.values, copied, on))
          expect_same(law_copy, on, "as a code from copied parameters after " + when, *again, *codes);
        if (const auto again = decode(copy, *codes, copied, on))
          expect_same(law_copy, on, "from copied parameters after " + when, *again, *decoded);
        return !findings_.has(law_copy);
      };
      const RealMatrix other = 5 * rotated_rows<Scalar>(sample.values);
      if constexpr (qaf::detail::is_detected<qaf::detail::SetColumnParametersResult, Quantizer>) {
        original->set_column_parameters(*fitted, 0, original->fit(RealMatrix(other.col(0))));
        if (!check("set_column_parameters of the original")) return;
      }
      *fitted = original->fit(other);
      if (!check("the original quantizer was fitted to another matrix")) return;
      fitted.reset();
      original.reset();
      check("the originals were destroyed");
    });
  }

  void check_columns(const Trial& trial) {
    for (Index r = 0; r < trial.codes.cols() && !findings_.has(law_columns); ++r) {
      if constexpr (qaf::detail::is_detected<qaf::detail::ColumnParametersResult, Quantizer>) check_column(trial, r);
      if constexpr (qaf::detail::is_detected<qaf::detail::SetColumnParametersResult, Quantizer>)
        check_set_column(trial, r);
    }
  }

  /// A column on its own is what it is as part of the whole.
  void check_column(const Trial& trial, Index r) {
    const std::string column = "column " + std::to_string(r);
    const std::string on = column + " of " + trial.sample.text();
    const Parameters own = quantizer_.column_parameters(trial.parameters, r);
    const RealMatrix values = trial.sample.values.col(r), expected = trial.decoded.col(r);
    if (const auto came = decode(quantizer_, CodeMatrix(trial.codes.col(r)), own, on))
      expect_near(law_columns, on, "when decoded on its own", *came, expected);
    if (const auto came = represent(quantizer_, values, own, on))
      expect_as_near(law_columns, on, "when encoded and decoded on its own", *came, expected, values, rounding(1));
  }

  /// A column can be given other parameters, and then has them, or cannot, and then nothing changes.
  void check_set_column(const Trial& trial, Index r) {
    const std::string on = trial.sample.text();
    const RealMatrix target = stretched(trial.sample).values.col(r);
    const Parameters column = quantizer_.fit(target);
    Parameters parameters = trial.parameters;
    const bool is_set = quantizer_.set_column_parameters(parameters, r, column);
    const std::string when =
        qaf::detail::concatenate("after set_column_parameters of column ", r, " returned ", is_set ? "true" : "false");
    RealMatrix expected = trial.decoded;
    CodeMatrix codes = trial.codes;
    if (is_set) {
      const auto column_codes = encode(quantizer_, target, column, on);
      if (!column_codes) return;
      const auto column_values = decode(quantizer_, *column_codes, column, on);
      if (!column_values) return;
      codes.col(r) = *column_codes;
      expected.col(r) = *column_values;
      if constexpr (qaf::detail::is_detected<qaf::detail::ColumnParametersResult, Quantizer>)
        if (const auto came = decode(quantizer_, *column_codes, quantizer_.column_parameters(parameters, r), on))
          expect_near(law_columns, "column " + std::to_string(r) + " of " + on, when, *came, *column_values);
    }
    if (const auto came = decode(quantizer_, codes, parameters, on))
      expect_near(law_columns, on, when, *came, expected);
  }

  const Quantizer& quantizer_;
  const QuantizerLawOptions options_;
  Findings findings_;
  const std::vector<Sample<Scalar>> samples_;
  const CodeInterval interval_;
  std::vector<Trial> trials_;
  std::vector<Code> candidates_;
  bool with_neighbours_ = false;
};

}  // namespace qaf::testing::detail
