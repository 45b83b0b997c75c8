// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/whatif/whatif_model.h"

#include <cmath>

#include <gtest/gtest.h>

#include "scratch_session.h"
#include "views/base/theme.h"
#include "views/whatif/replay_jobs.h"

namespace expertscope {
namespace {

const Viewport kViewport{QRectF(0, 0, 101, 102), QSize(600, 400)};

struct Bench {
    Bench() : session(ScratchSession::Empty{}) {
        writeSimulatedRun(session.writer(), {.policy = "on-demand", .prefetch = false});
        const SessionReader reader(session.file().toStdString());
        bench = std::make_shared<ReplayBench>(readRecordedRun(reader, RunId(1)));
        model.setBench(bench);
    }
    int last() const { return static_cast<int>(WhatIfModel::grid().size()) - 1; }
    void bound(int at) {
        model.takeBound(at,
                        bench->bound(model.caseOf({{}, "on-demand", "lru"}, at).budget, model.link(), Settle::Admit));
    }
    ScratchSession session;
    std::shared_ptr<const ReplayBench> bench;
    WhatIfModel model;
};

TEST(WhatIfModel, AnswersHitRatesFromTheCurveAsALayerSettledReplayDoes) {
    Bench b;
    for (const int at : {3, 6, 9}) {
        const ReplayResult replayed = b.bench->replay(b.model.caseOf({"lru", "on-demand", "lru"}, at), Settle::Layer);
        EXPECT_NEAR(b.model.lruHitRate(WhatIfModel::grid()[static_cast<std::size_t>(at)]), replayed.hitRate(), 1e-9);
    }
}

TEST(WhatIfModel, HitsNothingMoreThanBeladyDoes) {
    Bench b;
    for (int at = 0; at <= b.last(); ++at) {
        b.bound(at);
        const ReplayResult lfu = b.bench->replay(b.model.caseOf({"lfu", "on-demand", "lfu"}, at), Settle::Admit);
        const ReplayBound best =
            b.bench->bound(b.model.caseOf({"lfu", "on-demand", "lfu"}, at).budget, std::nullopt, Settle::Admit);
        EXPECT_LE(lfu.hitRate(), best.beladyHitRate + 1e-9);
    }
    EXPECT_TRUE(b.model.hasBounds());
}

TEST(WhatIfModel, PredictsFasterDecodingWithMoreBudgetAndNeverAboveTheRoofline) {
    Bench b;
    b.bound(b.last());
    const double small = b.model.onDemandSpeed(0.1), large = b.model.onDemandSpeed(0.6);
    EXPECT_LT(small, large);
    EXPECT_LE(large, b.model.fastest() * (1 + 1e-9));
    EXPECT_GT(small, 0);
}

TEST(WhatIfModel, SlowerLinksMakeSlowerDecoding) {
    Bench b;
    b.model.setLink(parseLink("10GB/s@1us"));
    const double fast = b.model.onDemandSpeed(0.25);
    b.model.setLink(parseLink("50MB/s@1us"));
    EXPECT_LT(b.model.onDemandSpeed(0.25), fast / 2);
}

TEST(WhatIfModel, AsksForWhatIsNearestToTheSliderFirstAndForNothingTwice) {
    Bench b;
    const WhatIfSeries lfu{"lfu", "on-demand", "lfu"};
    b.model.setSeries({lfu});
    b.model.setBudget(0.5);
    auto open = b.model.open();
    ASSERT_EQ(open.size(), WhatIfModel::grid().size());
    EXPECT_EQ(WhatIfModel::grid()[static_cast<std::size_t>(open.front().second)], 0.5);
    b.model.take(lfu, open.front().second, b.bench->replay(b.model.caseOf(lfu, open.front().second), Settle::Admit));
    EXPECT_EQ(b.model.open().size(), open.size() - 1);
    EXPECT_EQ(b.model.rows().size(), 1U);
}

TEST(WhatIfModel, ForgetsSpeedsButNotHitRatesWhenTheLinkChanges) {
    Bench b;
    const WhatIfSeries lfu{"lfu", "on-demand", "lfu"}, demand{"on-demand", "on-demand", "lru", true};
    b.model.setSeries({lfu, demand});
    b.model.take(lfu, 2, b.bench->replay(b.model.caseOf(lfu, 2), Settle::Admit));
    b.model.take(demand, 2, b.bench->replay(b.model.caseOf(demand, 2), Settle::Admit));
    b.model.setLink(parseLink("1GB/s@1us"));
    ASSERT_EQ(b.model.rows().size(), 1U);
    EXPECT_EQ(b.model.rows()[0][1].text, "lfu");
}

TEST(WhatIfModel, KnowsTheBoundsOfAnotherLinkAtOnce) {
    Bench b;
    for (int at = 0; at <= b.last(); ++at)
        b.bound(at);
    EXPECT_TRUE(b.model.openBounds().empty());
    b.model.setLink(parseLink("30MB/s@1us"));
    ASSERT_TRUE(b.model.hasBounds());
    WhatIfModel fresh;
    fresh.setBench(b.bench);
    fresh.setLink(b.model.link());
    for (int at = 0; at <= b.last(); ++at)
        fresh.takeBound(at,
                        b.bench->bound(fresh.caseOf({{}, "on-demand", "lru"}, at).budget, fresh.link(), Settle::Admit));
    const DrawList quick = b.model.speedChart(kViewport, Theme::light()),
                   whole = fresh.speedChart(kViewport, Theme::light());
    ASSERT_EQ(quick.lines.size(), whole.lines.size());
    for (std::size_t i = 0; i < quick.lines.size(); ++i)
        EXPECT_EQ(quick.lines[i].to, whole.lines[i].to);
}

TEST(WhatIfModel, KeepsARoughSpeedUntilTheWholeOneComes) {
    Bench b;
    const WhatIfSeries demand{"on-demand", "on-demand", "lru", true};
    b.model.setSeries({demand});
    const std::size_t all = b.model.open().size();
    const int at = b.model.open().front().second;
    ReplayCase quarter = b.model.roughCaseOf(demand, at);
    quarter.atMost = b.bench->lruCurve().accesses() / 4;
    const ReplayResult rough = b.bench->replay(quarter, Settle::Admit);
    const ReplayResult whole = b.bench->replay(b.model.caseOf(demand, at), Settle::Admit);
    ASSERT_TRUE(rough.rough);
    EXPECT_LT(rough.accesses, whole.accesses / 2);
    EXPECT_NEAR(rough.decodeTokensPerSecond / whole.decodeTokensPerSecond, 1, 0.3);
    b.model.take(demand, at, rough);
    EXPECT_EQ(b.model.open().size(), all) << "the whole one is still wanted";
    EXPECT_TRUE(b.model.answer().contains("on-demand about")) << b.model.answer().toStdString();
    b.model.take(demand, at, whole);
    EXPECT_EQ(b.model.open().size(), all - 1);
    b.model.take(demand, at, rough);
    EXPECT_FALSE(b.model.answer().contains("about")) << b.model.answer().toStdString();
}

TEST(WhatIfModel, TakesNoSpeedOverALinkThatIsNoLongerAskedFor) {
    Bench b;
    const WhatIfSeries demand{"on-demand", "on-demand", "lru", true};
    b.model.setSeries({demand});
    const ReplayResult before = b.bench->replay(b.model.caseOf(demand, 3), Settle::Admit);
    b.model.setLink(parseLink("1GB/s@1us"));
    b.model.take(demand, 3, before);
    EXPECT_TRUE(b.model.rows().empty());
}

TEST(ReplayJobs, GiveUpWhatIsNoLongerWishedAndDoNothingTwice) {
    Bench b;
    const WhatIfSeries demand{"on-demand", "on-demand", "lru", true};
    b.model.setSeries({demand});
    const auto wishes = [&] {
        std::vector<ReplayJobs::Wish> list;
        for (const auto& [series, at] : b.model.open())
            list.push_back({series, at, b.model.caseOf(series, at)});
        return list;
    };
    ReplayJobs jobs;
    int done = 0;
    // A slider that is moved again and again: every question but the last is outdated.
    for (int move = 0; move < 20; ++move) {
        b.model.setLink(parseLink(std::to_string(100 + move) + "MB/s@1us"));
        jobs.wish(b.bench, wishes());
    }
    jobs.wish(b.bench, wishes());
    jobs.wait();
    for (const ReplayJobs::Done& answer : jobs.take()) {
        EXPECT_EQ(answer.failure.toStdString(), "");
        const std::size_t before = b.model.rows().size();
        b.model.take(*answer.wish.series, answer.wish.at, *answer.result);
        if (answer.result->what.link->text == b.model.link()->text) {
            EXPECT_EQ(b.model.rows().size(), before + 1) << "done twice";
            ++done;
        }
    }
    EXPECT_EQ(done, b.last() + 1);
    EXPECT_TRUE(b.model.open().empty());
}

TEST(ReplayJobs, StopAReplayInTheMiddle) {
    Bench b;
    const std::atomic<bool> stop = true;
    const WhatIfSeries demand{"on-demand", "on-demand", "lru", true};
    EXPECT_TRUE(b.bench->replay(b.model.caseOf(demand, 3), Settle::Admit, &stop).stopped);
    ReplayCase untimed = b.model.caseOf(demand, 3);
    untimed.timed = false;
    EXPECT_TRUE(b.bench->replay(untimed, Settle::Admit, &stop).stopped);
    EXPECT_FALSE(b.bench->replay(untimed, Settle::Admit).stopped);
}

TEST(WhatIfModel, DrawsNoSpeedOfAPolicyWhosePredictionsWereNotRecorded) {
    Bench b;
    const WhatIfSeries preGated{"pre-gated", "pre-gated", "lru", true};
    b.bound(b.last());
    b.model.setSeries({preGated});
    const auto before = b.model.speedChart(kViewport, Theme::light()).rects.size();
    const ReplayResult replayed = b.bench->replay(b.model.caseOf(preGated, 6), Settle::Admit);
    ASSERT_FALSE(replayed.missing.empty());
    b.model.take(preGated, 6, replayed);
    EXPECT_TRUE(b.model.lacks(preGated));
    EXPECT_EQ(b.model.speedChart(kViewport, Theme::light()).rects.size(), before);
}

TEST(WhatIfModel, MarksTheCliffTheSliderAndWhatWasMeasured) {
    Bench b;
    const DrawList list = b.model.hitChart(kViewport, Theme::light());
    bool cliff = false, slider = false;
    for (const DrawLine& line : list.lines) {
        cliff = cliff || (line.dashed && std::abs(line.from.x() - 100 * b.model.cliff()) < 1e-9);
        slider = slider || std::abs(line.from.x() - 100 * b.model.budget()) < 1e-9;
    }
    EXPECT_TRUE(cliff);
    EXPECT_TRUE(slider);
    const auto measured = b.model.measuredHits();
    ASSERT_TRUE(measured);
    // 96 of 256 slots, as the simulated run has.
    EXPECT_NEAR(measured->x(), 37.5, 0.1);
    EXPECT_EQ(list.texts.back().text, "measured");
}

TEST(WhatIfModel, SaysWhenABudgetIsBelowATokensDemand) {
    Bench b;
    b.model.setBudget(b.model.cliff() / 2);
    EXPECT_TRUE(b.model.answer().contains("less than one token's demand")) << b.model.answer().toStdString();
    b.model.setBudget(0.9);
    EXPECT_FALSE(b.model.answer().contains("less than"));
}

}  // namespace
}  // namespace expertscope
