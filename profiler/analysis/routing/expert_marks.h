// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace expertscope {

/// A set of experts that is emptied in O(1): marks carry the number of the set that they belong to.
class ExpertMarks {
public:
    explicit ExpertMarks(std::int32_t experts) : m_marks(static_cast<std::size_t>(experts), 0) {}

    void clear() { ++m_now; }
    /// Whether it was not in the set before.
    bool insert(std::int32_t expert) {
        std::uint64_t& mark = m_marks[static_cast<std::size_t>(expert)];
        const bool fresh = mark != m_now;
        mark = m_now;
        return fresh;
    }
    bool has(std::int32_t expert) const { return m_marks[static_cast<std::size_t>(expert)] == m_now; }
    /// Takes the experts of a row in; −1 are passed over.
    void insertAll(std::span<const std::int32_t> experts) {
        for (const std::int32_t expert : experts)
            if (expert >= 0) insert(expert);
    }
    std::int32_t shared(std::span<const std::int32_t> experts) const {
        std::int32_t count = 0;
        for (const std::int32_t expert : experts)
            count += expert >= 0 && has(expert) ? 1 : 0;
        return count;
    }

private:
    std::vector<std::uint64_t> m_marks;
    std::uint64_t m_now = 1;
};

}  // namespace expertscope
