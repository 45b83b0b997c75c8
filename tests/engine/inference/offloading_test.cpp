// SPDX-License-Identifier: GPL-3.0-or-later
// What offloading may not change (logits), must repeat (decisions), and must add up (bytes, accesses, times).

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/offload/policy_registry.h"
#include "tests/engine/inference/run_helpers.h"
#include "tests/engine/offload/prepared_sample.h"

namespace expertscope {
namespace {

class Offloading : public testing::Test {
protected:
    Offloading() {
        test::writeTinyQwen3Moe(m_folder.path(), test::kFourLayers);
        m_checkpoint = std::make_unique<Checkpoint>(Checkpoint::open(m_folder.path()));
    }
    EngineOptions options(const std::string& policy, int slots, const std::string& eviction = "lru") const {
        EngineOptions wanted;
        wanted.policy = policy;
        wanted.eviction = eviction;
        wanted.budget = SizeSpec{.share = {}, .bytes = m_checkpoint->expertBytes() * slots};
        wanted.threads = 2;
        wanted.prepared =
            std::make_shared<const PreparedData>(test::samplePrepared({.layers = test::kFourLayers.layers,
                                                                       .experts = test::kFourLayers.experts,
                                                                       .topK = test::kFourLayers.topK,
                                                                       .slots = slots},
                                                                      m_checkpoint->facts().fingerprint));
        return wanted;
    }
    test::Outcome run(const EngineOptions& wanted, Observer& observer) const {
        return test::runOnce(*m_checkpoint, wanted, test::request({5, 17, 80, 3, 3, 41, 60}, 12), observer);
    }

