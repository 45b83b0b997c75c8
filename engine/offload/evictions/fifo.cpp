// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/evictions/evictions.h"
#include "engine/offload/evictions/resident_buckets.h"

namespace expertscope {
namespace {

/// First in, first out: the score is the logical time of the admission; uses change nothing. No ties.
class Fifo final : public BucketRule {
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
        return static_cast<double>(m_admitted[static_cast<std::size_t>(expert)]);
    }

private:
    std::vector<std::int64_t> m_admitted;
};

}  // namespace

EvictionEntry fifoEviction() {
    return {{.name = "fifo", .summary = "The expert that was admitted first leaves.", .source = "classical"},
            [](Parameters&) { return std::unique_ptr<EvictionRule>(std::make_unique<Fifo>()); }};
}

}  // namespace expertscope
