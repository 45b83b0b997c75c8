// SPDX-License-Identifier: GPL-3.0-or-later
// The policies that place experts and compute them where they lie, on the demo model.

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/offload/policy_registry.h"
#include "tests/engine/inference/run_helpers.h"
#include "tests/engine/offload/prepared_sample.h"

namespace expertscope {
namespace {

TEST(Placement, GivesTheBitsOfResidentOnTheDemoModelAtEveryBudget) {
    const Checkpoint checkpoint = Checkpoint::open(EXPERTSCOPE_RESOURCES "/demo_model");
    const ModelConfig& config = checkpoint.config();
    const auto runWith = [&](const std::string& policy, int slots) {
        EngineOptions options;
        options.policy = policy;
        options.budget = SizeSpec{.share = {}, .bytes = checkpoint.expertBytes() * slots};
        options.threads = 2;
        options.io = IoMode::Buffered;
        options.record = {.routing = false, .spans = false, .norms = false, .predictions = false};
        options.prepared = std::make_shared<const PreparedData>(test::samplePrepared(
            {.layers = config.layers, .experts = config.experts, .topK = config.topK, .slots = slots},
            checkpoint.facts().fingerprint));
        Observer nobody;
        return test::runOnce(checkpoint, options, test::request({35, 105, 110, 99, 108, 117, 100, 101, 32}, 6), nobody)
            .logits;
    };
    const std::vector<float> resident = runWith("resident", 1);
    for (const char* policy : {"layer-stream", "static", "static:mode=frequency", "static:mode=front-loading",
                               "static:mode=random", "static:mode=dynamic", "cpu-experts", "cpu-experts:layers=2",
                               "cost-model", "cost-model:objective=sum", "monde", "hybrimoe"})
        for (const int slots : {1, 2, 3, 8, 16, 64}) {
            EXPECT_TRUE(policyInfo(policy).exact);
            const std::vector<float> logits = runWith(policy, slots);
            ASSERT_EQ(logits.size(), resident.size());
            EXPECT_EQ(std::memcmp(logits.data(), resident.data(), resident.size() * sizeof(float)), 0)
                << policy << " with " << slots << " slots";
        }
}

}  // namespace
}  // namespace expertscope
