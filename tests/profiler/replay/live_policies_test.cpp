// SPDX-License-Identifier: GPL-3.0-or-later
// Every policy of the catalogue, with and without what it takes beforehand: its replay must meet the run exactly.
#include <map>
#include <random>

#include "engine/offload/pre_gate_table.h"
#include "tests/engine/offload/prepared_sample.h"
#include "tests/profiler/replay/live_fixture.h"

namespace expertscope {
namespace {

/// Parameters with which a policy does something else than without. Every policy that has parameters must be named.
const std::map<std::string, std::vector<std::string>> kVariants{
    {"adapmoe", {"gate=always", "threshold=1"}},
    {"brainstorm", {"cache=yes", "threshold=0.5"}},
    {"buddy", {"rho=3", "percentile=60"}},
    {"cache-prior", {"lambda=1:top-j=2"}},
    {"cost-model", {"objective=sum"}},
    {"cpu-experts", {"layers=2"}},
    {"drop-on-miss", {"mass=0.6:min-k=2"}},
    {"finemoe", {"distance=1", "distance=8:width=4:capacity=5"}},
    {"hobbit", {"t1=0.3:t2=0.5:low=0.5", "low=0", "look=0"}},
    {"hybrimoe", {"prefetch=0", "alpha=0.1:prefetch=6"}},
    {"layer-stream", {"ahead=2"}},
    {"mixtral-offloading", {"mode=code", "speculate=4"}},
    {"moe-infinity", {"preset=code", "collection=2:ahead=2"}},
    {"pre-gated", {"ahead=2", "ahead=3", "layer=4"}},
    {"route-ahead", {"ahead=3"}},
    {"static",
     {"mode=frequency", "mode=front-loading", "mode=random:seed=7", "mode=dynamic", "mode=dynamic:refresh=20"}},
    {"swapmoe", {"every=2:swaps=1", "share=0.5:until=0.25:over=8"}},
};

/// Policies whose replay cannot be exact by their nature, with the reason: none so far. Where routing depends on what
/// is resident (drop-on-miss, cache-prior, swapmoe …), the routing as it came out is what a replay is given.
const std::map<std::string, std::string> kNotExact{};

std::vector<std::string> everyPolicy() {
    std::vector<std::string> texts;
    for (const PolicyInfo& policy : policyCatalogue()) {
        if (kNotExact.contains(policy.name)) continue;
        texts.push_back(policy.name);
        const auto variants = kVariants.find(policy.name);
        if (variants == kVariants.end()) continue;
        for (const std::string& parameters : variants->second)
            texts.push_back(policy.name + ":" + parameters);
    }
    return texts;
}

TEST(LivePolicies, NameAVariantOfEveryPolicyWithParameters) {
    for (const PolicyInfo& policy : policyCatalogue())
        EXPECT_EQ(kVariants.contains(policy.name), !policy.parameters.empty()) << policy.name;
    for (const auto& [name, reason] : kNotExact) {
        EXPECT_EQ(policyInfo(name).name, name);
        EXPECT_FALSE(reason.empty());
    }
}

class PolicyReplay : public LiveReplay, public testing::WithParamInterface<std::string> {
protected:
    /// Every table that some policy reads, of the bundled model.
    std::shared_ptr<const PreparedData> everyTable() const {
        const ModelFacts facts = checkpoint.facts();
        const OffloadShape shape{.layers = facts.layers, .experts = facts.experts, .topK = facts.topK};
        PreparedData data = test::samplePrepared(shape, facts.fingerprint, facts.name);
        const std::int64_t hidden = checkpoint.config().hidden;
        std::mt19937 random(11);
        std::normal_distribution<float> weight(0.0F, 0.05F);
        for (int ahead = 1; ahead <= 3; ++ahead)
            for (int layer = 0; layer + ahead < facts.layers; ++layer) {
                std::vector<float> values(static_cast<std::size_t>(shape.experts * hidden));
                for (float& value : values)
                    value = weight(random);
                data.set(preGateTable(ahead, LayerIndex(layer)), {shape.experts, hidden}, std::move(values));
            }
        return std::make_shared<const PreparedData>(std::move(data));
    }
    /// Whether the engine takes the policy without anything prepared.
    bool startsBare() const {
        if (!missingTables(GetParam(), nullptr).empty()) return false;
        return !GetParam().starts_with("pre-gated:ahead=");  // the bundled model's pre-gates look one layer ahead
    }
};

TEST_P(PolicyReplay, MeetsAccessesMissesAndIssuedBytesExactly) {
    const auto prepared = everyTable();
    // A second request of several tokens: what was collected from the first takes effect, and a prompt comes after a
    // decode.
    LiveRun run{.policy = GetParam(), .promptTokens = {9, 6}, .tokens = 6};
    for (const double share : {0.04, 0.3}) {
        run.share = share;
        run.prepared = prepared;
        expectReplayed(run);
        run.prepared = nullptr;
        if (startsBare()) expectReplayed(run);
    }
}

// The bytes of the slots that a budget was divided into are less than it, and half of them may hold a copy fewer.
TEST_F(LiveReplay, DividesTheBudgetOfARunWithCopiesAsTheRunDid) {
    for (int percent = 2; percent < 12; ++percent)
        expectReplayed(
            {.policy = "hobbit:t1=0.3:t2=0.5:low=0.5", .share = percent / 100.0, .promptTokens = {9, 6}, .tokens = 6});
}

class PolicyWithCosts : public PolicyReplay {};

TEST_P(PolicyWithCosts, HoldsWhateverTheCostsSay) {
    const auto us = [](std::int64_t count) { return Nanoseconds(count * 1000); };
    LiveRun run{.policy = GetParam(), .share = 0.2, .prepared = everyTable()};
    // Computing in place is dear, cheap, and worth it for few tokens only.
    for (const std::int64_t inPlace : {5000, 1, 150}) {
        run.costs = {.transfer = us(400),
                     .compute = us(20),
                     .computeToken = us(5),
                     .inPlace = us(inPlace),
                     .inPlaceToken = us(inPlace)};
        expectReplayed(run);
    }
}

std::vector<std::string> thoseThatGoByCosts() {
    std::vector<std::string> texts = everyPolicy();
    std::erase_if(texts, [](const std::string& text) {
        return !policyInfo(text).needsCosts && !makePolicy(text)->computesInPlace();
    });
    return texts;
}

std::string labelOf(const testing::TestParamInfo<std::string>& run) {
    std::string label;
    for (const char c : run.param)
        label += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
    return label;
}

INSTANTIATE_TEST_SUITE_P(Catalogue, PolicyReplay, testing::ValuesIn(everyPolicy()), labelOf);
INSTANTIATE_TEST_SUITE_P(Catalogue, PolicyWithCosts, testing::ValuesIn(thoseThatGoByCosts()), labelOf);

}  // namespace
}  // namespace expertscope