    test::TemporaryFolder m_folder;
    std::unique_ptr<Checkpoint> m_checkpoint;
};

TEST_F(Offloading, ExactPoliciesGiveTheBitsOfResidentAtEveryBudget) {
    test::RunLog log;
    const auto resident = run(options("resident", 0), log);
    ASSERT_EQ(resident.logits.size(), static_cast<std::size_t>((7 + 11) * test::kFourLayers.vocabulary));
    int compared = 0;
    for (const PolicyInfo& info : policyCatalogue()) {
        if (!info.exact || info.name == "resident") continue;
        for (const char* eviction : {"lru", "lfu"}) {
            for (const int slots : {1, 2, 3, 5, 8, 11, 16, 32}) {
                const auto offloaded = run(options(info.name, slots, eviction), log);
                EXPECT_EQ(offloaded.result.generated, resident.result.generated) << info.name << " " << slots;
                ASSERT_EQ(offloaded.logits.size(), resident.logits.size());
                EXPECT_EQ(std::memcmp(offloaded.logits.data(), resident.logits.data(), resident.logits.size() * 4), 0)
                    << info.name << " with " << slots << " slots and " << eviction;
                EXPECT_LE(offloaded.summary.peakDevice, m_checkpoint->expertBytes() * slots);
                ++compared;
            }
        }
    }
    EXPECT_EQ(compared, 2 * 8 * std::ranges::count_if(policyCatalogue(), [](const PolicyInfo& info) {
                            return info.exact && info.name != "resident";
                        }));
}

TEST_F(Offloading, PreGatedRoutingDoesNotDependOnTheBudgetEither) {
    test::RunLog log;
    const auto roomy = run(options("pre-gated", 32), log);
    for (const int slots : {1, 2, 4, 9})
        EXPECT_EQ(run(options("pre-gated", slots), log).logits, roomy.logits) << slots << " slots";
    EXPECT_NE(roomy.logits, run(options("resident", 0), log).logits);
}

TEST_F(Offloading, AThreadMoreOrAPromptStepByStepChangesNoBit) {
    test::RunLog log;
    auto one = options("on-demand", 6);
    one.threads = 1;
    EXPECT_EQ(run(one, log).logits, run(options("on-demand", 6), log).logits);
    // The prompt's positions alone, as a prompt and as tokens generated one by one, are the same rows.
    const auto whole = run(options("resident", 0), log);
    std::vector<std::int32_t> all{5, 17, 80, 3, 3, 41, 60};
    all.insert(all.end(), whole.result.generated.begin(), whole.result.generated.end() - 1);
    const auto scored = test::runOnce(*m_checkpoint, options("resident", 0), test::request(all, 1), log);
    EXPECT_EQ(scored.logits, whole.logits);
}

TEST_F(Offloading, TwoRunsMakeTheSameAdmissionsAndEvictions) {
    for (const char* policy : {"on-demand", "prefetch-all", "pre-gated"}) {
        const auto decisions = [&] {
            test::RunLog log;
            auto wanted = options(policy, 7);
            wanted.link = parseLink("200MB/s@5us");
            run(wanted, log);
            std::vector<std::tuple<int, int, int, int, int, double>> all;
            for (const ResidencyRecord& r :
                 log.residency)  // a prefetch that arrived in time is evicted, else cancelled
                all.emplace_back(r.step.value(), r.layer.value(),
                                 r.subject.layer.value() * 100 + r.subject.expert.value(), r.slot.value(),
                                 r.change == ResidencyChange::Admit ? 0 : 1, r.score);
            return all;
        };
        const auto first = decisions();
        EXPECT_FALSE(first.empty());
        EXPECT_EQ(first, decisions()) << policy;
    }
}

TEST_F(Offloading, AccessesBytesAndTimesAddUp) {
    for (const PolicyInfo& info : policyCatalogue()) {
        test::RunLog log;
        auto wanted = options(info.name, 9);
        wanted.link = parseLink("500MB/s@2us");
        const RunSummary s = run(wanted, log).summary;
        const Bytes expert = m_checkpoint->expertBytes();
        EXPECT_EQ(s.accesses, s.hits + s.hitsInFlight + s.misses) << info.name;
        EXPECT_EQ(s.accesses, std::ranges::count_if(log.selections, &SelectionRecord::firstUse));
        EXPECT_EQ(s.useful + s.late + s.wasted + s.cancelled, s.prefetch) << info.name;
        // What is computed where it lies, or from a low-precision copy, is missed but not brought whole.
        const auto brought = std::ranges::count_if(log.selections, [](const SelectionRecord& selection) {
            return selection.firstUse && selection.outcome == Outcome::Miss && selection.action == SelectionAction::Run;
        });
        if (info.name != "hobbit") { EXPECT_EQ(s.demand, expert * brought) << info.name; }
        EXPECT_LE(s.moved, s.demand + s.prefetch);
        EXPECT_GE(s.moved, s.demand + s.useful + s.late);
        EXPECT_NEAR(s.totalMs, s.computeMs + s.waitMs + s.otherMs, 1e-6);
        EXPECT_GT(s.computeMs, 0);
        EXPECT_GE(s.otherMs, 0);
        std::map<TransferFate, Bytes> fates;
        Bytes moved;
        std::set<std::int64_t> ids;
        for (const TransferRecord& t : log.transfers) {
            EXPECT_TRUE(ids.insert(t.id).second) << "transfer " << t.id << " is told twice";
            if (t.purpose == TransferPurpose::Preload) continue;
            fates[t.fate] += t.bytes;
            moved += t.moved;
        }
        EXPECT_EQ(fates[TransferFate::Used], s.demand) << info.name;
        EXPECT_EQ(fates[TransferFate::Useful], s.useful) << info.name;
        EXPECT_EQ(fates[TransferFate::Late], s.late) << info.name;
        EXPECT_EQ(fates[TransferFate::Wasted], s.wasted) << info.name;
        EXPECT_EQ(fates[TransferFate::Cancelled], s.cancelled) << info.name;
        EXPECT_EQ(moved, s.moved) << info.name;
    }
}

TEST_F(Offloading, SelectionsSayWhatTheResidencyRecordsImply) {
    test::RunLog log;
    run(options("on-demand", 16), log);  // more than one token's demand of 12: below it LRU hits nothing
    // Plays the admissions and evictions and looks every first use up.
    std::set<std::pair<int, int>> present;
    auto change = log.residency.begin();
    const auto before = [&](const ResidencyRecord& r, const SelectionRecord& s) {
        return std::pair(r.step, r.layer) < std::pair(s.step, s.layer);
    };
    int hits = 0;
    for (const SelectionRecord& s : log.selections) {
        for (; change != log.residency.end() && before(*change, s); ++change) {
            const std::pair key{change->subject.layer.value(), change->subject.expert.value()};
            change->change == ResidencyChange::Admit ? (void)present.insert(key) : (void)present.erase(key);
        }
        const bool there = present.contains({s.layer.value(), s.expert.value()});
        EXPECT_EQ(s.outcome == Outcome::Miss, !there);
        hits += there ? 1 : 0;
    }
    EXPECT_GT(hits, 0);
}

TEST_F(Offloading, OnASlowLinkDemandTakesAtLeastItsBytesOverTheBandwidth) {
    test::RunLog log;
    auto wanted = options("on-demand", 4);
    wanted.link = parseLink("20MB/s@0us");
    const RunSummary s = run(wanted, log).summary;
    EXPECT_GE(s.totalMs, static_cast<double>(s.demand.count()) / 20e6 * 1e3);
    EXPECT_GT(s.waitMs, 0.5 * s.totalMs);
}

TEST_F(Offloading, RefusesABudgetBelowOneExpertAndAPolicyThatTheCheckpointCannotServe) {
    test::RunLog log;
    try {
        run(options("on-demand", 0), log);
        FAIL();
    } catch (const UsageError& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr(formatBytes(m_checkpoint->expertBytes())));
    }
    const test::TemporaryFolder plain;
    test::writeTinyQwen3Moe(plain.path());
    const Checkpoint without = Checkpoint::open(plain.path());
    EngineOptions preGated;
    preGated.policy = "pre-gated";
    EXPECT_THROW(Engine(without, nullptr, preGated, log), UsageError);
}

/// The oracle's checkpoints whose family the engine runs, as folders or files.
std::vector<std::filesystem::path> supportedOracles(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> supported;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (!std::filesystem::exists(entry.path() / "config.json")) continue;
        try {
            Checkpoint::open(entry.path());
            supported.push_back(entry.path());
        } catch (const BadInputError&) {}  // a family that is not supported yet
    }
    std::ranges::sort(supported);
    return supported;
}

