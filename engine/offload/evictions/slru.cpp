// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cmath>

#include "engine/offload/evictions/evictions.h"
#include "engine/offload/evictions/resident_buckets.h"

namespace expertscope {
namespace {

constexpr int kProbation = 0, kProtected = 1;
/// Beyond every logical time, and small enough that a time added to it stays exact.
constexpr double kBeyond = 4503599627370496;  // 2^52

/// Segmented LRU: an admitted expert is on probation; its second access moves it to the protected segment, whose least
/// recent then goes back to the recent end of probation when the segment is full. The least recently placed one on
/// probation leaves, and a protected one only when there is no other. No ties. Accesses count one a step, layer and
/// expert; further choices of a step refresh the place in the segment. A prefetched expert's first use is its first.
///
/// Source: Karedla, Love and Wherry, "Caching strategies to improve disk system performance" (1994), as in tinyserve,
/// whose protected share is 80 %. Differs in that an empty protected segment leaves its room to the other one. With
/// scope=layer each layer has segments of its own.
class Slru final : public BucketRule {
public:
    explicit Slru(double probation) : m_probation(probation) {}

    void begin(const OffloadContext& context) override {
        BucketRule::begin(context);
        m_shape = context.shape;
        m_demands.begin(m_shape);
        m_placed.assign(static_cast<std::size_t>(m_shape.total()), 0);
        m_used.assign(static_cast<std::size_t>(m_shape.total()), 0);
        const std::vector<int> sizes = perLayer() ? equalShares(m_shape) : std::vector{m_shape.slots};
        m_mayProtect.clear();
        for (const int size : sizes) {
            const int probation = static_cast<int>(std::lround(m_probation * size));
            m_mayProtect.push_back(std::max(size - std::max(probation, 1), 0));
        }
        m_protected.assign(sizes.size(), 0);
    }
    void onLayer(const RoutedLayer&, Predictors&) override { m_demands.onLayer(); }
    void onUse(int expert, std::int64_t order, bool first) override {
        const auto at = static_cast<std::size_t>(expert);
        if (!m_residents.holds(expert)) {
            m_demands.used(expert);
            return;
        }
        m_placed[at] = order;
        const bool second = first && m_used[at];
        m_used[at] = m_used[at] || first;
        const std::size_t pool = poolOf(expert);
        if (!second || m_residents.bucketOf(expert) == kProtected || m_mayProtect[pool] == 0) {
            m_residents.place(expert, m_residents.bucketOf(expert));
            return;
        }
        if (m_protected[pool] == m_mayProtect[pool])
            demote(perLayer() ? expert / m_shape.experts : -1, order);
        else
            ++m_protected[pool];
        m_residents.place(expert, kProtected);
    }
    void onAdmit(int expert, std::int64_t order) override {
        m_placed[static_cast<std::size_t>(expert)] = order;
        m_used[static_cast<std::size_t>(expert)] = m_demands.demanded(expert);
        m_residents.place(expert, kProbation);
    }
    void onLeave(int expert) override {
        if (m_residents.bucketOf(expert) == kProtected) --m_protected[poolOf(expert)];
        BucketRule::onLeave(expert);
    }
    double score(int expert) const override {
        const auto placed = static_cast<double>(m_placed[static_cast<std::size_t>(expert)]);
        return m_residents.bucketOf(expert) == kProtected ? kBeyond + placed : placed;
    }

private:
    std::size_t poolOf(int expert) const { return perLayer() ? static_cast<std::size_t>(expert / m_shape.experts) : 0; }
    void demote(int layer, std::int64_t order) {
        const auto [lists, base] = m_residents.of(layer);
        const int expert = base + lists->front(kProtected);
        m_placed[static_cast<std::size_t>(expert)] = order;
        m_residents.place(expert, kProbation);
    }

    double m_probation;
    OffloadShape m_shape;
    DemandedUses m_demands;
    std::vector<std::int64_t> m_placed;  ///< [experts of all layers] order in its segment
    std::vector<char> m_used;            ///< [experts of all layers] since its admission, which a use asked for or not
    std::vector<int> m_mayProtect;       ///< [pools] experts
    std::vector<int> m_protected;        ///< [pools] experts
};

}  // namespace

EvictionEntry slruEviction() {
    return {
        {.name = "slru",
         .summary = "The least recent expert of those used once leaves; those used again are protected.",
         .parameters = "probation=0.2",
         .source = "Karedla et al. 1994; tinyserve (GitHub)"},
        [](Parameters& parameters) {
            return std::unique_ptr<EvictionRule>(std::make_unique<Slru>(parameters.number("probation", 0.2, 0.0, 1.0)));
        }};
}

}  // namespace expertscope
