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
    if (record.predictions) m_shadow.emplace(c, m_predictors, experts.ownGateWidth(), maxTokens);
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
}

void Forward::limit(const RoutingLimits& limits) {
    if (!limits.any()) return;
    m_limiter.emplace(*m_config, limits);
    if (!m_limiter->drops()) return;
    if (m_experts->revises())
        throw UsageError(
            fmt::format("Policy '{}' changes choices itself: a weight threshold goes with policies that "
                        "leave the routing alone.",
                        m_experts->policy().name));
    m_firstChosen.resize(m_chosen.size());
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
    if (m_shadow && m_shadow->due(sessionNow())) tellShadows();
}

/// Shadow predictions of a layer that was just routed: of a prompt's many tokens now, of a generated token later.
Nanoseconds Forward::shadow(int layer, const StepInput& input, Nanoseconds began) {
    if (input.phase == Phase::Prefill) {
        SpanAnnotation predicting = part(SpanKind::Predict, began, input, layer);
        m_predictors.tell(input.step, input.firstToken, *m_observer);
        return endPart(predicting);
    }
    m_shadow->keep(input.step, input.firstToken, LayerIndex(layer), m_normed.data(), began);
    m_shadowStep = input.step;
    return began;
}

void Forward::tellShadows() {
    if (!m_shadow || m_shadow->kept() == 0) return;
    SpanAnnotation predicting({.start = sessionNow(),
                               .end = {},
                               .amount = m_shadow->kept(),
                               .step = m_shadowStep,
                               .lane = LaneId(0),
                               .kind = SpanKind::Predict});
    m_shadow->tell(*m_observer);
    endPart(predicting);
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

void Forward::route(int layer, const StepInput& input) {
    const ModelConfig& c = *m_config;
    const Kernels& kernels = m_math.kernels();
    const LayerWeights& weights = m_weights.layers[static_cast<std::size_t>(layer)];
    const int tokens = static_cast<int>(input.ids.size());
    for (int t = 0; t < tokens; ++t)
        kernels.rmsNorm(m_hidden.data() + t * c.hidden, weights.expertNorm.data(), c.normEps, c.hidden,
                        m_normed.data() + t * c.hidden);
    checkFinite(m_normed.data(), tokens, layer, "input of the router");
    m_predictors.beginLayer(LayerIndex(layer), m_normed.data(), tokens);
    choose(layer, tokens);
    if (m_tap)
        m_tap(LayerIndex(layer), tokens,
              {m_normed.data(), static_cast<std::size_t>(tokens) * static_cast<std::size_t>(c.hidden)},
              {m_routerLogits.data(), static_cast<std::size_t>(tokens) * static_cast<std::size_t>(c.experts)});
    if (m_experts->revises()) revise(layer, input);
    keepAhead(layer, tokens);
}

/// The layer's experts and weights, by its own gate or by what an earlier layer has left for it.
void Forward::choose(int layer, int tokens) {
    const ModelConfig& c = *m_config;
    const Kernels& kernels = m_math.kernels();
    const auto count = static_cast<std::size_t>(tokens) * static_cast<std::size_t>(c.experts);
    const RoutingSource source = m_experts->routing(LayerIndex(layer));
    const bool byPreGate = source.kind == RoutingSource::Kind::PreGate;
    const int ownWidth = m_experts->ownGateWidth();
    std::vector<float>& ahead = m_aheadLogits[static_cast<std::size_t>(layer) % m_aheadLogits.size()];
    if (!byPreGate || ownWidth > 0)
        m_math.linear(m_weights.layers[static_cast<std::size_t>(layer)].gate, m_normed.data(), tokens,
                      m_routerLogits.data());
    if (m_limiter) {
        m_limiter->hide(LayerIndex(layer), tokens, m_routerLogits);
        m_limiter->hide(LayerIndex(layer), tokens, ahead);
    }
    if (ownWidth > 0) m_predictors.setOwnGate(m_routerLogits.data(), std::min(ownWidth, c.experts));
    if (byPreGate) std::swap(m_routerLogits, ahead);
    const bool ownWeights = m_experts->weighsByOwnGate();
    if (ownWeights) std::copy_n(m_routerLogits.begin(), count, m_ownLogits.begin());
    if (m_experts->adjustsLogits()) m_experts->adjustLogits(LayerIndex(layer), tokens, {m_routerLogits.data(), count});
    const bool early = source.kind == RoutingSource::Kind::EarlyInput;
    for (int t = 0; t < tokens; ++t) {
        const float* const own = m_routerLogits.data() + t * c.experts;
        ExpertId* const chosen = m_chosen.data() + t * c.topK;
        float* const weights = m_weightsChosen.data() + t * c.topK;
        chooseExperts(kernels, early ? ahead.data() + t * c.experts : own, c.experts, c.topK, c.normTopK,
                      m_routerScratch.data(), chosen, weights);
        if (early || ownWeights)
            weighExperts(kernels, ownWeights ? m_ownLogits.data() + t * c.experts : own, c.experts, c.topK, c.normTopK,
                         m_routerScratch.data(), chosen, weights);
    }
    const auto choices = static_cast<std::size_t>(tokens) * static_cast<std::size_t>(c.topK);
    std::fill_n(m_actions.begin(), choices, SelectionAction::Run);
    if (!m_limiter || !m_limiter->drops()) return;
    std::copy_n(m_chosen.begin(), choices, m_firstChosen.begin());
    m_limiter->drop({m_chosen.data(), choices}, {m_weightsChosen.data(), choices}, {m_actions.data(), choices});
}

/// Lets the policy drop, substitute or re-weight what was chosen.
void Forward::revise(int layer, const StepInput& input) {
    const ModelConfig& c = *m_config;
    const int tokens = static_cast<int>(input.ids.size());
    const auto choices = static_cast<std::size_t>(tokens) * static_cast<std::size_t>(c.topK);
    std::copy_n(m_routerLogits.begin(), tokens * c.experts, m_probabilities.begin());
    for (int t = 0; t < tokens; ++t)
        m_math.kernels().softmax(m_probabilities.data() + t * c.experts, c.experts);
    std::copy_n(m_chosen.begin(), choices, m_firstChosen.begin());
    std::copy_n(m_weightsChosen.begin(), choices, m_firstWeights.begin());
    m_experts->revise({.layer = LayerIndex(layer),
                       .phase = input.phase,
                       .tokens = tokens,
                       .experts = {m_chosen.data(), choices},
                       .weights = {m_weightsChosen.data(), choices},
                       .actions = {m_actions.data(), choices},
                       .probabilities = {m_probabilities.data(),
                                         static_cast<std::size_t>(tokens) * static_cast<std::size_t>(c.experts)}});
}

/// Keeps what this layer's predictors say for the layers that will choose by it.
void Forward::keepAhead(int layer, int tokens) {
    for (int ahead = 1; ahead <= LayerPredictors::kFarthest && layer + ahead < m_config->layers; ++ahead) {
        const LayerIndex target(layer + ahead);
        const RoutingSource source = m_experts->routing(target);
        if (source.ahead != ahead) continue;
        const auto kind =
            source.kind == RoutingSource::Kind::PreGate ? PredictorKind::PreGate : PredictorKind::NextGate;
        std::copy_n(m_predictors.logits(kind, target).begin(), tokens * m_config->experts,
                    m_aheadLogits[target.index() % m_aheadLogits.size()].begin());
    }
}

void Forward::runExperts(int layer, const StepInput& input) {
    const int choices = static_cast<int>(input.ids.size()) * m_config->topK;
    const auto count = static_cast<std::size_t>(choices);
    m_experts->beginLayer({.step = input.step,
                           .firstToken = input.firstToken,
                           .layer = LayerIndex(layer),
                           .phase = input.phase,
                           .tokens = static_cast<int>(input.ids.size()),
                           .experts = {m_chosen.data(), count},
                           .weights = {m_weightsChosen.data(), count}},
                          m_predictors);
    groupByExpert(choices);
    noteActions();
    m_notFinite = -1;
    if (m_nearMemory) submitInPlace(layer, input);
    while (m_experts->nextWave()) {
        for (auto ready = m_experts->takeReady(); !ready.empty(); ready = m_experts->takeReady()) {
            const Nanoseconds began = sessionNow();
            m_tasks.clear();
            for (const ReadyExpert& expert : ready)
                eachBlock(static_cast<std::size_t>(expert.access), [&](int begin, int size) {
                    m_tasks.push_back({expert.access, begin, size, expert.weights, expert.low});
                });
            m_math.pool().forEach(static_cast<int>(m_tasks.size()), [&](int task, int worker) {
                runTask(m_tasks[static_cast<std::size_t>(task)], layer, input, worker);
            });
            m_computed += sessionNow() - began;
        }
    }
    if (m_nearMemory) waitInPlace(layer, input);
    m_experts->endLayer();
    if (m_notFinite >= 0)
        throw FailedError(fmt::format(
            "Expert {} of layer {} of '{}' gives a value that is not a finite number: its "
            "weights are damaged; fetch the checkpoint again.",
            m_experts->accesses()[static_cast<std::size_t>(m_notFinite)].expert.value(), layer, m_checkpoint->name()));
}

/// Gives the uses of an access in blocks: where each begins in m_uses, and how many.
template <class Give>
void Forward::eachBlock(std::size_t access, Give&& give) const {
    for (int at = m_useBegin[access]; at < m_useBegin[access + 1]; at += kTokenBlock)
        give(at, std::min(kTokenBlock, m_useBegin[access + 1] - at));
}

/// Says of the uses of accesses that do not run as they are on the device how they run.
void Forward::noteActions() {
    const auto& accesses = m_experts->accesses();
    for (std::size_t access = 0; access < accesses.size(); ++access) {
        if (!accesses[access].low && !accesses[access].inPlace()) continue;
        const auto action = accesses[access].low ? SelectionAction::LowPrecision : SelectionAction::InPlace;
        for (int at = m_useBegin[access]; at < m_useBegin[access + 1]; ++at)
            m_actions[static_cast<std::size_t>(m_uses[static_cast<std::size_t>(at)])] = action;
    }
}

void Forward::submitInPlace(int layer, const StepInput& input) {
    const auto& accesses = m_experts->accesses();
    for (std::size_t access = 0; access < accesses.size(); ++access) {
        if (!accesses[access].inPlace()) continue;
        eachBlock(access, [&](int begin, int size) {
            const std::span uses(m_uses.data() + begin, static_cast<std::size_t>(size));
            m_nearMemory->submit({.expert = {LayerIndex(layer), accesses[access].expert},
                                  .access = static_cast<int>(access),
                                  .uses = uses,
                                  .step = input.step},
                                 rows());
        });
    }
}

void Forward::waitInPlace(int layer, const StepInput& input) {
    SpanAnnotation waiting({.start = sessionNow(),
                            .end = {},
                            .step = input.step,
                            .layer = LayerIndex(layer),
                            .lane = LaneId(0),
                            .kind = SpanKind::Wait});
    const int notFinite = m_nearMemory->wait();
    const Nanoseconds ended = sessionNow();
    m_waitedInPlace += ended - waiting.start();
    if (notFinite >= 0) m_notFinite = notFinite;
    const bool waited = std::ranges::any_of(m_experts->accesses(), &ExpertAccess::inPlace);
    waiting.end(ended, waited ? spanObserver() : nullptr);
}

/// Fills m_uses with the layer's (token, slot) pairs, those of one access after the other.
void Forward::groupByExpert(int uses) {
    const auto& accesses = m_experts->accesses();
    for (std::size_t a = 0; a < accesses.size(); ++a)
        m_accessOf[accesses[a].expert.index()] = static_cast<int>(a);
    std::fill_n(m_useBegin.begin(), accesses.size() + 1, 0);
    const auto accessOf = [&](int use) {
        const ExpertId expert = m_chosen[static_cast<std::size_t>(use)];
        return expert.value() < 0 ? std::size_t{0} : static_cast<std::size_t>(m_accessOf[expert.index()]) + 1;
    };
    for (int use = 0; use < uses; ++use)
        if (const std::size_t access = accessOf(use)) ++m_useBegin[access];
    for (std::size_t a = 0; a < accesses.size(); ++a)
        m_useBegin[a + 1] += m_useBegin[a];
    for (int use = 0; use < uses; ++use)
        if (const std::size_t access = accessOf(use)) m_uses[static_cast<std::size_t>(m_useBegin[access - 1]++)] = use;
    for (std::size_t a = accesses.size(); a > 0; --a)
        m_useBegin[a] = m_useBegin[a - 1];
    m_useBegin[0] = 0;
}

void Forward::runTask(const ExpertTask& task, int layer, const StepInput& input, int worker) {
    SpanAnnotation computing({.start = m_record.spans ? sessionNow() : Nanoseconds(0),
                              .end = {},
                              .amount = task.count,
                              .step = input.step,
                              .layer = LayerIndex(layer),
                              .expert = m_experts->accesses()[static_cast<std::size_t>(task.access)].expert,
                              .lane = LaneId(worker),
                              .kind = SpanKind::ExpertCompute});
    const std::span<const int> uses(m_uses.data() + task.begin, static_cast<std::size_t>(task.count));
    WorkerScratch& scratch = m_scratch[static_cast<std::size_t>(worker)];
    const ExpertWeights weights =
        task.low ? m_experts->lowPrecision()->expand(task.low, scratch.expanded) : task.weights;
    if (!runExpert(m_math.kernels(), *m_config, weights, uses, rows(), scratch.expert)) m_notFinite = task.access;
    computing.end(m_record.spans ? sessionNow() : Nanoseconds(0), spanObserver());
}

void Forward::combine(int tokens) {
    const ModelConfig& c = *m_config;
    for (int t = 0; t < tokens; ++t) {
        float* const sum = m_projected.data();
        std::fill_n(sum, c.hidden, 0.0F);
        for (int slot = 0; slot < c.topK; ++slot) {
            const int use = t * c.topK + slot;
            if (m_chosen[static_cast<std::size_t>(use)].value() < 0) continue;  // dropped
            m_math.kernels().addScaled(m_weightsChosen[static_cast<std::size_t>(use)],
                                       m_expertOutputs.data() + static_cast<std::ptrdiff_t>(use) * c.hidden, c.hidden,
                                       sum);
        }
        m_math.kernels().addScaled(1.0F, sum, c.hidden, m_hidden.data() + t * c.hidden);
    }
}

void Forward::captureRows(int layer, const StepInput& input) {
    m_deep->keep({.layer = LayerIndex(layer),
                  .firstToken = input.firstToken,
                  .tokens = static_cast<int>(input.ids.size()),
                  .inputs = m_normed.data(),
                  .logits = m_routerLogits.data(),
                  .chosen = m_chosen.data(),
                  .weights = m_weightsChosen.data(),
                  .hidden = m_hidden.data()});
}

void Forward::countRouting(int layer, int tokens) {
    const Prediction own = m_predictors.of(PredictorKind::OwnGate, LayerIndex(layer));
    const auto topK = static_cast<std::size_t>(m_config->topK);
    const std::vector<float>& weights = m_experts->revises() ? m_firstWeights : m_weightsChosen;
    for (std::size_t use = 0; use < static_cast<std::size_t>(tokens) * topK; ++use) {
        const auto mass = static_cast<double>(weights[use]);
        m_changes.all.add(mass);
        m_changes.of(m_actions[use]).add(mass);
        // Whether the own gate would have chosen it too; what was revised afterwards is counted above.
        const ExpertId chosen = m_experts->revises() ? m_firstChosen[use] : m_chosen[use];
        const auto best = own.experts.subspan(use / topK * static_cast<std::size_t>(own.width), topK);
        if (std::ranges::find(best, chosen) == best.end()) m_changes.rerouted.add(mass);
    }
}

void Forward::tellSelections(int layer, const StepInput& input) {
    const int topK = m_config->topK;
    const int uses = static_cast<int>(input.ids.size()) * topK;
    m_selections.clear();
    for (int use = 0; use < uses; ++use) {
        const auto at = static_cast<std::size_t>(use);
        SelectionRecord record{.step = input.step,
                               .token = TokenIndex(input.firstToken.value() + use / topK),
                               .layer = LayerIndex(layer),
                               .slot = use % topK,
                               .expert = m_chosen[at],
                               .weight = m_weightsChosen[at],
                               .norm = std::numeric_limits<float>::quiet_NaN(),
                               .outcome = Outcome::Miss,
                               .action = m_actions[at]};
        if (record.expert.value() < 0) {
            record.expert = m_firstChosen[at];
            record.weight = 0;
        } else {
            const auto access = static_cast<std::size_t>(m_accessOf[record.expert.index()]);
            if (m_record.norms) record.norm = m_norms[at];
            record.outcome = m_experts->outcomes()[access];
            record.firstUse = m_uses[static_cast<std::size_t>(m_useBegin[access])] == use;
        }
        m_selections.push_back(record);
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
