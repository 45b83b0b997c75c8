// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/offload/eviction.h"
#include "engine/offload/policies/policies.h"
#include "engine/offload/residency_view.h"

namespace expertscope {
namespace {

struct SwapRules {
    int every = 8;        ///< steps between updates of the virtual experts
    int swaps = 0;        ///< most swaps a step; 0: what spreads an update over the steps until the next
    bool counts = false;  ///< importance by tokens alone
    double share = 1;     ///< of the budget that is used at the start …
    double until = 1;     ///< … and from step `over` on, changing linearly between
    int over = 64;
};

/// Each expert's importance to the tokens of late, layer by layer; shared by the policy and its eviction rule.
struct Importance {
    std::vector<double> values;  ///< [experts of all layers]
};

/// The least important leaves.
class LeastImportant final : public EvictionRule {
public:
    explicit LeastImportant(std::shared_ptr<const Importance> importance) : m_importance(std::move(importance)) {}
    void begin(const OffloadContext&) override {}
    void onUse(int, std::int64_t, bool) override {}
    void onAdmit(int, std::int64_t) override {}
    double score(int expert) const override { return m_importance->values[static_cast<std::size_t>(expert)]; }

private:
    std::shared_ptr<const Importance> m_importance;
};

/// SwapMoE (arXiv 2308.15030, section 3): each layer keeps its most important experts on the device, the virtual
/// experts, and routes every token among them alone: the others' logits are masked before the top-k, so that the
/// weights are normalised over the virtual experts and no token waits for a miss. Importance (Eq. 1) adds ‖x‖ ·
/// ‖G(x)_i‖ · ‖E_i‖ over the tokens that the *original* gate sends to the expert; with mode=counts 1 for each of them
/// (the paper's ablation). Every `every` steps each layer's most important experts become its virtual ones; the loads
/// are spread over the steps until the next update and move while other layers compute. The memory may shrink or grow
/// during the run (share, until, over), as the paper tunes it.
///
/// Differs in: ‖x‖ and ‖E_i‖ count as 1, since the gate's input is RMS-normalised and experts' norms are within a few
/// per cent of one another; importance halves at each update instead of starting anew; every layer has the same number
/// of virtual experts (the paper's genetic plan is not run); a layer that has none yet, at the very start or with less
/// than one slot a layer, routes freely and fetches. With fewer virtual experts than the router chooses the rest of a
/// token's choices are dropped.
class SwapMoe final : public Policy {
public:
    explicit SwapMoe(const SwapRules& rules) : m_rules(rules) {}

    void begin(const OffloadContext& context) override {
        Policy::begin(context);
        m_importance->values.assign(static_cast<std::size_t>(shape().total()), 0);
        m_plan.assign(static_cast<std::size_t>(shape().layers), {});
    }

    CacheDomain domain() const override {
        CacheDomain domain;
        for (int layer = 0; layer < shape().layers; ++layer)
            domain.share.push_back(slotsOf(layer));
        return domain;
    }
    std::unique_ptr<EvictionRule> makeEviction() const override {
        return std::make_unique<LeastImportant>(m_importance);
    }
    /// Shrinking: what lies below the number of virtual experts that there may be now leaves.
    bool releases() const override { return true; }
    bool keeps(ExpertRef ref) const override { return std::ranges::find(m_leaving, ref.expert) == m_leaving.end(); }

    int ownGateWidth() const override { return shape().topK; }
    bool adjustsLogits() const override { return true; }
    void adjustLogits(LayerIndex layer, int, std::span<float> logits, const ResidencyView& residency) override {
        if (residency.occupied(layer) == 0) return;
        for (std::size_t i = 0; i < logits.size(); ++i)
            if (!residency.present({layer, expertAt(i)})) logits[i] = kMasked;
    }
    bool revises() const override { return true; }
    void revise(const RoutedChoice& choice, const ResidencyView& residency) override {
        if (residency.occupied(choice.layer) >= shape().topK || residency.occupied(choice.layer) == 0) return;
        for (std::size_t i = 0; i < choice.experts.size(); ++i) {
            if (residency.present({choice.layer, choice.experts[i]})) continue;
            choice.experts[i] = ExpertId(-1);
            choice.weights[i] = 0;
            choice.actions[i] = SelectionAction::Dropped;
        }
    }

    void observe(const RoutedLayer& routed, Predictors& predictors) override {
        if (routed.layer.value() == 0) beginStep();
        const Prediction original = predictors.of(PredictorKind::OwnGate, routed.layer);
        for (std::size_t i = 0; i < original.experts.size(); ++i)
            importanceOf({routed.layer, original.experts[i]}) +=
                m_rules.counts ? 1.0 : static_cast<double>(original.scores[i]);
    }

    void prefetch(const RoutedLayer& routed, Predictors&, const ResidencyView& residency,
                  std::vector<WantedExpert>& wanted) override {
        const LayerIndex layer = routed.layer;
        if (m_updating) planLayer(layer, residency);
        shrink(layer, residency);
        std::vector<ExpertId>& plan = m_plan[layer.index()];
        while (!plan.empty() && m_swapsLeft > 0) {
            const ExpertRef ref{layer, plan.back()};
            plan.pop_back();
            if (residency.present(ref) || importanceOf(ref) <= leastOf(layer, residency)) continue;
            wanted.push_back({ref, static_cast<float>(importanceOf(ref))});
            --m_swapsLeft;
        }
        if (m_updating && layer.value() + 1 == shape().layers) endUpdate();
    }
    bool predictsItself() const override { return true; }

private:
    static constexpr float kMasked = -1e30F;  ///< a probability of 0

