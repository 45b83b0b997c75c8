// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/experts/expert_map_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "views/base/colour_science.h"
#include "views/base/draw_marks.h"
#include "views/base/give_back.h"
#include "views/base/number_format.h"
#include "views/base/theme.h"

namespace expertscope {

namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();
constexpr double kLabelHeight = 13;  // pixels a row needs for a number

QRectF cellBox(int expert, int layer) { return {static_cast<double>(expert), static_cast<double>(layer), 1, 1}; }

}  // namespace

SelectionFilter filterOf(const Selection& selection) {
    SelectionFilter filter;
    if (selection.tokens) {
        filter.fromToken = selection.tokens->from;
        filter.toToken = selection.tokens->to;
    }
    if (selection.time) {
        filter.fromTime = selection.time->from;
        filter.toTime = selection.time->to;
    }
    return filter;
}

void ExpertMapModel::setRun(const ModelFacts& model) {
    m_model = model;
    m_sums.clear();
    countAnew();
}

void ExpertMapModel::setSums(std::vector<ExpertCount> sums) {
    m_sums = std::move(sums);
    countAnew();
}

void ExpertMapModel::countAnew() {
    giveBack(std::exchange(m_usage, ExpertUsageCounter(m_model.layers, m_model.experts, m_filter)));
    giveBack(std::exchange(m_reuse, ReuseCounter(m_model.layers, m_model.experts, m_model.topK, m_filter)));
    for (const ExpertCount& sum : m_sums)
        m_usage.addSum(sum.layer, sum.expert, sum.count);
}

bool ExpertMapModel::setFilter(const SelectionFilter& filter) {
    if (filter == m_filter) return false;
    m_filter = filter;
    countAnew();
    return true;
}

bool ExpertMapModel::update(const TraceView& trace) {
    const bool counted = m_usage.update(trace);
    const bool reused = m_reuse.update(trace);
    return counted || reused;
}

void ExpertMapModel::setMeasure(ExpertMeasure measure) {
    if (measure != m_measure) m_lockedScale.reset();
    m_measure = measure;
}

double ExpertMapModel::value(ExpertMeasure measure, Cell cell) const {
    const ExpertUsage& usage = m_usage.at(cell.layer, cell.expert);
    switch (measure) {
        case ExpertMeasure::Selections:
            // Nothing recorded for the whole layer is no data; nothing for one expert of it is a zero.
            return m_usage.layerSelections(cell.layer) > 0 ? static_cast<double>(usage.selections) : kNoData;
        case ExpertMeasure::Share:
            return m_usage.share(cell.layer, cell.expert);
        case ExpertMeasure::MeanWeight:
            return usage.meanWeight();
        case ExpertMeasure::MeanNorm:
            return usage.meanNorm();
        case ExpertMeasure::HitRate:
            return usage.hitRate();
        case ExpertMeasure::UsesPerLoad:
            return usage.usesPerLoad();
        case ExpertMeasure::ReuseDistance:
            return m_reuse.medianDistance(cell.layer, cell.expert);
    }
    return kNoData;
}

void ExpertMapModel::setScaleLocked(bool locked) {
    if (locked)
        m_lockedScale = scale();
    else
        m_lockedScale.reset();
}

std::pair<double, double> ExpertMapModel::scale() const {
    if (m_lockedScale) return *m_lockedScale;
    if (m_measure == ExpertMeasure::HitRate) return {0.0, 1.0};
    double highest = 0;
    for (std::int32_t layer = 0; layer < layers(); ++layer)
        for (std::int32_t expert = 0; expert < experts(); ++expert)
            highest = std::fmax(highest, value({LayerIndex{layer}, ExpertId{expert}}));
    return {0.0, niceCeiling(highest)};
}

int ExpertMapModel::perColumn(const Viewport& viewport) const {
    if (viewport.pixels.width() <= 0) return 1;
    return std::max(1, static_cast<int>(std::ceil(viewport.range.width() / viewport.pixels.width())));
}

