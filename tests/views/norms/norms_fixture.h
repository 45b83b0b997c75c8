// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <limits>
#include <span>
#include <vector>

#include "engine/base/deep_aggregates.h"
#include "profiler/analysis/deep/deep_session.h"
#include "scratch_session.h"
#include "storage/deep_vectors.h"

namespace expertscope {

/// A run of two layers × four experts, top-2, with the norms that a test says.
class NormedRun {
public:
    struct Choice {
        int expert = 0;
        float weight = 0, norm = 0;
    };
    /// choices[token][layer]: the two choices of a token, by falling weight.
    using Token = std::vector<std::vector<Choice>>;

    explicit NormedRun(const std::vector<Token>& tokens, bool recordsNorms = true) : file(ScratchSession::Empty{}) {
        RunDescription run = ScratchSession::description();
        run.record.norms = recordsNorms;
        id = file.writer().beginRun(run);
        std::vector<SelectionRecord> selections;
        for (std::size_t t = 0; t < tokens.size(); ++t) {
            file.add({ScratchSession::token(static_cast<int>(t), static_cast<int>(t), Phase::Prefill, 0, "word")});
            for (std::size_t l = 0; l < tokens[t].size(); ++l)
                for (std::size_t slot = 0; slot < tokens[t][l].size(); ++slot)
                    selections.push_back(
                        record(static_cast<int>(t), static_cast<int>(l), static_cast<int>(slot), tokens[t][l][slot]));
        }
        file.add(selections);
        file.writer().endRun({}, RunState::Complete);
        file.writer().commit();
    }
    std::filesystem::path path() const { return file.file().toStdString(); }
    /// Keeps a deep capture of layer 1 with one example token: experts 0 … 3 have norms 4, 3, 2, 1 and scores 0.1 to
    /// 0.4, the token chose experts 3 and 2.
    void captureDeep() {
        DeepAggregates deep;
        DeepLayer layer;
        layer.layer = LayerIndex(1);
        layer.experts = 4;
        layer.neurons = 1;
        layer.tokens = 1;
        const std::vector<double> zeros(4, 0), matrix(16, 0);
        layer.chosen = {0, 0, 1, 1};
        layer.weightSum = {0, 0, 0.4, 0.6};
        layer.scoreSum = {0.1, 0.2, 0.3, 0.4};
        layer.normSum = {4, 3, 2, 1};
        layer.normMax = layer.normSum;
        layer.chosenNormSum = {0, 0, 2, 1};
        layer.chosenSquareSum = {0, 0, 4, 1};
        layer.weightedNormSum = {0, 0, 0.8, 0.6};
        layer.outputMax = layer.normSum;
        layer.chosenOutputMax = layer.chosenNormSum;
        layer.rankCounts = matrix;
        for (std::size_t rank = 0; rank < 4; ++rank)
            layer.rankCounts[rank * 4 + 3 - rank] = 1;
        layer.pairTokens = layer.cosineSum = layer.angularSum = matrix;
        layer.pairClasses.assign(9, 0);
        layer.neuronActive = layer.neuronSum = layer.chosenActive = zeros;
        layer.unselected.assign(8, 0);
        layer.router.assign(4, 0);
        layer.hiddenMax = {1};
        layer.exampleTokens = {0};
        layer.exampleScores = layer.scoreSum;
        layer.exampleNorms = layer.normSum;
        layer.exampleWeights = {0, 0, 0.4, 0.6};
        layer.exampleCosines.assign(16, 1);
        deep.layers.push_back(layer);
        keepDeepCapture(path(), id, deep);
    }

    /// Keeps what the three neurons of each expert of layer 1 made of tokens 1 and 2: at neuron n of expert e t + e /
    /// 10
    /// + n / 100, but −5 at neuron 2 of expert 3. Each token chose experts 3 (weight 0.6) and 2.
    void keepActivations() {
        const std::vector<std::int32_t> tokens{1, 2};
        std::vector<float> activations, weights;
        for (const std::int32_t token : tokens) {
            for (int e = 0; e < 4; ++e)
                for (int n = 0; n < 3; ++n)
                    activations.push_back(e == 3 && n == 2 ? -5
                                                           : static_cast<float>(token) + static_cast<float>(e) / 10 +
                                                                 static_cast<float>(n) / 100);
            const float none = std::numeric_limits<float>::quiet_NaN();
            weights.insert(weights.end(), {none, none, 0.4F, 0.6F});
        }
        const std::vector<float> zeros(8);
        keepDeepVectors(path(), id,
                        {.layer = LayerIndex(1),
                         .made = {.tokens = 2,
                                  .experts = 4,
                                  .hidden = 1,
                                  .index = tokens,
                                  .logits = zeros,
                                  .weights = weights,
                                  .outputs = zeros},
                         .inputs = std::span(zeros).first(2),
                         .after = std::span(zeros).first(2),
                         .activations = activations});
    }

    ScratchSession file;
    RunId id;

private:
    static SelectionRecord record(int token, int layer, int slot, const Choice& choice) {
        SelectionRecord selection;
        selection.step = StepIndex(token);
        selection.token = TokenIndex(token);
        selection.layer = LayerIndex(layer);
        selection.slot = slot;
        selection.expert = ExpertId(choice.expert);
        selection.weight = choice.weight;
        selection.norm = choice.norm;
        return selection;
    }
};

inline constexpr float kNoNorm = std::numeric_limits<float>::quiet_NaN();

/// Expert 0 of layer 0: norms 2 and 4 with weights 0.75 and 0.5.
inline const std::vector<NormedRun::Token> kThreeTokens{
    {{{0, 0.75F, 2}, {1, 0.25F, 1}}, {{3, 0.6F, 1}, {2, 0.4F, 2}}},
    {{{0, 0.5F, 4}, {2, 0.5F, 8}}, {{2, 0.7F, 5}, {3, 0.3F, 1}}},
    {{{1, 0.9F, 3}, {3, 0.1F, 6}}, {{1, 0.8F, 2}, {0, 0.2F, 1}}},
};

}  // namespace expertscope
