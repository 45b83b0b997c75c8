// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "profiler/analysis/run_trace.h"
#include "storage/session_reader.h"
#include "views/timeline/timeline_rows.h"

namespace expertscope {

/// A stretch of time, nanoseconds since the run's start.
struct TimeStretch {
    std::int64_t from = 0, to = 0;
    bool operator==(const TimeStretch&) const = default;
    bool covers(const TimeStretch& other) const { return from <= other.from && to >= other.to; }
};

/// What was read of a run to show a stretch of it.
struct TimelinePart {
    TimeStretch extent;               ///< of the run: from its first span to the end of its last
    TimeStretch stretch;              ///< of which it tells everything
    double perPixel = 0;              ///< nanoseconds: sums are as fine as this
    bool detailed = false;            ///< has the spans themselves, so that nothing is finer
    std::unique_ptr<RunTrace> trace;  ///< of the records that were read; before the rows, which refer to it
    std::unique_ptr<TimelineRows> rows;
    /// Whether it shows this stretch at this scale as well as the file can.
    bool suits(TimeStretch visible, double nanosecondsPerPixel) const;
};

/// Reads a long run stretch by stretch: the spans themselves where they are few enough, else what the session sums up
/// (storage/summaries.h). What it reads and keeps is bounded, whatever the length of the run. Used by one thread at a
/// time.
class TimelineParts {
public:
    /// Runs of fewer spans are taken in whole.
    static constexpr std::int64_t kMostWhole = 300'000;

    TimelineParts(std::filesystem::path session, const RunTrace& trace);
    /// The whole run, from sums.
    TimelinePart whole(int pixels);
    /// A stretch, with as much on either side, so that small moves need no reading. Throws Error.
    TimelinePart around(TimeStretch visible, int pixels);

private:
    const SessionReader& reader();
    TimelinePart sums(TimeStretch stretch, double perPixel);
    Nanoseconds absolute(std::int64_t time) const { return Nanoseconds(time) + m_entry.description.start; }

    std::filesystem::path m_session;
    RunEntry m_entry;
    std::vector<LaneInfo> m_lanes;
    std::vector<RangeName> m_names;
    std::optional<SessionReader> m_reader;  ///< of the thread that reads
    TimeStretch m_extent;
    TimelinePart m_outline;  ///< has a row of every kind that the run has
};

}  // namespace expertscope
