// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "profiler/interchange/import_pulse.h"

namespace expertscope {

/// Collects another tool's timeline and writes it as one imported run: what has a name becomes ranges under that name,
/// what was a span of ours becomes that span again. Events may come in any order; 72 bytes each are held.
///
/// Events of a thread that overlap go to further lanes, as a lane holds what does not: plain equivalent: in order of
/// start, the first lane of the thread whose last event has ended. O(n log n).
class TimelineBuilder {
public:
    /// `options` must outlive it; its progress is told.
    explicit TimelineBuilder(const ImportOptions& options)
        : m_options(&options), m_pulse(options, ImportProgress::Stage::Reading) {}

    /// A thread, stream or process of the other tool; the same words give the same number.
    std::int32_t track(const std::string& process, const std::string& thread, LaneRole role = LaneRole::Thread);
    void nameProcess(const std::string& process, const std::string& name) { m_processNames[process] = name; }
    void nameTrack(std::int32_t track, const std::string& name) { m_tracks[index(track)].name = name; }
    /// Makes the track a lane of ours, whose events are not spread.
    void keepLane(std::int32_t track, LaneId lane, LaneRole role, const std::string& name);

    RangeNameId name(const std::string& domain, const std::string& category, const std::string& text,
                     std::uint32_t color = 0);
    /// `span.lane` is a track.
    void add(const SpanRecord& span) {
        m_spans.push_back(span);
        m_pulse.beat();
    }
    std::size_t size() const { return m_spans.size(); }
    /// Moves every event added so far by `time`.
    void shift(Nanoseconds time);

    /// Writes the run; `start` is that of its description. Throws FailedError when the session cannot be written.
    ImportedRun write(const std::filesystem::path& session, RunDescription run, std::vector<std::string> notes);

private:
    struct Track {
        std::string process, thread, name;
        LaneRole role = LaneRole::Thread;
        bool kept = false;
        LaneId lane{-1};                ///< of a kept track
        std::vector<LaneId> lanes;      ///< of a spread one, by level
        std::vector<Nanoseconds> ends;  ///< [level] of the last event
    };
    static std::size_t index(std::int32_t track) { return static_cast<std::size_t>(track); }
    void spread(std::vector<LaneInfo>& lanes);
    std::string laneName(const Track& track, std::size_t level) const;

    const ImportOptions* m_options;
    ImportPulse m_pulse;
    std::map<std::pair<std::string, std::string>, std::int32_t> m_trackOf;
    std::vector<Track> m_tracks;
    std::map<std::string, std::string> m_processNames;
    std::unordered_map<std::string, RangeNameId> m_nameOf;
    std::vector<RangeName> m_names;
    std::vector<SpanRecord> m_spans;
};

}  // namespace expertscope
