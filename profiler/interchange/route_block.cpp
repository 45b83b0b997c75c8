// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/route_block.h"

#include <algorithm>

#include <fmt/format.h>

namespace expertscope {
namespace {

constexpr std::int64_t kMostExperts = 65'536;

}  // namespace

void RouteBlock::add(const RouteRowSource& source, std::int64_t layers, std::int64_t k,
                     std::span<const std::int64_t> experts, std::span<const float> weights, const RouteRow& place,
                     std::span<const std::int64_t> outcomes) {
    for (std::int64_t layer = 0; layer < layers; ++layer) {
        const auto first = static_cast<std::size_t>(layer * k);
        const auto choice = experts.subspan(first, static_cast<std::size_t>(k));
        if (k > 1 && std::ranges::all_of(choice, [](std::int64_t expert) { return expert == 0; })) {
            ++m_dense;
            continue;
        }
        for (std::size_t slot = 0; slot < choice.size(); ++slot) {
            if (choice[slot] < 0) {
                ++m_absent;
                continue;
            }
            if (choice[slot] >= kMostExperts)
                source.refuse(place.line,
                              fmt::format("has expert {} in layer {}, which no model has", choice[slot], layer));
            RouteRow row = place;
            row.layer = LayerIndex(static_cast<std::int32_t>(layer));
            row.slot = static_cast<std::int32_t>(slot);
            row.expert = ExpertId(static_cast<std::int32_t>(choice[slot]));
            if (!weights.empty()) row.weight = weights[first + slot];
            if (!outcomes.empty()) {
                const std::int64_t outcome = outcomes[first + slot];
                row.residency = outcome < 0 ? -1 : outcome == static_cast<std::int64_t>(Outcome::Miss) ? 0 : 1;
            }
            m_rows.push_back(row);
        }
    }
}

bool RouteBlock::take(RouteRow& row) {
    if (m_rows.empty()) return false;
    row = m_rows.front();
    m_rows.pop_front();
    return true;
}

std::vector<std::string> RouteBlock::notes() const {
    std::vector<std::string> notes;
    if (m_dense > 0)
        notes.push_back(
            fmt::format("{} rows of a token and layer hold only zeros: the layer is dense or was not recorded, "
                        "and they were left out.",
                        m_dense));
    if (m_absent > 0)
        notes.push_back(
            fmt::format("{} choices are negative, as engines mark what they did not compute (cached or padded "
                        "positions), and were left out.",
                        m_absent));
    return notes;
}

}  // namespace expertscope
