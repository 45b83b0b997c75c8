// SPDX-License-Identifier: GPL-3.0-or-later
// The policies that change the output, in the engine: what they say they did, and what they change nothing of when
// they are told to do nothing.

#include <cmath>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/offload/low_precision.h"
#include "tests/engine/inference/run_helpers.h"

namespace expertscope {
namespace {

class Approximate : public testing::Test {
protected:
    Approximate() {
        test::writeTinyQwen3Moe(m_folder.path(), test::kFourLayers);
        m_checkpoint = std::make_unique<Checkpoint>(Checkpoint::open(m_folder.path()));
    }
    EngineOptions options(const std::string& policy, int slots) const {
        EngineOptions wanted;
        wanted.policy = policy;
        wanted.budget = SizeSpec{.share = {}, .bytes = m_checkpoint->expertBytes() * slots};
        wanted.threads = 2;
        wanted.countRouting = true;
        return wanted;
    }
    test::Outcome run(const EngineOptions& wanted, Observer& observer) const {
        return test::runOnce(*m_checkpoint, wanted, test::request({5, 17, 80, 3, 3, 41, 60}, 24), observer);
    }
    std::map<SelectionAction, int> actionsOf(const std::string& policy, int slots) const {
        test::RunLog log;
        run(options(policy, slots), log);
        std::map<SelectionAction, int> counts;
        for (const SelectionRecord& selection : log.selections)
            ++counts[selection.action];
        return counts;
    }

