// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/cache/residency_map.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "views/base/draw_marks.h"
#include "views/base/number_format.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

constexpr double kShown = 0.99;  // part of the counts that the colour bar tells apart
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

QString reasonText(ResidencyReason reason) {
    switch (reason) {
        case ResidencyReason::Preload:
            return QStringLiteral("loaded before the run");
        case ResidencyReason::Prefetch:
            return QStringLiteral("prefetched");
        default:
            return QStringLiteral("fetched on demand");
    }
}

}  // namespace

QColor residencyColor(ResidencyReason reason, const Theme& theme) {
    switch (reason) {
        case ResidencyReason::Preload:
            return theme.color(Meaning::Compute);
        case ResidencyReason::Prefetch:
            return theme.color(Meaning::PrefetchUseful);
        default:
            return theme.color(Meaning::TransferDemand);
    }
}

Pattern residencyPattern(ResidencyReason reason) {
    return reason == ResidencyReason::Prefetch  ? Pattern::DiagonalHatch
           : reason == ResidencyReason::Preload ? Pattern::CrossHatch
                                                : Pattern::Solid;
}

QString ResidencyMap::missing() const {
    if (!m_run || (!m_run->residents.empty() && m_run->steps() > 0)) return {};
    return QStringLiteral("This run recorded no residency");
}

int ResidencyMap::rows() const {
    if (!m_run) return 0;
    return m_layer ? m_run->model().experts : m_run->model().layers;
}

void ResidencyMap::setRun(std::shared_ptr<const CacheRun> run) {
    m_run = std::move(run);
    findScale();
}

bool ResidencyMap::isSigned() const { return std::isfinite(evenSpread()); }

void ResidencyMap::findScale() {
    m_scale = {0, 1};
    if (!m_run) return;
    const double middle = isSigned() ? evenSpread() : 0;
    std::vector<double> distances;
    for (const auto& counts : m_run->residents)
        for (const std::int32_t count : counts)
            distances.push_back(std::abs(count - middle));
    if (distances.empty()) return;
    // A prompt brings many experts at once: as the end of the bar it would leave all other steps one colour.
    const auto most =
        distances.begin() + static_cast<std::ptrdiff_t>(kShown * static_cast<double>(distances.size() - 1));
    std::ranges::nth_element(distances, most);
    if (isSigned()) {
        const double reach = std::clamp(std::ceil(*most), 1.0, std::max(1.0, middle));
        m_scale = {middle - reach, middle + reach};
    } else {
        m_scale = {0, std::max(1.0, *most)};
    }
}

double ResidencyMap::evenSpread() const {
    if (!m_run || m_run->run.description.slots <= 0 || m_run->model().layers <= 0) return kNone;
    const double layers = m_run->model().layers;
    return std::min<double>(m_run->run.description.slots, layers * m_run->model().experts) / layers;
}

int ResidencyMap::perColumn(const Viewport& viewport) const {
    if (viewport.pixels.width() <= 0) return 1;
    return std::max(1, static_cast<int>(std::ceil(viewport.range.width() / viewport.pixels.width())));
}

DrawList ResidencyMap::map(const Viewport& viewport, const Theme& theme) const {
    if (!m_run || !missing().isEmpty()) return {};
    return m_layer ? expertsMap(viewport, theme) : layersMap(viewport, theme);
}

DrawList ResidencyMap::layersMap(const Viewport& viewport, const Theme& theme) const {
    DrawList list;
    const int group = perColumn(viewport), steps = columns();
    // Whole groups, so that a column stands for the same steps however the map is panned.
    const int first = std::clamp(static_cast<int>(std::floor(viewport.range.left())), 0, steps) / group * group;
    const int last = std::clamp(static_cast<int>(std::ceil(viewport.range.right())), 0, steps);
    const int width = (last - first + group - 1) / group;
    if (width <= 0) return list;
    QImage image(width, rows(), QImage::Format_RGB32);
    const auto [low, high] = scale();
    for (int row = 0; row < rows(); ++row) {
        const auto& counts = m_run->residents[static_cast<std::size_t>(row)];
        for (int column = 0; column < width; ++column) {
            const int from = first + column * group, to = std::min(from + group, steps);
            double sum = 0;
            for (int step = from; step < to; ++step)
                sum += counts[static_cast<std::size_t>(step)];
            const double t = (sum / (to - from) - low) / (high - low);
            image.setPixel(column, row, isSigned() ? theme.signedMap(2 * t - 1) : theme.sequential(t));
        }
    }
    list.images.push_back({QRectF(first, 0, static_cast<double>(width) * group, rows()), image});
    return list;
}

