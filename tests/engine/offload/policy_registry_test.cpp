// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/policy_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

TEST(PolicyRegistry, MakesWhatItLists) {
    ASSERT_FALSE(policyCatalogue().empty());
    for (const PolicyInfo& info : policyCatalogue()) {
        EXPECT_NE(makePolicy(info.name), nullptr);
        EXPECT_EQ(policyInfo(info.name).name, info.name);
        EXPECT_FALSE(info.summary.empty() || info.source.empty()) << info.name;
    }
    for (const EvictionInfo& info : evictionCatalogue()) {
        EXPECT_FALSE(info.summary.empty() || info.source.empty()) << info.name;
        EXPECT_EQ(evictionInfo(info.name + ":scope=layer").name, info.name);
        if (info.replayOnly)
            EXPECT_THROW(makeEviction(info.name), UsageError);
        else
            EXPECT_NE(makeEviction(info.name), nullptr);
    }
}

TEST(PolicyRegistry, NamesWhatExistsWhenAskedForWhatDoesNot) {
    try {
        makePolicy("clairvoyant");
        FAIL();
    } catch (const UsageError& error) {
        EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("clairvoyant"), testing::HasSubstr("pre-gated")));
    }
    EXPECT_THROW(makeEviction("belady"), UsageError);
}

TEST(PolicyRegistry, RefusesARuleThatKnowsTheFutureAndParametersThatARuleLacks) {
    const auto complaint = [](const char* spec) -> std::string {
        try {
            makeEviction(spec);
        } catch (const UsageError& error) { return error.what(); }
        return {};
    };
    EXPECT_THAT(complaint("belady-bypass"), testing::HasSubstr("replay only"));
    EXPECT_THAT(complaint("fifo:probation=0.2"), testing::HasSubstr("scope"));
    EXPECT_THAT(complaint("slru:probation=2"), testing::HasSubstr("from 0 to 1"));
    EXPECT_THAT(complaint("least-stale:variant=lru"), testing::HasSubstr("fifo, ema, mixed, layer"));
    EXPECT_TRUE(makeEviction("arc:scope=layer")->perLayer());
    EXPECT_FALSE(makeEviction("arc")->perLayer());
}

TEST(EvictionUnder, IsThePolicysOwnWhereItBringsOne) {
    EXPECT_EQ(evictionUnder("on-demand", "lfu:scope=layer"), "lfu:scope=layer");
    for (const char* policy :
         {"moe-infinity", "moe-infinity:preset=code", "hybrimoe", "finemoe", "swapmoe", "hobbit"}) {
        EXPECT_EQ(evictionUnder(policy, "lru"), kOwnEviction) << policy;
        EXPECT_EQ(evictionUnder(policy, kOwnEviction), kOwnEviction) << policy;
    }
    EXPECT_THROW(evictionUnder("on-demand", kOwnEviction), UsageError);
}

}  // namespace
}  // namespace expertscope
