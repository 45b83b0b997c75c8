// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/hit_curve.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <future>
#include <limits>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "profiler/analysis/number_text.h"
#include "profiler/analysis/routing/expert_marks.h"
#include "profiler/analysis/routing/random_choices.h"

namespace expertscope {
namespace {

/// Distinct experts from the most recent use down to a given one: a bit for each place in the order of last uses, and
/// the number of bits of every 64 and of every 1024 places, so that what lies above a place is a sum of few numbers.
class RecencyStack {
public:
    explicit RecencyStack(std::int32_t experts)
        : m_at(static_cast<std::size_t>(experts), -1),
          m_expertAt((2 * static_cast<std::size_t>(experts) + 63) / 64 * 64, -1),
          m_bits(m_expertAt.size() / 64),
          m_counts(m_bits.size()),
          m_groupCounts(m_bits.size() / kGroup + 1) {}

    /// 1 for the most recently used; 0 where it was never used.
    std::int32_t depth(std::int32_t expert) const {
        const std::int32_t at = m_at[static_cast<std::size_t>(expert)];
        if (at < 0) return 0;
        const auto word = static_cast<std::size_t>(at) / 64;
        std::int32_t sum = std::popcount(m_bits[word] >> (static_cast<unsigned>(at) % 64));
        const std::size_t group = word / kGroup, end = std::min((group + 1) * kGroup, m_counts.size());
        for (std::size_t above = word + 1; above < end; ++above)
            sum += m_counts[above];
        const std::size_t last = m_next / 64 / kGroup;
        for (std::size_t above = group + 1; above <= last && above < m_groupCounts.size(); ++above)
            sum += m_groupCounts[above];
        return sum;
    }
    void use(std::int32_t expert) {
        if (m_next == m_expertAt.size()) renumber();
        std::int32_t& at = m_at[static_cast<std::size_t>(expert)];
        if (at >= 0) {
            const auto place = static_cast<std::size_t>(at);
            m_expertAt[place] = -1;
            m_bits[place / 64] &= ~(std::uint64_t{1} << (place % 64));
            --m_counts[place / 64];
            --m_groupCounts[place / 64 / kGroup];
        }
        at = static_cast<std::int32_t>(m_next);
        put(expert);
    }

private:
    static constexpr std::size_t kGroup = 16;  ///< words

    /// At the next place.
    void put(std::int32_t expert) {
        m_expertAt[m_next] = expert;
        m_bits[m_next / 64] |= std::uint64_t{1} << (m_next % 64);
        ++m_counts[m_next / 64];
        ++m_groupCounts[m_next / 64 / kGroup];
        ++m_next;
    }
    void renumber() {
        const std::vector<std::int32_t> old =
            std::exchange(m_expertAt, std::vector<std::int32_t>(m_expertAt.size(), -1));
        std::ranges::fill(m_bits, 0);
        std::ranges::fill(m_counts, std::uint8_t{0});
        std::ranges::fill(m_groupCounts, 0);
        m_next = 0;
        for (const std::int32_t expert : old) {
            if (expert < 0) continue;
            m_at[static_cast<std::size_t>(expert)] = static_cast<std::int32_t>(m_next);
            put(expert);
        }
    }

