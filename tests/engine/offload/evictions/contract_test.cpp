// SPDX-License-Identifier: GPL-3.0-or-later
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "engine/offload/planner.h"
#include "tests/engine/offload/evictions/rule_fixture.h"

// What every rule of the catalogue must keep, whatever it is fed.

namespace expertscope {
namespace {

/// Compares the rule's victim with that of the scan over all slots, whenever it is asked for.
class CheckedRule final : public EvictionRule {
public:
    explicit CheckedRule(EvictionRule& rule) : m_rule(&rule) { setPerLayer(rule.perLayer()); }
    void begin(const OffloadContext& context) override { m_rule->begin(context); }
    void beginRequest() override { m_rule->beginRequest(); }
    void onLayer(const RoutedLayer& routed, Predictors& predictors) override { m_rule->onLayer(routed, predictors); }
    void onUse(int expert, std::int64_t order, bool first) override { m_rule->onUse(expert, order, first); }
    void onNeed(int expert) override { m_rule->onNeed(expert); }
    void onAdmit(int expert, std::int64_t order) override { m_rule->onAdmit(expert, order); }
    void onLeave(int expert) override { m_rule->onLeave(expert); }
    double score(int expert) const override { return m_rule->score(expert); }
    int victim(const EvictionCandidates& candidates) const override {
        const int own = m_rule->victim(candidates);
        EXPECT_EQ(own, m_rule->EvictionRule::victim(candidates));
        if (own >= 0) {
            EXPECT_TRUE(candidates.contains(own));
            ++victims;
        }
        return own;
    }
    mutable int victims = 0;

private:
    EvictionRule* m_rule;
};

class EveryRule : public testing::TestWithParam<std::string> {};

/// Random routing of several requests with random guards, releases and prefetches.
class RandomUse {
public:
    RandomUse(const std::string& spec, const OffloadShape& shape, bool divided, unsigned seed)
        : m_shape(shape),
          m_context{.shape = shape},
          m_rule(makeEviction(spec)),
          m_checked(*m_rule),
          m_residency(m_context, {.share = divided || m_rule->perLayer() ? equalShares(shape) : std::vector<int>{}},
                      m_checked),
          m_random(seed) {}

    int run() {
        for (int step = 0; step < 60; ++step) {
            if (step % 15 == 0) m_checked.beginRequest();
            for (int layer = 0; layer < m_shape.layers; ++layer)
                visit(step, layer, step % 15 == 0 ? 5 : 1);
        }
        return m_checked.victims;
    }

private:
    int below(int count) { return static_cast<int>(m_random() % static_cast<unsigned>(count)); }
    ExpertRef anyOf(int layer) {
        return {LayerIndex(layer), ExpertId(std::min(below(m_shape.experts), below(m_shape.experts)))};
    }
    void visit(int step, int layer, int tokens) {
        std::vector<ExpertId> experts;
        for (int i = 0; i < tokens * m_shape.topK; ++i)
            experts.push_back(anyOf(layer).expert);
        const std::vector<float> weights(experts.size(), 0.5F);
        m_checked.onLayer({.step = StepIndex(step),
                           .layer = LayerIndex(layer),
                           .phase = tokens > 1 ? Phase::Prefill : Phase::Decode,
                           .tokens = tokens,
                           .experts = experts,
                           .weights = weights},
                          m_predictors);
        std::set<ExpertId> seen;
        for (const ExpertId expert : experts)
            m_residency.use({LayerIndex(layer), expert}, seen.insert(expert).second);
        for (const ExpertRef resident : m_residency.residents())
            m_residency.setGuard(resident, static_cast<Residency::Guard>(below(3) == 0 ? below(4) : 0));
        for (const ExpertId expert : seen)
            if (!m_residency.present({LayerIndex(layer), expert}))
                m_residency.reserve({LayerIndex(layer), expert}, true);
        for (int i = below(3); i > 0; --i) {
            const ExpertRef ahead = anyOf(below(m_shape.layers));
            if (!m_residency.present(ahead)) m_residency.reserve(ahead, false);
        }
        const auto residents = m_residency.residents();
        if (!residents.empty() && below(4) == 0)
            m_residency.release(residents[static_cast<std::size_t>(below(static_cast<int>(residents.size())))]);
        m_residency.lowest(below(2) == 0 ? -1 : below(m_shape.layers));
    }

