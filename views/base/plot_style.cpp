// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/plot_style.h"

#include <QApplication>

#include <qcustomplot.h>

#include "views/base/theme.h"

namespace expertscope {
namespace {

void styleAxis(QCPAxis& axis, const Theme& theme, const QFont& font) {
    const QPen line(theme.mutedText(), 1);
    axis.setBasePen(line);
    axis.setTickPen(line);
    axis.setSubTickPen(line);
    axis.setTickLabelColor(theme.mutedText());
    axis.setTickLabelFont(font);
    axis.setLabelColor(theme.text());
    axis.setLabelFont(font);
    axis.setSelectedBasePen(line);
    axis.setSelectedTickPen(line);
    axis.setSelectedSubTickPen(line);
    axis.grid()->setPen(QPen(theme.grid(), 1));
    axis.grid()->setSubGridPen(QPen(theme.grid(), 1, Qt::DotLine));
    axis.grid()->setZeroLinePen(QPen(theme.grid(), 1));
}

}  // namespace

QFont plotFont() {
    QFont font = QApplication::font();
    font.setPointSizeF(9);
    return font;
}

void applyTheme(QCustomPlot& plot, const Theme& theme) {
    const QFont font = plotFont();
    QPalette palette = plot.palette();
    palette.setColor(QPalette::Base, theme.background());
    palette.setColor(QPalette::Window, theme.background());
    palette.setColor(QPalette::Text, theme.text());
    plot.setPalette(palette);
    plot.setFont(font);
    plot.setBackground(QBrush(theme.background()));
    for (QCPAxisRect* rect : plot.axisRects()) {
        rect->setBackground(QBrush(theme.background()));
        for (QCPAxis* axis : rect->axes())
            styleAxis(*axis, theme, font);
    }
    if (plot.legend) {
        plot.legend->setBrush(QBrush(theme.background()));
        plot.legend->setBorderPen(QPen(theme.grid(), 1));
        plot.legend->setTextColor(theme.text());
        plot.legend->setFont(font);
    }
}

}  // namespace expertscope
