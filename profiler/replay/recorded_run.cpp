// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/recorded_run.h"

#include <fmt/format.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

/// Chunks that are decoded at once: what a chunk's records need in memory is many times what the trace keeps of them.
constexpr int kChunksAtOnce = 16;

}  // namespace

RecordedRun readRecordedRun(const SessionReader& reader, RunId run) {
    RecordedRun recorded;
    recorded.entry = reader.run(run);
    RoutingTraceBuilder builder(recorded.entry.description.model, reader.requests(run));
    ComputeTimesBuilder times;
    for (const LaneInfo& lane : reader.lanes(run))
        if (lane.role == LaneRole::NearMemory) times.setNearLane(lane.lane);
    ReadCursor cursor;
    std::int64_t selections = 0;
    for (RecordBatch batch = reader.readNew(run, cursor, kChunksAtOnce); !batch.empty();
         batch = reader.readNew(run, cursor, kChunksAtOnce)) {
        selections += static_cast<std::int64_t>(batch.selections.size());
        builder.add(std::span<const SelectionRecord>(batch.selections));
        builder.add(std::span<const PredictionRecord>(batch.predictions));
        times.add(batch.spans);
        times.add(batch.transfers);
        // A live run's experts all have one size, so that a smaller one is a low-precision copy.
        for (const TransferRecord& transfer : batch.transfers)
            if (transfer.bytes < recorded.entry.description.model.expertBytes) recorded.lowExpertBytes = transfer.bytes;
    }
    if (selections == 0)
        throw BadInputError(
            fmt::format("Run {} of {} holds no selections: record it with routing, or import another trace.",
                        run.value(), reader.file().string()));
    recorded.trace = builder.finish();
    recorded.times = times.finish(recorded.trace, recorded.entry.description);
    return recorded;
}

}  // namespace expertscope
