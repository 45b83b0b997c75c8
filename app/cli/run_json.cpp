// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/run_json.h"

#include <span>

#include "profiler/analysis/run_figures.h"

namespace expertscope {
namespace {

Json requestJson(const GenerationRequest& request, const GenerationResult& result) {
    return {{"label", request.label},
            {"prompt_tokens", result.promptTokens},
            {"generated_tokens", result.generated.size()},
            {"stopped", result.stopped},
            {"text", result.text},
            {"ids", result.generated},
            {"ttft_ms", finiteOrNull(result.ttftMs)},
            {"decode_tokens_per_s", finiteOrNull(result.decodeTokensPerSecond)}};
}

/// The text of all requests, one after the other on lines of their own.
std::string joinedText(const std::vector<GenerationResult>& results) {
    std::string text;
    for (const GenerationResult& result : results) {
        if (&result != &results.front()) text += '\n';
        text += result.text;
    }
    return text;
}

}  // namespace

Json modelJson(const ModelFacts& facts) {
    return {{"name", facts.name},
            {"family", facts.family},
            {"layers", facts.layers},
            {"experts", facts.experts},
            {"top_k", facts.topK},
            {"expert_bytes", facts.expertBytes.count()},
            {"total_expert_bytes", facts.totalExpertBytes.count()}};
}

Json linkJson(const RunDescription& description) {
    return description.link.empty() ? Json(nullptr) : Json(description.link);
}

Json measuresJson(const RunSummary& summary) {
    return {
        {"prefill_tokens_per_s", finiteOrNull(summary.prefillTokensPerSecond)},
        {"decode_tokens_per_s", finiteOrNull(summary.decodeTokensPerSecond)},
        {"ttft_ms", finiteOrNull(summary.ttftMs)},
        {"tpot_ms",
         {{"p50", finiteOrNull(summary.tpotP50Ms)},
          {"p90", finiteOrNull(summary.tpotP90Ms)},
          {"p99", finiteOrNull(summary.tpotP99Ms)}}},
        {"experts",
         {{"accesses", summary.accesses},
          {"hits", summary.hits},
          {"hits_in_flight", summary.hitsInFlight},
          {"misses", summary.misses}}},
        {"transfers",
         {{"demand_bytes", summary.demand.count()},
          {"prefetch_bytes", summary.prefetch.count()},
          {"moved_bytes", summary.moved.count()},
          {"useful_bytes", summary.useful.count()},
          {"late_bytes", summary.late.count()},
          {"wasted_bytes", summary.wasted.count()},
          {"cancelled_bytes", summary.cancelled.count()}}},
        {"time_ms",
         {{"total", finiteOrNull(summary.totalMs)},
          {"compute", finiteOrNull(summary.computeMs)},
          {"wait", finiteOrNull(summary.waitMs)},
          {"other", finiteOrNull(summary.otherMs)}}},
        {"peak_device_bytes", summary.peakDevice.count()},
        {"fidelity", summary.fidelityJson.empty() ? Json(nullptr) : Json::parse(summary.fidelityJson)},
        {"recording", {{"spans", summary.spans}, {"selections", summary.selections}, {"dropped", summary.dropped}}}};
}

namespace {

Json estimateJson(std::span<const RunOutcome* const> runs, double RunSummary::*figure) {
    std::vector<double> values;
    for (const RunOutcome* run : runs)
        values.push_back(run->summary.*figure);
    const Estimate estimate = meanOf(values);
    return {{"mean", finiteOrNull(estimate.value)},
            {"low", finiteOrNull(estimate.low)},
            {"high", finiteOrNull(estimate.high)}};
}

Json blocksJson(const std::vector<BlockLatency>& blocks) {
    Json layers = Json::array();
    for (const BlockLatency& block : blocks)
        layers.push_back({{"layer", layers.size()},
                          {"mean", finiteOrNull(block.meanMs)},
                          {"p50", finiteOrNull(block.p50Ms)},
                          {"p90", finiteOrNull(block.p90Ms)},
                          {"p99", finiteOrNull(block.p99Ms)}});
    return layers;
}

}  // namespace

Json repeatsJson(const std::vector<RunOutcome>& outcomes) {
    Json repeats = Json::array();
    for (std::size_t first = 0; first < outcomes.size();) {
        // A combination's repeats stand together, the first of them with number 0.
        std::vector<const RunOutcome*> runs{&outcomes[first]};
        while (++first < outcomes.size() && outcomes[first].description.repeat > 0)
            runs.push_back(&outcomes[first]);
        const RunDescription& description = runs.front()->description;
        repeats.push_back({{"policy", description.policy},
                           {"eviction", description.eviction},
                           {"budget_bytes", description.budget.count()},
                           {"runs", runs.size()},
                           {"decode_tokens_per_s", estimateJson(runs, &RunSummary::decodeTokensPerSecond)},
                           {"ttft_ms", estimateJson(runs, &RunSummary::ttftMs)},
                           {"tpot_ms",
                            {{"p50", estimateJson(runs, &RunSummary::tpotP50Ms)},
                             {"p90", estimateJson(runs, &RunSummary::tpotP90Ms)},
                             {"p99", estimateJson(runs, &RunSummary::tpotP99Ms)}}}});
    }
    return repeats;
}

Json runJson(const RunOutcome& outcome, const std::vector<GenerationRequest>& requests) {
    const RunDescription& description = outcome.description;
    const RunSummary& summary = outcome.summary;
    Json listed = Json::array();
    for (std::size_t i = 0; i < outcome.results.size(); ++i) {
        listed.push_back(requestJson(requests[i], outcome.results[i]));
    }
    Json run = {{"run_id", outcome.id.value() > 0 ? Json(outcome.id.value()) : Json(nullptr)},
                {"model", modelJson(description.model)},
                {"policy", description.policy},
                {"exact", description.exact},
                {"eviction", description.eviction},
                {"device", description.device},
                {"budget_bytes", description.budget.count()},
                {"slots", description.slots},
                {"threads", description.threads},
                {"link", linkJson(description)},
                {"io", description.io},
                {"repeat", description.repeat},
                {"prompt_tokens", summary.promptTokens},
                {"generated_tokens", summary.generatedTokens},
                {"stopped", summary.stopped},
                {"text", joinedText(outcome.results)},
                {"requests", std::move(listed)}};
    run.update(measuresJson(summary));
    run["block_ms"] = blocksJson(summary.blocks);
    return run;
}

}  // namespace expertscope
