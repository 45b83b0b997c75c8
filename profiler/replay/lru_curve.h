// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "profiler/replay/routing_trace.h"

namespace expertscope {

/// Hits of a global LRU cache at every budget, from one pass over the trace. The cache is settled at the end of each
/// layer's step: all experts of the step are admitted, and then the least recently used others leave until the budget
/// holds. So it is a stack algorithm whatever the experts' sizes: its content is always as much of the recency stack,
/// from the top, as fits, and an access hits at every budget from its stack distance in bytes on.
///
/// Plain equivalent: for each access, sum the sizes of the experts used at or after the last use of this one.
/// Sums over the order of last uses are kept at two levels, and the order is renumbered when full: O(√m) neighbouring
/// numbers are added for an access of m experts, at more than 20 million accesses a second for some thousands.
/// Source: Mattson, Gecsei, Slutz, Traiger, "Evaluation techniques for storage hierarchies" (1970).
class LruCurve {
public:
    explicit LruCurve(const RoutingTrace& trace);

    struct Counts {
        std::int64_t hits = 0;
        std::int64_t decodeHits = 0;
        std::int64_t hitBytes = 0;  ///< that need not be moved
    };
    /// What hits at this budget; O(log of the distinct distances).
    Counts at(std::int64_t budgetBytes) const;

    std::int64_t accesses() const { return m_accesses; }
    std::int64_t decodeAccesses() const { return m_decodeAccesses; }
    std::int64_t accessBytes() const { return m_accessBytes; }
    /// First uses: they miss at every budget.
    std::int64_t compulsory() const { return m_compulsory; }
    std::int64_t compulsoryBytes() const { return m_compulsoryBytes; }

private:
    friend class LruCurveBuilder;
    std::vector<std::int64_t> m_budgets;  ///< ascending; at each the counts grow
    std::vector<Counts> m_counts;
    std::int64_t m_accesses = 0, m_decodeAccesses = 0, m_accessBytes = 0;
    std::int64_t m_compulsory = 0, m_compulsoryBytes = 0;
};

/// The LRU cliff: the most expert bytes that one decoded token demands, over all its layers. Below it a global LRU
/// cache has evicted what a token used when the next token comes to the same layer. 0 where nothing was decoded.
std::int64_t tokenDemandBytes(const RoutingTrace& trace);

}  // namespace expertscope
