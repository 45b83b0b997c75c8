// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// What the tokens of prompts of one label chose. Requests without a label are of the label "".
struct LabelLoads {
    std::string label;
    std::vector<std::int64_t> tokens;         ///< [layers] routed
    std::vector<std::vector<double>> counts;  ///< [layers, E] tokens that chose the expert
    std::vector<std::vector<double>> mass;    ///< [layers, E] gate weight as applied; weights not known count nowhere
};

/// In order of first appearance. Tokens of no request are left out. O(assignments).
std::vector<LabelLoads> loadsByLabel(const RunRouting& routing);

/// Domain specialisation, DS(e, D) = N_{e,D} / N_D (OLMoE, arXiv 2409.02060 §5).
AnalysisInfo specialisationAnalysis();

/// One layer's standing committee (arXiv 2601.03425): experts that rank high in every domain. By the mean gate mass
/// that an expert takes from a token of the domain, experts are ranked in each domain from 1 to k, others k + 1; those
/// among the k in at least `presence` of the domains stand for election, and the committee are the ones that no other
/// of them beats in both mean and variance of the rank (Pareto).
struct Committee {
    LayerIndex layer;
    std::vector<std::int32_t> members;      ///< ascending; empty where nobody stands
    double meanRank = 0, rankVariance = 0;  ///< of the members; NaN without
    double coverage = 0;                    ///< their part of the layer's gate mass, summed over the domains' means
    double randomCoverage = 0;              ///< as many experts drawn at random: |C| / E
    double ratio = 0;                       ///< a member's coverage over that of another expert; NaN without either
};
std::vector<Committee> committeesOf(const RunRouting& routing, double presence = 0.8);

AnalysisInfo committeeAnalysis();

}  // namespace expertscope
