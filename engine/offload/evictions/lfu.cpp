// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/evictions/evictions.h"

namespace expertscope {
namespace {

/// Least frequently used: one use counts a step and layer, since the run's start, kept over evictions. Ties by recency.
class Lfu final : public EvictionRule {
public:
    void begin(const OffloadContext& context) override {
        m_uses.assign(static_cast<std::size_t>(context.shape.total()), 0);
    }
    void onUse(int expert, std::int64_t, bool first) override {
        if (first) ++m_uses[static_cast<std::size_t>(expert)];
    }
    void onAdmit(int, std::int64_t) override {}
    double score(int expert) const override { return static_cast<double>(m_uses[static_cast<std::size_t>(expert)]); }

private:
    std::vector<std::int64_t> m_uses;
};

}  // namespace

EvictionEntry lfuEviction() {
    return {
        {.name = "lfu", .summary = "The expert with the fewest uses since the run's start leaves; ties by recency."},
        [](Parameters&) { return std::unique_ptr<EvictionRule>(std::make_unique<Lfu>()); }};
}

}  // namespace expertscope
