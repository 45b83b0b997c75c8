// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/analysis_catalogue.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/base/deep_aggregates.h"
#include "engine/base/error.h"
#include "profiler/analysis/deep/activation_map.h"
#include "profiler/analysis/deep/expert_importance.h"
#include "profiler/analysis/deep/neuron_activity.h"
#include "profiler/analysis/deep/norm_score.h"
#include "profiler/analysis/deep/output_similarity.h"
#include "profiler/analysis/deep/unselected.h"
#include "profiler/analysis/deep/weight_importance.h"
#include "profiler/analysis/routing/balance.h"
#include "profiler/analysis/routing/chosen_experts.h"
#include "profiler/analysis/routing/co_activation.h"
#include "profiler/analysis/routing/hit_curve.h"
#include "profiler/analysis/routing/layer_similarity.h"
#include "profiler/analysis/routing/overlap.h"
#include "profiler/analysis/routing/placement.h"
#include "profiler/analysis/routing/prediction_quality.h"
#include "profiler/analysis/routing/request_activation.h"
#include "profiler/analysis/routing/reuse_distance.h"
#include "profiler/analysis/routing/saturation.h"
#include "profiler/analysis/routing/specialisation.h"
#include "profiler/analysis/routing/transitions.h"
#include "profiler/analysis/routing/vocabulary.h"
#include "profiler/analysis/routing/working_set.h"
#include "profiler/analysis/weights/dense_split.h"
#include "profiler/analysis/weights/expert_count_cost.h"
#include "profiler/analysis/weights/expert_pca.h"
#include "profiler/analysis/weights/gate_regression.h"
#include "profiler/analysis/weights/layer_diversity.h"
#include "profiler/analysis/weights/minimum_capacity.h"
#include "profiler/analysis/weights/neuron_matching.h"
#include "profiler/analysis/weights/neuron_pca.h"
#include "profiler/analysis/weights/similarity.h"
#include "profiler/analysis/weights/stable_rank.h"
#include "profiler/analysis/weights/sub_token_routing.h"
#include "profiler/analysis/weights/weight_norms.h"

