// SPDX-License-Identifier: GPL-3.0-or-later
// The analyses of a deep capture against numpy and scipy (tests/data/analysis/deep/make_deep.py): from every expert's
// outputs through the sums and the session to the tables.
#include "storage/deep_vectors.h"

#include <cmath>
#include <limits>
#include <set>

#include <gmock/gmock.h>

#include "engine/base/error.h"
#include "engine/compute/kernels.h"
#include "engine/compute/thread_pool.h"
#include "engine/inference/deep_sums.h"
#include "profiler/analysis/deep/deep_session.h"
#include "profiler/analysis/deep/expert_importance.h"
#include "profiler/analysis/deep/norm_score.h"
#include "profiler/analysis/deep/raw_capture.h"
#include "storage/deep_arrays.h"
#include "storage/session_writer.h"
#include "storage/sqlite_db.h"
#include "tests/profiler/analysis/vector_fixture.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::vector<float> floats(const json& values) {
    std::vector<float> out;
    for (const json& value : values)
        out.push_back(value.is_null() ? std::numeric_limits<float>::quiet_NaN() : value.get<float>());
    return out;
}

/// A layer of capture.json as the engine makes it, its tokens in blocks of `most`.
DeepLayer layerOf(const json& capture, const json& made, std::size_t most = 4) {
    const int experts = capture["experts"], hidden = capture["hidden"];
    DeepLayer layer = emptyDeepLayer(LayerIndex(made["layer"]), experts, capture["neurons"]);
    const auto index = made["index"].get<std::vector<std::int32_t>>();
    const std::vector<float> logits = floats(made["logits"]), weights = floats(made["weights"]),
                             outputs = floats(made["outputs"]);
    ThreadPool pool(2);
    DeepSums sums(ParallelMath(Kernels::vectorised(), pool), experts, hidden);
    for (std::size_t first = 0; first < index.size(); first += most) {
        const std::size_t count = std::min(most, index.size() - first);
        const auto part = [&](const std::vector<float>& values) {
            const std::size_t width = values.size() / index.size();
            return std::span(values).subspan(first * width, count * width);
        };
        sums.add({.tokens = static_cast<int>(count),
                  .experts = experts,
                  .hidden = hidden,
                  .index = std::span(index).subspan(first, count),
                  .logits = part(logits),
                  .weights = part(weights),
                  .outputs = part(outputs)},
                 capture["examples"], layer);
    }
    layer.neuronActive = made["neuron_active"].get<std::vector<double>>();
    layer.neuronSum = made["neuron_sum"].get<std::vector<double>>();
    layer.chosenActive = made["chosen_active"].get<std::vector<double>>();
    layer.hiddenMax = {made["hidden_max"].get<double>()};
    return layer;
}

DeepAggregates captured() {
    const json capture = analysisData("deep/capture.json");
    DeepAggregates deep;
    deep.options = {LayerIndex(0), LayerIndex(4), TokenIndex(20), TokenIndex(28), capture["examples"]};
    deep.modelLayers = capture["model_layers"];
    deep.topK = capture["top_k"];
    for (const json& layer : capture["layers"])
        deep.layers.push_back(layerOf(capture, layer));
    return deep;
}

/// Keeps the layers' activations, in two blocks, as a run with deep:raw does.
void keepVectors(const std::filesystem::path& session, RunId run) {
    const json capture = analysisData("deep/capture.json");
    for (const json& made : capture["layers"]) {
        const auto index = made["index"].get<std::vector<std::int32_t>>();
        const std::vector<float> logits = floats(made["logits"]), weights = floats(made["weights"]),
                                 outputs = floats(made["outputs"]), activations = floats(made["activations"]),
                                 zeros(index.size() * capture["hidden"].get<std::size_t>());
        for (std::size_t first = 0; first < index.size(); first += 5) {
            const std::size_t count = std::min<std::size_t>(5, index.size() - first);
            const auto part = [&](const std::vector<float>& values) {
                const std::size_t width = values.size() / index.size();
                return std::span(values).subspan(first * width, count * width);
            };
            keepDeepVectors(session, run,
                            {.layer = LayerIndex(made["layer"]),
                             .made = {.tokens = static_cast<int>(count),
                                      .experts = capture["experts"],
                                      .hidden = capture["hidden"],
                                      .index = std::span(index).subspan(first, count),
                                      .logits = part(logits),
                                      .weights = part(weights),
                                      .outputs = part(outputs)},
                             .inputs = part(zeros),
                             .after = part(zeros),
                             .activations = part(activations)});
        }
    }
}

AnalysisTable analyse(const std::string& text, const DeepAggregates* deep, const RunRouting* routing = nullptr,
                      const RawCapture* raw = nullptr) {
    AnalysisInput input;
    input.deep = deep;
    input.raw = raw;
    input.routing = routing;
    return runAnalysis(analysisInfo(analysisCatalogue(), text), text, input);
}

