// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/forward.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/model/element_convert.h"

namespace expertscope {
namespace {

/// Row `row` of an embedding, as float32.
void embed(const MatrixView& embedding, std::int32_t row, float* out) {
    const auto width = static_cast<std::size_t>(embedding.cols);
    const std::size_t bytes = width * elementSize(embedding.type);
    convertToFloats(embedding.type, {embedding.data + static_cast<std::size_t>(row) * bytes, bytes}, {out, width});
}

}  // namespace

Forward::Forward(const Checkpoint& checkpoint, const ParallelMath& math, ExpertCache& experts, const RecordSet& record,
                 Observer& observer, int maxTokens)
    : m_checkpoint(&checkpoint),
      m_config(&checkpoint.config()),
      m_math(math),
      m_experts(&experts),
      m_record(record),
      m_observer(&observer),
      m_maxTokens(maxTokens),
      m_weights(checkpoint),
      m_cache(checkpoint.config()),
      m_predictors(checkpoint.config(), m_weights, m_math, maxTokens, experts.prepared(),
                   std::max(3, experts.lookAhead())) {
    const ModelConfig& c = *m_config;
    const auto size = [](auto... factors) { return (static_cast<std::size_t>(factors) * ...); };
    m_hidden.resize(size(maxTokens, c.hidden));
    m_normed.resize(size(maxTokens, c.hidden));
    m_qkv.resize(size(maxTokens, c.heads + 2 * c.kvHeads, c.headDim));
    m_attended.resize(size(maxTokens, c.heads, c.headDim));
    m_projected.resize(size(maxTokens, c.hidden));
    m_routerLogits.resize(size(maxTokens, c.experts));
    for (auto& logits : m_aheadLogits)
        logits.resize(size(maxTokens, c.experts));
    m_actions.resize(size(maxTokens, c.topK));
    if (experts.revises()) {
        m_probabilities.resize(size(maxTokens, c.experts));
        m_firstChosen.resize(size(maxTokens, c.topK));
        m_firstWeights.resize(size(maxTokens, c.topK));
    }
    if (record.predictions)
        m_shadow.emplace(c, m_weights, m_predictors, m_math,
                         ShadowPredictions::Options{.ownGateWidth = experts.ownGateWidth(),
                                                    .beside = ShadowPredictions::roomBeside(math.pool().threads())},
                         record, observer);
    if (experts.weighsByOwnGate()) m_ownLogits.resize(size(maxTokens, c.experts));
    if (experts.computesInPlace())
        m_nearMemory = std::make_unique<NearMemory>(checkpoint, m_math.kernels(), record, observer);
    m_chosen.resize(size(maxTokens, c.topK));
    m_weightsChosen.resize(size(maxTokens, c.topK));
    m_expertOutputs.resize(size(maxTokens, c.topK, c.hidden));
    m_norms.resize(size(maxTokens, c.topK));
    m_accessOf.resize(size(c.experts));
    m_useBegin.resize(size(c.experts) + 1);
    m_uses.resize(size(maxTokens, c.topK));
    m_tasks.reserve(size(maxTokens, c.topK));
    m_routerScratch.resize(size(c.experts));
    m_selections.reserve(size(maxTokens, c.topK));
    m_scratch.assign(size(math.pool().threads()), WorkerScratch(c));
    if (const LowPrecisionCopies* copies = experts.lowPrecision())
        for (WorkerScratch& scratch : m_scratch)
            scratch.expanded.resize(copies->expandedSize());
}

void Forward::start() {
    if (m_nearMemory) m_observer->onLane({NearMemory::kLane, LaneRole::NearMemory, "near memory"});
    if (m_shadow && m_shadow->beside())
        m_observer->onLane({ShadowPredictions::kLane, LaneRole::Worker, "shadow predictors"});
}

void Forward::reserve(int positions) {
    m_cache.reserve(positions);
    m_blockMs.resize(static_cast<std::size_t>(m_config->layers));
    for (std::vector<double>& times : m_blockMs)
        times.reserve(times.size() + static_cast<std::size_t>(positions));
    for (WorkerScratch& scratch : m_scratch)
        scratch.scores.resize(std::max(scratch.scores.size(), static_cast<std::size_t>(positions)));
}

void Forward::run(const StepInput& input) {
    const int tokens = static_cast<int>(input.ids.size());
    for (int t = 0; t < tokens; ++t)
        embed(m_weights.embedding, input.ids[static_cast<std::size_t>(t)], m_hidden.data() + t * m_config->hidden);
    if (input.phase == Phase::Prefill) tellShadows();
    for (int layer = 0; layer < m_config->layers; ++layer) {
        SpanAnnotation whole = part(SpanKind::Layer, sessionNow(), input, layer);
        SpanAnnotation attending = part(SpanKind::Attention, whole.start(), input, layer);
        attention(layer, input);
        SpanAnnotation routing = part(SpanKind::Router, endPart(attending), input, layer);
        route(layer, input);
        Nanoseconds began = endPart(routing);
        if (m_record.predictions) began = shadow(layer, input, began);
        SpanAnnotation experts = part(SpanKind::Experts, began, input, layer);
        runExperts(layer, input);
        SpanAnnotation combining = part(SpanKind::Combine, endPart(experts, false), input, layer);
        combine(tokens);
        const Nanoseconds combined = endPart(combining);
        if (input.phase == Phase::Decode)
            m_blockMs[static_cast<std::size_t>(layer)].push_back(
                static_cast<double>((combined - routing.start()).count()) * 1e-6);
        if (m_record.routing) tellSelections(layer, input);
        if (m_experts->countsRouting()) countRouting(layer, tokens);
        endPart(whole, false);
        if (m_deep) captureRows(layer, input);
    }
    if (m_shadow) m_shadow->advance(sessionNow());
}

SpanAnnotation Forward::part(SpanKind kind, Nanoseconds began, const StepInput& input, int layer) const {
    return SpanAnnotation({.start = began,
                           .end = {},
                           .amount = static_cast<std::int64_t>(input.ids.size()),
                           .step = input.step,
                           .layer = LayerIndex(layer),
                           .lane = LaneId(0),
                           .kind = kind},
                          input.firstToken);
}

Nanoseconds Forward::endPart(SpanAnnotation& part, bool computes) {
    const Nanoseconds ended = sessionNow();
    if (computes) m_computed += ended - part.start();
    part.end(ended, spanObserver());
    return ended;
}

void Forward::attention(int layer, const StepInput& input) {
    const ModelConfig& c = *m_config;
    const Kernels& kernels = m_math.kernels();
    const LayerWeights& weights = m_weights.layers[static_cast<std::size_t>(layer)];
    const int tokens = static_cast<int>(input.ids.size());
    for (int t = 0; t < tokens; ++t)
        kernels.rmsNorm(m_hidden.data() + t * c.hidden, weights.attentionNorm.data(), c.normEps, c.hidden,
                        m_normed.data() + t * c.hidden);
    m_math.linear(weights.qkv, m_normed.data(), tokens, m_qkv.data());
    for (int t = 0; t < tokens; ++t)
        rotate(layer, t, input.firstPosition + t);

    const int perKv = c.heads / c.kvHeads;
    const int qkvWidth = (c.heads + 2 * c.kvHeads) * c.headDim;
    const float scale = 1.0F / std::sqrt(static_cast<float>(c.headDim));
    const auto attend = [&](int item, int worker) {
        const int t = item / c.heads, head = item % c.heads, offset = head / perKv * c.headDim;
        kernels.attend(m_qkv.data() + t * qkvWidth + head * c.headDim, m_cache.keys(layer, 0) + offset,
                       m_cache.values(layer, 0) + offset, m_cache.stride(), input.firstPosition + t + 1, c.headDim,
                       scale, m_scratch[static_cast<std::size_t>(worker)].scores.data(),
                       m_attended.data() + item * c.headDim);
    };
    const std::int64_t work = std::int64_t{2} * c.heads * c.headDim * tokens * (input.firstPosition + tokens);
    if (m_math.blocksFor(work, c.heads * tokens) > 1)
        m_math.pool().forEach(c.heads * tokens, attend);
    else
        for (int item = 0; item < c.heads * tokens; ++item)
            attend(item, 0);

    m_math.linear(weights.output, m_attended.data(), tokens, m_projected.data());
    for (int t = 0; t < tokens; ++t)
        kernels.addScaled(1.0F, m_projected.data() + t * c.hidden, c.hidden, m_hidden.data() + t * c.hidden);
    checkFinite(m_hidden.data(), tokens, layer, "attention");
}

/// Norms and rotates one token's queries and keys, and stores its keys and values at `position`.
void Forward::rotate(int layer, int token, int position) {
    const ModelConfig& c = *m_config;
    const Kernels& kernels = m_math.kernels();
    const LayerWeights& weights = m_weights.layers[static_cast<std::size_t>(layer)];
    float* const query = m_qkv.data() + token * (c.heads + 2 * c.kvHeads) * c.headDim;
    float* const key = query + c.heads * c.headDim;
    float* const value = key + c.kvHeads * c.headDim;
    const auto turn = [&](float* head, const std::vector<float>& norm) {
        kernels.rmsNorm(head, norm.data(), c.normEps, c.headDim, head);
        kernels.rope(head, m_cache.cosines(position), m_cache.sines(position), c.headDim);
    };
    for (int head = 0; head < c.heads; ++head)
        turn(query + head * c.headDim, weights.queryNorm);
    for (int head = 0; head < c.kvHeads; ++head)
        turn(key + head * c.headDim, weights.keyNorm);
    std::copy_n(key, m_cache.stride(), m_cache.keys(layer, position));
    std::copy_n(value, m_cache.stride(), m_cache.values(layer, position));
}

void Forward::logits(int first, int count, float* out) {
    const Nanoseconds began = sessionNow();
    for (int t = 0; t < count; ++t)
        m_math.kernels().rmsNorm(m_hidden.data() + (first + t) * m_config->hidden, m_weights.finalNorm.data(),
                                 m_config->normEps, m_config->hidden, m_normed.data() + t * m_config->hidden);
    m_math.linear(m_weights.head, m_normed.data(), count, out);
    m_computed += sessionNow() - began;
}

void Forward::checkFinite(const float* rows, int tokens, int layer, const char* part) const {
    for (int t = 0; t < tokens; ++t)
        if (!std::isfinite(m_math.kernels().norm(rows + t * m_config->hidden, m_config->hidden)))
            throw FailedError(
                fmt::format("The {} of layer {} of '{}' holds a value that is not a finite number: the "
                            "checkpoint's weights are damaged; fetch it again.",
                            part, layer, m_checkpoint->name()));
}

}  // namespace expertscope
