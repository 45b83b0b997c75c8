// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// Which choices of two rows make a transition.
enum class TransitionPairs {
    First,     ///< the first choices alone: one a token (ExFlow)
    SameRank,  ///< the same slot of both (OLMoE's script)
    All,       ///< every choice with every choice
};

/// Where transitions lead: from a layer to a later one for the same token, or from a token to the next one of its
/// request in the same layer.
struct TransitionSpan {
    std::int32_t layers = 1;  ///< 0: tokens
    TransitionPairs pairs = TransitionPairs::First;
};

/// How often expert j followed expert i.
struct Transitions {
    std::int32_t from = 0, to = 0;      ///< layers
    std::int64_t tokens = 0;            ///< pairs of rows that gave at least one transition
    std::int64_t total = 0;             ///< transitions
    std::vector<std::int64_t> counts;   ///< [E, E] row i: from expert i
    std::vector<std::int64_t> out, in;  ///< [E] sums of rows, of columns
};

/// Of every layer from which the span leads to a layer. O(tokens) for First, O(assignments · k) for All.
std::vector<Transitions> transitionsOf(const RunRouting& routing, const TransitionSpan& span);
/// The same from one layer; `from` + span.layers is a layer of the model.
Transitions transitionsFrom(const RunRouting& routing, std::int32_t from, const TransitionSpan& span);

/// What the choice of one says about the next.
struct TransitionInformation {
    double bits = 0;       ///< I(from; to) = Σ p_ij log2(p_ij / (p_i p_j)); biased upwards where tokens are few
    double corrected = 0;  ///< less the Miller–Madow bias (cells − rows − columns + 1) / (2 n ln 2), at least 0
    double fromBits = 0, toBits = 0;  ///< entropies of both sides
    double normalised = 0;  ///< corrected / toBits: the part of the next choice that is known; NaN where toBits is 0
    double coverage20 = 0;  ///< mean, weighted by use, of the part that an expert's most frequent 20 % successors take
};
TransitionInformation informationOf(const Transitions& transitions);

/// The same of the same choices paired at random: mean over 4 permutations of one side. What is above it is structure.
TransitionInformation shuffledInformation(const RunRouting& routing, const Transitions& transitions,
                                          const TransitionSpan& span);

AnalysisInfo transitionsAnalysis();
AnalysisInfo transitionInformationAnalysis();

}  // namespace expertscope
