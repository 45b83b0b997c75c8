// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <functional>

#include <fmt/format.h>

#include "engine/offload/expert_activation.h"
#include "engine/offload/policies/policies.h"

namespace expertscope {
namespace {

/// MoE-Infinity (arXiv 2401.14361v3). After every router the activation matrix of the running forward pass is compared
/// with those of past requests (EAMC, collected as it runs; a prepared collection seeds it); each expert of each layer
/// to come is wanted with its share of its layer's tokens in the nearest one, times how soon its layer comes. Evicts by
/// the paper's algorithm 1 (evictions/moe_infinity.cpp), which keeps a collection of its own by the same routing.
///
/// Differs: v3 says only that the next layer's are fetched and omits the queue, v1 and v2 queue all later layers by
/// this priority; that is done here, `ahead` limits it. Only experts with a share are wanted, not (by way of an ε) all.
class MoeInfinity final : public Policy {
public:
    MoeInfinity(int ahead, int capacity) : m_ahead(ahead), m_capacity(capacity) {}

    void begin(const OffloadContext& context) override {
        Policy::begin(context);
        m_tracker = std::make_unique<ActivationTracker>(shape(), m_capacity);
        m_tracker->seed(collectedActivations(context));
    }
    std::unique_ptr<EvictionRule> makeEviction() const override {
        return expertscope::makeEviction(fmt::format("moe-infinity:collection={}", m_capacity));
    }
    void beginRequest() override { m_tracker->beginRequest(); }
    void observe(const RoutedLayer& routed, Predictors&) override { m_tracker->observe(routed); }
    void prefetch(const RoutedLayer& routed, Predictors&, const ResidencyView&,
                  std::vector<WantedExpert>& wanted) override {
        const int last =
            m_ahead == 0 ? shape().layers - 1 : std::min(routed.layer.value() + m_ahead, shape().layers - 1);
        for (int layer = routed.layer.value() + 1; layer <= last; ++layer)
            for (int expert = 0; expert < shape().experts; ++expert) {
                const ExpertRef ref{LayerIndex(layer), ExpertId(expert)};
                if (const double likelihood = m_tracker->likelihood(ref); likelihood > 0)
                    wanted.push_back({ref, static_cast<float>(likelihood)});
            }
        std::ranges::stable_sort(wanted, std::greater<>(), &WantedExpert::score);
    }
    bool predictsItself() const override { return true; }

private:
    int m_ahead, m_capacity;
    std::unique_ptr<ActivationTracker> m_tracker;
};

/// Least frequently used of all layers, counted since the run's start, over evictions; cleared after every prompt.
class VisitEviction final : public EvictionRule {
public:
    void begin(const OffloadContext& context) override {
        m_visits.assign(static_cast<std::size_t>(context.shape.total()), 0);
    }
    void onLayer(const RoutedLayer& routed, Predictors&) override {
        if (m_phase == Phase::Prefill && routed.phase == Phase::Decode) std::ranges::fill(m_visits, 0);
        m_phase = routed.phase;
    }
    void onUse(int expert, std::int64_t, bool first) override {
        if (first) ++m_visits[static_cast<std::size_t>(expert)];
    }
    void onAdmit(int, std::int64_t) override {}
    double score(int expert) const override { return static_cast<double>(m_visits[static_cast<std::size_t>(expert)]); }

private:
    std::vector<std::int64_t> m_visits;
    Phase m_phase = Phase::Decode;
};

/// What the public code has done since 2025: its calls to predictor and prefetcher are commented out, and its
/// dispatcher evicts by cumulative visits (which it names in-cache, but clears after the prompt only).
class MoeInfinityCode final : public Policy {
public:
    std::unique_ptr<EvictionRule> makeEviction() const override { return std::make_unique<VisitEviction>(); }
};

}  // namespace

PolicyEntry moeInfinityPolicy() {
    return {
        {.name = "moe-infinity",
         .parameters = "preset=paper|code; of the paper's: collection=120 (matrices), ahead=0 (layers; 0 = all)",
         .needs = {},
         .source = "MoE-Infinity (arXiv 2401.14361v3)",
         .summary = "Experts that the most alike past request used in later layers are brought, likely and near ones "
                    "first; early layers are kept.",
         .startsFrom = {"eamc"}},
        [](Parameters& parameters) {
            const bool paper = parameters.word("preset", {"paper", "code"}) == "paper";
            const int capacity = parameters.integer("collection", ActivationTracker::kPaperCapacity, 1, 10000);
            const int ahead = parameters.integer("ahead", 0, 0, 1000);
            if (!paper) return std::unique_ptr<Policy>(std::make_unique<MoeInfinityCode>());
            return std::unique_ptr<Policy>(std::make_unique<MoeInfinity>(ahead, capacity));
        }};
}

}  // namespace expertscope
