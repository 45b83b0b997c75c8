// SPDX-License-Identifier: GPL-3.0-or-later
// Exports of a session that other parts of the room take back, and the JSON of all tables.

#include <cstdlib>
#include <variant>

#include <nlohmann/json.hpp>

#include "profiler/interchange/export_registry.h"
#include "profiler/interchange/inflated_input.h"
#include "profiler/interchange/route_trace_import.h"
#include "storage/session_writer.h"
#include "storage/sql.h"
#include "tests/profiler/interchange/import_fixture.h"

namespace expertscope {
namespace {

using nlohmann::json;

const std::string kTrace =
    "# route_trace v1\n"
    "# model=my model arch=qwen3moe n_layer=2 n_expert=4 n_expert_used=2\n"
    "# layer=0 expert_bytes=100 dense_bytes=0\n"
    "# layer=1 expert_bytes=50 dense_bytes=0\n"
    "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes\n"
    "0,0,0,0,0,3,0.75,0,100\n0,0,0,0,1,1,0.25,0,100\n0,0,1,0,0,1,0.5,1,0\n0,0,1,0,1,2,0.1,0,100\n"
    "0,0,1,1,0,0,nan,0,50\n0,0,1,1,1,3,nan,0,50\n"
    "0,1,2,0,0,1,0.6,1,0\n0,1,2,0,1,0,0.4,0,100\n0,1,2,1,0,3,1,1,0\n"
    "1,0,0,0,0,2,0.7,0,100\n1,0,0,1,0,2,0.3,0,50\n1,1,1,0,0,1,0.123456789,1,0\n";

struct SameAsJson {
    const json& cell;
    void operator()(std::monostate) const { EXPECT_TRUE(cell.is_null()); }
    void operator()(std::int64_t value) const { EXPECT_EQ(cell, value); }
    void operator()(double value) const { EXPECT_EQ(cell, value); }
    void operator()(const std::string& value) const { EXPECT_EQ(cell, value); }
    void operator()(const SqlBlob& value) const { EXPECT_EQ(cell.get<std::string>().size(), 2 * value.bytes.size()); }
};

class RoundTrip : public ImportTest {
protected:
    void SetUp() override { importRouteTrace(write("in.csv", kTrace), folder / "in.esdb"); }
    RecordBatch original() const {
        const SessionReader reader(folder / "in.esdb");
        ReadCursor cursor;
        return reader.readNew(RunId(1), cursor);
    }
    void expectComesBack(const char* format, const char* file) {
        exportFormat(format).write(folder / "in.esdb", {}, folder / file);
        const ImportedRun imported = import(folder / file);
        const RecordBatch was = original(), is = records();
        EXPECT_EQ(texts(was.selections), texts(is.selections));
        EXPECT_EQ(texts(was.tokens), texts(is.tokens));
        const SessionReader before(folder / "in.esdb"), after(session());
        EXPECT_EQ(before.run(RunId(1)).summary->misses, after.run(imported.run).summary->misses);
        const auto requests = after.requests(imported.run);
        ASSERT_EQ(requests.size(), 2u);
        EXPECT_EQ(requests[0].promptTokens, 2);
        EXPECT_EQ(requests[1].generatedTokens, 1);
    }
};

TEST_F(RoundTrip, RouteTrace) { expectComesBack("route-trace", "out.csv"); }
TEST_F(RoundTrip, Npz) { expectComesBack("npz", "out.npz"); }
TEST_F(RoundTrip, PackedRouteTrace) { expectComesBack("route-trace", "out.csv.gz"); }

TEST_F(RoundTrip, RouteTraceOfARealModel) {
    const char* data = std::getenv("EXPERTSCOPE_TEST_DATA");
    if (!data) GTEST_SKIP() << "EXPERTSCOPE_TEST_DATA names no folder with reference data";
    const std::filesystem::path trace = std::filesystem::path(data) / "routes/qwen3-30b-a3b.route.csv";
    if (!std::filesystem::exists(trace)) GTEST_SKIP() << trace << " is not there";
    import(trace);
    exportFormat("route-trace").write(session(), {}, folder / "real.csv");
    import(folder / "real.csv");
    const RecordBatch first = records(1), second = records(2);
    EXPECT_EQ(first.selections.size(), 44'766u);
    EXPECT_EQ(texts(first.selections), texts(second.selections));
}

TEST_F(RoundTrip, JsonHoldsEveryTable) {
    exportFormat("json").write(folder / "in.esdb", {}, folder / "out.json.gz");
    const json all = json::parse(readHead(folder / "out.json.gz", std::size_t{1} << 24));
    for (const auto& [table, content] : all["tables"].items()) {
        const SqlResult rows = runSql(folder / "in.esdb", "SELECT * FROM " + table);
        EXPECT_EQ(content["columns"].get<std::vector<std::string>>(), rows.columns);
        ASSERT_EQ(content["rows"].size(), rows.rows.size()) << table;
        for (std::size_t i = 0; i < rows.rows.size(); ++i) {
            for (std::size_t j = 0; j < rows.columns.size(); ++j) {
                const json& cell = content["rows"][i][j];
                std::visit(SameAsJson{cell}, rows.rows[i][j]);
            }
        }
    }
    EXPECT_EQ(all["tables"]["selection"]["rows"].size(), 12u);
}

TEST_F(RoundTrip, RefusesWhatCannotBeExported) {
    const auto out = folder / "x";
    EXPECT_THROW(exportFormat("xlsx"), UsageError);
    EXPECT_THROW(exportFormat("json").write(folder / "in.esdb", {.run = RunId(3)}, out), UsageError);
    EXPECT_THROW(exportFormat("json").write(folder / "none.esdb", {}, out), BadInputError);
    EXPECT_THROW(exportFormat("json").write(folder / "in.esdb", {}, folder / "no/such/x"), FailedError);
    importRouteTrace(folder / "in.csv", folder / "in.esdb");
    try {
        exportFormat("route-trace").write(folder / "in.esdb", {}, out);
        FAIL() << "two runs went into one trace";
    } catch (const UsageError& error) { EXPECT_THAT(error.what(), testing::HasSubstr("--run")); }
    EXPECT_EQ(exportFormat("route-trace").write(folder / "in.esdb", {.run = RunId(2)}, out).size(), 1u);
}

}  // namespace
}  // namespace expertscope
