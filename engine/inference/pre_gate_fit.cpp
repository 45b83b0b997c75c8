// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/pre_gate_fit.h"

#include <algorithm>

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/inference/prediction_recall.h"
#include "engine/offload/pre_gate_table.h"

namespace expertscope {
namespace {

using Matrix = Eigen::MatrixXd;
using Rows = Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

/// Sums the products that the regression needs, layer by layer as the engine routes.
class Products {
public:
    Products(const ModelConfig& config, const std::vector<int>& distances)
        : m_config(&config), m_distances(distances), m_layers(static_cast<std::size_t>(config.layers)) {
        for (Layer& layer : m_layers) {
            layer.square = Matrix::Zero(config.hidden, config.hidden);
            layer.cross.assign(distances.size(), Matrix::Zero(config.hidden, config.experts));
        }
    }

    void add(LayerIndex layer, int tokens, std::span<const float> inputs, std::span<const float> logits) {
        Layer& here = m_layers[layer.index()];
        here.inputs = Rows(inputs.data(), tokens, m_config->hidden).cast<double>();
        here.square.selfadjointView<Eigen::Lower>().rankUpdate(here.inputs.transpose());
        Matrix wanted = Rows(logits.data(), tokens, m_config->experts).cast<double>();
        wanted.colwise() -= wanted.rowwise().mean().eval();
        for (std::size_t i = 0; i < m_distances.size(); ++i) {
            const int from = layer.value() - m_distances[i];
            if (from < 0) continue;
            Layer& reads = m_layers[static_cast<std::size_t>(from)];
            reads.cross[i].noalias() += reads.inputs.transpose() * wanted;
        }
        if (layer.value() == 0) m_tokens += tokens;
    }
    std::int64_t tokens() const { return m_tokens; }

    /// Solves for all layers; gives the tables.
    void solve(double ridge, PreparedData& data) {
        for (int reads = 0; reads + 1 < m_config->layers; ++reads) {
            Layer& layer = m_layers[static_cast<std::size_t>(reads)];
            const double penalty = ridge * layer.square.trace() / m_config->hidden;
            layer.square.diagonal().array() += penalty;
            const Eigen::LDLT<Matrix, Eigen::Lower> factors(layer.square);
            for (std::size_t i = 0; i < m_distances.size(); ++i) {
                if (reads + m_distances[i] >= m_config->layers) continue;
                const Eigen::MatrixXf weights = factors.solve(layer.cross[i]).cast<float>();  // [H, E], by columns
                data.set(preGateTable(m_distances[i], LayerIndex(reads)), {m_config->experts, m_config->hidden},
                         {weights.data(), weights.data() + weights.size()});
            }
        }
    }

private:
    struct Layer {
        Matrix square;              ///< [H, H] Xᵀ X, lower half
        std::vector<Matrix> cross;  ///< by distance: [H, E] Xᵀ Y
        Matrix inputs;              ///< [tokens, H] of the present step
    };
    const ModelConfig* m_config;
    std::vector<int> m_distances;
    std::vector<Layer> m_layers;
    std::int64_t m_tokens = 0;
};

/// The engine's options for a run that is judged.
EngineOptions judged(EngineOptions options, const std::shared_ptr<const PreparedData>& data) {
    options.prepared = data;
    options.record = {.routing = true, .spans = false, .norms = false, .predictions = true};
    return options;
}

}  // namespace

PreGateFit fitPreGates(const Checkpoint& checkpoint, std::span<const CalibrationText> texts,
                       const PreGateFitOptions& options, const std::function<void(const std::string&)>& progress) {
    const ModelConfig& config = checkpoint.config();
    const auto say = [&](const std::string& sentence) {
        if (progress) progress(sentence);
    };
    PreGateFit fit;
    fit.data = PreparedData(checkpoint.facts().fingerprint, checkpoint.name());
    Observer nobody;
    {
        EngineOptions quiet = options.engine;
        quiet.prepared = nullptr;
        quiet.record = {.routing = false, .spans = false, .norms = false, .predictions = false};
        Products products(config, options.distances);
        Engine engine(checkpoint, nullptr, quiet, nobody);
        engine.start();
        engine.tapRouters([&](LayerIndex layer, int tokens, std::span<const float> inputs,
                              std::span<const float> logits) { products.add(layer, tokens, inputs, logits); });
        say("Reading router inputs.");
        for (const CalibrationText& text : texts)
            if (!text.heldOut) engine.score(text.ids, [](int, int, std::span<const float>) {});
        engine.finish();
        fit.tokens = products.tokens();
        if (fit.tokens == 0)
            throw UsageError("There is no text to fit pre-gates on: give prompts, or a session that has some.");
        say(fmt::format("Fitting pre-gates to {} tokens.", fit.tokens));
        products.solve(options.ridge, fit.data);
    }
    fit.data.addSource(fmt::format("pre-gates fitted to {} tokens of '{}'", fit.tokens, checkpoint.name()));

    const std::vector<CalibrationText> judges = heldOut(texts);
    for (const CalibrationText& text : judges)
        fit.heldOutTokens += std::ssize(text.ids);
    if (judges.empty()) return fit;
    const auto data = std::make_shared<const PreparedData>(fit.data);
    say(fmt::format("Judging by {} held-out tokens.", fit.heldOutTokens));
    PredictionRecall recall(config.layers);
    fit.residentPerplexity = perplexity(checkpoint, judged(options.engine, data), judges, recall);
    const auto routedEarly = [&](const std::string& policy) {
        EngineOptions early = options.engine;
        early.policy = policy;
        early.prepared = data;
        early.record = {.routing = false, .spans = false, .norms = false, .predictions = false};
        return perplexity(checkpoint, early, judges, nobody);
    };
    for (const int ahead : options.distances) {
        say(fmt::format("Judging distance {}.", ahead));
        fit.distances.push_back({.ahead = ahead,
                                 .recall = recall.of(PredictorKind::PreGate, ahead).recall(),
                                 .nextGateRecall = recall.of(PredictorKind::NextGate, ahead).recall(),
                                 .perplexity = routedEarly(fmt::format("pre-gated:ahead={}", ahead))});
        for (int layer = ahead; layer < config.layers; ++layer) {
            const LayerIndex target(layer);
            PreGateQuality quality{.ahead = ahead,
                                   .target = target,
                                   .recall = recall.of(PredictorKind::PreGate, ahead, target).recall(),
                                   .nextGateRecall = recall.of(PredictorKind::NextGate, ahead, target).recall()};
            if (options.perplexityByLayer)
                quality.perplexity = routedEarly(fmt::format("pre-gated:ahead={}:layer={}", ahead, layer));
            fit.layers.push_back(quality);
        }
    }
    return fit;
}

}  // namespace expertscope
