// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/overview/card.h"

#include <QLabel>
#include <QPainter>
#include <QVBoxLayout>

#include "views/base/plot_style.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

constexpr double kRadius = 6;

void paintFrame(QWidget& widget, const Theme& theme) {
    QPainter painter(&widget);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(theme.grid(), 1));
    painter.setBrush(theme.background());
    painter.drawRoundedRect(QRectF(widget.rect()).adjusted(0.5, 0.5, -0.5, -0.5), kRadius, kRadius);
}

void setColour(QLabel* label, const QColor& color) {
    QPalette palette = label->palette();
    palette.setColor(QPalette::WindowText, color);
    label->setPalette(palette);
}

}  // namespace

WrappedLabel::WrappedLabel(const QString& text, QWidget* parent) : QLabel(text, parent) { setWordWrap(true); }

Card::Card(const QString& title, QWidget* parent)
    : QWidget(parent), m_title(new QLabel(title, this)), m_body(new QVBoxLayout), m_theme(&Theme::light()) {
    QFont bold = plotFont();
    bold.setBold(true);
    m_title->setFont(bold);
    setFont(plotFont());
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(12, 8, 12, 10);
    layout->setSpacing(6);
    layout->addWidget(m_title);
    layout->addLayout(m_body, 1);
}

void Card::setTheme(const Theme& theme) {
    m_theme = &theme;
    setColour(m_title, theme.text());
    update();
}

void Card::paintEvent(QPaintEvent*) { paintFrame(*this, *m_theme); }

Figure::Figure(const QString& name, const QString& explanation, QWidget* parent)
    : QWidget(parent),
      m_name(new QLabel(name, this)),
      m_value(new QLabel(this)),
      m_note(new QLabel(this)),
      m_theme(&Theme::light()) {
    setToolTip(explanation);
    QFont large = plotFont();
    large.setPointSizeF(16);
    m_value->setFont(large);
    for (QLabel* label : {m_name, m_note})
        label->setFont(plotFont());
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(12, 6, 12, 6);
    layout->setSpacing(0);
    for (QLabel* label : {m_name, m_value, m_note})
        layout->addWidget(label);
}

void Figure::setValue(const QString& value, const QString& note) {
    m_value->setText(value);
    m_note->setText(note);
}

void Figure::setTheme(const Theme& theme) {
    m_theme = &theme;
    setColour(m_name, theme.mutedText());
    setColour(m_value, theme.text());
    setColour(m_note, theme.mutedText());
    update();
}

void Figure::paintEvent(QPaintEvent*) { paintFrame(*this, *m_theme); }

Badge::Badge(QWidget* parent) : QWidget(parent) {
    setFont(plotFont());
    setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
}

void Badge::setBadge(const QString& text, const QColor& color, const QString& explanation) {
    m_text = text;
    m_color = color;
    setToolTip(explanation);
    setVisible(!text.isEmpty());
    updateGeometry();
    update();
}

QSize Badge::sizeHint() const {
    const QFontMetrics metrics(font());
    return {metrics.horizontalAdvance(m_text) + 18, metrics.height() + 6};
}

void Badge::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(m_color, 1.5));
    painter.setBrush(Qt::NoBrush);
    const QRectF box = QRectF(rect()).adjusted(1, 1, -1, -1);
    painter.drawRoundedRect(box, box.height() / 2, box.height() / 2);
    painter.setPen(palette().color(QPalette::WindowText));
    painter.setFont(font());
    painter.drawText(box, static_cast<int>(Qt::AlignCenter), m_text);
}

}  // namespace expertscope
