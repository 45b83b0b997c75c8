// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <numeric>
#include <vector>

#include "engine/offload/eviction.h"
#include "engine/offload/policies/policies.h"
#include "engine/offload/residency_view.h"

namespace expertscope {
namespace {

struct HobbitRules {
    double t1 = 0.6, t2 = 0.9;  ///< thresholds of the score
    int look = 3;               ///< layers ahead that are looked at for a missing expert
    double low = 0.2;           ///< share of the budget that holds low-precision copies
};

/// What a choice is brought as where it is absent; the larger one wins where tokens differ.
enum class Precision : std::uint8_t { Skip, Low, Full };

/// Uses of experts in this request, common to the rules of both pools.
struct SequenceUses {
    std::vector<std::int64_t> all, low;  ///< [experts of all layers] steps that used it, and in low precision
    std::vector<std::int64_t> lastStep;
    std::int64_t step = 0;  ///< of the request, from 1
    int layer = 0;          ///< that is being run

    void reset(std::size_t experts) {
        all.assign(experts, 0);
        low.assign(experts, 0);
        lastStep.assign(experts, -2);
        step = 0;
    }
};

/// Least costly used: the lowest of (C ÷ T + 1[used in the last forward pass]) ÷ D leaves, with C = H + (B_l ÷ B_h) · L
/// from the uses in full (H) and low precision (L) in this request of T steps, bytes B of a copy in each, and the
/// distance D = (l − l_now) mod layers + 0.1 to the expert's layer.
class LeastCostlyUsed final : public EvictionRule {
public:
    LeastCostlyUsed(std::shared_ptr<SequenceUses> uses, bool low) : m_uses(std::move(uses)), m_low(low) {}

    void begin(const OffloadContext& context) override {
        m_shape = context.shape;
        beginRequest();
    }
    void beginRequest() override {
        if (!m_low) m_uses->reset(static_cast<std::size_t>(m_shape.total()));
    }
    void onLayer(const RoutedLayer& routed, Predictors&) override {
        if (m_low) return;
        m_uses->layer = routed.layer.value();
        if (routed.layer.value() == 0) ++m_uses->step;
    }
    void onUse(int expert, std::int64_t, bool first) override {
        if (!first) return;
        const auto at = static_cast<std::size_t>(expert);
        if (m_low) {
            ++m_uses->low[at];
        } else {
            ++m_uses->all[at];
            m_uses->lastStep[at] = m_uses->step;
        }
    }
    void onAdmit(int, std::int64_t) override {}
    double score(int expert) const override {
        const auto at = static_cast<std::size_t>(expert);
        const auto low = static_cast<double>(m_uses->low[at]);
        const double cost = static_cast<double>(m_uses->all[at]) - low + m_shape.lowRatio * low;
        const double recent = m_uses->lastStep[at] >= m_uses->step - 1 ? 1 : 0;
        const int away = m_shape.ref(expert).layer.value() - m_uses->layer + m_shape.layers;
        const double distance = away % m_shape.layers + 0.1;
        return (cost / static_cast<double>(std::max<std::int64_t>(1, m_uses->step)) + recent) / distance;
    }

private:
    std::shared_ptr<SequenceUses> m_uses;
    bool m_low;
    OffloadShape m_shape;
};

/// HOBBIT (arXiv 2411.01433). Token level: of a token's choices by falling weight, normalised, the score of one is the
/// sum of those before it; where an absent one's score is at most T1 it is brought in full precision, at most T2 as its
/// low-precision copy, above T2 it is left out. Layer level: after each router the next gates of `look` layers, on this
/// layer's input, are looked at in order, and what the first layer with a missing expert needs is brought, in the
/// precision that its scores ask for; what is expected is kept from eviction. Sequence level: two pools, each evicting
/// the least costly used (LeastCostlyUsed), whose records start anew with each request.
///
/// Differs in that copies are int4 whatever the checkpoint's type (the paper takes int2 beside 16-bit experts), in that
/// an expert which several tokens of a step need comes in the highest precision that one of them asks for, and in the
/// priority's formula, which the paper gives as a picture.
class Hobbit final : public Policy {
public:
    explicit Hobbit(const HobbitRules& rules) : m_rules(rules) {}

    double lowPrecisionShare() const override { return m_rules.low; }
    std::unique_ptr<EvictionRule> makeEviction() const override {
        return std::make_unique<LeastCostlyUsed>(m_uses, false);
    }
    std::unique_ptr<EvictionRule> makeLowEviction() const override {
        return std::make_unique<LeastCostlyUsed>(m_uses, true);
    }

    int ownGateWidth() const override { return shape().topK; }
    int lookAhead() const override { return m_rules.look; }

