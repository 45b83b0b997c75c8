// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/shortcut_sheet.h"

#include <QDialogButtonBox>
#include <QStringList>
#include <QTextBrowser>
#include <QVBoxLayout>

#include "app/desktop/command_registry.h"

namespace expertscope {

QString ShortcutSheet::html(const CommandRegistry& registry) {
    QStringList categories;
    for (const CommandEntry& entry : registry.entries()) {
        if (!entry.keys.isEmpty() && !categories.contains(entry.category)) categories << entry.category;
    }
    QString html;
    for (const QString& category : categories) {
        html += "<h3>" + category.toHtmlEscaped() + "</h3><table cellspacing='0' cellpadding='3'>";
        for (const CommandEntry& entry : registry.entries()) {
            if (entry.category != category || entry.keys.isEmpty()) continue;
            const QString keys = QKeySequence::listToString(entry.keys, QKeySequence::NativeText).replace("; ", " · ");
            html += "<tr><td width='150'><b>" + keys.toHtmlEscaped() + "</b></td><td>" + entry.text.toHtmlEscaped() +
                    "</td></tr>";
        }
        html += "</table>";
    }
    return html;
}

ShortcutSheet::ShortcutSheet(const CommandRegistry& registry, QWidget* parent) : QDialog(parent) {
    setObjectName("shortcutSheet");
    setWindowTitle("Keys");
    setAttribute(Qt::WA_DeleteOnClose);
    auto* text = new QTextBrowser(this);
    text->setFrameShape(QFrame::NoFrame);
    text->setHtml(html(registry));
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close, this);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::close);
    auto* layout = new QVBoxLayout(this);
    layout->addWidget(text);
    layout->addWidget(buttons);
    resize(560, 620);
}

}  // namespace expertscope