std::vector<std::string> deepAnalyses() {
    std::vector<std::string> names;
    for (const AnalysisInfo& info : analysisCatalogue())
        if (info.source == AnalysisSource::Deep) names.push_back(info.name);
    return names;
}

TEST(DeepAnalyses, AgreeWithNumpyAfterTheirWayThroughASession) {
    const TemporaryFolder folder;
    SessionWriter(folder / "s.esdb").close();
    keepDeepCapture(folder / "s.esdb", RunId(3), captured());
    keepVectors(folder / "s.esdb", RunId(3));
    const RawCapture raw(folder / "s.esdb", RunId(3));
    const auto deep = readDeepCapture(folder / "s.esdb", RunId(3));
    ASSERT_TRUE(deep);
    EXPECT_EQ(deep->options, captured().options);
    EXPECT_FALSE(readDeepCapture(folder / "s.esdb", RunId(1)));
    std::set<std::string> compared;
    const json all = analysisData("deep/expected.json");
    for (const auto& [text, expected] : all.items()) {
        expectTable(analyse(text, &*deep, nullptr, &raw), expected, text);
        compared.insert(text.substr(0, text.find(':')));
    }
    EXPECT_THAT(deepAnalyses(), testing::UnorderedElementsAreArray(compared));
}

/// A run that tells its sums now and then cuts blocks where the clock says.
TEST(DeepSums, DoNotDependOnHowTokensAreCutIntoBlocks) {
    const json capture = analysisData("deep/capture.json");
    for (const json& made : capture["layers"]) {
        const DeepLayer whole = layerOf(capture, made, 1000);
        for (const std::size_t most : {std::size_t{1}, std::size_t{3}}) {
            const DeepLayer cut = layerOf(capture, made, most);
            EXPECT_EQ(cut.tokens, whole.tokens);
            EXPECT_EQ(cut.pairClasses, whole.pairClasses);
            EXPECT_EQ(cut.cosineSum, whole.cosineSum);
            EXPECT_EQ(cut.normSum, whole.normSum);
            EXPECT_EQ(cut.rankCounts, whole.rankCounts);
            EXPECT_EQ(cut.unselected, whole.unselected);
            EXPECT_EQ(cut.router, whole.router);
            EXPECT_EQ(cut.exampleNorms, whole.exampleNorms);
        }
    }
}

TEST(DeepAnalyses, OfARunThatNeverEndedSaySo) {
    const TemporaryFolder folder;
    SessionWriter(folder / "s.esdb").close();
    DeepAggregates deep = captured();
    keepDeepCapture(folder / "s.esdb", RunId(1), deep);
    EXPECT_TRUE(readDeepCapture(folder / "s.esdb", RunId(1))->complete);
    deep.complete = false;
    keepDeepCapture(folder / "s.esdb", RunId(1), deep);
    const auto read = readDeepCapture(folder / "s.esdb", RunId(1));
    EXPECT_FALSE(read->complete);
    for (const std::string& name : deepAnalyses())
        EXPECT_THAT(analyse(name, &*read).counted, HasSubstr("the run had not ended when this was kept")) << name;
}

TEST(DeepAnalyses, SayWhereThereIsNoCaptureAndWhereNoTokenWasTaken) {
    const RunRouting routing = vectorRouting();
    DeepAggregates nothing = captured();
    for (DeepLayer& layer : nothing.layers)
        layer = emptyDeepLayer(layer.layer, layer.experts, layer.neurons);
    for (const std::string& name : deepAnalyses()) {
        const AnalysisTable without = analyse(name, nullptr, &routing);
        EXPECT_TRUE(without.rows.empty()) << name;
        EXPECT_FALSE(without.columns.empty()) << name;
        EXPECT_THAT(without.counted, HasSubstr("recorded without a deep capture"));
        EXPECT_THROW(analyse(name, nullptr), UsageError) << name << " of a model";
        const AnalysisTable empty = analyse(name, &nothing);
        EXPECT_THAT(empty.counted, HasSubstr("Nothing was counted")) << name;
    }
    EXPECT_THROW(analyse("importance:layer=2", nullptr), UsageError);
    const DeepAggregates deep = captured();
    EXPECT_THROW(analyse("importance:layer=2", &deep), UsageError) << "not captured";
}

