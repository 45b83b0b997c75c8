// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/prediction_recall.h"

#include <algorithm>

namespace expertscope {

void PredictionRecall::onPredictions(std::span<const PredictionRecord> records) {
    for (const PredictionRecord& record : records) {
        int ahead = record.targetLayer.value() - record.fromLayer.value();
        if (record.predictor == PredictorKind::OwnGate) continue;
        if (ahead <= 0) ahead += m_layers;
        const Key key{record.predictor, ahead, record.targetLayer.value()};
        const TokenIndex token = record.predictor == PredictorKind::Policy ? TokenIndex(0) : record.token;
        m_pending[key].emplace_back(token, record.expert);
    }
}

void PredictionRecall::onSelections(std::span<const SelectionRecord> records) {
    if (records.empty()) return;
    const int layer = records.front().layer.value();
    std::vector<std::pair<TokenIndex, ExpertId>> used, usedByStep;
    for (const SelectionRecord& record : records) {
        if (record.action == SelectionAction::Dropped) continue;
        used.emplace_back(record.token, record.expert);
        usedByStep.emplace_back(TokenIndex(0), record.expert);
    }
    for (auto* list : {&used, &usedByStep}) {
        std::ranges::sort(*list);
        const auto [first, last] = std::ranges::unique(*list);
        list->erase(first, last);
    }
    for (auto& [key, expected] : m_pending) {
        if (std::get<2>(key) != layer || expected.empty()) continue;
        const auto& actual = std::get<0>(key) == PredictorKind::Policy ? usedByStep : used;
        Count& count = m_counts[key];
        count.used += std::ssize(actual);
        count.expected += std::ssize(expected);
        count.found +=
            std::ranges::count_if(expected, [&](const auto& one) { return std::ranges::binary_search(actual, one); });
        expected.clear();
    }
}

PredictionRecall::Count PredictionRecall::of(PredictorKind kind, int ahead, LayerIndex target) const {
    const auto found = m_counts.find({kind, ahead, target.value()});
    return found == m_counts.end() ? Count{} : found->second;
}

PredictionRecall::Count PredictionRecall::of(PredictorKind kind, int ahead) const {
    Count sum;
    for (int target = 0; target < m_layers; ++target) {
        const Count one = of(kind, ahead, LayerIndex(target));
        sum.used += one.used;
        sum.found += one.found;
        sum.expected += one.expected;
    }
    return sum;
}

}  // namespace expertscope
