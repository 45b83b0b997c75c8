// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "engine/base/records.h"
#include "profiler/capture/loss_counter.h"
#include "profiler/capture/spsc_ring.h"

namespace expertscope {

/// A ring with the count of what did not fit.
template <class Record>
struct RecordLane {
    explicit RecordLane(std::size_t capacity) : ring(capacity) {}
    SpscRing<Record> ring;
    LossCounter lost;
};

/// What one engine thread records. Room for 140 ms at rates far above those of a real run: half a million spans and a
/// million selections a second. Where more comes, the writer is woken once half of it is taken.
struct ThreadRings {
    template <class Record>
    RecordLane<Record>& of() {
        return std::get<RecordLane<Record>>(lanes);
    }
    std::tuple<RecordLane<SpanRecord>, RecordLane<SelectionRecord>, RecordLane<PredictionRecord>,
               RecordLane<ResidencyRecord>, RecordLane<TransferRecord>>
        lanes{1 << 16, 1 << 17, 1 << 17, 1 << 15, 1 << 15};
};

/// The rings of every thread that has told something. A thread finds its own in a few nanoseconds; the first time it
/// takes a lock and gets new ones.
class RingRegistry {
public:
    RingRegistry();
    /// The calling thread's rings.
    ThreadRings& mine();
    /// Every thread's rings so far. The pointers stay valid as long as the registry.
    std::vector<ThreadRings*> all();

private:
    ThreadRings& find();

    const std::uint64_t m_id;  // never used again, unlike the address of a registry that is gone
    std::mutex m_mutex;
    std::unordered_map<std::thread::id, std::unique_ptr<ThreadRings>> m_rings;
};

}  // namespace expertscope
