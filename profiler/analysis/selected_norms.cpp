// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/selected_norms.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace expertscope {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double over(double sum, std::int64_t count) { return count > 0 ? sum / static_cast<double>(count) : kNone; }

/// rank[i] of value i, ascending from 0; equal values rank in reverse order of their places, since a token's choices
/// come by falling score.
std::vector<std::size_t> ranksOf(std::size_t count, const auto& value) {
    std::vector<std::size_t> order(count), rank(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(
        order, [&](std::size_t a, std::size_t b) { return value(a) < value(b) || (value(a) == value(b) && a > b); });
    for (std::size_t i = 0; i < count; ++i)
        rank[order[i]] = i;
    return rank;
}

}  // namespace

double SelectedNorms::Expert::meanNorm() const { return over(norms, withNorm); }
double SelectedNorms::Expert::reap() const { return over(weightedNorms, withNorm); }
double SelectedNorms::Expert::largest() const { return withNorm > 0 ? largestNorm : kNone; }

SelectedNorms::SelectedNorms(const ModelFacts& model)
    : m_layers(model.layers), m_experts(model.experts), m_topK(model.topK) {
    const auto layers = static_cast<std::size_t>(m_layers), k = static_cast<std::size_t>(m_topK);
    m_cells.resize(layers * static_cast<std::size_t>(m_experts));
    m_ranks.resize(layers);
    for (Ranks& ranks : m_ranks)
        ranks.counts.assign(k * k, 0);
}

void SelectedNorms::add(std::span<const SelectionRecord> selections) {
    for (const SelectionRecord& selection : selections) {
        const bool known = selection.layer.value() >= 0 && selection.layer.value() < m_layers &&
                           selection.expert.value() >= 0 && selection.expert.value() < m_experts;
        if (!known || selection.action == SelectionAction::Dropped) continue;
        if (selection.token != m_token || selection.layer != m_layer) {
            endToken();
            m_token = selection.token;
            m_layer = selection.layer;
        }
        Expert& cell =
            m_cells[selection.layer.index() * static_cast<std::size_t>(m_experts) + selection.expert.index()];
        const double weight = static_cast<double>(selection.weight), norm = static_cast<double>(selection.norm);
        ++m_selections;
        ++cell.tokens;
        if (std::isfinite(weight)) cell.weights += weight;
        if (!std::isfinite(norm) || !std::isfinite(weight)) continue;
        ++m_withNorm;
        ++cell.withNorm;
        cell.norms += norm;
        cell.weightedNorms += weight * norm;
        cell.largestNorm = std::max(cell.largestNorm, norm);
        m_choices.push_back({selection.weight, selection.norm});
    }
}

void SelectedNorms::endToken() {
    const std::size_t k = static_cast<std::size_t>(m_topK);
    if (m_choices.size() == k) {
        Ranks& ranks = m_ranks[m_layer.index()];
        const auto byWeight = ranksOf(k, [this](std::size_t i) { return m_choices[i].weight; });
        const auto byNorm = ranksOf(k, [this](std::size_t i) { return m_choices[i].norm; });
        double squares = 0;
        for (std::size_t i = 0; i < k; ++i) {
            ++ranks.counts[byWeight[i] * k + byNorm[i]];
            const double apart = static_cast<double>(byWeight[i]) - static_cast<double>(byNorm[i]);
            squares += apart * apart;
        }
        ++ranks.tokens;
        const auto n = static_cast<double>(k);
        if (k > 1) ranks.correlation += 1 - 6 * squares / (n * (n * n - 1));
    } else if (!m_choices.empty()) {
        ++m_withoutRanks;
    }
    m_choices.clear();
}

void SelectedNorms::finish() {
    endToken();
    for (Ranks& ranks : m_ranks)
        ranks.correlation = m_topK > 1 ? over(ranks.correlation, ranks.tokens) : kNone;
}

SelectedNorms::Ranks SelectedNorms::allRanks() const {
    Ranks all;
    const auto k = static_cast<std::size_t>(m_topK);
    all.counts.assign(k * k, 0);
    for (const Ranks& ranks : m_ranks) {
        if (ranks.tokens == 0) continue;
        for (std::size_t i = 0; i < all.counts.size(); ++i)
            all.counts[i] += ranks.counts[i];
        all.correlation += ranks.correlation * static_cast<double>(ranks.tokens);
        all.tokens += ranks.tokens;
    }
    all.correlation = over(all.correlation, all.tokens);
    return all;
}

}  // namespace expertscope
