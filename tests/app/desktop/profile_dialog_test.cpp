// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/profile_dialog.h"

#include <QCheckBox>
#include <QComboBox>
#include <QGuiApplication>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QPushButton>

#include <gtest/gtest.h>

#include "engine/offload/policy_registry.h"
#include "session_fixture.h"

namespace expertscope {
namespace {

/// On the heap and closed by its own buttons, as in the window; the bundled model has been looked at.
class ProfileDialogTest : public ::testing::Test {
protected:
    void SetUp() override {
        dialog = std::make_unique<ProfileDialog>(QStringList{});
        dialog->setAttribute(Qt::WA_DeleteOnClose, false);
        dialog->show();
        ASSERT_TRUE(test::waitUntil([this] { return dialog->problem().isEmpty(); })) << dialog->problem().toStdString();
    }
    QCheckBox* policy(const char* name) { return dialog->findChild<QCheckBox*>(QString("policy_") + name); }
    QPushButton* start() { return dialog->findChild<QPushButton*>("profileStart"); }
    std::unique_ptr<ProfileDialog> dialog;
};

TEST_F(ProfileDialogTest, IsReadyToProfileTheBundledModel) {
    EXPECT_TRUE(start()->isEnabled());
    EXPECT_EQ(dialog->job().model, "demo");
    EXPECT_EQ(dialog->job().budget, "25%");
    EXPECT_FALSE(dialog->job().session.isEmpty());
}

TEST_F(ProfileDialogTest, StartsTheJobThatItShows) {
    std::optional<ProfileJob> started;
    QObject::connect(dialog.get(), &ProfileDialog::startRequested, [&](const ProfileJob& job) { started = job; });
    policy("mixtral-offloading")->setChecked(false);
    start()->click();
    ASSERT_TRUE(started);
    EXPECT_EQ(started->policies, (QStringList{"on-demand", "pre-gated"}));
}

TEST_F(ProfileDialogTest, TakesSeveralBudgetsAtOnce) {
    auto* more = dialog->findChild<QLineEdit*>("profileMoreBudgets");
    const QString one = dialog->job().budget;
    more->setText("10%, 50%," + one);
    EXPECT_EQ(dialog->job().budget, one + ",10%,50%");
    EXPECT_TRUE(start()->isEnabled());
    more->setText("much");
    EXPECT_FALSE(start()->isEnabled());
    EXPECT_TRUE(dialog->problem().contains("much")) << dialog->problem().toStdString();
}

TEST_F(ProfileDialogTest, OffersNoEvictionThatOnlyAReplayCanDo) {
    for (const QComboBox* box : dialog->findChildren<QComboBox*>())
        EXPECT_EQ(box->findText("belady"), -1);
}

TEST_F(ProfileDialogTest, SaysWhyItCannotStartWithoutAPolicy) {
    for (const PolicyInfo& info : policyCatalogue())
        policy(info.name.c_str())->setChecked(false);
    EXPECT_FALSE(start()->isEnabled());
    EXPECT_TRUE(dialog->problem().contains("policy"));
}

TEST_F(ProfileDialogTest, SaysWhyItCannotStartWithoutAPrompt) {
    dialog->findChild<QComboBox*>("profilePromptKind")->setCurrentIndex(1);
    EXPECT_FALSE(start()->isEnabled());
    dialog->findChild<QPlainTextEdit*>()->setPlainText("Once upon a time");
    EXPECT_TRUE(start()->isEnabled());
    EXPECT_EQ(dialog->job().prompt, "Once upon a time");
}

TEST_F(ProfileDialogTest, TellsWhatIsWrongWithAModel) {
    auto* model = dialog->findChild<QComboBox*>("profileModel");
    model->setEditText("/nowhere/at/all");
    emit model->activated(0);
    ASSERT_TRUE(test::waitUntil([this] { return dialog->problem().contains("/nowhere/at/all"); }))
        << dialog->problem().toStdString();
    EXPECT_FALSE(start()->isEnabled());
}

}  // namespace
}  // namespace expertscope