    ExpertId expertAt(std::size_t i) const {
        return ExpertId(static_cast<std::int32_t>(i % static_cast<std::size_t>(shape().experts)));
    }
    double& importanceOf(ExpertRef ref) { return m_importance->values[static_cast<std::size_t>(shape().flat(ref))]; }
    int slotsOf(int layer) const {
        return shape().slots / shape().layers + (layer < shape().slots % shape().layers ? 1 : 0);
    }
    /// Virtual experts that the layer may have now; one at least where it has a slot.
    int virtualOf(LayerIndex layer) const {
        const double progress = std::min(1.0, static_cast<double>(m_step) / std::max(1, m_rules.over));
        const double share = m_rules.share + (m_rules.until - m_rules.share) * progress;
        const int slots = slotsOf(layer.value());
        return std::min(slots, std::max(1, static_cast<int>(std::lround(share * slots))));
    }

    void beginStep() {
        ++m_step;
        m_updating = m_step % m_rules.every == 0;
        m_swapsLeft = m_rules.swaps > 0 ? m_rules.swaps : m_spread;
    }
    /// What the layer should hold and does not, the most important last, as many as are more important than who would
    /// leave.
    void planLayer(LayerIndex layer, const ResidencyView& residency) {
        std::vector<ExpertId> ranked;
        for (int expert = 0; expert < shape().experts; ++expert)
            ranked.emplace_back(expert);
        std::ranges::stable_sort(ranked, [&](ExpertId a, ExpertId b) {
            return importanceOf({layer, a}) > importanceOf({layer, b});
        });
        ranked.resize(static_cast<std::size_t>(std::min(virtualOf(layer), shape().experts)));
        std::erase_if(ranked, [&](ExpertId expert) {
            return residency.present({layer, expert}) || importanceOf({layer, expert}) == 0;
        });
        std::ranges::reverse(ranked);
        m_plan[layer.index()] = std::move(ranked);
    }
    /// Importance of whom a newcomer would push out; below every other while there is room.
    double leastOf(LayerIndex layer, const ResidencyView& residency) {
        double least = -1;
        if (residency.occupied(layer) < slotsOf(layer.value())) return least;
        for (int expert = 0; expert < shape().experts; ++expert) {
            const ExpertRef ref{layer, ExpertId(expert)};
            if (residency.present(ref) && (least < 0 || importanceOf(ref) < least)) least = importanceOf(ref);
        }
        return least;
    }
    void endUpdate() {
        std::size_t planned = 0;
        for (const auto& plan : m_plan)
            planned += plan.size();
        const auto steps = static_cast<std::size_t>(m_rules.every);
        m_spread = static_cast<int>((planned + steps - 1) / steps);
        for (double& value : m_importance->values)
            value /= 2;
        m_updating = false;
    }
    void shrink(LayerIndex layer, const ResidencyView& residency) {
        m_leaving.clear();
        const int surplus = residency.occupied(layer) - virtualOf(layer);
        if (surplus <= 0 || slotsOf(layer.value()) == 0) return;
        for (int expert = 0; expert < shape().experts; ++expert)
            if (residency.present({layer, ExpertId(expert)})) m_leaving.emplace_back(expert);
        std::ranges::stable_sort(m_leaving, [&](ExpertId a, ExpertId b) {
            return importanceOf({layer, a}) < importanceOf({layer, b});
        });
        m_leaving.resize(static_cast<std::size_t>(surplus));
    }

    SwapRules m_rules;
    std::shared_ptr<Importance> m_importance = std::make_shared<Importance>();
    std::vector<std::vector<ExpertId>> m_plan;  ///< [layers] still to be loaded, the most important last
    std::vector<ExpertId> m_leaving;            ///< of the layer that runs
    int m_step = -1;
    int m_swapsLeft = 0;  ///< in this step
    int m_spread = 0;     ///< swaps a step that empty the plan until the next update
    bool m_updating = false;
};

}  // namespace

PolicyEntry swapMoePolicy() {
    return {{.name = "swapmoe",
             .exact = false,
             .parameters = "every=8, swaps=0, mode=importance, share=1, until=1, over=64",
             .needs = "",
             .source = "SwapMoE (arXiv 2308.15030)",
             .summary = "Tokens are routed among the experts on the device, which the most important ones become."},
            [](Parameters& parameters) {
                SwapRules rules{.every = parameters.integer("every", 8, 1, 1 << 20),
                                .swaps = parameters.integer("swaps", 0, 0, 1 << 20),
                                .counts = parameters.word("mode", {"importance", "counts"}) == "counts",
                                .share = parameters.number("share", 1, 0, 1)};
                rules.until = parameters.number("until", rules.share, 0, 1);
                rules.over = parameters.integer("over", 64, 1, 1 << 30);
                return std::unique_ptr<Policy>(std::make_unique<SwapMoe>(rules));
            }};
}

}  // namespace expertscope