TEST(ActivationMap, SaysWhatToDoWhereActivationsWereNotKept) {
    const TemporaryFolder folder;
    SessionWriter(folder / "s.esdb").close();
    const DeepAggregates deep = captured();
    const AnalysisTable without = analyse("activation-map", &deep, nullptr, nullptr);
    EXPECT_TRUE(without.rows.empty());
    const RawCapture none(folder / "s.esdb", RunId(1));
    const AnalysisTable notKept = analyse("activation-map", &deep, nullptr, &none);
    EXPECT_TRUE(notKept.rows.empty());
    EXPECT_THAT(notKept.counted, HasSubstr("record the run with '--record routing,spans,norms,predictions,deep:raw'"));
    // A session of before they were kept has all other vectors.
    keepVectors(folder / "s.esdb", RunId(1));
    Database(folder / "s.esdb", OpenMode::Existing).execute("DELETE FROM deep_vector WHERE name='activations'");
    const RawCapture old(folder / "s.esdb", RunId(1));
    EXPECT_FALSE(old.activations(LayerIndex(1), TokenIndex(20)));
    EXPECT_THAT(analyse("activation-map", &deep, nullptr, &old).counted, HasSubstr("by an earlier version"));
}

TEST(ActivationMap, TakesOnlyTokensAndLayersThatWereCaptured) {
    const TemporaryFolder folder;
    SessionWriter(folder / "s.esdb").close();
    keepVectors(folder / "s.esdb", RunId(1));
    const DeepAggregates deep = captured();
    const RawCapture raw(folder / "s.esdb", RunId(1));
    EXPECT_THROW(analyse("activation-map:token=29", &deep, nullptr, &raw), UsageError);
    EXPECT_THROW(analyse("activation-map:layer=2", &deep, nullptr, &raw), UsageError);
    EXPECT_FALSE(raw.activations(LayerIndex(2), TokenIndex(20)));
    const auto map = raw.activations(LayerIndex(4), TokenIndex(28));
    ASSERT_TRUE(map);
    EXPECT_EQ(map->experts, 6);
    EXPECT_EQ(map->neurons, 7);
    EXPECT_EQ(map->at(2, 1), 0);
    EXPECT_EQ(std::ranges::count_if(map->weights, [](float weight) { return weight > 0; }), 2);
}

TEST(DeepAnalyses, GiveTheViewsTheExamplesOfALayer) {
    const DeepAggregates deep = captured();
    const std::vector<TokenNorms> tokens = tokenNorms(deep.layers[1]);
    ASSERT_EQ(tokens.size(), 4U);
    EXPECT_EQ(tokens[2].token, TokenIndex(22));
    EXPECT_EQ(tokens[2].norm[4], 0) << "the expert of zeros";
    EXPECT_NEAR(tokens[2].score[0] + tokens[2].score[1] + tokens[2].score[2] + tokens[2].score[3] + tokens[2].score[4] +
                    tokens[2].score[5],
                1, 1e-6);
    EXPECT_EQ(std::ranges::count_if(tokens[2].weight, [](double weight) { return weight > 0; }), 2);
    const std::vector<SuperExpert> super = superExperts(deep.layers, deep.modelLayers);
    ASSERT_EQ(super.size(), 1U);
    EXPECT_EQ(super[0].expert, (ExpertRef{LayerIndex(1), ExpertId(5)}));
    EXPECT_THROW(importanceScore("beauty"), UsageError);
}

TEST(DeepSession, RefusesArraysThatDoNotFit) {
    const TemporaryFolder folder;
    SessionWriter(folder / "s.esdb").close();
    const auto damaged = [&](auto change) {
        keepDeepCapture(folder / "s.esdb", RunId(1), captured());
        std::vector<DeepArray> arrays = deepArrays(folder / "s.esdb", RunId(1));
        change(arrays);
        keepDeepArrays(folder / "s.esdb", RunId(1), arrays);
    };
    damaged([](std::vector<DeepArray>& arrays) {
        std::erase_if(arrays, [](const DeepArray& array) { return array.name == "score_sum"; });
    });
    EXPECT_THROW(readDeepCapture(folder / "s.esdb", RunId(1)), BadInputError) << "one is missing";
    damaged([](std::vector<DeepArray>& arrays) {
        for (DeepArray& array : arrays)
            if (array.name == "rank_counts") array = {array.layer, array.name, 2, 2, {1, 2, 3, 4}};
    });
    EXPECT_THROW(readDeepCapture(folder / "s.esdb", RunId(1)), BadInputError) << "one is smaller";
    damaged([](std::vector<DeepArray>& arrays) {
        for (DeepArray& array : arrays)
            if (array.name == "example_scores") array = {array.layer, array.name, 1, 6, {1, 2, 3, 4, 5, 6}};
    });
    EXPECT_THROW(readDeepCapture(folder / "s.esdb", RunId(1)), BadInputError) << "one has fewer examples";
    damaged([](std::vector<DeepArray>& arrays) { arrays[0].rows = 7; });
    EXPECT_THROW(deepArrays(folder / "s.esdb", RunId(1)), BadInputError) << "not as long as its shape";
}

}  // namespace
}  // namespace expertscope
