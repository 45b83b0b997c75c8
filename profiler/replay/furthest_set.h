// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace expertscope {

/// A set of integers in [0, size) that knows its largest member: bits, and above them bits that say which words are not
/// empty. Plain equivalent: std::set. Every operation is O(log₆₄ size), four steps for a million.
class FurthestSet {
public:
    explicit FurthestSet(std::size_t size) {
        do {
            size = (size + 63) / 64;
            m_levels.emplace_back(size, 0);
        } while (size > 1);
    }
    void insert(std::size_t value) {
        for (auto& level : m_levels) {
            level[value / 64] |= std::uint64_t{1} << (value % 64);
            value /= 64;
        }
    }
    void erase(std::size_t value) {
        for (auto& level : m_levels) {
            level[value / 64] &= ~(std::uint64_t{1} << (value % 64));
            if (level[value / 64] != 0) return;
            value /= 64;
        }
    }
    /// The largest member; −1 where there is none.
    std::int64_t largest() const { return descend(m_levels.size(), 0); }
    /// The largest member below `value`; −1 where there is none.
    std::int64_t largestBelow(std::size_t value) const {
        for (std::size_t level = 0; level < m_levels.size(); ++level) {
            const std::uint64_t lower = m_levels[level][value / 64] & ((std::uint64_t{1} << (value % 64)) - 1);
            if (lower != 0) return descend(level, value / 64 * 64 + highest(lower));
            value /= 64;
        }
        return -1;
    }

private:
    static std::size_t highest(std::uint64_t word) { return 63 - static_cast<std::size_t>(std::countl_zero(word)); }
    /// From member `value` of `level` (or the top's one word) down to the largest member under it.
    std::int64_t descend(std::size_t level, std::size_t value) const {
        while (level-- > 0) {
            const std::uint64_t word = m_levels[level][value];
            if (word == 0) return -1;
            value = value * 64 + highest(word);
        }
        return static_cast<std::int64_t>(value);
    }

    std::vector<std::vector<std::uint64_t>> m_levels;  ///< [0] the members
};

}  // namespace expertscope
