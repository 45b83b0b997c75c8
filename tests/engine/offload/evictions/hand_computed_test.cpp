// SPDX-License-Identifier: GPL-3.0-or-later
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/offload/prepared_data.h"
#include "tests/engine/offload/evictions/rule_fixture.h"

// Each rule on a trace short enough to follow by hand: who leaves at which access.

namespace expertscope {
namespace {

using testing::ElementsAre;

constexpr OffloadShape kThreeSlots{.layers = 1, .experts = 8, .topK = 1, .slots = 3};

TEST(LfuInCache, ForgetsTheUsesOfWhatLeft) {
    RuleFixture f("lfu-incache", kThreeSlots);
    for (const int expert : {0, 0, 1, 1, 2})
        f.access(expert);
    EXPECT_EQ(f.access(3), 2);
    EXPECT_EQ(f.access(4), 3);
    EXPECT_EQ(f.access(3), 4);  // comes back with one use again, where lfu would give it two
    EXPECT_EQ(f.access(5), 3);
    EXPECT_EQ(f.access(5), -1);
    EXPECT_EQ(f.access(6), 0);  // two uses each: 0 lies furthest back
}

TEST(LfuInCache, GivesAPrefetchedExpertNoUseBeforeItIsUsed) {
    RuleFixture f("lfu-incache", kThreeSlots);
    f.access(0);
    f.access(1);
    f.residency.reserve(f.shape.ref(2), false);
    EXPECT_EQ(f.access(3), 2);
}

TEST(Lfru, WeighsUsesAgainstTheTimeSinceTheLast) {
    RuleFixture f("lfru", kThreeSlots);
    for (const int expert : {0, 0, 0, 1, 2})
        f.access(expert);
    EXPECT_EQ(f.access(3), 1);   // at 6: 3/4, 1/3, 1/2
    EXPECT_EQ(f.access(2), -1);  // at 7
    EXPECT_EQ(f.access(1), 3);   // at 8: 0 has 3/6, 2 has 2/2, 3 has 1/3
    EXPECT_EQ(f.access(4), 0);   // at 9: 0 has 3/7, 1 has 1/2, 2 has 2/3
}

TEST(Fifo, EvictsWhoCameFirstWhateverItsUses) {
    RuleFixture f("fifo", kThreeSlots);
    for (const int expert : {0, 1, 2, 0, 0})
        f.access(expert);
    EXPECT_EQ(f.access(3), 0);
    EXPECT_EQ(f.access(0), 1);
    EXPECT_EQ(f.access(1), 2);
}

TEST(Lifo, EvictsWhoCameLastWhateverItsUses) {
    RuleFixture f("lifo", kThreeSlots);
    for (const int expert : {0, 1, 2, 2, 2})
        f.access(expert);
    EXPECT_EQ(f.access(3), 2);
    EXPECT_EQ(f.access(4), 3);
    EXPECT_EQ(f.access(0), -1);
    EXPECT_EQ(f.access(5), 4);
}

TEST(Lifo, KeepsAllSlotsButOneOnACycleOneLongerThanTheCache) {
    RuleFixture f("lifo", kThreeSlots);
    int hits = 0;
    for (int i = 0; i < 40; ++i) {
        f.access(i % 4);
        hits += f.hit ? 1 : 0;
    }
    EXPECT_EQ(hits, 9 * 2);  // after the first round 0 and 1 always; 2 and 3 push each other out
}

TEST(Slru, ProtectsWhatIsUsedAgainAndDemotesTheLeastRecentOfThem) {
    RuleFixture f("slru:probation=0.34", kThreeSlots);  // one on probation, two protected
    for (const int expert : {0, 1, 2, 0, 1})
        f.access(expert);
    EXPECT_EQ(f.access(3), 2);
    EXPECT_EQ(f.access(3), -1);  // protected now, and 0 back on probation
    EXPECT_EQ(f.access(4), 0);
    EXPECT_EQ(f.access(5), 4);
    EXPECT_EQ(f.access(1), -1);
    EXPECT_EQ(f.access(5), -1);  // 3 is the least recent of 3 and 1
    EXPECT_EQ(f.access(6), 3);
}

TEST(Slru, TakesAProtectedOneOnlyWhenThereIsNoOther) {
    RuleFixture f("slru:probation=0", {.layers = 1, .experts = 8, .topK = 1, .slots = 2});
    f.access(0);
    f.access(0);
    EXPECT_EQ(f.access(1), -1);
    f.residency.setGuard(f.shape.ref(1), Residency::Guard::Needed);
    EXPECT_EQ(f.access(2), 0);
}

TEST(Slru, TakesTheFirstUseOfAPrefetchedExpertForItsFirst) {
    RuleFixture f("slru:probation=0.34", kThreeSlots);
    f.residency.reserve(f.shape.ref(0), false);
    f.access(0);
    f.access(1);
    f.access(2);
    EXPECT_EQ(f.access(3), 0);
}

TEST(Arc, MovesItsTargetByWhoComesBack) {
    RuleFixture f("arc", {.layers = 1, .experts = 8, .topK = 1, .slots = 2});
    f.access(0);
    f.access(0);                // T2 {0}
    f.access(1);                // T1 {1}
    EXPECT_EQ(f.access(2), 1);  // p = 0: from T1
    EXPECT_EQ(f.access(1), 0);  // from B1, p = 1: T1 {2} may stay
    EXPECT_EQ(f.access(0), 2);  // from B2, p = 0
    EXPECT_EQ(f.access(3), 1);  // T2 {1 0}, T1 empty
}

TEST(LeastStale, EvictsWhatTheStepHasNotTouchedFirstAndThenInOrderOfTheFirstTouch) {
    RuleFixture f("least-stale", {.layers = 1, .experts = 8, .topK = 1, .slots = 4});
    f.route(0, 0, {0});
    for (const int expert : {0, 1, 2})
        f.access(expert);
    f.route(1, 0, {0});
    for (const int expert : {2, 0, 3, 2})
        f.access(expert);
    EXPECT_EQ(f.access(4), 1);
    EXPECT_EQ(f.access(5), 2);  // touched first in this step, though last too: lru would take 0
    EXPECT_EQ(f.access(6), 0);
}

TEST(LeastStale, EmaEvictsTheMostOverdue) {
    RuleFixture f("least-stale:variant=ema", kThreeSlots);
    f.access(0);
    for (int i = 0; i < 9; ++i)
        f.access(1);            // 2 … 10, every access: due at 11
    f.access(0);                // at 11, ten after the last: due at 21
    f.access(2);                // at 12, no interval yet
    EXPECT_EQ(f.access(3), 1);  // 11 < 12 < 21
    EXPECT_EQ(f.access(4), 2);
    EXPECT_EQ(f.access(5), 3);
    EXPECT_TRUE(f.residency.present(f.shape.ref(0)));  // lru would have let it go
}

TEST(LeastStale, MixedWeighsFrequencyRecencyAndLayer) {
    RuleFixture f("least-stale:variant=mixed", {.layers = 2, .experts = 4, .topK = 1, .slots = 4});
    f.route(0, 0, {0});
    f.access(0);
    f.route(0, 1, {1});
    f.access(5);
    f.route(1, 0, {0});
    f.access(0);
    EXPECT_DOUBLE_EQ(f.rule->score(0), 0.4 * 2 / 2 + 0.4 + 0.2);
    EXPECT_DOUBLE_EQ(f.rule->score(5), 0.4 * 1 / 2 + 0.4 * std::exp(-0.01) + 0.2 * 0.5);
    EXPECT_DOUBLE_EQ(f.rule->score(6), 0.2 * 0.5);
}

TEST(LeastStale, LayerEvictsTheLowestLayerAndTheLeastRecentOfIt) {
    RuleFixture f("least-stale:variant=layer", {.layers = 3, .experts = 4, .topK = 1, .slots = 4});
    for (const int expert : {9, 1, 0, 4, 1})
        f.access(expert);
    EXPECT_EQ(f.access(10), 0);
    EXPECT_EQ(f.access(11), 1);
    EXPECT_EQ(f.access(8), 4);
    EXPECT_EQ(f.access(5), 9);
}

/// The derived micro-example: p(0,1) = 0.25, p(2,3) = 0.3125, p(3,0) = 0.25, p(2,0) = 0.0625. Of the two that are equal
/// but for ε, the later layer's is the lower: (1 + ε) · 0.25 against 0.25 + ε.
TEST(MoeInfinity, EvictsByThePreparedRequestAndTheLayer) {
    PreparedData prepared("fingerprint", "model");
    prepared.set("eamc", {1, 4, 4}, {6, 2, 0, 0, 0, 8, 0, 0, 1, 1, 1, 5, 8, 0, 0, 0});
    const OffloadShape shape{.layers = 4, .experts = 4, .topK = 1, .slots = 4};
    RuleFixture f("moe-infinity", shape, &prepared);
    f.route(0, 0, {0});
    const auto flat = [&](int layer, int expert) { return shape.flat({LayerIndex(layer), ExpertId(expert)}); };
    for (const int expert : {flat(0, 1), flat(2, 3), flat(3, 0), flat(2, 0)})
        f.admit(expert);
    EXPECT_NEAR(f.rule->score(flat(0, 1)), 0.25, 1e-5);
    EXPECT_NEAR(f.rule->score(flat(2, 3)), 0.3125, 1e-5);
    EXPECT_NEAR(f.rule->score(flat(3, 0)), 0.25, 1e-5);
    EXPECT_NEAR(f.rule->score(flat(2, 0)), 0.0625, 1e-5);
    EXPECT_EQ(f.admit(flat(0, 0)), flat(2, 0));
    EXPECT_EQ(f.admit(flat(1, 1)), flat(3, 0));
    EXPECT_EQ(f.admit(flat(2, 1)), flat(0, 1));
}

TEST(MoeInfinity, GoesByLayerAndRecencyUntilARequestHasBeenCollected) {
    RuleFixture f("moe-infinity", {.layers = 2, .experts = 4, .topK = 1, .slots = 3});
    f.rule->beginRequest();
    f.route(0, 0, {0, 1}, Phase::Prefill);
    f.access(0);
    f.route(0, 1, {2, 3}, Phase::Prefill);
    f.access(6);
    f.access(7);
    EXPECT_EQ(f.access(1), 6);
    // What is generated is matched with the prompt: of layer 1 experts 2 and 3, of layer 0 experts 0 and 1.
    f.route(1, 0, {0}, Phase::Decode);
    EXPECT_NEAR(f.rule->score(0), 0.5, 1e-5);
    EXPECT_NEAR(f.rule->score(7), 0.25, 1e-5);
    EXPECT_EQ(f.access(2), 7);
    EXPECT_EQ(f.access(3), 2);  // nobody of the prompt chose it
}

}  // namespace
}  // namespace expertscope
