// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/tokens/tokens_view.h"

#include <QAbstractItemModelTester>
#include <QApplication>
#include <QImage>
#include <QMouseEvent>
#include <QTest>
#include <set>

#include <gtest/gtest.h>

#include "scratch_session.h"
#include "tests/profiler/analysis/trace_fixture.h"
#include "views/base/selection.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"
#include "views/tokens/token_text_area.h"

namespace expertscope {
namespace {

class TokensViewTest : public ::testing::Test {
protected:
    void write(TestTrace trace) {
        static const char* const kWords[] = {" the", " expert", "s", " wait", ",\n", " für", " bytes", "."};
        for (std::size_t i = 0; i < trace.tokens.size(); ++i) {
            trace.tokens[i].bytes = kWords[i % std::size(kWords)];
            trace.tokens[i].logProbability = -0.3F * static_cast<float>(i % 9);
        }
        for (const RequestRecord& request : trace.requests)
            session.writer().append(request);
        session.add(trace.tokens);
        session.add(trace.selections);
    }
    QPoint middleOf(const TokensView& view, int token) {
        return view.model().boxOf(TokenIndex{token}).center().toPoint();
    }
    ScratchSession session;
    SessionModel model;
    SelectionModel selection;
};

TEST_F(TokensViewTest, WithoutARunItSaysWhatWouldFillIt) {
    TokensView view(model, selection);
    view.exportTo(session.picture("tokens_empty.png"), {640, 400});
    EXPECT_EQ(view.table()->rowCount(), 0);
}

TEST_F(TokensViewTest, ExportsEveryColouringInBothThemes) {
    session.beginWideRun();
    write(randomTrace(8, 32, 4, 24, 12, 1, 50));
    model.open(session.file());
    TokensView view(model, selection);
    selection.set({{}, TokenRange{TokenIndex{20}, TokenIndex{24}}, LayerIndex{3}, ExpertId{17}});
    for (const auto colour : {TokenColour::TopExpert, TokenColour::Outcome, TokenColour::LogProbability}) {
        for (const auto theme : {Theme::Mode::Light, Theme::Mode::Dark}) {
            view.setColour(colour);
            view.setTheme(Theme::of(theme));
            const QString file = session.picture(QStringLiteral("tokens_%1_%2.png")
                                                     .arg(static_cast<int>(colour))
                                                     .arg(theme == Theme::Mode::Light ? "light" : "dark"));
            view.exportTo(file, {1440, 900});
            const QImage image(file);
            ASSERT_EQ(image.size(), QSize(1440, 900));
            std::set<QRgb> colours;
            for (int y = 0; y < image.height(); y += 3)
                for (int x = 0; x < image.width(); x += 3)
                    colours.insert(image.pixel(x, y));
            EXPECT_GT(colours.size(), 12U);
        }
    }
}

TEST_F(TokensViewTest, AClickSelectsATokenAndADragARange) {
    write(randomTrace(2, 4, 2, 2, 2, 1));
    model.open(session.file());
    TokensView view(model, selection);
    view.resize(900, 600);
    view.show();
    QApplication::processEvents();
    QWidget* area = view.area()->viewport();
    QTest::mouseClick(area, Qt::LeftButton, {}, middleOf(view, 3));
    EXPECT_EQ(selection.current().tokens, (TokenRange{TokenIndex{3}, TokenIndex{4}}));
    QTest::mousePress(area, Qt::LeftButton, {}, middleOf(view, 9));
    QMouseEvent move(QEvent::MouseMove, middleOf(view, 6), area->mapToGlobal(middleOf(view, 6)), Qt::NoButton,
                     Qt::LeftButton, {});
    QApplication::sendEvent(area, &move);
    QTest::mouseRelease(area, Qt::LeftButton, {}, middleOf(view, 6));
    EXPECT_EQ(selection.current().tokens, (TokenRange{TokenIndex{6}, TokenIndex{10}}));
}

TEST_F(TokensViewTest, TheSharedSelectionsLayerIsTheOneShown) {
    write(randomTrace(2, 4, 2, 2, 2, 1));
    model.open(session.file());
    TokensView view(model, selection);
    selection.set({{}, {}, LayerIndex{1}, {}});
    EXPECT_EQ(view.model().layer(), LayerIndex{1});
}

TEST_F(TokensViewTest, FollowsARunThatGrowsAndSoDoesItsTable) {
    const TestTrace trace = randomTrace(2, 4, 2, 2, 2, 1);
    write(trace);
    model.open(session.file());
    TokensView view(model, selection);
    const QAbstractItemModelTester tester(view.table(), QAbstractItemModelTester::FailureReportingMode::Fatal);
    view.resize(900, 600);
    view.show();
    const int before = view.table()->rowCount();
    EXPECT_EQ(before, static_cast<int>(trace.tokens.size()));
    session.add({ScratchSession::token(before, 40, Phase::Decode, 10, " more", 1)});
    model.poll();
    EXPECT_EQ(view.table()->rowCount(), before + 1);
    EXPECT_EQ(view.table()->data(view.table()->index(before, 4)).toString(), " more");
    EXPECT_EQ(view.table()->data(view.table()->index(0, 6)).toInt(),
              view.model().topExpert(TokenIndex{0}, trace.view())->value());
    EXPECT_FALSE(view.model().boxOf(TokenIndex{before}).isEmpty());
}

}  // namespace
}  // namespace expertscope
