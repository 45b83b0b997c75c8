// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/compare/compare_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scratch_session.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

/// Two runs of one session: on-demand without prefetches, pre-gated with.
struct TwoRuns {
    TwoRuns() : session(ScratchSession::Empty{}) {
        writeSimulatedRun(session.writer(), {.policy = "on-demand", .prefetch = false});
        writeSimulatedRun(session.writer(), {.policy = "pre-gated"});
        reader = std::make_unique<SessionReader>(session.file().toStdString());
        for (const RunEntry& run : reader->runs()) {
            traces.push_back(std::make_unique<RunTrace>(*reader, run.id));
            while (traces.back()->refresh()) {}
            model.take(*traces.back());
        }
    }
    ScratchSession session;
    std::unique_ptr<SessionReader> reader;
    std::vector<std::unique_ptr<RunTrace>> traces;
    CompareModel model;
};

TEST(CompareModel, SetsTheLastRunAgainstTheFirstThatIsNotResident) {
    TwoRuns two;
    EXPECT_EQ(two.model.a(), 0);
    EXPECT_EQ(two.model.b(), 1);
    EXPECT_TRUE(two.model.sentence().contains("pre-gated")) << two.model.sentence().toStdString();
    EXPECT_TRUE(two.model.sentence().contains("3 requests"));
}

TEST(CompareModel, KeepsWhatTheUserChoseWhenARunGrows) {
    TwoRuns two;
    two.model.choose(1, 0);
    two.model.take(*two.traces[0]);
    EXPECT_EQ(two.model.runs().size(), 2U);
    EXPECT_EQ(two.model.a(), 1);
    EXPECT_EQ(two.model.b(), 0);
}

TEST(CompareModel, StacksBytesByFateToWhatWasIssued) {
    TwoRuns two;
    for (int run = 0; run < 2; ++run) {
        double issued = 0, drawn = 0;
        for (const TransferRecord& transfer : two.traces[static_cast<std::size_t>(run)]->transfers())
            issued += static_cast<double>(transfer.bytes.count());
        for (const ComparePart& part : two.model.bytes(run))
            drawn += part.value;
        EXPECT_EQ(drawn, issued);
    }
    const DrawList list = two.model.panel(CompareModel::Panel::IssuedBytes, Theme::light());
    double end = 0;
    for (const DrawRect& rect : list.rects)
        if (rect.rect.center().y() > 0.5) end = std::max(end, rect.rect.right());
    EXPECT_LE(end, two.model.panelEnd(CompareModel::Panel::IssuedBytes) * (1 + 1e-9));
    EXPECT_GT(end, 0);
}

TEST(CompareModel, DrawsTheTimeOfEveryRunAsAWhole) {
    TwoRuns two;
    const DrawList list = two.model.panel(CompareModel::Panel::TimeShares, Theme::light());
    double ends[2] = {0, 0};
    for (const DrawRect& rect : list.rects) {
        double& end = ends[rect.rect.center().y() > 0.5 ? 1 : 0];
        end = std::max(end, rect.rect.right());
    }
    EXPECT_NEAR(ends[0], 100, 1e-6);
    EXPECT_NEAR(ends[1], 100, 1e-6);
}

TEST(CompareModel, DrawsAPointALayerAndJoinsThem) {
    TwoRuns two;
    const DrawList list = two.model.hitRates(Theme::light());
    EXPECT_EQ(list.rects.size(), 2U * 8U);
    EXPECT_EQ(list.lines.size(), 2U * 7U);
    EXPECT_FALSE(list.lines.front().dashed);
    EXPECT_TRUE(list.lines.back().dashed);
}

TEST(CompareModel, SaysThatOneRunAloneHasNothingToBeComparedWith) {
    TwoRuns two;
    CompareModel one;
    one.take(*two.traces[0]);
    EXPECT_TRUE(one.sentence().contains("One run"));
    EXPECT_TRUE(CompareModel().sentence().isEmpty());
}

TEST(MatchedTimeline, PutsBothRunsAtTheirRequestsFirstToken) {
    TwoRuns two;
    MatchedTimeline matched;
    matched.setTraces(two.traces[0].get(), two.traces[1].get());
    matched.setRequest(RequestIndex(1));
    EXPECT_EQ(matched.requests(), 3);
    Nanoseconds first{}, last{};
    for (const TokenRecord& token : two.traces[1]->tokens()) {
        if (token.request != RequestIndex(1) || token.phase != Phase::Decode) continue;
        if (first.count() == 0) first = token.time;
        last = token.time;
    }
    EXPECT_NEAR(matched.length(1), static_cast<double>((last - first).count()) * 1e-6, 1e-9);
    EXPECT_EQ(matched.length(), std::max(matched.length(0), matched.length(1)));

    const DrawList list =
        matched.draw({.range = QRectF(0, 0, matched.length(), 7), .pixels = QSize(400, 140)}, Theme::light());
    EXPECT_EQ(list.lines.size(), 2U);
    EXPECT_NEAR(list.lines[1].from.x(), matched.length(1), 1e-9);
    ASSERT_FALSE(list.rects.empty());
    for (const DrawRect& rect : list.rects) {
        EXPECT_GE(rect.rect.top(), 0);
        EXPECT_LE(rect.rect.bottom(), 7);
        EXPECT_LE(rect.rect.height(), 1);
    }
}

TEST(MatchedTimeline, IsEmptyWithoutRuns) {
    const MatchedTimeline matched;
    EXPECT_EQ(matched.requests(), 0);
    EXPECT_EQ(matched.length(), 0);
    EXPECT_TRUE(matched.draw({.range = QRectF(0, 0, 1, 7), .pixels = QSize(100, 70)}, Theme::light()).rects.empty());
}

}  // namespace
}  // namespace expertscope
