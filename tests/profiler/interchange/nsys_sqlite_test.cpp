// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <bit>
#include <map>

#include <fmt/format.h>

#include "profiler/interchange/nsys_export.h"
#include "storage/foreign_database.h"
#include "storage/session_writer.h"
#include "tests/profiler/interchange/import_fixture.h"

namespace expertscope {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class NsysSqlite : public ImportTest {
protected:
    /// "lane: start-end domain/category/name payload" of every range, in order of start.
    std::vector<std::string> ranges() const {
        const SessionReader reader(session());
        std::map<LaneId, std::string> lanes;
        for (const LaneInfo& lane : reader.lanes(RunId(1)))
            lanes[lane.lane] = lane.name;
        const std::vector<RangeName> names = reader.rangeNames(RunId(1));
        std::vector<std::string> out;
        for (const SpanRecord& s : records().spans) {
            const RangeName& name = names.at(s.name.index());
            std::string payload;
            if (s.payload == PayloadType::Integer) payload = fmt::format(" {}", s.amount);
            if (s.payload == PayloadType::Real) payload = fmt::format(" {}", std::bit_cast<double>(s.amount));
            out.push_back(fmt::format("{}: {}-{} {}/{}/{}{}", lanes[s.lane], s.start.count(), s.end.count(),
                                      name.domain, name.category, name.text, payload));
        }
        return out;
    }
};

TEST_F(NsysSqlite, BecomesRangesOnLanesOfStreamsAndThreads) {
    const ImportedRun imported = import(sampleFile("nsys.sqlite"));
    EXPECT_THAT(
        ranges(),
        ElementsAre("process 4711 / main thread: 100-3000 //outer",
                    "process 4711 / main thread · 2: 200-400 moe/io/registered -7",
                    "process 4711: 300-3100 //across 0.25", "process 4711 / main thread · 3: 350-350 //mark",
                    "GPU 0 / stream 8: 500-900 cuda/memcpy/memcpy HtoD 4096",
                    "process 4711 / main thread · CUDA: 800-850 cuda/api/cudaLaunchKernel",
                    "GPU 0 / stream 8: 950-960 cuda/memset/memset 256", "GPU 0 / stream 7: 1000-1500 cuda/kernel/gemm",
                    "GPU 0 / stream 7: 2000-2600 cuda/kernel/gemm"));
    EXPECT_EQ(imported.summary.spans, 9);
    EXPECT_THAT(imported.notes, Contains(HasSubstr("1 NVTX ranges that never ended")));
    EXPECT_EQ(SessionReader(session()).rangeNames(imported.run).at(3).color, 0U);
}

TEST_F(NsysSqlite, NeedsNoMoreThanTimesOfATable) {
    import(sampleFile("nsys_old.sqlite"));
    EXPECT_THAT(ranges(), ElementsAre("GPU 0 / stream 0: 10-20 cuda/kernel/old_kernel"));
}

TEST_F(NsysSqlite, NamesTheRowThatIsWrong) {
    EXPECT_THAT(refusal(sampleFile("nsys_backwards.sqlite")), HasSubstr("Row 2 of table CUPTI_ACTIVITY_KIND_KERNEL"));
    EXPECT_THAT(refusal(sampleFile("nsys_empty.sqlite")), HasSubstr("holds no kernel"));
    EXPECT_THAT(refusal(sampleFile("other.sqlite")), HasSubstr("--format"));
    std::ifstream in(sampleFile("nsys.sqlite"), std::ios::binary);
    const std::string whole{std::istreambuf_iterator<char>(in), {}};
    EXPECT_THAT(refusal(write("cut.sqlite", whole.substr(0, 3000)), {}, "nsys-sqlite"), HasSubstr("cannot be read"));
    EXPECT_THAT(refusal(write("no.sqlite", "no database"), {}, "nsys-sqlite"), HasSubstr("cannot be read"));
}

SpanRecord nsysSpan(SpanKind kind, int lane, std::int64_t from, std::int64_t to, std::int64_t amount = 0) {
    SpanRecord s;
    s.kind = kind;
    s.lane = LaneId(lane);
    s.start = Nanoseconds(from);
    s.end = Nanoseconds(to);
    s.step = StepIndex(2);
    s.layer = LayerIndex(1);
    s.expert = ExpertId(4);
    s.amount = amount;
    return s;
}

class NsysExport : public NsysSqlite {
protected:
    static constexpr std::int64_t kStart = 5'000'000'000;
    void SetUp() override {
        SessionWriter writer(folder / "in.esdb");
        RunDescription run;
        run.start = Nanoseconds(kStart);
        writer.beginRun(run);
        writer.append(LaneInfo{LaneId(0), LaneRole::Compute, "compute"});
        writer.append(LaneInfo{LaneId(100), LaneRole::Transfer, "link"});
        writer.append(RangeName{RangeNameId(0), "dom", "cat", "named", 0x80112233U});
        std::vector<SpanRecord> spans = {nsysSpan(SpanKind::Step, 0, kStart, kStart + 900, 1),
                                         nsysSpan(SpanKind::TransferPrefetch, 100, kStart + 10, kStart + 20, 4096),
                                         nsysSpan(SpanKind::Range, 0, kStart + 30, kStart + 40, -3),
                                         nsysSpan(SpanKind::Range, 0, kStart + 50, kStart + 50)};
        spans[2].payload = PayloadType::Integer;
        spans[2].name = spans[3].name = RangeNameId(0);
        writer.append(std::span<const SpanRecord>(spans));
        writer.endRun({}, RunState::Complete);
        writer.close();
        exportNsysSqlite(folder / "in.esdb", RunId(1), folder / "out.sqlite");
    }
};

TEST_F(NsysExport, HasNsightsTablesColumnsAndNumbers) {
    const ForeignDatabase database(folder / "out.sqlite");
    ForeignRows copy = database.query("SELECT start, end, bytes, copyKind, streamId FROM CUPTI_ACTIVITY_KIND_MEMCPY");
    ASSERT_TRUE(copy.next());
    EXPECT_EQ(copy.integer(0), 10);
    EXPECT_EQ(copy.integer(2), 4096);
    EXPECT_EQ(copy.integer(3), 1);
    EXPECT_EQ(copy.integer(4), 100);
    // The idiom of Nsight's readers: texts by COALESCE, processes and threads out of globalTid.
    ForeignRows events = database.query(
        "SELECT COALESCE(text, value), end - start, eventType, int64Value, globalTid % 0x1000000, globalTid / "
        "0x1000000 % "
        "0x1000000 FROM NVTX_EVENTS LEFT JOIN StringIds ON textId = id WHERE eventType IN (34, 59) ORDER BY start");
    ASSERT_TRUE(events.next());
    EXPECT_EQ(events.text(0), "step");
    EXPECT_EQ(events.integer(1), 900);
    ASSERT_TRUE(events.next());
    EXPECT_EQ(events.text(0), "named");
    EXPECT_EQ(events.integer(2), 59);
    EXPECT_EQ(events.integer(3), -3);
    EXPECT_EQ(events.integer(4), 0);
    EXPECT_EQ(events.integer(5), 1);
    ASSERT_TRUE(events.next());
    EXPECT_EQ(events.integer(2), 34);
    ForeignRows names =
        database.query("SELECT value FROM ThreadNames JOIN StringIds ON nameId = id ORDER BY globalTid");
    ASSERT_TRUE(names.next());
    EXPECT_EQ(names.text(0), "compute");
}

TEST_F(NsysExport, ComesBackAsItWas) {
    const ImportedRun imported = import(folder / "out.sqlite");
    const SessionReader before(folder / "in.esdb"), after(session());
    ReadCursor from, to;
    auto was = texts(before.readNew(RunId(1), from).spans), is = texts(after.readNew(imported.run, to).spans);
    std::ranges::sort(was);
    std::ranges::sort(is);
    EXPECT_EQ(was, is);
    EXPECT_EQ(texts(before.lanes(RunId(1))), texts(after.lanes(imported.run)));
    EXPECT_EQ(after.rangeNames(imported.run).at(0).domain, "dom");
    EXPECT_EQ(after.rangeNames(imported.run).at(0).category, "cat");
    EXPECT_EQ(after.rangeNames(imported.run).at(0).color, 0x80112233U);
}

TEST_F(NsysExport, RefusesToWriteWhereItCannot) {
    EXPECT_THROW(exportNsysSqlite(folder / "in.esdb", RunId(1), folder / "no/such/x.sqlite"), FailedError);
    EXPECT_THROW(exportNsysSqlite(folder / "in.esdb", RunId(4), folder / "x.sqlite"), UsageError);
}

}  // namespace
}  // namespace expertscope
