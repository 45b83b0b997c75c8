// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// What a global LRU cache hits at every size, counted in experts of equal size (profiler/replay/lru_curve.h counts
/// bytes, for replays). A step's layer looks up each of its experts once, then all of them are admitted in the order of
/// their last use, and the least recently used leave: a stack algorithm, so that one pass tells every size.
///
/// Plain equivalent: simulate the cache once for each size. O(n · (16 + m/512)) additions of neighbouring counts for n
/// lookups of m experts, which up to tens of thousands of experts is less work than a tree. Source: Mattson, Gecsei,
/// Slutz, Traiger (1970).
struct HitCurve {
    std::int64_t lookups = 0, decodeLookups = 0;
    std::int64_t firstUses = 0;            ///< miss at every size
    std::int32_t mostByToken = 0;          ///< experts that one generated token needs over all layers: the LRU cliff
    std::vector<std::int64_t> hits;        ///< [1 + layers · E] at a cache of so many experts
    std::vector<std::int64_t> decodeHits;  ///< of them, in generated tokens
};

/// How the choices are taken from the run.
enum class ChoiceOrder {
    Recorded,
    Shuffled,  ///< each layer's choices dealt out to its tokens at random: the popularity stays, its order in time goes
    Uniform    ///< random choices
};
/// Ends after the step in which it has made `mostLookups`.
HitCurve hitCurveOf(const RunRouting& routing, ChoiceOrder order = ChoiceOrder::Recorded,
                    std::int64_t mostLookups = std::numeric_limits<std::int64_t>::max());

AnalysisInfo hitCurveAnalysis();

}  // namespace expertscope
