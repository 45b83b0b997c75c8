// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/table_fits.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "app/cli/output.h"
#include "engine/inference/adapmoe_calibration.h"
#include "engine/inference/calibration.h"
#include "engine/inference/pre_gate_fit.h"

namespace expertscope {
namespace {

using Texts = std::span<const CalibrationText>;
using Tell = std::function<void(const std::string&)>;

TableFit fitAdapMoe(const Checkpoint& checkpoint, Texts texts, const EngineOptions& options, const Tell& tell) {
    return {calibrateAdapMoe(checkpoint, texts, options, 1024, tell), {}};
}

TableFit fitPreGated(const Checkpoint& checkpoint, Texts texts, const EngineOptions& options, const Tell& tell) {
    PreGateFit fit = fitPreGates(checkpoint, texts, {.engine = options}, tell);
    std::vector<std::vector<std::string>> rows{{"ahead", "layer", "recall", "own gate", "perplexity"}};
    for (const PreGateQuality& layer : fit.layers)
        rows.push_back({fmt::format("{}", layer.ahead), fmt::format("{}", layer.target.value()),
                        fmt::format("{:.3f}", layer.recall), fmt::format("{:.3f}", layer.nextGateRecall),
                        fmt::format("{:.3f}", layer.perplexity)});
    for (const PreGateDistance& distance : fit.distances)
        rows.push_back({fmt::format("{}", distance.ahead), "all", fmt::format("{:.3f}", distance.recall),
                        fmt::format("{:.3f}", distance.nextGateRecall), fmt::format("{:.3f}", distance.perplexity)});
    std::string report = fmt::format("fitted on {} tokens, judged on {} others; perplexity of resident {:.3f}\n{}",
                                     fit.tokens, fit.heldOutTokens, fit.residentPerplexity, formatTable(rows));
    return {std::move(fit.data), std::move(report)};
}

/// One function a policy.
struct Fit {
    std::string_view policy;
    TableFit (*make)(const Checkpoint&, Texts, const EngineOptions&, const Tell&);
};
constexpr std::array kFits{Fit{"adapmoe", fitAdapMoe}, Fit{"pre-gated", fitPreGated}};

const Fit* fitOf(std::string_view policy) {
    const auto* const found = std::ranges::find(kFits, policy.substr(0, policy.find(':')), &Fit::policy);
    return found == kFits.end() ? nullptr : found;
}

}  // namespace

bool isFitted(std::string_view policy) { return fitOf(policy) != nullptr; }

TableFit fitTables(std::string_view policy, const LoadedModel& model,
                   std::span<const std::vector<std::int32_t>> prompts, const EngineOptions& options,
                   const std::function<void(const std::string&)>& progress) {
    progress(fmt::format("continuing {} prompts of '{}' to fit to", prompts.size(), model.checkpoint.name()));
    const std::vector<CalibrationText> texts = calibrationTexts(model.checkpoint, options, prompts, {});
    TableFit fit = fitOf(policy)->make(model.checkpoint, texts, options, progress);
    fit.data.addSource(
        fmt::format("{}: fitted to {} continuations of {} prompts", policy, texts.size(), prompts.size()));
    return fit;
}

}  // namespace expertscope
