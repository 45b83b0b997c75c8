// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/diversity/diversity_view.h"

#include <QImage>
#include <QPushButton>
#include <QTest>

#include <gtest/gtest.h>

#include "diversity_fixture.h"
#include "told_sentence.h"
#include "view_window.h"
#include "views/base/job_strip.h"
#include "views/base/matrix_chart.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

using Window = ViewWindow<DiversityView, RunOfCheckpoint>;

TEST(DiversityView, ReadsTheWeightsOfTheRunsModel) {
    Window window;
    window.view->refresh();
    ASSERT_TRUE(window.view->model().curves());
    EXPECT_FALSE(window.view->counting());
    for (std::size_t which = 0; which < DiversityModel::kMaps; ++which)
        EXPECT_FALSE(window.view->mapChart(which).isMissing());
    for (const Chart* chart : {&window.view->curveChart(), &window.view->planeChart(), &window.view->scatterChart()})
        EXPECT_FALSE(chart->isMissing()) << chart->missing().toStdString();
    EXPECT_GT(window.view->table()->rowCount(), 4 * 36);
}

TEST(DiversityView, FollowsTheSharedLayer) {
    Window window;
    window.view->show();
    ASSERT_TRUE(QTest::qWaitFor([&] { return window.view->model().curves() != nullptr; }, 20000));
    EXPECT_EQ(window.view->model().layer()->layer, 0);
    QTest::keyClick(window.view.get(), Qt::Key_Down);
    EXPECT_EQ(window.selection.current().layer, LayerIndex(1));
    EXPECT_TRUE(QTest::qWaitFor(
        [&] { return window.view->model().planes() && window.view->model().planes()->layer == 1; }, 20000));
    EXPECT_TRUE(window.view->mapChart(1).heading().contains("Layer 1"));
}

TEST(DiversityView, ReordersNeuronsOnlyWhenThatIsChosen) {
    Window window;
    window.view->refresh();
    EXPECT_FALSE(window.view->model().reordered());
    const int columns = window.view->table()->columnCount();
    const QString whole = window.view->mapChart(1).heading();
    window.view->setCompared(ComparedExperts::Reordered);
    window.view->refresh();
    ASSERT_TRUE(window.view->model().reordered());
    ASSERT_TRUE(window.view->model().reorderedLayers());
    for (std::size_t which = 0; which < DiversityModel::kMaps; ++which)
        EXPECT_FALSE(window.view->mapChart(which).isMissing());
    EXPECT_FALSE(window.view->curveChart().isMissing());
    EXPECT_TRUE(window.view->mapChart(1).heading().contains("up, reordered"));
    EXPECT_EQ(window.view->table()->columnCount(), columns + 3);
    // The session keeps them as it does the others.
    std::filesystem::remove_all(window.checkpoint());
    DiversityView again(window.session, window.selection);
    again.setCompared(ComparedExperts::Reordered);
    again.refresh();
    EXPECT_TRUE(again.model().reorderedLayers());
    again.setCompared(ComparedExperts::Matrices);
    EXPECT_EQ(again.mapChart(1).heading(), whole);
    EXPECT_EQ(again.table()->columnCount(), columns);
}

TEST(DiversityView, LeavesTheOtherChoicesWhenReorderingIsCancelled) {
    Window window;
    DiversityView& view = *window.view;
    view.show();
    ASSERT_TRUE(QTest::qWaitFor([&] { return view.model().curves() && !view.counting(); }, 20000));
    const std::vector<double> whole = view.model().map(1).values;
    auto* strip = view.findChild<JobStrip*>();
    auto* button = strip->findChild<QPushButton*>();
    view.setCompared(ComparedExperts::Reordered);
    ASSERT_TRUE(view.counting());
    EXPECT_EQ(view.mapChart(1).missing(), "Counting…");
    button->click();
    EXPECT_FALSE(view.counting());
    EXPECT_EQ(view.mapChart(1).missing(), "Not counted");
    EXPECT_EQ(view.curveChart().missing(), "Not counted");
    EXPECT_FALSE(view.mapChart(0).isMissing()) << "router rows need no reordering";
    EXPECT_TRUE(strip->isVisible());
    EXPECT_EQ(button->text(), "Count on");
    view.setCompared(ComparedExperts::Matrices);
    EXPECT_FALSE(view.mapChart(1).isMissing());
    EXPECT_FALSE(view.curveChart().isMissing());
    EXPECT_EQ(view.model().map(1).at(0, 1), whole[1]);
    EXPECT_FALSE(strip->isVisible()) << "nothing is left to count";
    EXPECT_FALSE(view.model().reordered());
    view.setCompared(ComparedExperts::Reordered);
    EXPECT_TRUE(QTest::qWaitFor([&] { return view.model().reorderedLayers() && !view.counting(); }, 20000));
    EXPECT_FALSE(view.mapChart(1).isMissing());
}

TEST(DiversityView, ShowsWhatTheSessionKeptWhenTheCheckpointIsGone) {
    Window window;
    window.view->refresh();
    std::filesystem::remove_all(window.checkpoint());
    DiversityView again(window.session, window.selection);
    again.refresh();
    EXPECT_TRUE(again.model().curves());
    EXPECT_FALSE(again.curveChart().isMissing());
}

TEST(DiversityView, SaysWhatToDoWhereTheCheckpointIsGone) {
    Window window;
    std::filesystem::remove_all(window.checkpoint());
    window.view->refresh();
    EXPECT_FALSE(window.view->model().layer());
    EXPECT_EQ(window.view->curveChart().missing(), "Not counted");
    EXPECT_EQ(window.view->table()->rowCount(), 0);
}

TEST(DiversityView, WaitsForTheRunToEnd) {
    Window window(RunState::Running);
    window.view->refresh();
    EXPECT_EQ(toldSentence(*window.view), "This run is still going on");
    EXPECT_FALSE(window.view->model().layer());
}

TEST(DiversityView, SaysWhatWouldFillIt) {
    SessionModel session;
    SelectionModel selection;
    DiversityView view(session, selection);
    view.refresh();
    EXPECT_EQ(view.table()->rowCount(), 0);
    EXPECT_EQ(toldSentence(view), "No run to show");
}

TEST(DiversityView, ExportsBothThemes) {
    Window window;
    for (const Theme::Mode mode : {Theme::Mode::Light, Theme::Mode::Dark}) {
        window.view->setTheme(Theme::of(mode));
        const QString file =
            window.file.picture(mode == Theme::Mode::Dark ? "diversity_dark.png" : "diversity_light.png");
        window.view->exportTo(file, QSize(1400, 800));
        const QImage image(file);
        ASSERT_EQ(image.size(), QSize(1400, 800));
        int pairs = 0;
        for (int y = 0; y < image.height(); ++y)
            for (int x = 0; x < image.width(); ++x)
                pairs += image.pixelColor(x, y) == Theme::of(mode).color(Meaning::Compute) ? 1 : 0;
        EXPECT_GT(pairs, 300);
    }
}

}  // namespace
}  // namespace expertscope
