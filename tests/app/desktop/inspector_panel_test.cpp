// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/inspector_panel.h"

#include <QFormLayout>
#include <QLabel>
#include <QPushButton>
#include <QTemporaryDir>

#include <gtest/gtest.h>

#include "app/desktop/inspector_facts.h"
#include "session_fixture.h"
#include "storage/session_writer.h"
#include "views/base/session_model.h"

namespace expertscope {
namespace {

/// A panel that counts nothing on the UI thread.
class InspectorPanelTest : public ::testing::Test {
protected:
    InspectorPanelTest() : panel(session, selection, {}) {
        panel.setCountAtOnce(0);
        test::writeSession(folder.filePath("s.esdb"));
        test::writeSession(folder.filePath("other.esdb"), "pre-gated");
        session.open(folder.filePath("s.esdb"));
    }
    static Selection expert(int number) {
        Selection selection;
        selection.layer = LayerIndex(1);
        selection.expert = ExpertId(number);
        return selection;
    }
    /// Names and values as they are shown.
    std::vector<std::pair<QString, QString>> shown() const {
        std::vector<std::pair<QString, QString>> facts;
        const auto* form = panel.findChild<QFormLayout*>();
        for (int row = 0; row < form->rowCount(); ++row) {
            const auto text = [&](QFormLayout::ItemRole role) {
                return qobject_cast<QLabel*>(form->itemAt(row, role)->widget())->text();
            };
            facts.emplace_back(text(QFormLayout::LabelRole), text(QFormLayout::FieldRole));
        }
        return facts;
    }
    /// What is to be shown: counted here and now.
    std::vector<std::pair<QString, QString>> counted() const {
        std::vector<std::pair<QString, QString>> facts;
        for (const Fact& fact : inspect(*session.trace(), selection.current()).facts)
            facts.emplace_back(fact.name, fact.value);
        return facts;
    }
    QString title() const { return panel.findChild<QLabel*>("inspectorTitle")->text(); }
    bool settles() const {
        return test::waitUntil([this] { return !panel.counting(); });
    }
    void click(const QString& text) {
        for (QPushButton* button : panel.findChildren<QPushButton*>())
            if (button->text() == text) return button->click();
        FAIL() << "no button " << text.toStdString();
    }

    QTemporaryDir folder;
    SessionModel session;
    SelectionModel selection;
    InspectorPanel panel;
};

const std::pair<QString, QString> kCounting{"numbers", "counting…"}, kNotCounted{"numbers", "not counted"};

TEST_F(InspectorPanelTest, SaysThatItCountsAndThenWhatCountingOnTheSpotGives) {
    selection.set(expert(1));
    EXPECT_TRUE(panel.counting());
    EXPECT_EQ(title(), "Layer 1 · expert 1");
    EXPECT_EQ(shown(), (std::vector{kCounting}));
    ASSERT_TRUE(settles());
    EXPECT_EQ(shown(), counted());
    Selection time;
    time.time = TimeRange{session.trace()->spans().front().start, session.trace()->spans().back().end};
    selection.set(time);
    ASSERT_TRUE(settles());
    EXPECT_EQ(shown(), counted());
}

TEST_F(InspectorPanelTest, TellsWhatNeedsNoCountingAtOnce) {
    Selection token;
    token.tokens = TokenRange{TokenIndex(4), TokenIndex(5)};
    selection.set(token);
    ASSERT_GT(shown().size(), 1U);
    EXPECT_EQ(shown().front(), (std::pair<QString, QString>("text", "“e”")));
    EXPECT_EQ(shown().back(), kCounting);
    selection.set({});
    EXPECT_FALSE(panel.counting());
    EXPECT_EQ(shown(), counted());
}

TEST_F(InspectorPanelTest, ShowsNoNumbersOfWhatIsSelectedNoMore) {
    for (const int number : {0, 1, 2, 3, 1}) {
        selection.set(expert(number));
        EXPECT_EQ(shown(), (std::vector{kCounting}));
    }
    ASSERT_TRUE(settles());
    EXPECT_EQ(title(), "Layer 1 · expert 1");
    EXPECT_EQ(shown(), counted());
}

TEST_F(InspectorPanelTest, ForgetsASessionThatIsLeftWhileItIsCounted) {
    selection.set(expert(1));
    session.open(folder.filePath("other.esdb"));
    EXPECT_EQ(shown(), (std::vector{kCounting}));
    ASSERT_TRUE(settles());
    EXPECT_EQ(shown(), counted());
    selection.set(expert(2));
    session.close();
    EXPECT_FALSE(panel.counting());
    EXPECT_EQ(title(), "Nothing to inspect yet");
    EXPECT_TRUE(shown().empty());
}

TEST_F(InspectorPanelTest, LeavesOffWhenItIsCancelledAndGoesOnWhenAsked) {
    selection.set(expert(1));
    click("Cancel");
    EXPECT_FALSE(panel.counting());
    EXPECT_EQ(shown(), (std::vector{kNotCounted}));
    panel.refresh();
    EXPECT_FALSE(panel.counting()) << "nobody asked for it";
    click("Count on");
    ASSERT_TRUE(settles());
    EXPECT_EQ(shown(), counted());
}

TEST_F(InspectorPanelTest, FollowsARunThatGrows) {
    SessionWriter writer(folder.filePath("grows.esdb").toStdString());
    RunDescription run;
    run.model = test::smallModel();
    run.policy = "on-demand";
    writer.beginRun(run);
    const auto choose = [&](int token) {
        SelectionRecord record;
        record.token = TokenIndex(token);
        record.layer = LayerIndex(1);
        record.expert = ExpertId(1);
        writer.append(std::span<const SelectionRecord>(&record, 1));
        writer.commit();
    };
    choose(0);
    session.open(folder.filePath("grows.esdb"));
    selection.set(expert(1));
    ASSERT_TRUE(settles());
    EXPECT_EQ(shown().front(), (std::pair<QString, QString>("selections", "1")));
    choose(1);
    EXPECT_TRUE(test::waitUntil([&] {
        session.poll();
        return shown().front() == std::pair<QString, QString>("selections", "2");
    }));
    EXPECT_EQ(shown(), counted());
}

}  // namespace
}  // namespace expertscope