    OffloadShape m_shape;
    OffloadContext m_context;
    std::unique_ptr<EvictionRule> m_rule;
    CheckedRule m_checked;
    Residency m_residency;
    NoPredictors m_predictors;
    std::mt19937 m_random;
};

TEST_P(EveryRule, ChoosesWhomTheScanOverAllSlotsChooses) {
    for (const int slots : {1, 2, 5, 11, 30, 45})
        for (const bool divided : {false, true})
            EXPECT_GT(RandomUse(GetParam(), {.layers = 4, .experts = 12, .topK = 3, .slots = slots}, divided, 17).run(),
                      0);
}

TEST_P(EveryRule, StartsAfreshWhenItBegins) {
    const OffloadShape shape{.layers = 2, .experts = 8, .topK = 1, .slots = 5};
    RuleFixture f(GetParam(), shape);
    std::vector<int> first, second;
    std::mt19937 random(4);
    std::vector<int> trace;
    for (int i = 0; i < 200; ++i)
        trace.push_back(static_cast<int>(random() % 16));
    const auto play = [&](Residency& residency, std::vector<int>& left) {
        for (std::size_t i = 0; i < trace.size(); ++i) {
            const ExpertRef expert = shape.ref(trace[i]);
            f.route(static_cast<int>(i), expert.layer.value(), {expert.expert.value()});
            residency.use(expert, true);
            if (residency.present(expert)) continue;
            const auto reservation = residency.reserve(expert, true);
            left.push_back(reservation->victim ? shape.flat(*reservation->victim) : -1);
        }
    };
    const CacheDomain domain{.share = f.rule->perLayer() ? equalShares(shape) : std::vector<int>{}};
    play(f.residency, first);
    Residency again(f.context, domain, *f.rule);
    play(again, second);
    EXPECT_EQ(first, second);
}

class GivenPredictors final : public Predictors {
public:
    std::vector<ExpertId> next;
    std::vector<float> scores;
    Prediction of(PredictorKind kind, LayerIndex) override {
        if (kind != PredictorKind::PreGate) return {};
        scores.assign(next.size(), 0.25F);
        return {.width = 1, .experts = next, .scores = scores};
    }
};

/// A run of the planner under a policy; what it decided, as (expert, slot, victim).
std::vector<std::tuple<int, int, int>> decisions(const std::string& policyName, const std::string& spec, int slots) {
    const OffloadShape shape{.layers = 4, .experts = 12, .topK = 3, .slots = slots};
    const OffloadContext context{.shape = shape};
    const auto policy = makePolicy(policyName);
    const auto rule = makeEviction(spec);
    CheckedRule checked(*rule);
    Planner planner(context, *policy, &checked);
    GivenPredictors predictors;
    std::mt19937 random(5);
    std::vector<std::tuple<int, int, int>> log;
    std::set<int> inSlots;
    std::vector<SlotCommand> commands;
    std::vector<SlotRelease> releases;
    std::vector<int> wave;
    for (int step = 0; step < 40; ++step) {
        if (step % 10 == 0) planner.beginRequest();
        for (int layer = 0; layer < shape.layers; ++layer) {
            std::vector<ExpertId> experts;
            predictors.next.clear();
            const int tokens = step % 10 == 0 ? 6 : 1;
            for (int i = 0; i < tokens * shape.topK; ++i) {
                experts.emplace_back(static_cast<int>(random() % 12));
                predictors.next.emplace_back(static_cast<int>(random() % 12));
            }
            const std::vector<float> weights(experts.size(), 1.0F);
            planner.beginLayer({.step = StepIndex(step),
                                .layer = LayerIndex(layer),
                                .phase = tokens > 1 ? Phase::Prefill : Phase::Decode,
                                .tokens = tokens,
                                .experts = experts,
                                .weights = weights},
                               predictors);
            std::set<int> toRun;
            for (const ExpertAccess& access : planner.accesses())
                toRun.insert(shape.flat({LayerIndex(layer), access.expert}));
            const auto apply = [&] {
                for (const SlotCommand& command : commands) {
                    const int victim = command.victim ? shape.flat(*command.victim) : -1;
                    if (victim >= 0) {
                        EXPECT_EQ(inSlots.erase(victim), 1U);
                        EXPECT_FALSE(toRun.contains(victim) &&
                                     planner.residency().guard(shape.ref(victim)) == Residency::Guard::Needed);
                    }
                    EXPECT_TRUE(inSlots.insert(shape.flat(command.expert)).second);
                    log.emplace_back(shape.flat(command.expert), command.slot.value(), victim);
                }
                EXPECT_LE(static_cast<int>(inSlots.size()), slots);
            };
            while (planner.nextWave(wave, commands)) {
                apply();
                for (const int at : wave) {
                    const int flat =
                        shape.flat({LayerIndex(layer), planner.accesses()[static_cast<std::size_t>(at)].expert});
                    EXPECT_TRUE(inSlots.contains(flat));
                    EXPECT_EQ(toRun.erase(flat), 1U);
                }
            }
            EXPECT_TRUE(toRun.empty());
            planner.endLayer(releases, commands);
            for (const SlotRelease& release : releases)
                EXPECT_EQ(inSlots.erase(shape.flat(release.expert)), 1U);
            apply();
        }
    }
    return log;
}

TEST_P(EveryRule, ServesThePlannerWithinTheBudgetAndTheSameTwice) {
    for (const char* policy : {"on-demand", "prefetch-all", "pre-gated"}) {
        for (const int slots : {1, 2, 3, 7, 20, 40}) {
            const auto first = decisions(policy, GetParam(), slots);
            EXPECT_FALSE(first.empty());
            EXPECT_EQ(first, decisions(policy, GetParam(), slots)) << policy << " with " << slots << " slots";
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Rules, EveryRule, testing::ValuesIn(everyLiveRule()),
                         [](const auto& run) { return labelOf(run.param); });

}  // namespace
}  // namespace expertscope
