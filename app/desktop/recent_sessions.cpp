// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/recent_sessions.h"

#include <QFileInfo>
#include <QSettings>

namespace expertscope {
namespace {

const QString kKey = "sessions/recent";

}  // namespace

QStringList RecentSessions::files() const {
    QStringList existing;
    for (const QString& file : m_settings.value(kKey).toStringList()) {
        if (QFileInfo::exists(file)) existing << file;
    }
    return existing;
}

void RecentSessions::add(const QString& file) {
    const QString path = QFileInfo(file).absoluteFilePath();
    QStringList kept = files();
    kept.removeAll(path);
    kept.prepend(path);
    m_settings.setValue(kKey, kept.mid(0, kMost));
}

}  // namespace expertscope
