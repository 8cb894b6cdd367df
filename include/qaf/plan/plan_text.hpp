#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <qaf/error.hpp>
#include <qaf/io/detail/file.hpp>
#include <qaf/plan/candidates.hpp>
#include <qaf/plan/detail/plan_checks.hpp>
#include <qaf/plan/detail/plan_table.hpp>
#include <qaf/plan/make_plan.hpp>

namespace qaf {

/// A plan as a table to read and to edit: `measure`, `budget` and `bound`, each on a line; a line that names the
/// columns; a line for every layer. Words are separated by spaces; what follows a `#` is a comment.
///
///     measure bits
///     budget 73728
///     bound 0.0823
///     layer  form      rank  bits  activation_bits  dimensions  input_pixels  ...  error   parameters  size_bits ...
///     conv1  factored   103     2                8  64x64x9              256  ...  0.2869  14111 ...
///
/// Rank is `-` where a layer is not factored. The columns `parameters`, `size_bits`, `macs`, `bops` are there to be
/// read; they follow from the others. Errors are rounded to six digits, all else comes back as it was; the loss in the
/// last line is of errors that were not rounded, so the text of a plan read back may differ in it. Errors of use:
/// what `parse_plan` would not take back, that is no layers; a layer's name that is empty, holds a space, a control
/// character or `#`, or comes twice; a number out of its range, such as a rank above the layer's number of weights.
inline std::string plan_text(const Plan& plan) {
  detail::check_plan(plan);
  std::string text =
      detail::concatenate("measure ", to_string(plan.measure), "\nbudget ", detail::number_text(plan.budget),
                          "\nbound ", detail::number_text(plan.bound), "\n\n");
  std::vector<std::vector<std::string>> rows = {detail::plan_columns()};
  for (const PlannedLayer& one : plan.layers) rows.push_back(detail::plan_row(one));
  text += detail::aligned(rows);
  const auto total = [](const char* name, const LayerCost& cost) {
    return detail::concatenate("# ", name, ": ", detail::number_text(cost.parameters), " parameters, ",
                               detail::number_text(cost.bits), " bits, ", detail::number_text(cost.macs), " MACs, ",
                               detail::number_text(cost.bops), " BOPs\n");
  };
  return text + "\n" + total("total", plan.total) + total("original", plan.original) +
         detail::concatenate("# loss: ", plan.loss, "\n");
}

/// The plan in a text, its costs computed anew. Before the columns stand the `budget` (`inf` for none), `measure` (bits
/// where it is missing) and `bound` (0), each once. Columns may come in any order; those that follow from others may be
/// missing, as may `activation_bits` (then 8), `input_pixels`, `output_pixels`, `groups` and `weight` (1) and `error`
/// (0). `quantizer_of_bits`: as `candidates_of`. Errors: a line that cannot be understood, by its number, with what was
/// expected and what came; a number out of range.
template <typename QuantizerOfBits = UniformOfBits>
Plan parse_plan(const std::string& text, const QuantizerOfBits& quantizer_of_bits = {}) {
  Plan plan = detail::PlanReader(text, {}).plan();
  update_costs(plan, quantizer_of_bits);
  return plan;
}

/// Writes `plan_text(plan)` to a file, the whole or nothing. Errors: as `plan_text`; `IoError` where it cannot be
/// written.
inline void write_plan(const std::string& path, const Plan& plan) {
  const std::string text = plan_text(plan);
  detail::write_file(path, text, nullptr, 0);
}

/// Reads a plan from a file. Errors: `IoError` where it cannot be read or a line cannot be understood, with the byte at
/// which that line begins; else as `parse_plan`.
template <typename QuantizerOfBits = UniformOfBits>
Plan read_plan(const std::string& path, const QuantizerOfBits& quantizer_of_bits = {}) {
  detail::InputFile file(path);
  std::string text(static_cast<std::size_t>(file.remaining()), ' ');
  file.read(text.data(), text.size(), "the plan");
  Plan plan = detail::PlanReader(text, path).plan();
  update_costs(plan, quantizer_of_bits);
  return plan;
}

}  // namespace qaf
