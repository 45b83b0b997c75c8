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
    for (const EvictionInfo& info : evictionCatalogue())
        EXPECT_NE(makeEviction(info.name), nullptr);
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

}  // namespace
}  // namespace expertscope
