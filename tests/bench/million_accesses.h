// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "profiler/replay/compute_times.h"

namespace expertscope {

// A made-up trace of a million accesses: a decode of 48 layers of 128 experts, 8 for each token, popular ones more
// often and half of them kept from the token before.

inline constexpr int kLayers = 48, kExperts = 128, kTopK = 8;
inline constexpr int kSteps = 1'000'000 / (kLayers * kTopK);
inline constexpr std::int64_t kBytes = 3'000'000;

inline RoutingTrace millionAccesses() {
    ModelFacts model;
    model.name = "made up";
    model.layers = kLayers;
    model.experts = kExperts;
    model.topK = kTopK;
    model.expertBytes = Bytes(kBytes);
    model.totalExpertBytes = Bytes(kBytes * kLayers * kExperts);
    RoutingTraceBuilder builder(model, {});
    std::mt19937 random(7);
    std::vector<double> weights;
    for (int e = 0; e < kExperts; ++e)
        weights.push_back(std::pow(e + 1, -0.6));
    std::discrete_distribution<int> rank(weights.begin(), weights.end());
    std::vector<std::vector<int>> before(kLayers);
    std::vector<SelectionRecord> records;
    for (int step = 0; step < kSteps; ++step) {
        records.clear();
        for (int layer = 0; layer < kLayers; ++layer) {
            auto& last = before[static_cast<std::size_t>(layer)];
            std::vector<int> chosen;
            for (const int old : last)
                if (random() % 2 == 0) chosen.push_back(old);
            while (chosen.size() < kTopK) {
                const int expert = (rank(random) * 37 + layer * 11) % kExperts;
                if (std::ranges::find(chosen, expert) == chosen.end()) chosen.push_back(expert);
            }
            last = chosen;
            for (int slot = 0; slot < kTopK; ++slot) {
                SelectionRecord& record = records.emplace_back();
                record.step = StepIndex(step);
                record.token = TokenIndex(step);
                record.layer = LayerIndex(layer);
                record.slot = slot;
                record.expert = ExpertId(chosen[static_cast<std::size_t>(slot)]);
                record.weight = 1.0F / kTopK;
            }
        }
        builder.add(std::span<const SelectionRecord>(records));
    }
    return builder.finish();
}

/// With made-up times, so that what is timed is the whole simulation.
inline ComputeTimes madeUpTimes(const RoutingTrace& trace) {
    ComputeTimes times;
    times.before.assign(trace.groups().size(), 100'000);
    times.after.assign(trace.groups().size(), 5'000);
    times.expert.assign(trace.accesses().size(), 30'000.0F);
    times.tail.assign(trace.steps().size(), 500'000);
    times.dispatch = 5'000;
    times.transfer = 400'000;
    times.workers = 2;
    return times;
}

}  // namespace expertscope
