// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/timeline_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "views/base/theme.h"
#include "views/timeline/row_painter.h"

namespace expertscope {
namespace {

constexpr double kBoxPixels = RowPainter::kBoxPixels;
constexpr double kGrabPixels = 3;  // the cursor may miss an item by this much

double top(std::size_t row) {
    return static_cast<double>(row) * TimelineModel::kRowPitch +
           (TimelineModel::kRowPitch - TimelineModel::kRowHeight) / 2.0;
}

std::int64_t floorTime(double time) { return static_cast<std::int64_t>(std::floor(time)); }

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

void TimelineModel::setTrace(const RunTrace* trace, std::size_t most) {
    m_trace = trace;
    m_whole = {};
    m_part = {};
    m_all = trace ? std::make_unique<TimelineRows>(*trace, most) : nullptr;
    m_rows = m_all.get();
}

void TimelineModel::showInParts(const RunTrace& trace) {
    setTrace(nullptr);
    m_trace = &trace;
}

void TimelineModel::take(TimelinePart part) {
    m_rows = nullptr;
    TimelinePart& place = hasWhole() ? m_part : m_whole;
    place = {};  // its rows go before the trace that they refer to
    place = std::move(part);
    m_rows = place.rows.get();
}

void TimelineModel::look(TimeStretch visible) {
    if (inParts()) m_rows = rowsFor(visible);
}

const TimelineRows* TimelineModel::rowsFor(TimeStretch stretch) const {
    if (!inParts()) return m_rows;
    stretch = {std::max(stretch.from, m_whole.extent.from), std::min(stretch.to, m_whole.extent.to)};
    return m_part.rows && m_part.stretch.covers(stretch) ? m_part.rows.get() : m_whole.rows.get();
}

bool TimelineModel::suits(TimeStretch visible, double nanosecondsPerPixel) const {
    return m_whole.rows &&
           (m_whole.suits(visible, nanosecondsPerPixel) || (m_part.rows && m_part.suits(visible, nanosecondsPerPixel)));
}

TimeStretch TimelineModel::extent() const {
    if (inParts()) return m_whole.extent;
    return m_rows ? TimeStretch{m_rows->firstTime(), m_rows->lastTime()} : TimeStretch{};
}

std::vector<SpanPaint> TimelineModel::paints() const {
    std::vector<SpanPaint> paints;
    const TimelineRows* const rows = inParts() ? m_whole.rows.get() : m_rows;
    if (!rows) return paints;
    constexpr std::int64_t kAlways = std::numeric_limits<std::int64_t>::max() / 2;
    for (const TimelineRow* row : rows->rows()) {
        const std::vector<std::int64_t> busy = row->items.busy(-kAlways, kAlways);
        for (std::size_t category = 0; category < busy.size(); ++category)
            if (busy[category] > 0) paints.push_back(row->paints[category]);
    }
    return paints;
}

int TimelineModel::contentHeight() const { return m_rows ? static_cast<int>(m_rows->rows().size()) * kRowPitch : 0; }

const SpanRecord* TimelineModel::spanOf(const SpanItem& item) const {
    return item.source < 0 ? nullptr : &m_rows->trace().spans()[static_cast<std::size_t>(item.source)];
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
    RowPainter(row, {index, top(index), kRowHeight}, viewport, theme, list).paint([&](const SpanItem& item) {
        return label(row, item);
    });
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
    if (const TimelineSum* sum = m_rows->sumOf(item.source)) return {sum->from, sum->to};
    // A phase with waits inside lies in pieces on its row.
    if (const SpanRecord* span = spanOf(item)) return {m_rows->relative(span->start), m_rows->relative(span->end)};
    return {item.start, item.end};
}

std::optional<TimeStretch> TimelineModel::stretchOf(const Selection& selection) const {
    if (!m_rows) return std::nullopt;
    if (selection.time)
        return TimeStretch{m_rows->relative(selection.time->from), m_rows->relative(selection.time->to)};
    if (!selection.tokens) return std::nullopt;
    const std::vector<TokenRecord>& tokens = m_trace->tokens();
    std::optional<TimeStretch> stretch;
    StepIndex last{-1};
    const auto begin = std::ranges::lower_bound(tokens, selection.tokens->from, {}, &TokenRecord::token);
    for (auto token = begin; token != tokens.end() && token->token < selection.tokens->to; ++token) {
        if (token->step == std::exchange(last, token->step)) continue;
        const auto step = stretchOfStep(token->step);
        if (!step) continue;
        if (!stretch) stretch = step;
        stretch->from = std::min(stretch->from, step->from);
        stretch->to = std::max(stretch->to, step->to);
    }
    return stretch;
}

/// A part of a run has not all of its steps: what is missing is told by the tokens, each known when its step ended.
std::optional<TimeStretch> TimelineModel::stretchOfStep(StepIndex step) const {
    if (const auto told = m_rows->step(step)) return TimeStretch{told->start, told->end};
    if (!inParts() || step.value() < 0) return std::nullopt;
    const auto of = std::ranges::equal_range(m_trace->tokens(), step, {}, &TokenRecord::step);
    if (of.empty()) return std::nullopt;
    const bool isFirst = of.begin() == m_trace->tokens().begin();
    return TimeStretch{isFirst ? extent().from : m_rows->relative(std::prev(of.begin())->time),
                       m_rows->relative(std::prev(of.end())->time)};
}

std::optional<std::pair<TokenIndex, TokenIndex>> TimelineModel::tokensOf(StepIndex step) const {
    if (!inParts()) return m_rows->tokensOf(step);
    const auto of = std::ranges::equal_range(m_trace->tokens(), step, {}, &TokenRecord::step);
    if (step.value() < 0 || of.empty()) return std::nullopt;
    return std::pair(of.front().token, TokenIndex(of.back().token.value() + 1));
}

const TransferRecord* TimelineModel::transferOf(std::size_t span) const {
    return m_all ? m_all->transferOf(static_cast<std::int32_t>(span)) : nullptr;
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
    if (const auto tokens = tokensOf(step)) selection.tokens = TokenRange{tokens->first, tokens->second};
    return selection;
}

TimelineMeasure TimelineModel::measure(TimeStretch stretch) const {
    TimelineMeasure result;
    result.length = Nanoseconds(stretch.to - stretch.from);
    const TimelineRows* const rows = rowsFor(stretch);
    if (!rows) return result;
    const auto busyOf = [&](const TimelineRow* row, SpanPaint paint) {
        std::int64_t busy = 0;
        if (!row) return busy;
        const std::vector<std::int64_t> perCategory = row->items.busy(stretch.from, stretch.to);
        for (std::size_t c = 0; c < perCategory.size(); ++c)
            busy += row->paints[c] == paint ? perCategory[c] : 0;
        return busy;
    };
    std::int64_t compute = 0;
    for (const SpanPaint phase : {SpanPaint::Attention, SpanPaint::Router, SpanPaint::Experts, SpanPaint::Combine,
                                  SpanPaint::Head, SpanPaint::Sample})
        compute += busyOf(rows->phases(), phase);
    const std::int64_t hidden = busyOf(rows->overlap(), SpanPaint::Hidden);
    const std::int64_t exposed = busyOf(rows->overlap(), SpanPaint::Exposed);
    result.compute = Nanoseconds(compute);
    result.wait = Nanoseconds(busyOf(rows->waits(), SpanPaint::Wait));
    result.transfer = Nanoseconds(hidden + exposed);
    result.exposed = Nanoseconds(exposed);
    double bytes = 0;
    for (const TimelineRow* row : {rows->demand(), rows->prefetch()}) {
        if (row) bytes += row->items.amount(stretch.from, stretch.to);
    }
    result.bytes = Bytes(std::llround(bytes));
    return result;
}

}  // namespace expertscope
