// SPDX-License-Identifier: GPL-3.0-or-later
// What is read of a part of a run, against the definition over all of its records.
#include <algorithm>
#include <map>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/session_reader.h"
#include "storage/session_writer.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

constexpr std::int64_t kStart = 7'000'000'000;
constexpr std::int64_t kLength = 40'000'000;

class PartReading : public testing::Test {
protected:
    PartReading() {
        for (int i = 0; i < 20'000; ++i) {
            SpanRecord& span = spans.emplace_back();
            span.start = Nanoseconds(kStart + i * 2000);
            span.end = span.start + Nanoseconds(random() % (i % 997 == 0 ? 3'000'000 : 4000));
            span.kind = i % 3 == 0 ? SpanKind::Range : SpanKind::Attention;
            span.lane = LaneId(i % 3);
            span.name = RangeNameId(i % 3 == 0 ? 0 : -1);
        }
        for (int i = 0; i < 9000; ++i) {
            TransferRecord& transfer = transfers.emplace_back();
            transfer.id = i;
            transfer.purpose = static_cast<TransferPurpose>(random() % 3);
            transfer.fate = static_cast<TransferFate>(random() % 5);
            transfer.moved = Bytes(static_cast<std::int64_t>(random() % 200'000));
            transfer.issued = Nanoseconds(kStart + i * 4000);
            if (i % 50 == 0) continue;  // never started
            transfer.started = transfer.issued + Nanoseconds(random() % 500);
            if (i % 60 != 0) transfer.finished = transfer.started + Nanoseconds(1 + random() % 30'000);
        }
        SessionWriter writer(file);
        writer.beginRun(sampleDescription());
        writer.append(RangeName{RangeNameId(0), "", "", "forward", 0});
        writer.append(std::span<const SpanRecord>(spans));
        writer.append(std::span<const TransferRecord>(transfers));
        writer.commit();
    }
    SessionReader reader() const { return SessionReader(file); }

    TemporaryFolder folder;
    std::filesystem::path file = folder / "parts.esdb";
    std::mt19937 random{3};
    std::vector<SpanRecord> spans;
    std::vector<TransferRecord> transfers;
};

TEST_F(PartReading, CountsRecordsAndTheirTimeWithoutReadingThem) {
    const RecordCounts counts = reader().recordCounts(RunId(1));
    EXPECT_EQ(counts.spans, 20'000);
    EXPECT_EQ(counts.transfers, 9000);
    EXPECT_EQ(counts.selections, 0);
    EXPECT_EQ(counts.all(), 29'000);
    const auto last = std::ranges::max_element(spans, {}, &SpanRecord::end);
    EXPECT_EQ(reader().spanExtent(RunId(1)), std::pair(Nanoseconds(kStart), last->end));
    EXPECT_FALSE(reader().spanExtent(RunId(2)));
}

TEST_F(PartReading, BringsEveryRecordThatHasAPartInTheTime) {
    const std::pair<std::int64_t, std::int64_t> windows[] = {
        {kStart, kStart + kLength}, {kStart + 17'000'000, kStart + 17'100'000}, {kStart + 900, kStart + 901}};
    for (const auto& [from, to] : windows) {
        const auto part = reader().spansBetween(RunId(1), Nanoseconds(from), Nanoseconds(to), 1'000'000);
        ASSERT_TRUE(part);
        std::vector<std::pair<std::int64_t, SpanKind>> expected, got;
        for (const SpanRecord& span : spans)
            if (span.end.count() >= from && span.start.count() < to)
                expected.emplace_back(span.start.count(), span.kind);
        for (const SpanRecord& span : part->spans)
            got.emplace_back(span.start.count(), span.kind);
        std::ranges::sort(expected);
        std::ranges::sort(got);
        EXPECT_EQ(got, expected);
        std::vector<std::int64_t> moved, movedThere;
        for (const TransferRecord& transfer : transfers) {
            const std::int64_t start = transfer.started.count(), end = transfer.finished.count();
            if (start != 0 && start < to && std::max(start, end) >= from) moved.push_back(transfer.id);
        }
        for (const TransferRecord& transfer : part->transfers)
            movedThere.push_back(transfer.id);
        EXPECT_EQ(movedThere, moved);
    }
}

TEST_F(PartReading, RefusesMoreThanWasAskedFor) {
    EXPECT_FALSE(reader().spansBetween(RunId(1), Nanoseconds(kStart), Nanoseconds(kStart + kLength), 10'000));
}

TEST_F(PartReading, SumsTransfersByPurposeAndFate) {
    struct Window {
        std::int64_t from, to;
        int pixels;
    };
    for (const Window& asked :
         {Window{kStart, kStart + kLength, 100}, Window{kStart + 5'000'000, kStart + 5'100'000, 64}}) {
        const TransferWindow window =
            reader().transferWindow(RunId(1), Nanoseconds(asked.from), Nanoseconds(asked.to), asked.pixels);
        const std::int64_t width = std::int64_t{1} << window.bits;
        const std::int64_t first = asked.from / width, last = (asked.to - 1) / width;
        std::map<std::tuple<TransferPurpose, TransferFate, std::int64_t>, std::pair<std::int64_t, double>> expected;
        for (const TransferRecord& transfer : transfers) {
            const std::int64_t start = transfer.started.count(), end = transfer.finished.count();
            if (start == 0 || end == 0 || transfer.purpose == TransferPurpose::Preload) continue;
            for (std::int64_t number = std::max(first, start / width); number <= std::min(last, end / width);
                 ++number) {
                const std::int64_t part = std::min(end, (number + 1) * width) - std::max(start, number * width);
                if (part <= 0) continue;
                auto& [busy, moved] = expected[{transfer.purpose, transfer.fate, number}];
                busy += part;
                moved += static_cast<double>(transfer.moved.count()) * static_cast<double>(part) /
                         static_cast<double>(end - start);
            }
        }
        std::size_t found = 0;
        for (const TransferSummaryRow& row : window.rows)
            for (std::size_t i = 0; i < row.row.buckets.size(); ++i) {
                const TransferBucket& bucket = row.row.buckets[i];
                if (bucket == TransferBucket{}) continue;
                const auto at = expected.find({row.purpose, row.fate, row.row.first + static_cast<std::int64_t>(i)});
                ASSERT_NE(at, expected.end());
                EXPECT_EQ(bucket.busy, at->second.first);
                EXPECT_NEAR(static_cast<double>(bucket.moved), at->second.second, 50);  // each part is rounded
                ++found;
            }
        EXPECT_EQ(found, expected.size());
    }
}

/// A run that goes on has no summary: its ranges lie in chunks of their own.
TEST_F(PartReading, SumsRangesOfARunThatGoesOn) {
    const SpanWindow window = reader().spanWindow(RunId(1), Nanoseconds(kStart), Nanoseconds(kStart + kLength), 50);
    std::int64_t ranges = 0, others = 0;
    for (const SpanSummaryRow& row : window.rows)
        for (const SpanBucket& bucket : row.row.buckets)
            (row.kind == SpanKind::Range ? ranges : others) += bucket.count;
    EXPECT_EQ(ranges, 6667);
    EXPECT_EQ(others, 13'333);
}

}  // namespace
}  // namespace expertscope
