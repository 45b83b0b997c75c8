// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/offload/policy_registry.h"
#include "engine/offload/residency.h"

namespace expertscope {

class NoPredictors final : public Predictors {
public:
    Prediction of(PredictorKind, LayerIndex) override { return {}; }
};

/// A cache under one rule that is told of accesses as the planner tells it: the use first, then the admission.
struct RuleFixture {
    RuleFixture(const std::string& spec, const OffloadShape& wanted, const PreparedData* prepared = nullptr)
        : shape(wanted),
          context{.shape = wanted, .prepared = prepared},
          rule(makeEviction(spec)),
          residency(context, {.share = rule->perLayer() ? equalShares(wanted) : std::vector<int>{}}, *rule) {}

    void route(int step, int layer, const std::vector<int>& chosen, Phase phase = Phase::Decode) {
        std::vector<ExpertId> experts;
        for (const int expert : chosen)
            experts.emplace_back(expert);
        const std::vector<float> weights(experts.size(), 1.0F);
        rule->onLayer({.step = StepIndex(step),
                       .layer = LayerIndex(layer),
                       .phase = phase,
                       .tokens = static_cast<int>(experts.size()) / shape.topK,
                       .experts = experts,
                       .weights = weights},
                      predictors);
    }
    /// Gives who left (a flat index), −1 for nobody.
    int access(int flat) {
        hit = residency.present(shape.ref(flat));
        residency.use(shape.ref(flat), true);
        return hit ? -1 : admit(flat);
    }
    int admit(int flat) {
        const auto reservation = residency.reserve(shape.ref(flat), true);
        return reservation && reservation->victim ? shape.flat(*reservation->victim) : -1;
    }

    OffloadShape shape;
    OffloadContext context;
    std::unique_ptr<EvictionRule> rule;
    Residency residency;
    NoPredictors predictors;
    bool hit = false;
};

/// Every rule that the live engine can run, with each of its variants and scopes.
inline std::vector<std::string> everyLiveRule() {
    std::vector<std::string> specs;
    for (const EvictionInfo& info : evictionCatalogue())
        if (!info.replayOnly) specs.push_back(info.name);
    for (const char* variant : {"ema", "mixed", "layer"})
        specs.push_back(std::string("least-stale:variant=") + variant);
    specs.insert(specs.end(), {"slru:probation=0.5", "slru:probation=1", "moe-infinity:collection=2"});
    for (std::size_t i = 0, global = specs.size(); i < global; ++i)
        specs.push_back(specs[i] + ":scope=layer");
    return specs;
}

/// A test's name for a rule.
inline std::string labelOf(std::string spec) {
    for (char& c : spec)
        if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
    return spec;
}

}  // namespace expertscope
