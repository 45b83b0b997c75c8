// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/advice.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/base/error.h"
#include "engine/offload/policy_registry.h"

namespace expertscope {
namespace {

constexpr double kMargin = 0.05;  ///< of an interval, beyond the replay's own error
constexpr double kAlike = 0.01;   ///< speeds closer than this are one speed
const std::vector<std::string> kEvictions{"lru", "lfu", "lfru", "slru", "arc"};

/// Why a policy is not replayed; empty where it is.
std::string obstacle(const PolicyInfo& policy, const ReplayBench& bench, const AdviceQuestion& question) {
    const ModelFacts& model = bench.trace().model();
    if (policy.name == "resident")
        return question.budget < model.totalExpertBytes ? "the experts do not all fit" : std::string();
    if (policy.needsPreGates && !model.hasPreGates) return "the checkpoint has no pre-gates";
    if (!policy.prepared.empty()) return fmt::format("needs what 'prepare --for {}' collects", policy.name);
    if ((policy.needsCosts || makePolicy(policy.name)->computesInPlace()) && !bench.entry().description.costs.known())
        return "computes where experts lie, and this run did not measure what that costs here";
    if (policy.exact) return {};
    const auto known = question.fidelity.find(policy.name);
    if (known == question.fidelity.end())
        return "approximate, and its fidelity was not measured: run it with --fidelity";
    if (known->second.rise() > question.mostRise)
        return fmt::format("approximate: perplexity rises by {:.1f} %", 100 * known->second.rise());
    return {};
}

std::vector<ReplayCase> casesFor(const PolicyInfo& policy, const ReplayBench& bench, const AdviceQuestion& question) {
    std::vector<ReplayCase> cases;
    const Bytes expert = bench.trace().model().expertBytes;
    const bool alike = makePolicy(policy.name)->keepsAllResident();
    for (const double share : {1.0, 0.75, 0.5}) {
        const Bytes budget(static_cast<std::int64_t>(share * static_cast<double>(question.budget.count())));
        if (budget < expert) continue;
        for (const std::string& eviction : kEvictions) {
            const std::string used = evictionUnder(policy.name, eviction);
            cases.push_back({.policy = policy.name, .eviction = used, .budget = budget, .link = question.link});
            if (alike || used == kOwnEviction) break;
        }
        if (policy.name == "resident") break;
    }
    return cases;
}

/// By falling speed, but what is as fast with less comes first.
void rank(std::vector<AdvisedChoice>& choices) {
    const auto speed = [](const AdvisedChoice& choice) { return choice.replay.decodeTokensPerSecond; };
    std::ranges::stable_sort(choices, std::greater{}, speed);
    for (std::size_t first = 0; first < choices.size();) {
        std::size_t last = first;
        while (last < choices.size() && speed(choices[last]) >= speed(choices[first]) * (1 - kAlike))
            ++last;
        std::stable_sort(choices.begin() + static_cast<std::ptrdiff_t>(first),
                         choices.begin() + static_cast<std::ptrdiff_t>(last),
                         [](const auto& a, const auto& b) { return a.replay.what.budget < b.replay.what.budget; });
        first = last;
    }
}

}  // namespace

Advice advise(const ReplayBench& bench, const AdviceQuestion& question, int threads) {
    const ModelFacts& model = bench.trace().model();
    if (question.budget < model.expertBytes)
        throw UsageError(fmt::format("The memory leaves {} for experts, and one of '{}' takes {}: give more --memory.",
                                     formatBytes(std::max(question.budget, Bytes(0))), model.name,
                                     formatBytes(model.expertBytes)));
    if (!bench.times())
        throw BadInputError(
            "The run recorded no spans, so speeds cannot be predicted: record one with --record "
            "routing,spans,predictions.");
    AdviceQuestion asked = question;
    asked.budget = std::min(question.budget, model.totalExpertBytes);

    Advice advice;
    std::vector<ReplayCase> cases;
    for (const PolicyInfo& policy : policyCatalogue()) {
        if (const std::string reason = obstacle(policy, bench, asked); !reason.empty()) {
            advice.passedOver.push_back({policy.name, reason});
            continue;
        }
        const auto more = casesFor(policy, bench, asked);
        cases.insert(cases.end(), more.begin(), more.end());
    }
    const ReplayResult own = bench.replay(bench.own(), Settle::Admit);
    const auto& summary = bench.entry().summary;
    advice.replayError = summary && summary->decodeTokensPerSecond > 0
                             ? summary->decodeTokensPerSecond / own.decodeTokensPerSecond
                             : std::nan("");
    const double error = std::isnan(advice.replayError) ? 1 : advice.replayError;
    for (ReplayResult& replay : bench.replayAll(cases, Settle::Admit, threads)) {
        if (!replay.missing.empty()) {
            if (std::ranges::find(advice.passedOver, replay.what.policy, &PassedOver::policy) ==
                advice.passedOver.end())
                advice.passedOver.push_back(
                    {replay.what.policy, fmt::format("the recording lacks {}", fmt::join(replay.missing, ", "))});
            continue;
        }
        const double speed = replay.decodeTokensPerSecond;
        if (!std::isfinite(speed)) continue;
        advice.choices.push_back({.replay = std::move(replay),
                                  .low = speed * std::min(1.0, error) * (1 - kMargin),
                                  .high = speed * std::max(1.0, error) * (1 + kMargin)});
    }
    rank(advice.choices);
    advice.bound = bench.bound(asked.budget, asked.link, Settle::Admit);
    return advice;
}

}  // namespace expertscope