DrawList ExpertMapModel::map(const Viewport& viewport, const Theme& theme) const {
    DrawList list;
    if (layers() == 0 || experts() == 0) return list;
    const int group = perColumn(viewport);
    const int columns = (experts() + group - 1) / group;
    const auto [low, high] = scale();
    QImage image(columns, layers(), QImage::Format_RGB32);
    std::vector<double> values(static_cast<std::size_t>(columns) * static_cast<std::size_t>(layers()), kNoData);
    const auto at = [&](std::int32_t layer, int column) -> double& {
        return values[static_cast<std::size_t>(layer) * static_cast<std::size_t>(columns) +
                      static_cast<std::size_t>(column)];
    };
    for (std::int32_t layer = 0; layer < layers(); ++layer) {
        for (int column = 0; column < columns; ++column) {
            double most = kNoData;
            for (int e = column * group; e < std::min(experts(), (column + 1) * group); ++e)
                most = std::fmax(most, value({LayerIndex{layer}, ExpertId{e}}));
            at(layer, column) = most;
            image.setPixel(column, layer, theme.sequential((most - low) / (high - low)));
        }
    }
    list.images.push_back({QRectF(0, 0, static_cast<double>(columns) * group, layers()), image});
    if (group > 1 || pixelsPerUnitY(viewport) < kLabelHeight) return list;

    // Numbers in all cells or in none: a map with holes reads as missing data.
    std::vector<DrawText> labels;
    for (std::int32_t layer = 0; layer < layers(); ++layer) {
        for (std::int32_t expert = 0; expert < experts(); ++expert) {
            const QString text = measureShortText(m_measure, at(layer, expert));
            if (text.isEmpty()) continue;
            if (kDigitWidth * static_cast<double>(text.size()) + 4 > pixelsPerUnitX(viewport)) return list;
            labels.push_back({cellBox(expert, layer).center(), text, readableOn(QColor(image.pixel(expert, layer))),
                              Qt::AlignHCenter | Qt::AlignVCenter});
        }
    }
    list.texts = std::move(labels);
    return list;
}

DrawList ExpertMapModel::marks(const Viewport& viewport, const Theme& theme, const Selection& selected,
                               const Selection& hovered) const {
    DrawList list;
    const auto mark = [&](const Selection& what, const QColor& color) {
        const bool layer = what.layer && what.layer->value() < layers();
        const bool expert = what.expert && what.expert->value() < experts();
        if (layer && expert)
            addOutline(list, cellBox(what.expert->value(), what.layer->value()), viewport, color);
        else if (layer)
            addOutline(list, QRectF(0, what.layer->value(), experts(), 1), viewport, color);
        else if (expert)
            addOutline(list, QRectF(what.expert->value(), 0, 1, layers()), viewport, color);
    };
    mark(selected, theme.highlight());
    mark(hovered, theme.hover());
    return list;
}

double ExpertMapModel::layerDiversity(std::int32_t layer) const {
    const auto at = static_cast<std::size_t>(layer);
    return at < m_model.gateDiversity.size() ? static_cast<double>(m_model.gateDiversity[at]) : kNoData;
}

double ExpertMapModel::diversityEnd() const {
    double highest = 0;
    for (std::int32_t layer = 0; layer < layers(); ++layer)
        highest = std::fmax(highest, layerDiversity(layer));
    return niceCeiling(highest);
}

double ExpertMapModel::repeatEnd() const {
    double highest = m_reuse.randomOverlap();
    for (std::int32_t layer = 0; layer < layers(); ++layer)
        highest = std::fmax(highest, m_reuse.repeatRate(LayerIndex{layer}));
    return niceCeiling(highest);
}

DrawList ExpertMapModel::strip(const Viewport& viewport, const Theme& theme, double end,
                               const std::function<double(std::int32_t)>& valueOf, QString (*textOf)(double),
                               const QColor& color) const {
    DrawList list;
    for (std::int32_t layer = 0; layer < layers(); ++layer) {
        const double value = valueOf(layer);
        // Bars start at 0; a (rare) negative diversity has no bar but its number.
        if (value > 0) list.rects.push_back({QRectF(0, layer + 0.15, value, 0.7), color, Pattern::Solid, {}, layer});
        if (pixelsPerUnitY(viewport) < kLabelHeight) continue;
        list.texts.push_back(
            {QPointF(end * kStripRoom, layer + 0.5), textOf(value), theme.text(), Qt::AlignRight | Qt::AlignVCenter});
    }
    return list;
}

