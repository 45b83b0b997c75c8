// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/reuse.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/profiler/analysis/trace_fixture.h"

namespace expertscope {
namespace {

TestTrace oneLayer(const std::vector<std::vector<int>>& sets) {
    TestTrace trace;
    for (std::size_t t = 0; t < sets.size(); ++t)
        for (std::size_t slot = 0; slot < sets[t].size(); ++slot)
            trace.selections.push_back(
                selection(static_cast<int>(t), static_cast<int>(t), 0, static_cast<int>(slot), sets[t][slot]));
    return trace;
}

TEST(Reuse, EmptyAndSingleTokenHaveNoData) {
    ReuseCounter counter(1, 4, 2);
    counter.update(TraceView{});
    EXPECT_TRUE(std::isnan(counter.repeatRate(LayerIndex{0})));
    EXPECT_TRUE(std::isnan(counter.medianDistance(LayerIndex{0}, ExpertId{0})));
    const TestTrace trace = oneLayer({{0, 1}});
    counter.update(trace.view());
    EXPECT_TRUE(std::isnan(counter.repeatRate(LayerIndex{0})));
    EXPECT_TRUE(std::isnan(counter.medianDistance(LayerIndex{0}, ExpertId{0})));
}

TEST(Reuse, HandMadeRunHasKnownDistancesAndRates) {
    // Expert 0 at tokens 0 1 3 6: distances 1 2 3; expert 1 at 0 4: 4; expert 3 once.
    const TestTrace trace = oneLayer({{0, 1}, {0, 2}, {2, 3}, {0, 2}, {1, 2}, {4, 5}, {0, 4}});
    ReuseCounter counter(1, 6, 2);
    counter.update(trace.view());
    EXPECT_DOUBLE_EQ(counter.medianDistance(LayerIndex{0}, ExpertId{0}), 2.0);
    EXPECT_DOUBLE_EQ(counter.medianDistance(LayerIndex{0}, ExpertId{1}), 4.0);
    EXPECT_TRUE(std::isnan(counter.medianDistance(LayerIndex{0}, ExpertId{3})));
    // Shared between neighbours: 1 1 1 1 0 1 of 2 each.
    EXPECT_DOUBLE_EQ(counter.repeatRate(LayerIndex{0}), 5.0 / 12.0);
    EXPECT_EQ(counter.pairs(LayerIndex{0}, 0), 6);
    // Two apart: {01}{23}=0 {02}{02}=2 {23}{12}=1 {02}{45}=0 {12}{04}=0.
    EXPECT_DOUBLE_EQ(counter.overlap(LayerIndex{0}, 1), 3.0 / 10.0);
    EXPECT_TRUE(std::isnan(counter.overlap(LayerIndex{0}, 3)));
    EXPECT_DOUBLE_EQ(counter.randomOverlap(), 2.0 / 6.0);
}

TEST(Reuse, MedianOfAnEvenNumberOfDistancesIsTheMeanOfTheMiddleTwo) {
    const TestTrace trace = oneLayer({{0}, {0}, {1}, {1}, {0}});  // expert 0: 1, 3
    ReuseCounter counter(1, 2, 1);
    counter.update(trace.view());
    EXPECT_DOUBLE_EQ(counter.medianDistance(LayerIndex{0}, ExpertId{0}), 2.0);
}

TEST(Reuse, NoPairCrossesARequestButDistancesDo) {
    TestTrace trace = oneLayer({{0}, {0}, {0}, {0}});
    trace.requests.resize(2);
    trace.requests[1].firstToken = TokenIndex{2};
    ReuseCounter counter(1, 2, 1);
    counter.update(trace.view());
    EXPECT_EQ(counter.pairs(LayerIndex{0}, 0), 2);
    EXPECT_EQ(counter.pairs(LayerIndex{0}, 1), 0);
    EXPECT_EQ(counter.distances(LayerIndex{0}, ExpertId{0}), 3);
}

TEST(Reuse, TokensWithMissingSelectionsCountInNoPair) {
    TestTrace trace = oneLayer({{0, 1}, {0, 1}, {0, 1}});
    trace.selections.pop_back();
    ReuseCounter counter(1, 4, 2);
    counter.update(trace.view());
    EXPECT_EQ(counter.pairs(LayerIndex{0}, 0), 1);
}

TEST(Reuse, AgreesWithIntersectingEveryPairWhetherReadAtOnceOrInPieces) {
    const int layers = 2, experts = 12, k = 3;
    const TestTrace trace = randomTrace(layers, experts, k, 4, 5, 11);
    ReuseCounter whole(layers, experts, k), grown(layers, experts, k);
    whole.update(trace.view());
    TestTrace part;
    part.requests = trace.requests;
    for (const SelectionRecord& s : trace.selections) {
        part.selections.push_back(s);
        grown.update(part.view());
    }
    for (int layer = 0; layer < layers; ++layer) {
        std::map<int, std::set<int>> sets;
        std::map<int, std::vector<int>> uses;
        for (const SelectionRecord& s : trace.selections) {
            if (s.layer.value() != layer) continue;
            sets[s.token.value()].insert(s.expert.value());
            uses[s.expert.value()].push_back(s.token.value());
        }
        for (std::size_t lag = 0; lag < ReuseCounter::kLags.size(); ++lag) {
            double sum = 0;
            int pairs = 0;
            for (const auto& [t, set] : sets) {
                const int later = t + ReuseCounter::kLags[lag];
                if (!sets.contains(later) || trace.tokens[static_cast<std::size_t>(t)].request !=
                                                 trace.tokens[static_cast<std::size_t>(later)].request)
                    continue;
                for (const int e : set)
                    sum += sets[later].contains(e);
                ++pairs;
            }
            ASSERT_GT(pairs, 0);
            EXPECT_EQ(whole.pairs(LayerIndex{layer}, lag), pairs);
            EXPECT_DOUBLE_EQ(whole.overlap(LayerIndex{layer}, lag), sum / (pairs * k));
            EXPECT_DOUBLE_EQ(grown.overlap(LayerIndex{layer}, lag), sum / (pairs * k));
        }
        for (auto& [expert, at] : uses) {
            std::vector<double> distances;
            for (std::size_t i = 1; i < at.size(); ++i)
                distances.push_back(at[i] - at[i - 1]);
            std::sort(distances.begin(), distances.end());
            const std::size_t n = distances.size();
            ASSERT_GT(n, 0U);
            const double median = (distances[(n - 1) / 2] + distances[n / 2]) / 2;
            EXPECT_DOUBLE_EQ(whole.medianDistance(LayerIndex{layer}, ExpertId{expert}), median);
            EXPECT_DOUBLE_EQ(grown.medianDistance(LayerIndex{layer}, ExpertId{expert}), median);
        }
    }
}

TEST(Reuse, RandomBaselineIsWhatRandomRoutingShows) {
    const int experts = 16, k = 4;
    const TestTrace trace = randomTrace(1, experts, k, 400, experts, 3);
    ReuseCounter counter(1, experts, k);
    counter.update(trace.view());
    // About 6000 pairs, each share with a standard deviation near 0.19: 0.01 is four standard errors.
    for (std::size_t lag = 0; lag < ReuseCounter::kLags.size(); ++lag)
        EXPECT_NEAR(counter.overlap(LayerIndex{0}, lag), counter.randomOverlap(), 0.01);
}

TEST(Reuse, RealRoutingTraceHasItsPublishedOverlaps) {
    const char* data = std::getenv("EXPERTSCOPE_TEST_DATA");
    if (data == nullptr) GTEST_SKIP() << "EXPERTSCOPE_TEST_DATA is not set: no real routing trace to compare with.";
    std::ifstream file(std::string(data) + "/routes/qwen3-30b-a3b.route.csv");
    if (!file) GTEST_SKIP() << "There is no routes/qwen3-30b-a3b.route.csv in the test data.";
    TestTrace trace;
    int tokens = 0;
    for (std::string line; std::getline(file, line);) {
        if (line.empty() || line[0] == '#' || line[0] == 't') continue;
        std::istringstream fields(line);
        int turn = 0, phase = 0, position = 0, layer = 0, slot = 0, expert = 0;
        char comma = 0;
        fields >> turn >> comma >> phase >> comma >> position >> comma >> layer >> comma >> slot >> comma >> expert;
        ASSERT_TRUE(fields) << line;
        trace.selections.push_back(selection(position, position, layer, slot, expert));
        for (; tokens <= position; ++tokens)
            trace.tokens.push_back(token(tokens, turn, phase == 0 ? Phase::Prefill : Phase::Decode));
    }
    ASSERT_EQ(trace.selections.size(), 44766U);
    SelectionFilter decode;
    decode.phase = Phase::Decode;
    ReuseCounter counter(48, 128, 6, decode);
    counter.update(trace.view());
    // Per cent, mean over the layers, computed by another program.
    const std::array<double, 4> expected{37.95, 28.93, 27.69, 26.68};
    for (std::size_t lag = 0; lag < expected.size(); ++lag) {
        double sum = 0;
        for (int layer = 0; layer < 48; ++layer)
            sum += counter.overlap(LayerIndex{layer}, lag);
        EXPECT_NEAR(100 * sum / 48, expected[lag], 0.006) << "lag " << ReuseCounter::kLags[lag];
    }
}

}  // namespace
}  // namespace expertscope
