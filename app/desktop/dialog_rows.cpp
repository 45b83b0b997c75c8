// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/dialog_rows.h"

#include <QDialog>
#include <QFileDialog>
#include <QHBoxLayout>
#include <QLineEdit>
#include <QPushButton>
#include <utility>

namespace expertscope {

QWidget* inARow(std::initializer_list<QWidget*> widgets, int stretched) {
    auto* holder = new QWidget;
    auto* layout = new QHBoxLayout(holder);
    layout->setContentsMargins(0, 0, 0, 0);
    int at = 0;
    for (QWidget* widget : widgets)
        layout->addWidget(widget, at++ == stretched ? 1 : 0);
    return holder;
}

QWidget* sessionRow(QLineEdit& line, const QString& title) {
    auto* browse = new QPushButton("Browse…");
    browse->setAutoDefault(false);
    QObject::connect(browse, &QPushButton::clicked, &line, [&line, title] {
        const QString file = QFileDialog::getSaveFileName(line.window(), title, line.text(), "Sessions (*.esdb)",
                                                          nullptr, QFileDialog::DontConfirmOverwrite);
        if (!file.isEmpty()) line.setText(file);
    });
    return inARow({&line, browse}, 0);
}

QWidget* dialogButtons(QDialog& dialog, QPushButton& copy, QPushButton& accept, std::function<void()> take) {
    auto* cancel = new QPushButton("Cancel");
    copy.setAutoDefault(false);
    cancel->setAutoDefault(false);
    accept.setDefault(true);
    QObject::connect(cancel, &QPushButton::clicked, &dialog, &QDialog::close);
    QObject::connect(&accept, &QPushButton::clicked, &dialog, std::move(take));
    return inARow({&copy, new QWidget, cancel, &accept}, 1);
}

}  // namespace expertscope
