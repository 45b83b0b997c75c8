// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/cache/cache_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "profiler/analysis/run_routing.h"
#include "views/base/number_format.h"

namespace expertscope {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

}  // namespace

void CacheModel::setRun(std::shared_ptr<const CacheRun> run) {
    m_run = std::move(run);
    m_residency.setRun(m_run);
    setReuse(nullptr);
}

void CacheModel::setReuse(std::shared_ptr<const CacheReuse> reuse) {
    m_reuse = std::move(reuse);
    m_lags.clear();
    if (!m_reuse) return;
    for (const LayerOverlap& row : m_reuse->overlaps)
        if (row.layer == m_reuse->overlaps.front().layer) m_lags.push_back(row.lag);
}

void CacheModel::setLayer(std::optional<LayerIndex> layer) {
    if (layer && m_run && layer->value() >= m_run->model().layers) layer.reset();
    m_residency.setLayer(layer);
}

QString CacheModel::ofLayer() const {
    return layer() ? QStringLiteral("layer %1").arg(layer()->value()) : QStringLiteral("all layers");
}

const std::vector<ReuseBin>& CacheModel::bins() const {
    static const std::vector<ReuseBin> none;
    const std::size_t at = layer() ? layer()->index() + 1 : 0;
    return m_reuse && at < m_reuse->histograms.size() ? m_reuse->histograms[at] : none;
}

QString CacheModel::binText(const ReuseBin& bin) {
    return bin.from == bin.to ? QString::number(bin.from) : QStringLiteral("%1–%2").arg(bin.from).arg(bin.to);
}

QString CacheModel::reuseHeading() const {
    std::int64_t distances = 0;
    for (const ReuseBin& bin : bins())
        distances += bin.count;
    return QStringLiteral("Reuse distance · %1 · %2 distances, %3")
        .arg(ofLayer(), countText(distances), countedTokensName(m_reuse ? m_reuse->tokens : CountedTokens::All));
}

QString CacheModel::reuseMissing() const {
    if (!m_reuse || !bins().empty()) return {};
    return QStringLiteral("No expert was chosen twice");
}

double CacheModel::reuseEnd() const {
    double most = 0;
    for (const ReuseBin& bin : bins())
        most = std::max({most, bin.share, bin.randomShare});
    return 100 * most * 1.12 + 1;
}

QString CacheModel::describeBin(int bin) const {
    if (bin < 0 || bin >= static_cast<int>(bins().size())) return {};
    const ReuseBin& what = bins()[static_cast<std::size_t>(bin)];
    return QStringLiteral("Chosen again after %1 tokens: %2 of the distances (%3)\nif random %4")
        .arg(binText(what), percentText(what.share), countText(what.count), percentText(what.randomShare));
}

const LayerOverlap& CacheModel::overlap(std::int32_t layer, std::size_t lag) const {
    return m_reuse->overlaps[static_cast<std::size_t>(layer) * m_lags.size() + lag];
}

LayerOverlap CacheModel::overlapAt(std::size_t lag) const {
    if (layer()) return overlap(layer()->value(), lag);
    // The overlap of all layers' pairs, taken together.
    LayerOverlap mean{.layer = LayerIndex(-1), .lag = m_lags[lag]};
    double weights = 0;
    for (std::int32_t l = 0; l < m_run->model().layers; ++l) {
        const LayerOverlap& row = overlap(l, lag);
        mean.random = row.random;
        if (row.pairs == 0) continue;
        const auto weight = static_cast<double>(row.pairs);
        mean.pairs += row.pairs;
        mean.overlap += weight * row.overlap;
        mean.popularityOnly += weight * row.popularityOnly;
        weights += weight;
    }
    mean.overlap = weights > 0 ? mean.overlap / weights : kNone;
    mean.popularityOnly = weights > 0 ? mean.popularityOnly / weights : kNone;
    return mean;
}

QString CacheModel::overlapHeading() const {
    return QStringLiteral("Overlap of two tokens' experts by their distance · %1 · %2")
        .arg(layer() ? ofLayer() : QStringLiteral("each layer, and all"),
             countedTokensName(m_reuse ? m_reuse->tokens : CountedTokens::All));
}

