// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/experts/experts_view.h"

#include <QApplication>
#include <QImage>
#include <QTest>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "scratch_session.h"
#include "storage/expert_counts.h"
#include "tests/profiler/analysis/trace_fixture.h"
#include "views/base/heat_plot.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

int coloursIn(const QImage& image) {
    std::set<QRgb> colours;
    for (int y = 0; y < image.height(); y += 3)
        for (int x = 0; x < image.width(); x += 3)
            colours.insert(image.pixel(x, y));
    return static_cast<int>(colours.size());
}

class ExpertsViewTest : public ::testing::Test {
protected:
    void write(const TestTrace& trace) {
        for (const RequestRecord& request : trace.requests)
            session.writer().append(request);
        session.add(trace.tokens);
        session.add(trace.selections);
        session.add(trace.residency);
    }
    ScratchSession session;
    SessionModel model;
    SelectionModel selection;
};

TEST_F(ExpertsViewTest, WithoutARunItSaysWhatWouldFillIt) {
    ExpertsView view(model, selection);
    view.exportTo(session.picture("experts_empty.png"), {640, 400});
    EXPECT_EQ(view.table()->rowCount(), 0);
}

TEST_F(ExpertsViewTest, EachMapHasItsOwnTable) {
    const TestTrace trace = randomTrace(2, 4, 2, 6, 3, 1, 50);
    write(trace);
    model.open(session.file());
    ExpertsView view(model, selection);
    view.setLayer(1);
    const QAbstractItemModel& table = *view.table();
    ASSERT_EQ(table.rowCount(), view.tokenModel().tokens() * 2);
    int checked = 0;
    for (const SelectionRecord& choice : trace.selections) {
        if (choice.layer != LayerIndex{1}) continue;
        const int row = choice.token.value() * 2 + choice.slot;
        EXPECT_EQ(table.index(row, 0).data(Qt::EditRole).toInt(), choice.token.value());
        EXPECT_EQ(table.index(row, 5).data(Qt::EditRole).toInt(), choice.expert.value());
        EXPECT_FLOAT_EQ(table.index(row, 6).data(Qt::EditRole).toFloat(), choice.weight);
        ++checked;
    }
    EXPECT_GT(checked, 4);
    view.setMode(ExpertsView::Mode::Layers);
    EXPECT_EQ(view.table()->rowCount(), 2 * 4);
}

TEST_F(ExpertsViewTest, ExportsBothMapsInBothThemes) {
    session.beginWideRun();
    write(randomTrace(8, 32, 4, 12, 12, 1, 50));
    model.open(session.file());
    ExpertsView view(model, selection);
    EXPECT_EQ(view.table()->rowCount(), 8 * 32);
    selection.set({{}, {}, LayerIndex{3}, ExpertId{17}});
    for (const auto mode : {ExpertsView::Mode::Layers, ExpertsView::Mode::Tokens}) {
        for (const auto theme : {Theme::Mode::Light, Theme::Mode::Dark}) {
            view.setMode(mode);
            view.setTheme(Theme::of(theme));
            const QString file = session.picture(QStringLiteral("experts_%1_%2.png")
                                                     .arg(mode == ExpertsView::Mode::Layers ? "layers" : "tokens")
                                                     .arg(theme == Theme::Mode::Light ? "light" : "dark"));
            view.exportTo(file, {1440, 900});
            const QImage image(file);
            ASSERT_EQ(image.size(), QSize(1440, 900));
            EXPECT_GT(coloursIn(image), 12);
        }
    }
}

