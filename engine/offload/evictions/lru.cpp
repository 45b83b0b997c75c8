// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/evictions/evictions.h"
#include "engine/offload/evictions/resident_buckets.h"

namespace expertscope {
namespace {

/// Least recently used: the score is the logical time of the last use or admission, in the order of tokens and their
/// slots, so there are no ties. Below one token's demand (layers × top-k) it hits nothing.
class Lru final : public BucketRule {
public:
    void begin(const OffloadContext& context) override {
        BucketRule::begin(context);
        m_last.assign(static_cast<std::size_t>(context.shape.total()), 0);
    }
    void onUse(int expert, std::int64_t order, bool) override {
        m_last[static_cast<std::size_t>(expert)] = order;
        if (m_residents.holds(expert)) m_residents.place(expert, 0);
    }
    void onAdmit(int expert, std::int64_t order) override {
        m_last[static_cast<std::size_t>(expert)] = order;
        m_residents.place(expert, 0);
    }
    double score(int expert) const override { return static_cast<double>(m_last[static_cast<std::size_t>(expert)]); }

private:
    std::vector<std::int64_t> m_last;
};

}  // namespace

EvictionEntry lruEviction() {
    return {{.name = "lru",
             .summary = "The expert whose last use or admission lies furthest back leaves.",
             .source = "classical; per layer in Mixtral Offloading (arXiv 2312.17238) and AdapMoE"},
            [](Parameters&) { return std::unique_ptr<EvictionRule>(std::make_unique<Lru>()); }};
}

}  // namespace expertscope
