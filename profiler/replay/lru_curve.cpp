// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/lru_curve.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace expertscope {
namespace {

/// The recency stack: sizes of experts in order of their last use, with prefix sums in O(log m). Sizes are in units.
class RecencyStack {
public:
    explicit RecencyStack(int experts)
        : m_capacity(std::bit_ceil(static_cast<std::size_t>(std::max(experts, 32)) * 2)),
          m_tree(m_capacity + 1, 0),
          m_owner(m_capacity + 1, -1),
          m_place(static_cast<std::size_t>(experts), 0) {}

    /// 1…: its place from the bottom; 0 where it was never used.
    std::size_t place(std::int32_t expert) const { return m_place[static_cast<std::size_t>(expert)]; }
    std::size_t top() const { return m_top; }
    /// Units of the experts at `place` and above it.
    std::int64_t depth(std::size_t place) const { return m_units - sumBelow(place); }

    /// Room for so many more at the top, so that places stay as they are while a group is put there.
    void makeRoom(std::size_t count) {
        if (m_top + count > m_capacity) renumber();
    }
    void moveToTop(std::int32_t expert, std::int64_t units) {
        std::size_t& place = m_place[static_cast<std::size_t>(expert)];
        if (place > 0) {
            add(place, -units);
            m_owner[place] = -1;
        } else {
            m_units += units;
        }
        place = ++m_top;
        m_owner[place] = expert;
        add(place, units);
    }

private:
    std::int64_t sumBelow(std::size_t place) const {
        std::int64_t sum = 0;
        for (std::size_t i = place - 1; i > 0; i &= i - 1)
            sum += m_tree[i];
        return sum;
    }
    void add(std::size_t place, std::int64_t units) {
        for (std::size_t i = place; i <= m_capacity; i += i & (~i + 1))
            m_tree[i] += units;
    }
    /// Closes the gaps. Half of the places at least are gaps then, so an access pays for two at most.
    void renumber() {
        std::vector<std::int64_t> units(m_capacity + 1, 0);
        std::size_t live = 0;
        for (std::size_t place = 1; place <= m_top; ++place) {
            const std::int32_t expert = m_owner[place];
            if (expert < 0) continue;
            units[++live] = depth(place) - (place < m_capacity ? depth(place + 1) : 0);
            m_owner[live] = expert;
            m_place[static_cast<std::size_t>(expert)] = live;
        }
        std::fill(m_owner.begin() + static_cast<std::ptrdiff_t>(live) + 1, m_owner.end(), -1);
        m_top = live;
        for (std::size_t i = 1; i <= m_capacity; ++i) {
            const std::size_t parent = i + (i & (~i + 1));
            if (parent <= m_capacity) units[parent] += units[i];
        }
        m_tree = std::move(units);
    }

    std::size_t m_capacity;
    std::vector<std::int64_t> m_tree;   ///< Fenwick tree over places
    std::vector<std::int32_t> m_owner;  ///< [places] expert, −1 = gap
    std::vector<std::size_t> m_place;   ///< [experts]
    std::size_t m_top = 0;
    std::int64_t m_units = 0;
};

}  // namespace

/// Walks the trace and gathers hits by distance.
class LruCurveBuilder {
public:
    LruCurveBuilder(const RoutingTrace& trace, LruCurve& curve) : m_trace(trace), m_curve(curve) {
        for (int layer = 0; layer < trace.layers(); ++layer)
            m_unit = std::gcd(m_unit, trace.expertBytes(LayerIndex(layer)));
        m_unit = std::max<std::int64_t>(m_unit, 1);
        std::int64_t bins = 1;
        for (int layer = 0; layer < trace.layers(); ++layer) {
            m_units.push_back(trace.expertBytes(LayerIndex(layer)) / m_unit);
            bins += m_units.back() * trace.experts();
        }
        // Sizes with a small common divisor have too many distances to count each in its place.
        m_counted = bins <= kMostBins;
        if (m_counted) m_bins.resize(static_cast<std::size_t>(bins));
    }

