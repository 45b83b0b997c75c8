// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <deque>
#include <span>
#include <string>
#include <vector>

#include "profiler/interchange/route_rows.h"

namespace expertscope {

/// Makes rows of arrays [layers, k] of expert numbers, one a token, as serving engines give them: negative numbers are
/// choices that are not there, and a layer whose k > 1 numbers are all 0 routes nothing (it is dense; a choice has
/// different experts).
class RouteBlock {
public:
    /// The rows of one token: `experts` [layers × k], `weights` the same or empty; `place` gives turn, phase, position,
    /// step and line. Throws through `source` where a number is no expert.
    void add(const RouteRowSource& source, std::int64_t layers, std::int64_t k, std::span<const std::int64_t> experts,
             std::span<const float> weights, const RouteRow& place, std::span<const std::int64_t> outcomes = {});
    /// Takes the next row; false where there is none.
    bool take(RouteRow& row);
    /// A sentence on what was left out; none where nothing was.
    std::vector<std::string> notes() const;

private:
    std::deque<RouteRow> m_rows;
    std::int64_t m_dense = 0, m_absent = 0;
};

}  // namespace expertscope
