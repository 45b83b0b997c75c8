// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cmath>

#include "profiler/analysis/run_trace.h"
#include "views/base/theme.h"
#include "views/compare/compare_model.h"

namespace expertscope {
namespace {

enum Lane { Compute, Wait, Transfer, None };

Lane laneOf(SpanKind kind) {
    switch (kind) {
        case SpanKind::Attention:
        case SpanKind::Router:
        case SpanKind::ExpertCompute:
        case SpanKind::Combine:
        case SpanKind::Head:
        case SpanKind::Sample:
            return Compute;
        case SpanKind::Wait:
            return Wait;
        case SpanKind::TransferDemand:
        case SpanKind::TransferPrefetch:
            return Transfer;
        default:
            return None;
    }
}

constexpr std::array kMeanings{Meaning::Compute, Meaning::Wait, Meaning::TransferDemand};
constexpr std::array kPatterns{Pattern::Solid, Pattern::CrossHatch, Pattern::Solid};

/// Busy nanoseconds of one lane by pixel column.
class Occupancy {
public:
    Occupancy(Nanoseconds from, double perPixel, int pixels)
        : m_from(from), m_perPixel(perPixel), m_busy(static_cast<std::size_t>(pixels), 0.0) {}

    void add(Nanoseconds start, Nanoseconds end) {
        const double first = static_cast<double>((start - m_from).count()) / m_perPixel;
        const double last = static_cast<double>((end - m_from).count()) / m_perPixel;
        const auto pixels = static_cast<double>(m_busy.size());
        if (last <= 0 || first >= pixels) return;
        for (double at = std::max(first, 0.0); at < std::min(last, pixels);) {
            const double next = std::min({std::floor(at) + 1, last, pixels});
            m_busy[static_cast<std::size_t>(at)] += next - at;
            at = next;
        }
    }
    /// Share of the pixel's time, 0…1 (spans of several workers that run at once count once).
    double at(int pixel) const { return std::min(1.0, m_busy[static_cast<std::size_t>(pixel)]); }

private:
    Nanoseconds m_from;
    double m_perPixel;
    std::vector<double> m_busy;
};

/// Columns of one lane as boxes, neighbours of equal height joined.
void drawLane(const Occupancy& occupancy, const Viewport& viewport, int row, QColor color, Pattern pattern,
              DrawList& list) {
    const int pixels = viewport.pixels.width();
    const double width = viewport.range.width() / pixels;
    constexpr double kTall = 0.86;
    for (int from = 0; from < pixels;) {
        const double busy = occupancy.at(from);
        int to = from + 1;
        while (to < pixels && std::abs(occupancy.at(to) - busy) < 0.02)
            ++to;
        if (busy > 0.005) {
            const double height = kTall * busy;
            list.rects.push_back(
                {QRectF(viewport.range.left() + from * width, row + 0.95 - height, (to - from) * width, height), color,
                 pattern});
        }
        from = to;
    }
}

}  // namespace

void MatchedTimeline::setTraces(const RunTrace* a, const RunTrace* b) {
    m_traces[0] = a;
    m_traces[1] = b;
}

void MatchedTimeline::setRequest(RequestIndex request) { m_request = request; }

int MatchedTimeline::requests() const {
    std::size_t count = 0;
    if (m_traces[0] && m_traces[1]) count = std::min(m_traces[0]->requests().size(), m_traces[1]->requests().size());
    return static_cast<int>(count);
}

std::optional<MatchedTimeline::Decoding> MatchedTimeline::decoding(const RunTrace* trace) const {
    if (!trace) return std::nullopt;
    std::optional<Decoding> found;
    for (const TokenRecord& token : trace->tokens()) {
        if (token.request != m_request || token.phase != Phase::Decode) continue;
        if (!found) found = Decoding{token.time, token.time};
        found->to = std::max(found->to, token.time);
    }
    return found;
}

double MatchedTimeline::length(int run) const {
    const auto found = decoding(m_traces[run]);
    return found ? static_cast<double>((found->to - found->from).count()) * 1e-6 : 0;
}

double MatchedTimeline::length() const { return std::max(length(0), length(1)); }

QString MatchedTimeline::laneName(int row) {
    static const std::array names{"compute", "wait", "transfer"};
    const int lane = row % (kLanes + 1);
    if (lane == kLanes) return {};
    return QStringLiteral("%1 %2").arg(row <= kLanes ? QStringLiteral("A") : QStringLiteral("B"),
                                       QLatin1String(names[static_cast<std::size_t>(lane)]));
}

DrawList MatchedTimeline::draw(const Viewport& viewport, const Theme& theme) const {
    DrawList list;
    const int pixels = viewport.pixels.width();
    if (pixels <= 0 || viewport.range.width() <= 0) return list;
    for (int run = 0; run < 2; ++run) {
        const auto span = decoding(m_traces[run]);
        if (!span) continue;
        const double perPixel = viewport.range.width() * 1e6 / pixels;
        const Nanoseconds from = span->from + Nanoseconds(std::llround(viewport.range.left() * 1e6));
        std::vector<Occupancy> lanes(kLanes, Occupancy(from, perPixel, pixels));
        for (const SpanRecord& record : m_traces[run]->spans()) {
            const Lane lane = laneOf(record.kind);
            if (lane == None || record.end <= span->from || record.start >= span->to) continue;
            lanes[lane].add(std::max(record.start, span->from), std::min(record.end, span->to));
        }
        const int top = run * (kLanes + 1);
        for (int lane = 0; lane < kLanes; ++lane) {
            const auto at = static_cast<std::size_t>(lane);
            drawLane(lanes[at], viewport, top + lane, theme.color(kMeanings[at]), kPatterns[at], list);
        }
        // Where the run is done: the other one's surplus is what lies right of it.
        const double end = static_cast<double>((span->to - span->from).count()) * 1e-6;
        list.lines.push_back({QPointF(end, top), QPointF(end, top + kLanes),
                              theme.color(run == 0 ? Meaning::RunA : Meaning::RunB), run == 1});
    }
    return list;
}

}  // namespace expertscope
