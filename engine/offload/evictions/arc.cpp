// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "engine/offload/evictions/evictions.h"
#include "engine/offload/evictions/resident_buckets.h"

namespace expertscope {
namespace {

constexpr int kOnce = 0, kOften = 1;
/// Beyond every logical time, and small enough that a time added to it stays exact.
constexpr double kBeyond = 4503599627370496;  // 2^52

/// Adaptive replacement cache: T1 holds what was accessed once since it came, T2 what was accessed again, each by
/// recency; B1 and B2 remember who left them. An expert that comes back from B1 (B2) raises (lowers) the target p for
/// |T1| by max(1, |B2| ÷ |B1|) (max(1, |B1| ÷ |B2|)) and enters T2. The least recent of T1 leaves while |T1| > p, or
/// |T1| = p and the one that comes is in B2; else that of T2; the other list's where all of one are guarded. The
/// histories keep |T1| + |B1| ≤ c and all four lists ≤ 2c. No ties. Accesses count one a step, layer and expert; a
/// prefetched expert's first use is its first access. With scope=layer each layer has lists of its own.
///
/// Source: Megiddo and Modha, "ARC: A self-tuning, low overhead replacement cache" (FAST 2003), figure 4. Differs in
/// that slots may become free otherwise (a policy releases an expert), which then joins the history of its list.
class Arc final : public BucketRule {
public:
    void begin(const OffloadContext& context) override {
        BucketRule::begin(context);
        m_shape = context.shape;
        m_ghosts.begin(m_shape);
        m_demands.begin(m_shape);
        m_last.assign(static_cast<std::size_t>(m_shape.total()), 0);
        m_used.assign(static_cast<std::size_t>(m_shape.total()), 0);
        m_pools.clear();
        for (const int slots : perLayer() ? equalShares(m_shape) : std::vector{m_shape.slots})
            m_pools.push_back({.capacity = slots});
        m_needed = -1;
    }
    void onLayer(const RoutedLayer&, Predictors&) override { m_demands.onLayer(); }
    void onUse(int expert, std::int64_t order, bool first) override;
    void onNeed(int expert) override;
    void onAdmit(int expert, std::int64_t order) override;
    void onLeave(int expert) override;
    double score(int expert) const override {
        const auto last = static_cast<double>(m_last[static_cast<std::size_t>(expert)]);
        return m_residents.bucketOf(expert) == leaving(pool(expert)) ? last : kBeyond + last;
    }
    int victim(const EvictionCandidates& candidates) const override;

private:
    struct Pool {
        int capacity = 0;
        double target = 0;               ///< p
        bool fromOften = false;          ///< the one that comes is in B2
        std::int64_t held[2] = {0, 0};   ///< T1, T2
        std::int64_t known[2] = {0, 0};  ///< B1, B2
    };
    const Pool& pool(int expert) const {
        return m_pools[perLayer() ? static_cast<std::size_t>(expert / m_shape.experts) : 0];
    }
    Pool& pool(int expert) { return m_pools[perLayer() ? static_cast<std::size_t>(expert / m_shape.experts) : 0]; }
    /// The list whose least recent expert is to leave.
    static int leaving(const Pool& pool) {
        const auto once = static_cast<double>(pool.held[kOnce]);
        return once > pool.target || (pool.fromOften && once == pool.target && once > 0) ? kOnce : kOften;
    }
    static double adapted(const Pool& pool, int ghost);
    void forget(Pool& pool, int expert);
    void trim(Pool& pool, int expert);

