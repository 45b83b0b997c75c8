// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/planner.h"

#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/offload/policy_registry.h"
#include "tests/engine/offload/prepared_sample.h"

namespace expertscope {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Expects of every layer the experts it was given.
class FixedPredictors final : public Predictors {
public:
    std::vector<ExpertId> next;
    Prediction of(PredictorKind kind, LayerIndex) override {
        if (kind != PredictorKind::PreGate) return {};
        scores.assign(next.size(), 0.25F);
        return {.width = 1, .experts = next, .scores = scores};
    }
    std::vector<float> scores;
};

struct PlannerFixture {
    PlannerFixture(const char* policyName, OffloadShape wanted)
        : shape(wanted),
          prepared(test::samplePrepared(wanted)),
          context{.shape = wanted, .costs = {}, .prepared = &prepared},
          policy(makePolicy(policyName)),
          rule(makeEviction("lru")),
          planner(context, *policy, rule.get()) {}

    void begin(int layer, const std::vector<int>& chosen) {
        experts.clear();
        for (const int expert : chosen)
            experts.emplace_back(expert);
        weights.assign(experts.size(), 1.0F);
        planner.beginLayer({.step = StepIndex(0),
                            .layer = LayerIndex(layer),
                            .phase = Phase::Decode,
                            .tokens = static_cast<int>(experts.size()) / shape.topK,
                            .experts = experts,
                            .weights = weights},
                           predictors);
    }
    bool wave() { return planner.nextWave(running, commands); }
    std::vector<int> ran() const {
        std::vector<int> ids;
        for (const int access : running)
            ids.push_back(planner.accesses()[static_cast<std::size_t>(access)].expert.value());
        return ids;
    }
    std::vector<int> brought(TransferPurpose purpose) const {
        std::vector<int> ids;
        for (const SlotCommand& command : commands)
            if (command.purpose == purpose) ids.push_back(command.expert.expert.value());
        return ids;
    }
    std::vector<int> demanded() const { return brought(TransferPurpose::Demand); }
    std::vector<int> prefetched() const { return brought(TransferPurpose::Prefetch); }
    void runLayer(int layer, const std::vector<int>& chosen) {
        begin(layer, chosen);
        while (wave()) {}
        planner.endLayer(releases, commands);
    }

