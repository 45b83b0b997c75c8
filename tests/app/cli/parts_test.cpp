// SPDX-License-Identifier: GPL-3.0-or-later
// The command line's own parts, without a child process.
#include <cmath>
#include <csignal>
#include <filesystem>

#include <gmock/gmock.h>

#include "app/cli/analysis_progress.h"
#include "app/cli/deep_argument.h"
#include "app/cli/fidelity.h"
#include "app/cli/logits_spool.h"
#include "app/cli/npy_writer.h"
#include "app/cli/output.h"
#include "app/cli/perplexity_windows.h"
#include "app/cli/prompts.h"
#include "app/cli/run_arguments.h"
#include "engine/base/error.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope {
namespace {

using test::readFile;
using test::TemporaryFolder;
using test::writeFile;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(NpyWriter, WritesAnArrayThatNumPyReads) {
    const TemporaryFolder folder;
    NpyWriter writer(folder.path() / "a.npy", 2);
    writer.append(std::vector<float>{1, 2});
    writer.append(std::vector<float>{3, 4, 5, 6});
    writer.finish();
    const std::string bytes = readFile(folder.path() / "a.npy");
    ASSERT_EQ(bytes.size(), 128 + 6 * sizeof(float));
    EXPECT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
    EXPECT_EQ(static_cast<unsigned char>(bytes[8]) + 256 * static_cast<unsigned char>(bytes[9]), 118);
    EXPECT_THAT(bytes, HasSubstr("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }"));
    EXPECT_EQ(bytes[127], '\n');
    float last = 0;
    std::memcpy(&last, bytes.data() + bytes.size() - sizeof last, sizeof last);
    EXPECT_EQ(last, 6);
}

TEST(NpyWriter, SaysWhereItCannotWrite) { EXPECT_THROW(NpyWriter("/no/such/folder/a.npy", 2), FailedError); }

TEST(LogitsSpool, GivesBackAnyRow) {
    LogitsSpool spool(2);
    spool.append(std::vector<float>{1, 2, 3, 4});
    std::vector<float> row(2);
    spool.read(0, row);
    EXPECT_THAT(row, ElementsAre(1, 2));
    spool.append(std::vector<float>{5, 6});
    spool.read(2, row);
    EXPECT_THAT(row, ElementsAre(5, 6));
    EXPECT_EQ(spool.rows(), 3);
}

TEST(Fidelity, OfEqualLogitsIsPerfect) {
    FidelityMeter meter;
    const std::vector<float> logits{0.5F, -1, 3};
    meter.add(logits, logits, 1);
    const Fidelity f = meter.result();
    EXPECT_EQ(f.top1Agreement, 1);
    EXPECT_EQ(f.kl, 0);
    EXPECT_EQ(f.totalVariation, 0);
    EXPECT_EQ(f.perplexity, f.residentPerplexity);
}

TEST(Fidelity, MatchesDistributionsComputedByHand) {
    // resident p = (1/2, 1/4, 1/4), run q = (1/4, 1/2, 1/4); a constant on all logits changes neither.
    const std::vector<float> resident{std::log(0.5F) + 7, std::log(0.25F) + 7, std::log(0.25F) + 7};
    const std::vector<float> run{std::log(0.25F), std::log(0.5F), std::log(0.25F)};
    FidelityMeter meter;
    meter.add(run, resident, 1);
    const Fidelity f = meter.result();
    EXPECT_EQ(f.top1Agreement, 0);
    EXPECT_NEAR(f.kl, 0.5 * std::log(2.0) - 0.25 * std::log(2.0), 1e-6);
    EXPECT_NEAR(f.totalVariation, 0.25, 1e-6);
    EXPECT_NEAR(f.perplexity, 2, 1e-5);
    EXPECT_NEAR(f.residentPerplexity, 4, 1e-5);
}

TEST(RoutingShares, AreOfAllChoicesAndOfTheRoutersMass) {
    RoutingChanges changes;
    for (const double weight : {0.5, 0.25, 0.125, 0.125})
        changes.all.add(weight);
    changes.of(SelectionAction::Dropped).add(0.125);
    changes.of(SelectionAction::Substituted).add(0.25);
    changes.rerouted.add(0.5);
    changes.rerouted.add(0.125);
    const Json shares = routingJson(changes);
    EXPECT_EQ(shares["dropped"], Json({{"share", 0.25}, {"router_mass", 0.125}}));
    EXPECT_EQ(shares["substituted"], Json({{"share", 0.25}, {"router_mass", 0.25}}));
    EXPECT_EQ(shares["low_precision"], Json({{"share", 0.0}, {"router_mass", 0.0}}));
    EXPECT_EQ(shares["rerouted"], Json({{"share", 0.5}, {"router_mass", 0.625}}));
    EXPECT_EQ(routingJson({})["dropped"], Json({{"share", 0.0}, {"router_mass", 0.0}}));
}

std::vector<std::size_t> firsts(const std::vector<ScoreWindow>& windows) {
    std::vector<std::size_t> list;
    for (const ScoreWindow& window : windows)
        list.push_back(window.first);
    return list;
}

TEST(ScoreWindows, ShareTheirBoundaryTokenAndLeaveOutTheTail) {
    EXPECT_THAT(firsts(scoreWindows(13, 4, 0)),
                ElementsAre(0, 4, 8));  // tokens 0…12: the last window predicts token 12
    EXPECT_THAT(firsts(scoreWindows(12, 4, 0)), ElementsAre(0, 4));
    EXPECT_THAT(firsts(scoreWindows(13, 4, 1)), ElementsAre(0));
}

TEST(ScoreWindows, OfAShortTextAreOneOfItsLength) {
    const auto windows = scoreWindows(3, 4, 0);
    ASSERT_EQ(windows.size(), 1U);
    EXPECT_EQ(windows.front().length, 2U);
    EXPECT_TRUE(scoreWindows(1, 4, 0).empty());
}

TEST(PromptFile, OfLinesIsOnePromptALine) {
    const TemporaryFolder folder;
    writeFile(folder.path() / "p.txt", "first\r\n\n  \nint main() {\n");
    const auto prompts = readPromptFile(folder.path() / "p.txt");
    ASSERT_EQ(prompts.size(), 2U);
    EXPECT_EQ(prompts[0].text, "first");
    EXPECT_EQ(prompts[1].text, "int main() {");
}

TEST(PromptFile, OfJsonLinesHasLabels) {
    const TemporaryFolder folder;
    writeFile(folder.path() / "p.jsonl", "{\"label\": \"a\", \"prompt\": \"x\\ny\"}\n{\"prompt\": \"z\"}\n");
    const auto prompts = readPromptFile(folder.path() / "p.jsonl");
    ASSERT_EQ(prompts.size(), 2U);
    EXPECT_EQ(prompts[0].label, "a");
    EXPECT_EQ(prompts[0].text, "x\ny");
    EXPECT_EQ(prompts[1].label, "");
}

TEST(PromptFile, NamesTheLineThatIsWrong) {
    const TemporaryFolder folder;
    writeFile(folder.path() / "p.jsonl", "{\"prompt\": \"x\"}\n{\"prompt\": 3}\n");
    try {
        readPromptFile(folder.path() / "p.jsonl");
        FAIL();
    } catch (const BadInputError& error) { EXPECT_THAT(error.what(), HasSubstr("Line 2")); }
    writeFile(folder.path() / "empty.txt", "\n");
    EXPECT_THROW(readPromptFile(folder.path() / "empty.txt"), BadInputError);
    EXPECT_THROW(readPromptFile(folder.path() / "missing.txt"), BadInputError);
}

TEST(PromptIds, AreNumbersSeparatedByCommas) {
    EXPECT_THAT(parsePromptIds("84,104,0"), ElementsAre(84, 104, 0));
    EXPECT_THROW(parsePromptIds("84,,1"), UsageError);
    EXPECT_THROW(parsePromptIds("84,x"), UsageError);
    EXPECT_THROW(parsePromptIds("84.5"), UsageError);
}

TEST(RecordSet, KnowsWhatThisBuildRecords) {
    const RecordSet record = parseRecordSet("routing,spans");
    EXPECT_TRUE(record.routing && record.spans);
    EXPECT_FALSE(record.norms || record.predictions);
    EXPECT_THROW(parseRecordSet("router"), UsageError);
    EXPECT_TRUE(parseRecordSet("deep:layers=0-3,tokens=4").routing) << "needed beside a deep capture";
    EXPECT_THROW(parseRecordSet("norms"), UsageError);

    EXPECT_FALSE(parseDeepCapture("routing,spans"));
    EXPECT_EQ(*parseDeepCapture("deep,norms"), DeepCaptureOptions{});
    const DeepCaptureOptions some{LayerIndex(0), LayerIndex(3), TokenIndex(5), TokenIndex(5), 7};
    EXPECT_EQ(*parseDeepCapture("spans,deep:layers=0-3:tokens=5:examples=7"), some);
    EXPECT_EQ(*parseDeepCapture("deep:layers=0-3,tokens=5,examples=7,spans"), some);
    for (const char* wrong : {"deep:", "deep:layers", "deep:layers=", "deep:layers=-1", "deep:layers=1-",
                              "deep:tokens=2-1", "deep:raw=", "deep:raw=50%", "deep:layers=1x"})
        EXPECT_THROW(parseDeepCapture(wrong), UsageError) << wrong;
}

TEST(RawVectors, AreKeptWhereTheyAreAskedForAndFit) {
    EXPECT_FALSE(parseDeepCapture("deep")->raw);
    EXPECT_TRUE(parseDeepCapture("deep:raw")->raw);
    EXPECT_EQ(parseDeepCapture("deep:raw")->mostRaw, Bytes(std::int64_t{1} << 30));
    const DeepCaptureOptions some = *parseDeepCapture("deep:layers=1-9,raw=64KiB,tokens=5-14,norms");
    EXPECT_TRUE(some.raw);
    EXPECT_EQ(some.mostRaw, Bytes(64 << 10));
    ModelConfig model;
    model.layers = 4;
    model.experts = 8;
    model.hidden = 16;
    model.expertWidth = 4;
    // (1 + 2 · 16 + 2 · 8 + 8 · (16 + 4)) numbers of 4 bytes, of 3 layers and 7 tokens.
    EXPECT_EQ(rawVectorsNote(some, model, 12, 1),
              "The raw vectors of 3 layers and up to 7 tokens take up to 17.1 KiB in the session.");
    EXPECT_THAT(*rawVectorsNote(some, model, 12, 2), testing::HasSubstr("in each of 2 runs take up to 34"));
    EXPECT_THROW(rawVectorsNote(some, model, 100, 4), UsageError);
    EXPECT_FALSE(rawVectorsNote(*parseDeepCapture("deep"), model, 1'000'000'000, 1));
}

TEST(AnalysisProgress, EndsTheAnalysisOnceASignalHasAskedForIt) {
    const StopSignal stop;
    const std::function<void(double)> progress = analysisProgress(stop);
    progress(0.5);
    ASSERT_EQ(std::raise(SIGINT), 0);
    try {
        progress(0.6);
        FAIL() << "it goes on";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Interrupted);
        EXPECT_THAT(error.what(), HasSubstr("was interrupted"));
    }
    EXPECT_THROW(throwIfStopped(stop), Error);
}

TEST(EngineVariants, AreEveryCombinationPoliciesOutermost) {
    EngineArguments arguments;
    arguments.policies = "on-demand,resident";
    arguments.evictions = "lru,lfu";
    arguments.budgets = "25%,1MiB";
    const auto variants = engineVariants(arguments);
    ASSERT_EQ(variants.size(), 8U);
    EXPECT_EQ(variants[0].options.policy, "on-demand");
    EXPECT_EQ(variants[1].options.budget.bytes.count(), 1 << 20);
    EXPECT_EQ(variants[2].options.eviction, "lfu");
    EXPECT_EQ(variants[7].options.policy, "resident");
}

TEST(EngineVariants, KeepTheParametersOfPoliciesAndRules) {
    EngineArguments arguments;
    arguments.policies = "on-demand";
    arguments.evictions = "lru:scope=layer,slru:probation=0.3:scope=layer,least-stale:variant=ema";
    const auto variants = engineVariants(arguments);
    ASSERT_EQ(variants.size(), 3U);
    EXPECT_EQ(variants[0].options.eviction, "lru:scope=layer");
    EXPECT_EQ(variants[1].options.eviction, "slru:probation=0.3:scope=layer");
    arguments.evictions = "belady";
    EXPECT_THROW(engineVariants(arguments), UsageError);
    arguments.evictions = "lru:variant=ema";
    EXPECT_THROW(engineVariants(arguments), UsageError);
}

TEST(RepeatCommand, NamesOneCombinationInWordsForAShell) {
    RunArguments arguments;
    arguments.model = "demo";
    arguments.prompt = "it's";
    arguments.promptGiven = true;
    arguments.engine.policies = "on-demand,resident";
    arguments.engine.budgets = "25%,50%";
    const auto variants = engineVariants(arguments.engine);
    const std::string command = repeatCommand(arguments, variants[1]);
    EXPECT_EQ(
        command,
        "expertscope run --model demo --prompt 'it'\\''s' --tokens 64 --policy on-demand --eviction lru --budget 50%");
}

TEST(Table, AlignsNumbersRightAndWideTextByItsColumns) {
    EXPECT_EQ(formatTable({{"name", "n"}, {"é", "5"}, {"abcde", "12"}}), "name    n\né       5\nabcde  12\n");
}

TEST(Printable, EscapesWhatATerminalWouldObey) { EXPECT_EQ(printable("a\n\x1b[K\xff é"), "a\\n\\x1B[K\\xFF é"); }

}  // namespace
}  // namespace expertscope
