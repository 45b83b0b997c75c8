// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/base/events.h"

namespace expertscope {

/// Numbers the names of ranges, and tells the observer each new one.
class NvtxNames {
public:
    /// Programs that put a counter into every name would fill memory and file with them.
    static constexpr std::int32_t kMost = 200'000;

    explicit NvtxNames(Observer& observer) : m_observer(&observer) {}

    RangeNameId idOf(std::string_view domain, std::string_view category, std::string_view text, std::uint32_t color);
    /// Ranges whose name was one too many; they share one.
    std::int64_t unnamed() const { return m_unnamed; }

private:
    Observer* m_observer;
    std::unordered_map<std::string, RangeNameId> m_ids;  ///< by everything that a name has, joined
    std::string m_key;
    std::int64_t m_unnamed = 0;
};

}  // namespace expertscope
