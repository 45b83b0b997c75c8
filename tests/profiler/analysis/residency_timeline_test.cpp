// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/residency_timeline.h"

#include <gtest/gtest.h>

#include "tests/profiler/analysis/trace_fixture.h"

namespace expertscope {
namespace {

constexpr auto kAdmit = ResidencyChange::Admit;
constexpr auto kEvict = ResidencyChange::Evict;
constexpr auto kDemand = ResidencyReason::Demand;
constexpr auto kPrefetch = ResidencyReason::Prefetch;

std::vector<std::pair<int, int>> stepsOf(const TestTrace& trace, int layer, int expert) {
    ResidencyTimeline timeline(4, 4);
    timeline.update(trace.view());
    std::vector<std::pair<int, int>> steps;
    for (const ResidencyInterval& i : timeline.intervals(LayerIndex{layer}, ExpertId{expert}))
        steps.emplace_back(i.from.value(), i.to.value());
    return steps;
}
using Steps = std::vector<std::pair<int, int>>;
const int kOpen = ResidencyInterval::kOpen.value();

TEST(ResidencyTimeline, NothingRecordedMeansNothingResident) {
    ResidencyTimeline timeline(2, 2);
    EXPECT_FALSE(timeline.update(TraceView{}));
    EXPECT_FALSE(timeline.residentIn(LayerIndex{0}, ExpertId{0}, StepIndex{0}));
    EXPECT_EQ(timeline.residentCount(LayerIndex{0}, StepIndex{0}), 0);
}

TEST(ResidencyTimeline, PreloadIsThereFromTheFirstStep) {
    TestTrace trace;
    trace.residency = {change(kAdmit, ResidencyReason::Preload, -1, -1, 2, 1)};
    EXPECT_EQ(stepsOf(trace, 2, 1), (Steps{{0, kOpen}}));
}

TEST(ResidencyTimeline, ADemandLoadIsFoundFromTheNextStepOn) {
    TestTrace trace;
    trace.residency = {change(kAdmit, kDemand, 3, 2, 2, 1), change(kEvict, kDemand, 7, 2, 2, 1)};
    EXPECT_EQ(stepsOf(trace, 2, 1), (Steps{{4, 8}}));
}

TEST(ResidencyTimeline, APrefetchByAnEarlierLayerIsFoundInTheSameStep) {
    TestTrace trace;
    trace.residency = {change(kAdmit, kPrefetch, 3, 1, 2, 1), change(kEvict, kDemand, 5, 1, 2, 1)};
    EXPECT_EQ(stepsOf(trace, 2, 1), (Steps{{3, 5}}));
}

TEST(ResidencyTimeline, WhatNoLookupCouldSeeIsLeftOut) {
    TestTrace trace;
    trace.residency = {change(kAdmit, kDemand, 3, 2, 2, 1), change(kEvict, kDemand, 3, 2, 2, 1),
                       change(kAdmit, kPrefetch, 4, 0, 2, 1), change(ResidencyChange::Cancel, kDemand, 4, 1, 2, 1),
                       change(kAdmit, kDemand, 6, 2, 2, 1)};
    EXPECT_EQ(stepsOf(trace, 2, 1), (Steps{{7, kOpen}}));
}

TEST(ResidencyTimeline, CountsAllStepsOfALayerAsItCountsEachOfThem) {
    TestTrace trace;
    trace.residency = {change(kAdmit, ResidencyReason::Preload, -1, -1, 2, 0),
                       change(kAdmit, kDemand, 3, 2, 2, 1),
                       change(kAdmit, kPrefetch, 4, 1, 2, 3),
                       change(kEvict, kDemand, 5, 2, 2, 0),
                       change(kEvict, kDemand, 7, 2, 2, 1),
                       change(kAdmit, kDemand, 4, 0, 1, 1)};
    ResidencyTimeline timeline(4, 4);
    timeline.update(trace.view());
    for (int layer = 0; layer < 4; ++layer) {
        const std::vector<std::int32_t> counts = timeline.residentCounts(LayerIndex{layer}, 10);
        ASSERT_EQ(counts.size(), 10U);
        for (int step = 0; step < 10; ++step)
            EXPECT_EQ(counts[static_cast<std::size_t>(step)],
                      timeline.residentCount(LayerIndex{layer}, StepIndex{step}))
                << layer << ' ' << step;
    }
}

TEST(ResidencyTimeline, HitsLieInsideIntervalsAndMissesOutside) {
    const TestTrace trace = randomTrace(3, 8, 2, 5, 4, 5);
    ResidencyTimeline timeline(3, 8);
    timeline.update(trace.view());
    int hits = 0, misses = 0;
    for (const SelectionRecord& s : trace.selections) {
        if (!s.firstUse) continue;
        EXPECT_EQ(timeline.residentIn(s.layer, s.expert, s.step), s.outcome == Outcome::Hit)
            << "step " << s.step.value() << " layer " << s.layer.value() << " expert " << s.expert.value();
        ++(s.outcome == Outcome::Hit ? hits : misses);
    }
    EXPECT_GT(hits, 20);
    EXPECT_GT(misses, 20);
}

TEST(ResidencyTimeline, GrowingGivesTheSameIntervals) {
    const TestTrace trace = randomTrace(3, 8, 2, 5, 4, 6);
    ResidencyTimeline whole(3, 8), grown(3, 8);
    whole.update(trace.view());
    TestTrace part;
    for (const ResidencyRecord& record : trace.residency) {
        part.residency.push_back(record);
        EXPECT_TRUE(grown.update(part.view()));
    }
    for (int layer = 0; layer < 3; ++layer)
        for (int expert = 0; expert < 8; ++expert)
            EXPECT_EQ(whole.intervals(LayerIndex{layer}, ExpertId{expert}),
                      grown.intervals(LayerIndex{layer}, ExpertId{expert}));
}

}  // namespace
}  // namespace expertscope