    void build() {
        RecencyStack stack(m_trace.total());
        std::size_t before = 0;  // experts of the group before
        for (std::size_t g = 0; g < m_trace.groups().size(); ++g) {
            const auto accesses = m_trace.accesses(g);
            const RoutingTrace::Group& group = m_trace.groups()[g];
            const std::int64_t units = m_units[group.layer.index()];
            const bool decode = m_trace.decodes(group);
            stack.makeRoom(accesses.size());
            // What the step before used stays even where it alone exceeds the budget.
            const bool sameLayer = g > 0 && m_trace.groups()[g - 1].layer == group.layer;
            const std::size_t kept = sameLayer ? stack.top() - before : stack.top();
            for (const std::int32_t expert : accesses) {
                const std::size_t place = stack.place(expert);
                if (place == 0) {
                    ++m_curve.m_compulsory;
                    m_curve.m_compulsoryBytes += units * m_unit;
                } else {
                    hit(place > kept ? 0 : stack.depth(place), decode, units);
                }
            }
            for (const std::int32_t expert : m_trace.lastUses(g))
                stack.moveToTop(expert, units);
            before = accesses.size();
            const auto count = static_cast<std::int64_t>(accesses.size());
            m_curve.m_accesses += count;
            m_curve.m_accessBytes += count * units * m_unit;
            if (decode) m_curve.m_decodeAccesses += count;
        }
        gather();
    }

private:
    static constexpr std::int64_t kMostBins = std::int64_t{1} << 22;
    struct Bin {
        std::int64_t hits = 0, decodeHits = 0, units = 0;
    };

    void hit(std::int64_t distance, bool decode, std::int64_t units) {
        if (!m_counted) {
            m_single.push_back({distance, {1, decode ? 1 : 0, units}});
            return;
        }
        Bin& bin = m_bins[static_cast<std::size_t>(distance)];
        ++bin.hits;
        bin.decodeHits += decode ? 1 : 0;
        bin.units += units;
    }

    void gather() {
        LruCurve::Counts sum;
        const auto take = [&](std::int64_t distance, const Bin& bin) {
            sum.hits += bin.hits;
            sum.decodeHits += bin.decodeHits;
            sum.hitBytes += bin.units * m_unit;
            const std::int64_t budget = distance * m_unit;
            if (!m_curve.m_budgets.empty() && m_curve.m_budgets.back() == budget) {
                m_curve.m_counts.back() = sum;
                return;
            }
            m_curve.m_budgets.push_back(budget);
            m_curve.m_counts.push_back(sum);
        };
        for (std::size_t distance = 0; distance < m_bins.size(); ++distance)
            if (m_bins[distance].hits > 0) take(static_cast<std::int64_t>(distance), m_bins[distance]);
        std::ranges::sort(m_single, {}, &std::pair<std::int64_t, Bin>::first);
        for (const auto& [distance, bin] : m_single)
            take(distance, bin);
    }

    const RoutingTrace& m_trace;
    LruCurve& m_curve;
    std::int64_t m_unit = 0;            ///< bytes
    std::vector<std::int64_t> m_units;  ///< [layers] of one expert
    bool m_counted = true;
    std::vector<Bin> m_bins;  ///< [distance]
    std::vector<std::pair<std::int64_t, Bin>> m_single;
};

LruCurve::LruCurve(const RoutingTrace& trace) { LruCurveBuilder(trace, *this).build(); }

LruCurve::Counts LruCurve::at(std::int64_t budgetBytes) const {
    const auto above = std::ranges::upper_bound(m_budgets, budgetBytes);
    if (above == m_budgets.begin()) return {};
    return m_counts[static_cast<std::size_t>(above - m_budgets.begin()) - 1];
}

std::int64_t tokenDemandBytes(const RoutingTrace& trace) {
    std::int64_t most = 0;
    for (const RoutingTrace::Step& step : trace.steps()) {
        if (step.phase != Phase::Decode) continue;
        std::int64_t bytes = 0;
        for (std::uint32_t g = step.firstGroup; g < step.firstGroup + step.groups; ++g)
            bytes += static_cast<std::int64_t>(trace.accesses(g).size()) * trace.expertBytes(trace.groups()[g].layer);
        most = std::max(most, bytes);
    }
    return most;
}

}  // namespace expertscope
