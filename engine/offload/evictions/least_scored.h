// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "engine/offload/eviction.h"

namespace expertscope {

/// Experts by a score that changes only when they are touched: a tournament over all of them in the order of layers, so
/// that a layer is a range. Plain equivalent: a set of (score, order, expert). Setting costs O(log experts), finding
/// the lowest candidate O((1 + guarded ones before it) · log experts).
class LeastScored {
public:
    using Key = std::pair<double, std::int64_t>;  ///< score, logical time of the touch

    void begin(const OffloadShape& shape) {
        m_experts = shape.experts;
        m_leaves = static_cast<int>(std::bit_ceil(static_cast<unsigned>(shape.total())));
        m_total = shape.total();
        m_nodes.assign(2 * static_cast<std::size_t>(m_leaves), kNone);
    }
    void set(int expert, Key key) { put(expert, key); }
    void remove(int expert) { put(expert, kNone); }
    double score(int expert) const { return m_nodes[leaf(expert)].first; }

    /// The candidate with the lowest key; −1 where there is none.
    int first(const EvictionCandidates& candidates) const {
        const int from = candidates.layer() < 0 ? 0 : candidates.layer() * m_experts;
        const int end = candidates.layer() < 0 ? m_total : from + m_experts;
        Key best = kNone;
        int expert = -1;
        search(1, 0, m_leaves, from, end, candidates, best, expert);
        return expert;
    }

private:
    static constexpr Key kNone{std::numeric_limits<double>::infinity(), 0};
    std::size_t leaf(int expert) const { return static_cast<std::size_t>(m_leaves + expert); }
    void put(int expert, Key key) {
        std::size_t node = leaf(expert);
        m_nodes[node] = key;
        for (node /= 2; node > 0; node /= 2) {
            const Key least = std::min(m_nodes[2 * node], m_nodes[2 * node + 1]);
            if (m_nodes[node] == least) return;
            m_nodes[node] = least;
        }
    }
    /// Branch and bound over the leaves [from, end) below `node`, which spans [low, low + width): the better half
    /// first.
    void search(std::size_t node, int low, int width, int from, int end, const EvictionCandidates& candidates,
                Key& best, int& expert) const {
        if (low >= end || low + width <= from || !(m_nodes[node] < best)) return;
        if (width == 1) {
            if (candidates.contains(low)) best = m_nodes[node], expert = low;
            return;
        }
        const int half = width / 2;
        const bool left = m_nodes[2 * node] < m_nodes[2 * node + 1];
        search(left ? 2 * node : 2 * node + 1, left ? low : low + half, half, from, end, candidates, best, expert);
        search(left ? 2 * node + 1 : 2 * node, left ? low + half : low, half, from, end, candidates, best, expert);
    }

    int m_experts = 0, m_leaves = 0, m_total = 0;
    std::vector<Key> m_nodes;  ///< the least key below each; leaves last
};

}  // namespace expertscope
