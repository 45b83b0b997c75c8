// SPDX-License-Identifier: GPL-3.0-or-later
// The chosen experts of a layer: brought, run and summed.
#include <algorithm>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/inference/forward.h"

namespace expertscope {

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

}  // namespace expertscope
