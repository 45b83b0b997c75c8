// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/overview/overview_view.h"

#include <QApplication>
#include <QImage>
#include <QLabel>
#include <QScrollArea>
#include <QScrollBar>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scratch_session.h"
#include "views/base/selection.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"
#include "views/overview/card.h"
#include "views/overview/run_texts.h"
#include "views/overview/stacked_bar.h"

namespace expertscope {
namespace {

TEST(StackedBar, MakesBoxesAsLongAsTheirShares) {
    const std::vector<BarPart> parts{
        {"hits", "3", 3, Qt::green}, {"in flight", "0", 0, Qt::yellow}, {"misses", "1", 1, Qt::red}};
    const DrawList list = stackedBarList(parts, Theme::light());
    ASSERT_EQ(list.rects.size(), 2U);
    EXPECT_EQ(list.rects[0].rect, QRectF(0, 0, 0.75, 1));
    EXPECT_EQ(list.rects[1].rect, QRectF(0.75, 0, 0.25, 1));
    EXPECT_EQ(list.rects[1].label, "25.0 %");
}

TEST(RunTexts, GrowWhereTextCameAndKeepWhatTheReaderSelected) {
    RunTexts texts;
    const OverviewText first{"english", "Once", " upon a"};
    texts.setTexts({first}, true);
    EXPECT_EQ(texts.toPlainText(), "english\nOnce upon a");
    QTextCursor reader = texts.textCursor();
    reader.setPosition(8);
    reader.setPosition(12, QTextCursor::KeepAnchor);
    texts.setTextCursor(reader);

    OverviewText grown = first;
    grown.text += " time";
    texts.setTexts({grown}, true);
    EXPECT_EQ(texts.toPlainText(), "english\nOnce upon a time");
    EXPECT_EQ(texts.textCursor().selectedText(), "Once");

    grown.title = "english, done";
    texts.setTexts({grown, {"french", "Il", " était"}}, true);
    EXPECT_EQ(texts.toPlainText(), "english, done\nOnce upon a time\n\nfrench\nIl était");
    texts.setTheme(Theme::dark());
    EXPECT_EQ(texts.toPlainText(), "english, done\nOnce upon a time\n\nfrench\nIl était");
    texts.setTexts({}, true);
    EXPECT_EQ(texts.toPlainText(), "");
}

TEST(RunTexts, ComeOneAfterAnotherWhereTheyAreLong) {
    std::vector<OverviewText> many;
    QString all;
    for (int i = 0; i < 20; ++i) {
        many.push_back({QString("text %1").arg(i), "prompt", QString("word ").repeated(2000)});
        all += (i == 0 ? "" : "\n\n") + many.back().title + "\n" + many.back().prompt + many.back().text;
    }
    RunTexts texts;
    texts.setTexts(many, false);
    EXPECT_LT(texts.toPlainText().size(), all.size());
    EXPECT_TRUE(all.startsWith(texts.toPlainText()));
    texts.setTheme(Theme::dark());
    for (int turn = 0; turn < 100 && texts.toPlainText() != all; ++turn)
        QApplication::processEvents();
    EXPECT_EQ(texts.toPlainText(), all);

    texts.setTexts({}, false);
    texts.setTexts(many, false);
    texts.finish();
    EXPECT_EQ(texts.toPlainText(), all);
    texts.setTexts(many, false);
    texts.setTexts({many[3]}, false);
    for (int turn = 0; turn < 20; ++turn)
        QApplication::processEvents();
    EXPECT_EQ(texts.toPlainText(), many[3].title + "\n" + many[3].prompt + many[3].text);
}

TEST(RunTexts, StayAtTheirEndWhileARunIsFollowed) {
    RunTexts texts;
    texts.resize(200, 80);
    texts.show();
    OverviewText text{"a", "", QString("line\n").repeated(40)};
    texts.setTexts({text}, true);
    EXPECT_EQ(texts.verticalScrollBar()->value(), texts.verticalScrollBar()->maximum());
    EXPECT_GT(texts.verticalScrollBar()->maximum(), 0);
    texts.verticalScrollBar()->setValue(3);  // somebody reads
    text.text += QString("more\n").repeated(9);
    texts.setTexts({text}, true);
    EXPECT_EQ(texts.verticalScrollBar()->value(), 3);
}

class OverviewViewTest : public testing::Test {
protected:
    OverviewViewTest() {
        writeSimulatedRun(written.writer(), {});
        session.open(written.file());
    }
    ScratchSession written{ScratchSession::Empty{}};
    SessionModel session;
    SelectionModel selection;
    OverviewView view{session, selection};
};

TEST_F(OverviewViewTest, ExportsInBothThemes) {
    for (const Theme* theme : {&Theme::light(), &Theme::dark()}) {
        view.setTheme(*theme);
        const bool dark = theme->mode() == Theme::Mode::Dark;
        const QString file = written.picture(dark ? "overview-dark.png" : "overview-light.png");
        view.exportTo(file, QSize(1280, 720));
        const QImage image(file);
        ASSERT_EQ(image.size(), QSize(1280, 720));
        view.exportTo(written.path("again.png"), QSize(1280, 720));
        EXPECT_EQ(image, QImage(written.path("again.png")));  // what was shown before leaves no trace
        QSet<QRgb> colours;
        for (int y = 0; y < 720; y += 2) {
            for (int x = 0; x < 1280; x += 2)
                colours.insert(image.pixel(x, y));
        }
        EXPECT_GT(colours.size(), 50);
        EXPECT_TRUE(colours.contains(theme->color(Meaning::Hit).rgb()));
        EXPECT_TRUE(colours.contains(theme->color(Meaning::TransferDemand).rgb()));
    }
}

TEST_F(OverviewViewTest, IsLaidOutTheSameInEveryTheme) {
    const auto heights = [&](const Theme& theme) {
        view.setTheme(theme);
        view.resize(1280, 720);
        view.exportTo(written.path("o.png"), QSize(1280, 720));
        std::vector<QRect> places;
        for (const QWidget* part : view.findChildren<QWidget*>())
            places.push_back(part->geometry());
        return places;
    };
    EXPECT_EQ(heights(Theme::light()), heights(Theme::dark()));
}

TEST_F(OverviewViewTest, CutsNoWord) {
    for (const QSize size : {QSize(1280, 720), QSize(1440, 900), QSize(820, 560)}) {
        view.resize(size);
        view.exportTo(written.picture(QStringLiteral("overview-%1.png").arg(size.width())), size);
        for (const QLabel* label : view.findChildren<QLabel*>()) {
            if (label->isHidden() || label->text().isEmpty() || label->wordWrap()) continue;
            EXPECT_GE(label->width(), label->sizeHint().width())
                << label->text().toStdString() << " at " << size.width();
        }
    }
}

TEST_F(OverviewViewTest, IsNeverWiderThanItsPlace) {
    for (const int width : {440, 560, 700, 1440}) {
        view.resize(width, 700);
        view.exportTo(written.path("o.png"), QSize(width, 700));
        const auto* scroll = view.findChild<QScrollArea*>();
        EXPECT_LE(scroll->widget()->width(), width);
        EXPECT_LE(scroll->widget()->minimumSizeHint().width(), width);
    }
}

TEST_F(OverviewViewTest, HasATableOfEveryFigure) {
    std::map<QString, QVariant> rows;
    for (int row = 0; row < view.table()->rowCount(); ++row) {
        rows[view.table()->index(row, 0).data().toString()] = view.table()->index(row, 1).data(Qt::EditRole);
    }
    const RunSummary& f = *session.trace()->entry().summary;
    EXPECT_EQ(rows["Hits"].toLongLong(), f.hits);
    EXPECT_EQ(rows["Moved bytes"].toLongLong(), f.moved.count());
    EXPECT_EQ(rows["Policy"].toString(), "pre-gated");
}

TEST_F(OverviewViewTest, SaysWhatWouldFillIt) {
    session.close();
    EXPECT_FALSE(view.model().hasRun());
    EXPECT_EQ(view.table()->rowCount(), 0);
    view.exportTo(written.path("o.png"), QSize(400, 300));
    EXPECT_EQ(QImage(written.path("o.png")).size(), QSize(400, 300));
}

}  // namespace
}  // namespace expertscope
