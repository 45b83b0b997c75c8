// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/records.h"
#include "engine/base/run_facts.h"
#include "engine/offload/policy.h"

namespace expertscope {

/// What the layers of a run chose, as a replay takes it: compact (about 13 bytes a decoded choice, so that a million
/// accesses stay under 16 MB), in logical order, without times. Built by RoutingTraceBuilder.
class RoutingTrace {
public:
    /// One layer of one step: the unit that a cache sees at once.
    struct Group {
        std::int32_t step = 0;  ///< index into steps()
        LayerIndex layer;
        std::int32_t tokens = 0;            ///< that the layer routed
        TokenIndex firstToken;              ///< run-wide
        std::uint32_t firstAccess = 0;      ///< into accesses()
        std::uint32_t firstSelection = 0;   ///< into the selections
        std::uint32_t firstPromotion = 0;   ///< into the order of last uses, where tokens > 1
        std::uint32_t firstPrediction = 0;  ///< into the predictions
    };
    struct Step {
        StepIndex index;
        RequestIndex request;
        Phase phase = Phase::Decode;
        std::int32_t tokens = 0;
        std::uint32_t firstGroup = 0;
        std::uint32_t groups = 0;
    };

    const ModelFacts& model() const { return m_model; }
    int layers() const { return m_model.layers; }
    int experts() const { return m_model.experts; }
    int total() const { return layers() * experts(); }
    /// Of one expert of the layer.
    std::int64_t expertBytes(LayerIndex layer) const { return m_layerBytes[layer.index()]; }
    /// Of the expert with this flat index (layer · experts + expert).
    std::int64_t bytesOf(int flat) const { return m_layerBytes[static_cast<std::size_t>(flat / m_model.experts)]; }
    /// Whether all experts of the model have one size.
    bool equalSizes() const;

    const std::vector<Step>& steps() const { return m_steps; }
    /// All steps' groups one after the other.
    std::span<const Group> groups() const { return {m_groups.data(), m_groups.size() - 1}; }
    bool decodes(const Group& group) const {
        return steps()[static_cast<std::size_t>(group.step)].phase == Phase::Decode;
    }

    /// Unique experts (flat) of every group in order of first use: token, then slot.
    const std::vector<std::int32_t>& accesses() const { return m_accesses; }
    std::span<const std::int32_t> accesses(std::size_t group) const;
    /// The same experts of the group in order of their last use, the most recent last.
    std::span<const std::int32_t> lastUses(std::size_t group) const;
    /// As the policy was told it: [tokens, slots]. Valid as long as the trace.
    RoutedLayer routed(std::size_t group) const;

    /// What a predictor expected after this group's router; empty where nothing was recorded.
    Prediction prediction(std::size_t group, PredictorKind kind, LayerIndex target) const;
    bool hasPredictions() const { return !m_predictions.empty(); }
    /// Selections or predictions that did not form whole layers and were left out.
    std::int64_t incomplete() const { return m_incomplete; }
    std::int64_t decodeTokens() const { return m_decodeTokens; }

private:
    friend class RoutingTraceBuilder;
    struct PredictionEntry {
        PredictorKind kind = PredictorKind::PreGate;
        LayerIndex target;
        std::int32_t width = 0;
        std::uint32_t first = 0;  ///< into m_predicted
        std::uint32_t count = 0;
    };

    ModelFacts m_model;
    std::vector<std::int64_t> m_layerBytes;
    std::vector<Step> m_steps;
    std::vector<Group> m_groups;  ///< one more than there are: where the last one ends
    std::vector<std::int32_t> m_accesses;
    std::vector<std::int32_t> m_promotions;
    std::vector<ExpertId> m_selections;  ///< −1 = dropped
    std::vector<float> m_weights;
    std::vector<PredictionEntry> m_predictions;
    std::vector<ExpertId> m_predicted;
    std::vector<float> m_predictedScores;
    std::int64_t m_incomplete = 0;
    std::int64_t m_decodeTokens = 0;
};

/// Makes a RoutingTrace from records in order of recording.
class RoutingTraceBuilder {
public:
    /// `requests` say which tokens are prompts; without them a step of several tokens is a prefill.
    RoutingTraceBuilder(const ModelFacts& model, std::vector<RequestRecord> requests);

    /// Throws BadInputError for an expert or a layer that the model does not have, or steps out of order.
    void add(std::span<const SelectionRecord> selections);
    void add(std::span<const PredictionRecord> predictions);
    RoutingTrace finish();

private:
    void beginGroup(const SelectionRecord& selection);
    void endGroup();
    void beginStep(const SelectionRecord& selection);
    void attachPredictions();

    struct LoosePrediction {
        std::int32_t step = 0;
        LayerIndex from;
        TokenIndex lastToken;
        std::int32_t tokens = 0;
        RoutingTrace::PredictionEntry entry;
    };

    RoutingTrace m_trace;
    std::vector<RequestRecord> m_requests;
    std::size_t m_request = 0;
    std::vector<std::int32_t> m_usedIn;    ///< [experts] group that last used it
    std::vector<std::int32_t> m_lastUse;   ///< [experts] scratch
    std::vector<LoosePrediction> m_loose;  ///< until their groups are known
    bool m_open = false;
    TokenIndex m_lastToken;
};

}  // namespace expertscope
