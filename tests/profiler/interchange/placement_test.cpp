// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/placement.h"

#include <algorithm>
#include <bit>
#include <random>

#include <nlohmann/json.hpp>

#include "profiler/interchange/export_registry.h"
#include "profiler/interchange/inflated_input.h"
#include "profiler/interchange/torch_file.h"
#include "storage/expert_counts.h"
#include "tests/profiler/interchange/import_fixture.h"

namespace expertscope {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Two layers of four experts of 100 bytes. Layer 0 spreads its tokens, layer 1 uses two experts.
class Placement : public ImportTest {
protected:
    void SetUp() override {
        std::string text = "token,layer,expert\n";
        const int spread[] = {0, 1, 2, 0, 3, 0};
        const int two[] = {2, 2, 3, 2, 2, 3};
        for (int token = 0; token < 6; ++token)
            text += std::to_string(token) + ",0," + std::to_string(spread[token]) + "\n" + std::to_string(token) +
                    ",1," + std::to_string(two[token]) + "\n";
        import(write("in.csv", text), {.experts = 4, .expertBytes = Bytes(100)});
    }
    std::filesystem::path written(const char* format, const char* name, const char* budget) {
        exportSession(exportFormat(format), session(), {.budget = parseSize(budget, "--budget")}, folder / name);
        return folder / name;
    }
};

TEST_F(Placement, KeepsTheMostFrequentExpertsOfAllLayers) {
    const nlohmann::json mask = nlohmann::json::parse(readHead(written("kt-mask", "mask.json", "300"), 1 << 20));
    EXPECT_EQ(mask["num_gpu_experts"], 3);
    EXPECT_EQ(mask["gpu_experts_mask"].dump(), "[[1,0,0,0],[0,0,1,1]]");
    EXPECT_EQ(mask["logical_count"].dump(), "[[3,1,1,1],[0,0,4,2]]");
}

TEST_F(Placement, IsReadAsKTransformersReadsStatistics) {
    const auto file = written("kt-mask", "mask.pt", "25%");
    TorchFile torch(file);
    EXPECT_EQ(torch.root().find("num_gpu_experts")->integer, 2);
    EXPECT_THAT(torch.integers(torch.root().find("gpu_experts_mask")->tensor), ElementsAre(1, 0, 0, 0, 0, 0, 1, 0));
    const ImportedRun again = import(file);
    const std::vector<ExpertCount> counts = readExpertCounts(session(), again.run);
    ASSERT_EQ(counts.size(), 6u);
    EXPECT_EQ(counts[4], (ExpertCount{StepIndex(0), LayerIndex(1), ExpertId(2), 4}));
    // Counts alone place experts too.
    exportSession(exportFormat("kt-mask"), session(), {.run = again.run, .budget = parseSize("25%", "b")},
                  folder / "again.pt");
    TorchFile second(folder / "again.pt");
    EXPECT_THAT(second.integers(second.root().find("gpu_experts_mask")->tensor), ElementsAre(1, 0, 0, 0, 0, 0, 1, 0));
}

TEST_F(Placement, ServesAsManyChoicesAsAnyOtherWithExpertsOfOneSize) {
    std::mt19937 random(7);
    for (int round = 0; round < 20; ++round) {
        ExpertUses uses;
        uses.layers = 2;
        uses.experts = 5;
        uses.bytes.assign(2, Bytes(10));
        for (int i = 0; i < 10; ++i)
            uses.selections.push_back(static_cast<std::int64_t>(random() % 50));
        const std::vector<bool> mask = frequentExperts(uses, Bytes(45));
        std::int64_t served = 0, best = 0;
        for (std::size_t i = 0; i < 10; ++i)
            served += mask[i] ? uses.selections[i] : 0;
        for (unsigned set = 0; set < 1024; ++set) {
            std::int64_t sum = 0;
            for (std::size_t i = 0; i < 10; ++i)
                sum += (set >> i) & 1U ? uses.selections[i] : 0;
            if (std::popcount(set) <= 4) best = std::max(best, sum);
        }
        EXPECT_EQ(served, best);
    }
}

TEST_F(Placement, KeepsWholeLayersOnTheCpuForLlamaCpp) {
    std::string text = readHead(written("llama-ot", "ot.txt", "400"), 1000);
    EXPECT_EQ(text, "blk\\.(0)\\.ffn_(gate|up|down)_exps\\.=CPU\n")
        << "of equally needed layers the later is on the GPU";
    ExpertUses uses = countUses(session(), RunId(1));
    uses.accesses[0] += 10;
    EXPECT_THAT(layersOnCpu(uses, Bytes(400)), ElementsAre(1)) << "layer 0 is needed more";
    EXPECT_THAT(layersOnCpu(uses, Bytes(399)), ElementsAre(0, 1));
    EXPECT_TRUE(layersOnCpu(uses, Bytes(800)).empty());
}

TEST_F(Placement, RefusesWhatCannotBePlaced) {
    const auto fault = [&](const char* format, const char* budget) -> std::string {
        try {
            written(format, "x.pt", budget);
        } catch (const UsageError& error) { return error.what(); }
        return "";
    };
    EXPECT_THAT(fault("kt-mask", "99"), HasSubstr("holds no expert"));
    EXPECT_THAT(fault("llama-ot", "100%"), HasSubstr("every layer"));
    try {
        exportSession(exportFormat("kt-mask"), session(), {}, folder / "x.pt");
        FAIL() << "an imported run has no budget";
    } catch (const UsageError& error) { EXPECT_THAT(error.what(), HasSubstr("--budget")); }
    EXPECT_THROW(exportSession(exportFormat("json"), session(), {}, session()), UsageError)
        << "the export would replace the session";
    EXPECT_FALSE(readHead(session(), 16).empty());
}

}  // namespace
}  // namespace expertscope
