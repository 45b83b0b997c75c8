// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>

namespace expertscope {

/// Diversity of a layer's router rows: 1 − mean cosine similarity of two different rows, 0 (all parallel) to about 1
/// (orthogonal on average), at most 1 + 1/(E − 1).
///
/// `rows` is [experts, hidden], row-major. Plain equivalent: the mean over all i ≠ j of cos(w_i, w_j). Here, with
/// u_i = w_i/|w_i|: Σ_{i≠j} u_i·u_j = |Σ u_i|² − E, which is O(E·H) instead of O(E²·H), summed in double.
/// NaN ("no data") with fewer than two experts, a row of zeros (its direction is undefined) or a value that is not
/// finite. Source: gate-embedding similarity of Look-into-MoEs (arXiv 2406.18219 §4). Throws UsageError where the span
/// is not experts × hidden long.
double gateDiversity(std::span<const float> rows, std::int32_t experts, std::int32_t hidden);

}  // namespace expertscope
