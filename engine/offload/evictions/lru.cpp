// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/evictions/evictions.h"

namespace expertscope {
namespace {

/// Least recently used: the score is the logical time of the last use or admission, in the order of tokens and their
/// slots.
class Lru final : public EvictionRule {
public:
    void begin(const OffloadContext& context) override { m_last.assign(static_cast<std::size_t>(context.shape.total()), 0); }
    void onUse(int expert, std::int64_t order, bool) override { m_last[static_cast<std::size_t>(expert)] = order; }
    void onAdmit(int expert, std::int64_t order) override { m_last[static_cast<std::size_t>(expert)] = order; }
    double score(int expert) const override { return static_cast<double>(m_last[static_cast<std::size_t>(expert)]); }

private:
    std::vector<std::int64_t> m_last;
};

}  // namespace

EvictionEntry lruEviction() {
    return {{.name = "lru", .summary = "The expert whose last use or admission lies furthest back leaves."},
            [](Parameters&) { return std::unique_ptr<EvictionRule>(std::make_unique<Lru>()); }};
}

}  // namespace expertscope
