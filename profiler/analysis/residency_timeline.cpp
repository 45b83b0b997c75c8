// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/residency_timeline.h"

#include <algorithm>
#include <numeric>

namespace expertscope {

namespace {

/// The first step in which the subject's layer looks up after the change was made.
StepIndex firstLookupAfter(const ResidencyRecord& record) {
    if (record.step.value() < 0) return StepIndex{0};
    const bool seenThisStep = record.layer < record.subject.layer;
    return StepIndex{record.step.value() + (seenThisStep ? 0 : 1)};
}

}  // namespace

ResidencyTimeline::ResidencyTimeline(std::int32_t layers, std::int32_t experts)
    : m_layers(layers),
      m_experts(experts),
      m_intervals(static_cast<std::size_t>(layers) * static_cast<std::size_t>(experts)) {}

bool ResidencyTimeline::update(const TraceView& trace) {
    const std::size_t before = m_residencyRead;
    for (; m_residencyRead < trace.residency.size(); ++m_residencyRead)
        apply(trace.residency[m_residencyRead]);
    return m_residencyRead != before;
}

void ResidencyTimeline::apply(const ResidencyRecord& record) {
    const ExpertRef subject = record.subject;
    if (subject.layer.value() < 0 || subject.layer.value() >= m_layers || subject.expert.value() < 0 ||
        subject.expert.value() >= m_experts)
        return;
    std::vector<ResidencyInterval>& intervals = m_intervals[cell(subject.layer, subject.expert)];
    const bool open = !intervals.empty() && intervals.back().to == ResidencyInterval::kOpen;
    const StepIndex step = firstLookupAfter(record);
    if (record.change == ResidencyChange::Admit) {
        if (open) return;
        ResidencyInterval interval;
        interval.from = step;
        interval.fromTime = record.time;
        interval.reason = record.reason;
        intervals.push_back(interval);
    } else if (open) {
        if (intervals.back().from >= step) {
            intervals.pop_back();
        } else {
            intervals.back().to = step;
            intervals.back().toTime = record.time;
        }
    }
}

const std::vector<ResidencyInterval>& ResidencyTimeline::intervals(LayerIndex layer, ExpertId expert) const {
    return m_intervals[cell(layer, expert)];
}

bool ResidencyTimeline::residentIn(LayerIndex layer, ExpertId expert, StepIndex step) const {
    const std::vector<ResidencyInterval>& all = m_intervals[cell(layer, expert)];
    const auto after = std::ranges::upper_bound(all, step, {}, &ResidencyInterval::from);
    return after != all.begin() && step < std::prev(after)->to;
}

std::int32_t ResidencyTimeline::residentCount(LayerIndex layer, StepIndex step) const {
    std::int32_t count = 0;
    for (std::int32_t expert = 0; expert < m_experts; ++expert)
        count += residentIn(layer, ExpertId{expert}, step);
    return count;
}

std::vector<std::int32_t> ResidencyTimeline::residentCounts(LayerIndex layer, std::int32_t steps) const {
    // Where one comes and where one goes, summed up along the steps.
    std::vector<std::int32_t> counts(static_cast<std::size_t>(steps) + 1);
    for (std::int32_t expert = 0; expert < m_experts; ++expert) {
        for (const ResidencyInterval& interval : intervals(layer, ExpertId{expert})) {
            ++counts[static_cast<std::size_t>(std::clamp(interval.from.value(), 0, steps))];
            --counts[static_cast<std::size_t>(std::clamp(interval.to.value(), 0, steps))];
        }
    }
    std::partial_sum(counts.begin(), counts.end(), counts.begin());
    counts.pop_back();
    return counts;
}

}  // namespace expertscope
