// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/deep_sums.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

namespace expertscope {
namespace {

std::size_t at(int row, int columns, int column) {
    return static_cast<std::size_t>(row) * static_cast<std::size_t>(columns) + static_cast<std::size_t>(column);
}

double dot(std::span<const double> a, std::span<const double> b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// Ranks of values, 0 = smallest; of equals the first comes first.
void rank(std::span<const float> values, std::vector<int>& order, std::vector<int>& ranks) {
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, {}, [&](int i) { return values[static_cast<std::size_t>(i)]; });
    for (std::size_t r = 0; r < order.size(); ++r)
        ranks[static_cast<std::size_t>(order[r])] = static_cast<int>(r);
}

/// Of a pair: both, one, neither was chosen.
int classOf(float weightA, float weightB) { return (std::isnan(weightA) ? 1 : 0) + (std::isnan(weightB) ? 1 : 0); }

}  // namespace

DeepLayer emptyDeepLayer(LayerIndex layer, int experts, int neurons) {
    DeepLayer empty;
    empty.layer = layer;
    empty.experts = experts;
    empty.neurons = neurons;
    const auto count = static_cast<std::size_t>(experts);
    for (auto* byExpert : {&empty.chosen, &empty.weightSum, &empty.scoreSum, &empty.normSum, &empty.normMax,
                           &empty.chosenNormSum, &empty.chosenSquareSum, &empty.weightedNormSum, &empty.outputMax,
                           &empty.chosenOutputMax, &empty.chosenActive})
        byExpert->assign(count, 0);
    for (auto* byPair : {&empty.rankCounts, &empty.pairTokens, &empty.cosineSum, &empty.angularSum})
        byPair->assign(count * count, 0);
    for (auto* byNeuron : {&empty.neuronActive, &empty.neuronSum})
        byNeuron->assign(count * static_cast<std::size_t>(neurons), 0);
    empty.pairClasses.assign(9, 0);
    empty.unselected.assign(8, 0);
    empty.router.assign(4, 0);
    empty.hiddenMax.assign(1, 0);
    return empty;
}

DeepSums::DeepSums(const ParallelMath& math, int experts, int hidden)
    : m_math(math), m_experts(experts), m_hidden(hidden) {
    const auto count = static_cast<std::size_t>(experts);
    m_dots.assign(static_cast<std::size_t>(math.pool().threads()), std::vector<float>(count));
    m_order.resize(count);
    m_rankOf.resize(count);
    m_rankOfB.resize(count);
    m_chosenPart.resize(static_cast<std::size_t>(hidden));
    m_otherPart.resize(static_cast<std::size_t>(hidden));
}

void DeepSums::add(const DeepBlock& block, int examples, DeepLayer& to) {
    m_norms.resize(block.logits.size());
    m_scores.assign(block.logits.begin(), block.logits.end());
    m_logSums.resize(static_cast<std::size_t>(block.tokens));
    for (int t = 0; t < block.tokens; ++t) {
        m_logSums[static_cast<std::size_t>(t)] =
            static_cast<double>(m_math.kernels().softmax(m_scores.data() + at(t, m_experts, 0), m_experts));
        for (int e = 0; e < m_experts; ++e)
            m_norms[at(t, m_experts, e)] = m_math.kernels().norm(
                block.outputs.data() + at(t, m_experts, e) * static_cast<std::size_t>(m_hidden), m_hidden);
    }
    addExamples(block, examples, to);
    addSimilarity(block, to);
    for (int t = 0; t < block.tokens; ++t) {
        addNorms(block, t, to);
        addUnselected(block, t, to);
        addRouter(block, t, to);
    }
    to.tokens += block.tokens;
}

void DeepSums::addExamples(const DeepBlock& block, int examples, DeepLayer& to) const {
    const auto count = static_cast<std::size_t>(m_experts);
    const float* const outputs = block.outputs.data();
    for (int t = 0; t < block.tokens && std::ssize(to.exampleTokens) < examples; ++t) {
        const bool withMatrix = std::ssize(to.exampleTokens) < kDeepMatrixExamples;
        to.exampleTokens.push_back(block.index[static_cast<std::size_t>(t)]);
        for (int e = 0; e < m_experts; ++e) {
            const float weight = block.weights[at(t, m_experts, e)];
            to.exampleScores.push_back(static_cast<double>(m_scores[at(t, m_experts, e)]));
            to.exampleNorms.push_back(static_cast<double>(norm(t, e)));
            to.exampleWeights.push_back(std::isnan(weight) ? 0 : static_cast<double>(weight));
        }
        if (!withMatrix) continue;
        std::vector<float> dots(count);
        const MatrixView all{reinterpret_cast<const std::byte*>(outputs + at(t, m_experts, 0) * block.hidden),
                             ElementType::F32, m_experts, m_hidden};
        for (int a = 0; a < m_experts; ++a) {
            m_math.kernels().matmul(all, outputs + at(t, m_experts, a) * static_cast<std::size_t>(m_hidden), 1, 0,
                                    m_experts, dots.data());
            for (int b = 0; b < m_experts; ++b) {
                const double both = static_cast<double>(norm(t, a)) * static_cast<double>(norm(t, b));
                const double cosine = static_cast<double>(dots[static_cast<std::size_t>(b)]) / both;
                to.exampleCosines.push_back(both > 0 ? std::clamp(cosine, -1.0, 1.0)
                                                     : std::numeric_limits<double>::quiet_NaN());
            }
        }
    }
}

void DeepSums::addSimilarity(const DeepBlock& block, DeepLayer& to) {
    m_classes.assign(at(block.tokens, m_experts, 0) * 9, 0.0);
    m_math.pool().forEach(m_experts, [&](int expert, int worker) { addRow(block, expert, worker, to); });
    for (std::size_t i = 0; i < m_classes.size(); ++i)
        to.pairClasses[i % 9] += m_classes[i];
}

/// The pairs of one expert with those from itself on: nobody else writes their cells.
void DeepSums::addRow(const DeepBlock& block, int expert, int worker, DeepLayer& to) {
    std::vector<float>& dots = m_dots[static_cast<std::size_t>(worker)];
    for (int t = 0; t < block.tokens; ++t) {
        double* const classes = m_classes.data() + at(t, m_experts, expert) * 9;
        const float* const outputs = block.outputs.data() + at(t, m_experts, 0) * static_cast<std::size_t>(m_hidden);
        const MatrixView all{reinterpret_cast<const std::byte*>(outputs), ElementType::F32, m_experts, m_hidden};
        m_math.kernels().matmul(all, outputs + at(expert, m_hidden, 0), 1, expert, m_experts, dots.data());
        for (int other = expert; other < m_experts; ++other) {
            const double both = static_cast<double>(norm(t, expert)) * static_cast<double>(norm(t, other));
            if (!(both > 0)) continue;
            const bool same = other == expert;
            const double cosine =
                same ? 1.0 : std::clamp(static_cast<double>(dots[static_cast<std::size_t>(other)]) / both, -1.0, 1.0);
            const double angular = 1.0 - std::acos(cosine) / std::numbers::pi;
            for (const std::size_t cell : {at(expert, m_experts, other), at(other, m_experts, expert)}) {
                to.pairTokens[cell] += 1;
                to.cosineSum[cell] += cosine;
                to.angularSum[cell] += angular;
                if (same) break;
            }
            if (same) continue;
            double* const sums =
                classes + static_cast<std::ptrdiff_t>(3) *
                              classOf(block.weights[at(t, m_experts, expert)], block.weights[at(t, m_experts, other)]);
            sums[0] += 1;
            sums[1] += cosine;
            sums[2] += angular;
        }
    }
}

void DeepSums::addNorms(const DeepBlock& block, int token, DeepLayer& to) {
    const auto row = at(token, m_experts, 0), count = static_cast<std::size_t>(m_experts);
    for (std::size_t e = 0; e < count; ++e) {
        const double length = static_cast<double>(m_norms[row + e]);
        const float* const output = block.outputs.data() + (row + e) * static_cast<std::size_t>(m_hidden);
        float most = 0;
        for (int i = 0; i < m_hidden; ++i)
            most = std::max(most, std::abs(output[i]));
        to.scoreSum[e] += static_cast<double>(m_scores[row + e]);
        to.normSum[e] += length;
        to.normMax[e] = std::max(to.normMax[e], length);
        to.outputMax[e] = std::max(to.outputMax[e], static_cast<double>(most));
        if (std::isnan(block.weights[row + e])) continue;
        const auto weight = static_cast<double>(block.weights[row + e]);
        to.chosen[e] += 1;
        to.weightSum[e] += weight;
        to.chosenNormSum[e] += length;
        to.chosenSquareSum[e] += length * length;
        to.weightedNormSum[e] += weight * length;
        to.chosenOutputMax[e] = std::max(to.chosenOutputMax[e], static_cast<double>(most));
    }
    rank(std::span<const float>(m_scores).subspan(row, count), m_order, m_rankOf);
    rank(std::span<const float>(m_norms).subspan(row, count), m_order, m_rankOfB);
    for (std::size_t e = 0; e < count; ++e)
        to.rankCounts[at(m_rankOf[e], m_experts, m_rankOfB[e])] += 1;
}

void DeepSums::addUnselected(const DeepBlock& block, int token, DeepLayer& to) {
    std::ranges::fill(m_chosenPart, 0.0);
    std::ranges::fill(m_otherPart, 0.0);
    double mass = 0;
    for (int e = 0; e < m_experts; ++e) {
        const bool other = std::isnan(block.weights[at(token, m_experts, e)]);
        const double score = static_cast<double>(m_scores[at(token, m_experts, e)]);
        if (other) mass += score;
        std::vector<double>& part = other ? m_otherPart : m_chosenPart;
        const float* const output = block.outputs.data() + at(token, m_experts, e) * static_cast<std::size_t>(m_hidden);
        for (std::size_t i = 0; i < part.size(); ++i)
            part[i] += score * static_cast<double>(output[i]);
    }
    const double chosen = std::sqrt(dot(m_chosenPart, m_chosenPart)), other = std::sqrt(dot(m_otherPart, m_otherPart));
    if (!(chosen > 0 && other > 0)) return;
    const double product = dot(m_chosenPart, m_otherPart);
    const double cosine = std::clamp(product / (chosen * other), -1.0, 1.0);
    const double whole = std::sqrt(std::max(0.0, chosen * chosen + 2 * product + other * other));
    const double terms[] = {1.0,
                            mass,
                            other / chosen,
                            other / (chosen + other),
                            cosine,
                            whole > 0 ? (chosen * chosen + product) / (chosen * whole) : 0.0,
                            std::sqrt(1 - cosine * cosine),
                            whole / chosen};
    for (std::size_t i = 0; i < std::size(terms); ++i)
        to.unselected[i] += terms[i];
}

void DeepSums::addRouter(const DeepBlock&, int token, DeepLayer& to) {
    const auto scores = std::span<const float>(m_scores).subspan(at(token, m_experts, 0), m_order.size());
    double entropy = 0;
    for (const float score : scores)
        if (score > 0) entropy -= static_cast<double>(score) * std::log2(static_cast<double>(score));
    const double logSum = m_logSums[static_cast<std::size_t>(token)];
    to.router[0] += logSum * logSum;
    to.router[1] += logSum;
    to.router[2] += entropy;
    to.router[3] += static_cast<double>(std::ranges::max(scores));
}

}  // namespace expertscope