namespace expertscope {
namespace {

constexpr std::int64_t kWarmUpRun = 32;

/// What the common parameters keep of a run; nothing where they keep all of it.
std::optional<RunRouting> filtered(const RunRouting& routing, Parameters& parameters) {
    const std::string phase = parameters.word("phase", {"all", "prefill", "decode"});
    const std::string warmUp = parameters.word("warmup", {"keep", "exclude"});
    if (!routing.counts().empty() && (phase != "all" || warmUp == "exclude"))
        throw UsageError(
            "The run holds sums by expert only, which tell no phase and no warm-up: leave out phase= and warmup=.");
    std::optional<RunRouting> kept;
    if (warmUp == "exclude") kept = routing.withoutConstantRuns(kWarmUpRun);
    if (phase != "all") kept = (kept ? *kept : routing).onlyPhase(phase == "prefill" ? Phase::Prefill : Phase::Decode);
    return kept;
}

/// Of a run that was recorded without a deep capture a table without rows.
AnalysisTable deepTable(const AnalysisInfo& info, Parameters& parameters, AnalysisInput input) {
    if (!input.deep && !input.routing)
        throw UsageError(
            fmt::format("The analysis {} looks at what every expert makes of a run's tokens: give a session "
                        "that was recorded with '--record deep'.",
                        info.name));
    const DeepAggregates none;
    const bool captured = input.deep != nullptr;
    if (!captured) input.deep = &none;
    AnalysisTable table = info.run(input, parameters);
    parameters.finish();
    if (!captured) {
        table.rows.clear();
        table.counted =
            "Nothing was counted: this run was recorded without a deep capture; 'expertscope run --record "
            "routing,spans,norms,predictions,deep' makes one.";
    }
    return table;
}

}  // namespace

const std::vector<AnalysisInfo>& analysisCatalogue() {
    static const std::vector<AnalysisInfo> kCatalogue{
        balanceAnalysis(),
        loadAnalysis(),
        repetitionAnalysis(),
        overlapAnalysis(),
        reuseDistanceAnalysis(),
        reuseHistogramAnalysis(),
        workingSetAnalysis(),
        coverageAnalysis(),
        hitCurveAnalysis(),
        predictionQualityAnalysis(),
        coActivationAnalysis(),
        transitionsAnalysis(),
        transitionInformationAnalysis(),
        layerSimilarityAnalysis(),
        layerDistanceAnalysis(),
        specialisationAnalysis(),
        committeeAnalysis(),
        vocabularyAnalysis(),
        vocabularyTokensAnalysis(),
        chosenExpertsAnalysis(),
        saturationAnalysis(),
        activationRatioAnalysis(),
        requestReuseAnalysis(),
        requestGroupsAnalysis(),
        placementAnalysis(),
        placementMapAnalysis(),
        normScoreAnalysis(),
        normRanksAnalysis(),
        expertNormsAnalysis(),
        tokenNormsAnalysis(),
        outputSimilarityAnalysis(),
        outputSimilarityPairsAnalysis(),
        tokenSimilarityAnalysis(),
        activationsAnalysis(),
        expertActivationsAnalysis(),
        neuronActivationsAnalysis(),
        activationMapAnalysis(),
        importanceAnalysis(),
        superExpertsAnalysis(),
        unselectedAnalysis(),
        routerScoresAnalysis(),
        weightSimilarityAnalysis(),
        neuronSimilarityAnalysis(),
        neuronMatchingAnalysis(),
        gateSimilarityAnalysis(),
        gateRegressionAnalysis(),
        layerDiversityAnalysis(),
        weightNormsAnalysis(),
        weightImportanceAnalysis(),
        stableRankAnalysis(),
        expertPcaAnalysis(),
        neuronPcaAnalysis(),
        neuronPcaPointsAnalysis(),
        denseSplitAnalysis(),
        minimumCapacityAnalysis(),
        subTokenRoutingAnalysis(),
        subTokenLoadAnalysis(),
        expertCountCostAnalysis(),
    };
    return kCatalogue;
}

const AnalysisInfo& analysisInfo(std::span<const AnalysisInfo> catalogue, std::string_view text) {
    const std::string_view name = text.substr(0, text.find(':'));
    const auto found = std::ranges::find(catalogue, name, &AnalysisInfo::name);
    if (found != catalogue.end()) return *found;
    std::vector<std::string> names;
    for (const AnalysisInfo& info : catalogue)
        names.push_back(info.name);
    throw UsageError(fmt::format("There is no analysis '{}': use one of {}.", name, fmt::join(names, ", ")));
}

AnalysisTable runAnalysis(const AnalysisInfo& info, std::string_view text, const AnalysisInput& input) {
    Parameters parameters(text, "analysis");
    if (info.source == AnalysisSource::Checkpoint) {
        if (!input.checkpoint)
            throw UsageError(
                fmt::format("The analysis {} looks at weights: give a model instead of a session.", info.name));
        AnalysisTable table = info.run(input, parameters);
        parameters.finish();
        return table;
    }
    if (info.source == AnalysisSource::Deep) return deepTable(info, parameters, input);
    if (!input.routing)
        throw UsageError(fmt::format(
            "The analysis {} looks at routing: give a session, made by 'expertscope run' or 'import'.", info.name));
    const std::optional<RunRouting> run = filtered(*input.routing, parameters);
    std::optional<RunRouting> other;
    if (input.other) other = filtered(*input.other, parameters);
    AnalysisInput given = input;
    if (run) given.routing = &*run;
    if (other) given.other = &*other;
    AnalysisTable table = info.run(given, parameters);
    parameters.finish();
    const bool counts = info.takesCounts && !given.routing->counts().empty();
    if (given.routing->assignments() == 0 && !counts) table.rows.clear();
    return table;
}

}  // namespace expertscope
