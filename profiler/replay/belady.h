// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "profiler/replay/furthest_set.h"
#include "profiler/replay/routing_trace.h"

namespace expertscope {

/// When each access's expert is accessed next: what Belady's rules look at. Computed once for all budgets.
class NextUses {
public:
    explicit NextUses(const RoutingTrace& trace);
    /// Of the access with this index: the index of the next access of its expert, or accesses + flat expert where there
    /// is none. So every expert has a place of its own.
    std::size_t after(std::size_t access) const { return m_next[access]; }
    /// Before anything was accessed.
    std::size_t first(int expert) const { return m_first[static_cast<std::size_t>(expert)]; }
    /// The expert whose next use is at `place`.
    int expertAt(std::size_t place) const;
    /// Places that after() and first() may give are below this.
    std::size_t places() const { return m_next.size() + m_first.size(); }

private:
    const RoutingTrace* m_trace;
    std::vector<std::uint32_t> m_next;   ///< [accesses]
    std::vector<std::uint32_t> m_first;  ///< [experts of all layers]
};

/// What a cache did with a trace.
struct CacheCounts {
    std::int64_t accesses = 0, hits = 0;
    std::int64_t decodeAccesses = 0, decodeHits = 0;
    std::int64_t movedBytes = 0;
};

enum class Admission : std::uint8_t {
    Forced,  ///< what a step uses is in the cache afterwards
    Bypass,  ///< it need not be
};

/// Belady's rule (MIN) on a cache that is settled at the end of each layer's step: who is used furthest in the future
/// leaves until `budgetBytes` hold; with Forced never an expert of that step. With Bypass and equal sizes no cache of
/// that budget, however it decides, misses less. O(accesses).
/// Source: Belady, "A study of replacement algorithms for a virtual-storage computer" (1966).
CacheCounts replayBelady(const RoutingTrace& trace, const NextUses& next, std::int64_t budgetBytes,
                         Admission admission);

/// The least bytes that any policy, prefetching or not, must move to run the trace with so much memory, for experts of
/// any sizes: Belady with bypass on single bytes, so that a part of an expert may stay. It is exact for equal sizes.
/// With `decodeOnly` prompts cost nothing and may leave behind whatever suits what follows: the least that decoding
/// moves. O(accesses).
std::int64_t leastBytes(const RoutingTrace& trace, const NextUses& next, std::int64_t budgetBytes, bool decodeOnly);

}  // namespace expertscope
