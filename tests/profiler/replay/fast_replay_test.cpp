// SPDX-License-Identifier: GPL-3.0-or-later
// The fast replays against slow ones: the live engine's own Planner for Settle::Admit, a cache of plain containers for
// Settle::Layer.
#include <algorithm>
#include <cstdlib>
#include <map>

#include <gtest/gtest.h>

#include "engine/offload/policy_registry.h"
#include "profiler/interchange/route_trace_import.h"
#include "profiler/replay/belady_rule.h"
#include "profiler/replay/layer_settled_cache.h"
#include "profiler/replay/offload_replay.h"
#include "profiler/replay/on_demand_replay.h"
#include "profiler/replay/replay.h"
#include "profiler/replay/replay_predictors.h"
#include "tests/profiler/replay/replay_fixture.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

std::vector<std::string> everyRule() {
    std::vector<std::string> rules{"belady"};
    for (const EvictionInfo& info : evictionCatalogue()) {
        if (info.replayOnly) continue;
        rules.push_back(info.name);
        rules.push_back(info.name + ":scope=layer");
    }
    rules.insert(rules.end(), {"least-stale:variant=ema", "slru:probation=0.5", "moe-infinity:collection=2"});
    return rules;
}

std::unique_ptr<EvictionRule> makeRule(const std::string& name, const NextUses& next) {
    if (name == "belady") return std::make_unique<BeladyRule>(next);
    return makeEviction(name);
}

void expectSame(const CacheCounts& fast, const CacheCounts& slow) {
    EXPECT_EQ(fast.accesses, slow.accesses);
    EXPECT_EQ(fast.hits, slow.hits);
    EXPECT_EQ(fast.decodeAccesses, slow.decodeAccesses);
    EXPECT_EQ(fast.decodeHits, slow.decodeHits);
    EXPECT_EQ(fast.movedBytes, slow.movedBytes);
}

CacheCounts bySlots(const RoutingTrace& trace, const NextUses& next, const std::string& rule, int slots, bool fast) {
    OffloadContext context;
    context.shape = {.layers = trace.layers(), .experts = trace.experts(), .topK = trace.model().topK, .slots = slots};
    const auto made = makeRule(rule, next);
    if (fast) return replayOnDemand(trace, context, *made);
    const auto policy = makePolicy("on-demand");
    return OffloadReplay(trace, context, *policy, made.get(), std::nullopt).run().cache;
}

/// What settles at the end of a layer, from maps: the rule is asked for scores alone, and the lowest leaves.
class PlainLayerCache {
public:
    PlainLayerCache(const RoutingTrace& trace, EvictionRule& rule, std::int64_t budget)
        : m_trace(trace), m_rule(rule), m_budget(rule.perLayer() ? budget / trace.layers() : budget) {
        const std::int64_t fits = budget / std::max<std::int64_t>(trace.model().expertBytes.count(), 1);
        m_context.shape = {.layers = trace.layers(),
                           .experts = trace.experts(),
                           .topK = trace.model().topK,
                           .slots = static_cast<int>(std::clamp<std::int64_t>(fits, 1, trace.total()))};
        rule.begin(m_context);
    }
    CacheCounts run() {
        ReplayPredictors predictors(m_trace);
        RequestIndex request(-1);
        for (std::size_t g = 0; g < m_trace.groups().size(); ++g) {
            const RoutingTrace::Group& group = m_trace.groups()[g];
            const RoutingTrace::Step& step = m_trace.steps()[static_cast<std::size_t>(group.step)];
            if (request != step.request) m_rule.beginRequest();
            request = step.request;
            predictors.enter(g);
            m_rule.onLayer(m_trace.routed(g), predictors);
            use(g, step.phase == Phase::Decode);
            settle(group.layer.value());
        }
        return m_counts;
    }

private:
    void use(std::size_t g, bool decodes) {
        m_needed.clear();
        for (const ExpertId expert : m_trace.routed(g).experts) {
            if (expert.value() < 0) continue;
            const int flat = m_trace.groups()[g].layer.value() * m_trace.experts() + expert.value();
            const bool first = m_needed.insert(flat).second, hit = m_lastOrder.contains(flat);
            if (!hit) {
                m_rule.onNeed(flat);
                m_lastOrder[flat] = ++m_order;
                m_rule.onAdmit(flat, m_order);
                m_counts.movedBytes += m_trace.bytesOf(flat);
            }
            m_lastOrder[flat] = ++m_order;
            m_rule.onUse(flat, m_order, first);
            m_counts.accesses += first;
            m_counts.hits += first && hit;
            m_counts.decodeAccesses += first && decodes;
            m_counts.decodeHits += first && hit && decodes;
        }
    }
    bool counts(int flat, int layer) const { return !m_rule.perLayer() || flat / m_trace.experts() == layer; }
    std::int64_t used(int layer) const {
        std::int64_t bytes = 0;
        for (const auto& [flat, order] : m_lastOrder)
            if (counts(flat, layer)) bytes += m_trace.bytesOf(flat);
        return bytes;
    }
    void settle(int layer) {
        while (used(layer) > m_budget) {
            int victim = -1;
            for (const auto& [flat, order] : m_lastOrder) {
                if (m_needed.contains(flat) || !counts(flat, layer)) continue;
                if (victim < 0 ||
                    std::pair(m_rule.score(flat), order) < std::pair(m_rule.score(victim), m_lastOrder.at(victim)))
                    victim = flat;
            }
            if (victim < 0) return;
            m_lastOrder.erase(victim);
            m_rule.onLeave(victim);
        }
    }

