// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/profile_dialog.h"

#include <QCheckBox>
#include <QComboBox>
#include <QGuiApplication>
#include <QLabel>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QPushButton>
#include <cstdlib>

#include <gtest/gtest.h>

#include "app/resource_paths.h"
#include "engine/model/checkpoint.h"
#include "engine/offload/policy_registry.h"
#include "engine/offload/pre_gate_table.h"
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

/// The dialog with a file of prepared data for the bundled model.
class PreparedDataInTheDialog : public ProfileDialogTest {
protected:
    void SetUp() override {
        ProfileDialogTest::SetUp();
        facts = Checkpoint::open(resolveModel("demo")).facts();
    }
    /// Chooses a file with these data, and waits until it has been looked at.
    void choose(const PreparedData& data) {
        const QString file = folder.filePath("prepared.safetensors");
        data.save(file.toStdString());
        choose(file);
    }
    void choose(const QString& file) {
        auto* input = dialog->findChild<QComboBox*>("profilePrepared");
        input->setEditText(file);
        emit input->activated(0);
        ASSERT_TRUE(test::waitUntil([this] { return !dialog->problem().contains("looked at"); }));
    }
    QTemporaryDir folder;
    ModelFacts facts;
};

PreparedData popularityOf(const ModelFacts& facts, const std::string& fingerprint) {
    PreparedData data(fingerprint, facts.name);
    const auto size = static_cast<std::size_t>(facts.layers) * static_cast<std::size_t>(facts.experts);
    data.set("popularity", {facts.layers, facts.experts}, std::vector<float>(size, 1.0F));
    return data;
}

void addPreGates(PreparedData& data, const ModelFacts& facts, int layers, std::int64_t hidden) {
    for (int layer = 0; layer < layers; ++layer) {
        const auto size = static_cast<std::size_t>(facts.experts) * static_cast<std::size_t>(hidden);
        data.set(preGateTable(1, LayerIndex(layer)), {facts.experts, hidden}, std::vector<float>(size, 0.5F));
    }
}

TEST_F(PreparedDataInTheDialog, AreGivenToTheJobAndSaidToServeTheirPolicies) {
    EXPECT_TRUE(dialog->job().prepared.isEmpty());
    choose(popularityOf(facts, facts.fingerprint));
    EXPECT_TRUE(start()->isEnabled()) << dialog->problem().toStdString();
    EXPECT_EQ(dialog->job().prepared, folder.filePath("prepared.safetensors"));
    const QString text = dialog->findChild<QLabel*>("profilePreparedFacts")->text();
    EXPECT_TRUE(text.contains("static")) << text.toStdString();
    EXPECT_FALSE(text.contains("pre-gated")) << text.toStdString();
}

TEST_F(PreparedDataInTheDialog, OfAnotherModelAreRefusedInOneSentence) {
    choose(popularityOf(facts, "another fingerprint"));
    EXPECT_FALSE(start()->isEnabled());
    EXPECT_TRUE(dialog->problem().contains("prepared data are of the model")) << dialog->problem().toStdString();
    choose(QString());
    EXPECT_TRUE(start()->isEnabled()) << dialog->problem().toStdString();
}

TEST_F(PreparedDataInTheDialog, ThatAreNoSuchFileAreRefusedInOneSentence) {
    choose(QString::fromStdString(bundledPrompts().string()));
    EXPECT_FALSE(start()->isEnabled());
    EXPECT_TRUE(dialog->problem().contains("expertscope prepare")) << dialog->problem().toStdString();
}

TEST_F(PreparedDataInTheDialog, WithFittedPreGatesServePreGatedOnAnyCheckpoint) {
    PreparedData data(facts.fingerprint, facts.name);
    addPreGates(data, facts, facts.layers - 2, facts.hidden);
    EXPECT_FALSE(useOf(data, facts).hasPreGates) << "the last but one layer has none";
    addPreGates(data, facts, facts.layers - 1, facts.hidden);
    EXPECT_TRUE(useOf(data, facts).hasPreGates);
    EXPECT_TRUE(useOf(data, facts).policies.contains("pre-gated"));
    addPreGates(data, facts, facts.layers - 1, facts.hidden / 2);
    EXPECT_TRUE(useOf(data, facts).problem.contains("shape")) << useOf(data, facts).problem.toStdString();
}

TEST_F(PreparedDataInTheDialog, EnablePreGatedWhereTheCheckpointHasNoPreGates) {
    const char* const data = std::getenv("EXPERTSCOPE_TEST_DATA");
    if (data == nullptr) GTEST_SKIP() << "EXPERTSCOPE_TEST_DATA names no folder of checkpoints";
    const QString model = QString(data) + "/oracle/qwen3_moe";
    const ModelFacts plain = Checkpoint::open(model.toStdString()).facts();
    auto* input = dialog->findChild<QComboBox*>("profileModel");
    input->setEditText(model);
    emit input->activated(0);
    ASSERT_TRUE(test::waitUntil([this] { return !policy("pre-gated")->isEnabled(); }));
    PreparedData fitted(plain.fingerprint, plain.name);
    addPreGates(fitted, plain, plain.layers - 1, plain.hidden);
    choose(fitted);
    EXPECT_TRUE(policy("pre-gated")->isEnabled());
    policy("pre-gated")->setChecked(true);
    EXPECT_TRUE(start()->isEnabled()) << dialog->problem().toStdString();
    EXPECT_TRUE(dialog->job().policies.contains("pre-gated"));
    choose(QString());
    EXPECT_FALSE(policy("pre-gated")->isEnabled());
    EXPECT_FALSE(dialog->job().policies.contains("pre-gated"));
}

}  // namespace
}  // namespace expertscope
