// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QFont>

class QCustomPlot;

namespace expertscope {

class Theme;

/// The font of everything inside plots.
QFont plotFont();
/// Gives a plot the theme's background, axes, ticks, grid, fonts and legend; to be called again when the theme changes
/// or an axis rect is added. Does not replot.
void applyTheme(QCustomPlot& plot, const Theme& theme);

}  // namespace expertscope
