// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/compare/matched_timeline.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "profiler/analysis/run_trace.h"
#include "views/base/theme.h"

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

struct Decoding {
    Nanoseconds from, to;
};

std::optional<Decoding> decodingOf(const RunTrace& trace, RequestIndex request) {
    std::optional<Decoding> found;
    for (const TokenRecord& token : trace.tokens()) {
        if (token.request != request || token.phase != Phase::Decode) continue;
        if (!found) found = Decoding{token.time, token.time};
        found->to = std::max(found->to, token.time);
    }
    return found;
}

/// Busy time by step, of which a span adds its part to each that it meets. `first` and `last` in steps.
void addSpan(std::vector<double>& busy, double first, double last) {
    const auto steps = static_cast<double>(busy.size());
    last = std::min(last, steps);
    for (double at = std::max(first, 0.0); at < last;) {
        const double next = std::min(std::floor(at) + 1, last);
        busy[static_cast<std::size_t>(at)] += next - at;
        at = next;
    }
}

/// Columns of one lane as boxes, neighbours of equal height joined.
void drawLane(const MatchedLanes& lanes, int lane, const Viewport& viewport, int row, QColor color, Pattern pattern,
              DrawList& list) {
    const int pixels = viewport.pixels.width();
    const double left = viewport.range.left(), width = viewport.range.width() / pixels;
    const auto busyAt = [&](int pixel) { return lanes.busy(lane, left + pixel * width, left + (pixel + 1) * width); };
    constexpr double kTall = 0.86;
    for (int from = 0; from < pixels;) {
        const double busy = busyAt(from);
        int to = from + 1;
        while (to < pixels && std::abs(busyAt(to) - busy) < 0.02)
            ++to;
        if (busy > 0.005) {
            const double height = kTall * busy;
            list.rects.push_back(
                {QRectF(left + from * width, row + 0.95 - height, (to - from) * width, height), color, pattern});
        }
        from = to;
    }
}

}  // namespace

MatchedLanes::MatchedLanes(const RunTrace& trace, RequestIndex request,
                           const std::function<void(double share)>& progress) {
    constexpr std::size_t kSpansBetweenTellings = 1 << 17;
    const auto decoding = decodingOf(trace, request);
    if (!decoding || decoding->to <= decoding->from) return;
    const auto nanoseconds = static_cast<double>((decoding->to - decoding->from).count());
    m_length = nanoseconds * 1e-6;
    const double stepsPerNanosecond = kSteps / nanoseconds;
    std::array<std::vector<double>, kLanes> busy;
    busy.fill(std::vector<double>(kSteps));
    const std::vector<SpanRecord>& spans = trace.spans();
    for (std::size_t i = 0; i < spans.size(); ++i) {
        if (progress && i % kSpansBetweenTellings == 0)
            progress(static_cast<double>(i) / static_cast<double>(spans.size()));
        const Lane lane = laneOf(spans[i].kind);
        if (lane == None || spans[i].end <= decoding->from || spans[i].start >= decoding->to) continue;
        const auto step = [&](Nanoseconds time) {
            return static_cast<double>((time - decoding->from).count()) * stepsPerNanosecond;
        };
        addSpan(busy[lane], step(spans[i].start), step(spans[i].end));
    }
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
        m_upTo[lane].reserve(kSteps + 1);
        m_upTo[lane].push_back(0);
        for (const double share : busy[lane])
            m_upTo[lane].push_back(m_upTo[lane].back() + std::min(1.0, share));
    }
}

double MatchedLanes::busyUpTo(int lane, double step) const {
    const std::vector<double>& upTo = m_upTo[static_cast<std::size_t>(lane)];
    const double at = std::clamp(step, 0.0, static_cast<double>(kSteps));
    const auto before = std::min(static_cast<std::size_t>(at), upTo.size() - 2);
    return std::lerp(upTo[before], upTo[before + 1], at - static_cast<double>(before));
}

double MatchedLanes::busy(int lane, double from, double to) const {
    if (m_length <= 0 || to <= from) return 0;
    const double first = from / m_length * kSteps, last = to / m_length * kSteps;
    return (busyUpTo(lane, last) - busyUpTo(lane, first)) / (last - first);
}

void MatchedTimeline::set(std::shared_ptr<const MatchedLanes> a, std::shared_ptr<const MatchedLanes> b) {
    m_lanes = {std::move(a), std::move(b)};
}

double MatchedTimeline::length(int run) const {
    const auto& lanes = m_lanes[static_cast<std::size_t>(run)];
    return lanes ? lanes->length() : 0;
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
    if (viewport.pixels.width() <= 0 || viewport.range.width() <= 0) return list;
    for (int run = 0; run < 2; ++run) {
        const double end = length(run);
        if (end <= 0) continue;
        const int top = run * (kLanes + 1);
        for (int lane = 0; lane < kLanes; ++lane) {
            const auto at = static_cast<std::size_t>(lane);
            drawLane(*m_lanes[static_cast<std::size_t>(run)], lane, viewport, top + lane, theme.color(kMeanings[at]),
                     kPatterns[at], list);
        }
        // Where the run is done: the other one's surplus is what lies right of it.
        list.lines.push_back({QPointF(end, top), QPointF(end, top + kLanes),
                              theme.color(run == 0 ? Meaning::RunA : Meaning::RunB), run == 1});
    }
    return list;
}

}  // namespace expertscope
