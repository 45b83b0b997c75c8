// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/empty_state.h"

#include <QEvent>
#include <QLabel>
#include <QVBoxLayout>

#include "views/base/theme.h"

namespace expertscope {

EmptyState::EmptyState(QWidget* parent) : QWidget(parent), m_sentence(new QLabel(this)), m_hint(new QLabel(this)) {
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(24, 24, 24, 24);
    layout->addStretch();
    for (QLabel* label : {m_sentence, m_hint}) {
        label->setAlignment(Qt::AlignCenter);
        label->setWordWrap(true);
        layout->addWidget(label);
    }
    layout->addStretch();
    QFont large = font();
    large.setPointSizeF(14);
    m_sentence->setFont(large);
    setAutoFillBackground(true);
    setGeometry(parent->rect());
    parent->installEventFilter(this);
    hide();
}

void EmptyState::tell(const QString& sentence, const QString& hint) {
    m_sentence->setText(sentence);
    m_hint->setText(hint);
    setGeometry(parentWidget()->rect());
    raise();
    show();
}

QString EmptyState::sentence() const { return m_sentence->text(); }

void EmptyState::setTheme(const Theme& theme) {
    QPalette palette = theme.palette();
    palette.setColor(QPalette::Window, theme.background());
    setPalette(palette);
    QPalette muted = palette;
    muted.setColor(QPalette::WindowText, theme.mutedText());
    m_sentence->setPalette(palette);
    m_hint->setPalette(muted);
}

bool EmptyState::eventFilter(QObject* watched, QEvent* event) {
    if (watched == parentWidget() && event->type() == QEvent::Resize) setGeometry(parentWidget()->rect());
    return QWidget::eventFilter(watched, event);
}

}  // namespace expertscope