    OffloadShape m_shape;
    ResidentBuckets m_ghosts;
    DemandedUses m_demands;
    std::vector<std::int64_t> m_last;  ///< [experts of all layers] order of the last use or admission
    std::vector<char> m_used;          ///< [experts of all layers] since its admission, which a use asked for or not
    std::vector<Pool> m_pools;         ///< one, or one a layer
    int m_needed = -1;                 ///< whose coming the targets are set for
    double m_targetBefore = 0;         ///< of its pool
};

void Arc::onUse(int expert, std::int64_t order, bool first) {
    const auto at = static_cast<std::size_t>(expert);
    if (!m_residents.holds(expert)) {
        m_demands.used(expert);
        return;
    }
    m_last[at] = order;
    const bool again = first && m_used[at];
    m_used[at] = m_used[at] || first;
    const int from = m_residents.bucketOf(expert);
    const int to = again ? kOften : from;
    --pool(expert).held[from];
    ++pool(expert).held[to];
    m_residents.place(expert, to);
}

double Arc::adapted(const Pool& pool, int ghost) {
    const auto once = static_cast<double>(pool.known[kOnce]), often = static_cast<double>(pool.known[kOften]);
    if (ghost == kOnce) return std::min(pool.target + std::max(often / once, 1.0), static_cast<double>(pool.capacity));
    if (ghost == kOften) return std::max(pool.target - std::max(once / often, 1.0), 0.0);
    return pool.target;
}

void Arc::onNeed(int expert) {
    Pool& at = pool(expert);
    if (m_needed >= 0) {  // that one found no slot
        pool(m_needed).target = m_targetBefore;
        pool(m_needed).fromOften = false;
    }
    m_needed = expert;
    m_targetBefore = at.target;
    at.target = adapted(at, m_ghosts.bucketOf(expert));
    at.fromOften = m_ghosts.bucketOf(expert) == kOften;
}

void Arc::onAdmit(int expert, std::int64_t order) {
    if (m_needed != expert) onNeed(expert);
    m_needed = -1;
    Pool& at = pool(expert);
    at.fromOften = false;
    const int to = m_ghosts.holds(expert) ? kOften : kOnce;
    forget(at, expert);
    m_last[static_cast<std::size_t>(expert)] = order;
    m_used[static_cast<std::size_t>(expert)] = m_demands.demanded(expert);
    m_residents.place(expert, to);
    ++at.held[to];
    trim(at, expert);
}

void Arc::onLeave(int expert) {
    Pool& at = pool(expert);
    const int from = m_residents.bucketOf(expert);
    --at.held[from];
    BucketRule::onLeave(expert);
    m_ghosts.place(expert, from);
    ++at.known[from];
}

void Arc::forget(Pool& at, int expert) {
    if (!m_ghosts.holds(expert)) return;
    --at.known[m_ghosts.bucketOf(expert)];
    m_ghosts.remove(expert);
}

void Arc::trim(Pool& at, int expert) {
    const auto [lists, base] = m_ghosts.of(perLayer() ? expert / m_shape.experts : -1);
    while (at.known[kOnce] > 0 && at.held[kOnce] + at.known[kOnce] > at.capacity)
        forget(at, base + lists->front(kOnce));
    while (at.known[kOften] > 0 &&
           at.held[kOnce] + at.known[kOnce] + at.held[kOften] + at.known[kOften] > 2 * at.capacity)
        forget(at, base + lists->front(kOften));
}

int Arc::victim(const EvictionCandidates& candidates) const {
    const int layer = candidates.layer();
    if (perLayer() && layer < 0) return EvictionRule::victim(candidates);  // layers without a share: few slots
    const int first = leaving(m_pools[perLayer() ? static_cast<std::size_t>(layer) : 0]);
    const auto [lists, base] = m_residents.of(layer);
    for (const int bucket : {first, 1 - first})
        for (int at = lists->front(bucket); at >= 0; at = lists->after(at))
            if (candidates.contains(base + at)) return base + at;
    return -1;
}

}  // namespace

EvictionEntry arcEviction() {
    return {{.name = "arc",
             .summary = "Recency and frequency share the slots by which of them would have kept what comes back.",
             .source = "Megiddo and Modha, FAST 2003; MoE-Infinity (2026) offers it"},
            [](Parameters&) { return std::unique_ptr<EvictionRule>(std::make_unique<Arc>()); }};
}

}  // namespace expertscope
