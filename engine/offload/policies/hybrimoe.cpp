// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "engine/offload/cost_model.h"
#include "engine/offload/evictions/mrs.h"
#include "engine/offload/policies/policies.h"

namespace expertscope {
namespace {

/// HybriMoE. Cache: a layer's slots by its minus-recent-score rule (MrsEviction, P = 2k). Prefetch: the `prefetch` best
/// experts of the next layer by that score, which is what its code does (the paper simulates their impact). Schedule of
/// a decode step: the experts that are there start the device's queue; the others, by falling tokens, are given one by
/// one to the side on which they end earlier, the device's queue waiting for the link (max(device, link + transfer) +
/// compute) or the near-memory workers' (queue + in place); of equals to the device. In prefill everything runs on the
/// device and the whole next layer is wanted. Differs in that the near-memory side takes no expert that is on the
/// device, since what the policy leaves in place is all that it may compute.
class HybriMoe final : public Policy {
public:
    HybriMoe(double alpha, int prefetch)
        : m_alpha(alpha), m_prefetch(prefetch), m_scores(std::make_shared<MrsEviction::Scores>()) {}

    bool computesInPlace() const override { return true; }
    bool predictsItself() const override { return true; }
    int ownGateWidth() const override { return std::min(2 * shape().topK, shape().experts); }
    std::unique_ptr<EvictionRule> makeEviction() const override {
        return std::make_unique<MrsEviction>(m_scores, m_alpha);
    }

    void placeMisses(const RoutedLayer& routed, std::span<ExpertAccess> accesses) override {
        if (routed.phase == Phase::Prefill) return;
        const OffloadCosts& costs = context().costs;
        Nanoseconds device, link, inPlace;
        m_absent.clear();
        for (ExpertAccess& access : accesses) {
            if (access.present)
                device += computeTime(costs, access.tokens);
            else
                m_absent.push_back(&access);
        }
        std::ranges::stable_sort(m_absent, std::greater(), &ExpertAccess::tokens);
        for (ExpertAccess* const access : m_absent) {
            const Nanoseconds arrives = link + costs.transfer;
            const Nanoseconds onDevice = std::max(device, arrives) + computeTime(costs, access->tokens);
            const Nanoseconds nearMemory = inPlace + inPlaceTime(costs, access->tokens);
            if (onDevice <= nearMemory) {
                device = onDevice;
                link = arrives;
            } else {
                inPlace = nearMemory;
                access->action = MissAction::InPlace;
            }
        }
    }

    void prefetch(const RoutedLayer& routed, Predictors&, const ResidencyView&,
                  std::vector<WantedExpert>& wanted) override {
        const LayerIndex next(routed.layer.value() + 1);
        if (next.value() == shape().layers) return;
        m_best.clear();
        for (int expert = 0; expert < shape().experts; ++expert) {
            const ExpertRef ref{next, ExpertId(expert)};
            m_best.push_back({ref, static_cast<float>((*m_scores)[static_cast<std::size_t>(shape().flat(ref))])});
        }
        std::ranges::stable_sort(m_best, std::greater(), &WantedExpert::score);
        const int count = routed.phase == Phase::Prefill ? shape().experts : std::min(m_prefetch, shape().experts);
        for (const WantedExpert& best : std::span(m_best).first(static_cast<std::size_t>(count)))
            if (best.score > 0) wanted.push_back(best);
    }

private:
    double m_alpha;
    int m_prefetch;
    std::shared_ptr<MrsEviction::Scores> m_scores;  ///< shared with the eviction rule, which keeps them
    std::vector<ExpertAccess*> m_absent;            ///< scratch
    std::vector<WantedExpert> m_best;               ///< scratch
};

}  // namespace

PolicyEntry hybriMoePolicy() {
    return {{.name = "hybrimoe",
             .parameters = "alpha=0.5, prefetch=2 (experts of the next layer)",
             .needs = "costs, which are measured",
             .source = "HybriMoE (arXiv 2504.05897)",
             .summary = "Keeps and prefetches experts by a decaying router score, and splits misses between device and "
                        "near memory by measured costs.",
             .needsCosts = true},
            [](Parameters& parameters) {
                const double alpha = parameters.number("alpha", 0.5, 0, 1);
                return std::unique_ptr<Policy>(
                    std::make_unique<HybriMoe>(alpha, parameters.integer("prefetch", 2, 0, 1 << 20)));
            }};
}

}  // namespace expertscope
