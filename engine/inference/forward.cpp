// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/forward.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/inference/router.h"
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
      m_predictors(checkpoint.config(), m_weights, m_math, maxTokens) {
    const ModelConfig& c = *m_config;
    const auto size = [](auto... factors) { return (static_cast<std::size_t>(factors) * ...); };
    m_hidden.resize(size(maxTokens, c.hidden));
    m_normed.resize(size(maxTokens, c.hidden));
    m_qkv.resize(size(maxTokens, c.heads + 2 * c.kvHeads, c.headDim));
    m_attended.resize(size(maxTokens, c.heads, c.headDim));
    m_projected.resize(size(maxTokens, c.hidden));
    m_routerLogits.resize(size(maxTokens, c.experts));
    m_aheadLogits.resize(size(maxTokens, c.experts));
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
    m_scratch.resize(size(math.pool().threads()));
    for (WorkerScratch& scratch : m_scratch) {
        scratch.input.resize(size(kTokenBlock, c.hidden));
        scratch.gate.resize(size(kTokenBlock, c.expertWidth));
        scratch.up.resize(size(kTokenBlock, c.expertWidth));
        scratch.output.resize(size(kTokenBlock, c.hidden));
    }
}

void Forward::reserve(int positions) {
    m_cache.reserve(positions);
    for (WorkerScratch& scratch : m_scratch)
        scratch.scores.resize(std::max(scratch.scores.size(), static_cast<std::size_t>(positions)));
}

void Forward::run(const StepInput& input) {
    const int tokens = static_cast<int>(input.ids.size());
    for (int t = 0; t < tokens; ++t)
        embed(m_weights.embedding, input.ids[static_cast<std::size_t>(t)], m_hidden.data() + t * m_config->hidden);
    for (int layer = 0; layer < m_config->layers; ++layer) {
        const Nanoseconds layerBegan = sessionNow();
        attention(layer, input);
        const Nanoseconds routerBegan = part(SpanKind::Attention, layerBegan, input, layer);
        route(layer, input);
        Nanoseconds began = part(SpanKind::Router, routerBegan, input, layer);
        if (m_record.predictions) {
            m_predictors.tell(input.step, input.firstToken, *m_observer);
            began = part(SpanKind::Predict, began, input, layer);
        }
        runExperts(layer, input);
        began = part(SpanKind::Experts, began, input, layer, false);
        combine(tokens);
        part(SpanKind::Combine, began, input, layer);
        if (m_record.routing) tellSelections(layer, input);
        part(SpanKind::Layer, layerBegan, input, layer, false);
    }
}

