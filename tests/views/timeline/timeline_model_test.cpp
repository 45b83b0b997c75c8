// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/timeline_model.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scratch_session.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

using Scratch = ScratchSession;

Viewport viewport(double from, double to, int pixels) { return {QRectF(from, 0, to - from, 400), QSize(pixels, 400)}; }

/// Nanoseconds that a row's boxes and columns paint, by area.
double paintedTime(const DrawList& list, double rowTop) {
    double painted = 0;
    for (const DrawRect& rect : list.rects) {
        if (rect.rect.top() == rowTop) painted += rect.rect.width();
    }
    for (const DrawImage& item : list.images) {
        if (item.rect.top() != rowTop) continue;
        double alpha = 0;
        for (int y = 0; y < item.image.height(); ++y) {
            for (int x = 0; x < item.image.width(); ++x)
                alpha += qAlpha(item.image.pixel(x, y)) / 255.0;
        }
        painted += alpha / item.image.height() * item.rect.width() / item.image.width();
    }
    return painted;
}

TEST(TimelineModel, DrawsWideItemsAsLabelledBoxes) {
    Scratch session;
    session.add(
        {Scratch::span(SpanKind::Step, 0, 1000, 3, -1, -1, 0, 1), Scratch::span(SpanKind::Wait, 200, 500, 3, 1, 2)});
    TimelineModel model;
    model.setTrace(&session.trace());
    const DrawList list = model.drawItems(viewport(0, 1000, 100), Theme::light());
    ASSERT_EQ(list.rects.size(), 2U);
    EXPECT_TRUE(list.images.empty());
    EXPECT_EQ(list.rects[0].rect, QRectF(0, 3, 1000, 22));
    EXPECT_EQ(list.rects[0].label, "step 3 · 1 token");
    EXPECT_EQ(list.rects[1].rect, QRectF(200, 31, 300, 22));
    EXPECT_EQ(list.rects[1].color, Theme::light().color(Meaning::Wait));
    EXPECT_EQ(list.rects[1].pattern, Pattern::CrossHatch);
    EXPECT_TRUE(list.rects[1].label.isEmpty());  // 30 pixels
    EXPECT_EQ(model.drawItems(viewport(0, 500, 100), Theme::light()).rects[1].label, "L1 E2");
}

