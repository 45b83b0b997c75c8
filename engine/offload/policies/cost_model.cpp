// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/cost_model.h"

#include <algorithm>

#include "engine/offload/policies/policies.h"
#include "engine/offload/policies/static_placement.h"

namespace expertscope {
namespace {

/// Fiddler: the most popular experts are on the device for the whole run; each other one that a layer needs is either
/// fetched or computed where it lies, whichever the measured costs favour, and a fetched one is not kept. Experts that
/// are there cost nothing in this count, as in its code.
///   objective=max  the paper: the split that minimises max(Σ in place, Σ fetched). Fetching costs about the same for
///                  every expert, so the best split fetches those with the most tokens; all such splits are tried,
///                  where the code enumerates the 2^n subsets of n ≤ 8 experts. O(n log n).
///   objective=sum  its code: the split that minimises the sum, which is each expert's own minimum.
/// A twentieth of the slots, at least one, stays free for what is fetched (the code fills 95 % of its memory).
/// Differs in that experts in place are computed beside the device, as the paper argues for, and not after it.
class CostModel final : public StaticPlacement {
public:
    explicit CostModel(bool sum) : m_sum(sum) {}

    void begin(const OffloadContext& context) override {
        Policy::begin(context);
        place(byPopularity(context), shape().slots - std::max(1, shape().slots / 20));
    }
    bool releases() const override { return true; }
    bool keeps(ExpertRef ref) const override { return placed(ref); }

    void placeMisses(const RoutedLayer&, std::span<ExpertAccess> accesses) override {
        if (!m_sum) return splitEvenly(accesses);
        for (ExpertAccess& access : accesses)
            access.action = fetchTime(context().costs, access.tokens) <= inPlaceTime(context().costs, access.tokens)
                                ? MissAction::Fetch
                                : MissAction::InPlace;
    }

private:
    void splitEvenly(std::span<ExpertAccess> accesses) {
        m_absent.clear();
        Nanoseconds inPlace, fetched;
        for (ExpertAccess& access : accesses) {
            if (access.present) continue;
            m_absent.push_back(&access);
            inPlace += inPlaceTime(context().costs, access.tokens);
            access.action = MissAction::InPlace;
        }
        std::ranges::stable_sort(m_absent, std::greater(), &ExpertAccess::tokens);
        Nanoseconds least = inPlace;
        std::size_t best = 0;
        for (std::size_t count = 1; count <= m_absent.size(); ++count) {
            inPlace -= inPlaceTime(context().costs, m_absent[count - 1]->tokens);
            fetched += fetchTime(context().costs, m_absent[count - 1]->tokens);
            if (std::max(inPlace, fetched) < least) least = std::max(inPlace, fetched), best = count;
        }
        for (std::size_t i = 0; i < best; ++i)
            m_absent[i]->action = MissAction::Fetch;
    }

    bool m_sum;
    std::vector<ExpertAccess*> m_absent;  ///< scratch
};

}  // namespace

PolicyEntry costModelPolicy() {
    return {{.name = "cost-model",
             .parameters = "objective=max (or sum)",
             .needs = "popularity; costs, which are measured",
             .source = "Fiddler (arXiv 2402.07033)",
             .summary = "The most popular experts stay on the device; each other one is fetched or computed where it "
                        "lies, as measured costs say.",
             .needsCosts = true,
             .prepared = {"popularity"}},
            [](Parameters& parameters) {
                return std::unique_ptr<Policy>(
                    std::make_unique<CostModel>(parameters.word("objective", {"max", "sum"}) == "sum"));
            }};
}

}  // namespace expertscope
