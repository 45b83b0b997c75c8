// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cmath>

#include "engine/offload/adapmoe_tables.h"
#include "engine/offload/layer_shares.h"
#include "engine/offload/policies/policies.h"
#include "engine/offload/prepared_data.h"

namespace expertscope {
namespace {

/// AdapMoE (ICCAD'24), three parts.
/// 1. Gating by sensitivity: a layer's lower-ranked experts whose share is below sqrt(threshold / sensitivity) are
///    dropped and the others' weights raised to the same sum; with two experts a token, the published top-1 for tokens
///    whose second weight is small. While generating only, as in its code; gate=always does it in the prompt too.
/// 2. Prefetch: of what the next layer's gate expects of the present hidden state, each token's first expert that is
///    not there. It goes beside the shares and leaves if it is not used.
/// 3. Cache: least recently used within each layer, whose shares minimise the expected loads (layer_shares.h).
///
/// Differs: the sensitivity is not the Fisher information of back-propagation but its finite difference, the divergence
/// that dropping causes divided by the squared weight that was dropped, so `threshold` is the divergence accepted a
/// layer and token, in nats. More than two experts a token are published nowhere; each is gated by its own weight.
/// Without prepared tables nothing is dropped and the shares are equal.
class AdapMoe final : public Policy {
public:
    AdapMoe(double threshold, bool always) : m_threshold(threshold), m_always(always) {}

    void begin(const OffloadContext& context) override {
        Policy::begin(context);
        m_dropBelow.assign(static_cast<std::size_t>(shape().layers), 0.0F);
        m_demand.assign(static_cast<std::size_t>(shape().layers), allRun());
        if (!context.prepared) return;
        if (context.prepared->find(kSensitivityTable)) readSensitivities(*context.prepared);
        if (context.prepared->find(kSlotWeightTable)) readDemand(*context.prepared);
    }

    CacheDomain domain() const override {
        const int buffer = shape().slots > shape().layers ? 1 : 0;
        return {.share = sharesByDemand(m_demand, shape().experts, shape().slots - buffer), .prefetchesBeside = true};
    }

    bool revises() const override { return true; }
    void revise(const RoutedChoice& choice, const ResidencyView&) override {
        if (choice.phase != Phase::Decode && !m_always) return;
        const auto width = choice.experts.size() / static_cast<std::size_t>(choice.tokens);
        for (int token = 0; token < choice.tokens; ++token) {
            const std::size_t first = static_cast<std::size_t>(token) * width;
            gate(choice, first, width, m_dropBelow[choice.layer.index()]);
        }
    }

    void prefetch(const RoutedLayer& routed, Predictors& predictors, const ResidencyView& resident,
                  std::vector<WantedExpert>& wanted) override {
        const LayerIndex next(routed.layer.value() + 1);
        if (next.value() == shape().layers) return;
        const Prediction expected = predictors.of(PredictorKind::NextGate, next);
        for (std::size_t token = 0; token * static_cast<std::size_t>(expected.width) < expected.experts.size(); ++token)
            for (int rank = 0; rank < expected.width; ++rank) {
                const std::size_t at =
                    token * static_cast<std::size_t>(expected.width) + static_cast<std::size_t>(rank);
                const ExpertRef ref{next, expected.experts[at]};
                if (resident.present(ref)) continue;
                if (std::ranges::find(wanted, ref, &WantedExpert::expert) == wanted.end())
                    wanted.push_back({ref, expected.scores[at]});
                break;
            }
    }
    bool predictsItself() const override { return true; }

private:
    LayerDemand allRun() const {
        LayerDemand demand;
        demand.runs.assign(static_cast<std::size_t>(shape().topK), 0.0);
        demand.runs.back() = 1;
        return demand;
    }
    void readSensitivities(const PreparedData& data) {
        const PreparedTable& sensitivity = data.table(kSensitivityTable, {shape().layers});
        for (std::size_t layer = 0; layer < m_dropBelow.size(); ++layer)
            m_dropBelow[layer] = dropBelow(m_threshold, sensitivity.values[layer]);
    }
    void readDemand(const PreparedData& data) {
        const PreparedTable& weights = data.table(kSlotWeightTable, {shape().layers, shape().topK, kWeightBins});
        const PreparedTable& found = data.table(kRecallSumTable, {shape().layers});
        const PreparedTable& looked = data.table(kRecallCountTable, {shape().layers});
        const auto cells = static_cast<std::size_t>(shape().topK * kWeightBins);
        for (std::size_t layer = 0; layer < m_demand.size(); ++layer) {
            const std::span counts(weights.values.data() + layer * cells, cells);
            m_demand[layer] = {
                .runs = runsByWeight(counts, shape().topK, m_dropBelow[layer]),
                .accuracy = looked.values[layer] > 0
                                ? std::min(static_cast<double>(found.values[layer] / looked.values[layer]), 1.0)
                                : 0};
        }
    }
    static void gate(const RoutedChoice& choice, std::size_t first, std::size_t width, float least) {
        float all = 0, kept = 0;
        for (std::size_t slot = first; slot < first + width; ++slot)
            all += choice.weights[slot];
        for (std::size_t slot = first; slot < first + width; ++slot) {
            if (slot > first && choice.weights[slot] < least * all) {
                choice.experts[slot] = ExpertId(-1);
                choice.actions[slot] = SelectionAction::Dropped;
                choice.weights[slot] = 0;
            }
            kept += choice.weights[slot];
        }
        if (kept == all || kept <= 0) return;
        for (std::size_t slot = first; slot < first + width; ++slot)
            choice.weights[slot] *= all / kept;
    }

    double m_threshold;
    bool m_always;
    std::vector<float> m_dropBelow;     ///< [layers] weight below which a lower-ranked expert is dropped
    std::vector<LayerDemand> m_demand;  ///< [layers]
};

}  // namespace

PolicyEntry adapMoePolicy() {
    return {
        {.name = "adapmoe",
         .exact = false,
         .parameters = "threshold=0.005 (divergence accepted a layer), gate=decode|always",
         .needs = "sensitivities and routing statistics (prepare --for adapmoe)",
         .source = "AdapMoE (ICCAD 2024)",
         .summary = "Drops light experts where the layer is insensitive, brings the next gate's first absent one, and "
                    "divides the cache by expected loads.",
         .prepared = {kSensitivityTable, kSlotWeightTable, kRecallSumTable, kRecallCountTable}},
        [](Parameters& parameters) {
            const double threshold = parameters.number("threshold", 0.005, 0, 1e9);
            const bool always = parameters.word("gate", {"decode", "always"}) == "always";
            return std::unique_ptr<Policy>(std::make_unique<AdapMoe>(threshold, always));
        }};
}

}  // namespace expertscope
