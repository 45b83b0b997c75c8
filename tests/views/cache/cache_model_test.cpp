// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/cache/cache_model.h"

#include <cmath>
#include <map>

#include <gtest/gtest.h>

#include "cache_fixture.h"
#include "profiler/analysis/kept_tables.h"
#include "profiler/replay/replay.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

const Viewport kViewport{QRectF(0, 0, 101, 102), QSize(700, 300)};

/// A simulated run of 8 layers × 32 experts, top-4, three requests.
struct Simulated {
    Simulated() : session(ScratchSession::Empty{}) {
        writeSimulatedRun(session.writer(), {.policy = "on-demand", .prefetch = false});
        model.setRun(readCacheRun(session.file()));
        model.setReuse(countReuse(*model.run()));
    }
    ScratchSession session;
    CacheModel model;
};

/// One layer of four experts, top-1, one request: token t of a step of its own chooses experts[t].
struct Choices {
    explicit Choices(const std::vector<int>& experts, int firstOfSecondRequest = 1 << 20)
        : session(ScratchSession::Empty{}) {
        RunDescription run = ScratchSession::description();
        run.model.layers = 1;
        run.model.experts = 4;
        run.model.topK = 1;
        run.model.expertBytes = Bytes(100);
        run.model.totalExpertBytes = Bytes(400);
        run.budget = Bytes(200);
        session.writer().beginRun(run);
        for (int request = 0; request < 2; ++request) {
            RequestRecord record;
            record.request = RequestIndex(request);
            record.promptTokens = 1;
            record.firstToken = TokenIndex(request == 0 ? 0 : firstOfSecondRequest);
            if (request == 0 || firstOfSecondRequest < static_cast<int>(experts.size()))
                session.writer().append(record);
        }
        std::vector<SelectionRecord> selections;
        std::vector<TokenRecord> tokens;
        for (int t = 0; t < static_cast<int>(experts.size()); ++t) {
            const int request = t < firstOfSecondRequest ? 0 : 1;
            const bool prompt = t == 0 || t == firstOfSecondRequest;
            tokens.push_back(
                ScratchSession::token(t, t, prompt ? Phase::Prefill : Phase::Decode, t * 1000, "a", request));
            SelectionRecord selection;
            selection.step = StepIndex(t);
            selection.token = TokenIndex(t);
            selection.layer = LayerIndex(0);
            selection.slot = 0;
            selection.expert = ExpertId(experts[static_cast<std::size_t>(t)]);
            selection.weight = 1;
            selections.push_back(selection);
        }
        session.add(tokens);
        session.add(selections);
        session.writer().endRun({}, RunState::Complete);
        model.setRun(readCacheRun(session.file()));
        model.setReuse(countReuse(*model.run()));
    }
    ScratchSession session;
    CacheModel model;
};

TEST(CacheModel, BinsReuseDistancesBesideTheGeometricOnesOfChance) {
    // Expert 0 after 1 and 3 tokens, 1 after 4: bins 1, 2–3 and 4–7.
    const Choices c({0, 0, 1, 2, 0, 3, 1});
    ASSERT_EQ(c.model.bins().size(), 3U);
    for (const ReuseBin& bin : c.model.bins())
        EXPECT_EQ(bin.count, 1);
    EXPECT_EQ(CacheModel::binText(c.model.bins()[1]), "2–3");
    const DrawList list = c.model.reuseChart(kViewport, Theme::light());
    ASSERT_EQ(list.rects.size(), 3U);
    ASSERT_EQ(list.lines.size(), 3U);
    // p = 1/4: P(1) = 0.25, P(2…3) = 0.75² … by hand.
    const double chance[] = {25, 100 * (0.75 - 0.75 * 0.75 * 0.75), 100 * (std::pow(0.75, 3) - std::pow(0.75, 7))};
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_NEAR(list.rects[i].rect.height(), 100.0 / 3, 1e-9);
        EXPECT_TRUE(list.lines[i].dashed);
        EXPECT_NEAR(list.lines[i].from.y(), chance[i], 1e-9);
    }
}

