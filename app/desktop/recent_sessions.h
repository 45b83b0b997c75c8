// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QStringList>

class QSettings;

namespace expertscope {

/// The session files that were opened last, newest first, kept in the settings. Files that are gone are not told.
class RecentSessions {
public:
    static constexpr int kMost = 8;

    explicit RecentSessions(QSettings& settings) : m_settings(settings) {}
    /// Absolute paths of files that exist.
    QStringList files() const;
    /// Puts a file first.
    void add(const QString& file);

private:
    QSettings& m_settings;
};

}  // namespace expertscope