TEST_F(ExpertsViewTest, AClickSelectsTheCellForAllViews) {
    write(randomTrace(2, 4, 2, 3, 2, 1));
    model.open(session.file());
    ExpertsView view(model, selection);
    view.resize(900, 600);
    view.show();
    QApplication::processEvents();
    HeatPlot* plot = view.plot();
    QTest::mouseClick(
        plot, Qt::LeftButton, {},
        QPoint(static_cast<int>(plot->xAxis->coordToPixel(2.5)), static_cast<int>(plot->yAxis->coordToPixel(1.5))));
    EXPECT_EQ(selection.current().layer, LayerIndex{1});
    EXPECT_EQ(selection.current().expert, ExpertId{2});
    EXPECT_FALSE(selection.current().tokens);

    view.setMode(ExpertsView::Mode::Tokens);
    QApplication::processEvents();
    plot = view.plot();
    EXPECT_EQ(view.tokenModel().layer(), LayerIndex{1}) << "follows the shared selection";
    QTest::mouseClick(
        plot, Qt::LeftButton, {},
        QPoint(static_cast<int>(plot->xAxis->coordToPixel(7.5)), static_cast<int>(plot->yAxis->coordToPixel(0.5))));
    EXPECT_EQ(selection.current().tokens, (TokenRange{TokenIndex{7}, TokenIndex{8}}));
    EXPECT_EQ(selection.current().expert, ExpertId{0});
    EXPECT_EQ(view.mapModel().usage().countedTokens(), 1) << "the layers' map counts the selected tokens only";
    QTest::keyClick(&view, Qt::Key_Right);
    EXPECT_EQ(selection.current().tokens, (TokenRange{TokenIndex{8}, TokenIndex{9}}));
}

TEST_F(ExpertsViewTest, FollowsARunThatGrows) {
    const TestTrace trace = randomTrace(2, 4, 2, 3, 2, 1);
    TestTrace first = trace, second = trace;
    const auto half = static_cast<std::ptrdiff_t>(trace.selections.size() / 2);
    first.selections.resize(static_cast<std::size_t>(half));
    second.selections.erase(second.selections.begin(), second.selections.begin() + half);
    write(first);
    model.open(session.file());
    ExpertsView view(model, selection);
    view.resize(900, 600);
    view.show();
    EXPECT_EQ(view.mapModel().usage().countedSelections(), half);
    session.add(second.selections);
    model.poll();
    EXPECT_EQ(view.mapModel().usage().countedSelections(), static_cast<std::int64_t>(trace.selections.size()));
}

/// 80,000 selections, four of a token, and a span of every layer in every step: more than are counted at once.
class LongExpertsViewTest : public ExpertsViewTest {
protected:
    static constexpr int kTokens = 20'000;
    LongExpertsViewTest() {
        std::vector<SelectionRecord> selections;
        std::vector<SpanRecord> spans;
        for (int t = 0; t < kTokens; ++t) {
            for (int layer = 0; layer < 2; ++layer) {
                spans.push_back(
                    ScratchSession::span(SpanKind::Layer, 20 * t + 10 * layer, 20 * t + 10 * layer + 9, t, layer));
                for (int slot = 0; slot < 2; ++slot)
                    selections.push_back(expertscope::selection(t, t, layer, slot, (t + slot + layer) % 4));
            }
        }
        session.add(spans);
        session.add(selections);
        model.open(session.file());
        model.finishReading();
    }
    /// Selects the time of the first `tokens`.
    void selectTimeOf(int tokens) {
        Selection now;
        now.time = TimeRange{ScratchSession::kStart, ScratchSession::kStart + Nanoseconds(20 * tokens)};
        selection.set(now);
    }
    std::int64_t counted(const ExpertsView& view) const { return view.mapModel().usage().countedSelections(); }
    std::int64_t seen(const ExpertsView& view) const { return view.mapModel().usage().seenSelections(); }
    /// Lets the view count to the end; how often it let other events happen meanwhile.
    int countOn(const ExpertsView& view) const {
        int turns = 0;
        for (; seen(view) < 4 * kTokens && turns < 1000; ++turns)
            QApplication::processEvents();
        return turns;
    }
};

