// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/base/run_facts.h"
#include "profiler/analysis/time_split.h"

namespace expertscope {

class RunTrace;

/// A mean with its 95 % confidence interval by Student's t; low and high are NaN for a single sample.
struct Estimate {
    double value = 0, low = 0, high = 0;
    int samples = 0;
};
/// Mean and interval of independent samples; NaN without any.
Estimate meanOf(const std::vector<double>& samples);

/// Speed of one request's decoding: tokens after its first over the time that they took.
struct RequestSpeed {
    RequestIndex request;
    double tokensPerSecond = 0;
};

/// What a run is compared by, counted from its records, so that a run that is going on or ended early has it too.
struct RunFigures {
    RunId id;
    RunDescription description;
    std::vector<RequestSpeed> requests;  ///< those with at least two generated tokens
    std::vector<double> tokenMs;         ///< time of each decoded token, ascending
    std::vector<double> hitRate;         ///< [layers] hits ÷ accesses; NaN where there was no access
    std::int64_t accesses = 0, hits = 0, hitsInFlight = 0, misses = 0;
    Bytes demand, useful, late, wasted, cancelled;  ///< by fate, of what was issued
    Bytes peakDevice;                               ///< 0 until the run has ended
    TimeSplit time;
    double topOneAgreement = 0, perplexity = 0, residentPerplexity = 0;  ///< NaN where fidelity was not measured

    /// Decode speed: mean over requests, weighted equally.
    Estimate speed() const;
    /// q-quantile of tokenMs by nearest rank; NaN without tokens.
    double tokenQuantile(double q) const;
};

/// O(n log n) in the spans, else O(records). `progress` is told between its steps which part is done, 0…1, and may
/// throw to end it.
RunFigures figuresOf(const RunTrace& trace, const std::function<void(double share)>& progress = {});

/// How many times as fast `b` decodes as `a`, over the requests that both made: exp of the mean logarithm of the
/// ratios with its interval, so that what one request has in common in both runs cancels out.
Estimate speedRatio(const RunFigures& a, const RunFigures& b);

/// The comparison in a sentence with its uncertainty: "pre-gated decodes 1.28 times as fast as on-demand (95 % interval
/// 1.21 to 1.36 over 12 requests)", or that the two cannot be told apart.
std::string verdict(const RunFigures& a, const RunFigures& b);

/// "pre-gated · lru · 6.75 MiB", what tells a run from its neighbours.
std::string runName(const RunDescription& run);

}  // namespace expertscope
