// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/summaries.h"

#include <map>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "engine/base/error.h"
#include "storage/session_reader.h"
#include "storage/session_writer.h"
#include "tests/storage/sample_records.h"
#include "tests/storage/stored_sessions.h"

namespace expertscope {
namespace {

constexpr std::int64_t kStart = 5'000'000'000'000;

/// Spans of three lanes and three kinds, nested, overlapping and without length, not quite in order of time.
std::vector<SpanRecord> someSpans(int count) {
    std::mt19937 random(11);
    std::vector<SpanRecord> spans(static_cast<std::size_t>(count));
    std::int64_t time = kStart;
    for (SpanRecord& span : spans) {
        time += random() % 3000;
        span.start = Nanoseconds(time - random() % 2000);
        const std::uint32_t lengths[] = {0, 500, 20'000, 3'000'000};
        const std::uint32_t most = lengths[random() % 4];
        span.end = span.start + Nanoseconds(most == 0 ? 0 : random() % most);
        span.lane = LaneId(static_cast<std::int32_t>(random() % 3 * 50));
        span.kind = static_cast<SpanKind>(random() % 3 * 4);
    }
    return spans;
}

std::vector<SelectionRecord> someSelections(int tokens) {
    std::mt19937 random(12);
    std::vector<SelectionRecord> selections;
    for (int token = 0; token < tokens; ++token)
        for (int i = 0; i < 12; ++i) {
            SelectionRecord& record = selections.emplace_back();
            record.token = TokenIndex(token);
            record.layer = LayerIndex(i / 4);
            record.outcome = static_cast<Outcome>(random() % 3);
            record.firstUse = random() % 3 != 0;
        }
    return selections;
}

using SpanBuckets = std::map<std::tuple<std::int32_t, SpanKind, std::int64_t>, SpanBucket>;

SpanBuckets bucketsOf(const SpanWindow& window) {
    SpanBuckets buckets;
    for (const SpanSummaryRow& row : window.rows)
        for (std::size_t i = 0; i < row.row.buckets.size(); ++i)
            if (row.row.buckets[i] != SpanBucket{})
                buckets[{row.lane.value(), row.kind, row.row.first + static_cast<std::int64_t>(i)}] =
                    row.row.buckets[i];
    return buckets;
}

/// The definition, span by span and bucket by bucket.
SpanBuckets expectedSpans(const std::vector<SpanRecord>& spans, std::int64_t first, std::int64_t last, int bits) {
    SpanBuckets buckets;
    const std::int64_t width = std::int64_t{1} << bits;
    for (const SpanRecord& span : spans) {
        const std::int64_t start = span.start.count(), end = span.end.count();
        for (std::int64_t number = std::max(start / width, first); number <= std::min(end / width, last); ++number) {
            SpanBucket bucket;
            const bool begins = start / width == number;
            bucket.count = begins ? 1 : 0;
            bucket.longest = begins ? end - start : 0;
            bucket.busy = std::min(end, (number + 1) * width) - std::max(start, number * width);
            if (bucket != SpanBucket{}) buckets[{span.lane.value(), span.kind, number}].merge(bucket);
        }
    }
    return buckets;
}

using SelectionBuckets = std::map<std::pair<std::int32_t, std::int64_t>, SelectionBucket>;

SelectionBuckets bucketsOf(const SelectionWindow& window) {
    SelectionBuckets buckets;
    for (const SelectionSummaryRow& row : window.rows)
        for (std::size_t i = 0; i < row.row.buckets.size(); ++i)
            buckets[{row.layer.value(), row.row.first + static_cast<std::int64_t>(i)}] = row.row.buckets[i];
    return buckets;
}

SelectionBuckets expectedSelections(const std::vector<SelectionRecord>& selections, std::int64_t first,
                                    std::int64_t last, int bits) {
    SelectionBuckets buckets;
    for (const SelectionRecord& record : selections) {
        const std::int64_t number = record.token.value() / (std::int64_t{1} << bits);
        if (number < first || number > last) continue;
        SelectionBucket& bucket = buckets[{record.layer.value(), number}];
        ++bucket.count;
        bucket.accesses += record.firstUse;
        bucket.inFlight += record.firstUse && record.outcome == Outcome::InFlight;
        bucket.misses += record.firstUse && record.outcome == Outcome::Miss;
    }
    return buckets;
}

class Windows : public testing::Test {
protected:
    Windows() {
        SessionWriter writer(file);
        writer.beginRun(sampleDescription());
        writer.append(spans);
        writer.append(selections);
        writer.commit();
        running = read();
        writer.endRun(sampleSummary(), RunState::Complete);
        writer.close();
    }

    struct Window {
        std::int64_t from, to;
        int pixels;
    };
    std::vector<Window> times() const {
        const std::int64_t length = spans.back().start.count() - kStart;
        return {{kStart, kStart + length, 100},
                {kStart - length, kStart + 2 * length, 1920},
                {kStart + length / 3, kStart + length / 2, 300},
                {kStart + length / 3, kStart + length / 3 + 1000, 1920},
                {kStart + length / 3, kStart + length / 3 + 1, 1},
                {kStart + length * 4, kStart + length * 5, 1920}};
    }
    static std::vector<Window> tokens() {
        return {{0, 9000, 1920}, {0, 9000, 10}, {1234, 1300, 1920}, {8000, 20'000, 77}, {10'000, 10'001, 5}};
    }

    struct Answers {
        std::vector<SpanWindow> spans;
        std::vector<SelectionWindow> selections;
    };
    Answers read() const {
        const SessionReader reader(file);
        Answers answers;
        for (const Window& window : times())
            answers.spans.push_back(
                reader.spanWindow(RunId(1), Nanoseconds(window.from), Nanoseconds(window.to), window.pixels));
        for (const Window& window : tokens())
            answers.selections.push_back(
                reader.selectionWindow(RunId(1), TokenIndex(static_cast<std::int32_t>(window.from)),
                                       TokenIndex(static_cast<std::int32_t>(window.to)), window.pixels));
        return answers;
    }

    TemporaryFolder folder;
    std::filesystem::path file = folder / "s.esdb";
    std::vector<SpanRecord> spans = someSpans(20'000);
    std::vector<SelectionRecord> selections = someSelections(9000);
    Answers running;  ///< while there was no summary
};

TEST_F(Windows, AreWhatTheSpansAndSelectionsAddUpTo) {
    const Answers answers = read();
    for (std::size_t i = 0; i < answers.spans.size(); ++i) {
        const auto [from, to, pixels] = times()[i];
        const int bits = answers.spans[i].bits;
        EXPECT_LE((to - from) >> bits, pixels);
        EXPECT_EQ(bucketsOf(answers.spans[i]), expectedSpans(spans, from >> bits, (to - 1) >> bits, bits)) << i;
    }
    EXPECT_FALSE(answers.spans[0].rows.empty());
    EXPECT_TRUE(answers.spans.back().rows.empty()) << "nothing lies there";
    for (std::size_t i = 0; i < answers.selections.size(); ++i) {
        const auto [from, to, pixels] = tokens()[i];
        const int bits = answers.selections[i].bits;
        EXPECT_EQ(bucketsOf(answers.selections[i]),
                  expectedSelections(selections, from >> bits, (to - 1) >> bits, bits))
            << i;
    }
}

TEST_F(Windows, AreTheSameWhileTheRunGoesOn) {
    const Answers ended = read();
    for (std::size_t i = 0; i < ended.spans.size(); ++i) {
        EXPECT_EQ(running.spans[i].bits, ended.spans[i].bits);
        EXPECT_EQ(bucketsOf(running.spans[i]), bucketsOf(ended.spans[i])) << i;
    }
    for (std::size_t i = 0; i < ended.selections.size(); ++i)
        EXPECT_EQ(bucketsOf(running.selections[i]), bucketsOf(ended.selections[i])) << i;
}

TEST_F(Windows, OfASummaryThatIsDamagedAreRefused) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(file.c_str(), &database), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(database, "UPDATE span_summary SET data = substr(data, 1, 20)", nullptr, nullptr, nullptr),
              SQLITE_OK);
    sqlite3_close(database);
    EXPECT_THROW(read(), BadInputError);
}

TEST(WindowsOfAnOlderSession, ComeFromItsChunks) {
    const TemporaryFolder folder;
    const SessionReader reader(storedSession(1, folder.path()));
    std::vector<SpanRecord> spans;
    std::int64_t from = INT64_MAX, to = 0;
    ReadCursor cursor;
    for (RecordBatch batch; !(batch = reader.readNew(RunId(1), cursor)).empty();)
        for (const SpanRecord& span : batch.spans) {
            spans.push_back(span);
            from = std::min(from, span.start.count());
            to = std::max(to, span.end.count());
        }
    const SpanWindow window = reader.spanWindow(RunId(1), Nanoseconds(from), Nanoseconds(to), 500);
    EXPECT_EQ(bucketsOf(window), expectedSpans(spans, from >> window.bits, (to - 1) >> window.bits, window.bits));
}

TEST(Summary, KeepsTheNumberOfBucketsInBoundsHoweverLongTheRun) {
    SpanSummary summary;
    std::int64_t time = kStart;
    for (int i = 0; i < 300'000; ++i, time += 1'000'000)
        summary.add(LaneId(0), SpanKind::Wait, time, time + 900'000);
    const SpanWindow window = summary.take();
    ASSERT_EQ(window.rows.size(), 1U);
    EXPECT_GT(window.rows[0].row.buckets.size(), 2000U);
    EXPECT_LE(window.rows[0].row.buckets.size(), 4097U);
    std::int64_t busy = 0;
    for (const SpanBucket& bucket : window.rows[0].row.buckets)
        busy += bucket.busy;
    EXPECT_EQ(busy, 300'000LL * 900'000);
}

TEST(Summary, TakesSpansOfAnyTimes) {
    SpanSummary summary;
    summary.add(LaneId(0), SpanKind::Wait, INT64_MIN, INT64_MAX);
    summary.add(LaneId(0), SpanKind::Wait, 7, 3);  // a clock that went back
    const SpanWindow window = summary.take();
    ASSERT_EQ(window.rows.size(), 1U);
    EXPECT_LE(window.rows[0].row.buckets.size(), 4097U);
}

}  // namespace
}  // namespace expertscope
