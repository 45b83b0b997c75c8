// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QPointF>
#include <optional>

#include "views/base/background_job.h"
#include "views/base/view.h"
#include "views/cache/cache_model.h"

class QComboBox;
class QLabel;
class QMouseEvent;

namespace expertscope {

class Chart;
class EmptyState;
class HeatPlot;
class JobStrip;
class LazyTable;

/// Reuse and cache: after how many tokens experts are chosen again, how much of a token's choice its neighbours share,
/// what an LRU cache of every size would hit, and which experts held a slot when; each beside what random choices would
/// give. Counted off the UI thread once the run has ended.
class CacheView : public View {
    Q_OBJECT
public:
    CacheView(SessionModel& session, SelectionModel& selection, QWidget* parent = nullptr);
    ~CacheView() override;

    QString name() const override { return QStringLiteral("cache"); }
    QString title() const override { return tr("Reuse and cache"); }
    void setTheme(const Theme& theme) override;
    /// Waits until everything has been counted.
    void refresh() override;
    void exportTo(const QString& file, const QSize& size) override;
    QAbstractItemModel* table() override;
    void setLayer(int layer) override;

    const CacheModel& model() const { return m_model; }
    void setCounted(CountedTokens tokens);
    const Chart& reuseChart() const { return *m_reuse; }
    const Chart& overlapChart() const { return *m_overlap; }
    const Chart& hitChart() const { return *m_hits; }
    const Chart& residencyChart() const { return *m_residency; }
    HeatPlot* residencyPlot() const { return m_residencyPlot; }
    bool counting() const { return m_job.running(); }

protected:
    void showEvent(QShowEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    QWidget* makeControls();
    void makeCharts();
    void connectResidency();
    void takeRun();
    void ask();
    void ended(const QString& failure, bool cancelled);
    void takeSelection();
    void chooseLayer(std::optional<LayerIndex> layer);
    void fillLayers();
    void draw();
    void drawReuse();
    void drawOverlap();
    void drawHits();
    void drawResidency();
    void drawResidencyMap();
    void drawMarks();
    void tellMissing();
    void hoverResidency(QMouseEvent* event);
    void releaseResidency(QMouseEvent* event);
    void zoom(double factor, double around);
    void pan(double share);

    CacheModel m_model;
    const Theme* m_theme;
    std::optional<RunId> m_run;  ///< that is to be shown; none while it goes on
    QString m_file;              ///< its session
    CountedTokens m_tokens = CountedTokens::All;
    QString m_failure;
    bool m_cancelled = false;
    std::optional<QPointF> m_pressedAt;
    std::optional<TokenRange> m_brush;  ///< while it is drawn

    LazyTable* m_table;
    QWidget* m_controls;
    QComboBox *m_counted, *m_layer;
    Chart *m_reuse, *m_overlap, *m_hits, *m_residency;
    HeatPlot* m_residencyPlot;
    QLabel* m_countedText;
    JobStrip* m_strip;
    EmptyState* m_empty;
    BackgroundJob m_job;  ///< last: ends before what it fills
};

}  // namespace expertscope
