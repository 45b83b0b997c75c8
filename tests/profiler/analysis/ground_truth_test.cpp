// SPDX-License-Identifier: GPL-3.0-or-later
// Figures that were published for, or computed from, a real routing trace of Qwen3-30B-A3B (shared data, not part of
// the tree).
#include <cstdlib>

#include <gtest/gtest.h>

#include "profiler/analysis/routing/balance.h"
#include "profiler/analysis/routing/layer_similarity.h"
#include "profiler/analysis/routing/overlap.h"
#include "profiler/interchange/route_trace_import.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

class RealTrace : public testing::Test {
protected:
    void SetUp() override {
        const char* data = std::getenv("EXPERTSCOPE_TEST_DATA");
        if (!data) GTEST_SKIP() << "EXPERTSCOPE_TEST_DATA does not name the folder with routes/";
        const auto file = std::filesystem::path(data) / "routes" / "qwen3-30b-a3b.route.csv";
        const ImportedRun imported = importRouteTrace(file, m_folder / "s.esdb");
        m_routing = readRunRouting(SessionReader(m_folder / "s.esdb"), imported.run);
    }

    TemporaryFolder m_folder;
    RunRouting m_routing;
};

TEST_F(RealTrace, HasThePublishedBalance) {
    EXPECT_EQ(m_routing.assignments(), 44'766);
    const std::vector<LayerBalance> layers = balanceOf(m_routing);
    double entropy = 0, maxVio = 0, cv = 0, gini = 0, used = 0, worst = 0;
    int worstLayer = 0;
    for (const LayerBalance& row : layers) {
        entropy += row.load.entropyBits / 48;
        maxVio += row.load.maxVio / 48;
        cv += row.load.cv / 48;
        gini += row.load.gini / 48;
        used += row.load.used / 48.0;
        if (row.load.maxVio > worst) {
            worst = row.load.maxVio;
            worstLayer = row.layer.value();
        }
    }
    EXPECT_NEAR(entropy, 5.4371, 5e-5);
    EXPECT_NEAR(entropy / 7, 0.7767, 5e-5);
    EXPECT_NEAR(maxVio, 10.8820, 5e-5);
    EXPECT_NEAR(worst, 18.5556, 5e-5);
    EXPECT_EQ(worstLayer, 45);
    EXPECT_NEAR(cv, 1.8198, 5e-5);
    EXPECT_NEAR(gini, 0.7299, 5e-5);
    EXPECT_NEAR(used, 77.77, 5e-3);
    EXPECT_NEAR(layers[0].load.entropyBits, 6.3843, 5e-5);
    EXPECT_NEAR(layers[0].load.maxVio, 4.1966, 5e-5);
    EXPECT_NEAR(layers[0].load.cv, 0.9195, 5e-5);
    EXPECT_NEAR(layers[0].load.gini, 0.4899, 5e-5);
    EXPECT_EQ(layers[0].load.used, 109);
    EXPECT_EQ(m_routing.layer(47).rows(), m_routing.layer(0).rows() - 27) << "the last layer routed one prompt token";
}

TEST_F(RealTrace, HasThePublishedOverlapsAndRepetition) {
    const RunRouting decode = m_routing.onlyPhase(Phase::Decode);
    const double published[] = {37.95, 28.93, 27.69, 26.68};  // at lags 1, 2, 4, 8
    for (int i = 0; i < 4; ++i) {
        double shared = 0, pairs = 0;
        for (const LayerOverlap& row : overlapsOf(decode, 8)) {
            if (row.lag != 1 << i) continue;
            shared += row.overlap * static_cast<double>(row.pairs);
            pairs += static_cast<double>(row.pairs);
        }
        EXPECT_NEAR(100 * shared / pairs, published[i], 0.005) << "lag " << (1 << i);
    }
    double repeats = 0, pairs = 0;
    for (const LayerRepetition& row : repetitionOf(m_routing)) {
        repeats += row.first * static_cast<double>(row.firstPairs);
        pairs += static_cast<double>(row.firstPairs);
    }
    EXPECT_NEAR(100 * repeats / pairs, 19.34, 0.005);
    EXPECT_EQ(loadsOf(decode)[45][1], 125) << "the hottest expert";
}

TEST_F(RealTrace, RoutesWithAPeriodOfTwelveLayers) {
    double sums[48] = {}, pairs[48] = {};
    for (const LayerSimilarity& row : layerSimilarities(m_routing)) {
        sums[row.other.value() - row.layer.value()] += row.cosine;
        pairs[row.other.value() - row.layer.value()] += 1;
    }
    for (int d = 1; d < 36; ++d) {
        const double mean = sums[d] / pairs[d];
        if (d == 12)
            EXPECT_NEAR(mean, 0.709, 5e-4);
        else if (d == 24)
            EXPECT_NEAR(mean, 0.584, 5e-4);
        else
            EXPECT_LT(mean, 0.305) << d;
    }
}

TEST(RandomBaselines, AreThoseOfMixtralsPaper) {
    EXPECT_NEAR(randomAnyOverlap(8, 2), 1 - 15.0 / 28.0, 1e-12);
    EXPECT_NEAR(randomAnyOverlap(8, 8), 1, 1e-12);
    EXPECT_NEAR(randomAnyOverlap(1, 1), 1, 1e-12);
    EXPECT_NEAR(randomAnyOverlap(5, 3), 1, 1e-12) << "more than half: always one in common";
}

}  // namespace
}  // namespace expertscope
