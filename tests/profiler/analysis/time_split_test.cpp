// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/time_split.h"

#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "tests/profiler/analysis/trace_fixture.h"

namespace expertscope {
namespace {

TEST(TimeSplit, NoSpansNoTime) {
    const TimeSplit split = splitTime({}, LaneId{0});
    EXPECT_EQ(split.total.count(), 0);
    EXPECT_EQ(split.transfer.count(), 0);
}

TEST(TimeSplit, HandMadeLayerHasKnownParts) {
    const std::vector<SpanRecord> spans{
        span(SpanKind::Step, 0, 100),
        span(SpanKind::Attention, 0, 20),
        span(SpanKind::Router, 20, 30),
        span(SpanKind::Predict, 24, 28),
        span(SpanKind::Experts, 30, 90),
        span(SpanKind::Wait, 40, 60),
        span(SpanKind::ExpertCompute, 60, 80, 1),  // a worker's lane
        span(SpanKind::TransferDemand, 35, 55, 100),
        span(SpanKind::TransferPrefetch, 50, 70, 100),
        span(SpanKind::TransferPreload, 0, 90, 100),
    };
    const TimeSplit split = splitTime(spans, LaneId{0});
    EXPECT_EQ(split.total.count(), 100);
    EXPECT_EQ(split.wait.count(), 20);
    EXPECT_EQ(split.compute.count(), 20 + 6 + 40);
    EXPECT_EQ(split.other.count(), 4 + 10);
    EXPECT_EQ(split.transfer.count(), 35);
    EXPECT_EQ(split.exposedTransfer.count(), 20);
    EXPECT_EQ(split.hiddenTransfer.count(), 15);
}

TEST(TimeSplit, GapsBetweenStepsAreOtherAndTheRangeIsCut) {
    const std::vector<SpanRecord> spans{span(SpanKind::Attention, 0, 10), span(SpanKind::Attention, 30, 50)};
    const TimeSplit split = splitTime(spans, LaneId{0}, Nanoseconds{5}, Nanoseconds{40});
    EXPECT_EQ(split.total.count(), 35);
    EXPECT_EQ(split.compute.count(), 15);
    EXPECT_EQ(split.other.count(), 20);
}

TEST(TimeSplit, AgreesWithAskingEveryNanosecond) {
    std::mt19937 random(17);
    const SpanKind kinds[] = {SpanKind::Step,    SpanKind::Layer, SpanKind::Attention,      SpanKind::Router,
                              SpanKind::Experts, SpanKind::Wait,  SpanKind::Predict,        SpanKind::ExpertCompute,
                              SpanKind::Head,    SpanKind::Wait,  SpanKind::TransferDemand, SpanKind::TransferPrefetch};
    for (int round = 0; round < 50; ++round) {
        std::vector<SpanRecord> spans;
        for (int i = 0; i < 25; ++i) {
            const SpanKind kind = kinds[random() % std::size(kinds)];
            const bool transfer = kind == SpanKind::TransferDemand || kind == SpanKind::TransferPrefetch;
            const int start = static_cast<int>(random() % 400), length = static_cast<int>(random() % 30);
            spans.push_back(span(kind, start, start + length, transfer ? 100 : static_cast<int>(random() % 8 == 0)));
        }
        const int from = 50, to = 380;
        std::int64_t first = std::numeric_limits<std::int64_t>::max(), last = -1;
        std::int64_t wait = 0, compute = 0, transfer = 0, exposed = 0;
        for (int at = from; at < to; ++at) {
            bool isWait = false, isPredict = false, isCompute = false, isTransfer = false, isAny = false;
            for (const SpanRecord& s : spans) {
                if (at < s.start.count() || at >= s.end.count()) continue;
                if (s.lane.value() == 100) isTransfer = true;
                if (s.lane.value() != 0) continue;
                isAny = true;
                if (s.kind == SpanKind::Wait)
                    isWait = true;
                else if (s.kind == SpanKind::Predict)
                    isPredict = true;
                else if (s.kind != SpanKind::Step && s.kind != SpanKind::Layer)
                    isCompute = true;
            }
            if (isAny) {
                first = std::min<std::int64_t>(first, at);
                last = at;
            }
            wait += isWait;
            compute += isCompute && !isWait && !isPredict;
            transfer += isTransfer;
            exposed += isTransfer && isWait;
        }
        const TimeSplit split = splitTime(spans, LaneId{0}, Nanoseconds{from}, Nanoseconds{to});
        EXPECT_EQ(split.total.count(), last - first + 1);
        EXPECT_EQ(split.wait.count(), wait);
        EXPECT_EQ(split.compute.count(), compute);
        EXPECT_EQ(split.other.count(), split.total.count() - wait - compute);
        EXPECT_EQ(split.transfer.count(), transfer);
        EXPECT_EQ(split.exposedTransfer.count(), exposed);
        EXPECT_EQ(split.hiddenTransfer.count(), transfer - exposed);
    }
}

TEST(TokenRates, FirstTokenOfARequestHasNoRate) {
    const std::vector<TokenRecord> tokens{token(0, 0, Phase::Prefill, 0, 0),
                                          token(1, 0, Phase::Decode, 0, 1'000'000'000),
                                          token(2, 0, Phase::Decode, 1, 1'500'000'000),
                                          token(3, 0, Phase::Decode, 2, 1'600'000'000),
                                          token(4, 1, Phase::Prefill, 3, 1'600'000'000),
                                          token(5, 1, Phase::Decode, 3, 2'000'000'000),
                                          token(6, 1, Phase::Decode, 4, 2'000'000'000)};
    const auto rates = tokenRates(tokens);
    ASSERT_EQ(rates.size(), 5U);
    EXPECT_TRUE(std::isnan(rates[0].tokensPerSecond));
    EXPECT_DOUBLE_EQ(rates[1].tokensPerSecond, 2.0);
    EXPECT_DOUBLE_EQ(rates[2].tokensPerSecond, 10.0);
    EXPECT_TRUE(std::isnan(rates[3].tokensPerSecond)) << "another request has begun";
    EXPECT_TRUE(std::isnan(rates[4].tokensPerSecond)) << "no time has passed";
    EXPECT_EQ(rates[2].token, TokenIndex{3});
}

TEST(TokenRates, AWindowAveragesOverItsTokens) {
    std::vector<TokenRecord> tokens;
    for (int i = 0; i < 10; ++i)
        tokens.push_back(token(i, 0, Phase::Decode, i, i * i * 1'000'000LL));
    const auto rates = tokenRates(tokens, 4);
    EXPECT_DOUBLE_EQ(rates[9].tokensPerSecond, 4.0 / ((81 - 25) * 1e-3));
    EXPECT_DOUBLE_EQ(rates[2].tokensPerSecond, 2.0 / (4 * 1e-3));
    EXPECT_TRUE(tokenRates({}).empty());
}

}  // namespace
}  // namespace expertscope
