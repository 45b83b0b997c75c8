// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/deep_capture.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/inference/expert_math.h"

namespace expertscope {
namespace {

/// Rows of a layer that run at once at most, and what their outputs, or their activations, may take.
constexpr int kMostRows = 64;
constexpr std::int64_t kOutputBytes = std::int64_t{256} << 20;
/// How long the sums of a killed run may lag behind, and the part of a run that telling them may take at most.
constexpr Nanoseconds kTellEvery{3'000'000'000};
constexpr std::int64_t kTellingPart = 20;

int rowsAtOnce(const ModelConfig& config, bool raw) {
    const std::int64_t widest = raw ? std::max(config.hidden, config.expertWidth) : config.hidden;
    const std::int64_t row = config.experts * widest * static_cast<std::int64_t>(sizeof(float));
    return static_cast<int>(std::clamp<std::int64_t>(kOutputBytes / row, 1, kMostRows));
}

std::size_t sizeOf(std::integral auto... factors) { return (static_cast<std::size_t>(factors) * ...); }

DeepAggregates emptyAggregates(const Checkpoint& checkpoint, const DeepCaptureOptions& options) {
    const ModelConfig& config = checkpoint.config();
    DeepAggregates empty;
    empty.options = options;
    empty.modelLayers = config.layers;
    empty.topK = config.topK;
    empty.complete = false;
    empty.options.lastLayer = std::min(options.lastLayer, LayerIndex(config.layers - 1));
    for (LayerIndex layer = options.firstLayer; layer <= empty.options.lastLayer; ++layer)
        empty.layers.push_back(emptyDeepLayer(layer, config.experts, config.expertWidth));
    if (empty.layers.empty())
        throw UsageError(fmt::format("A deep capture from layer {} takes none of '{}', whose layers are 0 to {}.",
                                     options.firstLayer.value(), checkpoint.name(), config.layers - 1));
    return empty;
}

}  // namespace

DeepCapture::DeepCapture(const Checkpoint& checkpoint, const ParallelMath& math, const DeepCaptureOptions& options)
    : m_checkpoint(&checkpoint),
      m_math(math),
      m_result(emptyAggregates(checkpoint, options)),
      m_most(rowsAtOnce(checkpoint.config(), options.raw)),
      m_store(checkpoint, IoMode::Buffered),
      m_bytes(math.pool().threads(), m_store.slotBytes()),
      m_ones(sizeOf(kTokenBlock, checkpoint.config().expertWidth), 1.0F),
      m_outputs(sizeOf(m_most, checkpoint.config().experts, checkpoint.config().hidden)),
      m_activations(options.raw ? sizeOf(m_most, checkpoint.config().experts, checkpoint.config().expertWidth) : 0),
      m_kept(m_result.layers.size()),
      m_sums(math, checkpoint.config().experts, checkpoint.config().hidden) {
    const auto inner = sizeOf(kTokenBlock, checkpoint.config().expertWidth);
    const auto outer = sizeOf(kTokenBlock, checkpoint.config().hidden);
    for (int worker = 0; worker < math.pool().threads(); ++worker)
        m_workers.push_back({std::vector<float>(inner), std::vector<float>(inner), std::vector<float>(inner),
                             std::vector<float>(outer)});
}

Bytes DeepCapture::memory() const {
    const ModelConfig& config = m_checkpoint->config();
    const int states = m_result.options.raw ? 2 : 1;
    const std::size_t rows = sizeOf(m_most, states * config.hidden + 2 * config.experts) * m_kept.size();
    const std::size_t slots = static_cast<std::size_t>(m_math.pool().threads()) * m_store.slotBytes();
    const std::size_t sums =
        sizeOf(config.experts, 2 * config.expertWidth + 4 * config.experts) * m_result.layers.size();
    return Bytes(static_cast<std::int64_t>((m_outputs.size() + m_activations.size() + rows) * sizeof(float) + slots +
                                           sums * sizeof(double)));
}

void DeepCapture::keep(const RoutedRows& rows) {
    if (!m_result.options.takes(rows.layer)) return;
    const ModelConfig& c = m_checkpoint->config();
    const std::size_t at = rows.layer.index() - m_result.options.firstLayer.index();
    Kept& kept = m_kept[at];
    for (int t = 0; t < rows.tokens; ++t) {
        const TokenIndex token(rows.firstToken.value() + t);
        if (!m_result.options.takes(token)) continue;
        kept.index.push_back(token.value());
        kept.inputs.insert(kept.inputs.end(), rows.inputs + sizeOf(t, c.hidden), rows.inputs + sizeOf(t + 1, c.hidden));
        kept.logits.insert(kept.logits.end(), rows.logits + sizeOf(t, c.experts),
                           rows.logits + sizeOf(t + 1, c.experts));
        const std::size_t first = kept.weights.size();
        kept.weights.resize(first + sizeOf(c.experts), std::numeric_limits<float>::quiet_NaN());
        for (std::size_t slot = sizeOf(t, c.topK); slot < sizeOf(t + 1, c.topK); ++slot)
            if (rows.chosen[slot].value() >= 0) kept.weights[first + rows.chosen[slot].index()] = rows.weights[slot];
        if (m_result.options.raw)
            kept.after.insert(kept.after.end(), rows.hidden + sizeOf(t, c.hidden),
                              rows.hidden + sizeOf(t + 1, c.hidden));
        double& most = m_result.layers[at].hiddenMax[0];
        for (std::size_t i = sizeOf(t, c.hidden); i < sizeOf(t + 1, c.hidden); ++i)
            most = std::max(most, static_cast<double>(std::abs(rows.hidden[i])));
        if (std::ssize(kept.index) == m_most) runLayer(at);
    }
}

void DeepCapture::tell(DeepSink& sink) {
    m_sink = &sink;
    m_nextTold = sessionNow() + kTellEvery;
}

void DeepCapture::stepEnded() {
    if (!m_sink) return;
    const Nanoseconds began = sessionNow();
    if (began < m_nextTold) return;
    runKept();
    m_sink->onDeepSums(m_result);
    const Nanoseconds ended = sessionNow();
    m_nextTold = ended + std::max(kTellEvery, (ended - began) * (kTellingPart - 1));
}

void DeepCapture::finish() {
    runKept();
    m_result.complete = true;
}

void DeepCapture::runKept() {
    for (std::size_t layer = 0; layer < m_kept.size(); ++layer)
        runLayer(layer);
}

void DeepCapture::runLayer(std::size_t layer) {
    Kept& kept = m_kept[layer];
    if (kept.index.empty()) return;
    const ModelConfig& c = m_checkpoint->config();
    const int tokens = static_cast<int>(kept.index.size());
    m_notFinite = -1;
    m_math.pool().forEach(c.experts, [&](int expert, int worker) { runExpert(layer, expert, worker); });
    if (m_notFinite >= 0)
        throw FailedError(fmt::format(
            "Expert {} of layer {} of '{}', which the deep capture ran, gives a value that is not a finite number: its "
            "weights are damaged; fetch the checkpoint again.",
            m_notFinite.load(), m_result.layers[layer].layer.value(), m_checkpoint->name()));
    const DeepBlock block{.tokens = tokens,
                          .experts = c.experts,
                          .hidden = c.hidden,
                          .index = kept.index,
                          .logits = kept.logits,
                          .weights = kept.weights,
                          .outputs = {m_outputs.data(), sizeOf(tokens, c.experts, c.hidden)}};
    m_sums.add(block, m_result.options.examples, m_result.layers[layer]);
    if (m_result.options.raw && m_sink)
        m_sink->onDeepVectors({.layer = m_result.layers[layer].layer,
                               .made = block,
                               .inputs = kept.inputs,
                               .after = kept.after,
                               .activations = {m_activations.data(), sizeOf(tokens, c.experts, c.expertWidth)}});
    kept.index.clear();
    for (auto* rows : {&kept.inputs, &kept.logits, &kept.weights, &kept.after})
        rows->clear();
}

/// One expert over all kept rows; each writes cells of its own.
void DeepCapture::runExpert(std::size_t layer, int expert, int worker) {
    const ModelConfig& c = m_checkpoint->config();
    const Kernels& kernels = m_math.kernels();
    const Kept& kept = m_kept[layer];
    Worker& scratch = m_workers[static_cast<std::size_t>(worker)];
    const ExpertRef ref{m_result.layers[layer].layer, ExpertId(expert)};
    std::byte* const slot = m_bytes.slot(SlotIndex(worker));
    for (int piece = 0; piece < m_store.pieces(ref); ++piece)
        m_store.readPiece(ref, piece, slot);
    const ExpertWeights weights = m_store.weights(ref, slot);
    const int tokens = static_cast<int>(kept.index.size());
    for (int first = 0; first < tokens; first += kTokenBlock) {
        const int count = std::min(kTokenBlock, tokens - first);
        const float* const x = kept.inputs.data() + sizeOf(first, c.hidden);
        kernels.matmul(weights.gate, x, count, 0, c.expertWidth, scratch.gate.data());
        kernels.matmul(weights.up, x, count, 0, c.expertWidth, scratch.up.data());
        kernels.siluMultiply(scratch.gate.data(), m_ones.data(), count * c.expertWidth, scratch.active.data());
        countNeurons(kept, first, count, expert, scratch, m_result.layers[layer]);
        for (int t = 0; m_result.options.raw && t < count; ++t)
            std::copy_n(
                scratch.active.data() + sizeOf(t, c.expertWidth), c.expertWidth,
                m_activations.data() + sizeOf(first + t, c.experts, c.expertWidth) + sizeOf(expert, c.expertWidth));
        kernels.siluMultiply(scratch.gate.data(), scratch.up.data(), count * c.expertWidth, scratch.gate.data());
        kernels.matmul(weights.down, scratch.gate.data(), count, 0, c.hidden, scratch.output.data());
        for (int t = 0; t < count; ++t) {
            const float* const output = scratch.output.data() + sizeOf(t, c.hidden);
            if (!std::isfinite(kernels.norm(output, c.hidden))) m_notFinite = expert;
            std::copy_n(output, c.hidden,
                        m_outputs.data() + sizeOf(first + t, c.experts, c.hidden) + sizeOf(expert, c.hidden));
        }
    }
}

void DeepCapture::countNeurons(const Kept& kept, int first, int count, int expert, const Worker& worker,
                               DeepLayer& to) const {
    const int neurons = to.neurons;
    double* const actives = to.neuronActive.data() + sizeOf(expert, neurons);
    double* const sums = to.neuronSum.data() + sizeOf(expert, neurons);
    for (int t = 0; t < count; ++t) {
        const float* const activations = worker.active.data() + sizeOf(t, neurons);
        int active = 0;
        for (int i = 0; i < neurons; ++i) {
            const float size = std::abs(activations[i]);
            const bool counts = size > kDeepActive;
            actives[i] += counts ? 1 : 0;
            sums[i] += static_cast<double>(size);
            active += counts ? 1 : 0;
        }
        const bool chosen = !std::isnan(kept.weights[sizeOf(first + t, to.experts) + sizeOf(expert)]);
        if (chosen) to.chosenActive[static_cast<std::size_t>(expert)] += active;
    }
}

}  // namespace expertscope