    const RoutingTrace& m_trace;
    EvictionRule& m_rule;
    std::int64_t m_budget;
    OffloadContext m_context;
    std::map<int, std::int64_t> m_lastOrder;  ///< of those in the cache
    std::set<int> m_needed;
    std::int64_t m_order = 0;
    CacheCounts m_counts;
};

std::vector<MadeUpTrace> traces() {
    return {
        {.layers = 3, .experts = 8, .topK = 2, .seed = 3},
        {.layers = 1, .experts = 12, .topK = 3, .requests = 3, .promptTokens = 7, .seed = 4},
        {.layers = 4,
         .experts = 16,
         .topK = 4,
         .requests = 4,
         .promptTokens = 9,
         .decoded = 40,
         .skew = 0.4,
         .seed = 5},
        {.layers = 5, .experts = 6, .topK = 2, .promptTokens = 1, .decoded = 60, .sizes = {100, 70, 130}, .seed = 6},
    };
}

class FastReplay : public testing::TestWithParam<std::string> {};

TEST_P(FastReplay, IsThePlannersOnMadeUpTracesAtEveryBudget) {
    for (const MadeUpTrace& made : traces()) {
        const RoutingTrace trace = made.build();
        const NextUses next(trace);
        for (int slots = 1; slots <= trace.total(); ++slots) {
            SCOPED_TRACE(testing::Message() << "seed " << made.seed << " slots " << slots);
            expectSame(bySlots(trace, next, GetParam(), slots, true), bySlots(trace, next, GetParam(), slots, false));
        }
    }
}

TEST_P(FastReplay, SettlesLayersAsPlainContainersDo) {
    if (GetParam() == "belady") GTEST_SKIP() << "its settled form is another algorithm, checked in belady_test";
    for (const MadeUpTrace& made : traces()) {
        const RoutingTrace trace = made.build();
        const NextUses next(trace);
        for (int slots = 1; slots <= trace.total(); slots += 3) {
            SCOPED_TRACE(testing::Message() << "seed " << made.seed << " slots " << slots);
            const std::int64_t budget = slots * trace.model().expertBytes.count();
            const auto slow = makeRule(GetParam(), next), fast = makeRule(GetParam(), next);
            expectSame(replayLayerSettled(trace, *fast, budget), PlainLayerCache(trace, *slow, budget).run());
        }
    }
}

TEST_P(FastReplay, IsThePlannersOnARealTrace) {
    const char* data = std::getenv("EXPERTSCOPE_TEST_DATA");
    if (!data) GTEST_SKIP() << "EXPERTSCOPE_TEST_DATA does not name the folder with routes/";
    static const RoutingTrace trace = [&] {
        const TemporaryFolder folder;
        const auto file = std::filesystem::path(data) / "routes" / "qwen3-30b-a3b.route.csv";
        const ImportedRun imported = importRouteTrace(file, folder / "s.esdb");
        return readRecordedRun(SessionReader(folder / "s.esdb"), imported.run).trace;
    }();
    static const NextUses next(trace);
    for (const int percent : {2, 10, 35, 80}) {
        const int slots = trace.total() * percent / 100;
        SCOPED_TRACE(testing::Message() << slots << " slots");
        expectSame(bySlots(trace, next, GetParam(), slots, true), bySlots(trace, next, GetParam(), slots, false));
    }
}

INSTANTIATE_TEST_SUITE_P(Rules, FastReplay, testing::ValuesIn(everyRule()), [](const auto& run) {
    std::string label;
    for (const char c : run.param)
        label += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
    return label;
});

/// The bench answers a case without times from the fast replay, one with times from the simulation: the same counts.
TEST(FastReplays, CountsOfUntimedCasesAreThoseOfTimedOnes) {
    const RoutingTrace trace = traces()[2].build();
    RecordedRun run;
    run.entry.description.model = trace.model();
    run.trace = trace;
    run.times = ComputeTimes{};
    run.times->before.assign(trace.groups().size(), 1000);
    run.times->after.assign(trace.groups().size(), 10);
    run.times->expert.assign(trace.accesses().size(), 300.0F);
    run.times->tail.assign(trace.steps().size(), 500);
    run.times->transfer = 2000;
    const ReplayBench bench(std::move(run));
    for (const std::string& rule : everyRule()) {
        ReplayCase what{.eviction = rule, .budget = Bytes(13 * trace.model().expertBytes.count())};
        const ReplayResult timed = bench.replay(what, Settle::Admit);
        what.timed = false;
        const ReplayResult untimed = bench.replay(what, Settle::Admit);
        EXPECT_EQ(untimed.misses, timed.misses) << rule;
        EXPECT_EQ(untimed.decodeHits, timed.decodeHits) << rule;
        EXPECT_EQ(untimed.demandBytes, timed.demandBytes) << rule;
        EXPECT_TRUE(std::isnan(untimed.decodeTokensPerSecond));
        EXPECT_GT(timed.decodeTokensPerSecond, 0);
    }
}

}  // namespace
}  // namespace expertscope
