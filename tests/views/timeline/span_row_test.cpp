// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/span_row.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace expertscope {
namespace {

/// Who covers each nanosecond, asked one at a time: the item that started first (then the one given first).
std::vector<std::int64_t> countedBusy(std::vector<SpanItem> items, std::size_t categories, std::int64_t from,
                                      std::int64_t to) {
    std::ranges::stable_sort(items, {}, &SpanItem::start);
    std::vector<std::int64_t> busy(categories, 0);
    for (std::int64_t t = from; t < to; ++t) {
        for (const SpanItem& item : items) {
            if (item.start <= t && t < item.end) {
                ++busy[item.category];
                break;
            }
        }
    }
    return busy;
}

std::vector<SpanItem> randomItems(std::mt19937& random, int count, std::int64_t length, int longest) {
    std::vector<SpanItem> items;
    for (int i = 0; i < count; ++i) {
        const auto start = static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(length));
        const auto end = start + static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(longest));
        items.push_back({start, end, 0, i, static_cast<std::uint8_t>(random() % 3)});
    }
    return items;
}

TEST(SpanRow, TellsBusyTimePerCategoryLikeACountOfEveryNanosecond) {
    std::mt19937 random(1);
    const std::vector<SpanItem> items = randomItems(random, 400, 3000, 20);
    SpanRow row(3);
    row.add(items);
    for (int trial = 0; trial < 200; ++trial) {
        const auto from = static_cast<std::int64_t>(random() % 3000);
        const std::int64_t to = from + static_cast<std::int64_t>(random() % 1500);
        ASSERT_EQ(row.busy(from, to), countedBusy(items, 3, from, to)) << from << ' ' << to;
    }
}

TEST(SpanRow, IsTheSameHoweverItsItemsArrive) {
    std::mt19937 random(2);
    const std::vector<SpanItem> items = randomItems(random, 1000, 100'000, 150);
    SpanRow whole(3), late(3);
    whole.add(items);
    for (std::size_t i = 0; i < items.size(); i += 7) {
        late.add({items.begin() + static_cast<std::ptrdiff_t>(i),
                  items.begin() + static_cast<std::ptrdiff_t>(std::min(i + 7, items.size()))});
    }
    ASSERT_EQ(late.size(), whole.size());
    for (std::int64_t from = 0; from < 100'000; from += 977) {
        EXPECT_EQ(late.totalBusy(from, from + 5000), whole.totalBusy(from, from + 5000));
    }
}

TEST(SpanRow, ChangesACategoryInEverySum) {
    std::mt19937 random(3);
    std::vector<SpanItem> items;
    for (int i = 0; i < 600; ++i)
        items.push_back({i * 10, i * 10 + 6, 0, i, 0});
    SpanRow row(2);
    row.add(items);
    for (int i = 0; i < 600; i += 2)
        row.setCategory(static_cast<std::size_t>(i), 1);
    EXPECT_THAT(row.busy(0, 6000), testing::ElementsAre(1800, 1800));
    EXPECT_THAT(row.busy(3, 20), testing::ElementsAre(6, 3));
}

TEST(SpanRow, ForgetsWhatIsCutOff) {
    SpanRow row(1);
    for (int i = 0; i < 100; ++i)
        row.add({{i * 10, i * 10 + 5, 0, i, 0}});
    row.truncate(333);
    EXPECT_EQ(row.size(), 34U);
    EXPECT_EQ(row.totalBusy(0, 10'000), 34 * 5);
    row.add({{400, 450, 0, 7, 0}});
    EXPECT_EQ(row.totalBusy(0, 10'000), 34 * 5 + 50);
}

TEST(SpanRow, SumsAmountsInProportionAtTheEdges) {
    SpanRow row(1);
    for (int i = 0; i < 50; ++i)
        row.add({{i * 100, i * 100 + 100, 1000, i, 0}});
    EXPECT_DOUBLE_EQ(row.amount(0, 5000), 50'000);
    EXPECT_DOUBLE_EQ(row.amount(50, 250), 2000);
    EXPECT_DOUBLE_EQ(row.amount(10, 20), 100);
    EXPECT_DOUBLE_EQ(row.amount(6000, 7000), 0);
}

TEST(SpanRow, FindsItemsByTimeAndSource) {
    SpanRow row(1);
    row.add({{10, 20, 0, 5, 0}, {30, 40, 0, 6, 0}, {30, 31, 0, 9, 0}});
    EXPECT_EQ(row.firstEndingAfter(20), 1U);
    EXPECT_EQ(row.firstCoveringFrom(11), 1U);
    EXPECT_EQ(row.item(row.find(9, 30)).source, 9);
    EXPECT_EQ(row.find(9, 10), row.size());
}

}  // namespace
}  // namespace expertscope
