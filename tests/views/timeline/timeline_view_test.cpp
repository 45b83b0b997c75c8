// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/timeline_view.h"

#include <QImage>
#include <algorithm>

#include <QtTest/QTest>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <qcustomplot.h>

#include "scratch_session.h"
#include "views/base/legend_strip.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"
#include "views/timeline/span_paint.h"

namespace expertscope {
namespace {

using Scratch = ScratchSession;

class TimelineViewTest : public testing::Test {
protected:
    TimelineViewTest() {
        std::vector<SpanRecord> spans;
        std::vector<TokenRecord> tokens;
        for (int step = 0; step < 10; ++step) {
            const std::int64_t at = step * 1'000'000;
            spans.push_back(Scratch::span(SpanKind::Attention, at, at + 400'000, step, 0));
            spans.push_back(Scratch::span(SpanKind::Experts, at + 400'000, at + 900'000, step, 0));
            spans.push_back(Scratch::span(SpanKind::Step, at, at + 900'000, step));
            tokens.push_back(Scratch::token(step, step, Phase::Decode, at + 900'000));
        }
        written.add(spans);
        written.add(tokens);
        session.open(written.file());
        view.resize(1000, 400);
        QWidget& widget = view;
        widget.show();
        QTest::qWait(1);
        plot = view.findChild<QCustomPlot*>();
        plot->replot();
    }
    double width() const { return static_cast<double>(view.visible().to - view.visible().from); }
    QPoint at(std::int64_t time, int row) const {
        return {static_cast<int>(plot->xAxis->coordToPixel(static_cast<double>(time))),
                static_cast<int>(plot->yAxis->coordToPixel(TimelineModel::rowCentre(static_cast<std::size_t>(row))))};
    }
    void drag(std::int64_t from, std::int64_t to, Qt::KeyboardModifiers modifiers = {}) {
        const QPoint a = at(from, 0), b = at(to, 0);
        QTest::mousePress(plot, Qt::LeftButton, modifiers, a);
        QMouseEvent move(QEvent::MouseMove, b, plot->mapToGlobal(b), Qt::LeftButton, Qt::LeftButton, modifiers);
        QCoreApplication::sendEvent(plot, &move);
        QTest::mouseRelease(plot, Qt::LeftButton, modifiers, b);
    }
    QVector<double> visibleTicks() const {
        QVector<double> ticks;
        plot->xAxis->ticker()->generate(plot->xAxis->range(), QLocale(), 'f', 1, ticks, nullptr, nullptr);
        return ticks;
    }
    Scratch written;
    SessionModel session;
    SelectionModel selection;
    TimelineView view{session, selection};
    QCustomPlot* plot = nullptr;
};

TEST_F(TimelineViewTest, ShowsTheWholeRunAtFirst) {
    EXPECT_LE(view.visible().from, 0);
    EXPECT_GE(view.visible().to, 9'900'000);
    EXPECT_LT(width(), 11'000'000);
}

TEST_F(TimelineViewTest, NamesEveryColourThatOccursInItsLegend) {
    ScratchSession simulated{ScratchSession::Empty{}};
    writeSimulatedRun(simulated.writer(), {.policy = "pre-gated"});
    session.open(simulated.file());
    view.refresh();
    const auto* const legend = view.findChild<LegendStrip*>();
    ASSERT_NE(legend, nullptr);
    std::vector<QString> named;
    for (const LegendEntry& entry : legend->entries())
        named.push_back(entry.color.name());
    for (const SpanPaint paint : view.model().paints()) {
        // The title of their row says what these are.
        if (paint == SpanPaint::Step || paint == SpanPaint::EvenLayer || paint == SpanPaint::OddLayer) continue;
        EXPECT_THAT(named, testing::Contains(paintColor(paint, Theme::light()).name()))
            << paintName(paint).toStdString();
    }
    std::ranges::sort(named);
    EXPECT_EQ(std::ranges::adjacent_find(named), named.end()) << "one colour, one name";
}

TEST_F(TimelineViewTest, ZoomsAndPansByKeys) {
    const TimeStretch all = view.visible();
    QTest::keyClick(&view, Qt::Key_W);
    EXPECT_NEAR(width(), static_cast<double>(all.to - all.from) / 1.5, 2);
    const TimeStretch zoomed = view.visible();
    QTest::keyClick(&view, Qt::Key_D);
    EXPECT_GT(view.visible().from, zoomed.from);
    QTest::keyClick(&view, Qt::Key_A);
    EXPECT_NEAR(static_cast<double>(view.visible().from), static_cast<double>(zoomed.from), 2);
    QTest::keyClick(&view, Qt::Key_S);
    EXPECT_NEAR(width(), static_cast<double>(all.to - all.from), 3);
}

TEST_F(TimelineViewTest, ZoomsAtTheCursor) {
    QTest::mouseMove(plot, at(2'000'000, 0));
    QMouseEvent move(QEvent::MouseMove, at(2'000'000, 0), plot->mapToGlobal(at(2'000'000, 0)), Qt::NoButton,
                     Qt::NoButton, {});
    QCoreApplication::sendEvent(plot, &move);
    const int before = at(2'000'000, 0).x();
    QTest::keyClick(&view, Qt::Key_W);
    EXPECT_NEAR(at(2'000'000, 0).x(), before, 2);
}

TEST_F(TimelineViewTest, SelectsWhatIsClickedAndFocusesIt) {
    QTest::mouseClick(plot, Qt::LeftButton, {}, at(3'200'000, 1));
    EXPECT_EQ(selection.current().layer, LayerIndex(0));
    EXPECT_EQ(selection.current().tokens, (TokenRange{TokenIndex(3), TokenIndex(4)}));
    QTest::keyClick(&view, Qt::Key_F);
    EXPECT_NEAR(static_cast<double>(view.visible().from), 3'000'000 - 40'000, 2);
    EXPECT_NEAR(width(), 480'000, 2);
    QTest::keyClick(&view, Qt::Key_F);
    EXPECT_GE(view.visible().to, 9'900'000);
}

TEST_F(TimelineViewTest, KeepsAMeasurementUntilEscape) {
    drag(1'000'000, 3'000'000);
    ASSERT_TRUE(view.measured());
    EXPECT_NEAR(static_cast<double>(view.measured()->from), 1e6, 2e4);
    EXPECT_NEAR(static_cast<double>(view.measured()->to), 3e6, 2e4);
    EXPECT_THAT(view.footer().toStdString(), testing::HasSubstr("measured"));
    EXPECT_FALSE(selection.current().time);
    QTest::keyClick(&view, Qt::Key_W);
    EXPECT_TRUE(view.measured());
    QTest::keyClick(&view, Qt::Key_Escape);
    EXPECT_FALSE(view.measured());
}

TEST_F(TimelineViewTest, TakesEscapeBeforeTheWindowWhileSomethingIsMeasured) {
    const auto taken = [this] {
        QKeyEvent asked(QEvent::ShortcutOverride, Qt::Key_Escape, Qt::NoModifier);
        asked.ignore();
        QCoreApplication::sendEvent(&view, &asked);
        return asked.isAccepted();
    };
    EXPECT_FALSE(taken());  // the window's own
    drag(1'000'000, 3'000'000);
    EXPECT_TRUE(taken());
    QTest::keyClick(&view, Qt::Key_Escape);
    EXPECT_FALSE(taken());
}

TEST_F(TimelineViewTest, FillsItsHeightWithItsRows) {
    view.resize(1000, 160);
    plot->replot();
    const double low = plot->yAxis->coordToPixel(TimelineModel::kRowPitch) - plot->yAxis->coordToPixel(0);
    view.resize(1000, 420);
    QTest::qWait(1);
    plot->replot();
    const double high = plot->yAxis->coordToPixel(TimelineModel::kRowPitch) - plot->yAxis->coordToPixel(0);
    EXPECT_GT(high, low);
    EXPECT_LE(high, 85);
    EXPECT_TRUE(view.model().hitAt(QPointF(500'000, plot->yAxis->pixelToCoord(at(500'000, 1).y())), 1));
}

TEST_F(TimelineViewTest, HasAsManyTimesAsThereIsRoomFor) {
    for (const int width : {320, 650, 1400}) {
        view.resize(width, 400);
        QTest::qWait(1);
        plot->replot();
        plot->replot();
        const QFontMetrics metrics(plot->xAxis->tickLabelFont());
        const QVector<double> ticks = visibleTicks();
        ASSERT_GE(ticks.size(), 2) << width;
        const double apart = plot->xAxis->coordToPixel(ticks[1]) - plot->xAxis->coordToPixel(ticks[0]);
        EXPECT_GT(apart, metrics.horizontalAdvance("9.9 ms") + 8) << width;
    }
}

TEST_F(TimelineViewTest, SelectsTimeByDraggingWithShift) {
    drag(1'000'000, 3'000'000, Qt::ShiftModifier);
    ASSERT_TRUE(selection.current().time);
    EXPECT_NEAR(static_cast<double>((selection.current().time->from - Scratch::kStart).count()), 1e6, 2e4);
    EXPECT_FALSE(view.measured());
}

TEST_F(TimelineViewTest, SetsMarks) {
    QTest::keyClick(&view, Qt::Key_M);
    EXPECT_EQ(view.marks().size(), 1U);
}

TEST_F(TimelineViewTest, FollowsGrowingDataOnlyWhileEverythingIsShown) {
    written.add({Scratch::span(SpanKind::Step, 10'000'000, 20'000'000, 10)});
    session.poll();
    view.refresh();
    EXPECT_GE(view.visible().to, 20'000'000);
    QTest::keyClick(&view, Qt::Key_W);
    const TimeStretch zoomed = view.visible();
    written.add({Scratch::span(SpanKind::Step, 20'000'000, 40'000'000, 11)});
    session.poll();
    view.refresh();
    EXPECT_EQ(view.visible(), zoomed);
    QTest::keyClick(&view, Qt::Key_End);
    EXPECT_GE(view.visible().to, 40'000'000);
    EXPECT_NEAR(width(), static_cast<double>(zoomed.to - zoomed.from), 2);
}

TEST_F(TimelineViewTest, ExportsAPictureThatIsNotBlank) {
    for (const Theme* theme : {&Theme::light(), &Theme::dark()}) {
        view.setTheme(*theme);
        view.exportTo(written.path("t.png"), QSize(900, 500));
        const QImage image(written.path("t.png"));
        ASSERT_EQ(image.size(), QSize(900, 500));
        QSet<QRgb> colours;
        for (int y = 0; y < 500; y += 2) {
            for (int x = 0; x < 900; x += 2)
                colours.insert(image.pixel(x, y));
        }
        EXPECT_GT(colours.size(), 20);
        EXPECT_TRUE(colours.contains(theme->background().rgb()));
    }
}

TEST_F(TimelineViewTest, DrawsASimulatedRunAtEveryZoom) {
    ScratchSession simulated{ScratchSession::Empty{}};
    writeSimulatedRun(simulated.writer(), {});
    session.open(simulated.file());
    Selection chosen;
    chosen.layer = LayerIndex(2);
    chosen.expert = session.trace()->selections().front().expert;
    selection.set(chosen);
    const std::int64_t length = view.model().extent().to;
    for (const Theme* theme : {&Theme::light(), &Theme::dark()}) {
        view.setTheme(*theme);
        const QString mode = theme->mode() == Theme::Mode::Dark ? "dark" : "light";
        for (const std::int64_t part : {1, 20, 400}) {
            if (part > 1) view.zoomTo({length / 3, length / 3 + length / part});
            if (part == 1) view.showAll();
            const QString file = simulated.picture(QStringLiteral("timeline-%1-%2.png").arg(mode).arg(part));
            view.exportTo(file, QSize(1280, 480));
            const QImage image(file);
            QSet<QRgb> colours;
            for (int y = 0; y < image.height(); ++y) {
                for (int x = 0; x < image.width(); ++x)
                    colours.insert(image.pixel(x, y));
            }
            EXPECT_TRUE(colours.contains(theme->color(Meaning::Compute).rgb())) << part;
            EXPECT_TRUE(colours.contains(theme->color(Meaning::TransferDemand).rgb())) << part;
        }
    }
}

TEST_F(TimelineViewTest, HasATableOfItsSpans) {
    QAbstractItemModel* table = view.table();
    EXPECT_EQ(table->rowCount(), 30);
    EXPECT_EQ(table->index(0, 0).data().toString(), "attention");
    EXPECT_EQ(table->index(0, 2).data(Qt::EditRole).toLongLong(), 400'000);
    EXPECT_EQ(table->index(0, 2).data().toString(), "400 µs");
}

TEST_F(TimelineViewTest, SaysWhatWouldFillIt) {
    session.close();
    EXPECT_TRUE(view.model().empty());
    EXPECT_EQ(view.table()->rowCount(), 0);
    QTest::keyClick(&view, Qt::Key_W);
    view.exportTo(written.path("empty.png"), QSize(300, 200));
    EXPECT_EQ(QImage(written.path("empty.png")).size(), QSize(300, 200));
}

/// A run that is too long to be taken in whole: 90,000 spans of 500 ns, one every microsecond.
class LongTimelineTest : public testing::Test {
protected:
    static constexpr int kSpans = 90'000;
    LongTimelineTest() {
        std::vector<SpanRecord> spans;
        for (int i = 0; i < kSpans; ++i)
            spans.push_back(Scratch::span(i % 2 == 0 ? SpanKind::Attention : SpanKind::Router, i * 1000LL,
                                          i * 1000LL + 500, i / 10, i % 10));
        written.add(spans);
        written.writer().endRun({}, RunState::Complete);
        session.setReadAtOnce(1);
        session.open(written.file());
        view.resize(1000, 400);
    }
    Scratch written;
    SessionModel session;
    SelectionModel selection;
    TimelineView view{session, selection};
};

TEST_F(LongTimelineTest, IsDrawnFromSumsAndFromSpansWhereTheyAreFew) {
    EXPECT_TRUE(view.model().inParts());
    view.refresh();
    EXPECT_TRUE(view.model().summed());
    EXPECT_LE(view.visible().from, 0);
    EXPECT_GE(view.visible().to, kSpans * 1000LL - 500);
    const TimelineRow& phases = *view.model().rows()->rows().front();
    EXPECT_NEAR(static_cast<double>(phases.items.totalBusy(0, kSpans * 1000LL)), kSpans * 500.0, kSpans * 5.0);

    view.zoomTo({20'000'000, 20'010'000});
    view.refresh();
    EXPECT_FALSE(view.model().summed());
    const auto hit = view.model().hitAt(QPointF(20'002'100, TimelineModel::rowCentre(0)), 10);
    ASSERT_TRUE(hit);
    EXPECT_EQ(view.model().stretchOf(*hit), (TimeStretch{20'002'000, 20'002'500}));
    EXPECT_EQ(view.model().selectionOf(*hit).layer, LayerIndex(2));
    view.showAll();
    view.refresh();
    EXPECT_TRUE(view.model().summed());
}

TEST_F(LongTimelineTest, ReadsWithoutStandingStillAndKeepsItsPicture) {
    QWidget& widget = view;
    widget.show();
    for (int i = 0; i < 1000 && !view.model().hasWhole(); ++i)
        QTest::qWait(2);
    ASSERT_TRUE(view.model().hasWhole());
    view.zoomTo({40'000'000, 40'020'000});
    view.findChild<QCustomPlot*>()->replot();
    EXPECT_TRUE(view.model().summed()) << "the last picture stands until the part is read";
    EXPECT_FALSE(view.model().empty());
    for (int i = 0; i < 1000 && view.model().summed(); ++i)
        QTest::qWait(2);
    EXPECT_FALSE(view.model().summed());
    view.findChild<QCustomPlot*>()->replot();
    QTest::keyClick(&view, Qt::Key_D);
    EXPECT_FALSE(view.model().summed()) << "a small move needs no reading";
}

TEST_F(LongTimelineTest, TakesTheNextRunWhileItReads) {
    QWidget& widget = view;
    widget.show();
    Scratch other;
    other.add({Scratch::span(SpanKind::Step, 0, 1000)});
    session.open(other.file());
    EXPECT_FALSE(view.model().inParts());
    view.refresh();
    EXPECT_EQ(view.model().extent(), (TimeStretch{0, 1000}));
    session.close();
    EXPECT_TRUE(view.model().empty());
}

TEST_F(LongTimelineTest, ExportsWhatItShows) {
    view.exportTo(written.picture("timeline-long.png"), QSize(1200, 300));
    const QImage image(written.picture("timeline-long.png"));
    QSet<QRgb> colours;
    for (int y = 0; y < image.height(); ++y)
        for (int x = 0; x < image.width(); ++x)
            colours.insert(image.pixel(x, y));
    EXPECT_TRUE(colours.contains(paintColor(SpanPaint::Attention, Theme::light()).rgb()));
    EXPECT_EQ(view.table()->rowCount(), static_cast<int>(session.trace()->spans().size()));
}

}  // namespace
}  // namespace expertscope
