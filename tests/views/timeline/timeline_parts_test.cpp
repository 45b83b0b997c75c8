// SPDX-License-Identifier: GPL-3.0-or-later
// A run that is shown in parts, against the same run taken in whole.
#include "views/timeline/timeline_parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scratch_session.h"
#include "views/base/theme.h"
#include "views/timeline/timeline_model.h"

namespace expertscope {
namespace {

class TimelinePartsTest : public testing::Test {
protected:
    TimelinePartsTest() {
        writeSimulatedRun(session.writer(), {});
        reader = std::make_unique<SessionReader>(session.file().toStdString());
        trace = std::make_unique<RunTrace>(*reader, reader->runs().back().id);
        all = std::make_unique<TimelineRows>(*trace);
        parts = std::make_unique<TimelineParts>(session.file().toStdString(), *trace);
    }
    static QStringList titles(const TimelineRows& rows) {
        QStringList titles;
        for (const TimelineRow* row : rows.rows())
            titles << row->title;
        return titles;
    }
    ScratchSession session{ScratchSession::Empty{}};
    std::unique_ptr<SessionReader> reader;
    std::unique_ptr<RunTrace> trace;
    std::unique_ptr<TimelineRows> all;
    std::unique_ptr<TimelineParts> parts;
};

TEST_F(TimelinePartsTest, SumsOfTheWholeRunAreAsBusyAsItsSpans) {
    const TimelinePart whole = parts->whole(400);
    ASSERT_TRUE(whole.rows);
    EXPECT_FALSE(whole.detailed);
    EXPECT_EQ(whole.extent.from, all->firstTime());
    EXPECT_EQ(whole.extent.to, all->lastTime() + 1);
    EXPECT_EQ(titles(*whole.rows), titles(*all));
    const std::int64_t length = all->lastTime() - all->firstTime();
    for (std::size_t i = 0; i < all->rows().size(); ++i) {
        const TimelineRow& expected = *all->rows()[i];
        const TimelineRow& got = *whole.rows->rows()[i];
        EXPECT_TRUE(got.summed);
        for (int tenth = 0; tenth < 10; ++tenth) {
            const std::int64_t from = all->firstTime() + tenth * length / 10, to = from + length / 10;
            auto busy = expected.items.busy(from, to);
            const auto sums = got.items.busy(from, to);
            if (expected.title == "Layers")
                busy = {busy[0] + busy[1], 0};  // sums do not tell odd layers from even ones
            for (std::size_t category = 0; category < busy.size(); ++category) {
                // A stretch of sums at either end lies partly outside.
                EXPECT_NEAR(static_cast<double>(sums[category]), static_cast<double>(busy[category]),
                            static_cast<double>(length) / 100)
                    << expected.title.toStdString() << " " << category << " tenth " << tenth;
            }
        }
        const double amount = expected.items.amount(all->firstTime(), all->lastTime());
        EXPECT_NEAR(got.items.amount(all->firstTime(), all->lastTime() + length), amount, 0.01 * amount + 1);
    }
}

TEST_F(TimelinePartsTest, APartHasTheSpansThemselvesWhereTheyAreFew) {
    parts->whole(400);
    const std::int64_t length = all->lastTime() - all->firstTime();
    const TimeStretch visible{all->firstTime() + length / 2, all->firstTime() + length / 2 + length / 50};
    const TimelinePart part = parts->around(visible, 800);
    EXPECT_TRUE(part.detailed);
    EXPECT_TRUE(part.stretch.covers({visible.from - 1000, visible.to + 1000}));
    EXPECT_EQ(titles(*part.rows), titles(*all));
    for (std::size_t i = 0; i < all->rows().size(); ++i) {
        const TimelineRow& row = *part.rows->rows()[i];
        EXPECT_FALSE(row.summed);
        EXPECT_EQ(row.items.busy(visible.from, visible.to), all->rows()[i]->items.busy(visible.from, visible.to))
            << row.title.toStdString();
    }
}

TEST_F(TimelinePartsTest, KnowsWhatItSuits) {
    TimelinePart part;
    part.extent = {0, 1000};
    part.stretch = {100, 600};
    part.perPixel = 10;
    EXPECT_TRUE(part.suits({200, 500}, 10));
    EXPECT_TRUE(part.suits({200, 500}, 7));
    EXPECT_FALSE(part.suits({200, 500}, 5)) << "too coarse";
    EXPECT_FALSE(part.suits({0, 500}, 10)) << "does not reach that far";
    EXPECT_TRUE(part.suits({2000, 3000}, 1)) << "nothing is there";
    part.detailed = true;
    EXPECT_TRUE(part.suits({200, 500}, 0.1));
    part.stretch = {0, 1000};
    EXPECT_TRUE(part.suits({-500, 1500}, 10)) << "nothing is beyond";
}

TEST_F(TimelinePartsTest, TheModelDrawsAndTellsFromParts) {
    TimelineModel model, plain;
    plain.setTrace(trace.get());
    model.showInParts(*trace);
    EXPECT_TRUE(model.inParts());
    EXPECT_TRUE(model.empty());
    model.take(parts->whole(400));
    const TimeStretch extent = model.extent();
    model.look(extent);
    EXPECT_TRUE(model.summed());
    std::vector<SpanPaint> occur = plain.paints();
    std::erase(occur, SpanPaint::OddLayer);  // sums do not tell it from even ones
    EXPECT_EQ(model.paints(), occur);

    const Viewport wide{QRectF(static_cast<double>(extent.from), 0, static_cast<double>(extent.to - extent.from), 400),
                        QSize(400, 400)};
    EXPECT_TRUE(model.drawItems(wide, Theme::light()).rects.empty()) << "sums are never boxes";
    EXPECT_FALSE(model.drawItems(wide, Theme::light()).images.empty());
    const TimelineMeasure sums = model.measure(extent), exact = plain.measure(extent);
    EXPECT_NEAR(static_cast<double>(sums.compute.count()), static_cast<double>(exact.compute.count()),
                0.01 * static_cast<double>(exact.length.count()));
    EXPECT_NEAR(static_cast<double>(sums.bytes.count()), static_cast<double>(exact.bytes.count()),
                0.01 * static_cast<double>(exact.bytes.count()));

    const TimelineRow& row = *model.rows()->rows()[2];
    EXPECT_THAT(model.describe({&row, 0}).join(" ").toStdString(), testing::HasSubstr("zoom in to see each"));
    EXPECT_EQ(model.selectionOf({&row, 0}), Selection{});

    Selection tokens;
    tokens.tokens = TokenRange{TokenIndex(30), TokenIndex(32)};
    ASSERT_TRUE(model.stretchOf(tokens));
    const TimeStretch told = *model.stretchOf(tokens), real = *plain.stretchOf(tokens);
    EXPECT_NEAR(static_cast<double>(told.from), static_cast<double>(real.from), 1e-3 * static_cast<double>(extent.to));
    EXPECT_NEAR(static_cast<double>(told.to), static_cast<double>(real.to), 1e-3 * static_cast<double>(extent.to));

    model.take(parts->around(real, 400));
    model.look(real);
    EXPECT_FALSE(model.summed());
    EXPECT_EQ(model.stretchOf(tokens), real) << "now its steps are there";
    EXPECT_EQ(model.measure(real).bytes, plain.measure(real).bytes);
    model.look(extent);
    EXPECT_TRUE(model.summed());
}

}  // namespace
}  // namespace expertscope
