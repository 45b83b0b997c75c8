// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace expertscope {

/// One stretch of a timeline row. Times in nanoseconds since the run's start.
struct SpanItem {
    std::int64_t start = 0;
    std::int64_t end = 0;
    std::int64_t amount = 0;   ///< summed over ranges (bytes of a transfer)
    std::int32_t source = -1;  ///< what it stands for, in the owner's numbering
    std::uint8_t category = 0;
};

/// The items of one row, sorted by start, with an implicit forest of sums over them: how long was each category busy
/// between two times, in O(log n), however many items lie there.
///
/// Where items overlap, the earlier one covers the row and the later one only what lies beyond, so that no moment is
/// counted twice. Plain equivalent of busy(): walk all items and add up the covered part of each. The forest has nodes
/// of 16 items, of 16 such nodes, and so on (fan-out 16, about 1.07 nodes an item; T. Hume, "Implicit in-order
/// forests", 2021); appending in order is O(1) amortised, an item that comes late costs O(items after it).
class SpanRow {
public:
    static constexpr int kMostCategories = 15;
    explicit SpanRow(int categories) : m_categories(static_cast<std::size_t>(categories)) {}

    /// Takes items in any order; returns the earliest start among them.
    std::int64_t add(std::vector<SpanItem> items);
    /// Removes every item that starts at or after `time`.
    void truncate(std::int64_t time);
    void setCategory(std::size_t item, std::uint8_t category);

    std::size_t size() const { return m_items.size(); }
    bool empty() const { return m_items.empty(); }
    std::size_t categories() const { return m_categories; }
    const SpanItem& item(std::size_t i) const { return m_items[i]; }
    /// The part of the row that item i covers: [coverFrom, coverTo), empty where earlier items reach beyond it.
    std::int64_t coverFrom(std::size_t i) const {
        return i == 0 ? m_items[0].start : std::max(m_items[i].start, m_coverTo[i - 1]);
    }
    std::int64_t coverTo(std::size_t i) const { return m_coverTo[i]; }

    /// First item that covers something after `time`; size() if none.
    std::size_t firstEndingAfter(std::int64_t time) const;
    /// First item at or after `hint` whose cover starts at or after `time`. O(log distance).
    std::size_t firstCoveringFrom(std::int64_t time, std::size_t hint = 0) const;
    /// Index of the item with this source and start, or size().
    std::size_t find(std::int32_t source, std::int64_t start) const;

    /// Adds the covered time of the items [first, last) to `perCategory`. O(log n).
    void addCovered(std::size_t first, std::size_t last, std::span<std::int64_t> perCategory) const;
    /// Nanoseconds that each category covers in [from, to). O(log n).
    std::vector<std::int64_t> busy(std::int64_t from, std::int64_t to) const;
    std::int64_t totalBusy(std::int64_t from, std::int64_t to) const;
    /// Sum of the amounts in [from, to); an item that lies partly inside counts in proportion. O(log n).
    double amount(std::int64_t from, std::int64_t to) const;

private:
    std::size_t stride() const { return m_categories + 1; }  ///< the last entry of a node is the amount
    void rebuild(std::size_t fromItem);
    void addItem(std::size_t i, std::int64_t* sums) const;
    void addNode(std::size_t level, std::size_t node, std::int64_t* sums) const;
    void addRange(std::size_t first, std::size_t last, std::int64_t* sums) const;

    std::size_t m_categories;
    std::vector<SpanItem> m_items;
    std::vector<std::int64_t> m_coverTo;
    std::vector<std::vector<std::int64_t>> m_levels;  ///< level k: sums of 16^(k+1) items a node
};

}  // namespace expertscope
