// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/belady.h"

#include <algorithm>
#include <limits>

#include "engine/base/error.h"

namespace expertscope {

NextUses::NextUses(const RoutingTrace& trace)
    : m_trace(&trace), m_next(trace.accesses().size()), m_first(static_cast<std::size_t>(trace.total())) {
    if (m_next.size() + m_first.size() > std::numeric_limits<std::uint32_t>::max())
        throw FailedError("The trace has more than four thousand million accesses: replay a part of it.");
    const auto accesses = static_cast<std::uint32_t>(m_next.size());
    for (std::uint32_t expert = 0; expert < m_first.size(); ++expert)
        m_first[expert] = accesses + expert;
    for (std::uint32_t i = accesses; i-- > 0;) {
        std::uint32_t& upcoming = m_first[static_cast<std::size_t>(trace.accesses()[i])];
        m_next[i] = upcoming;
        upcoming = i;
    }
}

int NextUses::expertAt(std::size_t place) const {
    return place < m_next.size() ? m_trace->accesses()[place] : static_cast<int>(place - m_next.size());
}

CacheCounts replayBelady(const RoutingTrace& trace, const NextUses& next, std::int64_t budgetBytes,
                         Admission admission) {
    CacheCounts counts;
    FurthestSet future(next.places());
    std::vector<char> resident(static_cast<std::size_t>(trace.total()), 0);
    std::int64_t used = 0;
    const auto settle = [&] {
        while (used > budgetBytes) {
            const std::int64_t furthest = future.largest();
            if (furthest < 0) return;
            const int victim = next.expertAt(static_cast<std::size_t>(furthest));
            future.erase(static_cast<std::size_t>(furthest));
            resident[static_cast<std::size_t>(victim)] = 0;
            used -= trace.bytesOf(victim);
        }
    };
    for (std::size_t g = 0; g < trace.groups().size(); ++g) {
        const RoutingTrace::Group& group = trace.groups()[g];
        const auto accesses = trace.accesses(g);
        const std::int64_t bytes = trace.expertBytes(group.layer);
        std::int64_t hits = 0;
        for (std::size_t i = 0; i < accesses.size(); ++i) {
            char& here = resident[static_cast<std::size_t>(accesses[i])];
            if (here) {
                ++hits;
                future.erase(group.firstAccess + i);
            } else {
                here = 1;
                used += bytes;
            }
        }
        if (admission == Admission::Forced) settle();
        for (std::size_t i = 0; i < accesses.size(); ++i)
            future.insert(next.after(group.firstAccess + i));
        if (admission == Admission::Bypass) settle();
        const auto count = static_cast<std::int64_t>(accesses.size());
        counts.accesses += count;
        counts.hits += hits;
        counts.movedBytes += (count - hits) * bytes;
        if (!trace.decodes(group)) continue;
        counts.decodeAccesses += count;
        counts.decodeHits += hits;
    }
    return counts;
}

namespace {

/// A cache of bytes that keeps those that are used soonest.
class ByteCache {
public:
    ByteCache(const RoutingTrace& trace, const NextUses& next, std::int64_t budget)
        : m_trace(trace),
          m_next(next),
          m_budget(budget),
          m_future(next.places()),
          m_resident(static_cast<std::size_t>(trace.total()), 0),
          m_place(static_cast<std::size_t>(trace.total())) {
        for (int expert = 0; expert < trace.total(); ++expert)
            m_place[static_cast<std::size_t>(expert)] = next.first(expert);
    }

    /// The group's experts are used; gives the bytes that were not there.
    std::int64_t use(std::size_t g) {
        const std::uint32_t first = m_trace.groups()[g].firstAccess;
        const auto accesses = m_trace.accesses(g);
        std::int64_t missing = 0;
        for (std::size_t i = 0; i < accesses.size(); ++i) {
            missing += fill(accesses[i]);
            move(accesses[i], m_next.after(first + i));
        }
        settle();
        return missing;
    }
    /// The bytes that are used soonest are there, as if by a gift.
    void fillFreely() {
        for (int expert = 0; expert < m_trace.total(); ++expert) {
            fill(expert);
            m_future.insert(m_place[static_cast<std::size_t>(expert)]);
        }
        settle();
    }

private:
    std::int64_t fill(int expert) {
        std::int64_t& here = m_resident[static_cast<std::size_t>(expert)];
        const std::int64_t missing = m_trace.bytesOf(expert) - here;
        here += missing;
        m_used += missing;
        return missing;
    }
    void move(int expert, std::size_t place) {
        std::size_t& at = m_place[static_cast<std::size_t>(expert)];
        m_future.erase(at);
        at = place;
        m_future.insert(at);
    }
    void settle() {
        while (m_used > m_budget) {
            const auto furthest = static_cast<std::size_t>(m_future.largest());
            std::int64_t& here = m_resident[static_cast<std::size_t>(m_next.expertAt(furthest))];
            const std::int64_t leaves = std::min(here, m_used - m_budget);
            here -= leaves;
            m_used -= leaves;
            if (here == 0) m_future.erase(furthest);
        }
    }

    const RoutingTrace& m_trace;
    const NextUses& m_next;
    std::int64_t m_budget;
    FurthestSet m_future;
    std::vector<std::int64_t> m_resident;  ///< [experts] bytes
    std::vector<std::size_t> m_place;      ///< [experts] of the next use
    std::int64_t m_used = 0;
};

}  // namespace

std::int64_t leastBytes(const RoutingTrace& trace, const NextUses& next, std::int64_t budgetBytes, bool decodeOnly) {
    // Of experts of one size a part of one is of no use.
    if (trace.equalSizes()) budgetBytes -= budgetBytes % trace.expertBytes(LayerIndex(0));
    ByteCache cache(trace, next, std::max<std::int64_t>(budgetBytes, 0));
    std::int64_t bytes = 0;
    for (const RoutingTrace::Step& step : trace.steps()) {
        const bool counts = !decodeOnly || step.phase == Phase::Decode;
        for (std::uint32_t g = step.firstGroup; g < step.firstGroup + step.groups; ++g) {
            const std::int64_t missing = cache.use(g);
            if (counts) bytes += missing;
        }
        if (!counts) cache.fillFreely();
    }
    return bytes;
}

}  // namespace expertscope
