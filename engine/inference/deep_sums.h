// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/deep_sink.h"
#include "engine/inference/parallel_math.h"

namespace expertscope {

/// A layer without tokens.
DeepLayer emptyDeepLayer(LayerIndex layer, int experts, int neurons);

/// Adds blocks to a layer's sums, all but those over neurons and the residual stream. The sums depend neither on the
/// threads nor on how tokens are cut into blocks; similarities cost O(tokens · E² · H), the rest O(tokens · E · (H +
/// log E)).
class DeepSums {
public:
    /// For layers of `experts` experts with outputs of `hidden` numbers.
    DeepSums(const ParallelMath& math, int experts, int hidden);

    void add(const DeepBlock& block, int examples, DeepLayer& to);

private:
    void addSimilarity(const DeepBlock& block, DeepLayer& to);
    void addRow(const DeepBlock& block, int expert, int worker, DeepLayer& to);
    void addExamples(const DeepBlock& block, int examples, DeepLayer& to) const;
    void addNorms(const DeepBlock& block, int token, DeepLayer& to);
    void addUnselected(const DeepBlock& block, int token, DeepLayer& to);
    void addRouter(const DeepBlock& block, int token, DeepLayer& to);
    float norm(int token, int expert) const {
        return m_norms[static_cast<std::size_t>(token) * m_dots[0].size() + static_cast<std::size_t>(expert)];
    }

    ParallelMath m_math;
    int m_experts, m_hidden;
    std::vector<float> m_norms;                     ///< [tokens, E]
    std::vector<float> m_scores;                    ///< [tokens, E] softmax
    std::vector<double> m_logSums;                  ///< [tokens] log Σ exp logits
    std::vector<std::vector<float>> m_dots;         ///< [workers][E]
    std::vector<double> m_classes;                  ///< [tokens, E, 3, 3]
    std::vector<int> m_order, m_rankOf, m_rankOfB;  ///< [E]
    std::vector<double> m_chosenPart, m_otherPart;  ///< [H]
};

}  // namespace expertscope
