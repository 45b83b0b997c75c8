// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/time_split.h"

#include <algorithm>
#include <iterator>
#include <limits>

namespace expertscope {

namespace {

struct Interval {
    Nanoseconds start, end;
};

enum class Part { Wait, Predict, Compute, Frame, None };

Part partOf(SpanKind kind) {
    switch (kind) {
        case SpanKind::Wait:
            return Part::Wait;
        case SpanKind::Predict:
            return Part::Predict;
        case SpanKind::Attention:
        case SpanKind::Router:
        case SpanKind::Experts:
        case SpanKind::ExpertCompute:
        case SpanKind::Combine:
        case SpanKind::Head:
        case SpanKind::Sample:
            return Part::Compute;
        case SpanKind::Step:
        case SpanKind::Layer:
            return Part::Frame;
        default:
            return Part::None;
    }
}

/// Sorted disjoint intervals that cover the same moments.
std::vector<Interval> united(std::vector<Interval> intervals) {
    // A thread records one after the other, so that most are in order already.
    if (!std::ranges::is_sorted(intervals, {}, &Interval::start)) std::ranges::sort(intervals, {}, &Interval::start);
    std::vector<Interval> result;
    for (const Interval& interval : intervals) {
        if (!result.empty() && interval.start <= result.back().end)
            result.back().end = std::max(result.back().end, interval.end);
        else
            result.push_back(interval);
    }
    return result;
}

Nanoseconds measure(const std::vector<Interval>& disjoint) {
    Nanoseconds sum;
    for (const Interval& interval : disjoint)
        sum += interval.end - interval.start;
    return sum;
}

/// Length of what two sets of sorted disjoint intervals have in common.
Nanoseconds common(const std::vector<Interval>& a, const std::vector<Interval>& b) {
    Nanoseconds sum;
    for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
        const Nanoseconds start = std::max(a[i].start, b[j].start), end = std::min(a[i].end, b[j].end);
        if (start < end) sum += end - start;
        if (a[i].end < b[j].end)
            ++i;
        else
            ++j;
    }
    return sum;
}

/// Sorted disjoint intervals that cover the moments of either of two such sets.
std::vector<Interval> joined(const std::vector<Interval>& a, const std::vector<Interval>& b) {
    std::vector<Interval> both;
    both.reserve(a.size() + b.size());
    std::ranges::merge(a, b, std::back_inserter(both), {}, &Interval::start, &Interval::start);
    return united(std::move(both));
}

}  // namespace

TimeSplit splitTime(std::span<const SpanRecord> spans, LaneId computeLane, Nanoseconds from, Nanoseconds to) {
    std::vector<Interval> waits, predicts, computes, transfers, all;
    for (const SpanRecord& span : spans) {
        const Interval cut{std::max(span.start, from), std::min(span.end, to)};
        if (cut.start >= cut.end) continue;
        if (span.kind == SpanKind::TransferDemand || span.kind == SpanKind::TransferPrefetch) transfers.push_back(cut);
        if (span.lane != computeLane) continue;
        const Part part = partOf(span.kind);
        if (part == Part::None) continue;
        all.push_back(cut);
        if (part == Part::Wait) waits.push_back(cut);
        if (part == Part::Predict) predicts.push_back(cut);
        if (part == Part::Compute) computes.push_back(cut);
    }
    TimeSplit split;
    transfers = united(std::move(transfers));
    waits = united(std::move(waits));
    split.transfer = measure(transfers);
    split.exposedTransfer = common(transfers, waits);
    split.hiddenTransfer = split.transfer - split.exposedTransfer;
    if (all.empty()) return split;
    all = united(std::move(all));
    const std::vector<Interval> notCompute = joined(waits, united(std::move(predicts)));
    const std::vector<Interval> busy = joined(notCompute, united(std::move(computes)));
    split.total = all.back().end - all.front().start;
    split.wait = measure(waits);
    split.compute = measure(busy) - measure(notCompute);
    split.other = split.total - split.wait - split.compute;
    return split;
}

TimeSplit splitTime(std::span<const SpanRecord> spans, LaneId computeLane) {
    using Limits = std::numeric_limits<std::int64_t>;
    return splitTime(spans, computeLane, Nanoseconds{Limits::min()}, Nanoseconds{Limits::max()});
}

std::vector<TokenRate> tokenRates(std::span<const TokenRecord> tokens, int window) {
    std::vector<TokenRate> rates;
    std::size_t first = 0;  // of the request's generated tokens
    bool inRequest = false;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const TokenRecord& token = tokens[i];
        if (token.phase != Phase::Decode) {
            inRequest = false;
            continue;
        }
        if (!inRequest || tokens[first].request != token.request) {
            first = i;
            inRequest = true;
        }
        const std::size_t count = std::min(i - first, static_cast<std::size_t>(std::max(window, 1)));
        const Nanoseconds took = token.time - tokens[i - count].time;
        const bool known = count > 0 && took.count() > 0;
        rates.push_back({token.token, known ? 1e9 * static_cast<double>(count) / static_cast<double>(took.count())
                                            : std::numeric_limits<double>::quiet_NaN()});
    }
    return rates;
}

}  // namespace expertscope
