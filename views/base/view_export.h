// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QSize>
#include <QString>

class QCustomPlot;
class QWidget;

namespace expertscope {

/// Writes a widget, with all plots in it, as PNG (device pixel ratio 1), SVG or PDF (vectors; one unit a pixel) by the
/// file name's ending, `size` in pixels. Works without a visible window; the widget has its own size again afterwards.
/// Throws UsageError for another ending or an empty size, FailedError when the file cannot be written.
void exportWidget(QWidget& widget, const QString& file, const QSize& size);

}  // namespace expertscope
