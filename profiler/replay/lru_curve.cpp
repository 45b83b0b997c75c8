// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/lru_curve.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

namespace expertscope {
namespace {

/// The recency stack: which places, from the least recently used expert at the bottom to the latest at the top, are
/// taken, and the units of size of those from a place on. Plain equivalent: a list.
///
/// A bit a place says whether it is taken; 64 places are a word, kSide words a row, and both keep the sum of their
/// units. A move changes two of each, and a depth adds up neighbours: rows, words of a row, and of one word the bits,
/// or, where experts differ in size, the units of its places. For some ten thousand experts all of it stays in the
/// first cache, which makes it faster than a Fenwick tree.
class RecencyStack {
public:
    /// `uniform`: every expert has one unit.
    RecencyStack(int experts, bool uniform)
        : m_capacity(std::bit_ceil(static_cast<std::size_t>(std::max(experts, kWord * kSide / 2)) * 2)),
          m_taken(m_capacity / kWord, 0),
          m_words(m_capacity / kWord, 0),
          m_rows(m_capacity / kWord / kSide, 0),
          m_units(uniform ? 0 : m_capacity, 0),
          m_place(static_cast<std::size_t>(experts), kNever) {}

    static constexpr std::uint32_t kNever = ~std::uint32_t{0};
    /// From the bottom; kNever where it was never used.
    std::uint32_t place(std::int32_t expert) const { return m_place[static_cast<std::size_t>(expert)]; }
    std::size_t top() const { return m_top; }
    /// Units of the experts at `place` and above it.
    std::int64_t depth(std::size_t place) const {
        const std::size_t word = place / kWord, row = word / kSide;
        const std::int64_t inWord =
            m_units.empty() ? std::popcount(m_taken[word] & below(place)) : sum(m_units, word * kWord, place);
        return m_sum - sum(m_rows, 0, row) - sum(m_words, row * kSide, word) - inWord;
    }

    /// Room for so many more at the top, so that places stay as they are while a group is put there.
    void makeRoom(std::size_t count) {
        if (m_top + count > m_capacity) renumber();
    }
    void moveToTop(std::int32_t expert, std::int64_t units) {
        std::uint32_t& place = m_place[static_cast<std::size_t>(expert)];
        if (place != kNever) {
            m_taken[place / kWord] &= ~bit(place);
            add(place, -units);
        }
        place = static_cast<std::uint32_t>(m_top++);
        m_taken[place / kWord] |= bit(place);
        add(place, units);
    }

private:
    static constexpr int kWord = 64, kSide = 16;

    static std::uint64_t bit(std::size_t place) { return std::uint64_t{1} << (place % kWord); }
    static std::uint64_t below(std::size_t place) { return bit(place) - 1; }
    static std::int64_t sum(const std::vector<std::int64_t>& of, std::size_t from, std::size_t to) {
        return std::reduce(of.begin() + static_cast<std::ptrdiff_t>(from), of.begin() + static_cast<std::ptrdiff_t>(to),
                           std::int64_t{0});
    }
    void add(std::size_t place, std::int64_t units) {
        if (!m_units.empty()) m_units[place] += units;
        m_words[place / kWord] += units;
        m_rows[place / kWord / kSide] += units;
        m_sum += units;
    }
    /// Closes the gaps. Half of the places at least are gaps then, so an access pays for two at most.
    void renumber() {
        std::vector<std::uint32_t> before(m_taken.size() + 1, 0);  // [words] places taken below it
        for (std::size_t word = 0; word < m_taken.size(); ++word)
            before[word + 1] = before[word] + static_cast<std::uint32_t>(std::popcount(m_taken[word]));
        const std::vector<std::uint64_t> taken = std::exchange(m_taken, std::vector<std::uint64_t>(m_taken.size(), 0));
        const std::vector<std::int64_t> units = std::exchange(m_units, std::vector<std::int64_t>(m_units.size(), 0));
        std::ranges::fill(m_words, 0);
        std::ranges::fill(m_rows, 0);
        m_sum = 0;
        m_top = before.back();
        for (std::uint32_t& place : m_place) {
            if (place == kNever) continue;
            const std::uint32_t old = place, word = old / kWord;
            place = before[word] + static_cast<std::uint32_t>(std::popcount(taken[word] & below(old)));
            m_taken[place / kWord] |= bit(place);
            add(place, units.empty() ? 1 : units[old]);
        }
    }

