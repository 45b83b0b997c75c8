// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/norms/activation_model.h"

#include <algorithm>
#include <cmath>

#include "engine/base/deep_aggregates.h"
#include "views/base/draw_marks.h"
#include "views/base/number_format.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

constexpr double kWithinColours = 0.995;
constexpr double kNumberHeight = 12;  // pixels a row needs for a number

/// The value that a part of the sizes of all numbers do not exceed; 1 where all are 0.
double limitOf(const std::vector<double>& values) {
    std::vector<double> sizes;
    for (const double value : values)
        if (!std::isnan(value)) sizes.push_back(std::abs(value));
    if (sizes.empty()) return 1;
    const auto at = sizes.begin() + std::lround(kWithinColours * static_cast<double>(sizes.size() - 1));
    std::ranges::nth_element(sizes, at);
    return *at > 0 ? *at : 1;
}

}  // namespace

void ActivationModel::setRun(std::shared_ptr<const NormsRun> run) {
    m_run = std::move(run);
    setActivations(nullptr);
}

void ActivationModel::setActivations(std::shared_ptr<const ActivationsOfToken> activations) {
    m_shown = std::move(activations);
    m_map = {};
    const ActivationMap* map = shown();
    if (!map) return;
    m_map.rows = map->experts;
    m_map.columns = map->neurons;
    m_map.values.assign(map->values.begin(), map->values.end());
    m_map.high = limitOf(m_map.values);
    m_map.low = -m_map.high;
    m_map.isSigned = true;
    m_map.text = hundredthsText;
}

bool ActivationModel::has(int layer, int token) const {
    return m_shown && m_shown->layer == layer && m_shown->token == token;
}

QString ActivationModel::heading() const {
    const ActivationMap* map = shown();
    if (!map) return QStringLiteral("A token's activations, of every neuron");
    const auto active = std::ranges::count_if(map->values, [](float a) { return std::abs(a) > kDeepActive; });
    return QStringLiteral("Layer %1 · %2 · activations of %3 experts × %4 neurons · |a| > 0.001: %5")
        .arg(QString::number(m_shown->layer), m_run->tokenName(m_shown->token), QString::number(map->experts),
             countText(map->neurons), percentText(active, std::ssize(map->values)));
}

QString ActivationModel::missing() const {
    if (!m_run || shown()) return {};
    if (!kept()) return QStringLiteral("No activations of single tokens");
    if (!m_shown) return {};
    return QStringLiteral("Layer %1 has no activations of token %2")
        .arg(QString::number(m_shown->layer), countText(m_shown->token));
}

QString ActivationModel::missingHint() const {
    if (!m_run) return {};
    if (!kept()) return QString::fromStdString(m_run->raw.missing());
    const auto& layers = m_run->raw.layers();
    return QStringLiteral("The deep capture kept those of the tokens %1 to %2 in the layers %3 to %4.")
        .arg(countText(m_run->activeTokens.first), countText(m_run->activeTokens.second),
             QString::number(layers.front().value()), QString::number(layers.back().value()));
}

QString ActivationModel::describe(MatrixMap::Cell cell) const {
    const ActivationMap* map = shown();
    if (!map) return {};
    const auto expert = static_cast<std::size_t>(cell.row);
    const QString weight =
        map->chosen(expert)
            ? QStringLiteral("chosen with weight %1").arg(numberText(static_cast<double>(map->weights[expert])))
            : QStringLiteral("not chosen");
    return QStringLiteral("Layer %1 · expert %2, %3\nneuron %4: activation %5")
        .arg(QString::number(m_shown->layer), QString::number(cell.row), weight, countText(cell.column),
             numberText(m_map.at(cell.row, cell.column)));
}

double ActivationModel::weightEnd() const {
    double most = 0;
    for (int expert = 0; expert < m_map.rows; ++expert)
        if (chosen(expert))
            most = std::max(most, static_cast<double>(shown()->weights[static_cast<std::size_t>(expert)]));
    return most > 0 ? most : 1;
}

DrawList ActivationModel::weights(const Viewport& viewport, const Theme& theme) const {
    DrawList list;
    const double end = weightEnd();
    // A bar of less than three pixels would not be seen in a map of many experts.
    const double pixels = pixelsPerUnitY(viewport), height = pixels > 0 ? std::max(0.8, 3 / pixels) : 0.8;
    for (int expert = 0; expert < m_map.rows; ++expert) {
        if (!chosen(expert)) continue;
        const auto weight = static_cast<double>(shown()->weights[static_cast<std::size_t>(expert)]);
        list.rects.push_back({QRectF(0, expert + 0.5 - height / 2, weight, height),
                              theme.color(Meaning::TransferDemand),
                              Pattern::Solid,
                              {},
                              expert});
        if (pixels >= kNumberHeight)
            list.texts.push_back({QPointF(end * kWeightRoom, expert + 0.5), numberText(weight), theme.text(),
                                  Qt::AlignRight | Qt::AlignVCenter});
    }
    return list;
}

QStringList ActivationModel::columns() { return {"token", "neuron", "activation"}; }

std::vector<TableCell> ActivationModel::row(int row, int filler) const {
    std::vector<TableCell> cells{TableCell(QStringLiteral("activations")), indexCell(m_shown->layer),
                                 indexCell(row / m_map.columns)};
    cells.resize(cells.size() + static_cast<std::size_t>(filler));
    cells.push_back(indexCell(m_shown->token));
    cells.push_back(indexCell(row % m_map.columns));
    cells.push_back(numberCell(m_map.values[static_cast<std::size_t>(row)]));
    return cells;
}

}  // namespace expertscope
