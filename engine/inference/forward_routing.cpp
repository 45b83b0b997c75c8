// SPDX-License-Identifier: GPL-3.0-or-later
// Which experts a layer chooses, and within which limits.
#include <algorithm>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/inference/forward.h"
#include "engine/inference/router.h"

namespace expertscope {

void Forward::limit(const RoutingLimits& limits) {
    if (!limits.any()) return;
    m_limiter.emplace(*m_config, limits);
    if (!m_limiter->drops()) return;
    if (m_experts->revises())
        throw UsageError(
            fmt::format("Policy '{}' changes choices itself: a weight threshold goes with policies that "
                        "leave the routing alone.",
                        m_experts->policy().name));
    m_firstChosen.resize(m_chosen.size());
}

void Forward::route(int layer, const StepInput& input) {
    const ModelConfig& c = *m_config;
    const Kernels& kernels = m_math.kernels();
    const LayerWeights& weights = m_weights.layers[static_cast<std::size_t>(layer)];
    const int tokens = static_cast<int>(input.ids.size());
    for (int t = 0; t < tokens; ++t)
        kernels.rmsNorm(m_hidden.data() + t * c.hidden, weights.expertNorm.data(), c.normEps, c.hidden,
                        m_normed.data() + t * c.hidden);
    checkFinite(m_normed.data(), tokens, layer, "input of the router");
    m_predictors.beginLayer(LayerIndex(layer), m_normed.data(), tokens);
    choose(layer, tokens);
    if (m_tap)
        m_tap(LayerIndex(layer), tokens,
              {m_normed.data(), static_cast<std::size_t>(tokens) * static_cast<std::size_t>(c.hidden)},
              {m_routerLogits.data(), static_cast<std::size_t>(tokens) * static_cast<std::size_t>(c.experts)});
    if (m_experts->revises()) revise(layer, input);
    keepAhead(layer, tokens);
}

/// The layer's experts and weights, by its own gate or by what an earlier layer has left for it.
void Forward::choose(int layer, int tokens) {
    const ModelConfig& c = *m_config;
    const Kernels& kernels = m_math.kernels();
    const auto count = static_cast<std::size_t>(tokens) * static_cast<std::size_t>(c.experts);
    const RoutingSource source = m_experts->routing(LayerIndex(layer));
    const bool byPreGate = source.kind == RoutingSource::Kind::PreGate;
    const int ownWidth = m_experts->ownGateWidth();
    std::vector<float>& ahead = m_aheadLogits[static_cast<std::size_t>(layer) % m_aheadLogits.size()];
    if (!byPreGate || ownWidth > 0)
        m_math.linear(m_weights.layers[static_cast<std::size_t>(layer)].gate, m_normed.data(), tokens,
                      m_routerLogits.data());
    if (m_limiter) {
        m_limiter->hide(LayerIndex(layer), tokens, m_routerLogits);
        m_limiter->hide(LayerIndex(layer), tokens, ahead);
    }
    if (ownWidth > 0) m_predictors.setOwnGate(m_routerLogits.data(), std::min(ownWidth, c.experts));
    if (byPreGate) std::swap(m_routerLogits, ahead);
    const bool ownWeights = m_experts->weighsByOwnGate();
    if (ownWeights) std::copy_n(m_routerLogits.begin(), count, m_ownLogits.begin());
    if (m_experts->adjustsLogits()) m_experts->adjustLogits(LayerIndex(layer), tokens, {m_routerLogits.data(), count});
    const bool early = source.kind == RoutingSource::Kind::EarlyInput;
    for (int t = 0; t < tokens; ++t) {
        const float* const own = m_routerLogits.data() + t * c.experts;
        ExpertId* const chosen = m_chosen.data() + t * c.topK;
        float* const weights = m_weightsChosen.data() + t * c.topK;
        chooseExperts(kernels, early ? ahead.data() + t * c.experts : own, c.experts, c.topK, c.normTopK,
                      m_routerScratch.data(), chosen, weights);
        if (early || ownWeights)
            weighExperts(kernels, ownWeights ? m_ownLogits.data() + t * c.experts : own, c.experts, c.topK, c.normTopK,
                         m_routerScratch.data(), chosen, weights);
    }
    const auto choices = static_cast<std::size_t>(tokens) * static_cast<std::size_t>(c.topK);
    std::fill_n(m_actions.begin(), choices, SelectionAction::Run);
    if (!m_limiter || !m_limiter->drops()) return;
    std::copy_n(m_chosen.begin(), choices, m_firstChosen.begin());
    m_limiter->drop({m_chosen.data(), choices}, {m_weightsChosen.data(), choices}, {m_actions.data(), choices});
}

/// Lets the policy drop, substitute or re-weight what was chosen.
void Forward::revise(int layer, const StepInput& input) {
    const ModelConfig& c = *m_config;
    const int tokens = static_cast<int>(input.ids.size());
    const auto choices = static_cast<std::size_t>(tokens) * static_cast<std::size_t>(c.topK);
    std::copy_n(m_routerLogits.begin(), tokens * c.experts, m_probabilities.begin());
    for (int t = 0; t < tokens; ++t)
        m_math.kernels().softmax(m_probabilities.data() + t * c.experts, c.experts);
    std::copy_n(m_chosen.begin(), choices, m_firstChosen.begin());
    std::copy_n(m_weightsChosen.begin(), choices, m_firstWeights.begin());
    m_experts->revise({.layer = LayerIndex(layer),
                       .phase = input.phase,
                       .tokens = tokens,
                       .experts = {m_chosen.data(), choices},
                       .weights = {m_weightsChosen.data(), choices},
                       .actions = {m_actions.data(), choices},
                       .probabilities = {m_probabilities.data(),
                                         static_cast<std::size_t>(tokens) * static_cast<std::size_t>(c.experts)}});
}

/// Keeps what this layer's predictors say for the layers that will choose by it.
void Forward::keepAhead(int layer, int tokens) {
    for (int ahead = 1; ahead <= LayerPredictors::kFarthest && layer + ahead < m_config->layers; ++ahead) {
        const LayerIndex target(layer + ahead);
        const RoutingSource source = m_experts->routing(target);
        if (source.ahead != ahead) continue;
        const auto kind =
            source.kind == RoutingSource::Kind::PreGate ? PredictorKind::PreGate : PredictorKind::NextGate;
        std::copy_n(m_predictors.logits(kind, target).begin(), tokens * m_config->experts,
                    m_aheadLogits[target.index() % m_aheadLogits.size()].begin());
    }
}

}  // namespace expertscope
