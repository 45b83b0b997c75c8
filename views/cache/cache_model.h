// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QPointF>
#include <QString>
#include <QStringList>
#include <memory>
#include <optional>
#include <vector>

#include "views/base/draw_list.h"
#include "views/base/legend_strip.h"
#include "views/base/table_model.h"
#include "views/cache/cache_data.h"
#include "views/cache/residency_map.h"

namespace expertscope {

class Theme;

/// Reuse and cache of one run, headless: what the worker brought as draw lists, sentences and rows. All shares are
/// drawn in percent.
class CacheModel {
public:
    void setRun(std::shared_ptr<const CacheRun> run);
    void setReuse(std::shared_ptr<const CacheReuse> reuse);
    const std::shared_ptr<const CacheRun>& run() const { return m_run; }
    const std::shared_ptr<const CacheReuse>& reuse() const { return m_reuse; }
    /// Of which layer reuse, overlap and residency are shown; of all where there is none.
    void setLayer(std::optional<LayerIndex> layer);
    const std::optional<LayerIndex>& layer() const { return m_residency.layer(); }
    const ResidencyMap& residency() const { return m_residency; }

    /// Reuse distances: bin i is centred at i on the key axis.
    const std::vector<ReuseBin>& bins() const;
    static QString binText(const ReuseBin& bin);
    QString reuseHeading() const;
    QString reuseMissing() const;
    double reuseEnd() const;
    DrawList reuseChart(const Viewport& viewport, const Theme& theme) const;
    QString describeBin(int bin) const;

    /// Overlap: lag i is at i on the key axis.
    const std::vector<std::int32_t>& lags() const { return m_lags; }
    /// Of one layer, or the mean of all layers by pairs.
    LayerOverlap overlapAt(std::size_t lag) const;
    QString overlapHeading() const;
    QString overlapMissing() const;
    double overlapEnd() const;
    DrawList overlapChart(const Viewport& viewport, const Theme& theme) const;
    std::vector<LegendEntry> overlapLegend(const Theme& theme) const;
    QString describeLag(int lag) const;

    /// Hit rate: budgets and hits in percent.
    QString hitHeading() const;
    QString hitMissing() const;
    DrawList hitChart(const Viewport& viewport, const Theme& theme) const;
    std::vector<LegendEntry> hitLegend(const Theme& theme) const;
    /// The curve at a budget in percent.
    QString describeBudget(double percent) const;
    /// The run's own budget as a share of all expert bytes; none where everything was resident or sizes are not known.
    std::optional<double> ownBudget() const;
    /// What was there when it was looked up, as measured, 0…1.
    std::optional<double> measuredHits() const;

    QString residencyHeading() const;

    QString counted() const;
    QStringList columns() const;
    int rowCount() const;
    std::vector<TableCell> row(int row) const;

private:
    const LayerOverlap& overlap(std::int32_t layer, std::size_t lag) const;
    CacheCurve::Baseline baselineAt(double share) const;
    CacheCurve::Point pointAt(double share) const;
    QString ofLayer() const;
    std::vector<TableCell> binRow(std::size_t row) const;
    std::vector<TableCell> overlapRow(std::size_t row) const;
    std::vector<TableCell> curveRow(std::size_t row) const;
    std::vector<TableCell> residencyRow(std::size_t row) const;

    std::shared_ptr<const CacheRun> m_run;
    std::shared_ptr<const CacheReuse> m_reuse;
    ResidencyMap m_residency;
    std::vector<std::int32_t> m_lags;
};

}  // namespace expertscope