    bool revises() const override { return true; }
    void revise(const RoutedChoice& choice, const ResidencyView& residency) override {
        const auto width = static_cast<std::size_t>(shape().topK);
        for (std::size_t at = 0; at < choice.experts.size(); at += width) {
            eachPrecision(choice.weights.subspan(at, width), [&](std::size_t slot, Precision precision) {
                if (precision == Precision::Skip && !residency.present({choice.layer, choice.experts[at + slot]}))
                    choice.actions[at + slot] = SelectionAction::Dropped;
            });
            for (std::size_t i = at; i < at + width; ++i) {
                if (choice.actions[i] != SelectionAction::Dropped) continue;
                choice.experts[i] = ExpertId(-1);
                choice.weights[i] = 0;
            }
        }
    }

    void observe(const RoutedLayer& routed, Predictors& predictors) override {
        // The own gate's scores are those before anything was left out; a replay without them has what was executed.
        const Prediction own = predictors.of(PredictorKind::OwnGate, routed.layer);
        if (own.empty())
            classify(shape().topK, routed.experts, routed.weights, m_asked);
        else
            classify(own.width, own.experts, own.scores, m_asked);
    }
    void placeMisses(const RoutedLayer&, std::span<ExpertAccess> accesses) override {
        for (ExpertAccess& access : accesses)
            if (m_asked[access.expert.index()] == Precision::Low) access.action = MissAction::LowPrecision;
    }

    void prefetch(const RoutedLayer& routed, Predictors& predictors, const ResidencyView& residency,
                  std::vector<WantedExpert>& wanted) override {
        const int last = std::min(routed.layer.value() + m_rules.look, shape().layers - 1);
        for (int target = routed.layer.value() + 1; target <= last; ++target) {
            const Prediction expected = predictors.of(PredictorKind::NextGate, LayerIndex(target));
            if (expected.empty()) return;
            classify(expected.width, expected.experts, expected.scores, m_expected);
            bool missing = false;
            for (std::size_t i = 0; i < expected.experts.size(); ++i) {
                Precision& precision = m_expected[expected.experts[i].index()];
                if (precision == Precision::Skip) continue;
                const ExpertRef ref{LayerIndex(target), expected.experts[i]};
                const bool low = precision == Precision::Low && shape().lowSlots > 0;
                missing = missing || !(residency.present(ref) || (low && residency.presentLow(ref)));
                wanted.push_back({.expert = ref, .score = expected.scores[i], .low = low});
                precision = Precision::Skip;  // once
            }
            if (missing) return;
        }
    }

private:
    /// The precision that each of a token's choices, by falling weight, asks for.
    template <class Give>
    void eachPrecision(std::span<const float> weights, Give&& give) const {
        const double total = std::reduce(weights.begin(), weights.end(), 0.0);
        double before = 0;
        for (std::size_t slot = 0; slot < weights.size(); ++slot) {
            const double score = total > 0 ? before / total : 0;
            give(slot, score <= m_rules.t1 ? Precision::Full : score <= m_rules.t2 ? Precision::Low : Precision::Skip);
            before += static_cast<double>(weights[slot]);
        }
    }
    /// [experts] the highest precision that one of the tokens asks for; Skip where none chose it.
    void classify(int width, std::span<const ExpertId> experts, std::span<const float> weights,
                  std::vector<Precision>& asked) const {
        asked.assign(static_cast<std::size_t>(shape().experts), Precision::Skip);
        const auto step = static_cast<std::size_t>(width);
        for (std::size_t at = 0; at < experts.size(); at += step)
            eachPrecision(weights.subspan(at, step), [&](std::size_t slot, Precision precision) {
                if (experts[at + slot].value() < 0) return;
                Precision& highest = asked[experts[at + slot].index()];
                highest = std::max(highest, precision);
            });
    }

    HobbitRules m_rules;
    std::shared_ptr<SequenceUses> m_uses = std::make_shared<SequenceUses>();
    std::vector<Precision> m_asked;     ///< [experts] of the layer that runs
    std::vector<Precision> m_expected;  ///< [experts] of a layer ahead
};

}  // namespace

PolicyEntry hobbitPolicy() {
    return {{.name = "hobbit",
             .exact = false,
             .parameters = "t1=0.6, t2=0.9, look=3, low=0.2",
             .needs = "",
             .source = "HOBBIT (arXiv 2411.01433)",
             .summary = "Absent experts of little weight come as int4 copies, those of least are left out; next gates "
                        "say what to bring."},
            [](Parameters& parameters) {
                HobbitRules rules{.t1 = parameters.number("t1", 0.6, 0, 1)};
                rules.t2 = parameters.number("t2", std::max(0.9, rules.t1), rules.t1, 1);
                rules.look = parameters.integer("look", 3, 0, 4);
                rules.low = parameters.number("low", 0.2, 0, 1);
                return std::unique_ptr<Policy>(std::make_unique<Hobbit>(rules));
            }};
}

}  // namespace expertscope
