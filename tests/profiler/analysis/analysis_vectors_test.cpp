// SPDX-License-Identifier: GPL-3.0-or-later
// The analyses of routing against numpy and scipy (tests/data/analysis/make_vectors.py), and on input that is hardly
// any.
#include <set>

#include <gmock/gmock.h>

#include "engine/base/error.h"
#include "tests/profiler/analysis/trace_fixture.h"
#include "tests/profiler/analysis/vector_fixture.h"

namespace expertscope {
namespace {

using testing::HasSubstr;

AnalysisTable analyse(const std::string& text, const RunRouting& routing, const RunRouting* other = nullptr) {
    return runAnalysis(analysisInfo(analysisCatalogue(), text), text,
                       {.routing = &routing, .other = other, .checkpoint = nullptr, .progress = {}});
}

RunRouting routingOf(const ModelFacts& model, const std::vector<SelectionRecord>& selections,
                     const std::vector<TokenRecord>& tokens = {}, std::vector<RequestRecord> requests = {}) {
    RunRoutingBuilder builder(model);
    builder.add(std::span<const SelectionRecord>(selections));
    builder.add(std::span<const TokenRecord>(tokens));
    return builder.finish(std::move(requests));
}

ModelFacts modelOf(int layers, int experts, int topK) {
    ModelFacts model;
    model.layers = layers;
    model.experts = experts;
    model.topK = topK;
    return model;
}

TEST(RoutingAnalyses, AgreeWithNumpy) {
    const RunRouting routing = vectorRouting(), other = vectorRouting(VectorRun::Other);
    std::set<std::string> compared;
    const nlohmann::json all = analysisData("expected.json");
    for (const auto& [text, expected] : all.items()) {
        expectTable(analyse(text, routing, &other), expected, text);
        compared.insert(text.substr(0, text.find(':')));
    }
    for (const AnalysisInfo& info : analysisCatalogue()) {
        if (info.source != AnalysisSource::Routing) continue;
        EXPECT_TRUE(compared.contains(info.name)) << info.name << " is compared with nothing";
    }
}

TEST(RoutingAnalyses, DoNotDependOnTheOrderOfRecording) {
    const RunRouting forwards = vectorRouting(), backwards = vectorRouting(VectorRun::Backwards);
    for (std::int32_t layer = 0; layer < forwards.layers(); ++layer) {
        EXPECT_EQ(forwards.layer(layer).tokens, backwards.layer(layer).tokens);
        EXPECT_EQ(forwards.layer(layer).steps, backwards.layer(layer).steps);
        EXPECT_EQ(forwards.layer(layer).experts, backwards.layer(layer).experts);
    }
}

TEST(RoutingAnalyses, SayWhatTheyCountedAndWhatTheyLeftOut) {
    const RunRouting routing = vectorRouting();
    const std::string all = analyse("balance", routing).counted;
    EXPECT_THAT(all, HasSubstr("80 tokens (21 prompt, 59 generated) in 4 layers"));
    EXPECT_THAT(all, HasSubstr("1 of the layers routed fewer tokens than the others (layer 3: 62 of 80)"));
    EXPECT_THAT(all, HasSubstr("Left out: 3 selections that name no layer"));
    EXPECT_THAT(all, HasSubstr("Left out: 1 selections that repeat"));
    EXPECT_THAT(all, HasSubstr("choices that the policy dropped"));
    EXPECT_THAT(analyse("balance:phase=decode", routing).counted, HasSubstr("59 tokens (0 prompt, 59 generated)"));
    EXPECT_THAT(analyse("balance:phase=decode", routing).counted, HasSubstr("assignments of the other phase"));
}

TEST(RoutingAnalyses, GiveASentenceAndNoNumbersForARunWithoutSelections) {
    const RunRouting empty = routingOf(modelOf(2, 8, 2), {});
    for (const AnalysisInfo& info : analysisCatalogue()) {
        if (info.source != AnalysisSource::Routing) continue;
        const AnalysisTable table = analyse(info.name, empty, &empty);
        EXPECT_THAT(table.counted, HasSubstr("Nothing was counted")) << info.name;
        EXPECT_TRUE(table.rows.empty()) << info.name;
    }
}

TEST(RoutingAnalyses, TakeASingleTokenASingleExpertAndWeightsThatAreNotKnown) {
    const float none = std::numeric_limits<float>::quiet_NaN();
    const RunRouting token = routingOf(modelOf(2, 8, 2), {selection(0, 0, 0, 0, 3), selection(0, 0, 0, 1, 5)});
    const RunRouting expert = routingOf(modelOf(1, 1, 1), {selection(0, 0, 0, 0, 0), selection(1, 1, 0, 0, 0)});
    const RunRouting weights =
        routingOf(modelOf(1, 4, 1),
                  {selection(0, 0, 0, 0, 1, none), selection(1, 1, 0, 0, 2, none), selection(2, 2, 0, 0, 1, none)});
    for (const AnalysisInfo& info : analysisCatalogue()) {
        if (info.source != AnalysisSource::Routing) continue;
        for (const RunRouting* routing : {&token, &expert, &weights}) {
            const AnalysisTable table = analyse(info.name, *routing, routing);
            EXPECT_FALSE(table.counted.empty()) << info.name;
            for (const auto& row : table.rows)
                EXPECT_EQ(row.size(), table.columns.size()) << info.name;
        }
    }
    const AnalysisTable balance = analyse("balance", expert);
    EXPECT_EQ(std::get<double>(balance.rows.at(0).at(3)), 0) << "one expert is evenly loaded";
    EXPECT_TRUE(std::isnan(std::get<double>(analyse("balance", weights).rows.at(0).at(16))))
        << "no weights, no Switch loss";
}

TEST(RoutingAnalyses, LeaveOutRunsOfTokensThatWereRoutedExactlyAlikeWhenAsked) {
    std::vector<SelectionRecord> selections;
    for (int t = 0; t < 40; ++t)
        for (int slot = 0; slot < 2; ++slot)
            selections.push_back(selection(t, t, 0, slot, slot, 0.5F));
    for (int t = 40; t < 50; ++t)
        for (int slot = 0; slot < 2; ++slot)
            selections.push_back(
                selection(t, t, 0, slot, 2 + (t + slot * 3) % 6, 0.4F + 0.001F * static_cast<float>(t)));
    const RunRouting routing = routingOf(modelOf(1, 8, 2), selections);
    EXPECT_EQ(routing.longestConstantRun(), 40);
    EXPECT_THAT(analyse("balance", routing).counted, HasSubstr("40 tokens one after another were routed alike"));
    const AnalysisTable without = analyse("balance:warmup=exclude", routing);
    EXPECT_EQ(std::get<std::int64_t>(without.rows.at(0).at(1)), 10);
    EXPECT_THAT(without.counted, HasSubstr("Left out: 80 assignments of tokens that were routed exactly alike"));
}

TEST(RoutingAnalyses, TakeSumsByExpertWhereNoTokensAreKnown) {
    RunRoutingBuilder builder(modelOf(1, 4, 2));
    builder.add(std::vector<ExpertCount>{{StepIndex(0), LayerIndex(0), ExpertId(0), 5},
                                         {StepIndex(1), LayerIndex(0), ExpertId(0), 1},
                                         {StepIndex(0), LayerIndex(0), ExpertId(3), 2},
                                         {StepIndex(0), LayerIndex(7), ExpertId(3), 9}});
    const RunRouting routing = builder.finish({});
    const AnalysisTable balance = analyse("balance", routing);
    EXPECT_THAT(balance.counted, HasSubstr("8 assignments"));
    EXPECT_EQ(std::get<std::int64_t>(balance.rows.at(0).at(2)), 8);
    EXPECT_DOUBLE_EQ(std::get<double>(balance.rows.at(0).at(3)), 2.0) << "(6 - 2) / 2";
    EXPECT_EQ(std::get<std::int64_t>(analyse("load", routing).rows.at(0).at(2)), 6);
    EXPECT_TRUE(analyse("overlap", routing).rows.empty());
    EXPECT_THAT(analyse("overlap", routing).counted, HasSubstr("sums by expert only"));
    EXPECT_THROW(analyse("balance:phase=decode", routing), UsageError) << "sums have no phase";
}

TEST(RoutingAnalyses, RefuseWhatTheyDoNotKnow) {
    const RunRouting routing = vectorRouting();
    EXPECT_THROW(analyse("balnace", routing), UsageError);
    EXPECT_THROW(analyse("balance:phase=both", routing), UsageError);
    EXPECT_THROW(analyse("balance:capacity=-1", routing), UsageError);
    EXPECT_THROW(analyse("balance:size=3", routing), UsageError);
    EXPECT_THROW(routingOf(modelOf(0, 8, 2), {}), BadInputError);
    EXPECT_THROW(routingOf(modelOf(2, 2, 3), {}), BadInputError);
}

}  // namespace
}  // namespace expertscope
