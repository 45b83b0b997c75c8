// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QTimer>
#include <memory>
#include <optional>
#include <vector>

#include "views/base/view.h"
#include "views/timeline/timeline_model.h"

class QCPAxis;
class QCPAxisTickerText;
class QCustomPlot;
class QLabel;
class QScrollBar;

namespace expertscope {

class BackgroundJob;
class DrawListPlottable;
class EmptyState;
class LegendStrip;
class SpanTable;

/// Compute, waits and transfers of a run over time. W/S zoom at the cursor, A/D pan, F shows the clicked or selected
/// stretch and, again, everything; End follows the newest data. Dragging measures, with Shift it selects the time; a
/// click selects layer, expert and tokens, a double click shows the item; M sets a mark; Esc drops the measurement.
class TimelineView : public View {
    Q_OBJECT
public:
    TimelineView(SessionModel& session, SelectionModel& selection, QWidget* parent = nullptr);
    ~TimelineView() override;

    QString name() const override { return QStringLiteral("timeline"); }
    QString title() const override { return QStringLiteral("Timeline"); }
    void setTheme(const Theme& theme) override;
    void refresh() override;
    void exportTo(const QString& file, const QSize& size) override;
    QAbstractItemModel* table() override;

    const TimelineModel& model() const { return m_model; }
    /// What is visible, nanoseconds since the run's start.
    TimeStretch visible() const;
    void zoomTo(TimeStretch stretch);
    /// Waits until what is visible is drawn as finely as it can be.
    void finishReading();
    /// What was measured last; nothing after dismissMeasure().
    std::optional<TimeStretch> measured() const { return m_measured; }
    const std::vector<std::int64_t>& marks() const { return m_marks; }
    /// What the line below the rows says.
    QString footer() const;

    // The commands behind the keys.
    void zoomIn();
    void zoomOut();
    void panLeft();
    void panRight();
    void focusSelection();
    void showAll();
    void followEnd();
    void addMark();
    void dismissMeasure();

protected:
    bool event(QEvent* event) override;
    void showEvent(QShowEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void leaveEvent(QEvent* event) override;

private:
    enum class Follow { No, All, End };

    // timeline_view.cpp: what is shown
    static QMargins plotMargins();
    void buildPlot();
    void takeTrace();
    void scheduleRefresh();
    void takeIn(std::size_t most);
    void lookOn(bool evenHidden = false);
    void readPart();
    void takePart(TimelinePart part);
    int pixelsAcross() const;
    void followData();
    void updateRows();
    void fitRowsToHeight();
    void updateFooter();
    void updateEmptyState();
    void updateLegend();
    void replotMarks();
    DrawList marksList(const Viewport& viewport) const;
    // timeline_view_input.cpp: how it is moved and asked
    void zoom(double factor);
    void pan(double share);
    void move(double from, double width);
    double timeAt(double x) const;
    std::optional<TimelineHit> hitAt(const QPoint& pos) const;
    void pressed(QMouseEvent* event);
    void moved(QMouseEvent* event);
    void released(QMouseEvent* event);
    void doubleClicked(QMouseEvent* event);
    void wheeled(QWheelEvent* event);
    void hover(const QPoint& pos, const QPoint& global);
    void click(const QPoint& pos);

    TimelineModel m_model;
    const Theme* m_theme;
    QCustomPlot* m_plot;
    QScrollBar* m_scroll;
    LegendStrip* m_legend;
    QLabel* m_footer;
    EmptyState* m_empty;
    DrawListPlottable* m_items;
    DrawListPlottable* m_marksLayer;
    SpanTable* m_table;
    QTimer m_refreshTimer;
    std::shared_ptr<TimelineParts> m_parts;  ///< of a run that is shown in parts; used by the job
    BackgroundJob* m_reading;
    QString m_failure;     ///< why a part could not be read
    bool m_stale = false;  ///< something came while the view was hidden
    Follow m_follow = Follow::All;
    std::optional<QPoint> m_press;
    bool m_dragging = false;
    std::optional<TimeStretch> m_measured;
    std::optional<TimeStretch> m_clicked;  ///< the item that F shows
    std::vector<std::int64_t> m_marks;
    double m_cursor;  ///< time under the cursor; NaN outside
};

}  // namespace expertscope
