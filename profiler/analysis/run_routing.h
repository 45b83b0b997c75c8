// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/base/records.h"
#include "engine/base/run_facts.h"
#include "storage/expert_counts.h"
#include "storage/session_reader.h"

namespace expertscope {

class RunTrace;

/// What one layer chose: a row for each token that it routed, in order of tokens. A layer need not have routed every
/// token (many engines route only the last prompt token in the last layer).
struct LayerChoices {
    std::int32_t width = 0;             ///< slots a row: the model's top k
    std::vector<std::int32_t> tokens;   ///< [rows] run-wide token index, ascending
    std::vector<std::int32_t> steps;    ///< [rows] forward step that routed the token
    std::vector<std::int32_t> experts;  ///< [rows, width] by slot; −1 where nothing is counted
    std::vector<float> weights;         ///< [rows, width] as applied; NaN where not known

    std::size_t rows() const { return tokens.size(); }
    std::span<const std::int32_t> chosen(std::size_t row) const {
        return {experts.data() + row * static_cast<std::size_t>(width), static_cast<std::size_t>(width)};
    }
    /// Whether all slots of the row are known.
    bool complete(std::size_t row) const;
    /// Takes over a row of a table of the same width.
    void append(const LayerChoices& from, std::size_t row);
};

/// What one predictor expected of one layer: a row for each token (of PredictorKind::Policy: each step, named by its
/// first token).
struct LayerPredictions {
    PredictorKind predictor = PredictorKind::PreGate;
    LayerIndex from, target;
    std::vector<std::int32_t> tokens;   ///< [rows] ascending
    std::vector<std::int32_t> steps;    ///< [rows] step in which it was made
    std::vector<std::uint32_t> firsts;  ///< [rows + 1] into experts
    std::vector<std::int32_t> experts;  ///< by falling score

    std::span<const std::int32_t> expected(std::size_t row) const {
        return {experts.data() + firsts[row], firsts[row + 1] - firsts[row]};
    }
};

/// The routing of one run as the analyses take it: logical experts by layer, token and slot, compact (9 bytes a choice
/// and less), whatever recorded it. Choices that were dropped are left out, substituted ones count as the expert that
/// ran. Built by RunRoutingBuilder.
class RunRouting {
public:
    struct Token {
        std::int32_t id = -1;        ///< in the vocabulary; −1 where not recorded
        std::int32_t request = -1;   ///< −1 where not known
        std::int32_t position = -1;  ///< in its request
        std::int8_t phase = -1;      ///< Phase; −1 where not known
    };
    /// Selections that are in no layer's rows.
    struct LeftOut {
        std::int64_t malformed = 0;     ///< name a layer, expert, slot or token that cannot be
        std::int64_t repeated = 0;      ///< a slot or an expert again for the same token and layer
        std::int64_t dropped = 0;       ///< the policy ran nothing for them
        std::int64_t otherPhase = 0;    ///< by onlyPhase()
        std::int64_t unknownPhase = 0;  ///< by onlyPhase(): of tokens of which nothing tells the phase
        std::int64_t warmUp = 0;        ///< by withoutConstantRuns()
    };

    const ModelFacts& model() const { return m_model; }
    std::int32_t layers() const { return m_model.layers; }
    std::int32_t experts() const { return m_model.experts; }
    std::int32_t topK() const { return m_model.topK; }
    const LayerChoices& layer(std::int32_t layer) const { return m_layers[static_cast<std::size_t>(layer)]; }
    /// By predictor, target layer, distance.
    const std::vector<LayerPredictions>& predictions() const { return m_predictions; }
    const std::vector<RequestRecord>& requests() const { return m_requests; }
    const LeftOut& leftOut() const { return m_leftOut; }
    /// [layers, E] assignments that were recorded as sums only, without tokens (an importance matrix, say); empty where
    /// there are none. They are in no layer's rows.
    const std::vector<std::vector<double>>& counts() const { return m_counts; }

    /// Of a token that some layer routed; unknown fields where nothing was recorded.
    const Token& token(std::int32_t token) const { return m_tokens[static_cast<std::size_t>(token)]; }
    /// One more than the last token that is known.
    std::int32_t tokenCount() const { return static_cast<std::int32_t>(m_tokens.size()); }
    bool sameRequest(std::int32_t a, std::int32_t b) const { return token(a).request == token(b).request; }
    /// Bytes of the tokens of this id; empty where none was recorded.
    const std::string& textOf(std::int32_t id) const;

    /// Choices of all layers.
    std::int64_t assignments() const;
    /// The longest run of consecutive tokens whose choices and weights are the same to the bit in every layer: 1 in
    /// real text, thousands where an engine's warm-up was logged.
    std::int64_t longestConstantRun() const { return m_longestConstantRun; }

    /// The same of one phase's tokens.
    RunRouting onlyPhase(Phase phase) const;
    /// The same without runs of at least `shortest` consecutive tokens that were routed alike to the bit.
    RunRouting withoutConstantRuns(std::int64_t shortest) const;

    /// A sentence or two: tokens by phase, layers, assignments, what was left out, what looks like a warm-up.
    std::string counted() const;

private:
    friend class RunRoutingBuilder;
    RunRouting keeping(const std::vector<bool>& tokens) const;
    std::vector<std::int32_t> constantRuns() const;

    ModelFacts m_model;
    std::vector<LayerChoices> m_layers;
    std::vector<LayerPredictions> m_predictions;
    std::vector<Token> m_tokens;
    std::vector<RequestRecord> m_requests;
    std::unordered_map<std::int32_t, std::string> m_texts;  ///< by id
    LeftOut m_leftOut;
    std::vector<std::vector<double>> m_counts;
    std::int64_t m_longestConstantRun = 0;
};

/// Makes a RunRouting from records, in whatever order they come. O(k) a selection.
class RunRoutingBuilder {
public:
    /// Throws BadInputError where the model has no layers, experts or choices.
    explicit RunRoutingBuilder(const ModelFacts& model);

    void add(std::span<const SelectionRecord> selections);
    void add(std::span<const PredictionRecord> predictions);
    void add(std::span<const TokenRecord> tokens);
    void add(std::span<const ExpertCount> counts);
    RunRouting finish(std::vector<RequestRecord> requests);

private:
    bool sane(const SelectionRecord& selection) const;
    RunRouting::Token& tokenAt(std::int32_t token);
    std::size_t rowOf(LayerChoices& layer, const SelectionRecord& selection);
    void placeTokens();

    RunRouting m_routing;
    std::vector<std::int32_t> m_predictionAt;  ///< by kind, from, target: into m_predictions, −1
};

/// Reads it from a session, without keeping the records. Throws BadInputError where the run holds neither selections
/// nor counts.
RunRouting readRunRouting(const SessionReader& reader, RunId run);
/// The same from records that are in memory.
RunRouting runRoutingOf(const RunTrace& trace);

}  // namespace expertscope
