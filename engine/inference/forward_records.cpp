// SPDX-License-Identifier: GPL-3.0-or-later
// What a step leaves for others: shadow predictions, rows for a deep capture, selections and how routing was changed.
#include <algorithm>
#include <limits>

#include "engine/inference/forward.h"

namespace expertscope {

/// Shadow predictions of a layer that was just routed: of a prompt's many tokens now, of a generated token later.
Nanoseconds Forward::shadow(int layer, const StepInput& input, Nanoseconds began) {
    if (input.phase == Phase::Prefill) {
        SpanAnnotation predicting = part(SpanKind::Predict, began, input, layer);
        m_predictors.tell(input.step, input.firstToken, *m_observer);
        return endPart(predicting);
    }
    m_shadow->keep(input.step, input.firstToken, LayerIndex(layer), m_normed.data(), began);
    return began;
}

void Forward::tellShadows() {
    if (m_shadow) m_shadow->tellAll();
}

void Forward::captureRows(int layer, const StepInput& input) {
    m_deep->keep({.layer = LayerIndex(layer),
                  .firstToken = input.firstToken,
                  .tokens = static_cast<int>(input.ids.size()),
                  .inputs = m_normed.data(),
                  .logits = m_routerLogits.data(),
                  .chosen = m_chosen.data(),
                  .weights = m_weightsChosen.data(),
                  .hidden = m_hidden.data()});
}

void Forward::countRouting(int layer, int tokens) {
    const Prediction own = m_predictors.of(PredictorKind::OwnGate, LayerIndex(layer));
    const auto topK = static_cast<std::size_t>(m_config->topK);
    const std::vector<float>& weights = m_experts->revises() ? m_firstWeights : m_weightsChosen;
    for (std::size_t use = 0; use < static_cast<std::size_t>(tokens) * topK; ++use) {
        const auto mass = static_cast<double>(weights[use]);
        m_changes.all.add(mass);
        m_changes.of(m_actions[use]).add(mass);
        // Whether the own gate would have chosen it too; what was revised afterwards is counted above.
        const ExpertId chosen = m_experts->revises() ? m_firstChosen[use] : m_chosen[use];
        const auto best = own.experts.subspan(use / topK * static_cast<std::size_t>(own.width), topK);
        if (std::ranges::find(best, chosen) == best.end()) m_changes.rerouted.add(mass);
    }
}

void Forward::tellSelections(int layer, const StepInput& input) {
    const int topK = m_config->topK;
    const int uses = static_cast<int>(input.ids.size()) * topK;
    m_selections.clear();
    for (int use = 0; use < uses; ++use) {
        const auto at = static_cast<std::size_t>(use);
        SelectionRecord record{.step = input.step,
                               .token = TokenIndex(input.firstToken.value() + use / topK),
                               .layer = LayerIndex(layer),
                               .slot = use % topK,
                               .expert = m_chosen[at],
                               .weight = m_weightsChosen[at],
                               .norm = std::numeric_limits<float>::quiet_NaN(),
                               .outcome = Outcome::Miss,
                               .action = m_actions[at]};
        if (record.expert.value() < 0) {
            record.expert = m_firstChosen[at];
            record.weight = 0;
        } else {
            const auto access = static_cast<std::size_t>(m_accessOf[record.expert.index()]);
            if (m_record.norms) record.norm = m_norms[at];
            record.outcome = m_experts->outcomes()[access];
            record.firstUse = m_uses[static_cast<std::size_t>(m_useBegin[access])] == use;
        }
        m_selections.push_back(record);
    }
    m_observer->onSelections(m_selections);
}

}  // namespace expertscope
