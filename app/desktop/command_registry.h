// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAction>
#include <QKeySequence>
#include <QList>
#include <QObject>
#include <QString>
#include <QStringList>
#include <functional>
#include <vector>

namespace expertscope {

/// One thing that the window can do, or one key that views understand.
struct CommandEntry {
    QString id;        ///< stable: "session.open"
    QString text;      ///< as menus and palette show it
    QString category;  ///< heading in the palette and on the sheet
    QList<QKeySequence> keys;
    QAction* action = nullptr;  ///< null for a key that the views handle themselves
};

/// Every command and key of the window, in one list: menus, toolbar, palette and help sheet are made from it, so a key
/// cannot be shown wrongly or mean two things.
class CommandRegistry : public QObject {
    Q_OBJECT
public:
    explicit CommandRegistry(QObject* parent = nullptr);

    /// Adds a command; `run` is called when it is triggered. An id may be added once.
    QAction* add(const QString& id, const QString& category, const QString& text, const QList<QKeySequence>& keys,
                 std::function<void()> run);
    /// Adds keys that the focused view handles, so that the sheet tells them and nothing else takes them.
    void addViewKeys(const QString& id, const QString& category, const QString& text, const QList<QKeySequence>& keys);

    const std::vector<CommandEntry>& entries() const { return m_entries; }
    /// Null when there is no such command.
    QAction* action(const QString& id) const;
    /// One line for every key that means two things and every id used twice; empty when all is well.
    QStringList conflicts() const;

private:
    std::vector<CommandEntry> m_entries;
};

}  // namespace expertscope
