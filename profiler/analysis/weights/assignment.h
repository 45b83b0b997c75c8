// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace expertscope {

/// The assignment of n rows to n columns whose gains sum to the most: result[row] = column.
///
/// `gains` is [n, n], row-major, finite. `pause` is called with the part of the rows that is done, before each row that
/// has to be assigned; it may throw to end the work, and may be empty. Plain equivalent: the best of all n!
/// permutations. Here: shortest augmenting paths with potentials, started from column reduction, O(n³) at worst and
/// mostly near O(n²·√n). Source: Jonker and Volgenant 1987 (Computing 38:325); the form with rows added one by one is
/// Crouse 2016.
std::vector<std::int32_t> bestAssignment(std::span<const float> gains, std::size_t n,
                                         const std::function<void(double)>& pause = {});

/// Kendall's τ of a permutation of 0…n−1 and the identity: 1 − 4 · inversions / (n(n − 1)); NaN where n < 2.
/// O(n log n).
double kendallTau(std::span<const std::int32_t> permutation);

}  // namespace expertscope
