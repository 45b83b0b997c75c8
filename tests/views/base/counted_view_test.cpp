// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/counted_view.h"

#include <QPushButton>
#include <QVBoxLayout>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

#include "told_sentence.h"
#include "view_window.h"
#include "views/base/chart.h"
#include "views/base/run_analyses.h"
#include "views/base/session_model.h"

namespace expertscope {
namespace {

/// Counts two pieces of a run: its number, then ten times that.
class TwoPieces : public CountedView {
public:
    TwoPieces(SessionModel& session, SelectionModel& selection) : CountedView(session, selection, nullptr) {
        m_chart = new Chart(QStringLiteral("Pieces"), this);
        auto* charts = new QVBoxLayout;
        charts->addWidget(m_chart);
        addCharts({m_chart});
        layOut(charts);
    }
    QString name() const override { return QStringLiteral("pieces"); }
    QString title() const override { return QStringLiteral("Pieces"); }
    QString missing() const { return m_chart->missing(); }
    void cancel() {
        for (QPushButton* button : findChildren<QPushButton*>())
            if (button->text() == "Cancel" || button->text() == "Count on" || button->text() == "Try again")
                button->click();
    }

    std::vector<std::int64_t> pieces;
    std::atomic<bool> fails = false, waits = false;

protected:
    std::optional<RunId> runToShow(EmptyState& empty, const RunTrace* run) override {
        return runToCount(empty, run, QStringLiteral("pieces"));
    }
    void forget() override { pieces.clear(); }
    void countNext() override {
        if (pieces.size() == 2) return;
        count(
            [this, number = run()->value(), second = !pieces.empty()](const JobControl& control) {
                while (waits) {
                    control.at(QStringLiteral("Waiting…"));
                    std::this_thread::sleep_for(std::chrono::milliseconds(1));
                }
                if (fails) throw std::runtime_error("It cannot be counted.");
                return second ? 10 * number : number;
            },
            [this](std::int64_t piece) { pieces.push_back(piece); });
    }
    void draw() override { tellMissing(); }
    void drawMarks() override {}
    void tellMissing() override { tell(m_chart, pieces.size() == 2, QString(), QString()); }
    void takeSelection() override {}

private:
    Chart* m_chart;
};

/// Two runs that have ended.
struct Window : ViewWindow<TwoPieces> {
    Window() : ViewWindow({SimulatedRun{}, {.policy = "on-demand"}}) { session.setCurrentRun(RunId(1)); }
};

TEST(CountedView, CountsOnePieceAfterTheOther) {
    Window window;
    EXPECT_TRUE(window.view->pieces.empty()) << "nobody looks at it";
    EXPECT_EQ(window.view->missing(), "Counting…");
    window.view->refresh();
    EXPECT_EQ(window.view->pieces, (std::vector<std::int64_t>{1, 10}));
    EXPECT_FALSE(window.view->counting());
    EXPECT_EQ(window.view->missing(), "");
}

TEST(CountedView, ForgetsAnotherRun) {
    Window window;
    window.view->refresh();
    window.session.setCurrentRun(RunId(2));
    EXPECT_TRUE(window.view->pieces.empty());
    window.view->refresh();
    EXPECT_EQ(window.view->pieces, (std::vector<std::int64_t>{2, 20}));
    window.session.close();
    EXPECT_TRUE(window.view->pieces.empty());
    EXPECT_EQ(toldSentence(*window.view), "No run to show");
}

TEST(CountedView, KeepsWhatItHasWhereItIsCancelledAndGoesOnWhenAsked) {
    Window window;
    window.view->waits = true;
    window.view->show();
    ASSERT_TRUE(window.view->counting());
    window.view->cancel();
    EXPECT_FALSE(window.view->counting());
    EXPECT_EQ(window.view->missing(), "Not counted");
    window.view->waits = false;
    window.view->cancel();
    window.view->refresh();
    EXPECT_EQ(window.view->pieces.size(), 2U);
    EXPECT_EQ(window.view->missing(), "");
}

TEST(CountedView, SaysWhyCountingFailedAndTriesAgain) {
    Window window;
    window.view->fails = true;
    window.view->refresh();
    EXPECT_TRUE(window.view->pieces.empty());
    EXPECT_EQ(window.view->missing(), "Not counted");
    window.view->fails = false;
    window.view->refresh();
    EXPECT_EQ(window.view->pieces.size(), 2U);
}

}  // namespace
}  // namespace expertscope
