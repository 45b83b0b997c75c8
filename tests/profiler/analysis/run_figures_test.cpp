// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/run_figures.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace expertscope {
namespace {

using testing::HasSubstr;

RunFigures runOf(const char* policy, std::vector<double> speeds) {
    RunFigures run;
    run.description.policy = policy;
    run.description.eviction = "lru";
    run.description.budget = Bytes(1 << 20);
    for (std::size_t i = 0; i < speeds.size(); ++i)
        run.requests.push_back({RequestIndex(static_cast<std::int32_t>(i)), speeds[i]});
    return run;
}

TEST(MeanOf, GivesStudentsInterval) {
    // mean ± t(0.975; 4) · s / √5, worked by hand with t = 2.776445
    const Estimate mean = meanOf({5.1, 4.9, 5.6, 5.2, 4.8});
    EXPECT_NEAR(mean.value, 5.12, 1e-12);
    EXPECT_NEAR(mean.low, 4.733286, 1e-4);
    EXPECT_NEAR(mean.high, 5.506714, 1e-4);
    EXPECT_EQ(mean.samples, 5);
}

TEST(MeanOf, HasNoIntervalForOneSampleAndNothingForNone) {
    EXPECT_EQ(meanOf({3}).value, 3);
    EXPECT_TRUE(std::isnan(meanOf({3}).low));
    EXPECT_TRUE(std::isnan(meanOf({}).value));
}

TEST(SpeedRatio, PairsRequestsSoThatTheirOwnDifferencesCancelOut) {
    // Every request is 1.5 times as fast, though the requests themselves differ tenfold.
    const Estimate ratio = speedRatio(runOf("on-demand", {10, 100, 40}), runOf("pre-gated", {15, 150, 60}));
    EXPECT_NEAR(ratio.value, 1.5, 1e-12);
    EXPECT_NEAR(ratio.low, 1.5, 1e-9);
    EXPECT_NEAR(ratio.high, 1.5, 1e-9);
}

TEST(SpeedRatio, LeavesOutRequestsThatOneRunDidNotMake) {
    EXPECT_EQ(speedRatio(runOf("a", {10, 20, 30}), runOf("b", {20, 40})).samples, 2);
}

TEST(Verdict, NamesTheFasterWithItsInterval) {
    EXPECT_THAT(verdict(runOf("on-demand", {10, 11, 10, 9}), runOf("pre-gated", {13, 14.5, 13.2, 11.6})),
                testing::AllOf(HasSubstr("decodes 1.31 times as fast as on-demand"), HasSubstr("over 4 requests")));
}

TEST(Verdict, SaysWhenTheRunsCannotBeToldApart) {
    EXPECT_THAT(verdict(runOf("on-demand", {10, 12, 9, 11}), runOf("moe-infinity", {11, 10, 10, 11.5})),
                HasSubstr("cannot be told apart"));
    EXPECT_THAT(verdict(runOf("on-demand", {10}), runOf("pre-gated", {20})), HasSubstr("the one request"));
    EXPECT_THAT(verdict(runOf("on-demand", {}), runOf("pre-gated", {20})), HasSubstr("no request in common"));
}

TEST(TokenQuantile, IsTheNearestRank) {
    RunFigures run;
    run.tokenMs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    EXPECT_EQ(run.tokenQuantile(0.5), 5);
    EXPECT_EQ(run.tokenQuantile(0.9), 9);
    EXPECT_EQ(run.tokenQuantile(1), 10);
    EXPECT_TRUE(std::isnan(RunFigures{}.tokenQuantile(0.5)));
}

}  // namespace
}  // namespace expertscope
