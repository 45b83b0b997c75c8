// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/inference/engine.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope::test {

inline const TinyQwen3Moe kFourLayers{.layers = 4, .experts = 8, .topK = 3, .preGates = true};

/// Keeps everything that a run tells.
class RunLog final : public Observer {
public:
    void onLane(const LaneInfo& lane) override { lanes.push_back(lane); }
    void onSpan(const SpanRecord& span) override {
        const std::lock_guard lock(m_mutex);
        spans.push_back(span);
    }
    void onSelections(std::span<const SelectionRecord> records) override {
        selections.insert(selections.end(), records.begin(), records.end());
    }
    void onPredictions(std::span<const PredictionRecord> records) override {
        predictions.insert(predictions.end(), records.begin(), records.end());
    }
    void onResidency(const ResidencyRecord& record) override { residency.push_back(record); }
    void onTransfer(const TransferRecord& record) override {
        const std::lock_guard lock(m_mutex);
        transfers.push_back(record);
    }
    void onToken(const TokenRecord& record) override { tokens.push_back(record); }
    void onRequest(const RequestRecord& record) override { requests.push_back(record); }
    void onDiagnostic(const DiagnosticRecord& record) override { diagnostics.push_back(record); }
    void onCaughtUp() override { toldWhenCaughtUp.emplace_back(predictions.size(), requests.size()); }

    std::vector<LaneInfo> lanes;
    std::vector<SpanRecord> spans;
    std::vector<SelectionRecord> selections;
    std::vector<PredictionRecord> predictions;
    std::vector<ResidencyRecord> residency;
    std::vector<TransferRecord> transfers;
    std::vector<TokenRecord> tokens;
    std::vector<RequestRecord> requests;
    std::vector<DiagnosticRecord> diagnostics;
    std::vector<std::pair<std::size_t, std::size_t>> toldWhenCaughtUp;  ///< predictions and requests told until then

private:
    std::mutex m_mutex;
};

/// What one run of one request gave.
struct Outcome {
    GenerationResult result;
    RunSummary summary;
    std::vector<float> logits;  ///< [positions, V]
};

inline Outcome runOnce(const Checkpoint& checkpoint, const EngineOptions& options, const GenerationRequest& request,
                       Observer& observer, const Tokenizer* tokenizer = nullptr) {
    Engine engine(checkpoint, tokenizer, options, observer);
    engine.start();
    Outcome outcome;
    outcome.result = engine.generate(request, [&](int first, int count, std::span<const float> logits) {
        EXPECT_EQ(static_cast<std::size_t>(first) * logits.size() / static_cast<std::size_t>(count),
                  outcome.logits.size());
        outcome.logits.insert(outcome.logits.end(), logits.begin(), logits.end());
    });
    outcome.summary = engine.finish();
    return outcome;
}

inline GenerationRequest request(std::vector<std::int32_t> ids, int tokens) {
    GenerationRequest wanted;
    wanted.promptIds = std::move(ids);
    wanted.tokens = tokens;
    return wanted;
}

}  // namespace expertscope::test