DrawList ResidencyMap::expertsMap(const Viewport& viewport, const Theme& theme) const {
    DrawList list;
    // What is narrower than a pixel is drawn as one.
    const double pixel = pixelsPerUnitX(viewport) > 0 ? 1 / pixelsPerUnitX(viewport) : 0;
    for (std::int32_t expert = 0; expert < rows(); ++expert) {
        double drawn = -1;
        for (const ResidencyInterval& interval : m_run->residency.intervals(*m_layer, ExpertId(expert))) {
            const double from = interval.from.value(), to = std::min(interval.to.value(), columns());
            if (to <= from || to < viewport.range.left() || from > viewport.range.right() || to < drawn + pixel)
                continue;
            drawn = to;
            list.rects.push_back({QRectF(from, expert + 0.08, to - from, 0.84), residencyColor(interval.reason, theme),
                                  residencyPattern(interval.reason)});
        }
    }
    return list;
}

std::optional<std::pair<double, double>> ResidencyMap::stepsOf(const TokenRange& tokens) const {
    if (!m_run || columns() == 0) return std::nullopt;
    const auto& first = m_run->firstTokens;
    const auto stepOf = [&](std::int32_t token) {
        return static_cast<double>(std::ranges::upper_bound(first, token) - first.begin()) - 1;
    };
    const double from = std::clamp(stepOf(tokens.from.value()), 0.0, columns() - 1.0);
    const double to = std::clamp(stepOf(tokens.to.value() - 1), from, columns() - 1.0);
    return std::pair(from, to + 1);
}

DrawList ResidencyMap::marks(const Viewport& viewport, const Theme& theme, const Selection& selected,
                             const Selection& hovered) const {
    DrawList list;
    if (!m_run || !missing().isEmpty()) return list;
    const auto mark = [&](const Selection& what, const QColor& color) {
        int row = -1;
        if (m_layer && what.expert && (!what.layer || *what.layer == *m_layer)) row = what.expert->value();
        if (!m_layer && what.layer) row = what.layer->value();
        const auto steps = what.tokens ? stepsOf(*what.tokens) : std::nullopt;
        if (steps) addOutline(list, QRectF(steps->first, 0, steps->second - steps->first, rows()), viewport, color);
        if (row >= 0 && row < rows()) addOutline(list, QRectF(0, row, columns(), 1), viewport, color);
    };
    mark(selected, theme.highlight());
    mark(hovered, theme.hover());
    return list;
}

std::optional<ResidencyMap::Cell> ResidencyMap::cellAt(const QPointF& at) const {
    if (!missing().isEmpty() || !(at.x() >= 0 && at.x() < columns() && at.y() >= 0 && at.y() < rows()))
        return std::nullopt;
    return Cell{StepIndex(static_cast<std::int32_t>(at.x())), static_cast<std::int32_t>(at.y())};
}

double ResidencyMap::value(Cell cell) const {
    if (m_layer) return m_run->residency.residentIn(*m_layer, ExpertId(cell.row), cell.step) ? 1 : 0;
    return m_run->residents[static_cast<std::size_t>(cell.row)][cell.step.index()];
}

QString ResidencyMap::describe(Cell cell) const {
    const std::int32_t step = cell.step.value();
    const TokenRange tokens = tokensOf(cell.step, cell.step);
    const int last = tokens.to.value() - 1;
    QString text = QStringLiteral("Step %1 · %2")
                       .arg(countText(step), last > tokens.from.value()
                                                 ? QStringLiteral("tokens %1–%2").arg(tokens.from.value()).arg(last)
                                                 : QStringLiteral("token %1").arg(tokens.from.value()));
    if (!m_layer)
        return text + QStringLiteral("\nlayer %1: %2 of %3 experts resident (%4 if the slots were spread evenly)")
                          .arg(cell.row)
                          .arg(countText(static_cast<std::int64_t>(value(cell))), countText(m_run->model().experts),
                               numberText(evenSpread()));
    text += QStringLiteral("\nlayer %1 · expert %2: ").arg(m_layer->value()).arg(cell.row);
    const auto& intervals = m_run->residency.intervals(*m_layer, ExpertId(cell.row));
    const auto found = std::ranges::find_if(
        intervals, [&](const ResidencyInterval& i) { return i.from <= cell.step && cell.step < i.to; });
    if (found == intervals.end()) return text + QStringLiteral("not resident");
    text += QStringLiteral("resident from step %1").arg(found->from.value());
    text += found->to == ResidencyInterval::kOpen ? QStringLiteral(" to the end of the run")
                                                  : QStringLiteral(" to step %1").arg(found->to.value() - 1);
    return text + QStringLiteral(", ") + reasonText(found->reason);
}

Selection ResidencyMap::subject(Cell cell) const {
    Selection what;
    what.layer = m_layer ? *m_layer : LayerIndex(cell.row);
    if (m_layer) what.expert = ExpertId(cell.row);
    return what;
}

TokenRange ResidencyMap::tokensOf(StepIndex from, StepIndex to) const {
    const auto& first = m_run->firstTokens;
    return {TokenIndex(first[from.index()]), TokenIndex(first[to.index() + 1])};
}

}  // namespace expertscope
