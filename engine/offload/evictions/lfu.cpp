// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/evictions/evictions.h"
#include "engine/offload/evictions/resident_buckets.h"

namespace expertscope {
namespace {

/// Least frequently used: one use counts a step and layer, since the run's start, kept over evictions. Ties by recency.
/// It is what MoE-Infinity's published dispatcher does, which clears its counts after the prompt and breaks ties by
/// expert.
class Lfu final : public BucketRule {
public:
    void begin(const OffloadContext& context) override {
        BucketRule::begin(context);
        m_uses.assign(static_cast<std::size_t>(context.shape.total()), 0);
    }
    void onUse(int expert, std::int64_t, bool first) override {
        int& uses = m_uses[static_cast<std::size_t>(expert)];
        if (first) ++uses;
        if (m_residents.holds(expert)) m_residents.place(expert, uses);
    }
    void onAdmit(int expert, std::int64_t) override {
        m_residents.place(expert, m_uses[static_cast<std::size_t>(expert)]);
    }
    double score(int expert) const override { return m_uses[static_cast<std::size_t>(expert)]; }

private:
    std::vector<int> m_uses;
};

}  // namespace

EvictionEntry lfuEviction() {
    return {{.name = "lfu",
             .summary = "The expert with the fewest uses since the run's start leaves; ties by recency.",
             .source = "classical; MoE-Infinity's published dispatcher"},
            [](Parameters&) { return std::unique_ptr<EvictionRule>(std::make_unique<Lfu>()); }};
}

}  // namespace expertscope
