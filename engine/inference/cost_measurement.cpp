// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/cost_measurement.h"

#include <algorithm>
#include <functional>

#include "engine/inference/near_memory.h"

namespace expertscope {
namespace {

/// Experts that are measured; an odd number, for the median.
constexpr int kSamples = 7;
constexpr RecordSet kNoRecord{.routing = false, .spans = false, .norms = false, .predictions = false};

/// The median time of `action(sample)`.
Nanoseconds median(const std::function<void(int)>& action) {
    std::vector<Nanoseconds> times;
    for (int sample = 0; sample < kSamples; ++sample) {
        const Nanoseconds began = sessionNow();
        action(sample);
        times.push_back(sessionNow() - began);
    }
    std::ranges::nth_element(times, times.begin() + kSamples / 2);
    return std::max(times[kSamples / 2], Nanoseconds(1));
}

/// What each further token costs, where a block of them takes `block` and one takes `one`.
Nanoseconds eachFurther(Nanoseconds block, Nanoseconds one) {
    return Nanoseconds(std::max<std::int64_t>((block - one).count() / (kTokenBlock - 1), 0));
}

/// Rows of a layer for kTokenBlock tokens; each token's first choice is the expert.
struct SampleRows {
    explicit SampleRows(const ModelConfig& config)
        : input(static_cast<std::size_t>(kTokenBlock) * static_cast<std::size_t>(config.hidden), 0.01F),
          output(static_cast<std::size_t>(kTokenBlock * config.topK * config.hidden)),
          norms(static_cast<std::size_t>(kTokenBlock) * static_cast<std::size_t>(config.topK)) {
        for (int token = 0; token < kTokenBlock; ++token)
            uses.push_back(token * config.topK);
    }
    ExpertRows rows() { return {input.data(), output.data(), norms.data()}; }
    std::span<const int> first(int tokens) const { return std::span(uses).first(static_cast<std::size_t>(tokens)); }

    std::vector<float> input, output, norms;
    std::vector<int> uses;
};

}  // namespace

OffloadCosts measureCosts(const Checkpoint& checkpoint, const Kernels& kernels, IoMode io,
                          const std::optional<LinkSpec>& link) {
    const ModelConfig& config = checkpoint.config();
    const auto expert = [&](int sample) {
        const int flat = static_cast<int>(std::int64_t{config.layers} * config.experts * sample / kSamples);
        return ExpertRef{LayerIndex(flat / config.experts), ExpertId(flat % config.experts)};
    };
    OffloadCosts costs;
    Observer nobody;
    SampleRows sample(config);

    const ExpertStore store(checkpoint, io);
    const Arena arena(1, store.slotBytes());
    const SlotIndex slot(0);
    {
        TransferQueue queue({{&store, &arena, 1}}, link, kNoRecord, nobody, LaneId(-1));
        costs.transfer = median([&](int i) {
            TransferRecord record;
            record.id = i;
            record.expert = expert(i);
            record.slot = slot;
            record.bytes = store.expertBytes();
            record.issued = sessionNow();
            queue.submit(record);
            queue.waitForAny({&slot, 1});
        });
    }

    ExpertScratch scratch(config);
    const ExpertWeights weights = store.weights(expert(kSamples - 1), arena.slot(slot));
    const auto compute = [&](int tokens) {
        return median([&](int) { runExpert(kernels, config, weights, sample.first(tokens), sample.rows(), scratch); });
    };
    compute(1);  // the first touches of the memory are no cost of a run
    costs.compute = compute(1);
    costs.computeToken = eachFurther(compute(kTokenBlock), costs.compute);

    NearMemory nearMemory(checkpoint, kernels, kNoRecord, nobody);
    const auto inPlace = [&](int tokens) {
        return median([&](int i) {
            nearMemory.submit({.expert = expert(i), .access = 0, .uses = sample.first(tokens), .step = StepIndex(0)},
                              sample.rows());
            nearMemory.wait();
        });
    };
    inPlace(1);  // the store that it stands for holds the weights in memory
    costs.inPlace = inPlace(1);
    costs.inPlaceToken = eachFurther(inPlace(kTokenBlock), costs.inPlace);
    return costs;
}

}  // namespace expertscope