TEST(TimelineModel, SumsNarrowItemsPerPixel) {
    Scratch session;
    std::vector<SpanRecord> spans;
    for (int i = 0; i < 1000; ++i)
        spans.push_back(Scratch::span(SpanKind::Wait, i * 10, i * 10 + 4));
    session.add(spans);
    TimelineModel model;
    model.setTrace(&session.trace());
    const DrawList list = model.drawItems(viewport(0, 10'000, 100), Theme::dark());
    EXPECT_TRUE(list.rects.empty());
    ASSERT_EQ(list.images.size(), 1U);
    EXPECT_EQ(list.images[0].image.size(), QSize(100, TimelineModel::kRowHeight));
    EXPECT_NEAR(paintedTime(list, 3), 4000, 4000 * 0.01);
}

TEST(TimelineModel, PaintsTheBusyTimeAtEveryZoom) {
    std::mt19937 random(5);
    Scratch session;
    std::vector<SpanRecord> spans;
    std::int64_t at = 0;
    for (int i = 0; i < 4000; ++i) {
        at += static_cast<std::int64_t>(random() % 300);
        const auto length = static_cast<std::int64_t>(random() % 20 == 0 ? random() % 20'000 : random() % 200);
        spans.push_back(Scratch::span(SpanKind::Wait, at, at + length));
        at += length;
    }
    session.add(spans);
    TimelineModel model;
    model.setTrace(&session.trace());
    for (double width = static_cast<double>(at); width > 2000; width /= 3) {
        const double from = (static_cast<double>(at) - width) * 0.37;
        const DrawList list = model.drawItems(viewport(from, from + width, 640), Theme::light());
        double exact = 0;  // boxes reach beyond the range: count them whole
        double painted = paintedTime(list, 3);
        for (const SpanRecord& span : spans) {
            const auto start = static_cast<double>((span.start - Scratch::kStart).count());
            const auto end = static_cast<double>((span.end - Scratch::kStart).count());
            exact += std::max(0.0, std::min(end, from + width) - std::max(start, from));
        }
        for (const DrawRect& rect : list.rects) {
            painted -= std::max(0.0, from - rect.rect.left()) + std::max(0.0, rect.rect.right() - from - width);
        }
        EXPECT_NEAR(painted, exact, std::max(width / 640, exact * 0.005)) << width;
    }
}

TEST(TimelineModel, FindsWhatLiesUnderAPoint) {
    Scratch session;
    session.add({Scratch::span(SpanKind::Step, 0, 1000, 0), Scratch::span(SpanKind::Layer, 100, 200, 0, 1),
                 Scratch::span(SpanKind::Layer, 300, 301, 0, 0)});
    TimelineModel model;
    model.setTrace(&session.trace());
    const double layers = TimelineModel::rowCentre(1);
    const auto hit = model.hitAt(QPointF(150, layers), 1);
    ASSERT_TRUE(hit);
    EXPECT_EQ(model.stretchOf(*hit), (TimeStretch{100, 200}));
    EXPECT_FALSE(model.hitAt(QPointF(250, layers), 1));
    EXPECT_EQ(model.stretchOf(*model.hitAt(QPointF(299, layers), 1)), (TimeStretch{300, 301}));  // beside, but near
    EXPECT_FALSE(model.hitAt(QPointF(150, 4000), 1));
    EXPECT_FALSE(model.hitAt(QPointF(150, -5), 1));
}

TEST(TimelineModel, SelectsLayerExpertAndTokensOfAnItem) {
    Scratch session;
    session.add(
        {Scratch::span(SpanKind::Step, 0, 1000, 4), Scratch::span(SpanKind::ExpertCompute, 100, 200, 4, 1, 3, 1, 2)});
    session.add({Scratch::token(7, 4, Phase::Prefill, 900), Scratch::token(8, 4, Phase::Decode, 1000)});
    TimelineModel model;
    model.setTrace(&session.trace());
    const Selection selection = model.selectionOf(*model.hitAt(QPointF(150, TimelineModel::rowCentre(1)), 1));
    EXPECT_EQ(selection.layer, LayerIndex(1));
    EXPECT_EQ(selection.expert, ExpertId(3));
    EXPECT_EQ(selection.tokens, (TokenRange{TokenIndex(7), TokenIndex(9)}));
}

TEST(TimelineModel, DescribesATransferWithItsSpeedAndFate) {
    Scratch session;
    session.add({Scratch::span(SpanKind::TransferPrefetch, 1000, 2000, 0, 1, 3, 100, 4000)});
    session.add({Scratch::transfer(0, TransferPurpose::Prefetch, TransferFate::Wasted, 1, 3, 1000, 2000, 4000)});
    TimelineModel model;
    model.setTrace(&session.trace());
    const QString text = model.describe(*model.hitAt(QPointF(1500, TimelineModel::rowCentre(0)), 1)).join("|");
    EXPECT_THAT(text.toStdString(),
                testing::AllOf(testing::StartsWith("Prefetch · layer 1, expert 3|"), testing::HasSubstr("(1,000 ns)"),
                               testing::HasSubstr("4.00 GB/s"), testing::HasSubstr("wasted")));
}

TEST(TimelineModel, MeasuresComputeWaitsAndBytesOfAStretch) {
    Scratch session;
    session.add({Scratch::span(SpanKind::Attention, 0, 100, 0, 0), Scratch::span(SpanKind::Experts, 100, 300, 0, 0),
                 Scratch::span(SpanKind::Wait, 120, 180, 0, 0, 1), Scratch::span(SpanKind::Predict, 300, 320, 0, 0),
                 Scratch::span(SpanKind::TransferDemand, 80, 180, 0, 0, 1, 100, 1000)});
    TimelineModel model;
    model.setTrace(&session.trace());
    const TimelineMeasure all = model.measure({0, 400});
    EXPECT_EQ(all.compute, Nanoseconds(240));
    EXPECT_EQ(all.wait, Nanoseconds(60));
    EXPECT_EQ(all.transfer, Nanoseconds(100));
    EXPECT_EQ(all.exposed, Nanoseconds(60));
    EXPECT_EQ(all.bytes, Bytes(1000));
    const TimelineMeasure part = model.measure({130, 150});
    EXPECT_EQ(part.length, Nanoseconds(20));
    EXPECT_EQ(part.wait, Nanoseconds(20));
    EXPECT_EQ(part.compute, Nanoseconds(0));
    EXPECT_EQ(part.bytes, Bytes(200));
}

TEST(TimelineModel, MarksTheSelectedExpertTokensAndTime) {
    Scratch session;
    session.add({Scratch::span(SpanKind::Step, 0, 400, 0), Scratch::span(SpanKind::Step, 400, 1000, 1),
                 Scratch::span(SpanKind::ExpertCompute, 100, 200, 0, 1, 3, 1),
                 Scratch::span(SpanKind::ExpertCompute, 500, 600, 1, 1, 2, 1)});
    session.add({Scratch::token(0, 0, Phase::Prefill, 400), Scratch::token(1, 1, Phase::Decode, 1000)});
    TimelineModel model;
    model.setTrace(&session.trace());
    Selection selection;
    selection.layer = LayerIndex(1);
    selection.expert = ExpertId(3);
    DrawList marks = model.drawMarks(viewport(0, 1000, 100), Theme::light(), selection, {});
    ASSERT_EQ(marks.rects.size(), 1U);
    EXPECT_EQ(marks.rects[0].rect, QRectF(100, 31, 100, 22));
    EXPECT_EQ(marks.rects[0].pattern, Pattern::Outline);
    selection = {};
    selection.tokens = TokenRange{TokenIndex(1), TokenIndex(2)};
    marks = model.drawMarks(viewport(0, 1000, 100), Theme::light(), selection, {});
    ASSERT_EQ(marks.rects.size(), 1U);
    EXPECT_EQ(marks.rects[0].rect, QRectF(400, 0, 600, 400));
    selection = {};
    selection.time = TimeRange{Scratch::kStart + Nanoseconds(50), Scratch::kStart + Nanoseconds(90)};
    EXPECT_EQ(model.stretchOf(selection), (TimeStretch{50, 90}));
}

TEST(TimelineModel, HasNothingToDrawWithoutARun) {
    TimelineModel model;
    EXPECT_TRUE(model.empty());
    EXPECT_TRUE(model.drawItems(viewport(0, 100, 100), Theme::light()).rects.empty());
    EXPECT_FALSE(model.hitAt(QPointF(1, 1), 1));
    EXPECT_EQ(model.measure({0, 10}).compute, Nanoseconds(0));
}

}  // namespace
}  // namespace expertscope
