// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/belady_rule.h"

namespace expertscope {

void BeladyRule::begin(const OffloadContext& context) {
    const int total = context.shape.total();
    m_place.resize(static_cast<std::size_t>(total));
    m_resident.assign(static_cast<std::size_t>(total), 0);
    for (int expert = 0; expert < total; ++expert)
        m_place[static_cast<std::size_t>(expert)] = m_next->first(expert);
}

void BeladyRule::onUse(int expert, std::int64_t, bool first) {
    if (!first) return;
    const auto at = static_cast<std::size_t>(expert);
    const std::size_t next = m_next->after(m_access++);
    if (m_resident[at]) {
        m_future.erase(m_place[at]);
        m_future.insert(next);
    }
    m_place[at] = next;
}

void BeladyRule::onAdmit(int expert, std::int64_t) {
    m_resident[static_cast<std::size_t>(expert)] = 1;
    m_future.insert(m_place[static_cast<std::size_t>(expert)]);
}

void BeladyRule::onLeave(int expert) {
    m_resident[static_cast<std::size_t>(expert)] = 0;
    m_future.erase(m_place[static_cast<std::size_t>(expert)]);
}

int BeladyRule::victim(const EvictionCandidates& candidates) const {
    for (std::int64_t place = m_future.largest(); place >= 0;
         place = m_future.largestBelow(static_cast<std::size_t>(place))) {
        const int expert = m_next->expertAt(static_cast<std::size_t>(place));
        if (candidates.contains(expert)) return expert;
    }
    return -1;
}

}  // namespace expertscope
