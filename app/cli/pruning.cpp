// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/pruning.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <random>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/cli/engine_arguments.h"
#include "app/cli/run_choice.h"
#include "engine/base/error.h"
#include "profiler/analysis/deep/deep_session.h"
#include "profiler/analysis/deep/expert_importance.h"
#include "profiler/analysis/deep/weight_importance.h"
#include "profiler/analysis/weights/weight_study.h"
#include "storage/deep_arrays.h"

namespace expertscope {
namespace {

constexpr const char* kRandom = "random";

/// Scores of weights by name.
struct WeightScore {
    const char* name;
    std::vector<double> WeightImportance::*values;
};
constexpr WeightScore kWeightScores[] = {{"distinctness", &WeightImportance::distinctness},
                                         {"router_norm", &WeightImportance::routerNorm},
                                         {"weight_norm", &WeightImportance::weightNorm},
                                         {"stable_rank", &WeightImportance::stableRank}};

std::vector<std::string> scoreNames() {
    std::vector<std::string> names;
    for (const ImportanceScore& score : importanceScores())
        names.push_back(score.name);
    for (const WeightScore& score : kWeightScores)
        names.emplace_back(score.name);
    names.emplace_back(kRandom);
    return names;
}

Pruning parsePruning(const std::string& text) {
    Pruning pruning;
    pruning.text = text;
    const std::size_t colon = text.find(':');
    pruning.score = text.substr(0, colon);
    std::string count = colon == std::string::npos ? "" : text.substr(colon + 1);
    if (count.ends_with(":global")) {
        pruning.global = true;
        count.resize(count.size() - 7);
    }
    const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), pruning.count);
    if (error != std::errc() || end != count.data() + count.size() || pruning.count < 1)
        throw UsageError(fmt::format("There is no --prune '{}': write SCORE:N or SCORE:N:global, as reap:4.", text));
    const std::vector<std::string> names = scoreNames();
    if (std::ranges::find(names, pruning.score) == names.end())
        throw UsageError(
            fmt::format("There is no score '{}' to --prune by: use one of {}.", pruning.score, fmt::join(names, ", ")));
    return pruning;
}

}  // namespace

std::vector<Pruning> parsePrunings(const std::string& list) {
    std::vector<Pruning> prunings;
    for (const std::string& item : splitList(list, "--prune"))
        prunings.push_back(parsePruning(item));
    return prunings;
}

Pruner::Pruner(const Checkpoint& checkpoint, const std::string& scores) : m_checkpoint(checkpoint) {
    if (scores.empty()) return;
    const auto [session, asked] = sessionAndRun(scores);
    const SessionReader reader{std::filesystem::path(session)};
    const auto captured = [&](const RunEntry& run) { return holdsDeepArrays(reader.file(), run.id); };
    const RunEntry run =
        chosenRun(reader, asked, captured, "run with a deep capture: make one with 'expertscope run --record deep'.");
    m_deep = readDeepCapture(reader.file(), run.id);
    if (!m_deep)
        throw BadInputError(
            fmt::format("Run {} of {} was recorded without a deep capture: make one with 'expertscope run "
                        "--record deep'.",
                        run.id.value(), session));
    if (run.description.model.fingerprint != m_checkpoint.facts().fingerprint)
        throw BadInputError(
            fmt::format("Run {} of {} is of the model '{}', not of '{}': give scores of the same model.",
                        run.id.value(), session, run.description.model.name, m_checkpoint.name()));
}

/// [layers][experts]
std::vector<std::vector<double>> Pruner::valuesOf(const std::string& score) const {
    const ModelConfig& config = m_checkpoint.config();
    std::vector<std::vector<double>> values(static_cast<std::size_t>(config.layers));
    if (score == kRandom) {
        std::mt19937 random(20240618);
        for (auto& layer : values)
            for (int expert = 0; expert < config.experts; ++expert)
                layer.push_back(static_cast<double>(random()));
        return values;
    }
    const auto* byWeights = std::ranges::find(kWeightScores, score, &WeightScore::name);
    if (byWeights != std::end(kWeightScores)) {
        WeightStudy study(m_checkpoint);
        for (std::size_t layer = 0; layer < values.size(); ++layer)
            values[layer] = weightImportance(study, LayerIndex(static_cast<int>(layer)), {}).*(byWeights->values);
        return values;
    }
    if (!m_deep)
        throw UsageError(
            fmt::format("To prune by {} give --scores SESSION, recorded with 'expertscope run --record deep'.", score));
    for (const DeepLayer& layer : m_deep->layers)
        if (layer.tokens > 0) values[layer.layer.index()] = importanceScore(score).of(layer);
    for (std::size_t layer = 0; layer < values.size(); ++layer)
        if (values[layer].empty())
            throw UsageError(
                fmt::format("The deep capture has nothing of layer {}, so that its experts have no {}: "
                            "capture all layers.",
                            layer, score));
    return values;
}

std::vector<ExpertRef> Pruner::removed(const Pruning& pruning) const {
    const ModelConfig& config = m_checkpoint.config();
    const int spare = config.experts - config.topK;
    const std::int64_t most = std::int64_t{spare} * (pruning.global ? config.layers : 1);
    if (pruning.count > most)
        throw UsageError(
            fmt::format("--prune {} leaves fewer experts than the {} that a token needs: of '{}' at most {} "
                        "can go{}.",
                        pruning.text, config.topK, m_checkpoint.name(), most, pruning.global ? "" : " in each layer"));
    std::vector<std::tuple<double, int, int>> order;  // value, layer, expert; of equals the first go first
    const std::vector<std::vector<double>> values = valuesOf(pruning.score);
    for (int layer = 0; layer < config.layers; ++layer) {
        for (int expert = 0; expert < config.experts; ++expert) {
            const double value = values[static_cast<std::size_t>(layer)][static_cast<std::size_t>(expert)];
            // Nothing is said of an expert that no token chose: nothing speaks for it either.
            order.emplace_back(std::isnan(value) ? -std::numeric_limits<double>::infinity() : value, layer, expert);
        }
    }
    std::ranges::sort(order);
    const int quota = pruning.global ? spare : pruning.count;
    const std::size_t wanted =
        static_cast<std::size_t>(pruning.count) * static_cast<std::size_t>(pruning.global ? 1 : config.layers);
    std::vector<int> taken(static_cast<std::size_t>(config.layers));
    std::vector<ExpertRef> removed;
    for (const auto& [value, layer, expert] : order) {
        if (removed.size() == wanted) break;
        if (taken[static_cast<std::size_t>(layer)] == quota) continue;
        ++taken[static_cast<std::size_t>(layer)];
        removed.push_back({LayerIndex(layer), ExpertId(expert)});
    }
    return removed;
}

}  // namespace expertscope
