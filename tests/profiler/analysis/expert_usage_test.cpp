// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/expert_usage.h"

#include <cmath>
#include <functional>
#include <limits>

#include <gmock/gmock.h>

#include "tests/profiler/analysis/trace_fixture.h"

namespace expertscope {
namespace {

using ::testing::HasSubstr;

const ExpertUsage& cell(const ExpertUsageCounter& counter, int layer, int expert) {
    return counter.at(LayerIndex{layer}, ExpertId{expert});
}

TEST(ExpertUsage, EmptyTraceGivesNoDataAndSaysSo) {
    ExpertUsageCounter counter(2, 4);
    EXPECT_FALSE(counter.update(TraceView{}));
    EXPECT_EQ(cell(counter, 1, 3).selections, 0);
    EXPECT_TRUE(std::isnan(cell(counter, 1, 3).meanWeight()));
    EXPECT_TRUE(std::isnan(cell(counter, 1, 3).meanNorm()));
    EXPECT_TRUE(std::isnan(cell(counter, 1, 3).hitRate()));
    EXPECT_TRUE(std::isnan(cell(counter, 1, 3).usesPerLoad()));
    EXPECT_TRUE(std::isnan(counter.share(LayerIndex{0}, ExpertId{0})));
    EXPECT_EQ(counter.counted(), "No selections are recorded yet.");
}

TEST(ExpertUsage, CountsAHandMadeStep) {
    TestTrace trace;
    trace.tokens = {token(0, 0, Phase::Prefill), token(1, 0, Phase::Prefill)};
    trace.selections = {selection(0, 0, 0, 0, 2, 0.75F, Outcome::Miss, true, 4.0F),
                        selection(0, 0, 0, 1, 1, 0.25F, Outcome::Miss, true, 2.0F),
                        selection(0, 1, 0, 0, 2, 0.5F, Outcome::Miss, false, 6.0F),
                        selection(0, 1, 0, 1, 3, 0.5F, Outcome::Hit, true, 1.0F)};
    trace.residency = {change(ResidencyChange::Admit, ResidencyReason::Preload, -1, -1, 0, 3),
                       change(ResidencyChange::Admit, ResidencyReason::Demand, 0, 0, 0, 2),
                       change(ResidencyChange::Admit, ResidencyReason::Demand, 0, 0, 0, 1)};
    ExpertUsageCounter counter(1, 4);
    EXPECT_TRUE(counter.update(trace.view()));
    const ExpertUsage& two = cell(counter, 0, 2);
    EXPECT_EQ(two.selections, 2);
    EXPECT_EQ(two.accesses, 1);
    EXPECT_EQ(two.misses, 1);
    EXPECT_EQ(two.loads, 1);
    EXPECT_DOUBLE_EQ(two.meanWeight(), 0.625);
    EXPECT_DOUBLE_EQ(two.meanNorm(), 5.0);
    EXPECT_DOUBLE_EQ(two.hitRate(), 0.0);
    EXPECT_DOUBLE_EQ(two.usesPerLoad(), 1.0);
    EXPECT_DOUBLE_EQ(counter.share(LayerIndex{0}, ExpertId{2}), 0.5);
    EXPECT_DOUBLE_EQ(cell(counter, 0, 3).hitRate(), 1.0);
    EXPECT_EQ(cell(counter, 0, 3).loads, 0) << "a preload is not a load of the run";
    EXPECT_TRUE(std::isnan(cell(counter, 0, 3).usesPerLoad()));
    EXPECT_EQ(counter.counted(),
              "2 tokens (2 prompt, 0 generated), 4 assignments; shares are of a layer's assignments and sum to 100 %.");
}

TEST(ExpertUsage, NormsThatAreNotRecordedLeaveTheMeanAlone) {
    TestTrace trace;
    const float none = std::numeric_limits<float>::quiet_NaN();
    trace.selections = {selection(0, 0, 0, 0, 0, 1, Outcome::Hit, true, none),
                        selection(1, 1, 0, 0, 0, 1, Outcome::Hit, true, 3.0F),
                        selection(2, 2, 0, 0, 1, 1, Outcome::Hit, true, none)};
    ExpertUsageCounter counter(1, 2);
    counter.update(trace.view());
    EXPECT_DOUBLE_EQ(cell(counter, 0, 0).meanNorm(), 3.0);
    EXPECT_TRUE(std::isnan(cell(counter, 0, 1).meanNorm()));
}

/// Every number of one cell by scanning everything, as the class comment's plain equivalent says.
ExpertUsage scan(const TestTrace& trace, int layer, int expert,
                 const std::function<bool(const SelectionRecord&)>& take) {
    ExpertUsage usage;
    std::set<int> steps;
    for (const SelectionRecord& s : trace.selections)
        if (s.layer.value() == layer && take(s)) steps.insert(s.step.value());
    for (const SelectionRecord& s : trace.selections) {
        if (s.layer.value() != layer || s.expert.value() != expert) continue;
        if (s.firstUse && steps.contains(s.step.value())) ++usage.loadAccesses;
        if (!take(s)) continue;
        ++usage.selections;
        usage.weightSum += static_cast<double>(s.weight);
        usage.normSum += static_cast<double>(s.norm);
        ++usage.normCount;
        if (!s.firstUse) continue;
        ++usage.accesses;
        usage.hits += s.outcome == Outcome::Hit;
        usage.inFlight += s.outcome == Outcome::InFlight;
        usage.misses += s.outcome == Outcome::Miss;
    }
    for (const ResidencyRecord& r : trace.residency)
        if (r.change == ResidencyChange::Admit && r.subject.layer.value() == layer &&
            r.subject.expert.value() == expert && steps.contains(r.step.value()))
            ++usage.loads;
    return usage;
}

void expectSame(const ExpertUsage& a, const ExpertUsage& b) {
    EXPECT_EQ(a.selections, b.selections);
    EXPECT_EQ(a.accesses, b.accesses);
    EXPECT_EQ(a.hits, b.hits);
    EXPECT_EQ(a.inFlight, b.inFlight);
    EXPECT_EQ(a.misses, b.misses);
    EXPECT_EQ(a.loads, b.loads);
    EXPECT_EQ(a.loadAccesses, b.loadAccesses);
    EXPECT_EQ(a.normCount, b.normCount);
    EXPECT_NEAR(a.weightSum, b.weightSum, 1e-9);
    EXPECT_NEAR(a.normSum, b.normSum, 1e-9);
}

struct FilterCase {
    const char* name;
    SelectionFilter filter;
    std::function<bool(const TestTrace&, const SelectionRecord&)> take;
};

SelectionFilter tokens(int from, int to) {
    SelectionFilter filter;
    filter.fromToken = TokenIndex{from};
    filter.toToken = TokenIndex{to};
    return filter;
}
SelectionFilter times(std::int64_t from, std::int64_t to) {
    SelectionFilter filter;
    filter.fromTime = Nanoseconds{from};
    filter.toTime = Nanoseconds{to};
    return filter;
}
SelectionFilter phase(Phase phase) {
    SelectionFilter filter;
    filter.phase = phase;
    return filter;
}

class ExpertUsageFilters : public ::testing::TestWithParam<FilterCase> {};

TEST_P(ExpertUsageFilters, AgreeWithAScanOfAllRecordsWhetherReadAtOnceOrInPieces) {
    const TestTrace trace = randomTrace(3, 8, 2, 3, 4, 7);
    ExpertUsageCounter whole(3, 8, GetParam().filter), grown(3, 8, GetParam().filter);
    whole.update(trace.view());
    TestTrace part;
    part.requests = trace.requests;
    // Each kind of record arrives at its own pace, as from several rings.
    for (std::size_t i = 1; i <= 50; ++i) {
        part.selections.assign(trace.selections.begin(), trace.selections.begin() + trace.selections.size() * i / 50);
        part.residency.assign(trace.residency.begin(), trace.residency.begin() + trace.residency.size() * i * i / 2500);
        part.tokens.assign(trace.tokens.begin(), trace.tokens.begin() + trace.tokens.size() * i * i / 2500);
        part.spans.assign(trace.spans.begin(), trace.spans.begin() + trace.spans.size() * i * i / 2500);
        grown.update(part.view());
    }
    std::int64_t selections = 0;
    for (int layer = 0; layer < 3; ++layer) {
        for (int expert = 0; expert < 8; ++expert) {
            const ExpertUsage expected =
                scan(trace, layer, expert, [&](const SelectionRecord& s) { return GetParam().take(trace, s); });
            expectSame(cell(whole, layer, expert), expected);
            expectSame(cell(grown, layer, expert), expected);
            selections += expected.selections;
        }
    }
    ASSERT_GT(selections, 0);
    EXPECT_EQ(whole.countedSelections(), selections);
    EXPECT_EQ(whole.counted(), grown.counted());
    EXPECT_EQ(whole.unplacedSelections(), 0);
}

INSTANTIATE_TEST_SUITE_P(
    All, ExpertUsageFilters,
    ::testing::Values(FilterCase{"Everything", {}, [](const TestTrace&, const SelectionRecord&) { return true; }},
                      FilterCase{"TokenRangeInsideAPrefill", tokens(2, 9),
                                 [](const TestTrace&, const SelectionRecord& s) {
                                     return s.token.value() >= 2 && s.token.value() < 9;
                                 }},
                      FilterCase{"TimeRangeInsideAStep", times(450, 1270),
                                 [](const TestTrace&, const SelectionRecord& s) {
                                     const int start = (s.step.value() * 3 + s.layer.value()) * 100;
                                     return start < 1270 && start + 100 > 450;
                                 }},
                      FilterCase{"Prefill", phase(Phase::Prefill),
                                 [](const TestTrace& all, const SelectionRecord& s) {
                                     return all.tokens[s.token.index()].phase == Phase::Prefill;
                                 }},
                      FilterCase{"Decode", phase(Phase::Decode),
                                 [](const TestTrace& all, const SelectionRecord& s) {
                                     return all.tokens[s.token.index()].phase == Phase::Decode;
                                 }}),
    [](const auto& made) { return made.param.name; });

TEST(ExpertUsage, SelectionsWaitForWhatDecidesThem) {
    TestTrace trace;
    trace.selections = {selection(0, 0, 0, 0, 1)};
    ExpertUsageCounter counter(1, 2, phase(Phase::Decode));
    counter.update(trace.view());
    EXPECT_EQ(counter.seenSelections(), 0);
    trace.tokens = {token(0, 0, Phase::Decode)};
    counter.update(trace.view());
    EXPECT_EQ(cell(counter, 0, 1).selections, 1);
}

TEST(ExpertUsage, SelectionsWhoseSpanWasLostAreLeftOutAndSaidSo) {
    TestTrace trace;
    trace.selections = {selection(0, 0, 0, 0, 1), selection(1, 1, 0, 0, 1)};
    trace.spans = {span(SpanKind::Layer, 100, 200, 0, 1, 0)};
    ExpertUsageCounter counter(1, 2, times(0, 1000));
    counter.update(trace.view());
    EXPECT_EQ(cell(counter, 0, 1).selections, 1);
    EXPECT_EQ(counter.unplacedSelections(), 1);
    EXPECT_THAT(counter.counted(), HasSubstr("1 selections could not be placed"));
}

TEST(ExpertUsage, RecordsThatNameNoExpertOfTheModelAreNotCounted) {
    TestTrace trace;
    trace.selections = {selection(0, 0, 5, 0, 1), selection(0, 0, 0, 0, 9), selection(0, 0, 0, 0, -1)};
    ExpertUsageCounter counter(1, 2);
    counter.update(trace.view());
    EXPECT_EQ(counter.countedSelections(), 0);
    EXPECT_EQ(counter.unplacedSelections(), 3);
}

}  // namespace
}  // namespace expertscope
