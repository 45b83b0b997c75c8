// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace expertscope {

class ThreadPool;

/// Dot products of n vectors with each other, the vectors given piece by piece.
///
/// Plain equivalent: G[a, b] = Σ_c x[a, c] · x[b, c] over all pieces. Products of a piece are summed in float32 by a
/// kernel for tiles of 4 · 3 pairs (of which about half are made: those with a ≤ b), pieces in double: with pieces of
/// about a thousand columns the relative error stays near 1e-7 however long the vectors are. One vector's NaN stays in
/// its own row and column.
class Gram {
public:
    explicit Gram(std::size_t count) : m_count(count), m_sums(count * count) {}

    std::size_t count() const { return m_count; }
    /// rows [count, columns] row-major.
    void add(const float* rows, std::size_t columns);
    /// The same sums, made by all threads of the pool.
    void add(const float* rows, std::size_t columns, ThreadPool& pool);
    void add(const Gram& other);
    /// [count, count], both halves.
    std::vector<double> values() const;

private:
    void addRows(const float* rows, std::size_t columns, std::size_t first);

    std::size_t m_count;
    std::vector<double> m_sums;  ///< [b, a] where b ≥ a; nothing elsewhere
};

/// Cosines out of dot products [n, n]: G[a, b] / √(G[a, a]·G[b, b]); NaN where a norm is zero or not finite.
std::vector<double> cosinesOf(std::span<const double> gram, std::size_t count);

}  // namespace expertscope
