// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/evictions/evictions.h"
#include "engine/offload/evictions/resident_buckets.h"

namespace expertscope {
namespace {

/// Least frequently used in the cache: uses since the admission, the one that asked for it included; one counts a step
/// and layer. Ties by recency. As in tinyserve, where however the count starts at 1 for a prefetch too and ties go by
/// expert; here a prefetched expert has 0 until it is used. FineMoE's code also forgets its counts on eviction.
class LfuInCache final : public BucketRule {
public:
    void begin(const OffloadContext& context) override {
        BucketRule::begin(context);
        m_demands.begin(context.shape);
    }
    void onLayer(const RoutedLayer&, Predictors&) override { m_demands.onLayer(); }
    void onUse(int expert, std::int64_t, bool first) override {
        if (m_residents.holds(expert))
            m_residents.place(expert, m_residents.bucketOf(expert) + (first ? 1 : 0));
        else
            m_demands.used(expert);
    }
    void onAdmit(int expert, std::int64_t) override { m_residents.place(expert, m_demands.demanded(expert) ? 1 : 0); }
    double score(int expert) const override { return m_residents.bucketOf(expert); }

private:
    DemandedUses m_demands;
};

}  // namespace

EvictionEntry lfuInCacheEviction() {
    return {{.name = "lfu-incache",
             .summary = "The expert with the fewest uses since its admission leaves; ties by recency.",
             .source = "tinyserve (GitHub); FineMoE's code counts likewise"},
            [](Parameters&) { return std::unique_ptr<EvictionRule>(std::make_unique<LfuInCache>()); }};
}

}  // namespace expertscope
