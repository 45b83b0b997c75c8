// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/compare/matched_timeline.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "two_runs.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

std::shared_ptr<const MatchedLanes> lanesOf(const RunTrace& trace, int request) {
    return std::make_shared<const MatchedLanes>(trace, RequestIndex(request));
}

/// First and last token of a request's decoding.
std::pair<Nanoseconds, Nanoseconds> decodingOf(const RunTrace& trace, int request) {
    std::pair<Nanoseconds, Nanoseconds> found{};
    for (const TokenRecord& token : trace.tokens()) {
        if (token.request != RequestIndex(request) || token.phase != Phase::Decode) continue;
        if (found.first.count() == 0) found.first = token.time;
        found.second = token.time;
    }
    return found;
}

TEST(MatchedTimeline, PutsBothRunsAtTheirRequestsFirstToken) {
    TwoRuns two;
    MatchedTimeline matched;
    matched.set(lanesOf(*two.traces[0], 1), lanesOf(*two.traces[1], 1));
    const auto [first, last] = decodingOf(*two.traces[1], 1);
    EXPECT_NEAR(matched.length(1), static_cast<double>((last - first).count()) * 1e-6, 1e-9);
    EXPECT_EQ(matched.length(), std::max(matched.length(0), matched.length(1)));

    const DrawList list =
        matched.draw({.range = QRectF(0, 0, matched.length(), 7), .pixels = QSize(400, 140)}, Theme::light());
    EXPECT_EQ(list.lines.size(), 2U);
    EXPECT_NEAR(list.lines[1].from.x(), matched.length(1), 1e-9);
    ASSERT_FALSE(list.rects.empty());
    for (const DrawRect& rect : list.rects) {
        EXPECT_GE(rect.rect.top(), 0);
        EXPECT_LE(rect.rect.bottom(), 7);
        EXPECT_LE(rect.rect.height(), 1);
    }
}

TEST(MatchedLanes, AreAsBusyAsTheSpansOfTheStretchAreLong) {
    TwoRuns two;
    const RunTrace& trace = *two.traces[0];
    const auto lanes = lanesOf(trace, 2);
    const auto [first, last] = decodingOf(trace, 2);
    const double length = lanes->length();
    for (const auto& [from, to] : {std::pair{0.0, 1.0}, std::pair{0.25, 0.26}, std::pair{0.4, 0.9}}) {
        // Waits are of one thread and do not overlap, so that their lengths add up.
        const Nanoseconds start = first + Nanoseconds(std::llround(from * length * 1e6));
        const Nanoseconds end = first + Nanoseconds(std::llround(to * length * 1e6));
        Nanoseconds waited{};
        for (const SpanRecord& span : trace.spans()) {
            if (span.kind != SpanKind::Wait) continue;
            const Nanoseconds both = std::min(span.end, end) - std::max(span.start, start);
            if (both.count() > 0) waited += both;
        }
        const double share = static_cast<double>(waited.count()) / static_cast<double>((end - start).count());
        EXPECT_NEAR(lanes->busy(1, from * length, to * length), share, 2.0 / MatchedLanes::kSteps / (to - from))
            << from << " to " << to;
    }
    EXPECT_EQ(lanes->busy(1, length, 2 * length), 0) << "after the end";
    EXPECT_LE(lanes->busy(0, 0, length), 1) << "workers at the same time count once";
    EXPECT_GT(last.count(), first.count());
}

TEST(MatchedLanes, TellHowFarTheyAreAndStopWhenToldTo) {
    TwoRuns two;
    std::vector<double> shares;
    const MatchedLanes lanes(*two.traces[0], RequestIndex(0), [&](double share) { shares.push_back(share); });
    EXPECT_FALSE(shares.empty());
    struct Stop {};
    EXPECT_THROW(MatchedLanes(*two.traces[0], RequestIndex(0), [](double) { throw Stop(); }), Stop);
}

TEST(MatchedTimeline, IsEmptyWithoutRuns) {
    TwoRuns two;
    MatchedTimeline matched;
    const Viewport viewport{.range = QRectF(0, 0, 1, 7), .pixels = QSize(100, 70)};
    EXPECT_EQ(matched.length(), 0);
    EXPECT_TRUE(matched.draw(viewport, Theme::light()).rects.empty());
    matched.set(lanesOf(*two.traces[0], 99), nullptr);
    EXPECT_EQ(matched.length(), 0) << "no run has such a request";
    EXPECT_TRUE(matched.draw(viewport, Theme::light()).lines.empty());
}

}  // namespace
}  // namespace expertscope
