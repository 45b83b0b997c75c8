// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/offload/policies/policies.h"
#include "engine/offload/residency_view.h"

namespace expertscope {
namespace {

struct DropRules {
    double mass = 0;      ///< share of a token's router mass that may be dropped
    double flatness = 0;  ///< above this ratio of its smallest to its largest weight a token drops nothing
    int minK = 1;         ///< choices that a token keeps
    bool renormalise = true;
};

/// MoE-Infinity of 2026, expert_drop_policy "on_miss" (core/parallel/expert_drop_select.cc). Of each token's choices
/// those that are not on the device are dropped by rising weight (of equals the higher id first) while the dropped mass
/// stays within the budget and min_k choices remain; the weights of the rest are scaled so that their sum stays what it
/// was. A token drops nothing when it has no more than min_k choices, a weight that is negative or not a number, or
/// min ÷ max weight above the floor. Misses that are kept are fetched.
///
/// Differs in that mass is a share of the token's own weights, which is the same where they sum to 1, and in that
/// dropping is on: the published default of the mass budget is 0, its published measurements use 0.2.
class DropOnMiss final : public Policy {
public:
    explicit DropOnMiss(const DropRules& rules) : m_rules(rules) {}

    bool revises() const override { return true; }
    void revise(const RoutedChoice& choice, const ResidencyView& residency) override {
        const auto width = static_cast<std::size_t>(shape().topK);
        for (std::size_t at = 0; at < choice.experts.size(); at += width)
            reviseToken(choice.layer, choice.experts.subspan(at, width), choice.weights.subspan(at, width),
                        choice.actions.subspan(at, width), residency);
    }

private:
    void reviseToken(LayerIndex layer, std::span<ExpertId> experts, std::span<float> weights,
                     std::span<SelectionAction> actions, const ResidencyView& residency) {
        const auto [least, most] = std::ranges::minmax(weights);
        if (static_cast<int>(experts.size()) <= m_rules.minK || !(least >= 0) || !std::isfinite(most)) return;
        if (most <= 0 || static_cast<double>(least / most) > m_rules.flatness) return;
        m_absent.clear();
        for (std::size_t i = 0; i < experts.size(); ++i)
            if (!residency.present({layer, experts[i]})) m_absent.push_back(i);
        std::ranges::sort(m_absent, [&](std::size_t a, std::size_t b) {
            return weights[a] != weights[b] ? weights[a] < weights[b] : experts[a] > experts[b];
        });
        const double total = std::reduce(weights.begin(), weights.end(), 0.0);
        double dropped = 0;
        auto remain = static_cast<int>(experts.size());
        for (const std::size_t i : m_absent) {
            if (remain == m_rules.minK || dropped + static_cast<double>(weights[i]) > m_rules.mass * total) break;
            dropped += static_cast<double>(weights[i]);
            experts[i] = ExpertId(-1);
            weights[i] = 0;
            actions[i] = SelectionAction::Dropped;
            --remain;
        }
        if (dropped == 0 || !m_rules.renormalise) return;
        for (float& weight : weights)
            weight = static_cast<float>(static_cast<double>(weight) * total / (total - dropped));
    }

    DropRules m_rules;
    std::vector<std::size_t> m_absent;
};

}  // namespace

PolicyEntry dropOnMissPolicy() {
    return {{.name = "drop-on-miss",
             .exact = false,
             .parameters = "mass=0.2, min-k=1, flatness=0.5, renormalise=on",
             .needs = "",
             .source = "MoE-Infinity (EfficientMoE/MoE-Infinity, 2026)",
             .summary = "Absent experts of little router mass are left out, the weights of the rest scaled up."},
            [](Parameters& parameters) {
                const DropRules rules{.mass = parameters.number("mass", 0.2, 0, 1),
                                      .flatness = parameters.number("flatness", 0.5, 0, 1),
                                      .minK = parameters.integer("min-k", 1, 1, 1024),
                                      .renormalise = parameters.word("renormalise", {"on", "off"}) == "on"};
                return std::unique_ptr<Policy>(std::make_unique<DropOnMiss>(rules));
            }};
}

}  // namespace expertscope
