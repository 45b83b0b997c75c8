// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Records as a decoding run makes them, for the benchmarks of the session file and of opening it; the same every time.

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "engine/base/records.h"

namespace expertscope {

/// Spans of a run that decodes: on each of three lanes one after another, of eight layers in turn.
class BenchSpans {
public:
    static constexpr int kAStep = 300;
    std::vector<SpanRecord> next(std::size_t count) {
        constexpr SpanKind kKinds[] = {SpanKind::ExpertCompute, SpanKind::Wait, SpanKind::Attention, SpanKind::Router,
                                       SpanKind::TransferDemand};
        std::vector<SpanRecord> records(count);
        for (SpanRecord& record : records) {
            const std::int32_t n = m_number++;
            record.kind = kKinds[n % 5];
            record.lane = LaneId(record.kind == SpanKind::TransferDemand ? 100 : 0);
            record.start = Nanoseconds(m_time += 500 + static_cast<std::int64_t>(m_random() % 4000));
            record.end = record.start + Nanoseconds(200 + static_cast<std::int64_t>(m_random() % 12'000));
            record.amount = record.kind == SpanKind::TransferDemand ? 110'592 : 1;
            record.step = StepIndex(n / kAStep);
            record.layer = LayerIndex(n % kAStep * 8 / kAStep);
            record.expert = ExpertId(static_cast<std::int32_t>(m_random() % 32));
        }
        return records;
    }

private:
    std::mt19937 m_random{1};
    std::int64_t m_time = 1'000'000'000'000;
    std::int32_t m_number = 0;
};

/// Four experts of 32 in each of eight layers, with the weights of a softmax.
class BenchSelections {
public:
    static constexpr int kAToken = 32;
    std::vector<SelectionRecord> next(std::size_t count) {
        std::uniform_real_distribution<float> real(0.05F, 0.6F);
        std::vector<SelectionRecord> records(count);
        for (SelectionRecord& record : records) {
            const std::int32_t n = m_number++;
            record.step = StepIndex(n / kAToken);
            record.token = TokenIndex(n / kAToken);
            record.layer = LayerIndex(n / 4 % 8);
            record.slot = n % 4;
            record.expert = ExpertId(static_cast<std::int32_t>(m_random() % 32));
            record.weight = real(m_random);
            record.norm = real(m_random) * 90;
            record.outcome = static_cast<Outcome>(m_random() % 3);
            record.firstUse = true;
        }
        return records;
    }

private:
    std::mt19937 m_random{2};
    std::int32_t m_number = 0;
};

}  // namespace expertscope
