// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "profiler/replay/replay.h"

namespace expertscope {

/// What an approximate policy did to the model's output where a run measured it.
struct MeasuredFidelity {
    double perplexity = 0, residentPerplexity = 0;
    double rise() const { return perplexity / residentPerplexity - 1; }
};

struct AdviceQuestion {
    Bytes budget;                                        ///< expert bytes that the memory has room for
    std::optional<LinkSpec> link{};                      ///< absent: the link that the run had
    std::map<std::string, MeasuredFidelity> fidelity{};  ///< by policy name
    /// An approximate policy is considered where its perplexity rises by no more than this.
    double mostRise = 0.03;
};

/// A policy, eviction and budget with the speed that its replay predicts.
struct AdvisedChoice {
    ReplayResult replay;
    double low = 0, high = 0;  ///< interval of the speed, tok/s
};

/// Why a policy was not considered.
struct PassedOver {
    std::string policy, reason;
};

struct Advice {
    std::vector<AdvisedChoice> choices;  ///< by falling predicted speed; the first is the advice
    std::vector<PassedOver> passedOver;
    ReplayBound bound;
    /// Measured over replayed speed of the run itself; intervals reach from it to 1, and 5 % beyond. NaN where the run
    /// has no speed to be compared with.
    double replayError = 0;
};

/// Replays every policy of the catalogue that the recording has what it needs for, each with several evictions where
/// they make a difference, at the whole budget and at three quarters and a half of it. Of choices whose predicted
/// speeds differ by less than 1 % the one with the smaller budget, then the plainer policy, comes first. Throws
/// UsageError when the budget holds no expert, BadInputError when the run recorded no times.
Advice advise(const ReplayBench& bench, const AdviceQuestion& question, int threads);

}  // namespace expertscope