TEST(CacheModel, ComparesTokensOfOneRequestOnly) {
    const Choices c({0, 0, 1, 1, 1}, 2);
    // Lag 1: 0-0 in the first request, 1-1 twice in the second, never 0-1 across.
    ASSERT_FALSE(c.model.lags().empty());
    EXPECT_EQ(c.model.lags()[0], 1);
    EXPECT_EQ(c.model.overlapAt(0).pairs, 3);
    EXPECT_NEAR(c.model.overlapAt(0).overlap, 1, 1e-9);
    EXPECT_NEAR(c.model.overlapAt(0).random, 0.25, 1e-9);
}

TEST(CacheModel, TakesAllLayersTogetherByTheirPairs) {
    const Simulated s;
    for (std::size_t lag = 0; lag < s.model.lags().size(); ++lag) {
        double shared = 0;
        std::int64_t pairs = 0;
        CacheModel layers;
        layers.setRun(s.model.run());
        layers.setReuse(s.model.reuse());
        for (int layer = 0; layer < 8; ++layer) {
            layers.setLayer(LayerIndex(layer));
            const LayerOverlap row = layers.overlapAt(lag);
            if (row.pairs == 0) continue;
            pairs += row.pairs;
            shared += static_cast<double>(row.pairs) * row.overlap;
        }
        EXPECT_EQ(s.model.overlapAt(lag).pairs, pairs);
        if (pairs == 0) continue;
        EXPECT_NEAR(s.model.overlapAt(lag).overlap, shared / static_cast<double>(pairs), 1e-12);
    }
}

TEST(CacheModel, HitsAsMuchAsAReplayAtEveryBudget) {
    const Simulated s;
    const SessionReader reader(s.session.file().toStdString());
    const ReplayBench bench(readRecordedRun(reader, RunId(1)));
    std::map<double, double> hits;
    for (const CacheCurve::Point& point : s.model.run()->curve.points)
        hits[point.share] = point.hits;
    const Bytes all = s.model.run()->model().totalExpertBytes;
    for (const double share : {0.25, 0.5, 0.75}) {
        ReplayCase what{.policy = "on-demand",
                        .eviction = "lru",
                        .budget = Bytes(static_cast<std::int64_t>(share * static_cast<double>(all.count()))),
                        .link = {},
                        .timed = false};
        EXPECT_NEAR(hits.at(share), bench.replay(what, Settle::Layer).hitRate(), 1e-9) << share;
    }
}

TEST(CacheModel, DrawsTheCurveItsBaselinesTheCliffAndWhatWasMeasured) {
    const Simulated s;
    const DrawList list = s.model.hitChart(kViewport, Theme::light());
    bool cliff = false, budget = false;
    int random = 0;
    for (const DrawLine& line : list.lines) {
        cliff = cliff || (line.dashed && std::abs(line.from.x() - 100 * s.model.run()->curve.cliff) < 1e-9 &&
                          line.from.x() == line.to.x());
        budget = budget || (!line.dashed && std::abs(line.from.x() - 37.5) < 1e-9 && line.from.x() == line.to.x());
        random += line.dashed && line.color == Theme::light().text() ? 1 : 0;
    }
    EXPECT_TRUE(cliff);
    EXPECT_TRUE(budget);
    EXPECT_GT(random, 90);
    ASSERT_TRUE(s.model.measuredHits());
    EXPECT_TRUE(list.texts.back().text.startsWith("measured")) << list.texts.back().text.toStdString();
    // Chance hits no more than what is resident, on the whole.
    for (const CacheCurve::Baseline& baseline : s.model.run()->curve.baselines)
        EXPECT_LE(baseline.uniform, baseline.share + 0.02);
}

