// SPDX-License-Identifier: GPL-3.0-or-later
#include <bit>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/session_reader.h"
#include "storage/session_writer.h"
#include "storage/sql.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

SpanRecord range(int i, PayloadType payload) {
    SpanRecord span;
    span.start = Nanoseconds(1000 * i);
    span.end = Nanoseconds(1000 * i + 10 * (i % 3));
    span.amount = payload == PayloadType::Real ? std::bit_cast<std::int64_t>(i / 8.0) : i - 3;
    span.payload = payload;
    span.layer = LayerIndex(i % 4);
    span.expert = ExpertId(i % 7);
    span.step = StepIndex(i / 10);
    span.lane = LaneId(200 + i % 2);
    span.kind = SpanKind::Range;
    span.name = RangeNameId(i % 5);
    return span;
}

std::string told(const SpanRecord& r) {
    return text(r) + std::to_string(static_cast<int>(r.payload)) + "|" + std::to_string(r.name.value());
}

TEST(Ranges, ComeBackWithTheirNamesAmongTheSpans) {
    const TemporaryFolder folder;
    std::vector<SpanRecord> ranges;
    const std::vector<SpanRecord> spans = sampleRecords(6000).spans;
    for (int i = 0; i < 6000; ++i) {
        ranges.push_back(range(i, static_cast<PayloadType>(i % 3)));
    }
    {
        SessionWriter writer(folder / "s.esdb");
        writer.beginRun(sampleDescription());
        writer.append(RangeName{RangeNameId(0), "moe", "router", "gate", 0xff00aa11});
        writer.append(RangeName{RangeNameId(1), "", "", "\xffname", 0});
        writer.append(std::span(spans).first(100));
        writer.append(ranges);
        writer.append(std::span(spans).subspan(100));
        writer.endRun(sampleSummary(), RunState::Complete);
        writer.beginRun(sampleDescription(1));
        writer.endRun(sampleSummary(), RunState::Complete);
        writer.close();
    }
    const SessionReader reader(folder / "s.esdb");
    std::vector<std::string> readRanges, readSpans, expectedRanges, expectedSpans;
    ReadCursor cursor;
    for (RecordBatch batch; !(batch = reader.readNew(RunId(1), cursor)).empty();)
        for (const SpanRecord& record : batch.spans)
            (record.kind == SpanKind::Range ? readRanges : readSpans).push_back(told(record));
    for (const SpanRecord& record : ranges)
        expectedRanges.push_back(told(record));
    for (const SpanRecord& record : spans)
        expectedSpans.push_back(told(record));
    EXPECT_EQ(readRanges, expectedRanges);
    EXPECT_EQ(readSpans, expectedSpans);
    const std::vector<RangeName> names = reader.rangeNames(RunId(1));
    ASSERT_EQ(names.size(), 2u);
    EXPECT_EQ(std::tie(names[0].domain, names[0].category, names[0].text, names[0].color),
              std::make_tuple("moe", "router", "gate", 0xff00aa11U));
    EXPECT_EQ(names[1].text, "\xEF\xBF\xBDname");
    EXPECT_THAT(reader.rangeNames(RunId(2)), IsEmpty());
}

TEST(Ranges, AreRowsWithTheirPayloadForSql) {
    const TemporaryFolder folder;
    {
        SessionWriter writer(folder / "s.esdb");
        writer.beginRun(sampleDescription());
        writer.append(RangeName{RangeNameId(4), "moe", "", "gate", 0});
        const std::vector<SpanRecord> ranges{range(4, PayloadType::Real), range(9, PayloadType::Integer),
                                             range(14, PayloadType::None)};
        writer.append(ranges);
        writer.endRun(sampleSummary(), RunState::Complete);
        writer.close();
    }
    const SqlResult rows = runSql(folder / "s.esdb",
                                  "SELECT start_ns, end_ns, lane, text, layer, expert, step, payload FROM range JOIN "
                                  "range_name USING (run_id, name_id) WHERE run_id = 1 ORDER BY start_ns");
    using Row = std::vector<SqlValue>;
    const auto integer = [](std::int64_t value) { return SqlValue(value); };
    const SqlValue name(std::string("gate"));
    EXPECT_THAT(
        rows.rows,
        ElementsAre(
            Row{integer(4000), integer(4010), integer(200), name, integer(0), integer(4), integer(0), SqlValue(0.5)},
            Row{integer(9000), integer(9000), integer(201), name, integer(1), integer(2), integer(0), integer(6)},
            Row{integer(14000), integer(14020), integer(200), name, integer(2), integer(0), integer(1),
                SqlValue(std::monostate{})}));
    EXPECT_THAT(runSql(folder / "s.esdb", "SELECT count(*) FROM span").rows, ElementsAre(Row{integer(0)}));
}

TEST(Session, LearnsOfItsModelWhileItIsRecorded) {
    const TemporaryFolder folder;
    RunDescription description = sampleDescription();
    description.model = {};
    {
        SessionWriter writer(folder / "s.esdb");
        writer.beginRun(description);
        description.model.layers = 4;
        writer.setModel(description.model);
        description.model.experts = 60;
        writer.setModel(description.model);
        writer.endRun(sampleSummary(), RunState::Complete);
        writer.close();
    }
    EXPECT_EQ(text(SessionReader(folder / "s.esdb").run(RunId(1)).description), text(description));
    EXPECT_EQ(std::get<std::int64_t>(runSql(folder / "s.esdb", "SELECT count(*) FROM model").rows[0][0]), 1);
}

}  // namespace
}  // namespace expertscope