    OffloadShape shape;
    PreparedData prepared;
    OffloadContext context;
    std::unique_ptr<Policy> policy;
    std::unique_ptr<EvictionRule> rule;
    Planner planner;
    FixedPredictors predictors;
    std::vector<ExpertId> experts;
    std::vector<float> weights;
    std::vector<int> running;
    std::vector<SlotCommand> commands;
    std::vector<SlotRelease> releases;
};

TEST(Planner, CountsOneAccessForEachExpertInOrderOfFirstUse) {
    PlannerFixture f("on-demand", {.layers = 2, .experts = 8, .topK = 2, .slots = 8});
    f.begin(0, {5, 1, 1, 7, 5, 2});
    std::vector<int> ids;
    for (const ExpertAccess& access : f.planner.accesses()) {
        EXPECT_FALSE(access.present);
        ids.push_back(access.expert.value());
    }
    EXPECT_THAT(ids, ElementsAre(5, 1, 7, 2));
    EXPECT_TRUE(f.wave());
    EXPECT_THAT(f.demanded(), ElementsAre(5, 1, 7, 2));
    EXPECT_FALSE(f.wave());
}

TEST(Planner, FindsWhatAnEarlierStepBrought) {
    PlannerFixture f("on-demand", {.layers = 1, .experts = 8, .topK = 2, .slots = 4});
    f.runLayer(0, {0, 1});
    f.begin(0, {1, 2});
    EXPECT_TRUE(f.planner.accesses()[0].present);
    EXPECT_FALSE(f.planner.accesses()[1].present);
    f.wave();
    EXPECT_THAT(f.demanded(), ElementsAre(2));
    EXPECT_THAT(f.ran(), ElementsAre(1, 2));
}

TEST(Planner, RunsInWavesWhenTheLayerNeedsMoreThanThereAreSlots) {
    PlannerFixture f("on-demand", {.layers = 1, .experts = 8, .topK = 5, .slots = 2});
    f.begin(0, {4, 3, 2, 1, 0});
    std::vector<std::vector<int>> waves;
    while (f.wave())
        waves.push_back(f.ran());
    EXPECT_THAT(waves, ElementsAre(ElementsAre(4, 3), ElementsAre(2, 1), ElementsAre(0)));
}

TEST(Planner, RunsWhatIsPresentBeforeItsSlotsAreTaken) {
    PlannerFixture f("on-demand", {.layers = 1, .experts = 8, .topK = 3, .slots = 2});
    f.runLayer(0, {6, 7, 7});
    f.begin(0, {1, 6, 7});
    EXPECT_TRUE(f.wave());
    EXPECT_THAT(f.ran(), ElementsAre(6, 7));
    EXPECT_THAT(f.commands, IsEmpty());
    EXPECT_TRUE(f.wave());
    EXPECT_THAT(f.ran(), ElementsAre(1));
    EXPECT_FALSE(f.wave());
}

TEST(PrefetchAll, BringsTheWholeNextLayerAsFarAsSlotsGo) {
    PlannerFixture f("prefetch-all", {.layers = 3, .experts = 4, .topK = 1, .slots = 3});
    f.begin(0, {2});
    f.wave();
    EXPECT_THAT(f.demanded(), ElementsAre(2));
    EXPECT_THAT(f.prefetched(), ElementsAre(0, 1));
    EXPECT_FALSE(f.wave());
    f.planner.endLayer(f.releases, f.commands);
    EXPECT_THAT(f.prefetched(), ElementsAre(2));  // the slot of the expert that has run
    EXPECT_EQ(f.commands[0].victim, (ExpertRef{LayerIndex(0), ExpertId(2)}));
}

TEST(PrefetchAll, BringsNothingAfterTheLastLayer) {
    PlannerFixture f("prefetch-all", {.layers = 2, .experts = 4, .topK = 1, .slots = 8});
    f.begin(1, {2});
    f.wave();
    EXPECT_THAT(f.prefetched(), IsEmpty());
}

TEST(PreGated, BringsExactlyWhatItsPreGateExpectsOnce) {
    PlannerFixture f("pre-gated", {.layers = 3, .experts = 8, .topK = 2, .slots = 8});
    f.predictors.next = {ExpertId(6), ExpertId(1), ExpertId(1), ExpertId(3)};
    f.begin(0, {0, 1, 1, 2});
    f.wave();
    EXPECT_THAT(f.demanded(), ElementsAre(0, 1, 2));
    EXPECT_THAT(f.prefetched(), ElementsAre(6, 1, 3));
    EXPECT_EQ(f.policy->routing(LayerIndex(0)), RoutingSource{});
    EXPECT_EQ(f.policy->routing(LayerIndex(2)), (RoutingSource{RoutingSource::Kind::PreGate, 1}));
}

TEST(Planner, HoldsWhatIsExpectedAgainstOtherPrefetchesAndLetsItGoOnceItsLayerHasChosen) {
    PlannerFixture f("pre-gated", {.layers = 3, .experts = 8, .topK = 2, .slots = 4});
    f.predictors.next = {ExpertId(6), ExpertId(7)};
    f.runLayer(0, {0, 1});  // slots: 0/0 0/1 1/6 1/7
    f.predictors.next = {ExpertId(2), ExpertId(3)};
    f.begin(1, {4, 5});  // neither of those that were brought is chosen
    f.wave();
    EXPECT_THAT(f.demanded(), ElementsAre(4, 5));
    EXPECT_THAT(f.prefetched(), ElementsAre(2, 3));  // takes the slots of 1/6 and 1/7
    EXPECT_FALSE(f.planner.residency().present({LayerIndex(1), ExpertId(6)}));
    EXPECT_FALSE(f.planner.residency().present({LayerIndex(1), ExpertId(7)}));
}

TEST(Resident, HasEverythingAndMissesNothing) {
    PlannerFixture f("resident", {.layers = 2, .experts = 4, .topK = 2, .slots = 8});
    f.planner.preload(f.commands);
    EXPECT_EQ(f.commands.size(), 8U);
    f.begin(1, {3, 0});
    for (const ExpertAccess& access : f.planner.accesses())
        EXPECT_TRUE(access.present);
    f.wave();
    EXPECT_THAT(f.commands, IsEmpty());
}

/// What every policy must keep, whatever it is fed.
class EveryPolicy : public testing::TestWithParam<std::tuple<std::string, int>> {};

TEST_P(EveryPolicy, RunsEachExpertOnceInASlotOfItsOwnAndKeepsTheBudget) {
    const auto& [name, slots] = GetParam();
    OffloadShape shape{.layers = 4, .experts = 16, .topK = 4, .slots = slots};
    if (makePolicy(name)->keepsAllResident()) shape.slots = shape.total();  // whatever the budget
    PlannerFixture f(name.c_str(), shape);
    f.planner.preload(f.commands);
    std::mt19937 random(3);
    std::set<int> inSlots;  // flat experts, as the commands say
    for (const SlotCommand& command : f.commands)
        inSlots.insert(shape.flat(command.expert));
    for (int step = 0; step < 60; ++step) {
        for (int layer = 0; layer < shape.layers; ++layer) {
            const int tokens = step == 0 ? 9 : 1;
            std::vector<int> chosen;
            f.predictors.next.clear();
            for (int i = 0; i < tokens * shape.topK; ++i) {
                chosen.push_back(static_cast<int>(random() % 16));
                f.predictors.next.emplace_back(static_cast<int>(random() % 16));
            }
            f.begin(layer, chosen);
            const auto apply = [&] {
                for (const SlotCommand& command : f.commands) {
                    if (command.victim) { EXPECT_EQ(inSlots.erase(shape.flat(*command.victim)), 1U); }
                    EXPECT_TRUE(inSlots.insert(shape.flat(command.expert)).second);
                }
                EXPECT_LE(static_cast<int>(inSlots.size()), shape.slots);
            };
            std::multiset<int> executed;
            for (const ExpertAccess& access : f.planner.accesses())
                if (access.inPlace()) executed.insert(access.expert.value());
            while (f.wave()) {
                apply();
                for (const int expert : f.ran()) {
                    executed.insert(expert);
                    EXPECT_TRUE(inSlots.contains(shape.flat({LayerIndex(layer), ExpertId(expert)})));
                }
            }
            const std::set<int> unique(chosen.begin(), chosen.end());
            EXPECT_EQ(executed, std::multiset<int>(unique.begin(), unique.end()));
            f.planner.endLayer(f.releases, f.commands);
            for (int expert = 0; !f.policy->releases() && expert < shape.experts; ++expert)
                EXPECT_TRUE(f.policy->keeps({LayerIndex(layer), ExpertId(expert)})) << "releases() denies it";
            for (const SlotRelease& release : f.releases)
                EXPECT_EQ(inSlots.erase(shape.flat(release.expert)), 1U);
            apply();
        }
    }
}

TEST_P(EveryPolicy, MakesTheSameDecisionsTwice) {
    const std::string& name = std::get<0>(GetParam());
    const int slots = std::get<1>(GetParam());
    const auto decisions = [&] {
        PlannerFixture f(name.c_str(), {.layers = 3, .experts = 12, .topK = 2, .slots = slots});
        std::vector<std::tuple<int, int, int>> log;
        f.planner.preload(f.commands);
        for (const SlotCommand& c : f.commands)
            log.emplace_back(f.shape.flat(c.expert), c.slot.value(), -1);
        std::mt19937 random(5);
        for (int step = 0; step < 40; ++step) {
            for (int layer = 0; layer < 3; ++layer) {
                f.predictors.next = {ExpertId(static_cast<int>(random() % 12)),
                                     ExpertId(static_cast<int>(random() % 12))};
                const int first = static_cast<int>(random() % 12);
                f.begin(layer, {first, (first + 1) % 12});
                const auto note = [&] {
                    for (const SlotCommand& c : f.commands)
                        log.emplace_back(f.shape.flat(c.expert), c.slot.value(),
                                         c.victim ? f.shape.flat(*c.victim) : -1);
                };
                for (const ExpertAccess& access : f.planner.accesses())
                    if (access.inPlace()) log.emplace_back(access.expert.value(), -1, -1);
                while (f.wave())
                    note();
                f.planner.endLayer(f.releases, f.commands);
                note();
            }
        }
        return log;
    };
    const auto first = decisions();
    EXPECT_FALSE(first.empty());
    EXPECT_EQ(first, decisions());
}

INSTANTIATE_TEST_SUITE_P(Budgets, EveryPolicy,
                         testing::Combine(testing::ValuesIn([] {
                                              std::vector<std::string> names;
                                              for (const PolicyInfo& known : policyCatalogue())
                                                  names.push_back(known.name);
                                              return names;
                                          }()),
                                          testing::Values(1, 2, 3, 7, 16, 33, 64)),
                         [](const auto& run) {
                             std::string label = std::get<0>(run.param) + "_" + std::to_string(std::get<1>(run.param));
                             std::ranges::replace(label, '-', '_');
                             return label;
                         });

}  // namespace
}  // namespace expertscope