TEST(Oracles, ExactPoliciesGiveTheBitsOfResidentOnEverySupportedCheckpoint) {
    const char* const data = std::getenv("EXPERTSCOPE_TEST_DATA");
    if (!data) GTEST_SKIP() << "EXPERTSCOPE_TEST_DATA is not set: the oracle checkpoints are not here.";
    const auto folders = supportedOracles(std::filesystem::path(data) / "oracle");
    ASSERT_FALSE(folders.empty());
    for (const auto& folder : folders) {
        const Checkpoint checkpoint = Checkpoint::open(folder);
        const ModelConfig& config = checkpoint.config();
        const auto runWith = [&](const std::string& policy, int slots) {
            EngineOptions options;
            options.policy = policy;
            options.budget = SizeSpec{.share = {}, .bytes = checkpoint.expertBytes() * slots};
            options.threads = 2;
            options.record = {.routing = false, .spans = false, .norms = false, .predictions = false};
            options.prepared = std::make_shared<const PreparedData>(test::samplePrepared(
                {.layers = config.layers, .experts = config.experts, .topK = config.topK, .slots = slots},
                checkpoint.facts().fingerprint));
            Observer nobody;
            return test::runOnce(checkpoint, options, test::request({84, 104, 101, 32, 113, 117, 105, 99, 107}, 6),
                                 nobody)
                .logits;
        };
        const auto resident = runWith("resident", 1);
        for (const PolicyInfo& info : policyCatalogue()) {
            if (!info.exact) continue;
            for (const int slots : {1, config.topK + 1, config.layers * config.topK, config.layers * config.experts}) {
                EXPECT_EQ(runWith(info.name, slots), resident)
                    << info.name << " on " << folder.filename() << " with " << slots << " slots";
            }
        }
        RecordProperty(folder.filename().string(), "compared");
    }
}

}  // namespace
}  // namespace expertscope
