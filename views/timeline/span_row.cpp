// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/span_row.h"

#include <algorithm>
#include <array>

namespace expertscope {
namespace {

constexpr std::size_t kFanOut = 16;

bool byStart(const SpanItem& a, const SpanItem& b) { return a.start < b.start; }

}  // namespace

std::int64_t SpanRow::add(std::vector<SpanItem> items) {
    // A thread records most kinds of spans in order.
    if (!std::ranges::is_sorted(items, byStart)) std::ranges::stable_sort(items, byStart);
    const std::int64_t earliest = items.front().start;
    const auto at = std::ranges::upper_bound(m_items, earliest, {}, &SpanItem::start);
    const auto first = static_cast<std::size_t>(at - m_items.begin());
    const std::size_t middle = m_items.size();
    m_items.insert(m_items.end(), items.begin(), items.end());
    if (first < middle) {
        const auto begin = m_items.begin();
        std::inplace_merge(begin + static_cast<std::ptrdiff_t>(first), begin + static_cast<std::ptrdiff_t>(middle),
                           m_items.end(), byStart);
    }
    rebuild(first);
    return earliest;
}

void SpanRow::truncate(std::int64_t time) {
    const auto at = std::ranges::lower_bound(m_items, time, {}, &SpanItem::start);
    const auto kept = static_cast<std::size_t>(at - m_items.begin());
    m_items.erase(at, m_items.end());
    rebuild(kept);
}

void SpanRow::setCategory(std::size_t item, std::uint8_t category) {
    const std::int64_t covered = coverTo(item) - coverFrom(item);
    const std::size_t before = m_items[item].category;
    m_items[item].category = category;
    std::size_t node = item;
    for (std::vector<std::int64_t>& level : m_levels) {
        node /= kFanOut;
        level[node * stride() + before] -= covered;
        level[node * stride() + category] += covered;
    }
}

void SpanRow::rebuild(std::size_t fromItem) {
    const std::size_t count = m_items.size();
    m_coverTo.resize(count);
    for (std::size_t i = fromItem; i < count; ++i)
        m_coverTo[i] = std::max(m_items[i].end, coverFrom(i));

    std::size_t children = count;
    std::size_t firstDirty = fromItem;
    std::size_t levels = 0;
    for (; children > 1; ++levels) {
        const std::size_t nodes = (children + kFanOut - 1) / kFanOut;
        firstDirty /= kFanOut;
        if (m_levels.size() <= levels) {
            m_levels.emplace_back();
            firstDirty = 0;  // a new level sums up everything below it
        }
        std::vector<std::int64_t>& level = m_levels[levels];
        level.resize(nodes * stride());
        for (std::size_t node = firstDirty; node < nodes; ++node) {
            std::int64_t* sums = &level[node * stride()];
            std::fill_n(sums, stride(), 0);
            const std::size_t end = std::min(children, (node + 1) * kFanOut);
            for (std::size_t child = node * kFanOut; child < end; ++child) {
                if (levels == 0) {
                    addItem(child, sums);
                } else {
                    addNode(levels - 1, child, sums);
                }
            }
        }
        children = nodes;
    }
    m_levels.resize(levels);
}

void SpanRow::addItem(std::size_t i, std::int64_t* sums) const {
    sums[m_items[i].category] += coverTo(i) - coverFrom(i);
    sums[m_categories] += m_items[i].amount;
}

void SpanRow::addNode(std::size_t level, std::size_t node, std::int64_t* sums) const {
    const std::int64_t* from = &m_levels[level][node * stride()];
    for (std::size_t c = 0; c < stride(); ++c)
        sums[c] += from[c];
}

void SpanRow::addRange(std::size_t first, std::size_t last, std::int64_t* sums) const {
    while (first < last && first % kFanOut != 0)
        addItem(first++, sums);
    while (first < last && last % kFanOut != 0)
        addItem(--last, sums);
    for (std::size_t level = 0; first < last; ++level) {
        first /= kFanOut;
        last /= kFanOut;
        while (first < last && first % kFanOut != 0)
            addNode(level, first++, sums);
        while (first < last && last % kFanOut != 0)
            addNode(level, --last, sums);
    }
}

std::size_t SpanRow::firstEndingAfter(std::int64_t time) const {
    return static_cast<std::size_t>(std::ranges::upper_bound(m_coverTo, time) - m_coverTo.begin());
}

std::size_t SpanRow::firstCoveringFrom(std::int64_t time, std::size_t hint) const {
    std::size_t low = hint;
    std::size_t step = 1;
    while (low + step < size() && coverFrom(low + step) < time)
        low += step, step *= 2;
    std::size_t high = std::min(size(), low + step);
    while (low < high) {
        const std::size_t middle = low + (high - low) / 2;
        if (coverFrom(middle) < time) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

std::size_t SpanRow::find(std::int32_t source, std::int64_t start) const {
    auto at = std::ranges::lower_bound(m_items, start, {}, &SpanItem::start);
    for (; at != m_items.end() && at->start == start; ++at) {
        if (at->source == source) return static_cast<std::size_t>(at - m_items.begin());
    }
    return size();
}

void SpanRow::addCovered(std::size_t first, std::size_t last, std::span<std::int64_t> perCategory) const {
    // On the stack: this is called for every pixel column of a frame.
    std::array<std::int64_t, kMostCategories + 1> sums{};
    addRange(first, last, sums.data());
    for (std::size_t c = 0; c < m_categories; ++c)
        perCategory[c] += sums[c];
}

std::vector<std::int64_t> SpanRow::busy(std::int64_t from, std::int64_t to) const {
    std::vector<std::int64_t> sums(stride(), 0);
    const std::size_t first = firstEndingAfter(from);
    const std::size_t last = firstCoveringFrom(to, first);
    const auto addPart = [&](std::size_t i) {
        const std::int64_t covered = std::min(to, coverTo(i)) - std::max(from, coverFrom(i));
        sums[m_items[i].category] += std::max<std::int64_t>(covered, 0);
    };
    if (first < last) addPart(first);
    if (first + 1 < last) addPart(last - 1);
    if (first + 2 < last) addRange(first + 1, last - 1, sums.data());
    sums.pop_back();
    return sums;
}

std::int64_t SpanRow::totalBusy(std::int64_t from, std::int64_t to) const {
    std::int64_t total = 0;
    for (const std::int64_t part : busy(from, to))
        total += part;
    return total;
}

double SpanRow::amount(std::int64_t from, std::int64_t to) const {
    const std::size_t first = firstEndingAfter(from);
    const std::size_t last = firstCoveringFrom(to, first);
    const auto part = [&](std::size_t i) {
        const SpanItem& it = m_items[i];
        const auto length = static_cast<double>(it.end - it.start);
        const auto inside = static_cast<double>(std::min(to, it.end) - std::max(from, it.start));
        return length <= 0 || inside <= 0 ? 0.0 : static_cast<double>(it.amount) * inside / length;
    };
    double total = 0;
    if (first < last) total += part(first);
    if (first + 1 < last) total += part(last - 1);
    if (first + 2 < last) {
        std::vector<std::int64_t> sums(stride(), 0);
        addRange(first + 1, last - 1, sums.data());
        total += static_cast<double>(sums[m_categories]);
    }
    return total;
}

}  // namespace expertscope
