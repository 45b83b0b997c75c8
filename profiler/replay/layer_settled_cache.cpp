// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/layer_settled_cache.h"

#include <algorithm>
#include <optional>

#include "engine/offload/residency.h"
#include "profiler/replay/replay_predictors.h"

namespace expertscope {
namespace {

/// Tells a rule everything but the size of the cache, which here is the budget's and not that of the slots, of which
/// there are as many as experts so that any overflow has room.
class SizedRule final : public EvictionRule {
public:
    SizedRule(EvictionRule& rule, int slots) : m_rule(&rule), m_slots(slots) {}
    void begin(const OffloadContext& context) override {
        m_context = context;
        m_context.shape.slots = m_slots;
        m_rule->begin(m_context);
    }
    void onUse(int expert, std::int64_t order, bool first) override { m_rule->onUse(expert, order, first); }
    void onNeed(int expert) override { m_rule->onNeed(expert); }
    void onAdmit(int expert, std::int64_t order) override { m_rule->onAdmit(expert, order); }
    void onLeave(int expert) override { m_rule->onLeave(expert); }
    double score(int expert) const override { return m_rule->score(expert); }
    int victim(const EvictionCandidates& candidates) const override { return m_rule->victim(candidates); }

private:
    EvictionRule* m_rule;
    int m_slots;
    OffloadContext m_context;
};

/// Bytes in the cache, of one pool or of a share for each layer.
class Settlement {
public:
    Settlement(const RoutingTrace& trace, Residency& residency, std::int64_t budget, bool perLayer)
        : m_trace(trace),
          m_residency(residency),
          m_perLayer(perLayer),
          m_budget(perLayer ? budget / trace.layers() : budget),
          m_used(static_cast<std::size_t>(perLayer ? trace.layers() : 1), 0) {}

    void add(LayerIndex layer) { used(layer) += m_trace.expertBytes(layer); }
    void settle(LayerIndex layer) {
        while (used(layer) > m_budget) {
            const auto victim = m_residency.lowest(m_perLayer ? layer.value() : -1);
            if (!victim) return;
            m_residency.release(*victim);
            used(layer) -= m_trace.expertBytes(victim->layer);
        }
    }

private:
    std::int64_t& used(LayerIndex layer) { return m_used[m_perLayer ? layer.index() : 0]; }

    const RoutingTrace& m_trace;
    Residency& m_residency;
    bool m_perLayer;
    std::int64_t m_budget;
    std::vector<std::int64_t> m_used;
};

}  // namespace

CacheCounts replayLayerSettled(const RoutingTrace& trace, EvictionRule& rule, std::int64_t budgetBytes) {
    const ModelFacts& model = trace.model();
    OffloadContext context;
    context.shape = {.layers = trace.layers(), .experts = trace.experts(), .topK = model.topK, .slots = trace.total()};
    const std::int64_t fits = budgetBytes / std::max<std::int64_t>(model.expertBytes.count(), 1);
    SizedRule sized(rule, static_cast<int>(std::clamp<std::int64_t>(fits, 1, trace.total())));
    Residency residency(context, {}, sized);
    Settlement settlement(trace, residency, budgetBytes, rule.perLayer());
    ReplayPredictors predictors(trace);
    CacheCounts counts;
    std::optional<RequestIndex> request;
    std::vector<std::size_t> seenIn(static_cast<std::size_t>(trace.experts()), 0);  // group + 1

    for (std::size_t g = 0; g < trace.groups().size(); ++g) {
        const RoutingTrace::Group& group = trace.groups()[g];
        const RoutingTrace::Step& step = trace.steps()[static_cast<std::size_t>(group.step)];
        if (request != step.request) {
            request = step.request;
            rule.beginRequest();
        }
        const RoutedLayer routed = trace.routed(g);
        predictors.enter(g);
        rule.onLayer(routed, predictors);
        std::int64_t hits = 0;
        for (const ExpertId expert : routed.experts) {
            if (expert.value() < 0) continue;
            const ExpertRef ref{group.layer, expert};
            const bool first = seenIn[expert.index()] != g + 1;
            seenIn[expert.index()] = g + 1;
            if (first) {
                if (residency.present(ref)) {
                    ++hits;
                } else {
                    residency.reserve(ref, true);
                    settlement.add(group.layer);
                }
                residency.setGuard(ref, Residency::Guard::Needed);
            }
            residency.use(ref, first);
        }
        settlement.settle(group.layer);
        const auto accesses = trace.accesses(g);
        for (const std::int32_t flat : accesses)
            residency.setGuard(context.shape.ref(flat), Residency::Guard::None);
        const auto count = static_cast<std::int64_t>(accesses.size());
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
