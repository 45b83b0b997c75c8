// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/import_dialog.h"

#include <QCheckBox>
#include <QComboBox>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QSpinBox>
#include <QTemporaryDir>
#include <optional>

#include <gtest/gtest.h>

#include "foreign_file.h"
#include "profiler/interchange/import_registry.h"
#include "session_fixture.h"

namespace expertscope {
namespace {

class ImportDialogTest : public ::testing::Test {
protected:
    void openFor(const QString& name, const QByteArray& bytes) {
        file = folder.filePath(name);
        test::writeFile(file, bytes);
        dialog = std::make_unique<ImportDialog>(file);
        dialog->setAttribute(Qt::WA_DeleteOnClose, false);
        dialog->show();
        ASSERT_TRUE(test::waitUntil([this] { return !dialog->problem().contains("looked at"); }));
    }
    template <class Widget>
    Widget* part(const char* name) {
        return dialog->findChild<Widget*>(name);
    }
    QPushButton* start() { return part<QPushButton>("importStart"); }

    QTemporaryDir folder;
    QString file;
    std::unique_ptr<ImportDialog> dialog;
};

TEST_F(ImportDialogTest, RecognisesTheFileAndSuggestsASessionBesideIt) {
    openFor("routes.csv", test::routingTable(8));
    EXPECT_TRUE(start()->isEnabled()) << dialog->problem().toStdString();
    EXPECT_TRUE(part<QLabel>("importRecognised")->text().startsWith("Recognised: csv"));
    EXPECT_EQ(part<QLineEdit>("importSession")->text(), folder.filePath("routes.esdb"));
    EXPECT_EQ(dialog->request().format, "auto");
    EXPECT_FALSE(dialog->request().options.keepWarmUp);
}

TEST_F(ImportDialogTest, OffersEveryFormatOfTheCommandLine) {
    openFor("routes.csv", test::routingTable(8));
    const auto* formats = part<QComboBox>("importFormat");
    EXPECT_EQ(formats->count(), static_cast<int>(importFormats().size()) + 1);
    for (const ImportFormat& format : importFormats())
        EXPECT_NE(formats->findData(QString::fromStdString(std::string(format.name))), -1) << format.name;
}

TEST_F(ImportDialogTest, AsksForWhatIsChosen) {
    openFor("routes.csv", test::routingTable(8));
    std::optional<ImportRequest> asked;
    QObject::connect(dialog.get(), &ImportDialog::importRequested, [&](const ImportRequest& r) { asked = r; });
    part<QCheckBox>("importLeaveOutWarmUp")->setChecked(false);
    part<QSpinBox>("importLayers")->setValue(4);
    part<QSpinBox>("importExperts")->setValue(16);
    part<QSpinBox>("importTopK")->setValue(2);
    part<QLineEdit>("importExpertBytes")->setText("2MiB");
    part<QLineEdit>("importModelName")->setText("mixtral");
    part<QLineEdit>("importSession")->setText(folder.filePath("other.esdb"));
    part<QComboBox>("importFormat")->setCurrentIndex(part<QComboBox>("importFormat")->findData("csv"));
    ASSERT_TRUE(test::waitUntil([&] { return start()->isEnabled(); })) << dialog->problem().toStdString();
    start()->click();
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->file, file);
    EXPECT_EQ(asked->session, folder.filePath("other.esdb"));
    EXPECT_EQ(asked->format, "csv");
    EXPECT_TRUE(asked->options.keepWarmUp);
    EXPECT_EQ(asked->options.layers, 4);
    EXPECT_EQ(asked->options.experts, 16);
    EXPECT_EQ(asked->options.topK, 2);
    EXPECT_EQ(asked->options.expertBytes, Bytes(2 << 20));
    EXPECT_EQ(asked->options.modelName, "mixtral");
}

TEST_F(ImportDialogTest, SaysWhyAFileCannotBeImportedUntilItsFormatIsNamed) {
    openFor("notes.txt", "nothing of the kind");
    EXPECT_FALSE(start()->isEnabled());
    EXPECT_TRUE(part<QLabel>("importProblem")->text().contains("begins like no format"));
    part<QComboBox>("importFormat")->setCurrentIndex(1);
    EXPECT_TRUE(test::waitUntil([&] { return start()->isEnabled(); }));
}

TEST_F(ImportDialogTest, SaysWhatIsWrongWithASizeOrASession) {
    openFor("routes.csv", test::routingTable(8));
    part<QLineEdit>("importExpertBytes")->setText("much");
    EXPECT_FALSE(start()->isEnabled());
    EXPECT_TRUE(dialog->problem().contains("much")) << dialog->problem().toStdString();
    part<QLineEdit>("importExpertBytes")->setText("");
    part<QLineEdit>("importSession")->setText(" ");
    EXPECT_TRUE(dialog->problem().contains("no name")) << dialog->problem().toStdString();
    part<QLineEdit>("importSession")->setText(file);
    EXPECT_TRUE(dialog->problem().contains("overwrite")) << dialog->problem().toStdString();
    test::writeSession(folder.filePath("there.esdb"));
    part<QLineEdit>("importSession")->setText(folder.filePath("there.esdb"));
    EXPECT_TRUE(start()->isEnabled());
    EXPECT_TRUE(part<QLabel>("importSessionFacts")->text().contains("another run"));
}

TEST_F(ImportDialogTest, MayBeClosedWhileTheFileIsLookedAt) {
    file = folder.filePath("routes.csv");
    test::writeFile(file, test::routingTable(100'000));
    for (int i = 0; i < 10; ++i)
        ImportDialog left(file);
}

}  // namespace
}  // namespace expertscope
