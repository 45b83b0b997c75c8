// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/routing_limits.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

/// Its probability is 0 beside any other, and unlike an infinity it survives a policy's sums.
constexpr float kNever = -1e30F;

}  // namespace

RoutingLimiter::RoutingLimiter(const ModelConfig& config, const RoutingLimits& limits)
    : m_experts(static_cast<std::size_t>(config.experts)),
      m_topK(static_cast<std::size_t>(config.topK)),
      m_normalised(config.normTopK),
      m_leastWeight(limits.leastWeight),
      m_removed(static_cast<std::size_t>(config.layers)) {
    for (const ExpertRef& ref : limits.removed) {
        const bool known = ref.layer.value() >= 0 && ref.layer.value() < config.layers && ref.expert.value() >= 0 &&
                           ref.expert.value() < config.experts;
        if (!known)
            throw UsageError(fmt::format("There is no expert {} in layer {} to remove: the model has {} layers of {}.",
                                         ref.expert.value(), ref.layer.value(), config.layers, config.experts));
        auto& removed = m_removed[ref.layer.index()];
        if (std::ranges::find(removed, ref.expert.value()) == removed.end()) removed.push_back(ref.expert.value());
    }
    for (std::size_t layer = 0; layer < m_removed.size(); ++layer)
        if (m_removed[layer].size() + m_topK > m_experts)
            throw UsageError(
                fmt::format("Without {} of its {} experts layer {} cannot choose {} a token: remove fewer.",
                            m_removed[layer].size(), m_experts, layer, m_topK));
}

void RoutingLimiter::hide(LayerIndex layer, int tokens, std::span<float> logits) const {
    for (const std::int32_t expert : m_removed[layer.index()])
        for (std::size_t t = 0; t < static_cast<std::size_t>(tokens); ++t)
            logits[t * m_experts + static_cast<std::size_t>(expert)] = kNever;
}

void RoutingLimiter::drop(std::span<ExpertId> chosen, std::span<float> weights,
                          std::span<SelectionAction> actions) const {
    for (std::size_t first = 0; first < chosen.size(); first += m_topK) {
        float all = weights[first], kept = weights[first];
        for (std::size_t i = first + 1; i < first + m_topK; ++i) {
            all += weights[i];
            if (!(weights[i] < m_leastWeight)) {
                kept += weights[i];
                continue;
            }
            chosen[i] = ExpertId(-1);
            weights[i] = 0;
            actions[i] = SelectionAction::Dropped;
        }
        if (!m_normalised || kept == all) continue;
        for (std::size_t i = first; i < first + m_topK; ++i)
            weights[i] *= all / kept;
    }
}

}  // namespace expertscope
