// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/expert_count_cost.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "engine/model/checkpoint.h"
#include "profiler/analysis/weights/weight_study.h"

namespace expertscope {
namespace {

constexpr int kLargestExpansion = 512;  ///< of the models that the law was fitted to

/// The checkpoint, embeddings and routers left out.
ServedModel servedModelOf(const Checkpoint& checkpoint) {
    const ModelConfig& config = checkpoint.config();
    const ExpertPlacement& expert = checkpoint.expert({LayerIndex(0), ExpertId(0)});
    const auto bytes = static_cast<double>(elementSize(expert.type));
    const double queries = static_cast<double>(config.heads) * config.headDim;
    const double keys = static_cast<double>(config.kvHeads) * config.headDim;
    const double attention = config.hidden * (2 * queries + 2 * keys);
    const double experts = static_cast<double>(config.topK) * static_cast<double>(expert.bytes) / bytes;
    ServedModel model;
    model.parameters = config.layers * (attention + experts);
    model.expertShare = experts / (attention + experts);
    model.expansion = static_cast<double>(config.experts) / config.topK;
    model.topK = config.topK;
    model.parameterBytes = bytes;
    model.contextBytes = 2 * keys * config.layers * bytes;
    return model;
}

/// The same model with more or fewer experts and as large as `parameters`; what a token of context takes grows with the
/// power 2/3 (layers · width, where parameters go by layers · width² and the two keep their proportion).
ServedModel resized(const ServedModel& from, double expansion, double parameters) {
    ServedModel model = from;
    model.expansion = expansion;
    model.parameters = parameters;
    model.contextBytes = from.contextBytes * std::pow(parameters / from.parameters, 2.0 / 3);
    return model;
}

std::set<double> expansionsWith(double own) {
    std::set<double> expansions{own};
    for (int expansion = 1; expansion <= kLargestExpansion; expansion *= 2)
        expansions.insert(expansion);
    return expansions;
}

std::string countedSentence(const std::string& name, const std::string& routing, const ExpertScalingLaw& law,
                            const ServedModel& own, const ServingHardware& hardware) {
    return fmt::format(
        "No weights are read: {} as a model of N = {:.4g} active parameters (embeddings and routers left out), c = "
        "{:.3g} "
        "of them in experts, {} of {} experts a token. log10 loss = a·n + b·x + c·n·x + d with n = log10 N, x = log10 "
        "of "
        "the saturating number of experts for each active one; constants of {} routing: a {}, b {}, c {}, d {}, start "
        "{}, "
        "most {} (models trained on 130 billion tokens, up to {} experts; beyond that, and for other data, it is an "
        "extrapolation and only ratios mean something). total parameters (1 + (expansion − 1)·c)·N. Serving: decoding "
        "on "
        "1 to {} GPUs of {:.4g} GB, {:.4g} GB/s, {:.4g} Tflop/s, contexts of {} tokens, by roofline, batch as large as "
        "fits. same_loss: a model of this number of experts with this model's loss; training in operations of this "
        "model's (6·N·tokens). expansion 1, a dense model, is what the others are to be held against.",
        name, own.parameters, own.expertShare, own.topK, own.topK * own.expansion, routing, law.a, law.b, law.c, law.d,
        law.start, law.most, kLargestExpansion, hardware.gpus, hardware.memory / 1e9, hardware.bytesPerSecond / 1e9,
        hardware.operationsPerSecond / 1e12, hardware.context);
}

AnalysisTable expertCountCostTable(const AnalysisInput& input, Parameters& parameters) {
    const std::string routing = parameters.word("law", {"s-base", "rl-r", "hash"});
    const ExpertScalingLaw law = ExpertScalingLaw::published(routing);
    ServingHardware hardware;
    hardware.memory = parameters.number("memory", 40, 1e-3, 1e6) * 1e9;
    hardware.bytesPerSecond = parameters.number("bandwidth", 1555, 1e-3, 1e9) * 1e9;
    hardware.operationsPerSecond = parameters.number("tflops", 312, 1e-3, 1e9) * 1e12;
    hardware.gpus = parameters.integer("gpus", 8, 1, 1 << 16);
    hardware.context = parameters.integer("context", 2048, 1, 1 << 24);
    const ServedModel own = servedModelOf(*input.checkpoint);
    const double ownLoss = law.logLoss(own.parameters, own.expansion);
    AnalysisTable table;
    table.counted = countedSentence(input.checkpoint->name(), routing, law, own, hardware);
    table.columns = {"experts",
                     "expansion",
                     "own",
                     "total_parameters",
                     "loss",
                     "dense_of_same_loss",
                     "gpus",
                     "batch",
                     "tokens_per_second",
                     "gpu_seconds",
                     "same_loss_parameters",
                     "same_loss_total",
                     "same_loss_training",
                     "same_loss_gpu_seconds"};
    for (const double expansion : expansionsWith(own.expansion)) {
        const ServedModel model = resized(own, expansion, own.parameters);
        const ServedModel same = resized(own, expansion, law.parametersFor(ownLoss, expansion));
        const double loss = law.logLoss(model.parameters, expansion);
        const ServingCost cost = servingCost(model, hardware);
        const bool fits = cost.gpus > 0;
        const auto whenFits = [fits](AnalysisCell cell) { return fits ? std::move(cell) : AnalysisCell{}; };
        table.rows.push_back({own.topK * expansion, expansion, std::int64_t{expansion == own.expansion},
                              model.totalParameters(), std::pow(10, loss), law.parametersFor(loss, 1),
                              whenFits(std::int64_t{cost.gpus}), whenFits(cost.batch), whenFits(cost.tokensPerSecond),
                              cost.gpuSeconds, same.parameters, same.totalParameters(),
                              same.parameters / own.parameters, servingCost(same, hardware).gpuSeconds});
    }
    if (input.progress) input.progress(1);
    return table;
}

}  // namespace

ExpertScalingLaw ExpertScalingLaw::published(std::string_view routing) {
    if (routing == "rl-r") return {-0.083, -0.126, 0.012, 1.111, 1.880, 469.982};
    if (routing == "hash") return {-0.087, -0.136, 0.012, 1.157, 4.175, 477.741};
    return {-0.082, -0.108, 0.009, 1.104, 1.847, 314.478};
}

double ExpertScalingLaw::logSaturated(double expansion) const {
    return -std::log10(1 / (expansion - 1 + 1 / (1 / start - 1 / most)) + 1 / most);
}

double ExpertScalingLaw::logLoss(double parameters, double expansion) const {
    const double n = std::log10(parameters), x = logSaturated(expansion);
    return a * n + b * x + c * n * x + d;
}

double ExpertScalingLaw::parametersFor(double logLoss, double expansion) const {
    const double x = logSaturated(expansion);
    return std::pow(10, (logLoss - d - b * x) / (a + c * x));
}

ServingCost servingCost(const ServedModel& model, const ServingHardware& hardware) {
    ServingCost best{.gpuSeconds = std::numeric_limits<double>::quiet_NaN()};
    const double experts = model.topK * model.expansion;
    const double weights = model.totalParameters() * model.parameterBytes;
    const double context = model.contextBytes * hardware.context;
    for (int gpus = 1; gpus <= hardware.gpus; gpus *= 2) {
        const double batch = std::floor((gpus * hardware.memory - weights) / context);
        if (batch < 1) continue;
        const double reached = experts * (1 - std::pow(1 - model.topK / experts, batch));
        const double active = model.parameters * model.parameterBytes;
        const double read =
            active * (1 - model.expertShare) + active * model.expertShare * reached / model.topK + batch * context / 2;
        const double seconds = std::max(read / (gpus * hardware.bytesPerSecond),
                                        2 * model.parameters * batch / (gpus * hardware.operationsPerSecond));
        const double cost = gpus * seconds / batch * 1e6;
        if (best.gpus == 0 || cost < best.gpuSeconds) best = {gpus, batch, batch / seconds, cost};
    }
    return best;
}

AnalysisInfo expertCountCostAnalysis() {
    return {
        .name = "expert-count-cost",
        .source = AnalysisSource::Checkpoint,
        .parameters = "law=s-base|rl-r|hash, memory=40 (GB), bandwidth=1555 (GB/s), tflops=312, gpus=8, context=2048",
        .needs = "",
        .summary = "by number of experts: loss by a published scaling law against the cost of serving and training",
        .reference = "Toward inference-optimal MoE (arXiv 2404.02852) over the law and constants of arXiv 2202.01169",
        .run = expertCountCostTable};
}

}  // namespace expertscope
