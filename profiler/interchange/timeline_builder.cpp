// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/timeline_builder.h"

#include <algorithm>
#include <set>
#include <span>
#include <tuple>

#include <fmt/format.h>

#include "storage/session_writer.h"

namespace expertscope {
namespace {

constexpr std::size_t kSpansPerCommit = 100'000;

}  // namespace

std::int32_t TimelineBuilder::track(const std::string& process, const std::string& thread, LaneRole role) {
    const auto [found, fresh] = m_trackOf.try_emplace({process, thread}, static_cast<std::int32_t>(m_tracks.size()));
    if (fresh) {
        Track& made = m_tracks.emplace_back();
        made.process = process;
        made.thread = thread;
        made.role = role;
    }
    return found->second;
}

void TimelineBuilder::keepLane(std::int32_t track, LaneId lane, LaneRole role, const std::string& name) {
    Track& kept = m_tracks[index(track)];
    kept.kept = true;
    kept.lane = lane;
    kept.role = role;
    kept.name = name;
}

RangeNameId TimelineBuilder::name(const std::string& domain, const std::string& category, const std::string& text,
                                  std::uint32_t color) {
    const std::string key =
        fmt::format("{}:{}{}:{}{}:{}", domain.size(), domain, category.size(), category, color, text);
    const auto [found, fresh] = m_nameOf.try_emplace(key, RangeNameId(static_cast<std::int32_t>(m_names.size())));
    if (fresh)
        m_names.push_back({.id = found->second, .domain = domain, .category = category, .text = text, .color = color});
    return found->second;
}

void TimelineBuilder::shift(Nanoseconds time) {
    for (SpanRecord& span : m_spans) {
        span.start += time;
        span.end += time;
    }
}

std::string TimelineBuilder::laneName(const Track& track, std::size_t level) const {
    const auto process = m_processNames.find(track.process);
    std::string name = process != m_processNames.end() ? process->second : track.process;
    const std::string& thread = track.name.empty() ? track.thread : track.name;
    if (!thread.empty()) name += (name.empty() ? "" : " / ") + thread;
    if (level > 0) name += fmt::format(" · {}", level + 1);
    return name;
}

/// Gives every span its lane; spans are in order of start.
void TimelineBuilder::spread(std::vector<LaneInfo>& lanes) {
    std::set<LaneId> taken;
    for (Track& track : m_tracks) {
        if (!track.kept) continue;
        // Two processes of one file may both have a lane 0.
        while (!taken.insert(track.lane).second)
            ++track.lane;
        lanes.push_back({track.lane, track.role, track.name});
    }
    // A track's levels lie together, tracks in the order in which they were first met.
    std::vector<std::int32_t> levels(m_spans.size(), 0);
    for (std::size_t i = 0; i < m_spans.size(); ++i) {
        Track& track = m_tracks[index(m_spans[i].lane.value())];
        if (track.kept) continue;
        std::size_t level = 0;
        while (level < track.ends.size() && track.ends[level] > m_spans[i].start)
            ++level;
        if (level == track.ends.size()) track.ends.emplace_back();
        track.ends[level] = m_spans[i].end;
        levels[i] = static_cast<std::int32_t>(level);
    }
    LaneId next(0);
    for (Track& track : m_tracks) {
        for (std::size_t level = 0; level < track.ends.size(); ++level) {
            while (taken.contains(next))
                ++next;
            taken.insert(next);
            track.lanes.push_back(next);
            lanes.push_back({next, track.role, laneName(track, level)});
        }
    }
    for (std::size_t i = 0; i < m_spans.size(); ++i) {
        const Track& track = m_tracks[index(m_spans[i].lane.value())];
        m_spans[i].lane = track.kept ? track.lane : track.lanes[index(levels[i])];
    }
}

ImportedRun TimelineBuilder::write(const std::filesystem::path& session, RunDescription run,
                                   std::vector<std::string> notes) {
    // An outer range comes before those inside it that begin with it.
    std::ranges::stable_sort(m_spans, {},
                             [](const SpanRecord& span) { return std::tuple(span.start.count(), -span.end.count()); });
    std::vector<LaneInfo> lanes;
    spread(lanes);
    ImportedRun result;
    result.rows = static_cast<std::int64_t>(m_spans.size());
    result.notes = std::move(notes);
    run.policy = "imported";
    run.record = {.routing = false, .spans = true, .norms = false, .predictions = false};
    ImportPulse written(*m_options, ImportProgress::Stage::Writing, result.rows);
    SessionWriter writer(session);
    result.run = writer.beginRun(run);
    result.model = run.model;
    for (const LaneInfo& lane : lanes)
        writer.append(lane);
    for (const RangeName& name : m_names)
        writer.append(name);
    for (std::size_t first = 0; first < m_spans.size(); first += kSpansPerCommit) {
        const std::size_t count = std::min(kSpansPerCommit, m_spans.size() - first);
        writer.append(std::span<const SpanRecord>(m_spans).subspan(first, count));
        writer.commit();
        written.beat(static_cast<std::int64_t>(count));
    }
    DiagnosticRecord note;
    note.name = "imported";
    for (const std::string& sentence : result.notes) {
        note.sentence = sentence;
        writer.append(note);
    }
    result.summary.spans = result.rows;
    Nanoseconds last = m_spans.empty() ? Nanoseconds{} : m_spans.front().start;
    for (const SpanRecord& span : m_spans)
        last = std::max(last, span.end);
    if (!m_spans.empty()) result.summary.totalMs = static_cast<double>((last - m_spans.front().start).count()) / 1e6;
    writer.endRun(result.summary, RunState::Complete);
    writer.close();
    return result;
}

}  // namespace expertscope
