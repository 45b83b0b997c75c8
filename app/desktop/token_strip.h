// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QTimer>
#include <QWidget>

#include "app/desktop/token_strip_model.h"

class QCPItemRect;
class QCustomPlot;

namespace expertscope {

class DrawListPlottable;
class EmptyState;
class SelectionModel;
class SessionModel;

/// The map of the run, always in sight: one bar a token, and the brush that is the shared token range. Dragging sets
/// the range, a click chooses a token, a double click drops it; the arrow keys move it.
class TokenStrip : public QWidget {
    Q_OBJECT
public:
    TokenStrip(SessionModel& session, SelectionModel& selection, QWidget* parent = nullptr);
    void setTheme(const Theme& theme);
    void refresh();
    const TokenStripModel& model() const { return m_model; }
    QSize sizeHint() const override { return {800, 120}; }

protected:
    void resizeEvent(QResizeEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void startAnew();
    void redraw();
    void markSelection();
    bool plotMouse(QEvent* event);
    int tokenAt(const QPointF& pixel) const;
    void select(int from, int last);

    SessionModel& m_session;
    SelectionModel& m_selection;
    TokenStripModel m_model;
    const Theme* m_theme;
    QCustomPlot* m_plot;
    EmptyState* m_empty;
    DrawListPlottable* m_bars;
    QCPItemRect* m_brush;
    QCPItemRect* m_hover;
    QTimer m_pending;
    int m_dragFrom = -1;
};

}  // namespace expertscope
