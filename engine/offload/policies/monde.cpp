// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "engine/offload/cost_model.h"
#include "engine/offload/policies/policies.h"

namespace expertscope {
namespace {

/// MoNDE: after the gate, hot experts (those with many tokens) are moved to the device and cold ones computed near the
/// memory that holds them; the balancer splits by token counts so that both sides end together. No cache, no
/// prediction. The paper gives no formula; here, with the experts by falling tokens, the h hottest are moved that
/// minimise max(h · transfer + compute of the last one moved, Σ in place of the rest): transfers follow one another
/// and each expert computes while the next is moved. Of equal splits the one that moves less. O(n log n).
class Monde final : public Policy {
public:
    bool releases() const override { return true; }
    bool keeps(ExpertRef) const override { return false; }
    bool computesInPlace() const override { return true; }

    void placeMisses(const RoutedLayer&, std::span<ExpertAccess> accesses) override {
        const OffloadCosts& costs = context().costs;
        m_hottest.clear();
        Nanoseconds cold, moved;
        for (ExpertAccess& access : accesses) {
            m_hottest.push_back(&access);
            cold += inPlaceTime(costs, access.tokens);
            access.action = MissAction::InPlace;
        }
        std::ranges::stable_sort(m_hottest, std::greater(), &ExpertAccess::tokens);
        Nanoseconds least = cold;
        std::size_t best = 0;
        for (std::size_t hot = 1; hot <= m_hottest.size(); ++hot) {
            const int tokens = m_hottest[hot - 1]->tokens;
            cold -= inPlaceTime(costs, tokens);
            moved += costs.transfer;
            const Nanoseconds ends = std::max(cold, moved + computeTime(costs, tokens));
            if (ends < least) least = ends, best = hot;
        }
        for (std::size_t i = 0; i < best; ++i)
            m_hottest[i]->action = MissAction::Fetch;
    }

private:
    std::vector<ExpertAccess*> m_hottest;  ///< scratch
};

}  // namespace

PolicyEntry mondePolicy() {
    return {{.name = "monde",
             .parameters = {},
             .needs = "costs, which are measured",
             .source = "MoNDE (arXiv 2405.18832)",
             .summary = "Experts with many tokens are moved, the others computed near their memory, so that both sides "
                        "end together.",
             .needsCosts = true},
            [](Parameters&) { return std::unique_ptr<Policy>(std::make_unique<Monde>()); }};
}

}  // namespace expertscope