    std::size_t m_capacity;
    std::vector<std::uint64_t> m_taken;  ///< [places / kWord]
    std::vector<std::int64_t> m_words;   ///< [places / kWord] units
    std::vector<std::int64_t> m_rows;    ///< [places / kWord / kSide] units
    std::vector<std::int64_t> m_units;   ///< [places]; empty where all are 1
    std::vector<std::uint32_t> m_place;  ///< [experts]
    std::size_t m_top = 0;               ///< where the next one is put
    std::int64_t m_sum = 0;
};

/// Hits by stack distance.
class HitsByDistance {
public:
    /// Distances are below `end`.
    HitsByDistance(std::int64_t end, bool uniform) : m_uniform(uniform), m_counted(end <= kMostBins) {
        if (!m_counted) return;
        const auto bins = static_cast<std::size_t>(end);
        m_hits.resize(bins);
        m_promptHits.resize(bins);
        if (!uniform) m_units.resize(bins);
    }
    void add(std::int64_t distance, bool decode, std::int64_t units) {
        if (!m_counted) {
            m_single.push_back({distance, units, decode});
            return;
        }
        const auto bin = static_cast<std::size_t>(distance);
        ++m_hits[bin];
        if (!decode) ++m_promptHits[bin];
        if (!m_uniform) m_units[bin] += units;
    }
    /// Gives every hit: distance, hits, decode hits, units; distances ascend.
    template <class Take>
    void each(const Take& take) {
        for (std::size_t bin = 0; bin < m_hits.size(); ++bin)
            if (m_hits[bin] > 0)
                take(static_cast<std::int64_t>(bin), m_hits[bin], m_hits[bin] - m_promptHits[bin],
                     m_uniform ? m_hits[bin] : m_units[bin]);
        std::ranges::sort(m_single, {}, &Single::distance);
        for (const Single& hit : m_single)
            take(hit.distance, 1, hit.decode ? 1 : 0, hit.units);
    }

private:
    // Sizes with a small common divisor have too many distances to count each in its place.
    static constexpr std::int64_t kMostBins = std::int64_t{1} << 22;
    struct Single {
        std::int64_t distance, units;
        bool decode;
    };

    bool m_uniform, m_counted;
    std::vector<std::uint32_t> m_hits, m_promptHits;  ///< [distance]
    std::vector<std::int64_t> m_units;                ///< [distance]; empty where all are 1
    std::vector<Single> m_single;
};

}  // namespace

/// Walks the trace and gathers hits by distance.
class LruCurveBuilder {
public:
    LruCurveBuilder(const RoutingTrace& trace, LruCurve& curve) : m_trace(trace), m_curve(curve) {
        for (int layer = 0; layer < trace.layers(); ++layer)
            m_unit = std::gcd(m_unit, trace.expertBytes(LayerIndex(layer)));
        m_unit = std::max<std::int64_t>(m_unit, 1);
        for (int layer = 0; layer < trace.layers(); ++layer) {
            m_units.push_back(trace.expertBytes(LayerIndex(layer)) / m_unit);
            m_all += m_units.back() * trace.experts();
        }
    }

    void build() {
        const bool uniform = std::ranges::all_of(m_units, [](std::int64_t units) { return units == 1; });
        RecencyStack stack(m_trace.total(), uniform);
        HitsByDistance hits(m_all + 1, uniform);
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
                const std::uint32_t place = stack.place(expert);
                if (place == RecencyStack::kNever) {
                    ++m_curve.m_compulsory;
                    m_curve.m_compulsoryBytes += units * m_unit;
                } else {
                    hits.add(place >= kept ? 0 : stack.depth(place), decode, units);
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
        gather(hits);
    }

private:
    void gather(HitsByDistance& hits) {
        LruCurve::Counts sum;
        hits.each([&](std::int64_t distance, std::int64_t all, std::int64_t decode, std::int64_t units) {
            sum.hits += all;
            sum.decodeHits += decode;
            sum.hitBytes += units * m_unit;
            const std::int64_t budget = distance * m_unit;
            if (!m_curve.m_budgets.empty() && m_curve.m_budgets.back() == budget) {
                m_curve.m_counts.back() = sum;
                return;
            }
            m_curve.m_budgets.push_back(budget);
            m_curve.m_counts.push_back(sum);
        });
    }

    const RoutingTrace& m_trace;
    LruCurve& m_curve;
    std::int64_t m_unit = 0;            ///< bytes
    std::vector<std::int64_t> m_units;  ///< [layers] of one expert
    std::int64_t m_all = 0;             ///< units of all experts
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
