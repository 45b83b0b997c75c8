// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/adapmoe_calibration.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/offload/adapmoe_tables.h"

namespace expertscope {
namespace {

/// Weight shares of a layer's tokens: sums[slot] of each token's choices.
void eachToken(std::span<const SelectionRecord> records, auto&& give) {
    for (std::size_t begin = 0; begin < records.size();) {
        std::size_t end = begin;
        float sum = 0;
        while (end < records.size() && records[end].token == records[begin].token)
            sum += records[end++].weight;
        if (sum > 0) give(records.subspan(begin, end - begin), sum);
        begin = end;
    }
}

/// What running the first expert alone would drop.
class DroppedWeight final : public Observer {
public:
    explicit DroppedWeight(int layers) : sums(static_cast<std::size_t>(layers)), tokens(sums.size()) {}
    void onSelections(std::span<const SelectionRecord> records) override {
        eachToken(records, [&](std::span<const SelectionRecord> token, float sum) {
            const double dropped = 1 - static_cast<double>(token.front().weight / sum);
            sums[token.front().layer.index()] += dropped * dropped;
            ++tokens[token.front().layer.index()];
        });
    }
    double meanSquare(std::size_t layer) const { return tokens[layer] > 0 ? sums[layer] / tokens[layer] : 0; }
    std::vector<double> sums, tokens;
};

/// Tells two observers.
class Both final : public Observer {
public:
    Both(Observer& a, Observer& b) : m_a(&a), m_b(&b) {}
    void onSelections(std::span<const SelectionRecord> records) override {
        m_a->onSelections(records);
        m_b->onSelections(records);
    }
    void onPredictions(std::span<const PredictionRecord> records) override {
        m_a->onPredictions(records);
        m_b->onPredictions(records);
    }

private:
    Observer *m_a, *m_b;
};

/// In place: logits to logarithms of probabilities.
void toLogProbabilities(std::span<float> row) {
    const float highest = *std::ranges::max_element(row);
    double sum = 0;
    for (const float logit : row)
        sum += std::exp(static_cast<double>(logit - highest));
    const auto shift = static_cast<float>(static_cast<double>(highest) + std::log(sum));
    for (float& logit : row)
        logit -= shift;
}

double divergence(std::span<const float> p, std::span<const float> q) {
    double sum = 0;
    for (std::size_t i = 0; i < p.size(); ++i)
        sum += std::exp(static_cast<double>(p[i])) * static_cast<double>(p[i] - q[i]);
    return sum;
}

}  // namespace

AdapMoeStatistics::AdapMoeStatistics(int layers, int topK)
    : m_layers(layers),
      m_topK(topK),
      m_weights(static_cast<std::size_t>(layers * topK * kWeightBins)),
      m_found(static_cast<std::size_t>(layers)),
      m_used(static_cast<std::size_t>(layers)),
      m_expected(static_cast<std::size_t>(layers)) {}

void AdapMoeStatistics::onSelections(std::span<const SelectionRecord> records) {
    if (records.empty()) return;
    const int layer = records.front().layer.value();
    eachToken(records, [&](std::span<const SelectionRecord> token, float sum) {
        for (const SelectionRecord& record : token)
            ++m_weights[static_cast<std::size_t>((layer * m_topK + record.slot) * kWeightBins +
                                                 weightBin(record.weight / sum))];
    });
    auto& expected = m_expected[static_cast<std::size_t>(layer)];
    if (expected.empty()) return;
    std::ranges::sort(expected);
    for (const SelectionRecord& record : records) {
        ++m_used[static_cast<std::size_t>(layer)];
        if (std::ranges::binary_search(expected, std::pair(record.token, record.expert)))
            ++m_found[static_cast<std::size_t>(layer)];
    }
    expected.clear();
}

void AdapMoeStatistics::onPredictions(std::span<const PredictionRecord> records) {
    for (const PredictionRecord& record : records)
        if (record.predictor == PredictorKind::NextGate && record.targetLayer.value() == record.fromLayer.value() + 1)
            m_expected[record.targetLayer.index()].emplace_back(record.token, record.expert);
}

void AdapMoeStatistics::writeTo(PreparedData& data) const {
    data.set(kSlotWeightTable, {m_layers, m_topK, kWeightBins}, m_weights);
    data.set(kRecallSumTable, {m_layers}, m_found);
    data.set(kRecallCountTable, {m_layers}, m_used);
}

PreparedData calibrateAdapMoe(const Checkpoint& checkpoint, std::span<const CalibrationText> texts,
                              const EngineOptions& options, int positions,
                              const std::function<void(const std::string&)>& progress) {
    const ModelConfig& config = checkpoint.config();
    const auto width = static_cast<std::size_t>(config.vocabulary);
    std::vector<float> whole;  // [positions, V] logarithms of probabilities
    whole.reserve(static_cast<std::size_t>(positions) * width);
    // Runs texts until `positions` are compared; gives each position's logits, in order.
    const auto runAll = [&](const EngineOptions& wanted, Observer& observer, auto&& give) {
        Engine engine(checkpoint, nullptr, wanted, observer);
        engine.start();
        int left = positions;
        for (const CalibrationText& text : texts) {
            if (left == 0) break;
            const auto count = std::min(text.ids.size(), static_cast<std::size_t>(left));
            left -= static_cast<int>(count);
            engine.score(std::span(text.ids).first(count), [&](int, int rows, std::span<const float> logits) {
                for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row)
                    give(logits.subspan(row * width, width));
            });
        }
        engine.finish();
    };
    PreparedData data(checkpoint.facts().fingerprint, checkpoint.name());
    AdapMoeStatistics statistics(config.layers, config.topK);
    DroppedWeight dropped(config.layers);
    Both both(statistics, dropped);
    EngineOptions plain = options;
    plain.prepared = nullptr;
    plain.record = {.routing = true, .spans = false, .norms = false, .predictions = true};
    runAll(plain, both, [&](std::span<const float> logits) {
        whole.insert(whole.end(), logits.begin(), logits.end());
        toLogProbabilities(std::span(whole).last(width));
    });
    if (whole.empty())
        throw UsageError("There is no text to measure sensitivities on: give prompts, or a session that has some.");
    statistics.writeTo(data);

