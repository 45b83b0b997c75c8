// SPDX-License-Identifier: GPL-3.0-or-later
#include <cmath>

#include <fmt/format.h>

#include "profiler/interchange/csv_export.h"
#include "profiler/interchange/warm_up.h"
#include "tests/profiler/interchange/import_fixture.h"

namespace expertscope {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CsvImport : public ImportTest {
protected:
    ImportedRun importText(const std::string& text, const ImportOptions& options = {}) {
        return import(write("t.csv", text), options);
    }
    std::string refusalOf(const std::string& text, const ImportOptions& options = {}) {
        return refusal(write("t.csv", text), options, "csv");
    }
};

TEST_F(CsvImport, FindsTheColumnsByTheirNames) {
    const ImportedRun imported = importText(
        "\xEF\xBB\xBF# written by a "
        "test\nExpert_ID;Layer;note;gate_weight;token_idx\r\n5;1;\"x\";0.25;7\r\n\r\n3;1;y;0.75;7\r\n");
    EXPECT_EQ(imported.model.layers, 2);
    EXPECT_EQ(imported.model.experts, 6);
    EXPECT_EQ(imported.model.topK, 2);
    EXPECT_THAT(routing(records()), ElementsAre("0 0 1 0 3 0.750000", "0 0 1 1 5 0.250000"))
        << "slots fall with the weight";
    EXPECT_EQ(records().tokens[0].position, 7);
    EXPECT_EQ(records().tokens[0].phase, Phase::Decode);
    EXPECT_THAT(imported.notes, testing::Contains(HasSubstr("passed over: note")));
}

TEST_F(CsvImport, TakesThreeNumbersWithoutAHeader) {
    const ImportedRun imported = importText("0,0,3\n0,0,1\n0,1,2\n1,0,3\n");
    EXPECT_EQ(imported.rows, 4);
    EXPECT_EQ(imported.summary.generatedTokens, 2);
    const RecordBatch batch = records();
    EXPECT_EQ(batch.selections[0].expert, ExpertId(3)) << "without weights the rows' order is the rank";
    EXPECT_TRUE(std::isnan(batch.selections[0].weight));
    EXPECT_EQ(batch.selections[0].outcome, Outcome::Hit);
}

TEST_F(CsvImport, SortsATableInOrderOfLayers) {
    importText("token,layer,expert\n0,0,1\n1,0,2\n0,1,3\n1,1,0\n");
    const auto layers = routing(records());
    std::filesystem::remove(session());
    importText("token,layer,expert\n0,0,1\n0,1,3\n1,0,2\n1,1,0\n");
    EXPECT_EQ(layers, routing(records()));
    EXPECT_EQ(layers.size(), 4u);
}

TEST_F(CsvImport, BeginsARequestWhereTokensStartAgain) {
    const ImportedRun imported = importText("0,0,1\n0,1,3\n1,0,2\n1,1,0\n0,0,1\n0,1,2\n");
    EXPECT_EQ(SessionReader(session()).requests(imported.run).size(), 2u);
    EXPECT_EQ(imported.summary.generatedTokens, 3);
}

TEST_F(CsvImport, KnowsPromptsFromPhaseOrStep) {
    const ImportedRun byPhase = importText("token,layer,expert,phase\n0,0,1,prefill\n1,0,2,prefill\n2,0,0,decode\n");
    EXPECT_EQ(byPhase.steps, 2);
    EXPECT_EQ(byPhase.summary.promptTokens, 2);
    const ImportedRun byStep = importText("token,layer,expert,step\n0,0,1,0\n1,0,2,0\n2,0,0,1\n");
    EXPECT_EQ(byStep.steps, 2);
    EXPECT_EQ(byStep.summary.promptTokens, 2);
    EXPECT_EQ(byStep.summary.generatedTokens, 1);
}

TEST_F(CsvImport, TakesBackWhatTheExportWrote) {
    const ImportedRun first = importText(
        "request,token,layer,expert,weight,phase,outcome\n0,0,0,1,0.5,prefill,miss\n0,1,0,1,0.5,prefill,hit\n"
        "0,0,1,2,1,prefill,miss\n0,2,0,3,0.125,decode,miss\n1,0,0,1,0.5,prefill,hit\n1,1,0,2,0.5,prefill,hit\n"
        "1,2,0,0,0.1,decode,miss\n");
    exportCsv(session(), first.run, folder / "out.csv");
    const ImportedRun second = import(folder / "out.csv");
    EXPECT_EQ(texts(records(1).selections), texts(records(2).selections));
    EXPECT_EQ(second.summary.misses, first.summary.misses);
    EXPECT_EQ(second.summary.promptTokens, 4);
    EXPECT_EQ(SessionReader(session()).requests(second.run).size(), 2u);
}

std::string warmUpAndRealTokens(int warm) {
    std::string text = "token,layer,expert,weight\n";
    for (int token = 0; token < warm + 5; ++token)
        for (int layer = 0; layer < 2; ++layer)
            for (int slot = 0; slot < 2; ++slot)
                text += fmt::format("{},{},{},{}\n", token, layer, token < warm ? slot : (token * 3 + slot) % 8,
                                    token < warm ? 0.5 : 0.6 - slot * 0.2);
    return text;
}

TEST_F(CsvImport, ExcludesWarmUpAndSaysSo) {
    const ImportedRun imported = importText(warmUpAndRealTokens(64));
    EXPECT_EQ(imported.excludedTokens, 64);
    EXPECT_EQ(imported.excludedRows, 256);
    EXPECT_EQ(imported.rows, 20);
    const SessionReader reader(session());
    const auto diagnostics = reader.diagnostics(imported.run);
    ASSERT_FALSE(diagnostics.empty());
    EXPECT_EQ(diagnostics[0].name, "warm_up_excluded");
    EXPECT_EQ(diagnostics[0].count, 256);
    EXPECT_THAT(diagnostics[0].sentence, HasSubstr("256 rows excluded"));
    EXPECT_EQ(records().tokens.front().position, 64);
    EXPECT_EQ(records().tokens.front().token, TokenIndex(0)) << "what is kept is counted from 0";
}

TEST_F(CsvImport, KeepsWarmUpWhereAsked) {
    const ImportedRun imported = importText(warmUpAndRealTokens(64), {.keepWarmUp = true});
    EXPECT_EQ(imported.excludedRows, 0);
    EXPECT_EQ(imported.rows, 276);
}

TEST_F(CsvImport, KeepsShortRunsOfEqualTokens) {
    EXPECT_EQ(importText(warmUpAndRealTokens(WarmUpFinder::kShortestRun - 1)).excludedRows, 0);
}

TEST_F(CsvImport, RefusesAFileOfNothingButWarmUp) {
    std::string text;
    for (int token = 0; token < 40; ++token)
        text += fmt::format("{},0,1\n{},0,2\n", token, token);
    EXPECT_THAT(refusalOf(text), HasSubstr("--keep-warmup"));
}

TEST_F(CsvImport, TakesWhatTheUserKnowsOfTheModel) {
    const ImportedRun imported =
        importText("0,0,3\n", {.layers = 4, .experts = 8, .topK = 2, .expertBytes = Bytes(100), .modelName = "mine"});
    EXPECT_EQ(imported.model.name, "mine");
    EXPECT_EQ(imported.model.layers, 4);
    EXPECT_EQ(imported.model.totalExpertBytes, Bytes(3200));
    EXPECT_THROW(importText("0,0,3\n", {.experts = 3}), UsageError);
    EXPECT_EQ(importText("0,0,3\n").model.expertBytes, Bytes(1));
}

TEST_F(CsvImport, NamesTheLineThatIsWrong) {
    EXPECT_THAT(refusalOf(""), HasSubstr("no line"));
    EXPECT_THAT(refusalOf("a,b,c\n1,2,3\n"), HasSubstr("Line 1"));
    EXPECT_THAT(refusalOf("token,layer,expert\n"), HasSubstr("no selection"));
    EXPECT_THAT(refusalOf("0,0,1\n0,0\n"), HasSubstr("Line 2"));
    EXPECT_THAT(refusalOf("0,0,1\n0,0,x\n"), HasSubstr("no whole number for expert"));
    EXPECT_THAT(refusalOf("0,0,1\n-1,0,1\n"), HasSubstr("token=-1"));
    EXPECT_THAT(refusalOf("0,0,1\n0,5000,1\n"), HasSubstr("layer=5000"));
    EXPECT_THAT(refusalOf("0,0,1\n0,0,70000\n"), HasSubstr("expert=70000"));
    EXPECT_THAT(refusalOf("0,0,1,0.5\n0,0,2,zero\n"), HasSubstr("no number for weight"));
    EXPECT_THAT(refusalOf("0,0,1\n0,0,1\n"), HasSubstr("expert 1 again"));
    EXPECT_THAT(refusalOf("token,layer,expert,slot\n0,0,1,0\n0,0,2,0\n"), HasSubstr("repeats slot 0"));
    EXPECT_THAT(refusalOf("token,layer,expert,phase\n0,0,1,later\n"), HasSubstr("phase 'later'"));
    EXPECT_THAT(refusalOf("token,layer,expert,step\n0,0,1,1000000000\n"), HasSubstr("jumps to step"));
    EXPECT_THROW(import(folder / "none.csv", {}, "csv"), BadInputError);
    EXPECT_THROW(import(folder / "none.csv", {}, "spreadsheet"), UsageError);
    EXPECT_THAT(refusal(write("x", "no table")), HasSubstr("--format"));
}

TEST(WarmUp, FindsRunsAnywhere) {
    WarmUpFinder finder;
    const auto run = [&](std::uint64_t signature, int count) {
        for (int i = 0; i < count; ++i)
            finder.add(signature);
    };
    run(1, 20);
    run(2, 1);
    run(3, 15);
    run(4, 16);
    EXPECT_EQ(finder.finish(), (std::vector<TokenInterval>{{0, 20}, {36, 52}}));
}

TEST(WarmUp, SignsTheSameRoutingAlikeInAnyOrder) {
    RoutingSignature a, b, c, d;
    a.add(0, 1, 0.5F), a.add(1, 2, 0.25F);
    b.add(1, 2, 0.25F), b.add(0, 1, 0.5F);
    c.add(0, 2, 0.5F), c.add(1, 1, 0.25F);
    d.add(0, 1, 0.5F), d.add(1, 2, 0.375F);
    EXPECT_EQ(a.value(), b.value());
    EXPECT_NE(a.value(), c.value());
    EXPECT_NE(a.value(), d.value());
}

}  // namespace
}  // namespace expertscope