QString CacheModel::overlapMissing() const {
    if (!m_reuse) return {};
    for (std::size_t lag = 0; lag < m_lags.size(); ++lag)
        if (overlapAt(lag).pairs > 0) return {};
    return QStringLiteral("No two tokens of one request to compare");
}

double CacheModel::overlapEnd() const {
    double most = 0;
    if (m_reuse)
        for (const LayerOverlap& row : m_reuse->overlaps)
            for (const double value : {row.overlap, row.random, row.popularityOnly})
                most = std::fmax(most, value);
    return std::min(100.0, 100 * most * 1.12 + 1);
}

QString CacheModel::describeLag(int lag) const {
    if (lag < 0 || lag >= static_cast<int>(m_lags.size())) return {};
    const LayerOverlap row = overlapAt(static_cast<std::size_t>(lag));
    return QStringLiteral(
               "%1 · %2 tokens apart: %3 of the experts in common\nif random %4 · by popularity alone %5\n%6 "
               "pairs of tokens")
        .arg(ofLayer(), countText(row.lag), percentText(row.overlap), percentText(row.random),
             percentText(row.popularityOnly), countText(row.pairs));
}

QString CacheModel::hitHeading() const {
    if (!m_run || m_run->curve.accesses == 0) return QStringLiteral("Hit rate of a global LRU cache against budget");
    QString text = QStringLiteral("Hit rate of a global LRU cache against budget · %1 accesses of all tokens")
                       .arg(countText(m_run->curve.accesses));
    if (std::isfinite(m_run->curve.firstUses))
        text += QStringLiteral(", %1 first uses").arg(percentText(m_run->curve.firstUses));
    return text;
}

QString CacheModel::hitMissing() const {
    if (!m_run || !m_run->curve.missing.isEmpty()) return m_run ? m_run->curve.missing : QString();
    const bool hits = std::ranges::any_of(m_run->curve.points, [](const CacheCurve::Point& at) { return at.hits > 0; });
    return hits ? QString()
                : QStringLiteral("Every access is the first of its expert: a cache of any size hits nothing.");
}

std::optional<double> CacheModel::ownBudget() const {
    if (!m_run || !m_run->curve.inBytes) return std::nullopt;
    const std::int64_t all = m_run->model().totalExpertBytes.count(), own = m_run->run.description.budget.count();
    if (all <= 0 || own <= 0 || own >= all) return std::nullopt;
    return static_cast<double>(own) / static_cast<double>(all);
}

std::optional<double> CacheModel::measuredHits() const {
    if (!m_run || !m_run->run.summary || m_run->run.summary->accesses <= 0) return std::nullopt;
    return static_cast<double>(m_run->run.summary->hits) / static_cast<double>(m_run->run.summary->accesses);
}

CacheCurve::Point CacheModel::pointAt(double share) const {
    const auto& points = m_run->curve.points;
    const auto after = std::ranges::upper_bound(points, share + 1e-9, {}, &CacheCurve::Point::share);
    return after == points.begin() ? CacheCurve::Point{share, 0, 0} : *std::prev(after);
}

CacheCurve::Baseline CacheModel::baselineAt(double share) const {
    const auto& baselines = m_run->curve.baselines;
    const auto after = std::ranges::upper_bound(baselines, share + 1e-9, {}, &CacheCurve::Baseline::share);
    return after == baselines.begin() ? CacheCurve::Baseline{share, 0, 0} : *std::prev(after);
}

QString CacheModel::describeBudget(double percent) const {
    if (!m_run || m_run->curve.points.empty()) return {};
    const double share = std::clamp(percent / 100, 0.0, 1.0);
    const CacheCurve::Point point = pointAt(share);
    const CacheCurve::Baseline chance = baselineAt(share);
    QString text = QStringLiteral("%1 of all expert%2").arg(percentText(share), m_run->curve.inBytes ? " bytes" : "s");
    text += QStringLiteral(
                ": %1 of all accesses hit, %2 of those of generated tokens\nif shuffled in time %3 · if "
                "random %4")
                .arg(percentText(point.hits), percentText(point.decodeHits), percentText(chance.shuffled),
                     percentText(chance.uniform));
    return text;
}

