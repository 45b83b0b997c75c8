// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "profiler/analysis/residency_timeline.h"
#include "profiler/analysis/routing/overlap.h"
#include "profiler/analysis/routing/reuse_distance.h"
#include "storage/session_reader.h"

namespace expertscope {

class JobControl;

/// What a global LRU cache hits at every budget, and what it would hit of other choices.
struct CacheCurve {
    struct Point {
        double share = 0;       ///< of all expert bytes (of all experts, where their sizes are not known), 0…1
        double hits = 0;        ///< of all accesses
        double decodeHits = 0;  ///< of those of generated tokens; NaN without any
    };
    struct Baseline {
        double share = 0;     ///< of all experts
        double shuffled = 0;  ///< each layer's choices dealt out to its tokens at random
        double uniform = 0;   ///< random choices
    };
    std::vector<Point> points;
    std::vector<Baseline> baselines;
    double cliff = 0;      ///< share that one generated token demands; NaN where none was generated
    double firstUses = 0;  ///< part of the accesses that misses at every budget; NaN where it is not known
    std::int64_t accesses = 0;
    bool inBytes = true;
    QString missing;  ///< why there is no curve; empty where there is one
};

/// What the cache view shows of one run whichever tokens are counted.
struct CacheRun {
    RunEntry run;
    std::filesystem::path session;
    std::shared_ptr<const RunRouting> routing;
    CacheCurve curve;
    ResidencyTimeline residency{0, 0};
    std::vector<std::vector<std::int32_t>> residents;  ///< [layers, steps] experts that are resident; empty where no
                                                       ///< residency was recorded
    std::vector<std::int32_t> firstTokens;             ///< [steps + 1] first token of each step; the last: one past all
    const ModelFacts& model() const { return run.description.model; }
    std::int32_t steps() const { return static_cast<std::int32_t>(firstTokens.size()) - 1; }
};

/// Reads the run and finds what its cache could do. To be called off the UI thread. Throws Error where the session or
/// the run cannot be read.
std::shared_ptr<const CacheRun> readCacheRun(const std::filesystem::path& session, RunId run,
                                             const JobControl& control);

/// Which tokens are counted.
enum class CountedTokens { All, Prompt, Generated };
QString countedTokensName(CountedTokens tokens);

/// How soon and how often experts are used again.
struct CacheReuse {
    CountedTokens tokens = CountedTokens::All;
    QString counted;                                ///< what was, in a sentence
    std::vector<std::vector<ReuseBin>> histograms;  ///< [1 + layers] of all layers, then of each; empty ones have none
    std::vector<LayerOverlap> overlaps;             ///< by layer, then lag
};
std::shared_ptr<const CacheReuse> countReuse(const CacheRun& run, CountedTokens tokens, const JobControl& control);

}  // namespace expertscope
