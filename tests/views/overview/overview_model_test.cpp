// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/overview/overview_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scratch_session.h"

namespace expertscope {
namespace {

using Scratch = ScratchSession;

SelectionRecord access(Outcome outcome, bool firstUse) {
    SelectionRecord record;
    record.step = StepIndex(0);
    record.token = TokenIndex(0);
    record.layer = LayerIndex(0);
    record.expert = ExpertId(1);
    record.outcome = outcome;
    record.firstUse = firstUse;
    return record;
}

class OverviewModelTest : public testing::Test {
protected:
    const OverviewModel& shown() {
        model.setTrace(&written.trace());
        return model;
    }
    Scratch written;
    OverviewModel model;
};

TEST_F(OverviewModelTest, CountsAccessesOnceAStepOfALiveRun) {
    written.add({access(Outcome::Hit, true), access(Outcome::Hit, false), access(Outcome::InFlight, true),
                 access(Outcome::Miss, true), access(Outcome::Miss, true)});
    const RunSummary& f = shown().figures();
    EXPECT_TRUE(model.fromTrace());
    EXPECT_EQ(f.accesses, 4);
    EXPECT_EQ(f.hits, 1);
    EXPECT_EQ(f.hitsInFlight, 1);
    EXPECT_EQ(f.misses, 2);
}

TEST_F(OverviewModelTest, AddsUpTransfersByFate) {
    using P = TransferPurpose;
    using F = TransferFate;
    written.add({Scratch::transfer(0, P::Preload, F::Used, 0, 0, 1, 2, 1000),
                 Scratch::transfer(1, P::Demand, F::Used, 0, 1, 1, 2, 1000),
                 Scratch::transfer(2, P::Prefetch, F::Useful, 0, 2, 1, 2, 1000),
                 Scratch::transfer(3, P::Prefetch, F::Late, 0, 3, 1, 2, 1000),
                 Scratch::transfer(4, P::Prefetch, F::Wasted, 1, 0, 1, 2, 1000),
                 Scratch::transfer(5, P::Prefetch, F::Wasted, 1, 1, 1, 2, 1000)});
    const RunSummary& f = shown().figures();
    EXPECT_EQ(f.demand, Bytes(1000));
    EXPECT_EQ(f.prefetch, Bytes(4000));
    EXPECT_EQ(f.useful, Bytes(1000));
    EXPECT_EQ(f.late, Bytes(1000));
    EXPECT_EQ(f.wasted, Bytes(2000));
    EXPECT_EQ(f.moved, Bytes(5000));
}

TEST_F(OverviewModelTest, SplitsTimeAsTheAnalysisDoes) {
    written.add({Scratch::span(SpanKind::Attention, 0, 1'000'000),
                 Scratch::span(SpanKind::Experts, 1'000'000, 3'000'000),
                 Scratch::span(SpanKind::Wait, 1'500'000, 2'000'000),
                 Scratch::span(SpanKind::Predict, 3'000'000, 3'200'000), Scratch::span(SpanKind::Step, 0, 3'500'000)});
    const RunSummary& f = shown().figures();
    const TimeSplit split = splitTime(written.trace().spans(), LaneId(0));
    EXPECT_DOUBLE_EQ(f.totalMs, 3.5);
    EXPECT_DOUBLE_EQ(f.waitMs, 0.5);
    EXPECT_DOUBLE_EQ(f.computeMs, 2.5);
    EXPECT_DOUBLE_EQ(f.totalMs, static_cast<double>(split.total.count()) / 1e6);
    EXPECT_DOUBLE_EQ(f.computeMs, static_cast<double>(split.compute.count()) / 1e6);
    EXPECT_NEAR(f.otherMs, static_cast<double>(split.other.count()) / 1e6, 1e-9);
}

TEST_F(OverviewModelTest, MeasuresSpeedBetweenGeneratedTokens) {
    RequestRecord request;
    request.start = Scratch::kStart;
    request.promptTokens = 2;
    request.label = "news";
    request.stopped = "tokens";
    written.writer().append(request);
    written.add({Scratch::token(0, 0, Phase::Prefill, 50'000'000, "Hi"),
                 Scratch::token(1, 0, Phase::Prefill, 50'000'000),
                 Scratch::token(2, 0, Phase::Decode, 50'000'000, " \xC3"),
                 Scratch::token(3, 1, Phase::Decode, 60'000'000, "\xA4"),
                 Scratch::token(4, 2, Phase::Decode, 90'000'000, "!")});
    const RunSummary& f = shown().figures();
    EXPECT_EQ(f.promptTokens, 2);
    EXPECT_EQ(f.generatedTokens, 3);
    EXPECT_DOUBLE_EQ(f.ttftMs, 50);
    EXPECT_DOUBLE_EQ(f.prefillTokensPerSecond, 40);
    EXPECT_DOUBLE_EQ(f.decodeTokensPerSecond, 50);
    EXPECT_DOUBLE_EQ(f.tpotP50Ms, 10);
    EXPECT_DOUBLE_EQ(f.tpotP99Ms, 30);
    ASSERT_EQ(model.texts().size(), 1U);
    EXPECT_EQ(model.texts()[0].text, " ä!");
    EXPECT_THAT(model.texts()[0].title.toStdString(), testing::HasSubstr("news"));
    EXPECT_EQ(model.rates().size(), 3U);
}

TEST_F(OverviewModelTest, ShowsTheRunsOwnSummaryOnceItEnded) {
    RunSummary summary;
    summary.generatedTokens = 99;
    summary.promptTokens = 1200;
    summary.totalMs = 2400;
    written.writer().endRun(summary, RunState::Complete);
    EXPECT_FALSE(shown().fromTrace());
    EXPECT_EQ(model.figures().generatedTokens, 99);
    EXPECT_EQ(model.stateSentence(), "Complete: 1,200 prompt and 99 generated tokens in 2.40 s.");
}

TEST_F(OverviewModelTest, SaysHowARunStands) {
    EXPECT_EQ(shown().stateSentence(), "Running: 0 tokens made.");
    RunSummary summary;
    summary.generatedTokens = 7;
    written.writer().endRun(summary, RunState::Interrupted);
    EXPECT_EQ(shown().stateSentence(), "Interrupted after 7 generated tokens; what was recorded until then is kept.");
}

TEST_F(OverviewModelTest, TellsWhatWasRun) {
    std::map<QString, QString> facts;
    for (const OverviewFact& fact : shown().facts())
        facts[fact.name] = fact.value;
    EXPECT_EQ(facts["Experts"], "2 layers × 4, top-2");
    EXPECT_EQ(facts["Budget"], "1.95 KiB, 25.0 % of all");
    EXPECT_EQ(facts["Slots"], "2 of 8 experts");
    EXPECT_EQ(facts["Link"], "not paced");
}

TEST_F(OverviewModelTest, TellsNothingThatAnotherToolDidNotTell) {
    RunDescription run = Scratch::description();
    run.policy = "imported";
    run.eviction.clear();
    run.model.family.clear();
    Scratch imported(Scratch::Empty{});
    imported.writer().beginRun(run);
    imported.writer().endRun({}, RunState::Complete);
    const SessionReader reader(imported.file().toStdString());
    const RunTrace trace(reader, RunId(1));
    model.setTrace(&trace);
    for (const OverviewFact& fact : model.facts()) {
        EXPECT_FALSE(fact.value.isEmpty()) << fact.name.toStdString();
        for (const char* own : {"Eviction", "Budget", "Slots", "Link", "Reads", "Device"})
            EXPECT_NE(fact.name, own);
    }
    EXPECT_EQ(model.stateSentence(), "Complete: 0 prompt and 0 generated tokens.");
}

TEST_F(OverviewModelTest, PutsTheWorstNoteFirst) {
    DiagnosticRecord mild, bad;
    mild.name = "a";
    mild.sentence = "Mild.";
    bad.name = "b";
    bad.severity = Severity::DataLoss;
    bad.count = 3;
    bad.sentence = "Lost.";
    written.writer().append(mild);
    written.writer().append(bad);
    written.writer().commit();
    const std::vector<OverviewNote> notes = shown().notes();
    ASSERT_EQ(notes.size(), 2U);
    EXPECT_EQ(notes[0].text, "Lost. (3 times)");
}

}  // namespace
}  // namespace expertscope
