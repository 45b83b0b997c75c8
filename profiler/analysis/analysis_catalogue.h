// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/offload/parameters.h"
#include "profiler/analysis/analysis_table.h"
#include "profiler/analysis/run_routing.h"

namespace expertscope {

class Checkpoint;
class RawCapture;
class WeightStudy;
struct DeepAggregates;

/// What an analysis looks at.
enum class AnalysisSource {
    Routing,     ///< a run's selections: any session with routing, imported ones too
    Checkpoint,  ///< a model's weights; no run is needed
    Deep,        ///< what every expert of layers made of a run's tokens (run --record deep)
};

/// What the analyses are given; only what AnalysisInfo::source says is there for sure.
struct AnalysisInput {
    const RunRouting* routing = nullptr;
    const RunRouting* other = nullptr;  ///< a second run, where two are compared; may be null
    const Checkpoint* checkpoint = nullptr;
    WeightStudy* weights = nullptr;        ///< of `checkpoint`, where several analyses share what is read; may be null
    const DeepAggregates* deep = nullptr;  ///< of the same run as `routing`; null where it was not captured
    const RawCapture* raw = nullptr;       ///< the vectors of the same deep capture; null where none are known of
    /// Called now and then with 0…1 by analyses that take long; may throw to end the work. May be empty.
    std::function<void(double)> progress;
};

/// One analysis as users and views find it.
struct AnalysisInfo {
    std::string name;  ///< "balance"
    AnalysisSource source = AnalysisSource::Routing;
    std::string parameters;  ///< "capacity=1.25, …" with defaults; empty when there are none of its own
    std::string needs;       ///< beyond its source ("predictions", "a second run"); empty when nothing
    std::string summary;     ///< one line: what the rows are
    std::string reference;   ///< paper or tool that the formulas are from
    /// Takes the parameters that it knows from `parameters` (do not call finish()). Throws UsageError for a value that
    /// cannot be; input that is empty or lacks what is needed gives a table without rows whose sentence says so.
    std::function<AnalysisTable(const AnalysisInput&, Parameters&)> run;
    bool takesCounts = false;  ///< also of runs of which only sums by expert are known (RunRouting::counts())
    int version = 1;  ///< raised when its columns or formulas change, so that kept tables are not taken for new ones
};

/// The analyses of this room, in the order in which they are listed. Others (profiler/replay) have lists of their own.
const std::vector<AnalysisInfo>& analysisCatalogue();

/// The analysis that `text` ("balance:phase=decode") names. Throws UsageError listing what exists.
const AnalysisInfo& analysisInfo(std::span<const AnalysisInfo> catalogue, std::string_view text);

/// Runs one analysis. Every analysis of routing also takes phase=all|prefill|decode (a token's phase: prompt or
/// generated) and warmup=keep|exclude (runs of 32 and more tokens that were routed exactly alike).
AnalysisTable runAnalysis(const AnalysisInfo& info, std::string_view text, const AnalysisInput& input);

/// The common parameters, as AnalysisInfo::parameters has them.
inline constexpr const char* kRoutingParameters = "phase=all, warmup=keep";

}  // namespace expertscope