TEST_F(LongExpertsViewTest, IsCountedByAndByAndAsAtOnce) {
    ExpertsView view(model, selection);
    view.resize(900, 600);
    view.show();
    EXPECT_LT(seen(view), 4 * kTokens);
    EXPECT_GE(countOn(view), 2);
    EXPECT_EQ(counted(view), 4 * kTokens);
    selectTimeOf(5000);
    EXPECT_LT(seen(view), 2 * kTokens);
    countOn(view);
    EXPECT_EQ(counted(view), 4 * 5000);
    EXPECT_EQ(view.tokenModel().tokens(), kTokens);
    selection.set({});
    view.refresh();
    EXPECT_EQ(counted(view), 4 * kTokens) << "all at once where somebody waits for it";
}

TEST_F(LongExpertsViewTest, CountsWhatWasSelectedLast) {
    ExpertsView view(model, selection);
    view.show();
    for (const int tokens : {100, 7000, 300}) {
        selectTimeOf(tokens);
        QApplication::processEvents();
    }
    countOn(view);
    EXPECT_EQ(counted(view), 4 * 300);
    selectTimeOf(7000);
    model.close();
    QApplication::processEvents();
    EXPECT_EQ(seen(view), 0);
}

TEST_F(LongExpertsViewTest, CountsNothingBehindAnotherTab) {
    ExpertsView view(model, selection);
    view.resize(900, 600);
    view.show();
    view.hide();
    for (int turn = 0; turn < 20; ++turn)
        QApplication::processEvents();
    EXPECT_LT(seen(view), 4 * kTokens);
    view.show();
    countOn(view);
    EXPECT_EQ(counted(view), 4 * kTokens);
}

TEST_F(ExpertsViewTest, DrawsWhatAnotherToolCounted) {
    session.writer().endRun({}, RunState::Complete);
    writeExpertCounts(session.file().toStdString(), session.run(),
                      std::vector<ExpertCount>{{StepIndex(0), LayerIndex(1), ExpertId(2), 30},
                                               {StepIndex(1), LayerIndex(1), ExpertId(2), 15},
                                               {StepIndex(0), LayerIndex(1), ExpertId(3), 5}});
    model.open(session.file());
    ExpertsView view(model, selection);
    view.exportTo(session.picture("experts_counts.png"), {900, 500});
    const ExpertMapModel& map = view.mapModel();
    EXPECT_TRUE(map.hasOnlySums());
    EXPECT_EQ(map.value(ExpertMeasure::Selections, {LayerIndex(1), ExpertId(2)}), 45);
    EXPECT_EQ(map.value(ExpertMeasure::Share, {LayerIndex(1), ExpertId(3)}), 0.1);
    EXPECT_TRUE(std::isnan(map.value(ExpertMeasure::Selections, {LayerIndex(0), ExpertId(0)})));
    EXPECT_TRUE(std::isnan(map.value(ExpertMeasure::MeanWeight, {LayerIndex(1), ExpertId(2)})));
    EXPECT_TRUE(map.counted().contains("without tokens")) << map.counted().toStdString();
    EXPECT_GT(coloursIn(QImage(session.picture("experts_counts.png"))), 8);

    selection.set({{}, TokenRange{TokenIndex(0), TokenIndex(1)}, {}, {}});
    view.refresh();
    EXPECT_TRUE(map.counted().contains("none can be placed")) << map.counted().toStdString();
    selection.set({});
    view.refresh();
    EXPECT_EQ(map.value(ExpertMeasure::Selections, {LayerIndex(1), ExpertId(2)}), 45);
}

TEST_F(ExpertsViewTest, RenderingALayerShowsItsTokens) {
    write(randomTrace(2, 4, 2, 1, 2, 1));
    model.open(session.file());
    ExpertsView view(model, selection);
    view.setLayer(1);
    EXPECT_EQ(view.mode(), ExpertsView::Mode::Tokens);
    EXPECT_EQ(view.tokenModel().layer(), LayerIndex{1});
}

}  // namespace
}  // namespace expertscope