DrawList ExpertMapModel::diversityStrip(const Viewport& viewport, const Theme& theme) const {
    return strip(
        viewport, theme, diversityEnd(), [this](std::int32_t layer) { return layerDiversity(layer); },
        [](double value) { return numberText(value); }, theme.color(Meaning::NearMemory));
}

DrawList ExpertMapModel::repeatStrip(const Viewport& viewport, const Theme& theme) const {
    DrawList list = strip(
        viewport, theme, repeatEnd(), [this](std::int32_t layer) { return m_reuse.repeatRate(LayerIndex{layer}); },
        [](double value) { return percentText(value); }, theme.color(Meaning::Compute));
    const double random = m_reuse.randomOverlap();
    if (std::isfinite(random))
        list.lines.push_back({QPointF(random, 0), QPointF(random, layers()), theme.text(), true});
    return list;
}

std::optional<ExpertMapModel::Cell> ExpertMapModel::cellAt(const QPointF& at) const {
    if (!(at.x() >= 0 && at.x() < experts() && at.y() >= 0 && at.y() < layers())) return {};
    return Cell{LayerIndex{static_cast<std::int32_t>(at.y())}, ExpertId{static_cast<std::int32_t>(at.x())}};
}

QString ExpertMapModel::describe(Cell cell) const {
    const ExpertUsage& usage = m_usage.at(cell.layer, cell.expert);
    const auto text = [&](ExpertMeasure measure) { return measureText(measure, value(measure, cell)); };
    QString lines = QStringLiteral("Layer %1 · expert %2").arg(cell.layer.value()).arg(cell.expert.value());
    lines += QStringLiteral("\n%1 selections, %2 of the layer's assignments")
                 .arg(text(ExpertMeasure::Selections), text(ExpertMeasure::Share));
    lines += QStringLiteral("\nmean weight %1 · mean output norm %2")
                 .arg(text(ExpertMeasure::MeanWeight), text(ExpertMeasure::MeanNorm));
    lines += QStringLiteral("\n%1 accesses: ● %2 hit · ◐ %3 in flight · ○ %4 missed (hit rate %5)")
                 .arg(countText(usage.accesses), countText(usage.hits), countText(usage.inFlight),
                      countText(usage.misses), text(ExpertMeasure::HitRate));
    lines +=
        QStringLiteral("\n%1 loads, %2 uses per load").arg(countText(usage.loads), text(ExpertMeasure::UsesPerLoad));
    lines += QStringLiteral("\nmedian reuse distance %1").arg(text(ExpertMeasure::ReuseDistance));
    return lines;
}

QString ExpertMapModel::describeLayer(LayerIndex layer) const {
    QString lines = QStringLiteral("Layer %1\nrouter diversity %2 (1 − mean cosine similarity of the gate's rows)")
                        .arg(layer.value())
                        .arg(numberText(layerDiversity(layer.value())));
    lines += QStringLiteral("\nrepeat rate %1 (experts that the next token chose again)")
                 .arg(percentText(m_reuse.repeatRate(layer)));
    lines += QStringLiteral("\nif random %1").arg(percentText(m_reuse.randomOverlap()));
    for (std::size_t lag = 1; lag < ReuseCounter::kLags.size(); ++lag)
        lines += QStringLiteral("\nsame after %1 tokens %2")
                     .arg(ReuseCounter::kLags[lag])
                     .arg(percentText(m_reuse.overlap(layer, lag)));
    return lines;
}

QString ExpertMapModel::counted() const {
    QString text = QStringLiteral("Counted: ") + QString::fromStdString(m_usage.counted());
    if (m_filter.limitsTokens())
        text += QStringLiteral(" Only tokens %1–%2, as selected.")
                    .arg(m_filter.fromToken.value())
                    .arg(m_filter.toToken.value() - 1);
    if (m_filter.limitsTime()) text += QStringLiteral(" Only layer steps that overlap the selected time.");
    return text;
}

}  // namespace expertscope
