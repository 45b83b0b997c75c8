// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scratch_session.h"
#include "views/base/theme.h"
#include "views/timeline/span_table.h"
#include "views/timeline/timeline_model.h"

namespace expertscope {
namespace {

using Scratch = ScratchSession;

SpanRecord range(std::int64_t from, std::int64_t to, int lane, int name, std::int64_t payload = -1) {
    SpanRecord record = Scratch::span(SpanKind::Range, from, to, -1, -1, -1, lane);
    record.name = RangeNameId(name);
    record.amount = payload;
    record.payload = payload < 0 ? PayloadType::None : PayloadType::Integer;
    return record;
}

/// A session of another program: two lanes, two names.
void fill(Scratch& session) {
    session.writer().append(LaneInfo{LaneId(1000), LaneRole::Thread, "python3 7 · main"});
    session.writer().append(LaneInfo{LaneId(1001), LaneRole::Thread, "python3 7 · main · 2"});
    session.writer().append(RangeName{RangeNameId(0), "", "", "forward", 0});
    session.writer().append(RangeName{RangeNameId(1), "app", "io", "read", 0});
    session.add({range(100, 900, 1000, 0), range(200, 400, 1001, 1, 4096), range(500, 600, 1001, 0)});
}

TEST(TimelineRanges, HaveARowForEachLaneOfTheProgram) {
    Scratch session;
    fill(session);
    const TimelineRows rows(session.trace());
    ASSERT_EQ(rows.rows().size(), 2U);
    EXPECT_EQ(rows.rows()[0]->title, QString("main"));
    EXPECT_EQ(rows.rows()[1]->title, QString("level 2"));
    EXPECT_TRUE(rows.rows()[1]->explanation.startsWith("python3 7 · main · 2\n"));
    const TimelineRow& inner = *rows.rows()[1];
    ASSERT_EQ(inner.items.size(), 2U);
    EXPECT_NE(inner.paints[inner.items.item(0).category], inner.paints[inner.items.item(1).category])
        << "different names look different";
    EXPECT_EQ(rows.firstTime(), 100);
    EXPECT_EQ(rows.lastTime(), 900);
}

TEST(TimelineRanges, AreCalledWhatTheProgramCalledThem) {
    Scratch session;
    fill(session);
    TimelineModel model;
    model.setTrace(&session.trace());
    const Viewport viewport{QRectF(0, 0, 1000, 400), QSize(1000, 400)};
    QStringList labels;
    for (const DrawRect& box : model.drawItems(viewport, Theme::dark()).rects)
        labels << box.label;
    EXPECT_TRUE(labels.contains("forward")) << labels.join(", ").toStdString();
    EXPECT_TRUE(labels.contains("read")) << labels.join(", ").toStdString();
    const QStringList told = model.describe({model.rows()->rows()[1], 0});
    EXPECT_EQ(told.first(), QString("read"));
    EXPECT_TRUE(told.contains("domain app"));
    EXPECT_TRUE(told.contains("category io"));
    EXPECT_TRUE(told.contains("payload 4,096")) << told.join("|").toStdString();
    SpanTable table(model, nullptr);
    table.reset();
    EXPECT_EQ(table.data(table.index(1, 0)).toString(), QString("read"));
    EXPECT_EQ(table.data(table.index(1, 7)).toString(), QString("4096"));
}

TEST(TimelineRanges, AreAllThatTheirSessionHasToExplain) {
    Scratch session;
    fill(session);
    TimelineModel model;
    model.setTrace(&session.trace());
    EXPECT_THAT(model.paints(),
                testing::Each(testing::AllOf(testing::Ge(SpanPaint::RangeFirst), testing::Le(SpanPaint::RangeFourth))));
    EXPECT_FALSE(model.paints().empty());
}

}  // namespace
}  // namespace expertscope
