// SPDX-License-Identifier: GPL-3.0-or-later
// The curves and bars of the cache view.

#include <cmath>

#include "views/base/draw_marks.h"
#include "views/base/number_format.h"
#include "views/base/theme.h"
#include "views/cache/cache_model.h"

namespace expertscope {
namespace {

constexpr double kLabelWidth = 46;   // pixels of "12.3 %"
constexpr double kLabelHeight = 18;  // pixels of a label with its distance
constexpr double kMark = 7;          // pixels of a mark on a line

/// Behind the line that is meant.
QColor eachLayerColor(const Theme& theme) {
    QColor color = theme.mutedText();
    color.setAlphaF(0.6F);
    return color;
}

QColor shuffledColor(const Theme& theme) { return theme.color(Meaning::NearMemory); }

}  // namespace

DrawList CacheModel::reuseChart(const Viewport& viewport, const Theme& theme) const {
    DrawList list;
    const bool room = pixelsPerUnitX(viewport) * 0.76 > kLabelWidth;
    const double lift = pixelsPerUnitY(viewport) > 0 ? 2 / pixelsPerUnitY(viewport) : 0;
    for (std::size_t i = 0; i < bins().size(); ++i) {
        const ReuseBin& bin = bins()[i];
        const auto x = static_cast<double>(i);
        list.rects.push_back({QRectF(x - 0.38, 0, 0.76, 100 * bin.share),
                              theme.color(Meaning::Compute),
                              Pattern::Solid,
                              {},
                              static_cast<std::int64_t>(i)});
        list.lines.push_back(
            {{x - 0.46, 100 * bin.randomShare}, {x + 0.46, 100 * bin.randomShare}, theme.text(), true});
        if (!room) continue;
        // Above the bar, and above the line of chance where that would cross it out.
        const double top = 100 * bin.share, chance = 100 * bin.randomShare;
        const bool crossed = chance >= top && chance < top + kLabelHeight / 2 * lift;
        list.texts.push_back({{x, (crossed ? chance : top) + lift},
                              percentText(bin.share),
                              theme.text(),
                              Qt::AlignHCenter | Qt::AlignBottom});
    }
    return list;
}

DrawList CacheModel::overlapChart(const Viewport& viewport, const Theme& theme) const {
    DrawList list;
    if (!m_reuse || m_lags.empty()) return list;
    for (std::int32_t l = 0; l < m_run->model().layers; ++l) {
        Polyline line(list, eachLayerColor(theme));
        for (std::size_t lag = 0; lag < m_lags.size(); ++lag)
            line.to({static_cast<double>(lag), 100 * overlap(l, lag).overlap});
    }
    Polyline random(list, theme.text(), true), popularity(list, shuffledColor(theme), true);
    Polyline measured(list, theme.color(Meaning::Compute));
    const double lift = pixelsPerUnitY(viewport) > 0 ? 7 / pixelsPerUnitY(viewport) : 0;
    for (std::size_t lag = 0; lag < m_lags.size(); ++lag) {
        const LayerOverlap row = overlapAt(lag);
        const auto x = static_cast<double>(lag);
        random.to({x, 100 * row.random});
        popularity.to({x, 100 * row.popularityOnly});
        measured.to({x, 100 * row.overlap});
        if (!std::isfinite(row.overlap)) continue;
        list.rects.push_back({pixelBox({x, 100 * row.overlap}, kMark, viewport),
                              theme.color(Meaning::Compute),
                              Pattern::Solid,
                              {},
                              static_cast<std::int64_t>(lag)});
        if (pixelsPerUnitX(viewport) > kLabelWidth)
            list.texts.push_back({{x, 100 * row.overlap + lift},
                                  percentText(row.overlap),
                                  theme.text(),
                                  Qt::AlignHCenter | Qt::AlignBottom});
    }
    return list;
}

std::vector<LegendEntry> CacheModel::overlapLegend(const Theme& theme) const {
    return {{layer() ? ofLayer() : QStringLiteral("all layers"), theme.color(Meaning::Compute)},
            {QStringLiteral("each layer"), eachLayerColor(theme)},
            {QStringLiteral("by popularity alone (dashed)"), shuffledColor(theme)},
            {QStringLiteral("if random (dashed)"), theme.text()}};
}

DrawList CacheModel::hitChart(const Viewport& viewport, const Theme& theme) const {
    DrawList list;
    if (!m_run || m_run->curve.points.empty()) return list;
    const CacheCurve& curve = m_run->curve;
    Polyline uniform(list, theme.text(), true), shuffled(list, shuffledColor(theme), true);
    for (const CacheCurve::Baseline& baseline : curve.baselines) {
        uniform.to({100 * baseline.share, 100 * baseline.uniform});
        shuffled.to({100 * baseline.share, 100 * baseline.shuffled});
    }
    Polyline decode(list, theme.color(Meaning::RunB)), all(list, theme.color(Meaning::RunA));
    for (const CacheCurve::Point& point : curve.points) {
        decode.to({100 * point.share, 100 * point.decodeHits});
        all.to({100 * point.share, 100 * point.hits});
    }
    const auto upright = [&](double share, double y, const QString& text, const QColor& color, bool dashed) {
        const double x = 100 * share;
        const bool left = share > 0.7;
        list.lines.push_back({{x, 0}, {x, 100}, color, dashed});
        list.texts.push_back({{x + (left ? -0.8 : 0.8), y},
                              text,
                              theme.text(),
                              (left ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter});
    };
    if (std::isfinite(curve.cliff))
        upright(curve.cliff, 97, QStringLiteral("one token's demand (LRU cliff), %1").arg(percentText(curve.cliff)),
                theme.color(Meaning::Wait), true);
    if (const auto own = ownBudget()) {
        upright(*own, 4, QStringLiteral("the run's budget, %1").arg(percentText(*own)), theme.highlight(), false);
        if (const auto hits = measuredHits()) {
            const QPointF at(100 * *own, 100 * *hits);
            addOutline(list, pixelBox(at, 1.6 * kMark, viewport), viewport, theme.text());
            const double aside = pixelsPerUnitX(viewport) > 0 ? 10 / pixelsPerUnitX(viewport) : 0;
            list.texts.push_back({at + QPointF(aside, 0), QStringLiteral("measured %1").arg(percentText(*hits)),
                                  theme.text(), Qt::AlignLeft | Qt::AlignVCenter});
        }
    }
    return list;
}

std::vector<LegendEntry> CacheModel::hitLegend(const Theme& theme) const {
    std::vector<LegendEntry> entries{{QStringLiteral("all tokens"), theme.color(Meaning::RunA)},
                                     {QStringLiteral("generated tokens"), theme.color(Meaning::RunB)},
                                     {QStringLiteral("if shuffled in time (dashed)"), shuffledColor(theme)},
                                     {QStringLiteral("if random (dashed)"), theme.text()}};
    if (m_run && ownBudget() && measuredHits())
        entries.push_back({QStringLiteral("measured, by the run's own policy"), theme.text(), Pattern::Outline});
    return entries;
}

}  // namespace expertscope
