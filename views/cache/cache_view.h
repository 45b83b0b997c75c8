// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QPointF>
#include <optional>

#include "views/base/counted_view.h"
#include "views/cache/cache_model.h"

class QComboBox;
class QMouseEvent;

namespace expertscope {

class HeatPlot;

/// Reuse and cache: after how many tokens experts are chosen again, how much of a token's choice its neighbours share,
/// what an LRU cache of every size would hit, and which experts held a slot when; each beside what random choices would
/// give. Counted off the UI thread once the run has ended.
class CacheView : public CountedView {
    Q_OBJECT
public:
    CacheView(SessionModel& session, SelectionModel& selection, QWidget* parent = nullptr);
    ~CacheView() override;

    QString name() const override { return QStringLiteral("cache"); }
    QString title() const override { return tr("Reuse and cache"); }
    void setLayer(int layer) override;

    const CacheModel& model() const { return m_model; }
    void setCounted(CountedTokens tokens);
    const Chart& reuseChart() const { return *m_reuse; }
    const Chart& overlapChart() const { return *m_overlap; }
    const Chart& hitChart() const { return *m_hits; }
    const Chart& residencyChart() const { return *m_residency; }
    HeatPlot* residencyPlot() const { return m_residencyPlot; }

protected:
    void keyPressEvent(QKeyEvent* event) override;
    std::optional<RunId> runToShow(EmptyState& empty, const RunTrace* run) override;
    void forget() override { m_model.setRun(nullptr); }
    void countNext() override;
    void draw() override;
    void drawMarks() override;
    void tellMissing() override;
    void takeSelection() override;

private:
    void makeControls();
    void makeCharts();
    void connectResidency();
    void chooseLayer(std::optional<LayerIndex> layer);
    void fillLayers();
    void drawReuse();
    void drawOverlap();
    void drawHits();
    void drawResidency();
    void drawResidencyMap();
    void hoverResidency(QMouseEvent* event);
    void releaseResidency(QMouseEvent* event);
    void zoom(double factor, double around);
    void pan(double share);

    CacheModel m_model;
    CountedTokens m_tokens = CountedTokens::All;
    std::optional<QPointF> m_pressedAt;
    std::optional<TokenRange> m_brush;  ///< while it is drawn

    QComboBox *m_counted, *m_layer;
    Chart *m_reuse, *m_overlap, *m_hits, *m_residency;
    HeatPlot* m_residencyPlot;
};

}  // namespace expertscope
