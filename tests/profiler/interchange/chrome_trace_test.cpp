// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <bit>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "profiler/interchange/chrome_export.h"
#include "profiler/interchange/inflated_input.h"
#include "storage/session_writer.h"
#include "tests/profiler/interchange/import_fixture.h"

namespace expertscope {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::int64_t kStart = 1'234'567'890'123;  // nanoseconds of a clock long running

SpanRecord span(SpanKind kind, int lane, std::int64_t from, std::int64_t to, int step = -1, int layer = -1,
                int expert = -1, std::int64_t amount = 0) {
    SpanRecord s;
    s.kind = kind;
    s.lane = LaneId(lane);
    s.start = Nanoseconds(kStart + from);
    s.end = Nanoseconds(kStart + to);
    s.step = StepIndex(step);
    s.layer = LayerIndex(layer);
    s.expert = ExpertId(expert);
    s.amount = amount;
    return s;
}

/// A run with a lane for compute and one for transfers, one expert moved and used, and a range with an awkward name.
class ChromeTrace : public ImportTest {
protected:
    static inline const std::string kAwkward = "say \"hi\"\\ \n\t\x01 – é";

    void record() {
        std::filesystem::remove(folder / "in.esdb");
        SessionWriter writer(folder / "in.esdb");
        RunDescription run;
        run.policy = "on-demand";
        run.eviction = "lru";
        run.model.name = "m";
        run.start = Nanoseconds(kStart);
        writer.beginRun(run);
        writer.append(LaneInfo{LaneId(0), LaneRole::Compute, "compute"});
        writer.append(LaneInfo{LaneId(100), LaneRole::Transfer, "link \"0\""});
        writer.append(RangeName{RangeNameId(0), "my domain", "my category", kAwkward, 0xff00ff00U});
        std::vector<SpanRecord> spans = {
            span(SpanKind::Step, 0, 0, 5001, 0, -1, -1, 1),
            span(SpanKind::TransferDemand, 100, 1000, 2003, 0, 2, 7, 4096),
            span(SpanKind::ExpertCompute, 0, 2100, 2250, 0, 2, 7, 1),
            span(SpanKind::ExpertCompute, 0, 3000, 3001, 0, 3, 7, 1),
            span(SpanKind::Range, 0, 4000, 4500, 1, 2, 3, std::bit_cast<std::int64_t>(0.1)),
            span(SpanKind::Range, 0, 4600, 4600, -1, -1, -1, -5),
        };
        spans[4].name = spans[5].name = RangeNameId(0);
        spans[4].payload = PayloadType::Real;
        spans[5].payload = PayloadType::Integer;
        writer.append(std::span<const SpanRecord>(spans));
        TransferRecord transfer;
        transfer.id = 9;
        transfer.expert = {LayerIndex(2), ExpertId(7)};
        transfer.bytes = transfer.moved = Bytes(4096);
        transfer.issued = Nanoseconds(kStart + 900);
        transfer.started = Nanoseconds(kStart + 1000);
        transfer.finished = Nanoseconds(kStart + 2003);
        transfer.usedStep = StepIndex(0);
        writer.append(std::span<const TransferRecord>(&transfer, 1));
        ResidencyRecord change;
        change.time = Nanoseconds(kStart + 950);
        change.subject = change.cause = transfer.expert;
        writer.append(std::span<const ResidencyRecord>(&change, 1));
        TokenRecord token;
        token.bytes = "a\"b\xff";
        token.time = Nanoseconds(kStart + 5001);
        writer.append(std::span<const TokenRecord>(&token, 1));
        writer.endRun({}, RunState::Complete);
        writer.close();
    }
    json exported(const char* name) {
        record();
        exportChrome(folder / "in.esdb", std::nullopt, folder / name);
        return json::parse(readHead(folder / name, std::size_t{1} << 24));
    }
    static std::vector<json> phase(const json& trace, const std::string& ph) {
        std::vector<json> events;
        for (const json& event : trace["traceEvents"])
            if (event["ph"] == ph) events.push_back(event);
        return events;
    }
    std::string refusalOf(const std::string& text) { return refusal(write("t.json", text), {}, "chrome"); }
};

TEST_F(ChromeTrace, HasALaneASpanAndItsFields) {
    const json trace = exported("out.json");
    std::map<int, std::string> lanes;
    for (const json& event : phase(trace, "M"))
        if (event["name"] == "thread_name") lanes[event["tid"]] = event["args"]["name"];
    EXPECT_EQ(lanes, (std::map<int, std::string>{{0, "compute"}, {100, "link \"0\""}}));
    const std::vector<json> spans = phase(trace, "X");
    ASSERT_EQ(spans.size(), 6u);
    EXPECT_EQ(spans[1]["name"], "transfer-demand");
    EXPECT_EQ(spans[1]["tid"], 100);
    EXPECT_DOUBLE_EQ(spans[1]["ts"], 1.0);
    EXPECT_DOUBLE_EQ(spans[1]["dur"], 1.003);
    EXPECT_EQ(spans[1]["args"]["amount"], 4096);
    EXPECT_EQ(spans[4]["name"], kAwkward);
    EXPECT_EQ(phase(trace, "i")[0]["name"], "a\"b\xEF\xBF\xBD");
}

TEST_F(ChromeTrace, LeadsATransferToItsFirstUse) {
    const json trace = exported("out.json");
    const std::vector<json> from = phase(trace, "s"), to = phase(trace, "f");
    ASSERT_EQ(from.size(), 1u);
    ASSERT_EQ(to.size(), 1u);
    EXPECT_EQ(from[0]["id"], to[0]["id"]);
    EXPECT_EQ(from[0]["tid"], 100);
    EXPECT_DOUBLE_EQ(from[0]["ts"], 1.0);
    EXPECT_EQ(to[0]["tid"], 0);
    EXPECT_EQ(to[0]["bp"], "e");
    EXPECT_DOUBLE_EQ(to[0]["ts"], 2.1) << "the expert of layer 3 with the same number is another one";
}

TEST_F(ChromeTrace, CountsResidentExpertsAndTheLink) {
    const json trace = exported("out.json");
    std::vector<std::string> counters;
    for (const json& event : phase(trace, "C"))
        counters.push_back(event["name"].get<std::string>() + " " + event["ts"].dump() + " " + event["args"].dump());
    EXPECT_THAT(counters, ElementsAre("resident experts 0.95 {\"experts\":1}", "bytes on the link 1.0 {\"bytes\":4096}",
                                      "bytes on the link 2.003 {\"bytes\":0}"));
}

TEST_F(ChromeTrace, ComesBackAsItWas) {
    for (const char* name : {"out.json", "out.json.gz"}) {
        exported(name);
        std::filesystem::remove(session());
        const ImportedRun imported = import(folder / name);
        const SessionReader before(folder / "in.esdb"), after(session());
        ReadCursor from, to;
        auto was = texts(before.readNew(RunId(1), from).spans);
        auto is = texts(after.readNew(imported.run, to).spans);
        std::ranges::sort(was);
        std::ranges::sort(is);
        EXPECT_EQ(was, is) << name;
        EXPECT_EQ(texts(before.lanes(RunId(1))), texts(after.lanes(imported.run)));
        EXPECT_EQ(after.run(imported.run).description.start, Nanoseconds(kStart));
        const std::vector<RangeName> names = after.rangeNames(imported.run);
        ASSERT_EQ(names.size(), 1u);
        EXPECT_EQ(names[0].text, kAwkward);
        EXPECT_EQ(names[0].domain, "my domain");
        EXPECT_EQ(names[0].category, "my category");
        EXPECT_EQ(names[0].color, 0xff00ff00U);
    }
}

TEST_F(ChromeTrace, PacksWhereTheNameEndsInGz) {
    exported("out.json.gz");
    std::ifstream in(folder / "out.json.gz", std::ios::binary);
    EXPECT_EQ(in.get(), 0x1f);
    EXPECT_EQ(in.get(), 0x8b);
}

/// "lane start-end name" of every imported range.
std::vector<std::string> ranges(const std::filesystem::path& session) {
    const SessionReader reader(session);
    std::map<LaneId, std::string> lanes;
    for (const LaneInfo& lane : reader.lanes(RunId(1)))
        lanes[lane.lane] = lane.name;
    const std::vector<RangeName> names = reader.rangeNames(RunId(1));
    ReadCursor cursor;
    std::vector<std::string> out;
    for (const SpanRecord& s : reader.readNew(RunId(1), cursor).spans)
        out.push_back(
            fmt::format("{}: {}-{} {}", lanes[s.lane], s.start.count(), s.end.count(), names.at(s.name.index()).text));
    return out;
}

TEST_F(ChromeTrace, TakesAnArrayWithPairsAndCompleteEventsInAnyOrder) {
    const ImportedRun imported = import(write("t.json", R"([
        {"ph":"M","pid":1,"name":"process_name","args":{"name":"prog"}},
        {"ph":"M","pid":1,"tid":2,"name":"thread_name","args":{"name":"main"}},
        {"ph":"X","pid":1,"tid":2,"ts":10,"dur":0.5,"name":"late"},
        {"ph":"B","pid":1,"tid":2,"ts":1,"name":"outer","args":{"layer":3}},
        {"ph":"B","pid":1,"tid":2,"ts":2,"name":"inner"},
        {"ph":"E","pid":1,"tid":2,"ts":3.25},
        {"ph":"E","pid":1,"tid":2,"ts":4},
        {"ph":"i","pid":1,"tid":2,"ts":5,"name":"mark"},
        {"ph":"b","pid":1,"cat":"c","id":"0x1","ts":6,"name":"async"},
        {"ph":"e","pid":1,"cat":"c","id":"0x1","ts":8},
        {"ph":"C","pid":1,"ts":6,"name":"n","args":{"v":1}},
        {"ph":"E","pid":1,"tid":2,"ts":20}
    ])"));
    EXPECT_THAT(ranges(session()),
                ElementsAre("prog / main: 1000-4000 outer", "prog / main · 2: 2000-3250 inner",
                            "prog / main: 5000-5000 mark", "prog: 6000-8000 async", "prog / main: 10000-10500 late"));
    EXPECT_EQ(records().spans[0].layer, LayerIndex(3));
    EXPECT_THAT(imported.notes, Contains(HasSubstr("1 begins or ends")));
    EXPECT_THAT(imported.notes, Contains(HasSubstr("phase 'C'")));
    EXPECT_EQ(imported.summary.spans, 5);
}

TEST_F(ChromeTrace, PairsAsynchronousEventsByTheirIdAndItsScopeInOrderOfTime) {
    const ImportedRun imported = import(write("t.json", R"([
        {"ph":"b","pid":1,"cat":"c","id2":{"local":"0x1"},"ts":1,"name":"mine"},
        {"ph":"b","pid":1,"cat":"c","id2":{"local":"0x2"},"ts":2,"name":"other"},
        {"ph":"b","pid":2,"cat":"c","id2":{"local":"0x1"},"ts":3,"name":"neighbour's"},
        {"ph":"b","pid":1,"cat":"c","id2":{"global":"0x1"},"ts":4,"name":"of all"},
        {"ph":"e","pid":1,"cat":"c","id2":{"local":"0x1"},"ts":5},
        {"ph":"e","pid":2,"cat":"c","id2":{"global":"0x1"},"ts":6},
        {"ph":"e","pid":2,"cat":"c","id2":{"local":"0x1"},"ts":7},
        {"ph":"e","pid":1,"cat":"c","id2":{"local":"0x2"},"ts":8},
        {"ph":"F","pid":4,"cat":"c","id":"7","ts":14,"name":"old"},
        {"ph":"S","pid":3,"cat":"c","id":"7","ts":11,"name":"old"},
        {"ph":"S","pid":3,"cat":"c","id":"7","ts":12,"name":"old too"},
        {"ph":"T","pid":3,"cat":"c","id":"7","ts":13,"name":"old"},
        {"ph":"F","pid":3,"cat":"c","id":"7","ts":15,"name":"old too"}
    ])"));
    EXPECT_THAT(ranges(session()),
                ElementsAre("1: 1000-5000 mine", "1 · 2: 2000-8000 other", "2: 3000-7000 neighbour's",
                            "1 · 3: 4000-6000 of all", "3: 11000-14000 old", "3 · 2: 12000-15000 old too"));
    EXPECT_THAT(imported.notes, ElementsAre(HasSubstr("1 events that are no ranges")));
}

TEST_F(ChromeTrace, TakesAnObjectWithABaseTime) {
    import(
        write("t.json", R"({"schemaVersion":1,"deviceProperties":[{"id":0,"name":"GPU"}],"baseTimeNanoseconds":1000000,
        "traceEvents":[{"ph":"X","cat":"kernel","name":"gemm","pid":0,"tid":7,"ts":1.5,"dur":2,"args":{"stream":7}}],
        "traceName":"x"})"));
    EXPECT_THAT(ranges(session()), ElementsAre("0 / 7: 1001500-1003500 gemm"));
    EXPECT_EQ(SessionReader(session()).rangeNames(RunId(1)).at(0).category, "kernel");
}

TEST_F(ChromeTrace, TakesAnArrayThatWasCutOff) {
    const ImportedRun imported =
        import(write("t.json", R"([{"ph":"X","pid":1,"tid":1,"ts":1,"dur":1,"name":"a"},{"ph":"X","pid)"));
    EXPECT_EQ(imported.rows, 1);
    EXPECT_THAT(imported.notes, Contains(HasSubstr("closing bracket")));
}

TEST_F(ChromeTrace, NamesTheEventOrTheByteThatIsWrong) {
    EXPECT_THAT(refusalOf("{\"traceEvents\":[{]}"), HasSubstr("byte 18"));
    EXPECT_THAT(refusalOf("{\"traceEvents\":[{\"ph\":\"X\""), HasSubstr("no JSON at byte"));
    EXPECT_THAT(refusalOf("[]"), HasSubstr("no event"));
    EXPECT_THAT(refusalOf("[7]"), HasSubstr("Event 1"));
    EXPECT_THAT(refusalOf("[{\"name\":\"x\"}]"), HasSubstr("no phase"));
    EXPECT_THAT(refusalOf("[{\"ph\":\"M\"},{\"ph\":\"X\",\"ts\":\"x\"}]"), HasSubstr("Event 2"));
    EXPECT_THAT(refusalOf("[{\"ph\":\"X\",\"ts\":1,\"dur\":-1}]"), HasSubstr("ends before it starts"));
    EXPECT_THAT(refusalOf("[{\"ph\":\"X\",\"ts\":1e300}]"), HasSubstr("no time"));
    const std::string gzip("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff", 13);
    EXPECT_THAT(refusalOf(gzip), HasSubstr("compressed data"));
}

TEST_F(ChromeTrace, RefusesToWriteWhereItCannot) {
    record();
    EXPECT_THROW(exportChrome(folder / "in.esdb", std::nullopt, folder / "no/such/x.json"), FailedError);
    EXPECT_THROW(exportChrome(folder / "in.esdb", RunId(7), folder / "x.json"), UsageError);
    if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full here";
    std::filesystem::create_symlink("/dev/full", folder / "full.json");
    EXPECT_THROW(exportChrome(folder / "in.esdb", std::nullopt, folder / "full.json"), FailedError);
}

}  // namespace
}  // namespace expertscope