Nanoseconds Forward::part(SpanKind kind, Nanoseconds began, const StepInput& input, int layer, bool computes) {
    const Nanoseconds ended = sessionNow();
    if (computes) m_computed += ended - began;
    if (m_record.spans)
        m_observer->onSpan({.start = began,
                            .end = ended,
                            .amount = static_cast<std::int64_t>(input.ids.size()),
                            .step = input.step,
                            .layer = LayerIndex(layer),
                            .lane = LaneId(0),
                            .kind = kind});
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

void Forward::route(int layer, const StepInput& input) {
    const ModelConfig& c = *m_config;
    const Kernels& kernels = m_math.kernels();
    const LayerWeights& weights = m_weights.layers[static_cast<std::size_t>(layer)];
    const int tokens = static_cast<int>(input.ids.size());
    for (int t = 0; t < tokens; ++t)
        kernels.rmsNorm(m_hidden.data() + t * c.hidden, weights.expertNorm.data(), c.normEps, c.hidden,
                        m_normed.data() + t * c.hidden);
    const bool ahead = m_experts->routing(LayerIndex(layer)) == RoutingSource::PreGate;
    if (ahead)
        std::swap(m_routerLogits, m_aheadLogits);
    else
        m_math.linear(weights.gate, m_normed.data(), tokens, m_routerLogits.data());
    checkFinite(m_normed.data(), tokens, layer, "input of the router");
    for (int t = 0; t < tokens; ++t)
        chooseExperts(kernels, m_routerLogits.data() + t * c.experts, c.experts, c.topK, c.normTopK,
                      m_routerScratch.data(), m_chosen.data() + t * c.topK, m_weightsChosen.data() + t * c.topK);

    m_predictors.beginLayer(LayerIndex(layer), m_normed.data(), tokens);
    const LayerIndex next(layer + 1);
    if (next.value() < c.layers && m_experts->routing(next) == RoutingSource::PreGate)
        std::ranges::copy(m_predictors.logits(PredictorKind::PreGate, next), m_aheadLogits.begin());
}

void Forward::runExperts(int layer, const StepInput& input) {
    const int choices = static_cast<int>(input.ids.size()) * m_config->topK;
    const auto count = static_cast<std::size_t>(choices);
    m_experts->beginLayer({.step = input.step,
                           .layer = LayerIndex(layer),
                           .phase = input.phase,
                           .tokens = static_cast<int>(input.ids.size()),
                           .experts = {m_chosen.data(), count},
                           .weights = {m_weightsChosen.data(), count}},
                          m_predictors);
    groupByExpert(choices);
    m_notFinite = -1;
    while (m_experts->nextWave()) {
        for (auto ready = m_experts->takeReady(); !ready.empty(); ready = m_experts->takeReady()) {
            const Nanoseconds began = sessionNow();
            m_tasks.clear();
            for (const ReadyExpert& expert : ready) {
                const auto access = static_cast<std::size_t>(expert.access);
                for (int at = m_useBegin[access]; at < m_useBegin[access + 1]; at += kTokenBlock)
                    m_tasks.push_back(
                        {expert.access, at, std::min(kTokenBlock, m_useBegin[access + 1] - at), expert.weights});
            }
            m_math.pool().forEach(static_cast<int>(m_tasks.size()), [&](int task, int worker) {
                runTask(m_tasks[static_cast<std::size_t>(task)], layer, input, worker);
            });
            m_computed += sessionNow() - began;
        }
    }
    m_experts->endLayer();
    if (m_notFinite >= 0)
        throw FailedError(fmt::format(
            "Expert {} of layer {} of '{}' gives a value that is not a finite number: its "
            "weights are damaged; fetch the checkpoint again.",
            m_experts->accesses()[static_cast<std::size_t>(m_notFinite)].expert.value(), layer, m_checkpoint->name()));
}

/// Fills m_uses with the layer's (token, slot) pairs, those of one access after the other.
void Forward::groupByExpert(int uses) {
    const auto& accesses = m_experts->accesses();
    for (std::size_t a = 0; a < accesses.size(); ++a)
        m_accessOf[accesses[a].expert.index()] = static_cast<int>(a);
    std::fill_n(m_useBegin.begin(), accesses.size() + 1, 0);
    const auto accessOf = [&](int use) {
        return static_cast<std::size_t>(m_accessOf[m_chosen[static_cast<std::size_t>(use)].index()]);
    };
    for (int use = 0; use < uses; ++use)
        ++m_useBegin[accessOf(use) + 1];
    for (std::size_t a = 0; a < accesses.size(); ++a)
        m_useBegin[a + 1] += m_useBegin[a];
    for (int use = 0; use < uses; ++use)
        m_uses[static_cast<std::size_t>(m_useBegin[accessOf(use)]++)] = use;
    for (std::size_t a = accesses.size(); a > 0; --a)
        m_useBegin[a] = m_useBegin[a - 1];
    m_useBegin[0] = 0;
}

void Forward::runTask(const ExpertTask& task, int layer, const StepInput& input, int worker) {
    const Nanoseconds began = m_record.spans ? sessionNow() : Nanoseconds(0);
    const ModelConfig& c = *m_config;
    const Kernels& kernels = m_math.kernels();
    WorkerScratch& scratch = m_scratch[static_cast<std::size_t>(worker)];
    const int* const uses = m_uses.data() + task.begin;
    const auto outputOf = [&](int use) { return m_expertOutputs.data() + static_cast<std::ptrdiff_t>(use) * c.hidden; };
    // A single token needs no gathering: decoding reads and writes in place.
    const bool single = task.count == 1;
    const float* x = single ? m_normed.data() + uses[0] / c.topK * c.hidden : scratch.input.data();
    float* const y = single ? outputOf(uses[0]) : scratch.output.data();
    for (int i = 0; !single && i < task.count; ++i)
        std::copy_n(m_normed.data() + uses[i] / c.topK * c.hidden, c.hidden, scratch.input.data() + i * c.hidden);
    kernels.matmul(task.weights.gate, x, task.count, 0, c.expertWidth, scratch.gate.data());
    kernels.matmul(task.weights.up, x, task.count, 0, c.expertWidth, scratch.up.data());
    kernels.siluMultiply(scratch.gate.data(), scratch.up.data(), task.count * c.expertWidth, scratch.gate.data());
    kernels.matmul(task.weights.down, scratch.gate.data(), task.count, 0, c.hidden, y);
    for (int i = 0; i < task.count; ++i) {
        if (!single) std::copy_n(y + i * c.hidden, c.hidden, outputOf(uses[i]));
        const float norm = kernels.norm(y + i * c.hidden, c.hidden);
        if (!std::isfinite(norm)) m_notFinite = task.access;
        m_norms[static_cast<std::size_t>(uses[i])] = norm;
    }
    if (m_record.spans)
        m_observer->onSpan({.start = began,
                            .end = sessionNow(),
                            .amount = task.count,
                            .step = input.step,
                            .layer = LayerIndex(layer),
                            .expert = m_experts->accesses()[static_cast<std::size_t>(task.access)].expert,
                            .lane = LaneId(worker),
                            .kind = SpanKind::ExpertCompute});
}

void Forward::combine(int tokens) {
    const ModelConfig& c = *m_config;
    for (int t = 0; t < tokens; ++t) {
        float* const sum = m_projected.data();
        std::fill_n(sum, c.hidden, 0.0F);
        for (int slot = 0; slot < c.topK; ++slot) {
            const int use = t * c.topK + slot;
            m_math.kernels().addScaled(m_weightsChosen[static_cast<std::size_t>(use)],
                                       m_expertOutputs.data() + static_cast<std::ptrdiff_t>(use) * c.hidden, c.hidden,
                                       sum);
        }
        m_math.kernels().addScaled(1.0F, sum, c.hidden, m_hidden.data() + t * c.hidden);
    }
}

void Forward::tellSelections(int layer, const StepInput& input) {
    const int topK = m_config->topK;
    const int uses = static_cast<int>(input.ids.size()) * topK;
    m_selections.clear();
    for (int use = 0; use < uses; ++use) {
        const auto at = static_cast<std::size_t>(use);
        const auto access = static_cast<std::size_t>(m_accessOf[m_chosen[at].index()]);
        m_selections.push_back({.step = input.step,
                                .token = TokenIndex(input.firstToken.value() + use / topK),
                                .layer = LayerIndex(layer),
                                .slot = use % topK,
                                .expert = m_chosen[at],
                                .weight = m_weightsChosen[at],
                                .norm = m_record.norms ? m_norms[at] : std::numeric_limits<float>::quiet_NaN(),
                                .outcome = m_experts->outcomes()[access],
                                .firstUse = m_uses[static_cast<std::size_t>(m_useBegin[access])] == use});
    }
    m_observer->onSelections(m_selections);
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
