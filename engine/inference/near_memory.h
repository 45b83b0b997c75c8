// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <condition_variable>
#include <exception>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "engine/base/events.h"
#include "engine/inference/expert_math.h"
#include "engine/offload/transfer_queue.h"

namespace expertscope {

/// The near-memory side: a thread that computes experts where they lie, beside the device, on a lane of its own. It
/// reads an expert's bytes from the checkpoint (through the page cache: the memory that holds the weights) and never
/// uses the link or a slot. Kernels and order of summation are the device's, so outputs have the same bits.
///
/// submit and wait are called from the compute thread.
class NearMemory {
public:
    static constexpr LaneId kLane{200};

    struct Task {
        ExpertRef expert;
        int access = 0;             ///< of the layer, for messages
        std::span<const int> uses;  ///< at most kTokenBlock; valid until wait() returns
        StepIndex step;
    };

    NearMemory(const Checkpoint& checkpoint, const Kernels& kernels, const RecordSet& record, Observer& observer);
    ~NearMemory();
    NearMemory(const NearMemory&) = delete;
    NearMemory& operator=(const NearMemory&) = delete;

    /// Queues a task over the rows of the layer that is being run.
    void submit(const Task& task, const ExpertRows& rows);
    /// Waits until everything submitted is done; gives the access whose output was not finite, −1 if none. Rethrows
    /// what stopped the thread.
    int wait();

private:
    void work();
    void run(const Task& task, const ExpertRows& rows);

    const Checkpoint* m_checkpoint;
    const Kernels* m_kernels;
    RecordSet m_record;
    Observer* m_observer;
    ExpertStore m_store;
    Arena m_bytes;  ///< of the expert that is being computed
    ExpertScratch m_scratch;
    ExpertRef m_loaded{LayerIndex(-1), ExpertId(-1)};

    std::mutex m_mutex;
    std::condition_variable m_wake, m_done;
    std::vector<std::pair<Task, ExpertRows>> m_tasks;
    std::size_t m_next = 0;  ///< of m_tasks
    std::size_t m_finished = 0;
    int m_notFinite = -1;
    std::exception_ptr m_failure;
    bool m_stop = false;
    std::thread m_thread;
};

}  // namespace expertscope
