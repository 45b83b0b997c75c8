// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "profiler/analysis/run_trace.h"
#include "views/timeline/span_paint.h"
#include "views/timeline/span_row.h"

namespace expertscope {

/// One row of the timeline. An item's category is an index into `paints`; its source is the index of its span, ~index
/// of its transfer where the run recorded no spans, or -1 - 2^30 where it is derived.
struct TimelineRow {
    QString title;
    QString explanation;  ///< one sentence
    std::vector<SpanPaint> paints;
    SpanRow items;
    bool summed = false;  ///< items are sums over stretches that are narrower than a pixel, see TimelineSum
};

/// What one item of a summed row stands for: the spans of one paint in a stretch of time.
struct TimelineSum {
    std::int64_t from = 0, to = 0;  ///< the stretch, nanoseconds since the run's start
    std::int64_t busy = 0;          ///< nanoseconds of it
    std::int64_t count = 0;         ///< that begin in it; 0 where it is not known
    std::int64_t longest = 0;       ///< nanoseconds, of those; 0 where it is not known
};

/// The rows of one run, kept up to date while it grows: which span lies in which row, what became of each transfer, and
/// two derived rows: phases with the waits inside them cut out, and transfers that hid behind computing or did not.
///
/// An update costs O(new records) where they come nearly in order of time, as a recorder writes them. A long recording
/// can be taken in by several updates of bounded length.
class TimelineRows {
public:
    static constexpr std::int32_t kDerived = -1 - (1 << 30);

    static constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

    explicit TimelineRows(const RunTrace& trace, std::size_t most = kAll);
    /// The rows of a run from sums over short stretches of it: an item is one paint's share of a stretch, and the items
    /// of a stretch stand one after another in it, so that it is painted as busy as it was. Waits are taken out of the
    /// experts' phase, a transfer counts as exposed as far as waits fall into its stretch, and odd layers look as even
    /// ones. `trace` tells of the run and its lanes.
    TimelineRows(const RunTrace& trace, const SpanWindow& spans, const TransferWindow& transfers);
    /// Makes those rows that another part of the run has, so that rows keep their places.
    void addRowsOf(const TimelineRows& other);
    /// What an item of a summed row stands for; null for others.
    const TimelineSum* sumOf(std::int32_t source) const;
    /// Takes in what the trace has gained, at most so many spans and transfers of it; true when anything changed.
    bool update(std::size_t most = kAll);
    /// Whether the trace has nothing that is not taken in.
    bool complete() const;

    const RunTrace& trace() const { return m_trace; }
    /// From top to bottom; only rows that have had an item.
    const std::vector<const TimelineRow*>& rows() const { return m_order; }
    const TimelineRow* waits() const { return row(kWaits); }
    const TimelineRow* phases() const { return row(kPhases); }
    const TimelineRow* demand() const { return row(kDemand); }
    const TimelineRow* prefetch() const { return row(kPrefetch); }
    const TimelineRow* overlap() const { return row(kOverlap); }
    /// Start of the first and end of the last item, nanoseconds since the run's start.
    std::int64_t firstTime() const { return m_first; }
    std::int64_t lastTime() const { return m_last; }
    bool empty() const { return m_order.empty(); }

    /// Nanoseconds since the run's start of a time on the session clock.
    std::int64_t relative(Nanoseconds time) const { return (time - m_origin).count(); }
    Nanoseconds absolute(std::int64_t time) const { return Nanoseconds(time) + m_origin; }
    /// When a step ran; nothing for one without a span.
    std::optional<SpanItem> step(StepIndex step) const;
    /// The tokens that a step ran or produced, [from, to).
    std::optional<std::pair<TokenIndex, TokenIndex>> tokensOf(StepIndex step) const;
    /// Spans of one expert (compute and transfers), as indices into the trace's spans.
    const std::vector<std::int32_t>& spansOf(ExpertRef expert) const;
    /// Row of a span.
    const TimelineRow* rowOf(const SpanRecord& span) const { return row(key(span)); }
    /// The transfer that an item's source stands for, or null while its fate is unknown.
    const TransferRecord* transferOf(std::int32_t source) const;

private:
    // Rows by the order in which they stand.
    static constexpr int kSteps = 0, kLayers = 1, kPhases = 2, kWaits = 3, kCompute = 10, kNearMemory = 5000,
                         kShadow = 9500, kDemand = 10000, kPrefetch = 10001, kPreload = 10002, kOverlap = 10003,
                         kRanges = 20000;
    struct OpenTransfer {
        std::int32_t span;
        std::int64_t start, end;
    };
    struct Unmatched {
        std::int32_t transfer;
        int tries;
    };
    using Pending = std::map<int, std::vector<SpanItem>>;

    struct Stack;
    using Stacks = std::map<int, Stack>;

    int key(SpanKind kind, LaneId lane) const;
    int key(const SpanRecord& span) const { return key(span.kind, span.lane); }
    const TimelineRow* row(int key) const;
    TimelineRow& ensureRow(int key);
    QString title(int key) const;
    QString explanation(int key) const;
    void nameRanges();
    std::size_t categoryIn(int rowKey, SpanPaint paint);
    void tellFates(Stacks& stacks, const TransferWindow& transfers);
    void deriveSums(Stacks& stacks) const;
    void addSums(int key, const Stack& stack, int bits);
    void readSpans(Pending& pending, std::size_t most);
    void readTransfers(Pending& pending, std::size_t most);
    void readTokens();
    bool settle(std::int32_t transfer);
    std::int64_t reopen(int derivedRow, std::int64_t from);
    void updatePhases(std::int64_t from);
    void updateOverlap(std::int64_t from);

    const RunTrace& m_trace;
    Nanoseconds m_origin;
    std::map<int, TimelineRow> m_rows;
    SpanRow m_phaseSpans;  ///< whole phases, waits included; categories as in the row
    std::vector<const TimelineRow*> m_order;
    std::size_t m_spansRead = 0, m_transfersRead = 0, m_tokensRead = 0;
    std::int64_t m_first = 0, m_last = 0;
    std::vector<SpanItem> m_steps;  ///< by step; source -1 where there is none
    std::vector<std::pair<std::int32_t, std::int32_t>> m_tokensOfStep;
    std::unordered_map<std::int64_t, std::vector<std::int32_t>> m_byExpert;
    std::unordered_map<std::int64_t, std::vector<OpenTransfer>> m_open;  ///< transfer spans whose fate is not known yet
    std::unordered_map<std::int32_t, std::int32_t> m_transferOfSpan;
    std::vector<Unmatched> m_unmatched;
    std::vector<TimelineSum> m_sums;
};

}  // namespace expertscope
