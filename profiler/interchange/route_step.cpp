// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/route_step.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include <fmt/format.h>

namespace expertscope {

bool RouteStep::takes(const RouteRow& row) const {
    if (m_rows.empty()) return true;
    const RouteRow& front = m_rows.front();
    return row.turn == front.turn && row.phase == front.phase && row.step == front.step &&
           (row.phase == Phase::Prefill || row.position == front.position || row.step >= 0);
}

void RouteStep::clear() {
    m_rows.clear();
    m_positions.clear();
}

void RouteStep::order() {
    const auto key = [](const RouteRow& row) { return std::tuple(row.layer, row.position, row.slot); };
    if (!std::ranges::is_sorted(m_rows, {}, key)) std::ranges::stable_sort(m_rows, {}, key);
    m_positions.clear();
    for (const RouteRow& row : m_rows)
        m_positions.push_back(row.position);
    std::ranges::sort(m_positions);
    m_positions.erase(std::unique(m_positions.begin(), m_positions.end()), m_positions.end());
    const auto sameToken = [](const RouteRow& a, const RouteRow& b) {
        return a.layer == b.layer && a.position == b.position;
    };
    for (std::size_t first = 0; first < m_rows.size();) {
        std::size_t last = first + 1;
        while (last < m_rows.size() && sameToken(m_rows[first], m_rows[last]))
            ++last;
        orderGroup(first, last);
        first = last;
    }
}

/// Rows [first, last) are one token's in one layer.
void RouteStep::orderGroup(std::size_t first, std::size_t last) {
    if (m_rows[first].slot < 0) {
        const auto begin = m_rows.begin() + static_cast<std::ptrdiff_t>(first);
        const auto end = m_rows.begin() + static_cast<std::ptrdiff_t>(last);
        if (std::all_of(begin, end, [](const RouteRow& row) { return std::isfinite(row.weight); }))
            std::stable_sort(begin, end, [](const RouteRow& a, const RouteRow& b) { return a.weight > b.weight; });
        for (std::size_t i = first; i < last; ++i)
            m_rows[i].slot = static_cast<std::int32_t>(i - first);
    }
    for (std::size_t i = first; i < last; ++i) {
        for (std::size_t j = first; j < i; ++j) {
            const RouteRow& late = m_rows[i].line > m_rows[j].line ? m_rows[i] : m_rows[j];
            if (m_rows[i].slot == m_rows[j].slot)
                m_source->refuse(late.line, fmt::format("repeats slot {} of its token and layer", late.slot));
            if (m_rows[i].expert == m_rows[j].expert)
                m_source->refuse(late.line, fmt::format("chooses expert {} again for its token", late.expert.value()));
        }
    }
}

std::size_t RouteStep::tokenOf(const RouteRow& row) const {
    if (m_positions.size() == 1) return 0;
    return static_cast<std::size_t>(std::ranges::lower_bound(m_positions, row.position) - m_positions.begin());
}

std::vector<std::uint64_t> RouteStep::signatures() const {
    std::vector<RoutingSignature> tokens(m_positions.size());
    for (const RouteRow& row : m_rows)
        tokens[tokenOf(row)].add(row.layer.value(), row.expert.value(), row.weight);
    std::vector<std::uint64_t> values;
    for (const RoutingSignature& token : tokens)
        values.push_back(token.value());
    return values;
}

std::int64_t RouteStep::drop(const std::vector<bool>& excluded) {
    const std::size_t count = std::erase_if(m_rows, [&](const RouteRow& row) { return excluded[tokenOf(row)]; });
    std::vector<std::int32_t> kept;
    for (std::size_t i = 0; i < m_positions.size(); ++i)
        if (!excluded[i]) kept.push_back(m_positions[i]);
    m_positions = std::move(kept);
    return static_cast<std::int64_t>(count);
}

}  // namespace expertscope
