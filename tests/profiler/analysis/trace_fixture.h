// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include "profiler/analysis/trace_view.h"

namespace expertscope {

/// Records of a made-up run, owned.
struct TestTrace {
    std::vector<SelectionRecord> selections;
    std::vector<ResidencyRecord> residency;
    std::vector<TokenRecord> tokens;
    std::vector<SpanRecord> spans;
    std::vector<RequestRecord> requests;

    TraceView view() const { return {selections, residency, tokens, spans, requests}; }
};

inline SelectionRecord selection(int step, int token, int layer, int slot, int expert, float weight = 0.5F,
                                 Outcome outcome = Outcome::Hit, bool firstUse = true, float norm = 1.0F) {
    SelectionRecord record;
    record.step = StepIndex{step};
    record.token = TokenIndex{token};
    record.layer = LayerIndex{layer};
    record.slot = slot;
    record.expert = ExpertId{expert};
    record.weight = weight;
    record.norm = norm;
    record.outcome = outcome;
    record.firstUse = firstUse;
    return record;
}

inline ResidencyRecord change(ResidencyChange what, ResidencyReason why, int step, int causeLayer, int layer,
                              int expert) {
    ResidencyRecord record;
    record.time = Nanoseconds{step * 1000 + causeLayer};
    record.step = StepIndex{step};
    record.layer = LayerIndex{causeLayer};
    record.subject = {LayerIndex{layer}, ExpertId{expert}};
    record.cause = record.subject;
    record.change = what;
    record.reason = why;
    return record;
}

inline TokenRecord token(int index, int request, Phase phase, int step = 0, std::int64_t time = 0) {
    TokenRecord record;
    record.token = TokenIndex{index};
    record.request = RequestIndex{request};
    record.phase = phase;
    record.step = StepIndex{step};
    record.time = Nanoseconds{time};
    return record;
}

inline SpanRecord span(SpanKind kind, std::int64_t start, std::int64_t end, int lane = 0, int step = -1,
                       int layer = -1) {
    SpanRecord record;
    record.start = Nanoseconds{start};
    record.end = Nanoseconds{end};
    record.kind = kind;
    record.lane = LaneId{lane};
    record.step = StepIndex{step};
    record.layer = LayerIndex{layer};
    return record;
}

/// A run with random routing: `requests` requests of a prompt of 5 tokens (one step) and 12 generated ones (one step
/// each; the last is never run), an LRU of `slots` experts a layer serving the lookups in order, spans of 100 ns a
/// layer. Each expert of the token before is chosen again with `loyalPercent`.
inline TestTrace randomTrace(int layers, int experts, int k, int requests, int slots, unsigned seed,
                             unsigned loyalPercent = 0) {
    TestTrace trace;
    std::mt19937 random(seed);
    std::vector<std::vector<int>> resident(static_cast<std::size_t>(layers));
    std::vector<std::vector<int>> chosenBefore(static_cast<std::size_t>(layers));
    int step = 0, next = 0;
    const auto runStep = [&](int first, int count) {
        for (int layer = 0; layer < layers; ++layer) {
            auto& cache = resident[static_cast<std::size_t>(layer)];
            std::set<int> used;
            const std::vector<int> before = cache;
            for (int t = first; t < first + count; ++t) {
                std::vector<int> all(static_cast<std::size_t>(experts));
                for (int e = 0; e < experts; ++e)
                    all[static_cast<std::size_t>(e)] = e;
                std::shuffle(all.begin(), all.end(), random);
                for (const int old : chosenBefore[static_cast<std::size_t>(layer)]) {
                    if (random() % 100 >= loyalPercent) continue;
                    std::rotate(all.begin(), std::find(all.begin(), all.end(), old), all.end());
                }
                chosenBefore[static_cast<std::size_t>(layer)].assign(all.begin(), all.begin() + k);
                for (int slot = 0; slot < k; ++slot) {
                    const int expert = all[static_cast<std::size_t>(slot)];
                    const bool fresh = used.insert(expert).second;
                    const bool there = std::find(before.begin(), before.end(), expert) != before.end();
                    const auto weight = static_cast<float>(random() % 1000) / 1000.0F;
                    trace.selections.push_back(selection(step, t, layer, slot, expert, weight,
                                                         there ? Outcome::Hit : Outcome::Miss, fresh,
                                                         weight + static_cast<float>(expert)));
                    if (!fresh) continue;
                    std::erase(cache, expert);
                    cache.push_back(expert);
                    if (!there)
                        trace.residency.push_back(
                            change(ResidencyChange::Admit, ResidencyReason::Demand, step, layer, layer, expert));
                }
            }
            // Settled at the layer's end, so that what the step needs is never taken before it is used.
            while (static_cast<int>(cache.size()) > slots) {
                trace.residency.push_back(
                    change(ResidencyChange::Evict, ResidencyReason::Demand, step, layer, layer, cache.front()));
                cache.erase(cache.begin());
            }
            const std::int64_t start = (static_cast<std::int64_t>(step) * layers + layer) * 100;
            trace.spans.push_back(span(SpanKind::Layer, start, start + 100, 0, step, layer));
        }
        ++step;
    };
    for (int request = 0; request < requests; ++request) {
        RequestRecord record;
        record.request = RequestIndex{request};
        record.firstToken = TokenIndex{next};
        record.promptTokens = 5;
        trace.requests.push_back(record);
        for (int i = 0; i < 5; ++i)
            trace.tokens.push_back(token(next + i, request, Phase::Prefill, step));
        runStep(next, 5);
        next += 5;
        for (int i = 0; i < 12; ++i) {
            trace.tokens.push_back(token(next, request, Phase::Decode, step - 1));
            if (i < 11) runStep(next, 1);
            ++next;
        }
    }
    return trace;
}

}  // namespace expertscope
