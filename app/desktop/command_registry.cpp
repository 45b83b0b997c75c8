// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/command_registry.h"

#include <QMap>

namespace expertscope {

CommandRegistry::CommandRegistry(QObject* parent) : QObject(parent) {}

QAction* CommandRegistry::add(const QString& id, const QString& category, const QString& text,
                              const QList<QKeySequence>& keys, std::function<void()> run) {
    auto* action = new QAction(text, this);
    action->setObjectName(id);
    action->setShortcuts(keys);
    if (!keys.isEmpty()) action->setToolTip(text + " (" + keys.first().toString(QKeySequence::NativeText) + ")");
    connect(action, &QAction::triggered, this, [run = std::move(run)] { run(); });
    m_entries.push_back({.id = id, .text = text, .category = category, .keys = keys, .action = action});
    return action;
}

void CommandRegistry::addViewKeys(const QString& id, const QString& category, const QString& text,
                                  const QList<QKeySequence>& keys) {
    m_entries.push_back({.id = id, .text = text, .category = category, .keys = keys, .action = nullptr});
}

QAction* CommandRegistry::action(const QString& id) const {
    for (const CommandEntry& entry : m_entries) {
        if (entry.id == id) return entry.action;
    }
    return nullptr;
}

QStringList CommandRegistry::conflicts() const {
    QStringList found;
    QMap<QString, QString> ownerOfKey;
    QMap<QString, int> uses;
    for (const CommandEntry& entry : m_entries) {
        if (++uses[entry.id] == 2) found << QString("the id %1 is used twice").arg(entry.id);
        for (const QKeySequence& key : entry.keys) {
            const QString name = key.toString(QKeySequence::PortableText);
            if (ownerOfKey.contains(name)) {
                found << QString("%1 means %2 and %3").arg(name, ownerOfKey.value(name), entry.id);
            }
            ownerOfKey.insert(name, entry.id);
        }
    }
    return found;
}

}  // namespace expertscope
