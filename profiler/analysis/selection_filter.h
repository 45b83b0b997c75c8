// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "profiler/analysis/trace_view.h"

namespace expertscope {

/// Which selections an analysis counts. Ranges are half open; the defaults take everything.
struct SelectionFilter {
    TokenIndex fromToken{0};
    TokenIndex toToken{std::numeric_limits<std::int32_t>::max()};
    Nanoseconds fromTime{std::numeric_limits<std::int64_t>::min()};
    Nanoseconds toTime{std::numeric_limits<std::int64_t>::max()};
    std::optional<Phase> phase;

    bool limitsTokens() const;
    bool limitsTime() const;
    bool operator==(const SelectionFilter&) const = default;
};

/// Decides for each selection whether a filter takes it. A selection's phase is its token's; it lies in a time range
/// when the span of its layer and step overlaps the range. Both may be recorded later than the selection itself.
class SelectionSieve {
public:
    enum class Verdict : std::uint8_t {
        Counted,
        Excluded,
        NotYet,   ///< what decides has not been recorded yet: ask again after the next update
        Unplaced  ///< what decides was never recorded (lost, or not asked for)
    };

    explicit SelectionSieve(const SelectionFilter& filter) : m_filter(filter) {}
    const SelectionFilter& filter() const { return m_filter; }

    /// Takes in what `trace` has gained since. Linear in the news.
    void update(const TraceView& trace);
    Verdict judge(const SelectionRecord& selection) const;

private:
    struct Interval {
        Nanoseconds start, end;
        bool known = false;
    };
    Verdict judgePhase(TokenIndex token) const;
    Verdict judgeTime(StepIndex step, LayerIndex layer) const;
    void addLayerSpan(const SpanRecord& span);

    SelectionFilter m_filter;
    std::size_t m_tokensRead = 0, m_spansRead = 0;
    std::vector<std::int8_t> m_phases;                ///< by token; -1 where unknown
    std::vector<std::vector<Interval>> m_layerSpans;  ///< by step, by layer
};

}  // namespace expertscope
