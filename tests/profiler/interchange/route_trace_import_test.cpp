// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/route_trace_import.h"

#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "storage/session_reader.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

using testing::HasSubstr;

const std::string kHeader =
    "# route_trace v1\n"
    "# model=/models/my model.gguf arch=qwen3moe n_layer=2 n_expert=4 n_expert_used=2\n"
    "# layer=0 expert_bytes=100 dense_bytes=7\n"
    "# layer=1 expert_bytes=50 dense_bytes=7\n"
    "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes\n";
// A prompt of two tokens whose last layer routes only the last of them, and one decoded token.
const std::string kRows =
    "0,0,0,0,0,3,0.75,0,100\n0,0,0,0,1,1,0.25,0,100\n0,0,1,0,0,1,0.5,1,0\n0,0,1,0,1,2,0.5,0,100\n"
    "0,0,1,1,0,0,nan,0,50\n0,0,1,1,1,3,nan,0,50\n"
    "0,1,2,0,0,1,0.6,1,0\n0,1,2,0,1,0,0.4,0,100\n0,1,2,1,0,3,1,2,0\n";

class RouteTraceImport : public testing::Test {
protected:
    ImportedRun import(const std::string& text) {
        std::ofstream(folder / "t.csv", std::ios::binary) << text;
        return importRouteTrace(folder / "t.csv", folder / "s.esdb");
    }
    std::string refusal(const std::string& text) {
        try {
            import(text);
        } catch (const BadInputError& error) { return error.what(); }
        return "";
    }
    RecordBatch records() {
        const SessionReader reader(folder / "s.esdb");
        ReadCursor cursor;
        return reader.readNew(RunId(1), cursor);
    }

    TemporaryFolder folder;
};

TEST_F(RouteTraceImport, BecomesARunWithThePromptAsOneStep) {
    const ImportedRun imported = import(kHeader + kRows);
    EXPECT_EQ(imported.rows, 9);
    EXPECT_EQ(imported.steps, 2);
    const SessionReader reader(folder / "s.esdb");
    const RunEntry run = reader.run(imported.run);
    EXPECT_EQ(run.description.model.name, "my model");
    EXPECT_EQ(run.description.model.family, "qwen3moe");
    EXPECT_EQ(run.description.model.totalExpertBytes, Bytes(600));
    EXPECT_EQ(run.description.model.layerExpertBytes, (std::vector{Bytes(100), Bytes(50)}));
    EXPECT_EQ(run.summary->accesses, 8) << "expert 1 of layer 0 is needed by both prompt tokens, and is one access";
    EXPECT_EQ(run.summary->hits, 2);
    EXPECT_EQ(run.summary->misses, 6);
    EXPECT_EQ(run.summary->demand, Bytes(500));
    const auto requests = reader.requests(imported.run);
    ASSERT_EQ(requests.size(), 1u);
    EXPECT_EQ(requests[0].promptTokens, 2);
    EXPECT_EQ(requests[0].generatedTokens, 1);

    const RecordBatch batch = records();
    ASSERT_EQ(batch.selections.size(), 9u);
    EXPECT_EQ(batch.tokens.size(), 3u);
    EXPECT_TRUE(batch.spans.empty());
    EXPECT_FALSE(batch.selections[2].firstUse);
    EXPECT_EQ(batch.selections[4].layer, LayerIndex(1));
    EXPECT_EQ(batch.selections[4].token, TokenIndex(1));
    EXPECT_EQ(batch.selections[8].step, StepIndex(1));
    EXPECT_EQ(batch.selections[8].token, TokenIndex(2));
    EXPECT_EQ(batch.selections[8].outcome, Outcome::Hit);
}

TEST_F(RouteTraceImport, TakesAPromptTokenByTokenOrLayerByLayer) {
    import(kHeader + "0,0,0,0,0,3,0.5,0,100\n0,0,0,1,0,2,0.5,0,50\n0,0,1,0,0,1,0.5,0,100\n0,0,1,1,0,1,0.5,0,50\n");
    const RecordBatch batch = records();
    ASSERT_EQ(batch.selections.size(), 4u);
    EXPECT_EQ(batch.selections[1].layer, LayerIndex(0));
    EXPECT_EQ(batch.selections[1].token, TokenIndex(1));
    EXPECT_EQ(batch.selections[2].layer, LayerIndex(1));
}

