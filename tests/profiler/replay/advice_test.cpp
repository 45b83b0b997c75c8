// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/advice.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "tests/profiler/replay/replay_fixture.h"

namespace expertscope {
namespace {

using testing::HasSubstr;

/// A run of 3 layers × 8 experts whose layers take 200 µs, an expert 10 µs, and an expert's transfer 100 µs.
ReplayBench benchOf(bool withTimes = true) {
    MadeUpTrace made;
    made.sizes = {100'000};
    RecordedRun run;
    run.trace = made.build();
    run.entry.description.model = run.trace.model();
    run.entry.description.policy = "on-demand";
    run.entry.description.eviction = "lru";
    run.entry.description.budget = Bytes(600'000);
    run.entry.description.slots = 6;
    run.entry.description.link = "1GB/s@0us";
    if (withTimes) {
        ComputeTimes times;
        times.before.assign(run.trace.groups().size(), 200'000);
        times.after.assign(run.trace.groups().size(), 0);
        times.expert.assign(run.trace.accesses().size(), 10'000.0F);
        times.tail.assign(run.trace.steps().size(), 50'000);
        times.transfer = 100'000;
        run.times = times;
    }
    return ReplayBench(std::move(run));
}

const PassedOver* find(const Advice& advice, const std::string& policy) {
    const auto found = std::ranges::find(advice.passedOver, policy, &PassedOver::policy);
    return found == advice.passedOver.end() ? nullptr : &*found;
}

TEST(Advise, PutsTheFastestReplayFirst) {
    const ReplayBench bench = benchOf();
    const Advice advice = advise(bench, {.budget = Bytes(1'200'000)}, 2);
    ASSERT_FALSE(advice.choices.empty());
    for (const AdvisedChoice& choice : advice.choices) {
        EXPECT_GE(advice.choices.front().replay.decodeTokensPerSecond, choice.replay.decodeTokensPerSecond * 0.99);
        EXPECT_LE(choice.replay.what.budget, Bytes(1'200'000));
        EXPECT_LT(choice.low, choice.replay.decodeTokensPerSecond);
        EXPECT_GT(choice.high, choice.replay.decodeTokensPerSecond);
        EXPECT_LE(choice.replay.decodeTokensPerSecond, advice.bound.rooflineTokensPerSecond * 1.001);
    }
}

TEST(Advise, KeepsEverythingResidentWhereItFits) {
    const ReplayBench bench = benchOf();
    const Advice advice = advise(bench, {.budget = Bytes(5'000'000)}, 2);
    const AdvisedChoice& best = advice.choices.front();
    const auto resident = std::ranges::find_if(
        advice.choices, [](const AdvisedChoice& choice) { return choice.replay.what.policy == "resident"; });
    ASSERT_NE(resident, advice.choices.end());
    EXPECT_GE(resident->replay.decodeTokensPerSecond, best.replay.decodeTokensPerSecond * 0.99);
    EXPECT_EQ(find(advise(bench, {.budget = Bytes(1'200'000)}, 2), "resident")->reason, "the experts do not all fit");
}

TEST(Advise, ConsidersAnApproximatePolicyOnlyWhereItsFidelityIsKnownAndGood) {
    const ReplayBench bench = benchOf();
    AdviceQuestion question{.budget = Bytes(1'200'000)};
    const Advice unknown = advise(bench, question, 2);
    ASSERT_NE(find(unknown, "route-ahead"), nullptr);
    EXPECT_THAT(find(unknown, "route-ahead")->reason, HasSubstr("not measured"));
    question.fidelity["route-ahead"] = {.perplexity = 12, .residentPerplexity = 10};
    EXPECT_THAT(find(advise(bench, question, 2), "route-ahead")->reason, HasSubstr("rises by 20.0 %"));
}

TEST(Advise, NamesWhatPoliciesLack) {
    const Advice advice = advise(benchOf(), {.budget = Bytes(1'200'000)}, 2);
    ASSERT_NE(find(advice, "pre-gated"), nullptr);
    EXPECT_EQ(find(advice, "pre-gated")->reason, "the checkpoint has no pre-gates");
    ASSERT_NE(find(advice, "cpu-experts"), nullptr);
    EXPECT_THAT(find(advice, "cpu-experts")->reason, HasSubstr("did not measure"));
}

TEST(Advise, RefusesAMemoryWithoutRoomForAnExpertAndARunWithoutTimes) {
    EXPECT_THROW(advise(benchOf(), {.budget = Bytes(99'999)}, 1), UsageError);
    EXPECT_THROW(advise(benchOf(false), {.budget = Bytes(1'200'000)}, 1), BadInputError);
}

}  // namespace
}  // namespace expertscope
