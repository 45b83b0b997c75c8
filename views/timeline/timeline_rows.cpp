// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/timeline_rows.h"

#include <algorithm>
#include <limits>

#include "views/timeline/lane_title.h"

namespace expertscope {
namespace {

/// A transfer's record and span come through different rings: a record waits this many updates for its span.
constexpr int kMostTries = 20;
constexpr int kPhaseCategories = 8;  // as many as a phase row has paints

std::int64_t expertKey(LayerIndex layer, ExpertId expert) {
    return (static_cast<std::int64_t>(layer.value()) << 32) | static_cast<std::uint32_t>(expert.value());
}

bool isTransfer(SpanKind kind) {
    return kind == SpanKind::TransferDemand || kind == SpanKind::TransferPrefetch || kind == SpanKind::TransferPreload;
}

std::vector<SpanPaint> paintsOf(int key, int phases, int waits, int nearMemory, int shadow, int demand, int prefetch,
                                int preload, int overlap, int ranges) {
    if (key == 0) return {SpanPaint::Step};
    if (key == 1) return {SpanPaint::EvenLayer, SpanPaint::OddLayer};
    if (key == phases) {
        return {SpanPaint::Attention, SpanPaint::Router, SpanPaint::Experts, SpanPaint::Combine,
                SpanPaint::Head,      SpanPaint::Sample, SpanPaint::Predict, SpanPaint::Wait};
    }
    if (key == waits) return {SpanPaint::Wait};
    if (key == shadow) return {SpanPaint::Predict};
    if (key == demand) return {SpanPaint::Demand};
    if (key == prefetch) {
        return {SpanPaint::PrefetchUseful, SpanPaint::PrefetchLate, SpanPaint::PrefetchOpen, SpanPaint::PrefetchWasted,
                SpanPaint::PrefetchCancelled};
    }
    if (key == preload) return {SpanPaint::Preload};
    if (key == overlap) return {SpanPaint::Hidden, SpanPaint::Exposed};
    if (key >= ranges)
        return {SpanPaint::RangeFirst, SpanPaint::RangeSecond, SpanPaint::RangeThird, SpanPaint::RangeFourth};
    return {key >= nearMemory ? SpanPaint::NearMemory : SpanPaint::ExpertCompute};
}

/// A row of one paint may hold spans of a sibling paint (near-memory experts): they take its only category.
std::uint8_t categoryOf(const TimelineRow& row, SpanPaint paint) {
    const auto at = std::ranges::find(row.paints, paint);
    return at == row.paints.end() ? 0 : static_cast<std::uint8_t>(at - row.paints.begin());
}

}  // namespace

TimelineRows::TimelineRows(const RunTrace& trace, std::size_t most)
    : m_trace(trace), m_origin(trace.entry().description.start), m_phaseSpans(kPhaseCategories) {
    update(most);
}

bool TimelineRows::complete() const {
    return m_spansRead == m_trace.spans().size() && m_transfersRead == m_trace.transfers().size() &&
           m_tokensRead == m_trace.tokens().size();
}

const TimelineRow* TimelineRows::row(int key) const {
    const auto found = m_rows.find(key);
    return found == m_rows.end() ? nullptr : &found->second;
}

int TimelineRows::key(SpanKind kind, LaneId lane) const {
    switch (kind) {
        case SpanKind::Step:
            return kSteps;
        case SpanKind::Layer:
            return kLayers;
        case SpanKind::Wait:
            return kWaits;
        case SpanKind::TransferDemand:
            return kDemand;
        case SpanKind::TransferPrefetch:
            return kPrefetch;
        case SpanKind::TransferPreload:
            return kPreload;
        case SpanKind::ExpertCompute: {
            const auto info = std::ranges::find(m_trace.lanes(), lane, &LaneInfo::lane);
            const bool near = info != m_trace.lanes().end() && info->role == LaneRole::NearMemory;
            return (near ? kNearMemory : kCompute) + std::min(lane.value(), 4000);
        }
        case SpanKind::Predict:
            return lane == LaneId(0) ? kPhases : kShadow;
        case SpanKind::Range:
            return kRanges + lane.value();
        default:
            return kPhases;
    }
}

QString TimelineRows::title(int key) const {
    switch (key) {
        case kSteps:
            return QStringLiteral("Steps");
        case kLayers:
            return QStringLiteral("Layers");
        case kPhases:
            return QStringLiteral("Phases");
        case kWaits:
            return QStringLiteral("Waits");
        case kShadow:
            return QStringLiteral("Predictors");
        case kDemand:
            return QStringLiteral("On demand");
        case kPrefetch:
            return QStringLiteral("Prefetch");
        case kPreload:
            return QStringLiteral("Preload");
        case kOverlap:
            return QStringLiteral("Overlap");
        default:
            break;
    }
    const LaneId lane(key - (key >= kRanges ? kRanges : key >= kNearMemory ? kNearMemory : kCompute));
    if (key >= kRanges) return laneTitle(m_trace.lanes(), lane);
    if (lane == LaneId(0)) return QStringLiteral("Experts");
    const auto found = std::ranges::find(m_trace.lanes(), lane, &LaneInfo::lane);
    if (found != m_trace.lanes().end() && !found->name.empty()) {
        QString name = QString::fromStdString(found->name);
        name[0] = name[0].toUpper();
        return name;
    }
    return QStringLiteral("Worker %1").arg(lane.value());
}

QString TimelineRows::explanation(int key) const {
    switch (key) {
        case kSteps:
            return QStringLiteral("Forward steps: a prefill is one step, each decoded token one.");
        case kLayers:
            return QStringLiteral("The layers of each step on the compute thread.");
        case kPhases:
            return QStringLiteral(
                "What the compute thread does inside a layer, and where it waits for an expert's bytes.");
        case kWaits:
            return QStringLiteral("The compute thread waits for an expert's bytes.");
        case kShadow:
            return QStringLiteral("Shadow predictors that run on a thread of their own, beside the compute thread.");
        case kDemand:
            return QStringLiteral("Expert bytes that move because a layer needs them now.");
        case kPrefetch:
            return QStringLiteral("Expert bytes that move because the policy expects them, by what became of them.");
        case kPreload:
            return QStringLiteral("Expert bytes that move before the run starts.");
        case kOverlap:
            return QStringLiteral("Transfers hidden behind computing, and exposed ones that computing waits for.");
        default:
            if (key >= kRanges) {
                const auto lane = std::ranges::find(m_trace.lanes(), LaneId(key - kRanges), &LaneInfo::lane);
                const QString told = QStringLiteral("Ranges that the program itself told through NVTX.");
                return lane == m_trace.lanes().end() ? told : QString::fromStdString(lane->name) + QChar('\n') + told;
            }
            return QStringLiteral("Single experts, each over the tokens that chose it.");
    }
}

TimelineRow& TimelineRows::ensureRow(int key) {
    const auto found = m_rows.find(key);
    if (found != m_rows.end()) return found->second;
    std::vector<SpanPaint> paints =
        paintsOf(key, kPhases, kWaits, kNearMemory, kShadow, kDemand, kPrefetch, kPreload, kOverlap, kRanges);
    const int categories = static_cast<int>(paints.size());
    TimelineRow& created =
        m_rows.emplace(key, TimelineRow{title(key), explanation(key), std::move(paints), SpanRow(categories)})
            .first->second;
    m_order.clear();
    for (const auto& [order, each] : m_rows)
        m_order.push_back(&each);
    if (key >= kRanges) nameRanges();
    return created;
}

/// What is common to all lanes of ranges is left out of their titles, and a new lane may have less in common.
void TimelineRows::nameRanges() {
    for (auto& [key, row] : m_rows) {
        if (key < kRanges) continue;
        row.title = title(key);
        row.explanation = explanation(key);
    }
}

bool TimelineRows::update(std::size_t most) {
    const bool changed = !complete();
    if (!changed && m_unmatched.empty()) return false;
    Pending pending;
    readSpans(pending, most);
    // A transfer waits only for a while for its span, so spans come first.
    if (m_spansRead == m_trace.spans().size()) readTransfers(pending, most);
    readTokens();

    constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
    std::int64_t overlapFrom = kNever, phasesFrom = kNever;
    for (auto& [key, items] : pending) {
        SpanRow& target = key == kPhases ? m_phaseSpans : ensureRow(key).items;
        const std::int64_t earliest = target.add(std::move(items));
        if (key == kWaits || key == kDemand || key == kPrefetch) overlapFrom = std::min(overlapFrom, earliest);
        if (key == kWaits || key == kPhases) phasesFrom = std::min(phasesFrom, earliest);
    }
    if (overlapFrom != kNever) updateOverlap(overlapFrom);
    if (phasesFrom != kNever) updatePhases(phasesFrom);

    const std::vector<Unmatched> waiting = std::exchange(m_unmatched, {});
    for (const Unmatched& each : waiting) {
        if (!settle(each.transfer) && each.tries < kMostTries) m_unmatched.push_back({each.transfer, each.tries + 1});
    }
    return changed;
}

void TimelineRows::readSpans(Pending& pending, std::size_t most) {
    const std::vector<SpanRecord>& spans = m_trace.spans();
    const std::size_t end = m_spansRead + std::min(most, spans.size() - m_spansRead);
    for (; m_spansRead < end; ++m_spansRead) {
        const SpanRecord& span = spans[m_spansRead];
        const int rowKey = key(span);
        const auto source = static_cast<std::int32_t>(m_spansRead);
        SpanItem item{relative(span.start), relative(span.end), 0, source, 0};
        if (isTransfer(span.kind)) {
            item.amount = span.amount;
            if (span.kind != SpanKind::TransferPreload) {
                m_open[expertKey(span.layer, span.expert)].push_back({source, item.start, item.end});
            }
        }
        const TimelineRow& target = ensureRow(rowKey);
        item.category = categoryOf(target, paintOf(span));
        const bool first = m_last == 0 && m_first == 0 && m_spansRead == 0;
        m_first = first ? item.start : std::min(m_first, item.start);
        m_last = std::max(m_last, item.end);
        if (span.kind == SpanKind::Step && span.step.value() >= 0) {
            if (m_steps.size() <= span.step.index()) m_steps.resize(span.step.index() + 1);
            m_steps[span.step.index()] = item;
        }
        if (span.expert.value() >= 0) m_byExpert[expertKey(span.layer, span.expert)].push_back(source);
        pending[rowKey].push_back(item);
    }
}

void TimelineRows::readTransfers(Pending& pending, std::size_t most) {
    const std::vector<TransferRecord>& transfers = m_trace.transfers();
    const bool spansRecorded = m_trace.entry().description.record.spans;
    const std::size_t end = m_transfersRead + std::min(most, transfers.size() - m_transfersRead);
    for (; m_transfersRead < end; ++m_transfersRead) {
        const TransferRecord& transfer = transfers[m_transfersRead];
        if (transfer.started.count() == 0 || transfer.purpose == TransferPurpose::Preload) continue;
        const auto index = static_cast<std::int32_t>(m_transfersRead);
        if (spansRecorded) {
            m_unmatched.push_back({index, 0});
        } else if (transfer.finished > transfer.started) {
            const int rowKey = transfer.purpose == TransferPurpose::Demand ? kDemand : kPrefetch;
            const TimelineRow& target = ensureRow(rowKey);
            const SpanItem item{relative(transfer.started), relative(transfer.finished), transfer.moved.count(), ~index,
                                categoryOf(target, paintOf(transfer.fate))};
            m_last = std::max(m_last, item.end);
            pending[rowKey].push_back(item);
        }
    }
}

bool TimelineRows::settle(std::int32_t index) {
    const TransferRecord& transfer = m_trace.transfers()[static_cast<std::size_t>(index)];
    const auto found = m_open.find(expertKey(transfer.expert.layer, transfer.expert.expert));
    if (found == m_open.end()) return false;
    const std::int64_t start = relative(transfer.started);
    const std::int64_t end =
        transfer.finished.count() == 0 ? std::numeric_limits<std::int64_t>::max() : relative(transfer.finished);
    const auto covers = [&](const OpenTransfer& open) {
        return open.start == start || (open.start < end && open.end > start);
    };
    const auto match = std::ranges::find_if(found->second, covers);
    if (match == found->second.end()) return false;
    m_transferOfSpan[match->span] = index;
    if (transfer.purpose == TransferPurpose::Prefetch) {
        TimelineRow& target = ensureRow(key(m_trace.spans()[static_cast<std::size_t>(match->span)]));
        const std::size_t item = target.items.find(match->span, match->start);
        if (item < target.items.size()) { target.items.setCategory(item, categoryOf(target, paintOf(transfer.fate))); }
    }
    found->second.erase(match);
    return true;
}

void TimelineRows::readTokens() {
    const std::vector<TokenRecord>& tokens = m_trace.tokens();
    for (; m_tokensRead < tokens.size(); ++m_tokensRead) {
        const TokenRecord& token = tokens[m_tokensRead];
        if (token.step.value() < 0) continue;
        if (m_tokensOfStep.size() <= token.step.index()) m_tokensOfStep.resize(token.step.index() + 1, {-1, -1});
        auto& [from, to] = m_tokensOfStep[token.step.index()];
        from = from < 0 ? token.token.value() : std::min(from, token.token.value());
        to = std::max(to, token.token.value() + 1);
    }
}

/// Empties a derived row from a time on, so that it can be made anew from there. An item that straddles `from` was made
/// of what was known before it: the row starts again at its start, which is returned.
std::int64_t TimelineRows::reopen(int derivedRow, std::int64_t from) {
    if (!row(derivedRow)) return from;
    SpanRow& items = ensureRow(derivedRow).items;
    const std::size_t straddles = items.firstEndingAfter(from);
    if (straddles < items.size()) from = std::min(from, items.item(straddles).start);
    items.truncate(from);
    return from;
}

/// Cuts the waits from `from` on out of the phases in which they lie. O(spans from there on).
void TimelineRows::updatePhases(std::int64_t from) {
    if (m_phaseSpans.empty()) return;
    // Waits before the first phase have no place in the row yet.
    const bool begins = ensureRow(kPhases).items.empty();
    from = begins ? std::numeric_limits<std::int64_t>::min() : reopen(kPhases, from);
    static const SpanRow none(1);
    const TimelineRow* waitRow = row(kWaits);
    const SpanRow& waits = waitRow ? waitRow->items : none;
    const std::uint8_t waitCategory = categoryOf(ensureRow(kPhases), SpanPaint::Wait);
    std::vector<SpanItem> pieces;
    const auto add = [&](std::int64_t begin, std::int64_t end, std::int32_t source, std::uint8_t category) {
        if (end > begin) pieces.push_back({begin, end, 0, source, category});
    };
    std::size_t wait = waits.firstEndingAfter(from);
    const auto addWaitsUntil = [&](std::int64_t time) {
        for (; wait < waits.size() && waits.coverTo(wait) <= time; ++wait)
            add(std::max(from, waits.coverFrom(wait)), waits.coverTo(wait), waits.item(wait).source, waitCategory);
    };
    for (std::size_t i = m_phaseSpans.firstEndingAfter(from); i < m_phaseSpans.size(); ++i) {
        const SpanItem& phase = m_phaseSpans.item(i);
        std::int64_t at = std::max(from, m_phaseSpans.coverFrom(i));
        const std::int64_t end = m_phaseSpans.coverTo(i);
        addWaitsUntil(at);
        for (; wait < waits.size() && waits.coverTo(wait) <= end; ++wait) {
            add(at, waits.coverFrom(wait), phase.source, phase.category);
            add(std::max(from, waits.coverFrom(wait)), waits.coverTo(wait), waits.item(wait).source, waitCategory);
            at = std::max(at, waits.coverTo(wait));
        }
        const bool straddled = wait < waits.size() && waits.coverFrom(wait) < end;
        add(at, straddled ? waits.coverFrom(wait) : end, phase.source, phase.category);
    }
    addWaitsUntil(std::numeric_limits<std::int64_t>::max());
    if (!pieces.empty()) ensureRow(kPhases).items.add(std::move(pieces));
}

/// Sweeps transfers and waits from `from` on: a moment is exposed where a transfer and a wait run, hidden where only a
/// transfer does.
void TimelineRows::updateOverlap(std::int64_t from) {
    from = reopen(kOverlap, from);
    struct Edge {
        std::int64_t time;
        int transfers, waits;
    };
    std::vector<Edge> edges;
    const auto collect = [&](int rowKey, int transfers, int waits) {
        const TimelineRow* source = row(rowKey);
        if (!source) return;
        for (std::size_t i = source->items.firstEndingAfter(from); i < source->items.size(); ++i) {
            edges.push_back({std::max(from, source->items.coverFrom(i)), transfers, waits});
            edges.push_back({source->items.coverTo(i), -transfers, -waits});
        }
    };
    collect(kDemand, 1, 0);
    collect(kPrefetch, 1, 0);
    collect(kWaits, 0, 1);
    std::ranges::sort(edges, {}, &Edge::time);

    std::vector<SpanItem> items;
    int transfers = 0, waits = 0;
    for (std::size_t i = 0; i < edges.size(); ++i) {
        transfers += edges[i].transfers;
        waits += edges[i].waits;
        if (transfers <= 0 || i + 1 == edges.size() || edges[i + 1].time == edges[i].time) continue;
        const std::uint8_t category = waits > 0 ? 1 : 0;
        if (!items.empty() && items.back().end == edges[i].time && items.back().category == category) {
            items.back().end = edges[i + 1].time;
        } else {
            items.push_back({edges[i].time, edges[i + 1].time, 0, kDerived, category});
        }
    }
    if (!items.empty()) ensureRow(kOverlap).items.add(std::move(items));
}

std::optional<SpanItem> TimelineRows::step(StepIndex step) const {
    if (step.value() < 0 || step.index() >= m_steps.size() || m_steps[step.index()].source < 0) return std::nullopt;
    return m_steps[step.index()];
}

std::optional<std::pair<TokenIndex, TokenIndex>> TimelineRows::tokensOf(StepIndex step) const {
    if (step.value() < 0 || step.index() >= m_tokensOfStep.size() || m_tokensOfStep[step.index()].first < 0) {
        return std::nullopt;
    }
    const auto [from, to] = m_tokensOfStep[step.index()];
    return std::pair(TokenIndex(from), TokenIndex(to));
}

const std::vector<std::int32_t>& TimelineRows::spansOf(ExpertRef expert) const {
    static const std::vector<std::int32_t> none;
    const auto found = m_byExpert.find(expertKey(expert.layer, expert.expert));
    return found == m_byExpert.end() ? none : found->second;
}

const TransferRecord* TimelineRows::transferOf(std::int32_t source) const {
    if (source <= kDerived) return nullptr;
    std::int32_t index = ~source;
    if (source >= 0) {
        const auto found = m_transferOfSpan.find(source);
        if (found == m_transferOfSpan.end()) return nullptr;
        index = found->second;
    }
    return &m_trace.transfers()[static_cast<std::size_t>(index)];
}

}  // namespace expertscope