    std::vector<std::int32_t> m_at;           ///< by expert; −1: not used yet
    std::vector<std::int32_t> m_expertAt;     ///< by place; −1: nothing
    std::vector<std::uint64_t> m_bits;        ///< by 64 places
    std::vector<std::uint8_t> m_counts;       ///< bits that are set, by 64 places
    std::vector<std::int32_t> m_groupCounts;  ///< by kGroup times as many
    std::size_t m_next = 0;
};

/// Hands out each row's choices in the order that is asked for.
class ChoiceSource {
public:
    ChoiceSource(const RunRouting& routing, ChoiceOrder order)
        : m_routing(routing), m_order(order), m_random(11), m_drawn(static_cast<std::size_t>(routing.topK())) {
        if (order != ChoiceOrder::Shuffled) return;
        for (std::int32_t layer = 0; layer < routing.layers(); ++layer) {
            auto& rows = m_rows.emplace_back(routing.layer(layer).rows());
            std::iota(rows.begin(), rows.end(), 0U);
            m_random.shuffle(std::span(rows));
        }
    }
    /// Valid until the next call.
    std::span<const std::int32_t> at(std::int32_t layer, std::size_t row) {
        if (m_order == ChoiceOrder::Recorded) return m_routing.layer(layer).chosen(row);
        if (m_order == ChoiceOrder::Shuffled)
            return m_routing.layer(layer).chosen(m_rows[static_cast<std::size_t>(layer)][row]);
        m_random.distinct(m_drawn, m_routing.experts());
        return m_drawn;
    }

private:
    const RunRouting& m_routing;
    ChoiceOrder m_order;
    RandomChoices m_random;
    std::vector<std::int32_t> m_drawn;
    std::vector<std::vector<std::uint32_t>> m_rows;
};

/// Walks through a run's layer steps in order.
class CurveBuilder {
public:
    CurveBuilder(const RunRouting& routing, ChoiceOrder order)
        : m_routing(routing),
          m_source(routing, order),
          m_stack(routing.layers() * routing.experts()),
          m_marks(routing.experts()),
          m_next(static_cast<std::size_t>(routing.layers())) {
        m_curve.hits.resize(static_cast<std::size_t>(routing.layers() * routing.experts()) + 1);
        m_curve.decodeHits.resize(m_curve.hits.size());
    }

    HitCurve run(std::int64_t mostLookups) {
        for (std::int32_t step = nextStep();
             step < std::numeric_limits<std::int32_t>::max() && m_curve.lookups < mostLookups; step = nextStep()) {
            std::int32_t needed = 0;
            bool decode = false;
            for (std::int32_t layer = 0; layer < m_routing.layers(); ++layer)
                needed += layerStep(layer, step, decode);
            if (decode) m_curve.mostByToken = std::max(m_curve.mostByToken, needed);
        }
        std::partial_sum(m_curve.hits.begin(), m_curve.hits.end(), m_curve.hits.begin());
        std::partial_sum(m_curve.decodeHits.begin(), m_curve.decodeHits.end(), m_curve.decodeHits.begin());
        return std::move(m_curve);
    }

private:
    std::int32_t nextStep() const {
        std::int32_t step = std::numeric_limits<std::int32_t>::max();
        for (std::int32_t layer = 0; layer < m_routing.layers(); ++layer) {
            const LayerChoices& choices = m_routing.layer(layer);
            const std::size_t row = m_next[static_cast<std::size_t>(layer)];
            if (row < choices.rows()) step = std::min(step, choices.steps[row]);
        }
        return step;
    }

    /// The layer's lookups of the step; gives their number.
    std::int32_t layerStep(std::int32_t layer, std::int32_t step, bool& decode) {
        const LayerChoices& choices = m_routing.layer(layer);
        std::size_t& row = m_next[static_cast<std::size_t>(layer)];
        m_used.clear();
        for (; row < choices.rows() && choices.steps[row] == step; ++row) {
            decode = m_routing.token(choices.tokens[row]).phase == static_cast<std::int8_t>(Phase::Decode);
            for (const std::int32_t expert : m_source.at(layer, row))
                if (expert >= 0) m_used.push_back(expert);
        }
        // Backwards, so that each is met first at its last use.
        m_marks.clear();
        m_distinct.clear();
        for (std::size_t i = m_used.size(); i-- > 0;)
            if (m_marks.insert(m_used[i])) m_distinct.push_back(layer * m_routing.experts() + m_used[i]);
        for (const std::int32_t expert : m_distinct) {
            const std::int32_t depth = m_stack.depth(expert);
            ++m_curve.lookups;
            m_curve.decodeLookups += decode ? 1 : 0;
            if (depth == 0) {
                ++m_curve.firstUses;
                continue;
            }
            ++m_curve.hits[static_cast<std::size_t>(depth)];
            if (decode) ++m_curve.decodeHits[static_cast<std::size_t>(depth)];
        }
        for (std::size_t i = m_distinct.size(); i-- > 0;)
            m_stack.use(m_distinct[i]);
        return static_cast<std::int32_t>(m_distinct.size());
    }

