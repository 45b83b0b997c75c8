// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/residency.h"

#include <map>
#include <random>

#include <gtest/gtest.h>

#include "engine/offload/policy_registry.h"
#include "tests/engine/offload/expert_ref.h"

namespace expertscope {
namespace {

using test::ref;

struct ResidencyFixture {
    explicit ResidencyFixture(const char* eviction,
                              OffloadShape wanted = {.layers = 1, .experts = 8, .topK = 1, .slots = 3})
        : shape(wanted), context{.shape = wanted}, rule(makeEviction(eviction)), residency(context, {}, *rule) {}
    /// Admits the expert if it is absent, and uses it; gives who left, −1 for nobody.
    int access(int expert) {
        int left = -1;
        if (!residency.present(ref(0, expert))) {
            const auto reservation = residency.reserve(ref(0, expert), true);
            if (reservation->victim) left = reservation->victim->expert.value();
        }
        residency.use(ref(0, expert), true);
        return left;
    }
    OffloadShape shape;
    OffloadContext context;
    std::unique_ptr<EvictionRule> rule;
    Residency residency;
};

TEST(Residency, FillsFreeSlotsBeforeItEvicts) {
    ResidencyFixture f("lru");
    EXPECT_EQ(f.access(5), -1);
    EXPECT_EQ(f.access(6), -1);
    EXPECT_EQ(f.access(7), -1);
    EXPECT_EQ(f.residency.occupied(), 3);
    EXPECT_EQ(f.access(1), 5);
    EXPECT_EQ(f.residency.occupied(), 3);
}

TEST(Lru, EvictsWhoseUseLiesFurthestBack) {
    ResidencyFixture f("lru");
    for (const int expert : {0, 1, 2, 0})
        f.access(expert);
    EXPECT_EQ(f.access(3), 1);
    EXPECT_EQ(f.access(4), 2);
    EXPECT_EQ(f.access(5), 0);
}

TEST(Lru, HitsNothingOnACycleOneLongerThanTheCache) {
    ResidencyFixture f("lru");
    int hits = 0;
    for (int i = 0; i < 40; ++i) {
        hits += f.residency.present(ref(0, i % 4)) ? 1 : 0;
        f.access(i % 4);
    }
    EXPECT_EQ(hits, 0);
}

TEST(Lfu, CountsUsesSinceTheStartAndBreaksTiesByRecency) {
    ResidencyFixture f("lfu");
    for (const int expert : {0, 0, 1, 1, 2})
        f.access(expert);
    EXPECT_EQ(f.access(3), 2);  // one use against two
    EXPECT_EQ(f.access(4), 3);  // 3 and … one use each: only 3 has one
    EXPECT_EQ(f.access(3), 4);  // 3 comes back with its old use: now two
    EXPECT_EQ(f.access(5), 0);  // 0, 1 and 3 have two each: 0 lies furthest back
}

TEST(Residency, NeverTakesANeededSlotAndAnExpectedOneOnlyForADemand) {
    ResidencyFixture f("lru");
    for (const int expert : {0, 1, 2})
        f.access(expert);
    f.residency.setGuard(ref(0, 0), Residency::Guard::Needed);
    f.residency.setGuard(ref(0, 1), Residency::Guard::Needed);
    f.residency.setGuard(ref(0, 2), Residency::Guard::Expected);
    EXPECT_FALSE(f.residency.reserve(ref(0, 3), false));
    const auto demanded = f.residency.reserve(ref(0, 3), true);
    ASSERT_TRUE(demanded);
    EXPECT_EQ(demanded->victim, ref(0, 2));
    f.residency.setGuard(ref(0, 3), Residency::Guard::Needed);
    EXPECT_FALSE(f.residency.reserve(ref(0, 4), true));
}

/// Against a cache written in the plainest way: a list in order of use.
TEST(Lru, AgreesWithAPlainListOnRandomAccesses) {
    std::mt19937 random(7);
    for (const int slots : {1, 2, 5, 13}) {
        ResidencyFixture f("lru", {.layers = 1, .experts = 20, .topK = 1, .slots = slots});
        std::vector<int> list;  // most recent last
        for (int i = 0; i < 2000; ++i) {
            const int expert = static_cast<int>(random() % 20);
            int expected = -1;
            if (std::erase(list, expert) == 0 && static_cast<int>(list.size()) == slots) {
                expected = list.front();
                list.erase(list.begin());
            }
            list.push_back(expert);
            ASSERT_EQ(f.access(expert), expected) << "access " << i << " of " << slots << " slots";
        }
    }
}

TEST(Lfu, AgreesWithAPlainTableOnRandomAccesses) {
    std::mt19937 random(8);
    ResidencyFixture f("lfu", {.layers = 1, .experts = 20, .topK = 1, .slots = 6});
    std::map<int, std::pair<int, int>> resident;  // expert → uses, last use
    std::map<int, int> uses;
    for (int i = 0; i < 2000; ++i) {
        const int expert = std::min(static_cast<int>(random() % 20), static_cast<int>(random() % 20));
        int expected = -1;
        if (!resident.contains(expert) && resident.size() == 6) {
            auto victim = resident.begin();
            for (auto at = resident.begin(); at != resident.end(); ++at)
                if (at->second < victim->second) victim = at;
            expected = victim->first;
            resident.erase(victim);
        }
        resident[expert] = {++uses[expert], i};
        ASSERT_EQ(f.access(expert), expected) << "access " << i;
    }
}

}  // namespace
}  // namespace expertscope