QString CacheModel::residencyHeading() const {
    if (!m_run) return QStringLiteral("Residency over time");
    const double even = m_residency.evenSpread();
    const QString spread = std::isfinite(even) ? QStringLiteral(" · %1 slots, %2 a layer if spread evenly")
                                                     .arg(countText(m_run->run.description.slots), numberText(even))
                                               : QString();
    if (layer()) return QStringLiteral("Residency over time · experts of %1%2").arg(ofLayer(), spread);
    return QStringLiteral("Residency over time · experts of each layer that hold a slot%1").arg(spread);
}

QString CacheModel::counted() const { return m_reuse ? QStringLiteral("Counted: ") + m_reuse->counted : QString(); }

QStringList CacheModel::columns() const {
    return {"figure",           "layer",  "at", "measured", "if random", "by popularity or shuffled",
            "generated tokens", "counted"};
}

int CacheModel::rowCount() const {
    std::size_t rows = 0;
    if (m_reuse) rows += bins().size() + m_reuse->overlaps.size();
    if (m_run) rows += m_run->curve.points.size() + m_run->residents.size() * static_cast<std::size_t>(m_run->steps());
    return static_cast<int>(rows);
}

std::vector<TableCell> CacheModel::row(int row) const {
    auto at = static_cast<std::size_t>(row);
    if (m_reuse) {
        if (at < bins().size()) return binRow(at);
        at -= bins().size();
        if (at < m_reuse->overlaps.size()) return overlapRow(at);
        at -= m_reuse->overlaps.size();
    }
    if (at < m_run->curve.points.size()) return curveRow(at);
    return residencyRow(at - m_run->curve.points.size());
}

std::vector<TableCell> CacheModel::binRow(std::size_t row) const {
    const ReuseBin& bin = bins()[row];
    return {TableCell(QStringLiteral("reuse distance")),
            layer() ? indexCell(layer()->value()) : TableCell(QStringLiteral("all")),
            TableCell(QStringLiteral("%1 tokens").arg(binText(bin))),
            percentCell(bin.share),
            percentCell(bin.randomShare),
            {},
            {},
            countCell(bin.count)};
}

std::vector<TableCell> CacheModel::overlapRow(std::size_t row) const {
    const LayerOverlap& what = m_reuse->overlaps[row];
    return {TableCell(QStringLiteral("overlap")),
            indexCell(what.layer.value()),
            TableCell(QStringLiteral("%1 tokens apart").arg(what.lag)),
            percentCell(what.overlap),
            percentCell(what.random),
            percentCell(what.popularityOnly),
            {},
            countCell(what.pairs)};
}

std::vector<TableCell> CacheModel::curveRow(std::size_t row) const {
    const CacheCurve::Point& point = m_run->curve.points[row];
    const CacheCurve::Baseline chance = baselineAt(point.share);
    return {TableCell(QStringLiteral("LRU hit rate")),
            TableCell(QStringLiteral("all")),
            TableCell(QStringLiteral("%1 of all experts").arg(percentText(point.share))),
            percentCell(point.hits),
            percentCell(chance.uniform),
            percentCell(chance.shuffled),
            percentCell(point.decodeHits),
            countCell(m_run->curve.accesses)};
}

std::vector<TableCell> CacheModel::residencyRow(std::size_t row) const {
    const auto steps = static_cast<std::size_t>(m_run->steps());
    const std::size_t of = row / steps, step = row % steps;
    return {TableCell(QStringLiteral("resident experts")),
            indexCell(static_cast<std::int32_t>(of)),
            TableCell(QStringLiteral("step %1").arg(step)),
            countCell(m_run->residents[of][step]),
            numberCell(m_residency.evenSpread()),
            {},
            {},
            countCell(m_run->model().experts)};
}

}  // namespace expertscope
