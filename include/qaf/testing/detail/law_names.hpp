#pragma once

namespace qaf::testing::detail {

// The names of the laws.
inline constexpr const char* law_range = "codes in range";
inline constexpr const char* law_shape = "shape";
inline constexpr const char* law_idempotent = "idempotent";
inline constexpr const char* law_nearest = "nearest";
inline constexpr const char* law_finite = "finite";
inline constexpr const char* law_refusal = "NaN and infinity refused";
inline constexpr const char* law_deterministic = "deterministic";
inline constexpr const char* law_permuted_rows = "permuted rows";
inline constexpr const char* law_permuted_columns = "permuted columns";
inline constexpr const char* law_copy = "parameters survive a copy";
inline constexpr const char* law_columns = "columns";
inline constexpr const char* law_descent = "descent";

}  // namespace qaf::testing::detail
