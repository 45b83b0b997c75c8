// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/recent_sessions.h"

#include <QFile>
#include <QSettings>
#include <QTemporaryDir>

#include <gtest/gtest.h>

namespace expertscope {
namespace {

class RecentSessionsTest : public ::testing::Test {
protected:
    QString makeFile(const QString& name) {
        QFile file(folder.filePath(name));
        EXPECT_TRUE(file.open(QIODevice::WriteOnly));
        return file.fileName();
    }
    QTemporaryDir folder;
    QSettings settings{folder.filePath("settings.ini"), QSettings::IniFormat};
    RecentSessions recent{settings};
};

TEST_F(RecentSessionsTest, PutTheNewestFirstAndEachOnce) {
    const QString a = makeFile("a.esdb"), b = makeFile("b.esdb");
    recent.add(a);
    recent.add(b);
    recent.add(a);
    EXPECT_EQ(recent.files(), (QStringList{a, b}));
}

TEST_F(RecentSessionsTest, ForgetFilesThatAreGone) {
    const QString a = makeFile("a.esdb"), b = makeFile("b.esdb");
    recent.add(a);
    recent.add(b);
    QFile::remove(b);
    EXPECT_EQ(recent.files(), QStringList{a});
}

TEST_F(RecentSessionsTest, KeepOnlySoMany) {
    for (int i = 0; i < RecentSessions::kMost + 3; ++i)
        recent.add(makeFile(QString("%1.esdb").arg(i)));
    EXPECT_EQ(recent.files().size(), RecentSessions::kMost);
    EXPECT_TRUE(recent.files().first().endsWith("10.esdb"));
}

}  // namespace
}  // namespace expertscope
