// SPDX-License-Identifier: GPL-3.0-or-later
// The analyses of weights against numpy and scipy (make_weights.py and make_models.py in tests/data/analysis), and on
// checkpoints that have hardly anything to compare.
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include <gmock/gmock.h>

#include "engine/base/error.h"
#include "engine/compute/thread_pool.h"
#include "engine/model/checkpoint.h"
#include "engine/model/safetensors_source.h"
#include "profiler/analysis/weights/expert_weights.h"
#include "profiler/analysis/weights/weight_pass.h"
#include "profiler/analysis/weights/weight_study.h"
#include "tests/engine/model/safetensors_writer.h"
#include "tests/profiler/analysis/tiny_model.h"
#include "tests/profiler/analysis/vector_fixture.h"

namespace expertscope {
namespace {

using namespace test;
using testing::HasSubstr;

std::vector<std::string> weightAnalyses() {
    std::vector<std::string> names;
    for (const AnalysisInfo& info : analysisCatalogue())
        if (info.source == AnalysisSource::Checkpoint) names.push_back(info.name);
    return names;
}

double real(const AnalysisTable& table, std::size_t row, std::size_t column) {
    return std::get<double>(table.rows.at(row).at(column));
}

/// Compares the tables of one folder's expected.json; `models` by what it calls them. Gives the names compared.
std::set<std::string> compareTables(const std::string& folder, const std::map<std::string, WeightStudy*>& models) {
    std::set<std::string> compared;
    const nlohmann::json all = analysisData(folder + "/expected.json");
    for (const auto& [kind, tables] : all.items()) {
        WeightStudy& study = *models.at(kind);
        for (const auto& [text, expected] : tables.items()) {
            compared.insert(text.substr(0, text.find(':')));
            expectTable(analyse(text, study.weights().checkpoint(), &study), expected, kind + " " + text);
        }
    }
    return compared;
}

TEST(WeightAnalyses, AgreeWithNumpy) {
    const Checkpoint checkpoint = Checkpoint::open(analysisFolder("weights/checkpoint"));
    const SafetensorsSource dense(analysisFolder("weights/dense"));
    WeightStudy plain(checkpoint), withDense(checkpoint, &dense);
    std::set<std::string> compared = compareTables("weights", {{"plain", &plain}, {"dense", &withDense}});
    const Checkpoint whole = Checkpoint::open(analysisFolder("models/plain"));
    const Checkpoint split = Checkpoint::open(analysisFolder("models/heads"));
    const SafetensorsSource groups(analysisFolder("models/dense"));
    WeightStudy wholeTokens(whole), subTokens(split), withGroups(whole, &groups);
    compared.merge(compareTables("models", {{"plain", &wholeTokens}, {"heads", &subTokens}, {"dense", &withGroups}}));
    EXPECT_THAT(weightAnalyses(), testing::UnorderedElementsAreArray(compared));
}

TEST(WeightAnalyses, ReadLongMatricesInPiecesAsIfTheyWereOne) {
    // Longer than a read, and not a multiple of one; read by one thread and by three.
    for (const ElementType type : {ElementType::F32, ElementType::F16, ElementType::BF16}) {
        const TinyModel model({.layers = 1, .experts = 3, .hidden = 250, .expertWidth = 311, .type = type});
        const Checkpoint checkpoint = model.open();
        const ExpertMatrices weights(checkpoint);
        ThreadPool one(1), three(3);
        const LayerExpertWeights layer = readLayerWeights(weights, LayerIndex(0), one, {});
        const LayerExpertWeights again = readLayerWeights(weights, LayerIndex(0), three, {});
        for (const ExpertMatrix matrix : kExpertMatrices) {
            const auto m = static_cast<std::size_t>(matrix);
            EXPECT_EQ(layer.whole[m].values, again.whole[m].values) << "depends on the number of threads";
            EXPECT_EQ(layer.averaged[m].values, again.averaged[m].values);
            std::vector<std::vector<float>> neurons;
            for (std::size_t e = 0; e < 3; ++e)
                neurons.push_back(weights.neurons(LayerIndex(0), e, matrix));
            double ab = 0, aa = 0, bb = 0, meanAb = 0, meanAa = 0, meanBb = 0;
            for (std::size_t h = 0; h < 250; ++h) {
                double sumA = 0, sumB = 0;
                for (std::size_t n = 0; n < 311; ++n) {
                    const double a = neurons[0][n * 250 + h], b = neurons[2][n * 250 + h];
                    ab += a * b;
                    aa += a * a;
                    bb += b * b;
                    sumA += a;
                    sumB += b;
                }
                meanAb += sumA * sumB;
                meanAa += sumA * sumA;
                meanBb += sumB * sumB;
            }
            EXPECT_NEAR(layer.whole[m].at(0, 2), ab / std::sqrt(aa * bb), 1e-6);
            EXPECT_NEAR(layer.averaged[m].at(0, 2), meanAb / std::sqrt(meanAa * meanBb), 1e-5);
            EXPECT_NEAR(layer.norms[m][0], std::sqrt(aa), 1e-5 * std::sqrt(aa));
        }
    }
}

TEST(WeightAnalyses, KeepAnExpertWithValuesThatAreNoNumbersOutOfTheOthers) {
    const TinyQwen3Moe options{.layers = 2};
    const TinyModel sound(options);
    const TinyModel broken(options, [](RawTensor& tensor) {
        if (tensor.name == "model.layers.0.mlp.experts.2.up_proj.weight")
            setFirst(tensor, std::numeric_limits<float>::quiet_NaN());
    });
    const AnalysisTable want = analyse("weight-similarity", sound.open());
    const AnalysisTable got = analyse("weight-similarity", broken.open());
    ASSERT_EQ(got.rows.size(), want.rows.size());
    for (std::size_t row = 0; row < got.rows.size(); ++row) {
        const bool touched =
            got.rows[row][0] == AnalysisCell{std::int64_t{0}} &&
            (got.rows[row][1] == AnalysisCell{std::int64_t{2}} || got.rows[row][2] == AnalysisCell{std::int64_t{2}});
        if (touched)
            EXPECT_TRUE(std::isnan(real(got, row, 3))) << row;
        else
            EXPECT_DOUBLE_EQ(real(got, row, 3), real(want, row, 3)) << row;
        EXPECT_DOUBLE_EQ(real(got, row, 4), real(want, row, 4)) << "gate is sound, row " << row;
    }
    const AnalysisTable diversity = analyse("layer-diversity", broken.open());
    EXPECT_THAT(diversity.counted, HasSubstr("Left out: 10 pairs"));  // 5 of whole matrices, 5 of mean neurons
    EXPECT_EQ(diversity.rows[0][2], AnalysisCell{std::int64_t{10}}) << "the pairs of the 5 other experts";
    EXPECT_TRUE(std::isfinite(real(diversity, 0, 3)));
    for (const std::string& name : weightAnalyses())
        EXPECT_FALSE(analyse(name, broken.open()).counted.empty()) << name;
}

TEST(WeightAnalyses, AnswerForOneExpertOneLayerAndWeightsOfZero) {
    const TinyModel single({.layers = 1, .experts = 1, .topK = 1});
    const TinyModel zeros({.layers = 1}, [](RawTensor& tensor) {
        if (tensor.name.find(".mlp.") != std::string::npos) std::ranges::fill(tensor.data, '\0');
    });
    for (const std::string& name : weightAnalyses()) {
        for (const TinyModel* model : {&single, &zeros}) {
            const AnalysisTable table = analyse(name, model->open());
            EXPECT_FALSE(table.counted.empty()) << name;
            for (const auto& row : table.rows)
                EXPECT_EQ(row.size(), table.columns.size()) << name;
        }
    }
    EXPECT_THAT(analyse("weight-similarity", single.open()).counted, HasSubstr("a pair needs two experts"));
    EXPECT_TRUE(analyse("weight-similarity", single.open()).rows.empty());
    EXPECT_GT(real(analyse("weight-norms", single.open()), 0, 3), 0);
    EXPECT_TRUE(std::isnan(real(analyse("weight-similarity", zeros.open()), 0, 3))) << "zeros have no direction";
    EXPECT_EQ(real(analyse("weight-norms", zeros.open()), 0, 3), 0);
}

TEST(WeightAnalyses, TellProgressInOrderAndEndWhereItThrows) {
    const TinyModel model({.layers = 3});
    const Checkpoint checkpoint = model.open();
    for (const std::string& name : weightAnalyses()) {
        AnalysisInput input;
        input.checkpoint = &checkpoint;
        double last = 0;
        input.progress = [&](double done) {
            EXPECT_GE(done, last) << name;
            EXPECT_LE(done, 1) << name;
            last = done;
        };
        runAnalysis(analysisInfo(analysisCatalogue(), name), name, input);
        EXPECT_EQ(last, 1) << name;
        input.progress = [](double done) {
            if (done > 0.3) throw FailedError("Stopped.");
        };
        EXPECT_THROW(runAnalysis(analysisInfo(analysisCatalogue(), name), name, input), FailedError) << name;
    }
}

TEST(WeightAnalyses, MatchThePairsAndAsManyNeuronsAsAreAskedFor) {
    const Checkpoint checkpoint = Checkpoint::open(analysisFolder("weights/checkpoint"));
    const AnalysisTable all = analyse("neuron-matching:pairs=100:layer=0", checkpoint);
    const AnalysisTable one = analyse("neuron-matching:layer=0:a=5:b=1", checkpoint);
    ASSERT_EQ(one.rows.size(), 3U + 3U) << "a pair, and its means";
    EXPECT_EQ(one.rows[0][2], AnalysisCell{std::int64_t{1}});
    EXPECT_EQ(one.rows[0][3], AnalysisCell{std::int64_t{5}});
    const auto same = std::ranges::find_if(all.rows, [&](const auto& row) {
        return row[1] == one.rows[0][1] && row[2] == one.rows[0][2] && row[3] == one.rows[0][3];
    });
    ASSERT_NE(same, all.rows.end());
    EXPECT_EQ(*same, one.rows[0]);
    EXPECT_EQ(analyse("neuron-matching:layer=0:a=5", checkpoint).rows.size(), 3U * 8U + 3U);
    EXPECT_EQ(analyse("neuron-matching:layer=0:pairs=7", checkpoint).rows.size(), 3U * 7U + 3U);
    const AnalysisTable few = analyse("neuron-matching:layer=0:neurons=5", checkpoint);
    EXPECT_EQ(few.rows[0][4], AnalysisCell{std::int64_t{5}});
    EXPECT_THAT(few.counted, HasSubstr("28 pairs of each layer and 5 of 12 neurons"));
}

TEST(WeightAnalyses, ReadALayerOnceForSeveralAnalyses) {
    const TinyModel model({.layers = 2});
    const Checkpoint checkpoint = model.open();
    WeightStudy study(checkpoint);
    const LayerExpertWeights* const first = &study.layer(LayerIndex(1), {});
    analyse("weight-similarity", checkpoint, &study);
    EXPECT_EQ(&study.layer(LayerIndex(1), [](double) { ADD_FAILURE() << "read again"; }), first);
}

TEST(WeightAnalyses, RefuseADenseModelThatDoesNotFit) {
    const TinyModel model({.layers = 1}), other({.layers = 1});
    const Checkpoint checkpoint = model.open();
    const SafetensorsSource noFfn(other.folder.path());
    EXPECT_THROW(WeightStudy(checkpoint, &noFfn), BadInputError);
    const TemporaryFolder wide;
    std::vector<RawTensor> tensors;
    for (const char* matrix : {"up", "gate", "down"})
        tensors.push_back(floatTensor("model.layers.0.mlp." + std::string(matrix) + "_proj.weight", ElementType::F32,
                                      {48, 48}, std::vector<float>(48 * 48, 1.0F)));
    writeTensors(wide.path(), tensors);
    EXPECT_THROW(WeightStudy(checkpoint, std::make_unique<SafetensorsSource>(wide.path()).get()), BadInputError);
}

TEST(WeightAnalyses, RefuseParametersThatCannotBe) {
    const TinyModel model({.layers = 2});
    const Checkpoint checkpoint = model.open();
    EXPECT_THROW(analyse("weight-similarity:layer=2", checkpoint), UsageError);
    EXPECT_THROW(analyse("weight-similarity:every=0", checkpoint), UsageError);
    EXPECT_THROW(analyse("weight-similarity:phase=decode", checkpoint), UsageError);
    EXPECT_EQ(analyse("weight-similarity:layer=1", checkpoint).rows.size(), 15U);
    const AnalysisInput input;
    EXPECT_THROW(runAnalysis(analysisInfo(analysisCatalogue(), "weight-norms"), "weight-norms", input), UsageError);
}

}  // namespace
}  // namespace expertscope
