// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>

namespace expertscope {

class CommandRegistry;

/// The keys on one sheet, by category, made from the command registry.
class ShortcutSheet : public QDialog {
    Q_OBJECT
public:
    ShortcutSheet(const CommandRegistry& registry, QWidget* parent);
    /// The sheet as rich text.
    static QString html(const CommandRegistry& registry);
};

}  // namespace expertscope
