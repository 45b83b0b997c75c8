// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include "profiler/replay/routing_trace.h"

namespace expertscope {

/// A made-up model: `layers` × `experts`, experts of layer i having sizes[i % sizes.size()] bytes.
inline ModelFacts madeUpModel(int layers, int experts, int topK, const std::vector<std::int64_t>& sizes) {
    ModelFacts model;
    model.name = "made up";
    model.layers = layers;
    model.experts = experts;
    model.topK = topK;
    std::int64_t sum = 0;
    for (int layer = 0; layer < layers; ++layer) {
        model.layerExpertBytes.emplace_back(sizes[static_cast<std::size_t>(layer) % sizes.size()]);
        sum += model.layerExpertBytes.back().count();
    }
    model.totalExpertBytes = Bytes(sum * experts);
    model.expertBytes = Bytes(sum / layers);
    if (sizes.size() == 1) model.layerExpertBytes.clear();
    return model;
}

inline SelectionRecord choice(int step, int token, int layer, int slot, int expert) {
    SelectionRecord record;
    record.step = StepIndex(step);
    record.token = TokenIndex(token);
    record.layer = LayerIndex(layer);
    record.slot = slot;
    record.expert = ExpertId(expert);
    record.weight = 0.5F;
    return record;
}

struct MadeUpTrace {
    int layers = 3, experts = 8, topK = 2;
    int requests = 2, promptTokens = 4, decoded = 20;
    std::vector<std::int64_t> sizes{100};
    double skew = 1.2;  ///< the r-th most popular expert of a layer is chosen in proportion to 1 / r^skew
    unsigned seed = 1;

    std::vector<SelectionRecord> selections() const {
        std::vector<SelectionRecord> records;
        std::mt19937 random(seed);
        std::vector<std::vector<int>> popular(static_cast<std::size_t>(layers));
        std::vector<double> weights;
        for (int e = 0; e < experts; ++e)
            weights.push_back(std::pow(e + 1, -skew));
        for (auto& order : popular) {
            for (int e = 0; e < experts; ++e)
                order.push_back(e);
            std::shuffle(order.begin(), order.end(), random);
        }
        std::discrete_distribution<int> rank(weights.begin(), weights.end());
        int step = 0, token = 0;
        const auto run = [&](int tokens) {
            for (int layer = 0; layer < layers; ++layer) {
                for (int t = 0; t < tokens; ++t) {
                    std::set<int> chosen;
                    for (int slot = 0; slot < topK;) {
                        const int expert =
                            popular[static_cast<std::size_t>(layer)][static_cast<std::size_t>(rank(random))];
                        if (!chosen.insert(expert).second) continue;
                        records.push_back(choice(step, token + t, layer, slot++, expert));
                    }
                }
            }
            token += tokens;
            ++step;
        };
        for (int request = 0; request < requests; ++request) {
            run(promptTokens);
            for (int i = 0; i < decoded; ++i)
                run(1);
        }
        return records;
    }

    std::vector<RequestRecord> requestRecords() const {
        std::vector<RequestRecord> records;
        for (int request = 0; request < requests; ++request) {
            RequestRecord& record = records.emplace_back();
            record.request = RequestIndex(request);
            record.firstToken = TokenIndex(request * (promptTokens + decoded));
            record.promptTokens = promptTokens;
        }
        return records;
    }

    RoutingTrace build() const {
        RoutingTraceBuilder builder(madeUpModel(layers, experts, topK, sizes), requestRecords());
        builder.add(std::span<const SelectionRecord>(selections()));
        return builder.finish();
    }
};

/// Experts of one layer taken in turn, one a step.
inline RoutingTrace cycle(int experts, int steps, std::int64_t bytes = 10) {
    RoutingTraceBuilder builder(madeUpModel(1, experts, 1, {bytes}), {});
    std::vector<SelectionRecord> records;
    for (int step = 0; step < steps; ++step)
        records.push_back(choice(step, step, 0, 0, step % experts));
    builder.add(std::span<const SelectionRecord>(records));
    return builder.finish();
}

/// The trace as sets of experts that are needed at once, straight from its records.
struct NaiveGroup {
    int layer = 0;
    bool decode = false;
    std::vector<int> uses;  ///< flat, in order, repeated ones included
    std::set<int> needed;
};
inline std::vector<NaiveGroup> naiveGroups(const MadeUpTrace& made) {
    std::vector<NaiveGroup> groups;
    int step = -1, layer = -1;
    for (const SelectionRecord& record : made.selections()) {
        if (record.step.value() != step || record.layer.value() != layer) {
            step = record.step.value();
            layer = record.layer.value();
            groups.push_back({layer, step % (made.decoded + 1) != 0, {}, {}});
        }
        const int flat = layer * made.experts + record.expert.value();
        groups.back().uses.push_back(flat);
        groups.back().needed.insert(flat);
    }
    return groups;
}

}  // namespace expertscope