    test::TemporaryFolder m_folder;
    std::unique_ptr<Checkpoint> m_checkpoint;
};

TEST_F(Approximate, PoliciesThatAreToldToChangeNothingGiveTheBitsOfResident) {
    test::RunLog log;
    const auto resident = run(options("resident", 0), log);
    for (const char* policy :
         {"drop-on-miss:mass=0", "cache-prior:lambda=0", "buddy:rho=0", "hobbit:t1=1", "hobbit:t1=1:low=0"})
        for (const int slots : {1, 2, 5, 16})
            EXPECT_EQ(run(options(policy, slots), log).logits, resident.logits) << policy << ", " << slots << " slots";
    EXPECT_EQ(run(options("swapmoe", test::kFourLayers.layers * test::kFourLayers.experts), log).logits.size(),
              resident.logits.size());
}

TEST_F(Approximate, SelectionsSayWhatBecameOfThem) {
    EXPECT_GT(actionsOf("drop-on-miss:mass=0.6:flatness=1", 8)[SelectionAction::Dropped], 0);
    EXPECT_GT(actionsOf("buddy:percentile=0:rho=3", 16)[SelectionAction::Substituted], 0);
    EXPECT_GT(actionsOf("hobbit:t1=0.3:t2=0.6", 8)[SelectionAction::LowPrecision], 0);
    EXPECT_GT(actionsOf("hobbit:t1=0.3:t2=0.6", 8)[SelectionAction::Dropped], 0);
    EXPECT_EQ(actionsOf("cache-prior", 8).size(), 1U);
}

TEST_F(Approximate, ADroppedSelectionHasNoWeightAndRunsNothing) {
    test::RunLog log;
    run(options("drop-on-miss:mass=0.6:flatness=1", 8), log);
    std::map<std::pair<int, int>, double> kept;  // by token and layer
    for (const SelectionRecord& selection : log.selections) {
        const bool dropped = selection.action == SelectionAction::Dropped;
        EXPECT_EQ(dropped, selection.weight == 0);
        EXPECT_EQ(dropped, std::isnan(selection.norm));
        EXPECT_FALSE(dropped && selection.firstUse);
        kept[{selection.token.value(), selection.layer.value()}] += static_cast<double>(selection.weight);
    }
    for (const auto& [at, sum] : kept)
        EXPECT_NEAR(sum, 1, 1e-5);
}

TEST_F(Approximate, WhatWasChangedIsCountedWithItsRouterMass) {
    test::RunLog log;
    const RoutingChanges changes = run(options("drop-on-miss:mass=0.6:flatness=1", 8), log).summary.routing;
    std::int64_t dropped = 0;
    for (const SelectionRecord& selection : log.selections)
        dropped += selection.action == SelectionAction::Dropped ? 1 : 0;
    EXPECT_EQ(changes.all.choices, static_cast<std::int64_t>(log.selections.size()));
    EXPECT_NEAR(changes.all.mass, static_cast<double>(log.selections.size()) / test::kFourLayers.topK, 1e-3);
    EXPECT_EQ(changes.of(SelectionAction::Dropped).choices, dropped);
    EXPECT_GT(changes.of(SelectionAction::Dropped).mass, 0);
    EXPECT_LT(changes.of(SelectionAction::Dropped).mass, 0.6 * changes.all.mass);
    EXPECT_EQ(changes.rerouted.choices, 0);
    EXPECT_GT(run(options("cache-prior:lambda=1", 16), log).summary.routing.rerouted.choices, 0);
    EXPECT_GT(run(options("pre-gated", 8), log).summary.routing.rerouted.choices, 0);
    EXPECT_EQ(run(options("on-demand", 8), log).summary.routing.all.choices, 0);  // exact: nothing to count
}

TEST_F(Approximate, PreferringResidentsMissesLess) {
    test::RunLog log;
    const auto missesOf = [&](const char* policy) {
        return run(options(policy, 16), log).summary.misses;
    };  // beyond LRU's cliff
    EXPECT_LT(missesOf("cache-prior:lambda=1"), missesOf("on-demand"));
    EXPECT_LT(missesOf("swapmoe"), missesOf("on-demand") / 2);
}

TEST_F(Approximate, LowPrecisionCopiesHaveSlotsAndBytesOfTheirOwnWithinTheBudget) {
    test::RunLog log;
    auto wanted = options("hobbit:t1=0.2:t2=1:low=0.4", 8);
    wanted.link = parseLink("500MB/s@2us");
    Engine engine(*m_checkpoint, nullptr, wanted, log);
    const RunDescription description = engine.describe();
    const Bytes low = LowPrecisionCopies::bytesOf(m_checkpoint->config());
    const Bytes whole = m_checkpoint->expertBytes();
    ASSERT_LT(low, whole);
    EXPECT_LE(description.budget, whole * 8);
    const std::int64_t lowSlots = (description.budget - whole * description.slots).count() / low.count();
    EXPECT_GE(lowSlots, 1);
    engine.start();
    engine.generate(test::request({5, 17, 80, 3, 3, 41, 60}, 24));
    const RunSummary s = engine.finish();
    EXPECT_LE(s.peakDevice, description.budget);
    Bytes demand, prefetch;
    int copies = 0;
    for (const TransferRecord& transfer : log.transfers) {
        const bool copy = transfer.slot.value() >= description.slots;
        EXPECT_LT(transfer.slot.value(), description.slots + lowSlots);
        EXPECT_EQ(transfer.bytes, copy ? low : whole);
        EXPECT_LE(transfer.moved, transfer.bytes);
        copies += copy ? 1 : 0;
        (transfer.purpose == TransferPurpose::Demand ? demand : prefetch) += transfer.bytes;
    }
    EXPECT_GT(copies, 0);
    EXPECT_LT(copies, static_cast<int>(log.transfers.size()));
    EXPECT_EQ(demand, s.demand);
    EXPECT_EQ(prefetch, s.prefetch);
    EXPECT_EQ(s.useful + s.late + s.wasted + s.cancelled, s.prefetch);
    std::set<int> inSlots;
    for (const ResidencyRecord& change : log.residency) {
        if (change.change == ResidencyChange::Admit)
            EXPECT_TRUE(inSlots.insert(change.slot.value()).second);
        else
            EXPECT_EQ(inSlots.erase(change.slot.value()), 1U);
    }
}

TEST_F(Approximate, LowPrecisionChangesTheLogitsALittle) {
    test::RunLog log;
    const auto scored = [&](const std::string& policy) {
        auto wanted = options(policy, 12);
        return test::runOnce(*m_checkpoint, wanted, test::request({5, 17, 80, 3, 3, 41, 60, 9, 2}, 1), log).logits;
    };
    const auto exact = scored("resident");
    const auto low = scored("hobbit:t1=0:t2=1:low=0.9");
    double error = 0, size = 0;
    for (std::size_t i = 0; i < exact.size(); ++i) {
        error += std::pow(static_cast<double>(exact[i] - low[i]), 2);
        size += std::pow(static_cast<double>(exact[i]), 2);
    }
    EXPECT_GT(error, 0);
    EXPECT_LT(std::sqrt(error / size), 0.2);
}

TEST_F(Approximate, TwoRunsGiveTheSameLogits) {
    for (const char* policy : {"drop-on-miss", "cache-prior", "buddy", "swapmoe:every=2", "hobbit:t1=0.3:t2=0.8"}) {
        test::RunLog log;
        auto wanted = options(policy, 7);
        wanted.link = parseLink("200MB/s@5us");
        EXPECT_EQ(run(wanted, log).logits, run(wanted, log).logits) << policy;
    }
}

}  // namespace
}  // namespace expertscope
