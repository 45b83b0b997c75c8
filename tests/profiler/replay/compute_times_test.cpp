// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/compute_times.h"

#include <gtest/gtest.h>

#include "tests/profiler/replay/replay_fixture.h"

namespace expertscope {
namespace {

constexpr std::int64_t kGroup = 1'000'000;  // ns from one layer to the next
constexpr std::int64_t kWake = 7'000;

/// What is measured in a run whose layers each miss two experts of 100,000 bytes, asked for at once: the first arrives
/// `first` ns after that, the second `second` ns later, and the compute thread goes on kWake after each.
ComputeTimes measured(const std::string& link, std::int64_t first, std::int64_t second) {
    MadeUpTrace made;
    made.sizes = {100'000};
    const RoutingTrace trace = made.build();
    ComputeTimesBuilder builder;
    std::vector<SpanRecord> spans;
    std::vector<TransferRecord> transfers;
    const auto span = [&](SpanKind kind, const RoutingTrace::Group& group, std::int64_t start, std::int64_t end) {
        spans.push_back({.start = Nanoseconds(start),
                         .end = Nanoseconds(end),
                         .step = trace.steps()[static_cast<std::size_t>(group.step)].index,
                         .layer = kind == SpanKind::Step ? LayerIndex(-1) : group.layer,
                         .lane = LaneId(0),
                         .kind = kind});
    };
    for (std::size_t g = 0; g < trace.groups().size(); ++g) {
        const RoutingTrace::Group& group = trace.groups()[g];
        const std::int64_t begin = static_cast<std::int64_t>(g + 1) * kGroup;
        if (trace.steps()[static_cast<std::size_t>(group.step)].firstGroup == g)
            span(SpanKind::Step, group, begin, begin + kGroup * trace.layers());
        span(SpanKind::Layer, group, begin, begin + kGroup - 1);
        span(SpanKind::Experts, group, begin, begin + kGroup - 1);
        span(SpanKind::Wait, group, begin, begin + first + kWake);
        span(SpanKind::Wait, group, begin + first + kWake + 1, begin + first + second + kWake);
        for (const std::int64_t finished : {begin + first, begin + first + second})
            transfers.push_back({.expert = {group.layer, ExpertId(0)},
                                 .slot = SlotIndex(0),
                                 .bytes = Bytes(100'000),
                                 .moved = Bytes(100'000),
                                 .issued = Nanoseconds(begin),
                                 .started = Nanoseconds(finished == begin + first ? begin : begin + first),
                                 .finished = Nanoseconds(finished),
                                 .issuedStep = StepIndex(0),
                                 .issuedLayer = group.layer});
    }
    builder.add(spans);
    builder.add(transfers);
    RunDescription run;
    run.link = link;
    return builder.finish(trace, run).value();
}

TEST(ComputeTimes, TellADisksStartFromWhatEachTransferNeeds) {
    const ComputeTimes times = measured("", 120'000, 90'000);
    EXPECT_EQ(times.transfer, 90'000);
    EXPECT_EQ(times.linkStart, 30'000);
    EXPECT_EQ(times.wake, kWake);
    EXPECT_EQ(times.linkHold, 0);
}

TEST(ComputeTimes, CountWhatAPacedLinkNeedsMoreOnce) {
    // 100 µs for the bytes and 10 µs latency are the link's own; 15 µs more hold it each time.
    const ComputeTimes times = measured("1GB/s@10us", 125'000, 125'000);
    EXPECT_EQ(times.linkHold, 15'000);
    EXPECT_EQ(times.wake, kWake);
    EXPECT_EQ(times.linkStart, 0);
    // A first one that is later than that is the thread's waking up, once a wait.
    EXPECT_EQ(measured("1GB/s@10us", 145'000, 125'000).wake, kWake + 10'000);
}

}  // namespace
}  // namespace expertscope
