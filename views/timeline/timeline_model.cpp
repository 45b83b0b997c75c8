// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/timeline_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/record_names.h"
#include "views/base/number_format.h"
#include "views/base/theme.h"
#include "views/timeline/occupancy_image.h"

namespace expertscope {
namespace {

constexpr double kBoxPixels = 3;      // narrower items are summed per pixel
constexpr double kLabelPixels = 40;   // narrower boxes have no label
constexpr double kPatternPixels = 8;  // a hatch needs some room to be seen
constexpr double kGrabPixels = 3;     // the cursor may miss an item by this much

double top(std::size_t row) {
    return static_cast<double>(row) * TimelineModel::kRowPitch +
           (TimelineModel::kRowPitch - TimelineModel::kRowHeight) / 2.0;
}

std::int64_t floorTime(double time) { return static_cast<std::int64_t>(std::floor(time)); }

/// Walks one row over a viewport, pixel by pixel where items are narrow, box by box where they are wide.
class RowPainter {
public:
    RowPainter(const TimelineRow& row, std::size_t index, const Viewport& viewport, const Theme& theme, DrawList& list)
        : m_row(row),
          m_items(row.items),
          m_top(top(index)),
          m_viewport(viewport),
          m_theme(theme),
          m_list(list),
          m_index(index),
          m_pixel(viewport.range.width() / viewport.pixels.width()),
          m_busy(row.items.categories()) {}

    template <class Label>
    void paint(const Label& label) {
        const int columns = m_viewport.pixels.width();
        std::size_t first = m_items.firstEndingAfter(floorTime(m_viewport.range.left()));
        for (int column = 0; column < columns && first < m_items.size();) {
            const double gap = static_cast<double>(m_items.coverFrom(first)) - edge(column + 1);
            if (gap >= 0) {
                column = std::max(column + 1, columnOf(m_items.coverFrom(first)));
                continue;
            }
            const std::int64_t to = static_cast<std::int64_t>(std::ceil(edge(column + 1)));
            const std::size_t last = m_items.firstCoveringFrom(to, first);
            paintColumn(column, first, last, label);
            // The last item may go on beyond this pixel.
            first = last > first && static_cast<double>(m_items.coverTo(last - 1)) > edge(column + 1) ? last - 1 : last;
            const bool wideGoesOn = first < last && isWide(first);
            column = wideGoesOn ? std::max(column + 1, columnOf(m_items.coverTo(first))) : column + 1;
        }
        if (m_image) {
            m_list.images.push_back(
                {QRectF(m_viewport.range.left(), m_top, m_viewport.range.width(), TimelineModel::kRowHeight),
                 m_image->image()});
        }
    }

private:
    double edge(int column) const { return m_viewport.range.left() + column * m_pixel; }
    int columnOf(std::int64_t time) const {
        const double column = (static_cast<double>(time) - m_viewport.range.left()) / m_pixel;
        return static_cast<int>(std::min(column, static_cast<double>(m_viewport.pixels.width())));
    }
    bool isWide(std::size_t i) const {
        return static_cast<double>(m_items.coverTo(i) - m_items.coverFrom(i)) >= kBoxPixels * m_pixel;
    }

    template <class Label>
    void paintColumn(int column, std::size_t first, std::size_t last, const Label& label) {
        std::ranges::fill(m_busy, 0);
        addEdge(column, first, label);
        if (first + 1 < last) addEdge(column, last - 1, label);
        // What lies between two others lies wholly inside this pixel, so it is narrow.
        if (first + 2 < last) m_items.addCovered(first + 1, last - 1, m_busy);
        if (std::ranges::all_of(m_busy, [](std::int64_t busy) { return busy <= 0; })) return;
        if (!m_image) {
            std::vector<QRgb> colours;
            for (const SpanPaint paint : m_row.paints)
                colours.push_back(paintColor(paint, m_theme).rgb());
            m_image.emplace(m_viewport.pixels.width(), TimelineModel::kRowHeight, std::move(colours));
        }
        m_image->setColumn(column, m_busy, m_pixel);
    }

