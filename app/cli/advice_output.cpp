// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/advice_output.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "profiler/interchange/placement.h"

namespace expertscope {
namespace {

constexpr std::size_t kTold = 8;  ///< choices that the text shows

/// Layers whose experts stay on the CPU when `budget` holds whole layers on the GPU.
int layersOnCpu(const ModelFacts& model, Bytes budget) {
    const std::int64_t layer = model.expertBytes.count() * model.experts;
    return model.layers - static_cast<int>(std::min<std::int64_t>(budget.count() / layer, model.layers));
}

std::string ownCommand(const AdviceReport& report, const ReplayCase& what) {
    const std::string link = what.link ? fmt::format(" --link {}", what.link->text) : "";
    return fmt::format("expertscope run --model {} --policy {} --eviction {} --budget {}{}", report.model, what.policy,
                       what.eviction, what.budget.count(), link);
}

std::string nameOf(const ReplayCase& what, bool exact) {
    return fmt::format("{} · {} · {}{}", what.policy, what.eviction, formatBytes(what.budget),
                       exact ? "" : " (approximate)");
}

Json choiceJson(const AdviceReport& report, const AdvisedChoice& choice) {
    const ReplayResult& replay = choice.replay;
    const auto fidelity = report.question.fidelity.find(replay.what.policy);
    Json cost = nullptr;
    if (!replay.exact && fidelity != report.question.fidelity.end())
        cost = {{"perplexity", fidelity->second.perplexity},
                {"resident_perplexity", fidelity->second.residentPerplexity},
                {"perplexity_rise", fidelity->second.rise()}};
    return {{"policy", replay.what.policy},
            {"eviction", replay.what.eviction},
            {"budget_bytes", replay.what.budget.count()},
            {"exact", replay.exact},
            {"decode_tokens_per_s", replay.decodeTokensPerSecond},
            {"interval", {choice.low, choice.high}},
            {"hit_rate", replay.hitRate()},
            {"bytes_moved", replay.bytesMoved},
            {"wasted_bytes", replay.wastedBytes},
            {"wait_ms", finiteOrNull(replay.waitMs)},
            {"fidelity", cost},
            {"command", ownCommand(report, replay.what)}};
}

}  // namespace

std::string llamaCppCommand(const ModelFacts& model, Bytes budget) {
    return fmt::format("llama-cli -m MODEL.gguf -ngl 99 --n-cpu-moe {}", layersOnCpu(model, budget));
}

std::string llamaCppOverride(const ModelFacts& model, Bytes budget) {
    std::vector<std::int32_t> layers;
    for (std::int32_t layer = 0; layer < layersOnCpu(model, budget); ++layer)
        layers.push_back(layer);
    if (layers.empty()) return "llama-cli -m MODEL.gguf -ngl 99";
    return fmt::format("llama-cli -m MODEL.gguf -ngl 99 -ot '{}'", llamaOverride(layers));
}

std::string kTransformersCommand(const ModelFacts& model, Bytes budget) {
    const std::int64_t perLayer = budget.count() / model.expertBytes.count() / model.layers;
    return fmt::format(
        "python -m sglang.launch_server --model MODEL --kt-weight-path MODEL --kt-num-gpu-experts {} "
        "--kt-expert-placement-strategy uniform",
        std::min<std::int64_t>(perLayer, model.experts));
}

Json adviceJson(const AdviceReport& report) {
    const ModelFacts& model = report.bench->trace().model();
    Json others = Json::array(), passedOver = Json::array();
    for (std::size_t i = 1; i < report.advice.choices.size(); ++i)
        others.push_back(choiceJson(report, report.advice.choices[i]));
    for (const PassedOver& passed : report.advice.passedOver)
        passedOver.push_back({{"policy", passed.policy}, {"reason", passed.reason}});
    const AdvisedChoice& best = report.advice.choices.front();
    const Bytes budget = best.replay.what.budget;
    return {{"model", model.name},
            {"session", report.session},
            {"run_id", report.bench->entry().id.value()},
            {"expert_budget_bytes", report.question.budget.count()},
            {"link", report.question.link ? Json(report.question.link->text) : Json(nullptr)},
            {"advice", choiceJson(report, best)},
            {"runner_up", report.advice.choices.size() > 1 ? others.front() : Json(nullptr)},
            {"evidence",
             {{"replays", report.advice.choices.size()},
              {"decode_tokens", report.bench->trace().decodeTokens()},
              {"measured_over_replayed", finiteOrNull(report.advice.replayError)},
              {"belady_hit_rate", report.advice.bound.beladyHitRate},
              {"roofline_tokens_per_s", finiteOrNull(report.advice.bound.rooflineTokensPerSecond)},
              {"others", std::move(others)},
              {"not_considered", std::move(passedOver)}}},
            {"commands",
             {{"expertscope", ownCommand(report, best.replay.what)},
              {"llama_cpp", llamaCppCommand(model, budget)},
              {"llama_cpp_override", llamaCppOverride(model, budget)},
              {"ktransformers", kTransformersCommand(model, budget)}}}};
}

std::string adviceText(const AdviceReport& report) {
    const ModelFacts& model = report.bench->trace().model();
    const Advice& advice = report.advice;
    const AdvisedChoice& best = advice.choices.front();
    std::string text = fmt::format("Use {}: {:.0f} tok/s predicted ({:.0f} to {:.0f}), hit rate {:.1f} %.\n",
                                   nameOf(best.replay.what, best.replay.exact), best.replay.decodeTokensPerSecond,
                                   best.low, best.high, 100 * best.replay.hitRate());
    if (const auto known = report.question.fidelity.find(best.replay.what.policy);
        !best.replay.exact && known != report.question.fidelity.end())
        text += fmt::format("It changes the output: perplexity {:.3f} against {:.3f} of the resident model.\n",
                            known->second.perplexity, known->second.residentPerplexity);
    if (advice.choices.size() > 1) {
        const AdvisedChoice& second = advice.choices[1];
        text +=
            fmt::format("Runner-up: {}, {:.0f} tok/s{}.\n", nameOf(second.replay.what, second.replay.exact),
                        second.replay.decodeTokensPerSecond, second.high >= best.low ? ", within the uncertainty" : "");
    }
    text += fmt::format(
        "No policy that runs every expert on the device can exceed {:.0f} tok/s or {:.1f} % hits with this memory and "
        "link.\n",
        advice.bound.rooflineTokensPerSecond, 100 * advice.bound.beladyHitRate);
    text += report.memory + "\n\n";

    std::vector<std::vector<std::string>> rows{{"policy", "eviction", "budget", "tok/s", "hits", "moved", "wasted"}};
    for (std::size_t i = 0; i < std::min(kTold, advice.choices.size()); ++i) {
        const ReplayResult& replay = advice.choices[i].replay;
        rows.push_back({replay.what.policy + (replay.exact ? "" : " *"), replay.what.eviction,
                        formatBytes(replay.what.budget), fmt::format("{:.0f}", replay.decodeTokensPerSecond),
                        fmt::format("{:.1f} %", 100 * replay.hitRate()), formatBytes(Bytes(replay.bytesMoved)),
                        formatBytes(Bytes(replay.wastedBytes))});
    }
    text += fmt::format("Evidence: {} replays of the {} decoded tokens of run {} in {}; the best {}:\n",
                        advice.choices.size(), report.bench->trace().decodeTokens(), report.bench->entry().id.value(),
                        report.session, rows.size() - 1);
    text += formatTable(rows);
    if (std::isfinite(advice.replayError))
        text +=
            fmt::format("Checked: that run itself decoded at {:.2f} times its replay's speed.\n", advice.replayError);
    for (const PassedOver& passed : advice.passedOver)
        text += fmt::format("Not considered: {}: {}.\n", passed.policy, passed.reason);
    const Bytes budget = best.replay.what.budget;
    return text + fmt::format("\nHere:          {}\nllama.cpp:     {}\n           or  {}\nKTransformers: {}\n",
                              ownCommand(report, best.replay.what), llamaCppCommand(model, budget),
                              llamaCppOverride(model, budget), kTransformersCommand(model, budget));
}

}  // namespace expertscope
