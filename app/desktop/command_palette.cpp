// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/command_palette.h"

#include <QCoreApplication>
#include <QKeyEvent>
#include <QLineEdit>
#include <QListWidget>
#include <QVBoxLayout>

#include "app/desktop/command_registry.h"

namespace expertscope {
namespace {

/// The action's own text, which changes with what it would do ("Dark theme", "Light theme").
QString nameOf(const CommandEntry& entry) { return entry.category + ": " + entry.action->text(); }

}  // namespace

CommandPalette::CommandPalette(const CommandRegistry& registry, QWidget* parent)
    : QDialog(parent), m_registry(registry), m_typed(new QLineEdit(this)), m_list(new QListWidget(this)) {
    setObjectName("commandPalette");
    setWindowTitle("Commands");
    setAttribute(Qt::WA_DeleteOnClose);
    m_typed->setPlaceholderText("Type a few letters of a command");
    m_typed->installEventFilter(this);
    auto* layout = new QVBoxLayout(this);
    layout->addWidget(m_typed);
    layout->addWidget(m_list);
    resize(520, 400);
    connect(m_typed, &QLineEdit::textChanged, this, &CommandPalette::filter);
    connect(m_typed, &QLineEdit::returnPressed, this, &CommandPalette::runCurrent);
    connect(m_list, &QListWidget::itemClicked, this, &CommandPalette::runCurrent);
    filter({});
}

bool CommandPalette::matches(const QString& typed, const QString& text) {
    qsizetype from = 0;
    for (const QChar letter : typed) {
        if (letter.isSpace()) continue;
        const qsizetype at = text.indexOf(letter, from, Qt::CaseInsensitive);
        if (at < 0) return false;
        from = at + 1;
    }
    return true;
}

void CommandPalette::filter(const QString& typed) {
    m_list->clear();
    QStringList words, letters;  // ids: what holds the typed text as it stands comes before what holds its letters
    for (const CommandEntry& entry : m_registry.entries()) {
        if (entry.action == nullptr || !entry.action->isEnabled() || entry.id == "window.palette") continue;
        if (nameOf(entry).contains(typed.trimmed(), Qt::CaseInsensitive)) {
            words << entry.id;
        } else if (matches(typed, nameOf(entry))) {
            letters << entry.id;
        }
    }
    for (const QString& id : words + letters)
        addItem(id);
    m_list->setCurrentRow(0);
}

void CommandPalette::addItem(const QString& id) {
    for (const CommandEntry& entry : m_registry.entries()) {
        if (entry.id != id) continue;
        const QString key = entry.keys.isEmpty() ? QString() : entry.keys.first().toString(QKeySequence::NativeText);
        auto* item = new QListWidgetItem(key.isEmpty() ? nameOf(entry) : nameOf(entry) + "    " + key, m_list);
        item->setData(Qt::UserRole, id);
    }
}

void CommandPalette::runCurrent() {
    const QListWidgetItem* item = m_list->currentItem();
    if (item == nullptr) return;
    QAction* action = m_registry.action(item->data(Qt::UserRole).toString());
    close();
    action->trigger();
}

bool CommandPalette::eventFilter(QObject* watched, QEvent* event) {
    if (watched == m_typed && event->type() == QEvent::KeyPress) {
        const int key = static_cast<QKeyEvent*>(event)->key();
        if (key == Qt::Key_Up || key == Qt::Key_Down || key == Qt::Key_PageUp || key == Qt::Key_PageDown) {
            return QCoreApplication::sendEvent(m_list, event);
        }
    }
    return QDialog::eventFilter(watched, event);
}

}  // namespace expertscope