    std::vector<float> sensitivity(static_cast<std::size_t>(config.layers));
    std::vector<float> row(width);
    for (std::size_t layer = 0; layer < sensitivity.size(); ++layer) {
        if (progress) progress(fmt::format("Measuring the sensitivity of layer {} of {}.", layer + 1, config.layers));
        // A layer of no sensitivity drops all that it may; those of a huge one nothing.
        auto probe = std::make_shared<PreparedData>(data);
        std::vector<float> only(sensitivity.size(), 1e30F);
        only[layer] = 0;
        probe->set(kSensitivityTable, {config.layers}, only);
        EngineOptions wanted = options;
        wanted.policy = "adapmoe:gate=always";
        wanted.prepared = probe;
        wanted.record = {.routing = false, .spans = false, .norms = false, .predictions = false};
        Observer nobody;
        double sum = 0;
        std::size_t at = 0;
        runAll(wanted, nobody, [&](std::span<const float> logits) {
            std::ranges::copy(logits, row.begin());
            toLogProbabilities(row);
            sum += divergence(std::span(whole).subspan(at, width), row);
            at += width;
        });
        const double mean = sum / (static_cast<double>(at) / static_cast<double>(width));
        const double square = dropped.meanSquare(layer);
        sensitivity[layer] = square > 0 ? static_cast<float>(std::max(mean, 0.0) / square) : 0;
    }
    data.set(kSensitivityTable, {config.layers}, std::move(sensitivity));
    data.addSource(fmt::format("sensitivities of '{}' at {} positions", checkpoint.name(), whole.size() / width));
    return data;
}

}  // namespace expertscope
