// SPDX-License-Identifier: GPL-3.0-or-later
// The rows of a run that is shown from sums.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "views/timeline/timeline_rows.h"

namespace expertscope {

/// The sums of one row: for each of some consecutive stretches, what each of the row's paints did in it.
struct TimelineRows::Stack {
    struct Part {
        std::int64_t busy = 0, count = 0, longest = 0, amount = 0;
    };
    using Stretch = std::array<Part, SpanRow::kMostCategories>;

    std::int64_t first = 0;  ///< number of the first stretch
    std::vector<Stretch> stretches;

    Stretch& at(std::int64_t number) {
        if (stretches.empty()) first = number;
        if (number < first) {
            stretches.insert(stretches.begin(), static_cast<std::size_t>(first - number), Stretch{});
            first = number;
        }
        const auto index = static_cast<std::size_t>(number - first);
        if (index >= stretches.size()) stretches.resize(index + 1);
        return stretches[index];
    }
    /// Nanoseconds that a stretch is busy with everything.
    std::int64_t busy(std::int64_t number) const {
        const auto index = static_cast<std::size_t>(number - first);
        if (number < first || index >= stretches.size()) return 0;
        std::int64_t sum = 0;
        for (const Part& part : stretches[index])
            sum += part.busy;
        return sum;
    }
};

TimelineRows::TimelineRows(const RunTrace& trace, const SpanWindow& spans, const TransferWindow& transfers)
    : m_trace(trace), m_origin(trace.entry().description.start), m_phaseSpans(1) {
    Stacks stacks;
    for (const SpanSummaryRow& row : spans.rows) {
        const int rowKey = key(row.kind, row.lane);
        const std::size_t category = categoryIn(rowKey, paintOf(row.kind));
        Stack& stack = stacks[rowKey];
        for (std::size_t i = 0; i < row.row.buckets.size(); ++i) {
            const SpanBucket& bucket = row.row.buckets[i];
            if (bucket == SpanBucket{}) continue;
            Stack::Part& part = stack.at(row.row.first + static_cast<std::int64_t>(i))[category];
            part.busy += bucket.busy;
            part.count += bucket.count;
            part.longest = std::max(part.longest, bucket.longest);
        }
    }
    tellFates(stacks, transfers);
    deriveSums(stacks);
    for (const auto& [rowKey, stack] : stacks)
        addSums(rowKey, stack, spans.bits);
}

std::size_t TimelineRows::categoryIn(int rowKey, SpanPaint paint) {
    const std::vector<SpanPaint>& paints = ensureRow(rowKey).paints;
    const auto at = std::ranges::find(paints, paint);
    return at == paints.end() ? 0 : static_cast<std::size_t>(at - paints.begin());
}

/// Gives the time that spans of transfers took to the fates that transfers tell, with their bytes. What is left of it
/// is of those that never finished: they were cancelled.
void TimelineRows::tellFates(Stacks& stacks, const TransferWindow& transfers) {
    const auto prefetch = stacks.find(kPrefetch);
    std::optional<std::size_t> rest;
    for (const TransferSummaryRow& row : transfers.rows) {
        const bool demand = row.purpose == TransferPurpose::Demand;
        const auto stack = stacks.find(demand ? kDemand : kPrefetch);
        if (stack == stacks.end()) continue;  // its spans were not recorded
        const std::size_t category = categoryIn(stack->first, paintOf(row.fate));
        const std::size_t open = categoryIn(stack->first, demand ? SpanPaint::Demand : SpanPaint::PrefetchOpen);
        if (!demand && (!rest || row.fate == TransferFate::Cancelled)) rest = category;
        for (std::size_t i = 0; i < row.row.buckets.size(); ++i) {
            const TransferBucket& bucket = row.row.buckets[i];
            if (bucket == TransferBucket{}) continue;
            Stack::Stretch& stretch = stack->second.at(row.row.first + static_cast<std::int64_t>(i));
            stretch[category].amount += bucket.moved;
            if (category == open) continue;
            const std::int64_t busy = std::min(bucket.busy, stretch[open].busy);
            stretch[open].busy -= busy;
            stretch[category].busy += busy;
        }
    }
    if (!rest) return;
    const std::size_t open = categoryIn(kPrefetch, SpanPaint::PrefetchOpen);
    for (Stack::Stretch& stretch : prefetch->second.stretches) {
        stretch[*rest].busy += std::exchange(stretch[open].busy, 0);
        stretch[open].count = 0;  // of all fates together
    }
}

/// Waits out of the experts' phase, and the overlap of transfers and waits.
void TimelineRows::deriveSums(Stacks& stacks) const {
    const auto waits = stacks.find(kWaits);
    const auto phases = stacks.find(kPhases);
    if (waits != stacks.end() && phases != stacks.end()) {
        const auto categoryOf = [&](SpanPaint paint) {
            const std::vector<SpanPaint>& paints = row(kPhases)->paints;
            return static_cast<std::size_t>(std::ranges::find(paints, paint) - paints.begin());
        };
        const std::size_t experts = categoryOf(SpanPaint::Experts), wait = categoryOf(SpanPaint::Wait);
        for (std::size_t i = 0; i < phases->second.stretches.size(); ++i) {
            Stack::Stretch& stretch = phases->second.stretches[i];
            const std::int64_t waited = waits->second.busy(phases->second.first + static_cast<std::int64_t>(i));
            stretch[wait].busy = waited;
            stretch[experts].busy = std::max<std::int64_t>(0, stretch[experts].busy - waited);
        }
    }
    Stack overlap;
    for (const int rowKey : {kDemand, kPrefetch}) {
        const auto moved = stacks.find(rowKey);
        if (moved == stacks.end()) continue;
        for (std::size_t i = 0; i < moved->second.stretches.size(); ++i) {
            const std::int64_t number = moved->second.first + static_cast<std::int64_t>(i);
            overlap.at(number)[0].busy += moved->second.busy(number);
        }
    }
    for (std::size_t i = 0; i < overlap.stretches.size(); ++i) {
        Stack::Stretch& stretch = overlap.stretches[i];
        const std::int64_t waited =
            waits == stacks.end() ? 0 : waits->second.busy(overlap.first + static_cast<std::int64_t>(i));
        stretch[1].busy = std::min(stretch[0].busy, waited);
        stretch[0].busy -= stretch[1].busy;
    }
    if (!overlap.stretches.empty()) stacks.emplace(kOverlap, std::move(overlap));
}

void TimelineRows::addSums(int rowKey, const Stack& stack, int bits) {
    TimelineRow& target = ensureRow(rowKey);
    target.summed = true;
    const std::int64_t width = std::int64_t{1} << bits;
    std::vector<SpanItem> items;
    for (std::size_t i = 0; i < stack.stretches.size(); ++i) {
        const std::int64_t number = stack.first + static_cast<std::int64_t>(i);
        const std::int64_t busy = stack.busy(number);
        // Where spans of a row overlap, its stretch is full and each has its part of it.
        const double scale = busy > width ? static_cast<double>(width) / static_cast<double>(busy) : 1;
        const std::int64_t from = (number << bits) - m_origin.count(), to = from + width;
        std::int64_t at = from;
        for (std::size_t category = 0; category < target.paints.size(); ++category) {
            const Stack::Part& part = stack.stretches[i][category];
            if (part.busy == 0 && part.count == 0) continue;
            const std::int64_t end =
                std::min(to, at + static_cast<std::int64_t>(std::floor(static_cast<double>(part.busy) * scale)));
            const auto source = kDerived - 1 - static_cast<std::int32_t>(m_sums.size());
            items.push_back({at, end, part.amount, source, static_cast<std::uint8_t>(category)});
            m_sums.push_back({from, to, part.busy, part.count, part.longest});
            at = end;
        }
        if (at == from) continue;
        if (m_first == 0 && m_last == 0) m_first = from;
        m_first = std::min(m_first, from);
        m_last = std::max(m_last, to);
    }
    if (!items.empty()) target.items.add(std::move(items));
}

const TimelineSum* TimelineRows::sumOf(std::int32_t source) const {
    return source < kDerived ? &m_sums[static_cast<std::size_t>(kDerived - 1 - source)] : nullptr;
}

void TimelineRows::addRowsOf(const TimelineRows& other) {
    for (const auto& [rowKey, row] : other.m_rows)
        ensureRow(rowKey);
}

}  // namespace expertscope
