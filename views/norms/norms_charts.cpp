// SPDX-License-Identifier: GPL-3.0-or-later
// One token's norms beside its scores.

#include <algorithm>
#include <cmath>

#include "profiler/analysis/deep/norm_score.h"
#include "views/base/draw_marks.h"
#include "views/base/number_format.h"
#include "views/base/theme.h"
#include "views/norms/norms_model.h"

namespace expertscope {
namespace {

constexpr double kLabelWidth = 38;  // pixels of "0.123"

}  // namespace

bool NormsModel::barsOfAll() const {
    const std::vector<NormOfExpert> shown = bars();
    return std::ranges::any_of(shown, [](const NormOfExpert& bar) { return !bar.chosen; });
}

std::vector<NormOfExpert> NormsModel::bars() const {
    if (!m_run || !m_token || m_layer >= m_run->model().layers) return {};
    if (const DeepLayer* deep = m_run->deepLayer(m_layer)) {
        for (const TokenNorms& token : tokenNorms(*deep)) {
            if (token.token.value() != m_token->token) continue;
            std::vector<NormOfExpert> all;
            for (std::size_t e = 0; e < token.norm.size(); ++e)
                all.push_back({.expert = static_cast<std::int32_t>(e),
                               .norm = token.norm[e],
                               .score = token.score[e],
                               .chosen = token.weight[e] > 0});
            return all;
        }
    }
    std::vector<NormOfExpert> chosen = m_token->layers[static_cast<std::size_t>(m_layer)];
    std::erase_if(chosen, [](const NormOfExpert& bar) { return !std::isfinite(bar.norm); });
    return chosen;
}

QString NormsModel::tokenHeading() const {
    if (!m_run || !m_token) return QStringLiteral("A token's norms against its weights");
    return QStringLiteral("Layer %1 · %2 · %3")
        .arg(QString::number(m_layer), m_run->tokenName(m_token->token),
             barsOfAll() ? QStringLiteral("all experts, norm against score")
                         : QStringLiteral("the experts it chose, norm against weight"));
}

QString NormsModel::tokenMissing() const {
    if (!m_run || !m_token || !bars().empty()) return {};
    if (!hasNorms()) return noNorms();
    return QStringLiteral("Layer %1 has no norms of token %2").arg(QString::number(m_layer), countText(m_token->token));
}

std::pair<double, double> NormsModel::barEnds() const {
    double norm = 0, score = 0;
    for (const NormOfExpert& bar : bars()) {
        norm = std::fmax(norm, bar.norm);
        score = std::fmax(score, bar.score);
    }
    return {norm > 0 ? 1.15 * norm : 1, score > 0 ? 1.15 * score : 1};
}

DrawList NormsModel::tokenChart(const Viewport& viewport, const Theme& theme, const Selection& selected,
                                const Selection& hovered) const {
    DrawList list;
    const std::vector<NormOfExpert> shown = bars();
    const auto [normEnd, scoreEnd] = barEnds();
    const bool room = 0.4 * pixelsPerUnitX(viewport) > kLabelWidth;
    const double lift = pixelsPerUnitY(viewport) > 0 ? 2 / pixelsPerUnitY(viewport) : 0;
    const auto bar = [&](double from, double height, Meaning meaning, Pattern pattern, double value, std::int64_t tag) {
        const QRectF box(from, 0, 0.4, std::fmax(height, 0));
        list.rects.push_back({box, theme.color(meaning), pattern, {}, tag});
        if (room)
            list.texts.push_back({{from + 0.2, box.height() + lift},
                                  numberText(value),
                                  theme.text(),
                                  Qt::AlignHCenter | Qt::AlignBottom});
    };
    for (std::size_t i = 0; i < shown.size(); ++i) {
        const auto x = static_cast<double>(i);
        const auto tag = static_cast<std::int64_t>(i);
        bar(x - 0.41, shown[i].norm, Meaning::Compute, Pattern::Solid, shown[i].norm, tag);
        // Drawn on the axis of norms; the other axis says what it is.
        bar(x + 0.01, shown[i].score / scoreEnd * normEnd, Meaning::TransferDemand, Pattern::DiagonalHatch,
            shown[i].score, tag);
    }
    const bool ofAll = barsOfAll();
    const auto frame = [&](std::size_t i, double inset, const QColor& color) {
        addOutline(list, QRectF(static_cast<double>(i) - 0.47 + inset, 0, 0.94 - 2 * inset, normEnd * (0.99 - inset)),
                   viewport, color);
    };
    for (std::size_t i = 0; i < shown.size(); ++i) {
        if (ofAll && shown[i].chosen)
            list.rects.push_back(
                {QRectF(static_cast<double>(i) - 0.45, 0, 0.9, normEnd * 0.96), theme.text(), Pattern::Outline});
        if (expertIn(hovered, m_layer) == shown[i].expert) frame(i, 0.02, theme.hover());
        if (expertIn(selected, m_layer) == shown[i].expert) frame(i, 0, theme.highlight());
    }
    return list;
}

std::vector<LegendEntry> NormsModel::tokenLegend(const Theme& theme) const {
    const bool ofAll = barsOfAll();
    std::vector<LegendEntry> entries{{QStringLiteral("output norm (left)"), theme.color(Meaning::Compute)},
                                     {ofAll ? QStringLiteral("score (right)") : QStringLiteral("weight (right)"),
                                      theme.color(Meaning::TransferDemand), Pattern::DiagonalHatch}};
    if (ofAll) entries.push_back({QStringLiteral("chosen"), theme.text(), Pattern::Outline});
    return entries;
}

QString NormsModel::describeBar(int at) const {
    const std::vector<NormOfExpert> shown = bars();
    if (at < 0 || at >= static_cast<int>(shown.size())) return {};
    const NormOfExpert& bar = shown[static_cast<std::size_t>(at)];
    return QStringLiteral("Layer %1 · expert %2%3\noutput norm %4, %5 %6")
        .arg(QString::number(m_layer), QString::number(bar.expert),
             bar.chosen ? QString() : QStringLiteral(", not chosen"), numberText(bar.norm),
             barsOfAll() ? QStringLiteral("score") : QStringLiteral("weight"), numberText(bar.score));
}

}  // namespace expertscope
