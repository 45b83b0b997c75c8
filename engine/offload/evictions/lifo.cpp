// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/evictions/evictions.h"
#include "engine/offload/evictions/resident_buckets.h"

namespace expertscope {
namespace {

/// Last in, first out: the score is the negative logical time of the admission; uses change nothing. No ties. Layers
/// come in a cycle, so what was admitted last is needed again last. Pre-gated MoE (arXiv 2308.12066) studies it for the
/// cache beside its buffers.
class Lifo final : public BucketRule {
public:
    void begin(const OffloadContext& context) override {
        BucketRule::begin(context);
        m_admitted.assign(static_cast<std::size_t>(context.shape.total()), 0);
    }
    void onUse(int, std::int64_t, bool) override {}
    void onAdmit(int expert, std::int64_t order) override {
        m_admitted[static_cast<std::size_t>(expert)] = order;
        m_residents.place(expert, 0);
    }
    double score(int expert) const override {
        return -static_cast<double>(m_admitted[static_cast<std::size_t>(expert)]);
    }
    int victim(const EvictionCandidates& candidates) const override {
        const auto [lists, base] = m_residents.of(candidates.layer());
        for (int at = lists->back(0); at >= 0; at = lists->before(at))
            if (candidates.contains(base + at)) return base + at;
        return -1;
    }

private:
    std::vector<std::int64_t> m_admitted;
};

}  // namespace

EvictionEntry lifoEviction() {
    return {{.name = "lifo",
             .summary = "The expert that was admitted last leaves.",
             .source = "Pre-gated MoE (arXiv 2308.12066)"},
            [](Parameters&) { return std::unique_ptr<EvictionRule>(std::make_unique<Lifo>()); }};
}

}  // namespace expertscope
