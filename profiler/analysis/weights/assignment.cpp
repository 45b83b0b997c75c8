// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/assignment.h"

#include <limits>

namespace expertscope {
namespace {

constexpr std::int32_t kNone = -1;
constexpr double kFar = std::numeric_limits<double>::infinity();

/// Costs are −gain; reduced costs cost − u[row] − v[column] are never negative and zero where assigned.
class Assigner {
public:
    Assigner(std::span<const float> gains, std::size_t n)
        : m_gains(gains), m_n(n), m_u(n, 0.0), m_v(n, 0.0), m_columnOf(n, kNone), m_rowOf(n, kNone) {}

    std::vector<std::int32_t> assign(const std::function<void(double)>& pause) {
        reduceColumns();
        for (std::size_t row = 0; row < m_n; ++row) {
            if (m_columnOf[row] != kNone) continue;
            if (pause) pause(static_cast<double>(row) / static_cast<double>(m_n));
            augmentFrom(row);
        }
        return std::move(m_columnOf);
    }

private:
    double cost(std::size_t row, std::size_t column) const { return -static_cast<double>(m_gains[row * m_n + column]); }

    /// Each column's potential is its least cost; a column takes that row where the row is still free.
    void reduceColumns() {
        std::vector<std::size_t> least(m_n, 0);
        for (std::size_t column = 0; column < m_n; ++column)
            m_v[column] = cost(0, column);
        for (std::size_t row = 1; row < m_n; ++row) {
            for (std::size_t column = 0; column < m_n; ++column) {
                if (cost(row, column) >= m_v[column]) continue;
                m_v[column] = cost(row, column);
                least[column] = row;
            }
        }
        for (std::size_t column = 0; column < m_n; ++column) {
            if (m_columnOf[least[column]] != kNone) continue;
            m_columnOf[least[column]] = static_cast<std::int32_t>(column);
            m_rowOf[column] = static_cast<std::int32_t>(least[column]);
        }
    }

    /// Dijkstra from a free row to the nearest free column, over reduced costs; then the path is turned over.
    void augmentFrom(std::size_t start) {
        std::vector<double> distance(m_n, kFar);
        std::vector<std::size_t> from(m_n, start), scanned, open(m_n);
        for (std::size_t column = 0; column < m_n; ++column)
            open[column] = column;
        std::size_t row = start, column = 0;
        double reached = 0;
        while (true) {
            std::size_t nearest = 0;
            for (std::size_t i = 0; i < open.size(); ++i) {
                const std::size_t c = open[i];
                const double through = reached + cost(row, c) - m_u[row] - m_v[c];
                if (through < distance[c]) {
                    distance[c] = through;
                    from[c] = row;
                }
                const double gap = distance[c] - distance[open[nearest]];
                if (gap < 0 || (gap == 0 && m_rowOf[c] == kNone)) nearest = i;
            }
            column = open[nearest];
            reached = distance[column];
            open[nearest] = open.back();
            open.pop_back();
            if (m_rowOf[column] == kNone) break;
            scanned.push_back(column);
            row = static_cast<std::size_t>(m_rowOf[column]);
        }
        m_u[start] += reached;
        for (const std::size_t c : scanned) {
            m_u[static_cast<std::size_t>(m_rowOf[c])] += reached - distance[c];
            m_v[c] -= reached - distance[c];
        }
        turnPath(start, column, from);
    }

    void turnPath(std::size_t start, std::size_t column, const std::vector<std::size_t>& from) {
        while (true) {
            const std::size_t row = from[column];
            m_rowOf[column] = static_cast<std::int32_t>(row);
            const std::int32_t before = m_columnOf[row];
            m_columnOf[row] = static_cast<std::int32_t>(column);
            if (row == start) return;
            column = static_cast<std::size_t>(before);
        }
    }

    std::span<const float> m_gains;
    std::size_t m_n;
    std::vector<double> m_u, m_v;                   ///< potentials of rows and columns
    std::vector<std::int32_t> m_columnOf, m_rowOf;  ///< of a row, of a column; kNone while free
};

/// Sorts and counts the pairs that were in the wrong order.
std::int64_t sortCounting(std::span<std::int32_t> values, std::span<std::int32_t> room) {
    if (values.size() < 2) return 0;
    const std::size_t half = values.size() / 2;
    std::int64_t inversions =
        sortCounting(values.first(half), room.first(half)) + sortCounting(values.subspan(half), room.subspan(half));
    std::size_t a = 0, b = half;
    for (std::size_t to = 0; to < values.size(); ++to) {
        const bool second = b < values.size() && (a == half || values[b] < values[a]);
        if (second) inversions += static_cast<std::int64_t>(half - a);
        room[to] = second ? values[b++] : values[a++];
    }
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = room[i];
    return inversions;
}

}  // namespace

std::vector<std::int32_t> bestAssignment(std::span<const float> gains, std::size_t n,
                                         const std::function<void(double)>& pause) {
    return n == 0 ? std::vector<std::int32_t>{} : Assigner(gains, n).assign(pause);
}

double kendallTau(std::span<const std::int32_t> permutation) {
    if (permutation.size() < 2) return std::numeric_limits<double>::quiet_NaN();
    std::vector<std::int32_t> values(permutation.begin(), permutation.end()), room(values.size());
    const auto n = static_cast<double>(values.size());
    return 1 - 4 * static_cast<double>(sortCounting(values, room)) / (n * (n - 1));
}

}  // namespace expertscope
