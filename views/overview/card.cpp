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
constexpr int kFigureMargin = 6;
constexpr int kFigureSide = 10;
constexpr int kNarrowestFigure = 120;

void paintFrame(QWidget& widget, const Theme& theme) {
    QPainter painter(&widget);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(theme.grid(), 1));
    painter.setBrush(theme.background());
    painter.drawRoundedRect(QRectF(widget.rect()).adjusted(0.5, 0.5, -0.5, -0.5), kRadius, kRadius);
}

QFont largeFont() {
    QFont font = plotFont();
    font.setPointSizeF(16);
    return font;
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
    : QWidget(parent), m_name(name), m_explanation(explanation), m_theme(&Theme::light()) {
    setFont(plotFont());
    setToolTip(explanation);
    setAccessibleName(name);
    setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Fixed);
}

void Figure::setValue(const QString& value, const QString& note) {
    if (value == m_value && note == m_note) return;
    m_value = value;
    m_note = note;
    setToolTip(QStringLiteral("%1\n%2 · %3").arg(m_explanation, value, note));  // the note may be cut
    setAccessibleDescription(value + QStringLiteral(", ") + note);
    update();
}

void Figure::setTheme(const Theme& theme) {
    m_theme = &theme;
    update();
}

QSize Figure::sizeHint() const {
    const int height = 2 * QFontMetrics(font()).height() + QFontMetrics(largeFont()).height() + 2 * kFigureMargin;
    return {QFontMetrics(font()).horizontalAdvance(m_name) + 2 * kFigureSide, height};
}

QSize Figure::minimumSizeHint() const { return {kNarrowestFigure, sizeHint().height()}; }

void Figure::paintEvent(QPaintEvent*) {
    paintFrame(*this, *m_theme);
    QPainter painter(this);
    QRect line = rect().adjusted(kFigureSide, kFigureMargin, -kFigureSide, 0);
    const auto write = [&](const QString& text, const QFont& font, const QColor& color) {
        const QFontMetrics metrics(font);
        line.setHeight(metrics.height());
        painter.setFont(font);
        painter.setPen(color);
        painter.drawText(line, static_cast<int>(Qt::AlignLeft | Qt::AlignVCenter),
                         metrics.elidedText(text, Qt::ElideRight, line.width()));
        line.moveTop(line.bottom() + 1);
    };
    write(m_name, font(), m_theme->mutedText());
    write(m_value, largeFont(), m_theme->text());
    write(m_note, font(), m_theme->mutedText());
}

Badge::Badge(QWidget* parent) : QWidget(parent) {
    setFont(plotFont());
    setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
}

void Badge::setBadge(const QString& text, const QColor& color, const QString& explanation) {
    setToolTip(explanation);
    if (text == m_text && color == m_color) return;
    m_text = text;
    m_color = color;
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
