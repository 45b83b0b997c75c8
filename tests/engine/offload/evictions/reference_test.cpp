// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <list>
#include <random>

#include <gtest/gtest.h>

#include "tests/engine/offload/evictions/rule_fixture.h"

// ARC and SLRU against the papers' algorithms written down in the plainest way, and layers against caches of their own.

namespace expertscope {
namespace {

using List = std::list<int>;  // the most recent last

bool takeFrom(List& list, int expert) { return std::erase(list, expert) > 0; }
int takeOldest(List& list) {
    const int expert = list.front();
    list.pop_front();
    return expert;
}
bool has(const List& list, int expert) { return std::ranges::find(list, expert) != list.end(); }
double sizeOf(const List& list) { return static_cast<double>(list.size()); }

/// Figure 4 of Megiddo and Modha (2003), case by case.
struct PlainArc {
    int c;
    double p = 0;
    List t1{}, t2{}, b1{}, b2{};

    int replace(bool inB2) {
        int victim = -1;
        if (!t1.empty() && ((inB2 && sizeOf(t1) == p) || sizeOf(t1) > p)) {
            victim = takeOldest(t1);
            b1.push_back(victim);
        } else {
            victim = takeOldest(t2);
            b2.push_back(victim);
        }
        return victim;
    }
    int access(int x) {
        int victim = -1;
        if (takeFrom(t1, x) || takeFrom(t2, x)) {
            t2.push_back(x);
        } else if (has(b1, x)) {
            p = std::min<double>(c, p + std::max(sizeOf(b2) / sizeOf(b1), 1.0));
            victim = replace(false);
            takeFrom(b1, x);
            t2.push_back(x);
        } else if (has(b2, x)) {
            p = std::max(0.0, p - std::max(sizeOf(b1) / sizeOf(b2), 1.0));
            victim = replace(true);
            takeFrom(b2, x);
            t2.push_back(x);
        } else {
            const int known = static_cast<int>(t1.size() + t2.size() + b1.size() + b2.size());
            if (static_cast<int>(t1.size() + b1.size()) == c) {
                if (static_cast<int>(t1.size()) < c) {
                    takeOldest(b1);
                    victim = replace(false);
                } else {
                    victim = takeOldest(t1);
                }
            } else if (known >= c) {
                if (known == 2 * c) takeOldest(b2);
                victim = replace(false);
            }
            t1.push_back(x);
        }
        return victim;
    }
};

struct PlainSlru {
    int slots, mayProtect;
    List probation{}, kept{};

    int access(int x) {
        if (takeFrom(kept, x)) {
            kept.push_back(x);
            return -1;
        }
        if (takeFrom(probation, x)) {
            if (mayProtect == 0) {
                probation.push_back(x);
                return -1;
            }
            if (static_cast<int>(kept.size()) == mayProtect) probation.push_back(takeOldest(kept));
            kept.push_back(x);
            return -1;
        }
        int victim = -1;
        if (static_cast<int>(probation.size() + kept.size()) == slots)
            victim = probation.empty() ? takeOldest(kept) : takeOldest(probation);
        probation.push_back(x);
        return victim;
    }
};

/// Skewed, with phases in which other experts are the frequent ones, and scans.
std::vector<int> mixedTrace(int experts, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<int> trace;
    const auto any = [&] { return static_cast<int>(random() % static_cast<unsigned>(experts)); };
    for (int phase = 0; phase < 12; ++phase) {
        const int shift = any();
        for (int i = 0; i < 300; ++i)
            trace.push_back((std::min({any(), any(), any()}) + shift) % experts);
        for (int i = 0; i < experts; ++i)
            trace.push_back(i);
    }
    return trace;
}

TEST(Arc, AgreesWithThePapersAlgorithm) {
    for (const int slots : {1, 2, 3, 7, 12, 19}) {
        RuleFixture f("arc", {.layers = 1, .experts = 24, .topK = 1, .slots = slots});
        PlainArc plain{.c = slots};
        int at = 0;
        for (const int expert : mixedTrace(24, 21)) {
            ASSERT_EQ(f.access(expert), plain.access(expert)) << "access " << at << " with " << slots << " slots";
            ++at;
        }
    }
}

TEST(Slru, AgreesWithTwoPlainLists) {
    for (const int slots : {1, 2, 5, 10, 20}) {
        RuleFixture f("slru", {.layers = 1, .experts = 24, .topK = 1, .slots = slots});
        PlainSlru plain{.slots = slots, .mayProtect = slots == 1 ? 0 : slots == 2 ? 1 : slots * 4 / 5};
        int at = 0;
        for (const int expert : mixedTrace(24, 22)) {
            ASSERT_EQ(f.access(expert), plain.access(expert)) << "access " << at << " with " << slots << " slots";
            ++at;
        }
    }
}

TEST(Lru, HitsNothingOnACycleOneLongerThanTheCacheAcrossLayers) {
    RuleFixture f("lru", {.layers = 3, .experts = 4, .topK = 1, .slots = 11});
    for (int i = 0; i < 60; ++i) {
        f.access(i % 12);
        EXPECT_FALSE(f.hit);
    }
}

/// A rule with a scope of one layer does in each what it does in a cache of that layer's slots alone.
class LayerScope : public testing::TestWithParam<std::string> {};

TEST_P(LayerScope, TreatsEachLayerAsACacheOfItsOwn) {
    constexpr int kLayers = 3, kExperts = 16, kSlots = 14;  // 5, 5 and 4
    RuleFixture all(GetParam() + ":scope=layer", {.layers = kLayers, .experts = kExperts, .topK = 1, .slots = kSlots});
    std::vector<std::unique_ptr<RuleFixture>> alone;
    std::vector<std::vector<int>> traces;
    for (unsigned layer = 0; layer < kLayers; ++layer) {
        alone.push_back(std::make_unique<RuleFixture>(
            GetParam(), OffloadShape{.layers = 1, .experts = kExperts, .topK = 1, .slots = layer < 2 ? 5 : 4}));
        traces.push_back(mixedTrace(kExperts, 30 + layer));
    }
    for (std::size_t i = 0; i < traces[0].size(); ++i) {
        for (std::size_t layer = 0; layer < kLayers; ++layer) {
            const int expert = traces[layer][i], step = static_cast<int>(i / 5),
                      base = static_cast<int>(layer) * kExperts;
            all.route(step, static_cast<int>(layer), {expert});
            alone[layer]->route(step, 0, {expert});
            const int left = all.access(base + expert), leftAlone = alone[layer]->access(expert);
            ASSERT_EQ(left, leftAlone < 0 ? -1 : base + leftAlone) << "access " << i << " of layer " << layer;
        }
    }
}

// Not those that look at all layers by their formula: lfru and ema count accesses of all, moe-infinity and mixed know
// the layer.
INSTANTIATE_TEST_SUITE_P(Rules, LayerScope,
                         testing::Values("lru", "lfu", "lfu-incache", "fifo", "lifo", "slru", "arc", "least-stale"),
                         [](const auto& run) { return labelOf(run.param); });

}  // namespace
}  // namespace expertscope