TEST_F(RouteTraceImport, LeavesOutWhatTheToolHadDropped) {
    std::string header = kHeader;
    header.insert(header.size() - 1, ",dropped");
    const ImportedRun imported = import(header + "0,1,0,0,0,3,0.5,0,100,0\n0,1,0,0,1,1,0.5,0,0,1\n");
    EXPECT_EQ(imported.rows, 1);
    EXPECT_EQ(imported.dropped, 1);
}

TEST_F(RouteTraceImport, NamesTheRowThatIsWrongAndWritesNothing) {
    const std::string row = "0,0,0,0,0,3,0.75,0,100\n";
    EXPECT_THAT(refusal(kHeader + row + "0,0,0,0,1,4,0.25,0,100\n"), HasSubstr("Line 7"));
    EXPECT_THAT(refusal(kHeader + row + "0,0,0,0,1,4,0.25,0,100\n"), HasSubstr("expert=4"));
    EXPECT_THAT(refusal(kHeader + row + "0,0,0,2,1,1,0.25,0,100\n"), HasSubstr("layer=2"));
    EXPECT_THAT(refusal(kHeader + row + "0,0,0,0,2,1,0.25,0,100\n"), HasSubstr("slot=2"));
    EXPECT_THAT(refusal(kHeader + row + "0,0,0,0,1,1,x,0,100\n"), HasSubstr("weight"));
    EXPECT_THAT(refusal(kHeader + row + "0,0,0,0,1,1,0.5,0\n"), HasSubstr("8 fields"));
    EXPECT_THAT(refusal(kHeader + row + "0,0,0,0,1,1,0.5,0,1,9\n"), HasSubstr("10 fields"));
    EXPECT_THAT(refusal(kHeader + row + "0,0,0,0,0,1,0.5,0,100\n"), HasSubstr("repeats slot 0"));
    EXPECT_THAT(refusal(kHeader + row + "0,0,0,0,1,3,0.5,0,100\n"), HasSubstr("expert 3 again"));
    EXPECT_THAT(refusal(kHeader + "0,1,5,0,0,3,1,0,1\n0,1,4,0,0,3,1,0,1\n"), HasSubstr("goes back to step 4"));
    EXPECT_THAT(refusal(kHeader + "0,1,5,0,0,3,1,0,1\n0,0,6,0,0,3,1,0,1\n"), HasSubstr("goes back to the prompt"));
    EXPECT_THAT(refusal(kHeader + "1,1,5,0,0,3,1,0,1\n0,0,6,0,0,3,1,0,1\n"), HasSubstr("goes back to turn 0"));
    EXPECT_THAT(refusal(kHeader), HasSubstr("no selection"));
    EXPECT_FALSE(std::filesystem::exists(folder / "s.esdb"));
}

TEST_F(RouteTraceImport, NamesWhatTheHeaderLacks) {
    EXPECT_THAT(refusal(""), HasSubstr("no route-trace"));
    EXPECT_THAT(refusal("# route_trace v2\n"), HasSubstr("no route-trace"));
    EXPECT_THAT(refusal("# route_trace v1\n# layer=0 expert_bytes=1\n"), HasSubstr("before the model"));
    EXPECT_THAT(refusal("# route_trace v1\n# model=a arch=b n_layer=1 n_expert=9 n_expert_used=10\n"),
                HasSubstr("n_expert_used=10"));
    const std::string model = "# route_trace v1\n# model=a arch=b n_layer=2 n_expert=9 n_expert_used=2\n";
    EXPECT_THAT(refusal(model + "# layer=0 expert_bytes=5\nturn,phase,step,layer,slot,expert,weight,residency,"
                                "expert_bytes\n"),
                HasSubstr("layer=1"));
    EXPECT_THAT(refusal(model + "turn,token\n"), HasSubstr("columns"));
    EXPECT_THAT(refusal(model), HasSubstr("before any columns"));
    EXPECT_THROW(importRouteTrace(folder / "none.csv", folder / "s.esdb"), BadInputError);
}

TEST_F(RouteTraceImport, AppendsToASessionThatIsThere) {
    import(kHeader + kRows);
    EXPECT_EQ(import(kHeader + kRows).run, RunId(2));
}

}  // namespace
}  // namespace expertscope
