// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/on_demand_replay.h"

#include <optional>

#include "engine/offload/residency.h"
#include "profiler/replay/replay_predictors.h"

namespace expertscope {
namespace {

CacheDomain domainOf(const OffloadShape& shape, const EvictionRule& rule) {
    CacheDomain domain;
    if (rule.perLayer()) domain.share = equalShares(shape);
    return domain;
}

/// One layer of one step after the other, as Planner::beginLayer, nextWave and endLayer treat it.
class OnDemandCache {
public:
    OnDemandCache(const RoutingTrace& trace, const OffloadContext& context, EvictionRule& rule)
        : m_trace(trace), m_rule(rule), m_residency(context, domainOf(context.shape, rule), rule) {}

    /// Gives the hits of the group.
    std::int64_t use(std::size_t g, Predictors& predictors) {
        const RoutedLayer routed = m_trace.routed(g);
        m_rule.onLayer(routed, predictors);
        m_layer = routed.layer;
        m_accesses = m_trace.accesses(g);
        findAbsent();
        useAll(routed);
        for (const std::int32_t flat : m_accesses)
            m_residency.setGuard(ref(flat), Residency::Guard::Needed);
        const auto hits = static_cast<std::int64_t>(m_accesses.size() - m_absent.size());
        bringAbsent();
        for (const std::int32_t flat : m_accesses)
            m_residency.setGuard(ref(flat), Residency::Guard::None);
        return hits;
    }

private:
    ExpertRef ref(std::int32_t flat) const { return {m_layer, ExpertId(flat - m_layer.value() * m_trace.experts())}; }
    void findAbsent() {
        // Hit or miss is what a branch cannot be predicted for, so there is none.
        m_absent.resize(m_accesses.size());
        std::size_t count = 0;
        for (const std::int32_t flat : m_accesses) {
            m_absent[count] = flat;
            count += m_residency.present(ref(flat)) ? 0 : 1;
        }
        m_absent.resize(count);
    }
    void useAll(const RoutedLayer& routed) {
        if (routed.experts.size() == m_accesses.size()) {  // each choice is the first of its expert
            for (const std::int32_t flat : m_accesses)
                m_residency.use(ref(flat), true);
            return;
        }
        std::size_t next = 0;  // accesses are in order of first use
        for (const ExpertId expert : routed.experts) {
            if (expert.value() < 0) continue;
            const ExpertRef used{m_layer, expert};
            const bool first = next < m_accesses.size() && used == ref(m_accesses[next]);
            if (first) ++next;
            m_residency.use(used, first);
        }
    }
    /// Wave by wave: the first one runs what is present too, and what has run frees its slot for the next.
    void bringAbsent() {
        bool runs = m_absent.size() < m_accesses.size();
        for (std::size_t next = 0; next < m_absent.size();) {
            for (; next < m_absent.size() && m_residency.admit(ref(m_absent[next])); ++next) {
                m_residency.setGuard(ref(m_absent[next]), Residency::Guard::Needed);
                runs = true;
            }
            if (next == m_absent.size() || !runs) return;
            for (const std::int32_t flat : m_accesses)
                if (m_residency.present(ref(flat))) m_residency.setGuard(ref(flat), Residency::Guard::None);
            runs = false;
        }
    }

    const RoutingTrace& m_trace;
    EvictionRule& m_rule;
    Residency m_residency;
    LayerIndex m_layer;
    std::span<const std::int32_t> m_accesses;
    std::vector<std::int32_t> m_absent;
};

}  // namespace

CacheCounts replayOnDemand(const RoutingTrace& trace, const OffloadContext& context, EvictionRule& rule,
                           const std::atomic<bool>* stop) {
    OnDemandCache cache(trace, context, rule);
    ReplayPredictors predictors(trace);
    CacheCounts counts;
    std::optional<RequestIndex> request;
    for (std::size_t g = 0; g < trace.groups().size(); ++g) {
        if (stop && stop->load(std::memory_order_relaxed)) break;
        const RoutingTrace::Group& group = trace.groups()[g];
        const RoutingTrace::Step& step = trace.steps()[static_cast<std::size_t>(group.step)];
        if (request != step.request) {
            request = step.request;
            rule.beginRequest();
        }
        predictors.enter(g);
        const std::int64_t hits = cache.use(g, predictors);
        const auto count = static_cast<std::int64_t>(trace.accesses(g).size());
        counts.accesses += count;
        counts.hits += hits;
        counts.movedBytes += (count - hits) * trace.expertBytes(group.layer);
        if (step.phase != Phase::Decode) continue;
        counts.decodeAccesses += count;
        counts.decodeHits += hits;
    }
    return counts;
}

}  // namespace expertscope
