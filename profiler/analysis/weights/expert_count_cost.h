// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string_view>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// How the loss of a routed model depends on the parameters N that a token uses and on how many experts there are for
/// each that it uses (the expansion, 1: dense): log10 L = a·log10 N + b·log10 X' + c·log10 N·log10 X' + d, where
/// X' saturates: 1/X' = 1/(X − 1 + 1/(1/start − 1/most)) + 1/most. Source: "Unified scaling laws for routed language
/// models" (arXiv 2202.01169, equation 1 and table 3, of models trained on 130 billion tokens), on which "Toward
/// inference-optimal mixture-of-expert large language models" (arXiv 2404.02852) builds.
struct ExpertScalingLaw {
    double a = 0, b = 0, c = 0, d = 0, start = 0, most = 0;

    /// Table 3's constants: "s-base", "rl-r" or "hash", by how the models were routed.
    static ExpertScalingLaw published(std::string_view routing);
    double logSaturated(double expansion) const;
    double logLoss(double parameters, double expansion) const;
    /// So many parameters give this loss at this expansion.
    double parametersFor(double logLoss, double expansion) const;
};

/// A model as what serves it sees it.
struct ServedModel {
    double parameters = 0;   ///< that a token uses
    double expertShare = 0;  ///< of these, in experts: c
    double expansion = 1;    ///< experts for each that a token uses
    double topK = 1;         ///< experts that a token uses in a layer
    double parameterBytes = 2;
    double contextBytes = 0;  ///< keys and values of one token of context

    /// N_MoE = (1 + (X − 1)·c)·N.
    double totalParameters() const { return parameters * (1 + (expansion - 1) * expertShare); }
};

struct ServingHardware {
    double memory = 40e9, bytesPerSecond = 1555e9, operationsPerSecond = 312e12;  ///< of one GPU
    int gpus = 8;                                                                 ///< at most
    int context = 2048;                                                           ///< tokens of a sequence
};

/// The cheapest way to decode.
struct ServingCost {
    int gpus = 0;      ///< 0: the model fits on none of them
    double batch = 0;  ///< sequences at once: as many as have room for their keys and values
    double tokensPerSecond = 0;
    double gpuSeconds = 0;  ///< per million tokens; NaN where it does not fit
};

/// Roofline of a decode step: the longer of reading (weights outside the experts, the experts that the batch's choices
/// reach by chance, half-filled contexts) and of two operations a parameter and sequence, on 1, 2, 4 … GPUs. The paper
/// measures throughput instead.
ServingCost servingCost(const ServedModel& model, const ServingHardware& hardware);

/// By number of experts: loss, size and cost of serving; of models of this one's active size, and of its loss.
AnalysisInfo expertCountCostAnalysis();

}  // namespace expertscope
