// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/inspector_facts.h"

#include <QTemporaryDir>
#include <algorithm>

#include <gtest/gtest.h>

#include "session_fixture.h"

namespace expertscope {
namespace {

class InspectorFactsTest : public ::testing::Test {
protected:
    void SetUp() override {
        test::writeSession(folder.filePath("s.esdb"));
        reader.emplace(folder.filePath("s.esdb").toStdString());
        trace.emplace(*reader, RunId(1));
        while (trace->refresh()) {}
    }
    QString fact(const Selection& selection, const QString& name) const {
        for (const Fact& fact : inspect(*trace, selection).facts) {
            if (fact.name == name) return fact.value;
        }
        return "(none)";
    }
    QTemporaryDir folder;
    std::optional<SessionReader> reader;
    std::optional<RunTrace> trace;
};

TEST_F(InspectorFactsTest, TellTheRunWhenNothingIsSelected) {
    EXPECT_EQ(inspect(*trace, {}).title, "on-demand");
    EXPECT_EQ(fact({}, "decode"), "500 tok/s");
    EXPECT_EQ(fact({}, "● hits"), "33.3 %");
}

TEST_F(InspectorFactsTest, TellNoPolicyOfARunThatWasImported) {
    test::writeSession(folder.filePath("i.esdb"), "imported");
    const SessionReader other(folder.filePath("i.esdb").toStdString());
    const RunTrace imported(other, RunId(1));
    QStringList names;
    for (const Fact& fact : inspect(imported, {}).facts)
        names << fact.name;
    EXPECT_TRUE(names.contains("● hits"));
    for (const char* own : {"eviction", "budget", "link", "logits", "decode", "wait"})
        EXPECT_FALSE(names.contains(own)) << own;
}

TEST_F(InspectorFactsTest, CountWhatAnExpertOfALayerDid) {
    Selection s;
    s.layer = LayerIndex(1);
    s.expert = ExpertId(1);  // chosen by tokens 1 (missed) and 5 (hit)
    EXPECT_EQ(inspect(*trace, s).title, "Layer 1 · expert 1");
    EXPECT_EQ(fact(s, "selections"), "2");
    EXPECT_EQ(fact(s, "share"), "33.3 %");
    EXPECT_EQ(fact(s, "● hits"), "50.0 %");
    EXPECT_EQ(fact(s, "mean output norm"), "2.00");
}

TEST_F(InspectorFactsTest, CountOnlyTheSelectedTokens) {
    Selection s;
    s.tokens = TokenRange{TokenIndex(0), TokenIndex(3)};
    EXPECT_EQ(inspect(*trace, s).title, "Tokens 0–2");
    EXPECT_EQ(fact(s, "selections"), "6");
    EXPECT_EQ(fact(s, "experts used"), "3 of 4");
    EXPECT_EQ(fact(s, "● hits"), "33.3 %");
}

TEST_F(InspectorFactsTest, TellATokensTextAndProbability) {
    Selection s;
    s.tokens = TokenRange{TokenIndex(4), TokenIndex(5)};
    EXPECT_EQ(fact(s, "text"), "“e”");
    EXPECT_EQ(fact(s, "phase"), "generated");
    EXPECT_EQ(fact(s, "probability"), "60.7 %");  // e^−0.5
}

TEST_F(InspectorFactsTest, SplitASelectedTimeIntoComputingAndWaiting) {
    Selection s;
    const Nanoseconds start = trace->entry().description.start;
    s.time = TimeRange{start + Nanoseconds(1'500'000), start + Nanoseconds(5'000'000)};
    EXPECT_EQ(fact(s, "length"), "3.50 ms");
    EXPECT_EQ(fact(s, "waiting"), "500 µs");
    EXPECT_EQ(fact(s, "computing"), "3.00 ms");
}

TEST_F(InspectorFactsTest, BeginWithWhatIsKnownWithoutCounting) {
    Selection s;
    s.tokens = TokenRange{TokenIndex(4), TokenIndex(5)};
    const InspectorText all = inspect(*trace, s), atOnce = inspectAtOnce(*trace, s);
    EXPECT_EQ(atOnce.title, all.title);
    ASSERT_FALSE(atOnce.facts.empty());
    ASSERT_LT(atOnce.facts.size(), all.facts.size());
    for (std::size_t i = 0; i < atOnce.facts.size(); ++i)
        EXPECT_EQ(atOnce.facts[i].name, all.facts[i].name);
    EXPECT_EQ(recordsToInspect(*trace, s), trace->selections().size());
    EXPECT_EQ(recordsToInspect(*trace, {}), 0U);
}

TEST_F(InspectorFactsTest, TellHowFarTheyAreAndStopWhenToldTo) {
    Selection s;
    s.layer = LayerIndex(1);
    s.time = TimeRange{Nanoseconds(0), trace->spans().back().end};
    std::vector<double> shares;
    inspect(*trace, s, [&](double share) { shares.push_back(share); });
    ASSERT_FALSE(shares.empty());
    EXPECT_TRUE(std::ranges::is_sorted(shares));
    EXPECT_EQ(shares.back(), 1);
    struct Stop {};
    EXPECT_THROW(inspect(*trace, s, [](double) { throw Stop(); }), Stop);
}

}  // namespace
}  // namespace expertscope
