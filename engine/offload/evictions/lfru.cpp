// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/evictions/evictions.h"
#include "engine/offload/evictions/resident_buckets.h"

namespace expertscope {
namespace {

/// Least frequently and recently used: the score is uses / (now − last + 1), with uses counted as by lfu-incache, and
/// the time in accesses (one a step, layer and expert). Ties by recency. As in tinyserve (also vLLM pull request
/// 37190), where the time counts an admission apart from the use that asked for it and ties go by slot.
///
/// Of experts with equally many uses the one touched longest ago has the lowest score, so only the front of each bucket
/// is looked at; and none with u uses scores less than u / (the greatest age + 1), which ends the search early.
class Lfru final : public BucketRule {
public:
    void begin(const OffloadContext& context) override {
        BucketRule::begin(context);
        m_byRecency.begin(context.shape);
        m_demands.begin(context.shape);
        m_last.assign(static_cast<std::size_t>(context.shape.total()), 0);
        m_now = 0;
    }
    void onLayer(const RoutedLayer&, Predictors&) override { m_demands.onLayer(); }
    void onUse(int expert, std::int64_t, bool first) override {
        if (first) ++m_now;
        if (m_residents.holds(expert))
            touch(expert, m_residents.bucketOf(expert) + (first ? 1 : 0));
        else
            m_demands.used(expert);
    }
    void onAdmit(int expert, std::int64_t) override { touch(expert, m_demands.demanded(expert) ? 1 : 0); }
    void onLeave(int expert) override {
        BucketRule::onLeave(expert);
        m_byRecency.remove(expert);
    }
    double score(int expert) const override { return m_residents.bucketOf(expert) / age(expert); }
    int victim(const EvictionCandidates& candidates) const override;

private:
    void touch(int expert, int uses) {
        m_last[static_cast<std::size_t>(expert)] = m_now;
        m_residents.place(expert, uses);
        m_byRecency.place(expert, 0);
    }
    double age(int expert) const { return static_cast<double>(m_now - m_last[static_cast<std::size_t>(expert)] + 1); }

    ResidentBuckets m_byRecency;
    DemandedUses m_demands;
    std::vector<std::int64_t> m_last;  ///< [experts of all layers] in accesses
    std::int64_t m_now = 0;            ///< accesses so far
};

int Lfru::victim(const EvictionCandidates& candidates) const {
    const auto [lists, base] = m_residents.of(candidates.layer());
    const int oldest = m_byRecency.of(candidates.layer()).lists->front(0);
    if (oldest < 0) return -1;
    const double greatestAge = age(base + oldest);
    int best = -1;
    double bestScore = 0;
    for (int uses = lists->bucketFrom(0); uses >= 0; uses = lists->bucketFrom(uses + 1)) {
        if (best >= 0 && uses / greatestAge > bestScore) break;
        int at = lists->front(uses);
        while (at >= 0 && !candidates.contains(base + at))
            at = lists->after(at);
        if (at < 0) continue;
        const double own = score(base + at);
        if (best >= 0 && own > bestScore) continue;
        if (best >= 0 && own == bestScore && candidates.lastOrder(best) < candidates.lastOrder(base + at)) continue;
        best = base + at;
        bestScore = own;
    }
    return best;
}

}  // namespace

EvictionEntry lfruEviction() {
    return {{.name = "lfru",
             .summary = "The expert with the fewest uses since its admission for the time since its last use leaves.",
             .source = "tinyserve (GitHub), vLLM pull request 37190"},
            [](Parameters&) { return std::unique_ptr<EvictionRule>(std::make_unique<Lfru>()); }};
}

}  // namespace expertscope
