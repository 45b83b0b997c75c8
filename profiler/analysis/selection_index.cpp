// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/selection_index.h"

#include <algorithm>

namespace expertscope {

SelectionIndex::SelectionIndex(std::int32_t layers, std::int32_t topK)
    : m_topK(topK), m_at(static_cast<std::size_t>(layers)) {}

bool SelectionIndex::update(const TraceView& trace) {
    const std::size_t before = m_selectionsRead;
    for (; m_selectionsRead < trace.selections.size(); ++m_selectionsRead) {
        const SelectionRecord& selection = trace.selections[m_selectionsRead];
        const bool sane = selection.layer.value() >= 0 && selection.layer.value() < layers() &&
                          selection.token.value() >= 0 && selection.slot >= 0 && selection.slot < m_topK;
        if (!sane) continue;
        std::vector<std::int32_t>& at = m_at[selection.layer.index()];
        const std::size_t place =
            selection.token.index() * static_cast<std::size_t>(m_topK) + static_cast<std::size_t>(selection.slot);
        if (place >= at.size()) at.resize((selection.token.index() + 1) * static_cast<std::size_t>(m_topK), -1);
        at[place] = static_cast<std::int32_t>(m_selectionsRead);
        if (selection.token.index() >= m_steps.size()) m_steps.resize(selection.token.index() + 1, StepIndex{-1});
        m_steps[selection.token.index()] = selection.step;
        m_tokens = std::max(m_tokens, selection.token.value() + 1);
    }
    return m_selectionsRead != before;
}

std::int64_t SelectionIndex::find(LayerIndex layer, TokenIndex token, std::int32_t slot) const {
    if (layer.value() < 0 || layer.value() >= layers() || token.value() < 0 || slot < 0 || slot >= m_topK) return -1;
    const std::vector<std::int32_t>& at = m_at[layer.index()];
    const std::size_t place = token.index() * static_cast<std::size_t>(m_topK) + static_cast<std::size_t>(slot);
    return place < at.size() ? at[place] : -1;
}

StepIndex SelectionIndex::stepOf(TokenIndex token) const {
    return token.value() >= 0 && token.index() < m_steps.size() ? m_steps[token.index()] : StepIndex{-1};
}

}  // namespace expertscope
