// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>

class QLineEdit;
class QListWidget;

namespace expertscope {

class CommandRegistry;

/// Every command by name: type a few letters of it, Enter runs the first.
class CommandPalette : public QDialog {
    Q_OBJECT
public:
    CommandPalette(const CommandRegistry& registry, QWidget* parent);
    /// True when all letters of `typed` occur in `text` in this order, whatever lies between; case is ignored.
    static bool matches(const QString& typed, const QString& text);

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void filter(const QString& typed);
    void addItem(const QString& id);
    void runCurrent();

    const CommandRegistry& m_registry;
    QLineEdit* m_typed;
    QListWidget* m_list;
};

}  // namespace expertscope