    template <class Label>
    void addEdge(int column, std::size_t i, const Label& label) {
        const auto from = static_cast<double>(m_items.coverFrom(i));
        const auto to = static_cast<double>(m_items.coverTo(i));
        if (isWide(i)) {
            if (m_boxed != i) box(i, from, to, label);
            m_boxed = i;
            return;
        }
        const double inside = std::min(to, edge(column + 1)) - std::max(from, edge(column));
        m_busy[m_items.item(i).category] += static_cast<std::int64_t>(std::llround(std::max(inside, 0.0)));
    }

    template <class Label>
    void box(std::size_t i, double from, double to, const Label& label) {
        const SpanPaint paint = m_row.paints[m_items.item(i).category];
        DrawRect rect{QRectF(from, m_top, to - from, TimelineModel::kRowHeight), paintColor(paint, m_theme)};
        const double pixels = (to - from) / m_pixel;
        if (pixels >= kPatternPixels) rect.pattern = paintPattern(paint);
        if (pixels >= kLabelPixels) rect.label = label(m_items.item(i));
        rect.tag = static_cast<std::int64_t>(m_index << 40U | i);
        m_list.rects.push_back(std::move(rect));
    }

    const TimelineRow& m_row;
    const SpanRow& m_items;
    double m_top;
    const Viewport& m_viewport;
    const Theme& m_theme;
    DrawList& m_list;
    std::size_t m_index;
    double m_pixel;  ///< nanoseconds
    std::vector<std::int64_t> m_busy;
    std::optional<OccupancyImage> m_image;
    std::size_t m_boxed = std::numeric_limits<std::size_t>::max();
};

QString kindTitle(SpanKind kind) {
    switch (kind) {
        case SpanKind::Step:
            return QStringLiteral("Step");
        case SpanKind::Layer:
            return QStringLiteral("Layer");
        case SpanKind::Attention:
            return QStringLiteral("Attention");
        case SpanKind::Router:
            return QStringLiteral("Router");
        case SpanKind::Experts:
            return QStringLiteral("Experts");
        case SpanKind::ExpertCompute:
            return QStringLiteral("Expert");
        case SpanKind::Combine:
            return QStringLiteral("Combine");
        case SpanKind::Head:
            return QStringLiteral("Head");
        case SpanKind::Sample:
            return QStringLiteral("Sample");
        case SpanKind::Wait:
            return QStringLiteral("Wait");
        case SpanKind::TransferDemand:
            return QStringLiteral("Transfer on demand");
        case SpanKind::TransferPrefetch:
            return QStringLiteral("Prefetch");
        case SpanKind::TransferPreload:
            return QStringLiteral("Preload");
        case SpanKind::Predict:
            return QStringLiteral("Shadow prediction");
    }
    return {};
}

QString expertName(LayerIndex layer, ExpertId expert) {
    return QStringLiteral("L%1 E%2").arg(layer.value()).arg(expert.value());
}

QString fateText(TransferFate fate) {
    switch (fate) {
        case TransferFate::Used:
            return QStringLiteral("used at once");
        case TransferFate::Useful:
            return QStringLiteral("useful: arrived before its need");
        case TransferFate::Late:
            return QStringLiteral("late: needed while under way");
        case TransferFate::Wasted:
            return QStringLiteral("wasted: arrived and left without use");
        case TransferFate::Cancelled:
            return QStringLiteral("cancelled before it had arrived");
    }
    return {};
}

QString countOf(std::int64_t count, const char* one) {
    return countText(count) + QChar(' ') + QString::fromLatin1(one) + (count == 1 ? QString() : QStringLiteral("s"));
}

void addBand(DrawList& list, const Viewport& viewport, TimeStretch stretch, QColor color) {
    QColor pale = color;
    pale.setAlpha(28);
    const QRectF& range = viewport.range;
    const auto from = static_cast<double>(stretch.from);
    const auto to = static_cast<double>(stretch.to);
    if (to < range.left() || from > range.right()) return;
    list.rects.push_back({QRectF(QPointF(from, range.top()), QPointF(to, range.bottom())), pale});
    for (const double x : {from, to})
        list.lines.push_back({{x, range.top()}, {x, range.bottom()}, color});
}

}  // namespace

void TimelineModel::setTrace(const RunTrace* trace) {
    m_rows = trace ? std::make_unique<TimelineRows>(*trace) : nullptr;
}

TimeStretch TimelineModel::extent() const {
    return m_rows ? TimeStretch{m_rows->firstTime(), m_rows->lastTime()} : TimeStretch{};
}

int TimelineModel::contentHeight() const { return m_rows ? static_cast<int>(m_rows->rows().size()) * kRowPitch : 0; }

const SpanRecord* TimelineModel::spanOf(const SpanItem& item) const {
    return item.source < 0 ? nullptr : &m_rows->trace().spans()[static_cast<std::size_t>(item.source)];
}

QString TimelineModel::label(const TimelineRow& row, const SpanItem& item) const {
    if (item.source == TimelineRows::kDerived) {
        return row.paints[item.category] == SpanPaint::Exposed ? QStringLiteral("exposed") : QStringLiteral("hidden");
    }
    const SpanRecord* span = spanOf(item);
    if (!span) {
        const TransferRecord* transfer = m_rows->transferOf(item.source);
        return transfer ? expertName(transfer->expert.layer, transfer->expert.expert) : QString();
    }
    switch (span->kind) {
        case SpanKind::Step:
            return QStringLiteral("step %1 · %2").arg(span->step.value()).arg(countOf(span->amount, "token"));
        case SpanKind::Layer:
            return QStringLiteral("layer %1").arg(span->layer.value());
        case SpanKind::ExpertCompute:
        case SpanKind::TransferDemand:
        case SpanKind::TransferPrefetch:
        case SpanKind::TransferPreload:
            return expertName(span->layer, span->expert);
        case SpanKind::Wait:
            return span->expert.value() >= 0 ? expertName(span->layer, span->expert) : QStringLiteral("wait");
        default:
            return kindTitle(span->kind).toLower();
    }
}

DrawList TimelineModel::drawItems(const Viewport& viewport, const Theme& theme) const {
    DrawList list;
    if (!m_rows || viewport.pixels.isEmpty() || viewport.range.width() <= 0) return list;
    for (std::size_t i = 0; i < m_rows->rows().size(); ++i) {
        if (top(i) + kRowHeight < viewport.range.top() || top(i) > viewport.range.bottom()) continue;
        drawRow(list, i, viewport, theme);
    }
    return list;
}

void TimelineModel::drawRow(DrawList& list, std::size_t index, const Viewport& viewport, const Theme& theme) const {
    const TimelineRow& row = *m_rows->rows()[index];
    RowPainter(row, index, viewport, theme, list).paint([&](const SpanItem& item) { return label(row, item); });
}

DrawList TimelineModel::drawMarks(const Viewport& viewport, const Theme& theme, const Selection& selected,
                                  const Selection& hovered) const {
    DrawList list;
    if (!m_rows) return list;
    Selection part;
    part.time = selected.time;
    if (const auto time = stretchOf(part)) addBand(list, viewport, *time, theme.highlight());
    part = {};
    part.tokens = selected.tokens;
    if (const auto tokens = stretchOf(part)) addBand(list, viewport, *tokens, theme.highlight());
    const auto outline = [&](const Selection& s, const QColor& color) {
        if (s.layer && s.expert) {
            outlineExpert(list, viewport, {*s.layer, *s.expert}, color);
        } else if (s.layer) {
            outlineLayer(list, viewport, *s.layer, color);
        }
    };
    outline(selected, theme.highlight());
    if (hovered.layer != selected.layer || hovered.expert != selected.expert) outline(hovered, theme.hover());
    return list;
}

void TimelineModel::outlineExpert(DrawList& list, const Viewport& viewport, ExpertRef expert,
                                  const QColor& color) const {
    const double pixel = viewport.range.width() / viewport.pixels.width();
    std::map<const TimelineRow*, std::pair<std::size_t, double>> rows;  // position, and how far marks reach
    for (std::size_t i = 0; i < m_rows->rows().size(); ++i)
        rows[m_rows->rows()[i]] = {i, viewport.range.left() - 1};
    for (const std::int32_t source : m_rows->spansOf(expert)) {
        const SpanRecord& span = m_rows->trace().spans()[static_cast<std::size_t>(source)];
        const auto from = static_cast<double>(m_rows->relative(span.start));
        const auto to = static_cast<double>(m_rows->relative(span.end));
        if (to < viewport.range.left() || from > viewport.range.right()) continue;
        auto& [index, reach] = rows[m_rows->rowOf(span)];
        if (to - from >= kBoxPixels * pixel) {
            list.rects.push_back({QRectF(from, top(index), to - from, kRowHeight), color, Pattern::Outline});
        } else if (from >= reach) {
            // Too narrow for an outline: a tick above the row, one for all that share its two pixels.
            list.rects.push_back({QRectF(from, top(index) - 3, 2 * pixel, 3), color});
            reach = from + 2 * pixel;
        }
    }
}

void TimelineModel::outlineLayer(DrawList& list, const Viewport& viewport, LayerIndex layer,
                                 const QColor& color) const {
    const double pixel = viewport.range.width() / viewport.pixels.width();
    const std::int64_t from = floorTime(viewport.range.left());
    const std::int64_t to = floorTime(viewport.range.right()) + 1;
    for (std::size_t index = 0; index < m_rows->rows().size(); ++index) {
        const SpanRow& items = m_rows->rows()[index]->items;
        const std::size_t first = items.firstEndingAfter(from);
        const std::size_t last = items.firstCoveringFrom(to, first);
        // Where items are narrower than boxes nothing could be told apart.
        if (static_cast<double>(last - first) > 2.0 * viewport.pixels.width() / kBoxPixels) continue;
        for (std::size_t i = first; i < last; ++i) {
            const SpanRecord* span = spanOf(items.item(i));
            const auto length = static_cast<double>(items.coverTo(i) - items.coverFrom(i));
            if (!span || span->layer != layer || length < kBoxPixels * pixel) continue;
            list.rects.push_back({QRectF(static_cast<double>(items.coverFrom(i)), top(index), length, kRowHeight),
                                  color, Pattern::Outline});
        }
    }
}

std::optional<TimelineHit> TimelineModel::hitAt(QPointF at, double nanosecondsPerPixel) const {
    if (!m_rows || at.y() < 0) return std::nullopt;
    const auto index = static_cast<std::size_t>(at.y() / kRowPitch);
    if (index >= m_rows->rows().size()) return std::nullopt;
    const TimelineRow& row = *m_rows->rows()[index];
    const double grab = kGrabPixels * nanosecondsPerPixel;
    const std::size_t after = row.items.firstEndingAfter(floorTime(at.x()));
    std::optional<TimelineHit> best;
    double nearest = grab;
    for (const std::size_t i : {after, after - 1}) {
        if (i >= row.items.size()) continue;
        const double before = static_cast<double>(row.items.coverFrom(i)) - at.x();
        const double behind = at.x() - static_cast<double>(row.items.coverTo(i));
        const double distance = std::max({before, behind, 0.0});
        if (distance < nearest || (distance == 0 && !best)) nearest = distance, best = TimelineHit{&row, i};
    }
    return best;
}

TimeStretch TimelineModel::stretchOf(const TimelineHit& hit) const {
    const SpanItem& item = hit.row->items.item(hit.item);
    return {item.start, item.end};
}

std::optional<TimeStretch> TimelineModel::stretchOf(const Selection& selection) const {
    if (!m_rows) return std::nullopt;
    if (selection.time)
        return TimeStretch{m_rows->relative(selection.time->from), m_rows->relative(selection.time->to)};
    if (!selection.tokens) return std::nullopt;
    const std::vector<TokenRecord>& tokens = m_rows->trace().tokens();
    std::optional<TimeStretch> stretch;
    const auto begin = std::ranges::lower_bound(tokens, selection.tokens->from, {}, &TokenRecord::token);
    for (auto token = begin; token != tokens.end() && token->token < selection.tokens->to; ++token) {
        const auto step = m_rows->step(token->step);
        if (!step) continue;
        if (!stretch) stretch = TimeStretch{step->start, step->end};
        stretch->from = std::min(stretch->from, step->start);
        stretch->to = std::max(stretch->to, step->end);
    }
    return stretch;
}

Selection TimelineModel::selectionOf(const TimelineHit& hit) const {
    Selection selection;
    const SpanItem& item = hit.row->items.item(hit.item);
    StepIndex step{-1};
    if (const SpanRecord* span = spanOf(item)) {
        if (span->layer.value() >= 0) selection.layer = span->layer;
        if (span->expert.value() >= 0) selection.expert = span->expert;
        step = span->step;
    } else if (const TransferRecord* transfer = m_rows->transferOf(item.source)) {
        selection.layer = transfer->expert.layer;
        selection.expert = transfer->expert.expert;
        step = transfer->issuedStep;
    }
    if (const auto tokens = m_rows->tokensOf(step)) selection.tokens = TokenRange{tokens->first, tokens->second};
    return selection;
}

QStringList TimelineModel::describe(const TimelineHit& hit) const {
    const SpanItem& item = hit.row->items.item(hit.item);
    const SpanRecord* span = spanOf(item);
    QStringList lines;
    if (span) {
        QString title = kindTitle(span->kind);
        if (span->expert.value() >= 0) {
            title += QStringLiteral(" · layer %1, expert %2").arg(span->layer.value()).arg(span->expert.value());
        } else if (span->layer.value() >= 0) {
            title += QStringLiteral(" · layer %1").arg(span->layer.value());
        }
        lines << title;
    } else if (item.source == TimelineRows::kDerived) {
        lines << (hit.row->paints[item.category] == SpanPaint::Exposed
                      ? QStringLiteral("Exposed: computing waits while bytes move")
                      : QStringLiteral("Hidden: bytes move while computing goes on"));
    } else if (const TransferRecord* transfer = m_rows->transferOf(item.source)) {
        lines << QStringLiteral("Transfer · layer %1, expert %2")
                     .arg(transfer->expert.layer.value())
                     .arg(transfer->expert.expert.value());
    }
    lines << QStringLiteral("%1 (%2 ns)")
                 .arg(durationText(Nanoseconds(item.end - item.start)), countText(item.end - item.start));
    lines << QStringLiteral("from %1 after the start").arg(durationText(Nanoseconds(item.start)));
    const bool isTransfer = item.amount > 0 || m_rows->transferOf(item.source);
    if (isTransfer) describeTransfer(lines, item);
    if (span && !isTransfer && span->amount > 0) lines << countOf(span->amount, "token");
    if (span && span->step.value() >= 0) {
        QString line = QStringLiteral("step %1").arg(span->step.value());
        if (const auto tokens = m_rows->tokensOf(span->step)) {
            const int from = tokens->first.value();
            const int last = tokens->second.value() - 1;
            line += from == last ? QStringLiteral(", token %1").arg(from)
                                 : QStringLiteral(", tokens %1–%2").arg(from).arg(last);
        }
        lines << line;
    }
    return lines;
}

void TimelineModel::describeTransfer(QStringList& lines, const SpanItem& item) const {
    const Bytes bytes(item.amount);
    lines << QStringLiteral("%1 at %2").arg(bytesText(bytes), bandwidthText(bytes, Nanoseconds(item.end - item.start)));
    const TransferRecord* transfer = m_rows->transferOf(item.source);
    if (!transfer) {
        lines << QStringLiteral("its fate is not known yet");
        return;
    }
    lines << fateText(transfer->fate);
    lines << QStringLiteral("queued for %1").arg(durationText(transfer->started - transfer->issued));
    if (transfer->usedStep.value() >= 0)
        lines << QStringLiteral("first used in step %1").arg(transfer->usedStep.value());
}

TimelineMeasure TimelineModel::measure(TimeStretch stretch) const {
    TimelineMeasure result;
    result.length = Nanoseconds(stretch.to - stretch.from);
    if (!m_rows) return result;
    const auto busyOf = [&](const TimelineRow* row) {
        return row ? row->items.busy(stretch.from, stretch.to) : std::vector<std::int64_t>(8, 0);
    };
    std::int64_t phases = 0;
    const std::vector<std::int64_t> perPhase = busyOf(m_rows->phases());
    for (std::size_t c = 0; c + 1 < perPhase.size(); ++c)
        phases += perPhase[c];  // the last is the shadow predictors
    const std::int64_t wait = busyOf(m_rows->waits())[0];
    const std::vector<std::int64_t> overlap = busyOf(m_rows->overlap());
    result.compute = Nanoseconds(std::max<std::int64_t>(0, phases - wait));
    result.wait = Nanoseconds(wait);
    result.transfer = Nanoseconds(overlap[0] + overlap[1]);
    result.exposed = Nanoseconds(overlap[1]);
    double bytes = 0;
    for (const TimelineRow* row : {m_rows->demand(), m_rows->prefetch()}) {
        if (row) bytes += row->items.amount(stretch.from, stretch.to);
    }
    result.bytes = Bytes(std::llround(bytes));
    return result;
}

}  // namespace expertscope