TEST(CacheModel, KeepsWhatItCountedInTheSession) {
    const Simulated s;
    const std::string subject = subjectOf(RunId(1));
    for (const char* text : {"overlap", "reuse-histogram", "reuse-histogram:layer=7", "lru-curve:points=100"}) {
        EXPECT_TRUE(keptTable(s.session.file().toStdString(), subject, analysisInfo(analysisCatalogue(), text), text))
            << text;
    }
    // What is kept gives the same as what was counted.
    const auto again = countReuse(*s.model.run());
    ASSERT_EQ(again->overlaps.size(), s.model.reuse()->overlaps.size());
    for (std::size_t i = 0; i < again->overlaps.size(); ++i) {
        EXPECT_EQ(again->overlaps[i].pairs, s.model.reuse()->overlaps[i].pairs);
        if (again->overlaps[i].pairs == 0) continue;
        EXPECT_DOUBLE_EQ(again->overlaps[i].overlap, s.model.reuse()->overlaps[i].overlap);
    }
}

TEST(CacheModel, CountsPromptsAndGeneratedTokensApart) {
    // Each request's first token is its prompt: 0-0 and 1-1 cross over, the last 1-1 does not.
    const Choices c({0, 0, 1, 1, 1}, 2);
    const auto pairs = [&](CountedTokens tokens) {
        const auto reuse = countReuse(*c.model.run(), tokens);
        EXPECT_EQ(reuse->tokens, tokens);
        return reuse->overlaps.front().pairs;
    };
    EXPECT_EQ(pairs(CountedTokens::All), 3);
    EXPECT_EQ(pairs(CountedTokens::Prompt), 0);
    EXPECT_EQ(pairs(CountedTokens::Generated), 1);
}

TEST(CacheModel, SaysWhatOneTokenCannotTell) {
    const Choices c({2});
    EXPECT_EQ(c.model.reuseMissing(), "No expert was chosen twice");
    EXPECT_EQ(c.model.overlapMissing(), "No two tokens of one request to compare");
    EXPECT_FALSE(c.model.residency().missing().isEmpty());
    EXPECT_TRUE(c.model.hitMissing().contains("first of its expert"));
    for (const CacheCurve::Point& point : c.model.run()->curve.points)
        EXPECT_EQ(point.hits, 0);
}

TEST(CacheModel, CountsExpertsWhereTheirSizesAreNotKnown) {
    ScratchSession session{ScratchSession::Empty{}};
    RunDescription run = ScratchSession::description();
    run.model.layers = 1;
    run.model.experts = 4;
    run.model.topK = 1;
    run.model.expertBytes = run.model.totalExpertBytes = Bytes(0);
    session.writer().beginRun(run);
    std::vector<SelectionRecord> selections;
    for (int t = 0; t < 8; ++t) {
        SelectionRecord selection;
        selection.step = StepIndex(t);
        selection.token = TokenIndex(t);
        selection.layer = LayerIndex(0);
        selection.slot = 0;
        selection.expert = ExpertId(t % 2);
        selections.push_back(selection);
    }
    session.add(selections);
    session.writer().endRun({}, RunState::Complete);
    CacheModel model;
    model.setRun(readCacheRun(session.file()));
    EXPECT_FALSE(model.run()->curve.inBytes);
    ASSERT_FALSE(model.run()->curve.points.empty());
    // Two of four experts hold both; six of eight accesses are not the first.
    EXPECT_NEAR(model.run()->curve.points.back().hits, 0.75, 1e-9);
    EXPECT_FALSE(model.ownBudget());
}

TEST(CacheModel, ItsTableHasEveryMarkOfItsPictures) {
    const Simulated s;
    const auto& curve = s.model.run()->curve.points;
    const std::size_t expected = s.model.bins().size() + s.model.reuse()->overlaps.size() + curve.size();
    ASSERT_EQ(s.model.rowCount(), static_cast<int>(expected));  // the simulated run recorded no residency
    for (int row = 0; row < s.model.rowCount(); ++row)
        ASSERT_EQ(static_cast<int>(s.model.row(row).size()), s.model.columns().size());
    EXPECT_EQ(s.model.row(s.model.rowCount() - 1)[3].exact.toDouble(), curve.back().hits);
}

}  // namespace
}  // namespace expertscope
