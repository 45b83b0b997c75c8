// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/message_bar.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QStyle>
#include <QToolButton>
#include <utility>

namespace expertscope {

MessageBar::MessageBar(QWidget* parent)
    : QFrame(parent), m_icon(new QLabel(this)), m_text(new QLabel(this)), m_offer(new QPushButton(this)) {
    setObjectName("messageBar");
    setFrameShape(QFrame::StyledPanel);
    setAutoFillBackground(true);
    setBackgroundRole(QPalette::ToolTipBase);
    m_text->setForegroundRole(QPalette::ToolTipText);
    m_text->setWordWrap(true);
    m_text->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_text->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred);
    auto* close = new QToolButton(this);
    close->setText("✕");
    close->setAutoRaise(true);
    close->setToolTip("Close this message");
    close->setAccessibleName("Close this message");
    connect(close, &QToolButton::clicked, this, &QWidget::hide);
    m_offer->setObjectName("messageOffer");
    connect(m_offer, &QPushButton::clicked, this, [this] {
        hide();
        // What it does may tell something else here.
        if (const auto accept = std::exchange(m_accept, nullptr)) accept();
    });
    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(10, 4, 4, 4);
    layout->addWidget(m_icon);
    layout->addWidget(m_text, 1);
    layout->addWidget(m_offer, 0, Qt::AlignTop);
    layout->addWidget(close, 0, Qt::AlignTop);
    hide();
}

void MessageBar::tell(Kind kind, const QString& sentence) { tell(kind, sentence, {}, {}); }

void MessageBar::tell(Kind kind, const QString& sentence, const QString& offer, std::function<void()> accept) {
    m_accept = std::move(accept);
    m_offer->setText(offer);
    m_offer->setVisible(!offer.isEmpty());
    const auto icon = kind == Kind::Problem ? QStyle::SP_MessageBoxWarning : QStyle::SP_MessageBoxInformation;
    m_icon->setPixmap(style()->standardIcon(icon).pixmap(18, 18));
    m_text->setText(sentence);
    m_text->setAccessibleName(sentence);
    show();
}

QString MessageBar::sentence() const { return isHidden() ? QString() : m_text->text(); }

}  // namespace expertscope
