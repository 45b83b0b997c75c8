// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "profiler/interchange/imported_run.h"
#include "profiler/interchange/route_rows.h"
#include "profiler/interchange/warm_up.h"

namespace expertscope {

class SessionWriter;

/// The rows of one forward step, in order of layer, token and slot.
class RouteStep {
public:
    explicit RouteStep(const RouteRowSource& source) : m_source(&source) {}

    bool empty() const { return m_rows.empty(); }
    /// Whether the row belongs to this step; any row belongs to an empty one.
    bool takes(const RouteRow& row) const;
    void add(const RouteRow& row) { m_rows.push_back(row); }
    void clear();

    /// Sorts the rows, gives slots where none were told, and throws BadInputError where a token has an expert or a slot
    /// twice in a layer.
    void order();
    /// After order(): the rows, and the tokens' positions in rising order.
    const std::vector<RouteRow>& rows() const { return m_rows; }
    const std::vector<std::int32_t>& positions() const { return m_positions; }
    /// Index of a row's token in positions().
    std::size_t tokenOf(const RouteRow& row) const;
    /// Each token's signature, in order of positions().
    std::vector<std::uint64_t> signatures() const;
    /// Drops the tokens for which `excluded[index in positions()]` is true; the number of rows that went.
    std::int64_t drop(const std::vector<bool>& excluded);

private:
    void orderGroup(std::size_t first, std::size_t last);

    const RouteRowSource* m_source;
    std::vector<RouteRow> m_rows;
    std::vector<std::int32_t> m_positions;
};

}  // namespace expertscope