    const RunRouting& m_routing;
    ChoiceSource m_source;
    RecencyStack m_stack;
    ExpertMarks m_marks;
    std::vector<std::size_t> m_next;  ///< by layer: its next row
    std::vector<std::int32_t> m_used, m_distinct;
    HitCurve m_curve;
};

/// By so many a chance's hit rate is known to a thousandth.
constexpr std::int64_t kBaselineLookups = 2'000'000;

double part(std::int64_t of, std::int64_t whole) {
    return whole > 0 ? static_cast<double>(of) / static_cast<double>(whole) : std::numeric_limits<double>::quiet_NaN();
}

AnalysisTable curveTable(const AnalysisInput& input, Parameters& parameters) {
    const RunRouting& routing = *input.routing;
    const int points = parameters.integer("points", 40, 1, 1 << 16);
    const auto later = [&](ChoiceOrder order) {
        return std::async(std::launch::async, hitCurveOf, std::cref(routing), order, kBaselineLookups);
    };
    auto shuffledLater = later(ChoiceOrder::Shuffled), uniformLater = later(ChoiceOrder::Uniform);
    const HitCurve curve = hitCurveOf(routing), shuffled = shuffledLater.get(), uniform = uniformLater.get();
    AnalysisTable table;
    table.counted =
        routing.counted() +
        fmt::format(
            " {} lookups (one for each expert that a layer needs in a step), {} of them of generated tokens; {} "
            "are first uses and miss at every size. One generated token needs up to {} experts: below that, LRU "
            "hits little. Sizes are in experts. shuffled deals each layer's choices out to its tokens at "
            "random, uniform draws them.",
            groupedNumber(curve.lookups), groupedNumber(curve.decodeLookups), groupedNumber(curve.firstUses),
            groupedNumber(curve.mostByToken));
    if (shuffled.lookups < curve.lookups)
        table.counted += fmt::format(" Both do so for the first {} and {} lookups.", groupedNumber(shuffled.lookups),
                                     groupedNumber(uniform.lookups));
    table.columns = {"experts", "part_of_all", "hit_rate", "decode_hit_rate", "shuffled_hit_rate", "uniform_hit_rate"};
    const auto all = static_cast<std::int64_t>(curve.hits.size()) - 1;
    std::int64_t before = 0;
    for (int point = 1; point <= points; ++point) {
        const std::int64_t size = (all * point + points - 1) / points;
        if (size == before) continue;
        before = size;
        const auto at = static_cast<std::size_t>(size);
        table.rows.push_back({size, static_cast<double>(size) / static_cast<double>(all),
                              part(curve.hits[at], curve.lookups), part(curve.decodeHits[at], curve.decodeLookups),
                              part(shuffled.hits[at], shuffled.lookups), part(uniform.hits[at], uniform.lookups)});
    }
    return table;
}

}  // namespace

HitCurve hitCurveOf(const RunRouting& routing, ChoiceOrder order, std::int64_t mostLookups) {
    return CurveBuilder(routing, order).run(mostLookups);
}

AnalysisInfo hitCurveAnalysis() {
    return {.name = "lru-curve",
            .source = AnalysisSource::Routing,
            .parameters = "points=40",
            .needs = "",
            .summary = "hit rate of an LRU cache of all layers' experts at every size, from one pass",
            .reference = "Mattson et al., Evaluation techniques for storage hierarchies (1970)",
            .run = curveTable};
}

}  // namespace expertscope
