// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/timeline_rows.h"

#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scratch_session.h"

namespace expertscope {
namespace {

using Scratch = ScratchSession;

QStringList titles(const TimelineRows& rows) {
    QStringList list;
    for (const TimelineRow* row : rows.rows())
        list << row->title;
    return list;
}

SpanPaint paintAt(const TimelineRow& row, std::size_t item) { return row.paints[row.items.item(item).category]; }

TEST(TimelineRows, StandInTheOrderOfTheComputeThreadItsWorkersAndTheLink) {
    Scratch session;
    session.add({Scratch::span(SpanKind::TransferPrefetch, 0, 10, 0, 1, 2, 100, 1000),
                 Scratch::span(SpanKind::TransferDemand, 10, 20, 0, 0, 2, 100, 1000),
                 Scratch::span(SpanKind::ExpertCompute, 20, 30, 0, 0, 2, 1),
                 Scratch::span(SpanKind::Wait, 10, 20, 0, 0, 2), Scratch::span(SpanKind::Attention, 0, 10, 0, 0),
                 Scratch::span(SpanKind::Layer, 0, 40, 0, 0), Scratch::span(SpanKind::Step, 0, 40)});
    const TimelineRows rows(session.trace());
    EXPECT_EQ(titles(rows),
              QStringList({"Steps", "Layers", "Phases", "Waits", "Worker 1", "On demand", "Prefetch", "Overlap"}));
    EXPECT_EQ(rows.firstTime(), 0);
    EXPECT_EQ(rows.lastTime(), 40);
}

TEST(TimelineRows, PaintPrefetchesByWhatBecameOfThem) {
    Scratch session;
    session.add({Scratch::span(SpanKind::TransferPrefetch, 0, 10, 0, 1, 0, 100, 1000),
                 Scratch::span(SpanKind::TransferPrefetch, 10, 20, 0, 1, 1, 100, 1000),
                 Scratch::span(SpanKind::TransferPrefetch, 20, 30, 0, 1, 0, 100, 1000)});
    TimelineRows rows(session.trace());
    const TimelineRow& prefetch = *rows.prefetch();
    EXPECT_EQ(paintAt(prefetch, 0), SpanPaint::PrefetchOpen);
    EXPECT_EQ(rows.transferOf(0), nullptr);
    // The later transfer of expert 0 is told first.
    session.add({Scratch::transfer(2, TransferPurpose::Prefetch, TransferFate::Wasted, 1, 0, 20, 30, 1000),
                 Scratch::transfer(0, TransferPurpose::Prefetch, TransferFate::Useful, 1, 0, 0, 10, 1000),
                 Scratch::transfer(1, TransferPurpose::Prefetch, TransferFate::Late, 1, 1, 10, 20, 1000)});
    session.trace();
    EXPECT_TRUE(rows.update());
    EXPECT_EQ(paintAt(prefetch, 0), SpanPaint::PrefetchUseful);
    EXPECT_EQ(paintAt(prefetch, 1), SpanPaint::PrefetchLate);
    EXPECT_EQ(paintAt(prefetch, 2), SpanPaint::PrefetchWasted);
    ASSERT_NE(rows.transferOf(2), nullptr);
    EXPECT_EQ(rows.transferOf(2)->id, 2);
}

TEST(TimelineRows, WaitForASpanThatComesAfterItsTransfer) {
    Scratch session;
    session.add({Scratch::span(SpanKind::Step, 0, 5)});
    session.add({Scratch::transfer(0, TransferPurpose::Prefetch, TransferFate::Late, 1, 0, 20, 30, 1000)});
    TimelineRows rows(session.trace());
    session.add({Scratch::span(SpanKind::TransferPrefetch, 20, 30, 0, 1, 0, 100, 1000)});
    session.trace();
    rows.update();
    rows.update();
    EXPECT_EQ(paintAt(*rows.prefetch(), 0), SpanPaint::PrefetchLate);
}

TEST(TimelineRows, ShowPredictorsThatRunBesideInARowOfTheirOwn) {
    const SpanRecord router = Scratch::span(SpanKind::Router, 10, 50, 0, 0);
    const SpanRecord between = Scratch::span(SpanKind::Predict, 50, 60, 0, 0);
    const SpanRecord beside = Scratch::span(SpanKind::Predict, 20, 40, 0, -1, -1, 201);
    Scratch session;
    session.add({router, between, beside});
    const TimelineRows rows(session.trace());
    ASSERT_TRUE(rows.rowOf(beside));
    EXPECT_NE(rows.rowOf(beside), rows.phases());
    EXPECT_EQ(rows.rowOf(beside)->items.busy(0, 100)[0], 20);
    EXPECT_EQ(paintAt(*rows.rowOf(beside), 0), SpanPaint::Predict);
    EXPECT_EQ(rows.rowOf(between), rows.phases());
    EXPECT_EQ(rows.phases()->items.size(), 2U);
}

TEST(TimelineRows, SplitTransfersIntoHiddenAndExposed) {
    Scratch session;
    session.add({Scratch::span(SpanKind::TransferDemand, 10, 50, 0, 0, 1, 100, 1000),
                 Scratch::span(SpanKind::TransferPrefetch, 50, 90, 0, 1, 1, 100, 1000),
                 Scratch::span(SpanKind::Wait, 30, 50, 0, 0, 1), Scratch::span(SpanKind::Wait, 95, 99, 0, 0, 1)});
    const TimelineRows rows(session.trace());
    const SpanRow& items = rows.overlap()->items;
    ASSERT_EQ(items.size(), 3U);
    EXPECT_EQ(items.item(0).end, 30);
    EXPECT_EQ(items.item(1).end, 50);
    EXPECT_EQ(items.item(2).end, 90);
    EXPECT_THAT(items.busy(0, 100), testing::ElementsAre(60, 20));  // hidden, exposed
}

TEST(TimelineRows, SplitTheSameWhenRecordsArriveOneByOneAndLate) {
    std::vector<SpanRecord> spans;
    for (int i = 0; i < 60; ++i) {
        spans.push_back(Scratch::span(SpanKind::TransferDemand, i * 100, i * 100 + 70, 0, 0, i % 4, 100, 10));
        spans.push_back(Scratch::span(SpanKind::Wait, i * 100 + 40 + i % 30, i * 100 + 80 + i % 30, 0, 0, i % 4));
    }
    Scratch atOnce;
    atOnce.add(spans);
    const TimelineRows whole(atOnce.trace());
    Scratch growing;
    TimelineRows rows(growing.trace());
    for (std::size_t i = 0; i < spans.size(); i += 2) {
        growing.add({spans[i + 1]});  // the wait is told before the transfer that it waited for
        growing.trace();
        rows.update();
        growing.add({spans[i]});
        growing.trace();
        rows.update();
    }
    EXPECT_EQ(rows.overlap()->items.busy(0, 6000), whole.overlap()->items.busy(0, 6000));
    EXPECT_EQ(rows.overlap()->items.busy(1234, 4321), whole.overlap()->items.busy(1234, 4321));
}

std::vector<std::tuple<std::int64_t, std::int64_t, SpanPaint>> pieces(const TimelineRow& row) {
    std::vector<std::tuple<std::int64_t, std::int64_t, SpanPaint>> list;
    for (std::size_t i = 0; i < row.items.size(); ++i)
        list.emplace_back(row.items.item(i).start, row.items.item(i).end, paintAt(row, i));
    return list;
}

TEST(TimelineRows, ShowTheWaitsInsideAPhase) {
    Scratch session;
    session.add({Scratch::span(SpanKind::Attention, 0, 100, 0, 0), Scratch::span(SpanKind::Experts, 100, 300, 0, 0),
                 Scratch::span(SpanKind::Wait, 120, 180, 0, 0, 1), Scratch::span(SpanKind::Wait, 250, 300, 0, 0, 2),
                 Scratch::span(SpanKind::Combine, 300, 310, 0, 0), Scratch::span(SpanKind::Wait, 320, 330, 0, 1, 2)});
    const TimelineRows rows(session.trace());
    using enum SpanPaint;
    EXPECT_THAT(
        pieces(*rows.phases()),
        testing::ElementsAre(std::tuple(0, 100, Attention), std::tuple(100, 120, Experts), std::tuple(120, 180, Wait),
                             std::tuple(180, 250, Experts), std::tuple(250, 300, Wait), std::tuple(300, 310, Combine),
                             std::tuple(320, 330, Wait)));
    // A piece stands for its whole span.
    EXPECT_EQ(rows.phases()->items.item(1).source, rows.phases()->items.item(3).source);
}

TEST(TimelineRows, ShowTheSameWaitsWhenSpansArriveOneByOne) {
    std::vector<SpanRecord> spans;
    for (int i = 0; i < 40; ++i) {
        const std::int64_t at = i * 100;
        spans.push_back(Scratch::span(SpanKind::Attention, at, at + 20, 0, i));
        spans.push_back(Scratch::span(SpanKind::Wait, at + 25, at + 30 + i % 20, 0, i, 1));
        spans.push_back(Scratch::span(SpanKind::Wait, at + 60, at + 70, 0, i, 2));
        spans.push_back(Scratch::span(SpanKind::Experts, at + 20, at + 90, 0, i));  // told when it ends
    }
    Scratch atOnce;
    atOnce.add(spans);
    const TimelineRows whole(atOnce.trace());
    Scratch growing;
    TimelineRows rows(growing.trace());
    for (const SpanRecord& span : spans) {
        growing.add({span});
        growing.trace();
        rows.update();
    }
    EXPECT_EQ(pieces(*rows.phases()), pieces(*whole.phases()));
    // In parts of three spans, too.
    TimelineRows parts(atOnce.trace(), 3);
    EXPECT_FALSE(parts.complete());
    while (!parts.complete())
        parts.update(3);
    EXPECT_EQ(parts.phases()->items.busy(0, 4000), whole.phases()->items.busy(0, 4000));
}

TEST(TimelineRows, KnowStepsTokensAndTheSpansOfAnExpert) {
    Scratch session;
    session.add({Scratch::span(SpanKind::Step, 0, 100, 0), Scratch::span(SpanKind::Step, 110, 150, 1),
                 Scratch::span(SpanKind::ExpertCompute, 10, 20, 0, 1, 3, 1),
                 Scratch::span(SpanKind::ExpertCompute, 120, 130, 1, 1, 3, 1),
                 Scratch::span(SpanKind::ExpertCompute, 130, 140, 1, 0, 3, 1)});
    session.add({Scratch::token(0, 0, Phase::Prefill, 100), Scratch::token(1, 0, Phase::Prefill, 100),
                 Scratch::token(2, 0, Phase::Decode, 100), Scratch::token(3, 1, Phase::Decode, 150)});
    const TimelineRows rows(session.trace());
    EXPECT_EQ(rows.step(StepIndex(1))->start, 110);
    EXPECT_FALSE(rows.step(StepIndex(2)));
    EXPECT_EQ(rows.tokensOf(StepIndex(0)), std::pair(TokenIndex(0), TokenIndex(3)));
    EXPECT_EQ(rows.tokensOf(StepIndex(1)), std::pair(TokenIndex(3), TokenIndex(4)));
    EXPECT_THAT(rows.spansOf({LayerIndex(1), ExpertId(3)}), testing::ElementsAre(2, 3));
}

}  // namespace
}  // namespace expertscope
