// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/window_style.h"

#include <QPainter>
#include <QStyleOption>

namespace expertscope {

WindowStyle::WindowStyle() : QProxyStyle(QStringLiteral("Fusion")) {}

void WindowStyle::drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                                const QWidget* widget) const {
    QProxyStyle::drawPrimitive(element, option, painter, widget);
    const bool round = element == PE_IndicatorRadioButton;
    if (!round && element != PE_IndicatorCheckBox && element != PE_IndicatorItemViewItemCheck) return;
    painter->save();
    painter->setRenderHint(QPainter::Antialiasing, round);
    // Fusion's own frame lies on these pixels.
    const QRectF frame = QRectF(option->rect).adjusted(0.5, 0.5, -0.5, -0.5);
    painter->setPen(option->palette.color(QPalette::Mid));
    painter->setBrush(Qt::NoBrush);
    if (round)
        painter->drawEllipse(frame);
    else
        painter->drawRect(frame);
    painter->restore();
}

}  // namespace expertscope
