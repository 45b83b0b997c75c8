// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <vector>

#include "engine/base/records.h"

namespace expertscope {

/// Where the compute thread's time went, and how much of the transfers hid behind it. Times in nanoseconds.
struct TimeSplit {
    Nanoseconds total;            ///< = compute + wait + other
    Nanoseconds compute;          ///< attention, router, experts, combine, head, sampling, less the waits inside
    Nanoseconds wait;             ///< for expert bytes: the exposed part of offloading
    Nanoseconds other;            ///< shadow predictors, book-keeping, gaps between steps
    Nanoseconds transfer;         ///< at least one transfer (demand or prefetch) was under way
    Nanoseconds exposedTransfer;  ///< of these, the compute thread waited
    Nanoseconds hiddenTransfer;   ///< of these, it did not: transfer = hidden + exposed
};

/// Splits the time of the compute lane within [from, to), cut to the stretch that its spans cover. Each moment counts
/// once, however spans nest: as wait where a Wait span covers it, else other where a Predict span does, else compute
/// where a compute span does, else other. Transfers made before the run (preload) are not counted. Plain equivalent:
/// ask every nanosecond which spans cover it. O(n log n) in the spans of the range.
TimeSplit splitTime(std::span<const SpanRecord> spans, LaneId computeLane, Nanoseconds from, Nanoseconds to);
/// Over the whole run.
TimeSplit splitTime(std::span<const SpanRecord> spans, LaneId computeLane);

struct TokenRate {
    TokenIndex token;
    double tokensPerSecond;  ///< NaN for a request's first generated token, whose time holds the prefill
};

/// Speed at each generated token: n tokens over the time since the token n before it, n = `window` or as many as its
/// request has generated so far. NaN where the times do not ascend.
std::vector<TokenRate> tokenRates(std::span<const TokenRecord> tokens, int window = 1);

}  // namespace expertscope
