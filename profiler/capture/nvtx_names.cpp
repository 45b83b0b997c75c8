// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/capture/nvtx_names.h"

namespace expertscope {

RangeNameId NvtxNames::idOf(std::string_view domain, std::string_view category, std::string_view text,
                            std::uint32_t color) {
    m_key.assign(text).append(1, '\0').append(domain).append(1, '\0').append(category).append(1, '\0');
    m_key.append(reinterpret_cast<const char*>(&color), sizeof color);
    if (const auto found = m_ids.find(m_key); found != m_ids.end()) return found->second;
    const auto next = static_cast<std::int32_t>(m_ids.size());
    if (next >= kMost) {
        ++m_unnamed;
        if (next > kMost || !m_ids.emplace(std::string(), RangeNameId(kMost)).second) return RangeNameId(kMost);
        m_observer->onRangeName({RangeNameId(kMost), "", "", "(more names than are kept)", 0});
        return RangeNameId(kMost);
    }
    m_ids.emplace(m_key, RangeNameId(next));
    m_observer->onRangeName({RangeNameId(next), std::string(domain), std::string(category), std::string(text), color});
    return RangeNameId(next);
}

}  // namespace expertscope
