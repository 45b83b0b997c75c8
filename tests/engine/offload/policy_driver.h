// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/offload/planner.h"
#include "engine/offload/policy_registry.h"
#include "tests/engine/offload/expert_ref.h"

namespace expertscope::test {

/// Predictors that expect what the test says.
class ToldPredictors final : public Predictors {
public:
    struct Told {
        int width = 1;
        std::vector<ExpertId> experts;
        std::vector<float> scores;
    };
    /// `expected` of all tokens, `width` a token; without scores each has 0.25.
    void tell(PredictorKind kind, int target, int width, const std::vector<int>& expected,
              std::vector<float> scores = {}) {
        Told& told = m_told[{kind, target}];
        told = {.width = width, .experts = {}, .scores = std::move(scores)};
        for (const int expert : expected)
            told.experts.emplace_back(expert);
        told.scores.resize(told.experts.size(), 0.25F);
    }
    void clear() { m_told.clear(); }
    Prediction of(PredictorKind kind, LayerIndex target) override {
        const auto told = m_told.find({kind, target.value()});
        if (told == m_told.end()) return {};
        return {.width = told->second.width, .experts = told->second.experts, .scores = told->second.scores};
    }

private:
    std::map<std::pair<PredictorKind, int>, Told> m_told;
};

/// Drives a policy through the Planner, layer by layer, and keeps what the last layer did.
class PolicyDriver {
public:
    PolicyDriver(const std::string& spec, OffloadShape shape, const PreparedData* prepared = nullptr,
                 const std::string& eviction = "lru")
        : context{.shape = shape, .costs = {}, .prepared = prepared},
          policy(makePolicy(spec)),
          rule(makeEviction(eviction)),
          planner(context, *policy, rule.get()) {}

    /// Runs a layer whole; `chosen` [tokens, topK].
    void run(int layer, const std::vector<int>& chosen, std::vector<float> weights = {}, Phase phase = Phase::Decode) {
        std::vector<ExpertId> experts;
        for (const int expert : chosen)
            experts.emplace_back(expert);
        weights.resize(experts.size(), 1.0F / static_cast<float>(context.shape.topK));
        demanded.clear();
        prefetched.clear();
        victims.clear();
        released.clear();
        planner.beginLayer({.step = StepIndex(step),
                            .layer = LayerIndex(layer),
                            .phase = phase,
                            .tokens = static_cast<int>(experts.size()) / context.shape.topK,
                            .experts = experts,
                            .weights = weights},
                           predictors);
        std::vector<int> wave;
        std::vector<SlotCommand> commands;
        while (planner.nextWave(wave, commands))
            note(commands);
        note(commands);
        std::vector<SlotRelease> releases;
        planner.endLayer(releases, commands);
        for (const SlotRelease& release : releases)
            released.push_back(release.expert);
        note(commands);
        if (layer + 1 == context.shape.layers) ++step;
    }
    bool present(int layer, int expert) const {
        return planner.residency().present({LayerIndex(layer), ExpertId(expert)});
    }
    /// Experts that the policy wanted after the last layer, in its order.
    std::vector<ExpertRef> wanted() const {
        std::vector<ExpertRef> refs;
        for (const WantedExpert& wanted : planner.wanted())
            refs.push_back(wanted.expert);
        return refs;
    }

    OffloadContext context;
    std::unique_ptr<Policy> policy;
    std::unique_ptr<EvictionRule> rule;
    Planner planner;
    ToldPredictors predictors;
    int step = 0;
    std::vector<ExpertRef> demanded, prefetched, victims, released;  ///< by the last layer

private:
    void note(const std::vector<SlotCommand>& commands) {
        for (const SlotCommand& command : commands) {
            (command.purpose == TransferPurpose::Demand ? demanded : prefetched).push_back(command.expert);
            if (command.victim) victims.push_back(*command.victim);
        }
    }
};

}  // namespace expertscope::test
